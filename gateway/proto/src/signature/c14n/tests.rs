//! Canonical XML, held against xmllint and xmlsec1.

use super::super::testing::{Dice, has_tool};
use super::*;
use crate::xml::admit;
use std::io::Write;
use std::process::{Command, Stdio};

/// The canonical form of the element with this `Id`, or of the whole document.
fn canonical(xml: &str, uri: &str, prefixes: &str, id: Option<&str>) -> String {
    let xml = line_ends(xml);
    let document = admit(&xml, 1 << 20).unwrap();
    let method = Method::from_uri(uri).unwrap().with_prefixes(prefixes);
    let mut bytes = Vec::new();
    let mut out = |piece: &[u8]| bytes.extend_from_slice(piece);
    match id {
        Some(id) => {
            let apex = document.descendants().find(|n| n.attribute("Id") == Some(id)).unwrap();
            method.element(apex, &mut out).unwrap();
        }
        None => method.document(&document, &mut out).unwrap(),
    }
    String::from_utf8(bytes).unwrap()
}

const COMMENTS: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments";
const C14N11: &str = "http://www.w3.org/2006/12/xml-c14n11";
const EXCLUSIVE_COMMENTS: &str = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";

#[test]
fn a_document_loses_its_declaration_and_gains_end_tags() {
    let xml = "<?xml version=\"1.0\"?>\n<!-- one -->\n<?pi  some data?>\n<a   b = 'x\"&#9;&#10;&#13;&lt;' a='1'\r\n><c/>\r\n\
               &#13;<![CDATA[<&>]]></a>\n<!-- two -->";
    let element = "<a a=\"1\" b=\"x&quot;&#x9;&#xA;&#xD;&lt;\"><c></c>\n&#xD;&lt;&amp;&gt;</a>";
    assert_eq!(canonical(xml, INCLUSIVE, "", None), format!("<?pi some data?>\n{element}"));
    let all = format!("<!-- one -->\n<?pi some data?>\n{element}\n<!-- two -->");
    assert_eq!(canonical(xml, COMMENTS, "", None), all);
}

#[test]
fn a_subset_inherits_namespaces_only_inclusively() {
    let xml = "<r xmlns='d' xmlns:z='z' xmlns:b='b' xml:lang='et'><b:s Id='1'><t xmlns='' z:q=''/></b:s></r>";
    assert_eq!(
        canonical(xml, INCLUSIVE, "", Some("1")),
        "<b:s xmlns=\"d\" xmlns:b=\"b\" xmlns:z=\"z\" Id=\"1\" xml:lang=\"et\"><t xmlns=\"\" z:q=\"\"></t></b:s>"
    );
    assert_eq!(
        canonical(xml, EXCLUSIVE, "", Some("1")),
        "<b:s xmlns:b=\"b\" Id=\"1\"><t xmlns:z=\"z\" z:q=\"\"></t></b:s>"
    );
    assert_eq!(
        canonical(xml, EXCLUSIVE, "z #default", Some("1")),
        "<b:s xmlns=\"d\" xmlns:b=\"b\" xmlns:z=\"z\" Id=\"1\"><t xmlns=\"\" z:q=\"\"></t></b:s>"
    );
}

#[test]
fn xml_attributes_are_inherited_as_the_version_says() {
    let xml = "<r xml:id='i' xml:space='preserve' xml:other='o'><s Id='1'/></r>";
    let ten = "<s Id=\"1\" xml:id=\"i\" xml:other=\"o\" xml:space=\"preserve\"></s>";
    assert_eq!(canonical(xml, INCLUSIVE, "", Some("1")), ten);
    assert_eq!(canonical(xml, C14N11, "", Some("1")), "<s Id=\"1\" xml:space=\"preserve\"></s>");
    let based = "<r xml:base='http://x/'><s Id='1'/></r>";
    let document = admit(based, 1000).unwrap();
    let apex = document.root_element().first_element_child().unwrap();
    let eleven = Method::from_uri(C14N11).unwrap();
    assert_eq!(eleven.element(apex, &mut |_| {}), Err(C14nError::Base));
}

#[test]
fn a_prefix_bound_twice_or_to_nothing_is_refused() {
    let twice = admit("<a xmlns='x' xmlns='y'/>", 1000);
    if let Ok(document) = twice {
        let refused = Method::default().element(document.root_element(), &mut |_| {});
        assert!(matches!(refused, Err(C14nError::Prefix(_))));
    }
    if let Ok(document) = admit("<a xmlns:p='' p:b=''/>", 1000) {
        let refused = Method::default().element(document.root_element(), &mut |_| {});
        assert!(matches!(refused, Err(C14nError::Prefix(_))));
    }
}

