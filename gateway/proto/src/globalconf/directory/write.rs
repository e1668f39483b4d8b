//! Writes a signed directory byte for byte as X-Road's central server does.

use super::{DirectoryError, Part, SignedDirectory, wrong};
use crate::crypto::{DigestAlgorithm, EcdsaForm, SigningKey};
use crate::time::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A directory to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Until when it holds; whole seconds are written.
    pub expires: UnixTime,
    /// The version of its documents.
    pub version: u8,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Draft {
    /// Signs the directory with SHA-512 and writes it as a central server does.
    ///
    /// `random` makes the boundaries; `certificate` is the signing certificate as the anchor carries it. What was
    /// written is read and verified before it is handed out.
    ///
    /// # Errors
    /// [`DirectoryError`] for a part that no header can carry, a key that does not sign, and a certificate that is not
    /// the key's.
    pub fn sign(
        &self,
        random: [u8; 40],
        key: &SigningKey,
        certificate: &[u8],
    ) -> Result<Vec<u8>, DirectoryError> {
        let [outer, inner] = boundaries(random);
        let signed = self.text(&inner)?;
        let algorithm = key.algorithm();
        let value =
            key.sign(algorithm.digest, signed.as_bytes(), EcdsaForm::Der).map_err(DirectoryError::Signing)?;
        let how = DigestAlgorithm::Sha512;
        let bytes = format!(
            "Content-Type: multipart/related; charset=UTF-8; boundary={outer}\r\n\r\n--{outer}\r\n\
             Content-Type: multipart/mixed; charset=UTF-8; boundary={inner}\r\n\r\n{signed}\r\n--{outer}\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
             Signature-Algorithm-Id: {}\r\n\
             Verification-certificate-hash: {}; hash-algorithm-id=\"{}\"\r\n\r\n{}\r\n--{outer}--\r\n",
            algorithm.uri().unwrap_or_default(),
            STANDARD.encode(how.digest(certificate)),
            how.uri(),
            STANDARD.encode(value),
        )
        .into_bytes();
        SignedDirectory::parse(&bytes)?.verify(&[certificate.to_vec()], self.expires.minus(ONE_SECOND))?;
        Ok(bytes)
    }

    /// What is signed.
    fn text(&self, boundary: &str) -> Result<String, DirectoryError> {
        let expires = self.expires.to_rfc3339();
        let mut text = format!("--{boundary}\r\nExpire-date: {expires}\r\nVersion: {}\r\n\r\n", self.version);
        for part in &self.parts {
            let lines = [part.content.text(), &part.instance, &part.location];
            let mut values = lines.into_iter().chain(part.file_name.as_deref());
            if let Some(value) = values.find(|v| v.is_empty() || v.contains(unwritable)) {
                return Err(wrong("Content-identifier", "text without quotes and control characters", value));
            }
            text += &format!(
                "--{boundary}\r\nContent-type: application/octet-stream\r\nContent-transfer-encoding: base64\r\n\
                 Content-identifier: {}; instance='{}'\r\nContent-location: {}\r\n",
                part.content.text(),
                part.instance,
                part.location,
            );
            if let Some(name) = &part.file_name {
                text += &format!("Content-file-name: {name}\r\n");
            }
            let digest = STANDARD.encode(&part.digest);
            text += &format!("Hash-algorithm-id: {}\r\n\r\n{digest}\r\n", part.algorithm.uri());
        }
        text += &format!("--{boundary}--\r\n");
        Ok(text)
    }
}

/// What the second's fraction that is not written can take off a directory's life.
const ONE_SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn unwritable(c: char) -> bool {
    c.is_control() || matches!(c, '\'' | '"' | ';')
}

/// Two boundaries of 20 letters and digits. Seen: X-Road 7.8.
fn boundaries(random: [u8; 40]) -> [String; 2] {
    let letter = |byte: &u8| match byte % 62 {
        n @ 0..=9 => char::from(b'0' + n),
        n @ 10..=35 => char::from(b'A' + n - 10),
        n => char::from(b'a' + n - 36),
    };
    let (outer, inner) = random.split_at(20);
    [outer.iter().map(letter).collect(), inner.iter().map(letter).collect()]
}
