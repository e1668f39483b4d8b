//! PEM, read leniently and written strictly.
//!
//! Spec: RFC 7468. Text around the armour is passed over, as every other program does. What is only needed on the way is
//! wiped: the block may be a private key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Writes one block, 64 characters a line.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    let text = Zeroizing::new(STANDARD.encode(der));
    // room for all of it, so that nothing is left behind in a smaller place
    let mut out = String::with_capacity(text.len() + text.len() / 64 + 2 * label.len() + 64);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

/// Reads all blocks of this label in order; a block that is not base64 is left out.
#[must_use]
pub fn decode_all(label: &str, text: &str) -> Vec<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let Some((body, after_block)) = after.split_once(&end) else { break };
        let mut compact = Zeroizing::new(String::with_capacity(body.len()));
        compact.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
        blocks.extend(STANDARD.decode(compact.as_str()).ok());
        rest = after_block;
    }
    blocks
}

/// Takes bytes that are either DER or PEM of this label: the first block's DER.
#[must_use]
pub fn der_or_pem(label: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.first() == Some(&0x30) {
        return Some(bytes.to_vec());
    }
    decode_all(label, std::str::from_utf8(bytes).ok()?).into_iter().next()
}

/// The label of certificates.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of PKCS#8 keys without a password.
pub const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The label of PKCS#10 requests.
pub const CERTIFICATE_REQUEST: &str = "CERTIFICATE REQUEST";
/// The label of certificate revocation lists.
pub const CRL: &str = "X509 CRL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_survive_and_other_text_is_passed_over() {
        let der: Vec<u8> = (0..200).collect();
        let text = format!(
            "subject=x\n{}trailing\r\n{}",
            encode("A", &der),
            encode("B", b"b").replace('\n', "\r\n")
        );
        assert_eq!(decode_all("A", &text), [der]);
        assert_eq!(decode_all("B", &text), [b"b".to_vec()]);
        assert!(text.lines().all(|l| l.len() <= 64));
        assert_eq!(decode_all("A", "-----BEGIN A-----\n!!!!\n-----END A-----"), Vec::<Vec<u8>>::new());
    }
}