/// libxml2 writes namespaces unescaped; the specification and Santuario do not.
#[test]
fn namespaces_are_escaped_as_attributes_are() {
    let xml = "<a xmlns='u?a&amp;b&lt;&quot;'/>";
    assert_eq!(canonical(xml, INCLUSIVE, "", None), "<a xmlns=\"u?a&amp;b&lt;&quot;\"></a>");
}

/// A small document with everything in it that canonicalization touches; one element has the Id `apex`.
fn generated(dice: &mut Dice) -> String {
    let mut out = String::from(dice.pick(&["", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"]));
    out.push_str(dice.pick(&["", "<!-- before -->\n", "<?before ?>", "<!--a\r\nb-->"]));
    let mut apex = false;
    let top = [("p", "urn:p"), ("q", "urn:q")];
    out.push_str("<p:top xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"");
    out.push_str(dice.pick(&[
        "",
        " xmlns=\"urn:d\"",
        " xml:lang=\"en\"",
        " xml:space=\"preserve\" xml:lang='et'",
    ]));
    out.push('>');
    for _ in 0..3 {
        element(dice, &mut out, &mut apex, &top, 0);
    }
    if !apex {
        out.push_str("<q:last Id=\"apex\" q:b='' a=\"\"/>");
    }
    out.push_str("</p:top>");
    out.push_str(dice.pick(&["", "\n", "<!-- after -->", "\n<?after x  ?>\n<!--z-->"]));
    out
}

fn element(dice: &mut Dice, out: &mut String, apex: &mut bool, scope: &[(&str, &str)], depth: usize) {
    let mut scope = scope.to_vec();
    let mut declared = String::new();
    if dice.roll(3) == 0 {
        let prefix = dice.pick(&["p", "q", "r", "ab"]);
        let uri = dice.pick(&["urn:p", "urn:q", "urn:r", "http://x/?a=1"]);
        scope.retain(|(p, _)| *p != prefix);
        scope.push((prefix, uri));
        declared.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
    }
    declared.push_str(dice.pick(&["", "", "", " xmlns=\"\"", " xmlns='urn:d'", " xmlns=\"urn:p\""]));
    let mut prefixes: Vec<String> = scope.iter().map(|(p, _)| format!("{p}:")).collect();
    prefixes.push(String::new());
    let name = format!("{}{}", prefixes[dice.roll(prefixes.len())], dice.pick(&["a", "b", "c-d", "é"]));
    out.push_str(&format!("<{name}{declared}"));
    if !*apex && depth > 0 && dice.roll(3) == 0 {
        out.push_str(dice.pick(&[" Id=\"apex\"", " Id='apex' xml:lang=\"fi\""]));
        *apex = true;
    } else if dice.roll(6) == 0 {
        out.push_str(" xml:lang='sv'");
    }
    attributes(dice, out, &scope);
    if dice.roll(4) == 0 {
        out.push_str(dice.pick(&["/>", " />", "\r\n/>"]));
        return;
    }
    out.push_str(dice.pick(&[">", " >", "\n>"]));
    for _ in 0..dice.roll(5) {
        match dice.roll(8) {
            0 | 1 if depth < 5 => element(dice, out, apex, &scope, depth + 1),
            2 => out.push_str(dice.pick(&["<!-- c -->", "<!---->", "<!-- a\r\nb\rc -->", "<!--é-->"])),
            3 => out.push_str(dice.pick(&["<?pi?>", "<?pi a  b ?>", "<?pi   x?>", "<?pi a\r\nb?>"])),
            4 => out.push_str(dice.pick(&["<![CDATA[<&>]]>", "<![CDATA[]]>", "<![CDATA[\r\n]x]\r]]>"])),
            _ => out.push_str(dice.pick(&[
                "text",
                "\n",
                "\r\n",
                "\r",
                "&#13;",
                "&#13;\r\n",
                "\r&amp;",
                "a&lt;b&gt;\"'",
                "&#xD;&#xA;",
                "\t",
                "õäöü",
                "x\r",
                "&#x1F600;",
                "]]&gt;",
            ])),
        }
    }
    out.push_str(&format!("</{name}{}>", dice.pick(&["", " ", "\n"])));
}

fn attributes(dice: &mut Dice, out: &mut String, scope: &[(&str, &str)]) {
    let mut taken: Vec<(String, &str)> = Vec::new();
    for _ in 0..dice.roll(4) {
        let (prefix, uri) = if dice.roll(2) == 0 { ("", "") } else { scope[dice.roll(scope.len())] };
        let local = dice.pick(&["x", "y", "Z", "aa"]);
        let expanded = (local.to_owned(), uri);
        if taken.contains(&expanded) {
            continue;
        }
        taken.push(expanded);
        let colon = if prefix.is_empty() { "" } else { ":" };
        let text = dice.pick(&[
            "",
            "v",
            "a b",
            "&amp;&lt;&gt;&quot;",
            "&#13;&#xA;&#9;",
            "x\ty",
            "x\r\ny",
            "a\nb\rc",
            "õ>",
            "'",
        ]);
        out.push_str(&format!(" {prefix}{colon}{local}=\"{text}\""));
    }
}

fn filter(program: &str, arguments: &[&str], input: &str) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

#[test]
fn documents_canonicalize_as_libxml2_does() {
    if !has_tool("xmllint") {
        return;
    }
    let mut compared = 0;
    for seed in 0..120 {
        let xml = generated(&mut Dice::new(seed));
        for (option, uri) in [
            ("--c14n", COMMENTS),
            ("--c14n11", "http://www.w3.org/2006/12/xml-c14n11#WithComments"),
            ("--exc-c14n", EXCLUSIVE_COMMENTS),
        ] {
            let theirs = filter("xmllint", &["--nonet", option, "-"], &xml)
                .unwrap_or_else(|| panic!("xmllint does not read seed {seed}: {xml:?}"));
            let ours = canonical(&xml, uri, "", None);
            assert_eq!(ours, String::from_utf8_lossy(&theirs), "seed {seed}, {option}: {xml:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 360);
}

/// A generated document with a signature over its element `apex`, canonicalized by `uri`, under an HMAC.
fn signed(xml: &str, uri: &str, prefixes: &str, key: &[u8]) -> Option<String> {
    use super::super::form::to_base64;
    let list = format!("<InclusiveNamespaces xmlns=\"{EXCLUSIVE}\" PrefixList=\"{prefixes}\"/>");
    let method = |name: &str| {
        let inside = if uri.starts_with(EXCLUSIVE) && !prefixes.is_empty() { list.as_str() } else { "" };
        format!("<ds:{name} Algorithm=\"{uri}\">{inside}</ds:{name}>")
    };
    // With a bare name, comments are dropped whatever the method says. Spec: XML-DSig 1.1 §4.4.3.2.
    let reference = if uri.ends_with("WithComments") { "#xpointer(id('apex'))" } else { "#apex" };
    let digest = |bytes: &str| to_base64(&crate::crypto::DigestAlgorithm::Sha256.digest(bytes.as_bytes()));
    let signature = format!(
        "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:SignedInfo Id=\"info\">{}<ds:SignatureMethod \
         Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"/><!-- c --><ds:Reference URI=\"{reference}\">\
         <ds:Transforms>{}</ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/>\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>@</ds:SignatureValue>\
         </ds:Signature>",
        method("CanonicalizationMethod"),
        method("Transform"),
        digest(&canonical(xml, uri, prefixes, Some("apex"))),
    );
    let (before, after) = xml.rsplit_once("</p:top>")?;
    let document = format!("{before}{signature}</p:top>{after}");
    let info = canonical(&document, uri, prefixes, Some("info"));
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), info.as_bytes());
    Some(document.replace(">@<", &format!(">{}<", to_base64(tag.as_ref()))))
}

/// xmlsec1 digests an element inside a document: what it inherits is what this is about.
#[test]
fn elements_canonicalize_as_xmlsec1_does() {
    if !has_tool("xmlsec1") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("saatkond-c14n-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let key = b"0123456789abcdef";
    std::fs::write(path("key"), key).unwrap();
    let verifies = |name: &str, signed: &str| {
        std::fs::write(path("signed.xml"), signed).unwrap();
        let output = Command::new("xmlsec1")
            .args(["--verify", "--hmackey", &path("key"), "--id-attr:Id", name, &path("signed.xml")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    };
    let small = "<p:top xmlns:p='urn:p'><p:a Id='apex'/></p:top>";
    let small = signed(small, INCLUSIVE, "", key).unwrap();
    assert_eq!(verifies("urn:p:a", &small), Ok(()));
    assert!(verifies("urn:p:a", &small.replace("<p:a Id", "<p:a b='' Id")).is_err());
    let mut compared = 0;
    for seed in 1000..1008 {
        let xml = generated(&mut Dice::new(seed));
        let text = line_ends(&xml).into_owned();
        let document = admit(&text, 1 << 20).unwrap();
        let apex = document.descendants().find(|n| n.attribute("Id") == Some("apex")).unwrap();
        let name = match apex.tag_name().namespace().filter(|n| !n.is_empty()) {
            Some(namespace) => format!("{namespace}:{}", apex.tag_name().name()),
            None => apex.tag_name().name().to_owned(),
        };
        for (uri, ..) in URIS {
            for prefixes in ["", "q ab", "#default p"] {
                if !uri.starts_with(EXCLUSIVE) && !prefixes.is_empty() {
                    continue;
                }
                let signed = signed(&xml, uri, prefixes, key).unwrap();
                assert_eq!(verifies(&name, &signed), Ok(()), "seed {seed}, {uri} {prefixes:?}: {signed}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 80);
    std::fs::remove_dir_all(folder).unwrap();
}
