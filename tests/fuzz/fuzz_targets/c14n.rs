#![no_main]
//! Canonical forms: of a canonical form it is itself, and the gate admits it.
use libfuzzer_sys::fuzz_target;
use saatkond_proto::signature::c14n::{EXCLUSIVE, INCLUSIVE, Method, line_ends};
use saatkond_proto::xml::{admit, text};

fn canonical(method: &Method, document: &roxmltree::Document<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    method.document(document, &mut |piece| out.extend_from_slice(piece)).ok()?;
    Some(out)
}

fuzz_target!(|data: &[u8]| {
    let Ok(read) = text(data) else { return };
    let read = line_ends(read);
    let Ok(document) = admit(&read, 1 << 16) else { return };
    // A declaration written without a space is an instruction to roxmltree, and so would be written out.
    if document.root().children().any(|n| n.pi().is_some_and(|pi| pi.target == "xml")) {
        return;
    }
    let (xml11, with) = ("http://www.w3.org/2006/12/xml-c14n11", "#WithComments");
    for uri in [INCLUSIVE.to_owned(), format!("{INCLUSIVE}{with}"), xml11.to_owned(), EXCLUSIVE.to_owned()] {
        let method = Method::from_uri(&uri).unwrap();
        let Some(once) = canonical(&method, &document) else { continue };
        let once = String::from_utf8(once).expect("a canonical form is text");
        let again = admit(&once, 1 << 20).unwrap_or_else(|e| panic!("{uri}: {once:?}: {e}"));
        assert_eq!(canonical(&method, &again).as_deref(), Some(once.as_bytes()), "{uri}");
    }
    for node in document.descendants().filter(roxmltree::Node::is_element).take(4) {
        let prefixes = Method::from_uri(EXCLUSIVE).unwrap().with_prefixes("#default a ds");
        let _ = Method::default().element_bytes(node);
        let _ = prefixes.element_bytes(node);
    }
});
