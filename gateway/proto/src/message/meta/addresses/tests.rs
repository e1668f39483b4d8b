//! Addresses go, and nothing else does.

use super::*;
use proptest::prelude::*;

fn openapi(text: &str) -> Result<String, AddressError> {
    out_of_openapi(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_wsdl_says_one_address_for_all() {
    let wsdl = "\u{feff}<?xml version='1.0'?><!-- a --><w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' \
        xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'  xmlns:t=\"http://schemas.xmlsoap.org/wsdl/soap12/\">\n\
        <w:port><s:address  location = 'http://10.0.0.1:8080/a?b&amp;c'  x='1'/></w:port>\r\n\
        <w:port><t:address location=\"http://inside/\"></t:address></w:port><s:location location='kept'/>\
        <h:address xmlns:h='http://schemas.xmlsoap.org/wsdl/http/' location='http://inside'/>\
        <address location='kept'/><s:address s:location='kept' location=''/>õ</w:definitions>\n";
    let expected = wsdl
        .replace("http://10.0.0.1:8080/a?b&amp;c", ENDPOINT)
        .replace("http://inside/", ENDPOINT)
        .replace("http://inside", ENDPOINT)
        .replace(" location=''", &format!(" location='{ENDPOINT}'"));
    assert_eq!(String::from_utf8(out_of_wsdl(wsdl.as_bytes()).unwrap()).unwrap(), expected);
    let latin1: Vec<u8> =
        "<?xml version='1.0' encoding='ISO-8859-1'?><a x='\u{e4}'/>".chars().map(|c| c as u8).collect();
    assert_eq!(out_of_wsdl(&latin1), Ok(latin1));
}

#[test]
fn what_is_no_wsdl_is_not_given_away() {
    let large = vec![b' '; limits::DESCRIPTION_BYTES_MAX + 1];
    assert!(matches!(out_of_wsdl(&large), Err(AddressError::TooLarge { .. })));
    assert!(matches!(out_of_openapi(&large), Err(AddressError::TooLarge { .. })));
    assert_eq!(out_of_wsdl(b"<!DOCTYPE a><a/>"), Err(AddressError::Xml(XmlError::Doctype)));
    assert!(matches!(out_of_wsdl(b"{}"), Err(AddressError::Xml(_))));
    assert_eq!(out_of_wsdl(b"<a>\xff</a>"), Err(AddressError::Encoding));
}

/// Seen: `meta-rest-getopenapi` of the recordings.
#[test]
fn json_keeps_its_form() {
    let kept = "{\"openapi\" :\t\"3.0.0\",\r\n\"x\":[1e400, -0, \"\\ud83d\\ude00\\/\", {\"url\": \"http://kept/\"}, null],\
        \"servers\":[ {\"url\":\"URL\",\"description\":\"http://kept\"}, {\"x\":{\"url\":\"http://kept\"}}, {\"url\":\"/v1\"}]}";
    for (url, concealed) in [
        ("http://example.org/land", "\"/land\""),
        ("https:\\/\\/u:p@10.0.0.1:8080\\/a%20b\\/?q#f", "\"/a%20b/\""),
        ("http://inside", "\"\""),
        ("//inside/a", "\"/a\""),
        ("http:///a/b", "\"/a/b\""),
        ("localhost:8080/api", "null"),
        ("mailto:a@b", "null"),
        ("http:/a", "\"/a\""),
        ("/\\u0022quoted", ""),
    ] {
        let document = kept.replace("URL", url);
        match concealed {
            "" => assert_eq!(openapi(&document), Err(AddressError::Url { line: 2 }), "{url}"),
            concealed => assert_eq!(openapi(&document), Ok(kept.replace("\"URL\"", concealed)), "{url}"),
        }
    }
    for url in ["", "/", "v1", "../v1", "https://{user}.inside:{port}/{base}", "/\u{e4}"] {
        let document = kept.replace("URL", url);
        assert_eq!(openapi(&document), Ok(document.clone()), "{url}");
    }
    for url in ["http://a b", "http:", "http://", "1a:b", "%zz", "/%4", "http://{a/b", "a|b"] {
        assert!(matches!(openapi(&kept.replace("URL", url)), Err(AddressError::Url { line: 2 })), "{url}");
    }
}

#[test]
fn yaml_keeps_its_form() {
    let written = "# õ\n%YAML 1.2\n---\nopenapi: '3.1.0' # version\nx-where: http://kept\nservers:\n  - url: http://inside:8080/v1 # õ\n  \
        - {description: http://kept, \"url\": 'https://inside/''v2'}\n  - url: &a !!str \"http://inside/\\u0076\\\n      3\"\n    x: *a\n  \
        - ? url\n    : http://inside\n  - url: http://inside/a\n      b\n";
    let written = written.strip_prefix("# õ\n").unwrap();
    let sane = written.replace("http://inside/a\n      b", "https://inside/z");
    let expected = sane
        .replace("http://inside:8080/v1", "\"/v1\"")
        .replace("'https://inside/''v2'", "\"/'v2\"")
        .replace("\"http://inside/\\u0076\\\n      3\"", "\"/v3\"")
        .replace("https://inside/z", "\"/z\"")
        .replace("http://inside", "\"\"");
    assert_eq!(openapi(&sane), Ok(expected));
    // A text over two lines has a space where they meet.
    assert!(matches!(openapi(written), Err(AddressError::Url { line: 13 })));
    let marked = "\u{feff}openapi: 3.0.1\r\nservers: [{url: http://a/b}, {url: null}, {url: 5}, {}]\r\n";
    assert_eq!(openapi(marked), Ok(marked.replace("http://a/b", "\"/b\"")));
}

#[test]
fn servers_of_paths_and_operations_go_and_other_things_stay() {
    let written = "openapi: 3.0.0\npaths:\n  /servers:\n    servers:\n    - url: http://inside/1\n    get:\n      servers: [url: http://inside/2]\n      \
        parameters:\n      - servers:\n        - url: http://kept\n      callbacks:\n        x: {servers: [{url: http://kept}]}\n  servers:\n    get: \
        {servers: {url: http://inside/3}}\ncomponents:\n  servers: [{url: http://kept}]\n---\nservers: [{url: http://inside/4}]\n";
    let expected = (1..=4).fold(written.to_owned(), |text, n| {
        text.replace(&format!("http://inside/{n}"), &format!("\"/{n}\""))
    });
    assert_eq!(openapi(written), Ok(expected));
}

#[test]
fn servers_that_cannot_be_followed_are_not_given_away() {
    for servers in [
        "servers: *a",
        "servers: [*a]",
        "servers:\n- url: *a",
        "servers:\n- <<: *a",
        "<<: *a",
        "servers:\n- url: >-\n    http://inside",
        "paths: {/x: {servers: *a}}",
    ] {
        let document = format!("openapi: 3.0.0\nx: &a http://inside\n{servers}\n");
        assert!(matches!(openapi(&document), Err(AddressError::Elsewhere { .. })), "{servers}");
    }
    let elsewhere = "openapi: 3.0.0\nx: &a http://kept\n? *a\n: [*a]\n? [servers]\n: {a: b}\nservers: [url: http://b/c]\n";
    assert_eq!(openapi(elsewhere), Ok(elsewhere.replace("http://b/c", "\"/c\"")));
}

#[test]
fn what_is_no_openapi_3_is_not_given_away() {
    for (document, found) in [
        ("{}", "no `openapi`"),
        ("swagger: '2.0'\nhost: inside\n", "no `openapi`"),
        ("{\"openapi\": \"2.9\"}", "\"2.9\""),
        ("openapi: 30\n", "\"30\""),
        ("[openapi: 3.0]", "no `openapi`"),
        ("", "no `openapi`"),
    ] {
        assert_eq!(openapi(document), Err(AddressError::Version { found: found.to_owned() }), "{document}");
    }
    assert!(matches!(openapi("a: [b"), Err(AddressError::Malformed(_))));
    assert!(matches!(openapi("openapi: 3.0.0\n<a/>: \"\n"), Err(AddressError::Malformed(_))));
    let deep = format!("openapi: 3.0.0\nx: {}{}\n", "[".repeat(200), "]".repeat(200));
    assert_eq!(openapi(&deep), Err(AddressError::Depth { allowed: limits::DESCRIPTION_DEPTH_MAX }));
    assert_eq!(out_of_openapi(b"openapi: '3.0 \xff'"), Err(AddressError::Encoding));
}

#[test]
fn no_text_for_a_stranger_says_an_address() {
    let errors = [
        openapi("openapi: 3.0.0\nservers: [{url: 'http://in side'}]\n").unwrap_err(),
        openapi("openapi: 3.0.0\nservers: [{url: http://inside, x: *inside}]\n").unwrap_err(),
        openapi("openapi: 3.0.0\nx: &inside http://inside\nservers: *inside\n").unwrap_err(),
    ];
    for error in errors {
        assert!(!error.to_string().contains("http://"), "{error}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_out_has_nothing_left_to_take_out(
        url in "(http|h|)(:|)(//|/|)[a-z:/?#%@{}\" ]{0,12}",
        quote in "['\"]?",
        flow in any::<bool>(),
    ) {
        let item = if flow { format!("[{{url: {quote}{url}{quote}}}]") } else { format!("\n- url: {quote}{url}{quote}") };
        if let Ok(concealed) = openapi(&format!("openapi: 3.0.0\nservers: {item}\n")) {
            prop_assert_eq!(openapi(&concealed), Ok(concealed));
        }
    }

    #[test]
    fn json_and_yaml_are_concealed_alike(url in "(http://|)[a-z:/]{0,12}") {
        let document = serde_json::json!({"openapi": "3.0.0", "servers": [{"url": url}]});
        let json = openapi(&document.to_string());
        let yaml = openapi(&format!("{document} # no JSON\n"));
        prop_assert_eq!(json.map(|text| format!("{text} # no JSON\n")), yaml);
    }
}
