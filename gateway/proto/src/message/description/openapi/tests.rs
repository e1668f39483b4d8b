//! OpenAPI as X-Road reads it, and what bounds it.

use super::*;
use proptest::prelude::*;

const LAND: &str = "\
openapi: 3.0.2
info: {title: Land, version: 1.0}
servers:
  - url: https://land.test/api
paths:
  /titles/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getTitle, responses: {'200': {description: OK}}}
    put: {responses: {'204': {description: OK}}}
  /maps/{sheet}.{format}/tiles:
    get:
      parameters:
        - {name: sheet, in: path}
        - {name: format, in: path}
      responses: {default: {description: OK}}
  x-internal: {get: {}}
";

fn read(text: &str) -> Result<OpenApi, OpenApiError> {
    OpenApi::read(text.as_bytes())
}

fn changed(from: &str, to: &str) -> OpenApi {
    let text = LAND.replace(from, to);
    assert_ne!(text, LAND, "{from}");
    read(&text).unwrap()
}

fn told(document: &OpenApi) -> Vec<String> {
    let told = |e: &Endpoint| format!("{} {}", e.method.map_or("*", Method::name), e.path);
    document.endpoints.iter().map(told).collect()
}

#[test]
fn operations_are_endpoints() {
    let document = read(LAND).unwrap();
    assert_eq!(told(&document), ["GET /titles/*", "PUT /titles/*", "GET /maps/*/tiles"]);
    assert_eq!(document.warnings, [""; 0]);
    assert_eq!(document.version, "3.0.2");
    assert_eq!(document.title.as_deref(), Some("Land"));
    assert_eq!(document.base_url(None).as_deref(), Ok("https://land.test/api"));
}

#[test]
fn json_says_the_same() {
    let json = r#"{"openapi": "3.1.0", "info": {"title": "Land", "version": 1.0}, "paths": {
        "/b": {"trace": {}, "get": {"responses": {}}, "x-more": 1}, "/a": {"delete": {}}}}"#;
    let document = read(json).unwrap();
    assert_eq!(told(&document), ["GET /b", "TRACE /b", "DELETE /a"]);
    assert_eq!((document.server.as_str(), document.warnings), ("/", Vec::new()));
}

/// Seen: X-Road's `OpenApiParserTest`, and what its reader replaces.
#[test]
fn braces_of_a_segment_become_a_star() {
    for (path, expected) in [
        ("/a", "/a"),
        ("/{a}", "/*"),
        ("/{a}/b/{c}", "/*/b/*"),
        ("/x{a}-{b}y/z", "/x*y/z"),
        ("/{a", "/{a"),
        ("/}a{", "/}a{"),
        ("/a}{b}", "/a}*"),
        ("/{a}b}c", "/*c"),
        ("/{a/b}", "/{a/b}"),
        ("", ""),
    ] {
        assert_eq!(pattern(path), expected, "{path}");
    }
}

#[test]
fn versions_that_are_not_read_are_refused() {
    let version = |text: &str| read(&LAND.replace("3.0.2", text));
    assert!(version("3.0").is_ok() && version("'3.0.99'").is_ok() && version("3.1.0").is_ok());
    let warned = version("3.1.1").unwrap();
    assert_eq!(warned.warnings, ["X-Road 7.8 does not read OpenAPI 3.1.1, only 3.0.x and 3.1.0"]);
    for text in ["3.1", "3.2.0", "2.0", "3.01", "4", "{}", ""] {
        assert!(matches!(version(text), Err(OpenApiError::Version { .. })), "{text}");
    }
    let swagger = read("swagger: '2.0'\n").unwrap_err();
    assert_eq!(swagger.to_string(), "expected OpenAPI 3.0 or 3.1, found \"Swagger 2.0\"");
    let other = read("version: 1\nclient: []\n").unwrap_err();
    assert_eq!(
        other.to_string(),
        "expected a map with `openapi`, found a map with [\"version\", \"client\"]"
    );
    assert_eq!(read("").unwrap_err().to_string(), "expected a map with `openapi`, found nothing");
    assert!(matches!(read("{"), Err(OpenApiError::Tree(_))));
}

#[test]
fn what_is_missing_or_not_read_is_told() {
    for (from, to, expected) in [
        ("info: {title: Land, version: 1.0}", "", "`info` is missing"),
        ("title: Land, ", "", "`info.title` is missing"),
        ("responses: {'204': {description: OK}}", "summary: x", "PUT /titles/{id} has no `responses`"),
        ("put: {", "put: {operationId: getTitle, ", "operationId \"getTitle\" stands at two operations"),
        (
            "name: format",
            "name: form",
            "GET /maps/{sheet}.{format}/tiles does not say what its path parameter \"format\" is",
        ),
        ("put:", "push:", "path \"/titles/{id}\" has \"push\", which is no method"),
        (
            "    put: {responses: {'204': {description: OK}}}",
            "    put: 1",
            "PUT /titles/{id} is a text, expected a map",
        ),
        (
            "  x-internal: {get: {}}",
            "  /titles/{x}: {get: {parameters: [{$ref: '#/x'}], responses: {}}}",
            "GET /titles/{x} is the same endpoint as another: GET /titles/*",
        ),
        (
            "  x-internal: {get: {}}",
            "  /x: {$ref: '#/components/pathItems/x'}",
            "path \"/x\" is a reference, which is not followed",
        ),
        (
            "  x-internal: {get: {}}",
            "  /x: &x {}\n  /y: *x",
            "path \"/y\" is an alias, which is not followed",
        ),
        ("  x-internal: {get: {}}", "  x: {}\n  y: {}", "path \"y\" does not begin with a slash"),
        ("api\n", "api\n  - url: https://b\n", "it names 2 servers: the first is taken"),
        ("url: https://land.test/api", "description: x", "its first server has no `url`"),
    ] {
        let warnings = changed(from, to).warnings.join("; ");
        assert!(warnings.contains(expected), "{to}: {warnings}");
    }
    assert_eq!(
        read("openapi: 3.0.0\ninfo: {title: a, version: b}\n").unwrap().warnings,
        ["`paths` is missing"]
    );
    assert!(read("openapi: 3.1.0\ninfo: {title: a, version: b}\n").unwrap().warnings.is_empty());
    assert!(
        changed("  x-internal: {get: {}}", "  /z/{a}: {get: {parameters: [{$ref: '#/x'}], responses: {}}}")
            .warnings
            .is_empty()
    );
}

