#![no_main]
//! Hash chain results and chains, parted at the first NUL; and chains built over the input, which must hold.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::signature::PartDigest;
use saatkond_proto::signature::batch::{self, Kind};

fn built(kind: Kind, data: &[u8]) {
    let algorithm = DigestAlgorithm::Sha512;
    let part = |name: String, bytes: &[u8]| PartDigest { name, algorithm, digest: algorithm.digest(bytes) };
    let messages: Vec<Vec<PartDigest>> = data
        .chunks(4)
        .take(9)
        .map(|m| m.iter().enumerate().map(|(n, byte)| part(format!("/part{n}"), &[*byte])).collect())
        .collect();
    let Some(chains) = batch::build(kind, &messages) else { return };
    for (chain, parts) in chains.chains.iter().zip(&messages) {
        assert_eq!(batch::verify(kind, &chains.result, Some(chain), parts), Ok(()));
        assert_eq!(batch::parts_named(chain).as_ref(), Ok(parts));
        let mut other = parts.clone();
        other[0].digest[0] ^= 1;
        assert!(batch::verify(kind, &chains.result, Some(chain), &other).is_err());
    }
}

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    let (result, chain) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    if let Ok(parts) = batch::parts_named(chain) {
        for kind in [Kind::Signature, Kind::Timestamp] {
            if batch::verify(kind, result, Some(chain), &parts).is_ok() {
                for n in 0..parts.len() {
                    let mut other = parts.clone();
                    other[n].digest.push(0);
                    assert!(batch::verify(kind, result, Some(chain), &other).is_err(), "every part counts");
                }
            }
        }
    }
    if data.len() <= 36 {
        built(Kind::Signature, data);
    }
});
