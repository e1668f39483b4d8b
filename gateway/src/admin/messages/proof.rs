//! What a signature document and a time-stamp say of themselves. Nothing is verified here.

use crate::admin::words::{hex, plain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saatkond_proto::crypto::{Scheme, SignatureAlgorithm};
use saatkond_proto::limits;
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::Certificate;
use saatkond_proto::trust::tsp::Token;
use saatkond_proto::xml;
use serde_json::{Value, json};

/// XML signatures.
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// What is signed besides the message.
const XADES: &str = "http://uri.etsi.org/01903/v1.3.2#";

/// What a signature document says of itself; what cannot be read is left out.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) certificate: Option<Certificate>,
    pub(super) algorithm: Option<String>,
    pub(super) signing_time: Option<String>,
}

impl Outline {
    pub(super) fn of(signature: &[u8]) -> Self {
        Self::read(signature).unwrap_or_default()
    }

    fn read(signature: &[u8]) -> Option<Self> {
        let text = xml::text(signature).ok()?;
        let document = xml::admit(text, limits::SIGNATURE_BYTES_MAX).ok()?;
        let find = |namespace, name| document.descendants().find(|node| xml::is(*node, namespace, name));
        let certificate = find(DS, "X509Certificate").and_then(|node| {
            let text: String = xml::text_of(node).split_ascii_whitespace().collect();
            Certificate::from_der(&STANDARD.decode(text).ok()?).ok()
        });
        let uri = find(DS, "SignatureMethod").and_then(|node| node.attribute("Algorithm"));
        let algorithm =
            uri.map(|uri| SignatureAlgorithm::from_uri(uri).map_or_else(|| plain(uri).into_owned(), words));
        let signing_time =
            find(XADES, "SigningTime").map(|node| plain(xml::text_of(node).trim()).into_owned());
        Some(Self { certificate, algorithm, signing_time })
    }

    pub(super) fn json(&self) -> Value {
        let certificate = self.certificate.as_ref().map(|certificate| {
            json!({
                "subject": certificate.subject_text(),
                "issuer": certificate.issuer_text(),
                "serial": certificate.serial_text(),
                "sha256": hex(certificate.sha256()),
                "not_before": certificate.not_before().to_rfc3339(),
                "not_after": certificate.not_after().to_rfc3339(),
            })
        });
        json!({
            "algorithm": self.algorithm,
            "certificate": certificate,
            "claimed_time": self.signing_time,
        })
    }
}

fn words(algorithm: SignatureAlgorithm) -> String {
    let scheme = match algorithm.scheme {
        Scheme::RsaPkcs1 => "RSA",
        Scheme::RsaPss => "RSA-PSS",
        Scheme::Ecdsa => "ECDSA",
    };
    format!("{scheme} with {}", algorithm.digest.name())
}

/// The time that a token states, and its serial number; `None` for what is no token.
pub(super) fn token(der: &[u8]) -> Option<(UnixTime, String)> {
    let token = Token::from_der(der).ok()?;
    Some((token.gen_time(), hex(token.serial())))
}
