//! The instance of the project's own vectors, for targets that ask whether something forged could hold.
#![allow(dead_code, reason = "each target takes what it needs")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_proto::globalconf::{GlobalConf, Instance, Options, SharedParams};
use saatkond_proto::time::UnixTime;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Whom to believe.
pub static CONF: LazyLock<GlobalConf> = LazyLock::new(|| {
    let (_, body) = parted(include_bytes!("../vectors/trust/dev.vector"));
    let shared = SharedParams::from_xml(body, 6).unwrap();
    let expires = at().plus(Duration::from_secs(1 << 32));
    let only = Instance { shared, private: None, expires, options: Options::default() };
    GlobalConf::new("DEV", vec![only]).unwrap()
});

/// When the vectors play.
pub fn at() -> UnixTime {
    UnixTime::from_rfc3339("2026-11-24T08:00:00Z").unwrap()
}

/// Header lines and body of a vector's file.
pub fn parted(file: &'static [u8]) -> (BTreeMap<&'static str, &'static str>, &'static [u8]) {
    let split = file.windows(2).position(|w| w == b"\n\n").unwrap();
    let header = std::str::from_utf8(&file[..split]).unwrap();
    (header.lines().filter_map(|l| l.split_once(": ")).collect(), &file[split + 2..])
}

/// The bytes of the first piece of this label.
pub fn piece(body: &[u8], label: &str) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    let (_, after) = text.split_once(&format!("-----BEGIN {label}-----")).unwrap();
    let (value, _) = after.split_once("-----END").unwrap();
    STANDARD.decode(value.split_ascii_whitespace().collect::<String>()).unwrap()
}
