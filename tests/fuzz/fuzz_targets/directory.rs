#![no_main]
//! Signed configuration directories, and the places they name. Whatever holds says what the vectors' directories say.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::globalconf::directory::SignedDirectory;
use saatkond_proto::globalconf::layout::Metadata;
use saatkond_proto::globalconf::locations;
use saatkond_proto::time::UnixTime;
use std::sync::LazyLock;
#[path = "../instance.rs"]
mod instance;

/// Certificates of the two sources.
static SOURCES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    use base64::Engine as _;
    let files: [&[u8]; 2] = [
        include_bytes!("../../vectors/directory/rsa.vector"),
        include_bytes!("../../vectors/directory/p256.vector"),
    ];
    let certificate = |file| instance::parted(file).0["certificate"];
    files.map(|f| base64::engine::general_purpose::STANDARD.decode(certificate(f)).unwrap()).to_vec()
});

fuzz_target!(|data: &[u8]| {
    if let Ok(directory) = SignedDirectory::parse(data) {
        assert!(directory.verify(&[], UnixTime::from_secs(0)).is_err());
        assert!(directory.verify(&[data.to_vec()], UnixTime::from_secs(0)).is_err());
        if let Ok(directory) = directory.verify(&SOURCES, UnixTime::from_secs(0)) {
            assert_eq!((directory.parts.len(), directory.version), (2, 6));
            assert!(directory.parts.iter().all(|part| part.instance == "DEV"));
            assert_eq!(directory.expires.since(instance::at()).as_secs(), 600);
        }
    }
    if let Some(metadata) = Metadata::from_json(data) {
        let written = metadata.to_json();
        assert_eq!(Metadata::from_json(&written).map(|m| m.to_json()), Some(written));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let (url, location) = text.split_once('\n').unwrap_or((text, ""));
        let _ = locations::part_url(url, location);
        let _ = locations::version_urls(url);
        let _ = locations::asked_version(Some(location));
    }
});
