#![no_main]
//! Containers, archives, and what is inside: the zip layer is strict, and what it unpacks has the size it says. Whatever
//! is proven was signed by a key of the instance.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::container::zip::Archive;
use saatkond_proto::container::{Container, archive, manifest, message::Summary, verify};
use std::io::Cursor;
#[path = "../instance.rs"]
mod instance;

const BYTES_MAX: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let _ = manifest::read_covered(data);
    if let Ok(summary) = Summary::read(data) {
        assert!(!summary.signer().member.instance.is_empty() || !summary.line.is_empty());
    }
    if let Ok(mut container) = Container::open(Cursor::new(data))
        && let Ok(proof) = verify(&mut container, &instance::CONF)
    {
        assert_eq!(proof.message.id, "the-id", "a message that nobody signed");
        assert_eq!(proof.signature.status_time, instance::at());
    }
    let Ok(mut zip) = Archive::open(Cursor::new(data)) else { return };
    let names: Vec<(String, u64)> = zip.entries().iter().map(|e| (e.name().to_owned(), e.size())).collect();
    for (name, size) in names.iter().take(8).filter(|(_, size)| *size <= BYTES_MAX) {
        let mut unpacked = Vec::new();
        if zip.unpack(name, BYTES_MAX, &mut unpacked).is_ok() {
            assert_eq!(unpacked.len() as u64, *size);
        }
    }
    if names.iter().all(|(_, size)| *size <= BYTES_MAX) {
        let _ = archive::verify(&mut zip, |_, container| drop(Container::open(Cursor::new(container))));
    }
});
