#![no_main]
//! Whole proofs: signature, hash chain result, hash chain and parts between NULs. Whatever holds was made by a key of
//! the instance, so it must be over a message that the vectors sign.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::crypto::DigestAlgorithm;
use saatkond_proto::id::MemberId;
use saatkond_proto::signature::{MESSAGE, PartDigest, Unverified, verify};
#[path = "../instance.rs"]
mod instance;

/// All messages that are signed in the vectors.
const MESSAGES: [&[u8]; 3] = [b"message", b"third", b"other"];

fuzz_target!(|data: &[u8]| {
    let mut pieces = data.split(|b| *b == 0);
    let signature = pieces.next().unwrap_or_default().to_vec();
    let mut some = || pieces.next().filter(|p| !p.is_empty()).map(<[u8]>::to_vec);
    let (hash_chain_result, hash_chain) = (some(), some());
    let contents: Vec<&[u8]> = pieces.take(8).collect();
    let algorithm = DigestAlgorithm::Sha512;
    let part = |(n, bytes): (usize, &&[u8])| PartDigest {
        name: if n == 0 { MESSAGE.to_owned() } else { format!("/attachment{n}") },
        algorithm,
        digest: algorithm.digest(bytes),
    };
    let parts: Vec<PartDigest> = contents.iter().enumerate().map(part).collect();
    let unverified = Unverified { parts, signature, hash_chain_result, hash_chain };
    for code in ["M1", "M2", "M3", "M4"] {
        let signer = MemberId::new("DEV", "GOV", code).client();
        if let Ok(verified) = verify(unverified.clone(), &signer, &instance::CONF, instance::at()) {
            assert!(MESSAGES.contains(&contents[0]), "a message that nobody signed");
            let attachments = &contents[1..];
            let known =
                attachments.is_empty() || attachments == [b"attachment"] || attachments == [&b""[..], b"x"];
            assert!(known, "attachments that nobody signed");
            assert_eq!(verified.status_time(), instance::at());
            assert!(verified.certificate().subject_text().contains(code));
        }
    }
});
