//! The two lists inside a container: all its files, and what its time-stamp covers.
//!
//! Spec: OpenDocument 1.2 part 3; TS 102 918 6.2.2. Seen: message-path §6.5, bytes as X-Road 7.8 writes them.

use super::{MEDIA_TYPE, entry};
use crate::crypto::DigestAlgorithm;
use crate::limits;
use crate::xml::{self, XmlError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Namespace of XML signatures. Spec: XML-DSig.
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Namespace of the ASiC manifest. Seen: message-path §6.5: without the `0` that the signature's namespace has.
const ASIC: &str = "http://uri.etsi.org/2918/v1.2.1#";

/// Entries in the order in which the manifest lists them. Seen: the same in all containers of X-Road 7.8.
const LISTED: [&str; 5] = [
    entry::SIGNATURE_CHAIN,
    entry::MESSAGE,
    entry::STAMP_CHAIN_RESULT,
    entry::SIGNATURE_CHAIN_RESULT,
    entry::STAMP_CHAIN,
];

/// What a time-stamp covers, as the ASiC manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The entry that holds the token.
    pub token: String,
    /// The entries covered: name, digest algorithm, digest.
    pub objects: Vec<(String, DigestAlgorithm, Vec<u8>)>,
}

/// Writes `META-INF/manifest.xml` for a container that has these entries, and `attachments` attachments besides.
#[must_use]
pub fn write(entries: &[&str], attachments: usize) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\" \
         manifest:version=\"1.2\">\n",
    );
    let mut list = |media_type: &str, path: &str| {
        out.push_str("    <manifest:file-entry manifest:media-type=\"");
        out.push_str(media_type);
        out.push_str("\" manifest:full-path=\"");
        out.push_str(path);
        out.push_str("\"/>\n");
    };
    list(MEDIA_TYPE, "/");
    for name in LISTED.into_iter().filter(|n| entries.contains(n)) {
        list("text/xml", name);
    }
    for number in 1..=attachments {
        list("application/octet-stream", &format!("{}{number}", entry::ATTACHMENT));
    }
    out.push_str("</manifest:manifest>\n");
    out
}

/// Writes `META-INF/ASiCManifest.xml` over the bytes of `ts-hashchainresult.xml`.
#[must_use]
pub fn write_covered(chain_result: &[u8]) -> String {
    let digest = STANDARD.encode(DigestAlgorithm::Sha512.digest(chain_result));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <asic:ASiCManifest xmlns:asic=\"{ASIC}\" xmlns:ds=\"{DS}\">\n\
         <asic:SigReference URI=\"{}\" MimeType=\"vnd.etsi.timestamp-token\"/>\n\
         <asic:DataObjectReference URI=\"{}\" MimeType=\"text/xml\">\n\
         <ds:DigestMethod Algorithm=\"{}\" />\n\
         <ds:DigestValue>{digest}</ds:DigestValue>\n\
         </asic:DataObjectReference>\n\
         </asic:ASiCManifest>",
        entry::TOKEN,
        entry::STAMP_CHAIN_RESULT,
        DigestAlgorithm::Sha512.uri(),
    )
}

/// Reads `META-INF/ASiCManifest.xml`.
///
/// # Errors
/// [`XmlError`], also for another root, for no object, or a digest that is not one.
pub fn read_covered(document: &[u8]) -> Result<Covered, XmlError> {
    let document = xml::admit(xml::text(document)?, limits::ASIC_MANIFEST_BYTES_MAX)?;
    let root = document.root_element();
    if !xml::is(root, ASIC, "ASiCManifest") {
        return Err(unexpected("ASiCManifest", root.tag_name().name()));
    }
    let mut objects = Vec::new();
    let mut token = None;
    for child in xml::elements(root) {
        let uri = child.attribute("URI").unwrap_or_default();
        let name = uri.strip_prefix('/').unwrap_or(uri).to_owned();
        if xml::is(child, ASIC, "SigReference") && token.is_none() {
            token = Some(name);
        } else if xml::is(child, ASIC, "DataObjectReference") {
            let algorithm = xml::child(child, DS, "DigestMethod")
                .and_then(|m| m.attribute("Algorithm"))
                .and_then(DigestAlgorithm::from_uri)
                .ok_or_else(|| unexpected("a digest algorithm", "none that is known"))?;
            let value = xml::child(child, DS, "DigestValue").map(xml::text_of).unwrap_or_default();
            let compact: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let digest = STANDARD.decode(compact).map_err(|_| unexpected("a digest in base64", &value))?;
            objects.push((name, algorithm, digest));
        } else {
            return Err(unexpected("SigReference or DataObjectReference", child.tag_name().name()));
        }
    }
    match token {
        Some(token) if !objects.is_empty() => Ok(Covered { token, objects }),
        _ => Err(unexpected("one SigReference and DataObjectReferences", "less")),
    }
}

fn unexpected(expected: &str, found: &str) -> XmlError {
    XmlError::Unexpected { expected: expected.to_owned(), found: found.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_lists_what_is_there() {
        let text = write(&[entry::MESSAGE, entry::SIGNATURE_CHAIN, entry::SIGNATURE_CHAIN_RESULT], 1);
        let paths: Vec<_> = text.split("full-path=\"").skip(1).filter_map(|t| t.split('"').next()).collect();
        assert_eq!(
            paths,
            ["/", "sig-hashchain.xml", "message.xml", "sig-hashchainresult.xml", "attachment1"]
        );
    }

    #[test]
    fn what_is_covered_survives() {
        let covered = read_covered(write_covered(b"result").as_bytes()).unwrap();
        assert_eq!(covered.token, entry::TOKEN);
        let digest = DigestAlgorithm::Sha512.digest(b"result");
        assert_eq!(covered.objects, [("ts-hashchainresult.xml".into(), DigestAlgorithm::Sha512, digest)]);
    }

    #[test]
    fn another_manifest_is_refused() {
        let good = write_covered(b"result");
        for (from, to) in [
            ("uri.etsi.org/2918", "uri.etsi.org/02918"),
            ("xmlenc#sha512", "xmlenc#sha513"),
            ("<asic:SigReference", "<asic:Reference"),
            ("<ds:DigestValue>", "<ds:DigestValue>*"),
        ] {
            assert!(read_covered(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
