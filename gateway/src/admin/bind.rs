//! Doors that cannot be bound, and who has what they need.

use crate::net::BindError;
use saatkond_ca::exit::{Exit, Failure};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// The health port that cannot be bound.
pub(super) const fn of_health(address: SocketAddr, source: io::Error) -> BindError {
    BindError { address, who: "health", key: "listen.health", source }
}

/// A door that cannot be bound: who has its address, and which key of `gateway.toml` names it.
pub(super) fn failure(error: &BindError, conf: &Path) -> Failure {
    let BindError { address, who, key, source } = error;
    let (exit, why, hint) = match source.kind() {
        io::ErrorKind::AddrInUse => {
            let (holder, it) = match holder(*address) {
                Some((pid, name)) => (format!("pid {pid} ({name})"), "it"),
                None => ("another process".to_owned(), "the other process"),
            };
            let hint = format!("stop {it}, or set `{key}` in {}", conf.display());
            (Exit::Unavailable, format!("already in use by {holder}"), hint)
        }
        io::ErrorKind::PermissionDenied => {
            let hint = format!(
                "choose a port above 1023 for `{key}` in {}, or grant CAP_NET_BIND_SERVICE",
                conf.display()
            );
            (Exit::NotAllowed, source.to_string(), hint)
        }
        io::ErrorKind::AddrNotAvailable => {
            let hint = format!("set `{key}` in {} to an address of this machine", conf.display());
            (Exit::Configuration, "this machine has no such address".to_owned(), hint)
        }
        _ => (Exit::Unavailable, source.to_string(), format!("look at `{key}` in {}", conf.display())),
    };
    Failure::new(exit, format!("cannot listen on {address} for {who}: {why}")).hint(hint)
}

/// The process that listens where `address` cannot be bound, by Linux' `/proc`; `None` when that cannot be told: another
/// user's process, or another system.
pub(super) fn holder(address: SocketAddr) -> Option<(u32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables: Vec<String> = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    let wanted: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(listening)
        .filter(|(local, _)| clashes(*local, address))
        .map(|(_, inode)| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.into_iter().find(|pid| {
        let opened = fs::read_dir(format!("/proc/{pid}/fd"));
        let links = opened.into_iter().flatten().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.into_iter().any(|link| link.to_str().is_some_and(|link| wanted.iter().any(|w| w == link)))
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((pid, super::words::plain(name.trim_end()).into_owned()))
}

fn clashes(taken: SocketAddr, wanted: SocketAddr) -> bool {
    let same = taken.ip() == wanted.ip() || taken.ip().is_unspecified() || wanted.ip().is_unspecified();
    taken.port() == wanted.port() && same
}

/// Address and inode of a listening socket in a line of `/proc/net/tcp`; `None` for any other line.
fn listening(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let address = SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?);
    (state == "0A" && inode != 0).then_some((address, inode))
}

/// Words of 32 bits in the byte order of this machine, in hexadecimal.
fn ip_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn who_has_an_address_is_told_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let source = TcpListener::bind(address).unwrap_err();
        let error = BindError { address, who: "information systems", key: "listen.clients", source };
        let failure = failure(&error, Path::new("conf/consumer.toml"));
        assert_eq!(failure.exit, Exit::Unavailable);
        let (pid, name) = holder(address).unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(
            failure.to_string(),
            format!(
                "error: cannot listen on {address} for information systems: already in use by pid {pid} ({name})\n \
                 hint: stop it, or set `listen.clients` in conf/consumer.toml"
            )
        );
        drop(taken);
        assert_eq!(holder(address), None);
    }

    #[test]
    fn an_address_of_another_machine_is_a_matter_of_configuration() {
        let address = "192.0.2.1:5500".parse().unwrap();
        let source = TcpListener::bind(address).unwrap_err();
        let error = BindError { address, who: "other gateways", key: "listen.servers", source };
        let failure = failure(&error, Path::new("gateway.toml"));
        assert_eq!(failure.exit, Exit::Configuration);
        assert_eq!(
            failure.to_string(),
            "error: cannot listen on 192.0.2.1:5500 for other gateways: this machine has no such address\n hint: set \
             `listen.servers` in gateway.toml to an address of this machine"
        );
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn lines_of_proc_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 1 0";
        assert_eq!(listening(line), Some(("127.0.0.1:8080".parse().unwrap(), 31337)));
        assert_eq!(listening(&line.replace(" 0A ", " 01 ")), None, "connected, not listening");
        let six = line.replace("0100007F", "0000000000000000FFFF00000100007F");
        assert_eq!(listening(&six), Some(("127.0.0.1:8080".parse().unwrap(), 31337)));
        for hostile in ["", "0:", "0: x:y z 0A a b c d e", "0: 0100:1 0 0A 0 0 0 0 0 7"] {
            assert_eq!(listening(hostile), None, "{hostile}");
        }
        assert!(clashes("0.0.0.0:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()));
        assert!(!clashes("127.0.0.2:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap()));
    }
}