#[test]
fn a_server_is_seen_from_where_the_document_was_read() {
    let from = |server: &str, document: Option<&str>| {
        OpenApi { server: server.to_owned(), ..read(LAND).unwrap() }.base_url(document)
    };
    let document = "http://is.test:8080/docs/v3/api.yaml?x=/y#/z";
    for (server, expected) in [
        ("https://land.test/api", "https://land.test/api"),
        ("/", "http://is.test:8080/"),
        ("/api/v1", "http://is.test:8080/api/v1"),
        ("//other.test/api", "http://other.test/api"),
        ("v1", "http://is.test:8080/docs/v3/v1"),
        ("../../../v1/", "http://is.test:8080/v1/"),
        ("..", "http://is.test:8080/docs/"),
        ("./a/./b/../c", "http://is.test:8080/docs/v3/a/c"),
        ("", "http://is.test:8080/docs/v3/"),
    ] {
        assert_eq!(from(server, Some(document)).as_deref(), Ok(expected), "{server}");
    }
    assert_eq!(from("/api", Some("http://is.test")).as_deref(), Ok("http://is.test/api"));
    assert_eq!(from("api", Some("http://is.test")).as_deref(), Ok("http://is.test/api"));
    assert!(matches!(from("/", None), Err(ServerError::Relative { .. })));
    assert!(matches!(from("https://{host}/r1", Some(document)), Err(ServerError::Variables { .. })));
}

#[test]
fn operations_and_warnings_are_bounded() {
    let many: String =
        (0..=limits::DESCRIPTION_OPERATIONS_MAX).map(|n| format!("  /p{n}: {{get: }}\n")).collect();
    let head = "openapi: 3.1.0\npaths:\n";
    let allowed = limits::DESCRIPTION_OPERATIONS_MAX;
    assert_eq!(read(&format!("{head}{many}")), Err(OpenApiError::TooMany { allowed }));
    let warned: String = (0..1000).map(|n| format!("  p{n}: {{}}\n")).collect();
    assert_eq!(read(&format!("{head}{warned}")).unwrap().warnings.len(), WARNINGS_MAX);
}

proptest! {
    /// Any change of the document is read or refused; no endpoint stands there twice.
    #[test]
    fn what_is_read_keeps_the_rules(at in 0..LAND.len(), length in 0..40usize, put in "[{}\\[\\]:, \n/\"'a-z*&-]{0,12}") {
        let end = (at + length).min(LAND.len());
        if let Ok(document) = read(&format!("{}{put}{}", &LAND[..at], &LAND[end..])) {
            let mut endpoints = told(&document);
            let all = endpoints.len();
            endpoints.sort();
            endpoints.dedup();
            prop_assert_eq!(endpoints.len(), all);
            let _ = document.base_url(Some("http://a/b"));
        }
    }
}

#[test]
fn an_operation_declares_whether_it_reads_or_writes() {
    let document = read(
        "openapi: 3.1.0\ninfo: {title: a, version: b}\npaths:\n  \
           /queries: {post: {x-continuity: read}, get: {}}\n  \
           /audit: {x-continuity: write, get: {}, head: {x-continuity: read}}\n  \
           '/a/{x}': {post: {x-continuity: read, parameters: [{name: x, in: path}]}}\n  \
           '/a/{y}': {post: {x-continuity: write, parameters: [{name: y, in: path}]}}\n  \
           /odd: {get: {x-continuity: READ}, post: {x-continuity: [read]}}\n",
    )
    .unwrap();
    let declared =
        |method, path: &str| document.declared(&Endpoint { method: Some(method), path: PathGlob::new(path) });
    assert_eq!(declared(Method::Post, "/queries"), Some(Access::Read));
    assert_eq!(declared(Method::Get, "/queries"), None);
    assert_eq!(declared(Method::Get, "/audit"), Some(Access::Write), "of its path");
    assert_eq!(declared(Method::Head, "/audit"), Some(Access::Read), "its own stands above its path's");
    assert_eq!(declared(Method::Post, "/a/*"), Some(Access::Write), "of two the stricter");
    assert_eq!((declared(Method::Get, "/odd"), declared(Method::Post, "/odd")), (None, None));
    let warned: Vec<_> = document.warnings.iter().filter(|w| w.contains("x-continuity")).collect();
    assert_eq!(
        warned,
        [
            "GET /odd has \"READ\" as `x-continuity`, expected read or write",
            "POST /odd has a list as `x-continuity`, expected read or write",
        ]
    );
}
