//! Path patterns of access rights, and the paths they are held against.

use super::Collection;
use crate::vectors::Vector;

/// Whether it matches, pattern, path.
const GLOBS: &[(&str, &str, &str)] = &[
    ("yes", "**", ""),
    ("yes", "**", "/a/b/c"),
    ("yes", "***", "/a/b"),
    ("yes", "", ""),
    ("no", "", "/"),
    ("yes", "/open/*", "/open/1"),
    ("yes", "/open/*", "/open/"),
    ("no", "/open/*", "/open"),
    ("no", "/open/*", "/open/1/2"),
    ("yes", "/open/**", "/open/1/2"),
    ("yes", "/*/", "/a/"),
    ("no", "/*/", "/a/b/"),
    ("yes", "/*/b/*", "/a/b/c"),
    ("no", "/*/b/*", "/a/c/b"),
    ("yes", "/**/b", "/a/c/b"),
    ("yes", "/**/b", "//b"),
    ("no", "/**/b", "/b"),
    ("yes", "/*.json", "/a.json"),
    ("yes", "/*.json", "/.json"),
    ("no", "/*.json", "/a/b.json"),
    ("no", "/*.json", "/a.jsonx"),
    ("yes", "/a*b*c", "/aXbYc"),
    ("no", "/a*b*c", "/aXb/Yc"),
    ("yes", "/a\\*", "/a*"),
    ("no", "/a\\*", "/ab"),
    ("yes", "/a\\\\b", "/a\\b"),
    ("yes", "/a\\b", "/a\\b"),
    ("yes", "/a\\", "/a\\"),
    ("yes", "/.^$+{[]|()?", "/.^$+{[]|()?"),
    ("no", "/a.c", "/abc"),
    ("no", "/A", "/a"),
    ("yes", "/k*k", "/kõik"),
    ("no", "/a", "/a/"),
    ("no", "/a/", "/a"),
    ("yes", "/a b", "/a b"),
];

/// The path as it came, and what rights are judged by.
const PATHS: &[(&str, &str)] = &[
    ("", ""),
    ("/", "/"),
    ("/a/b/c", "/a/b/c"),
    ("/a/b/", "/a/b/"),
    ("/a/./b", "/a/b"),
    ("/a/x/../b", "/a/b"),
    ("/a/x/%2e%2e/b", "/a/b"),
    ("/a/%2E/b", "/a/b"),
    ("/a/..", "/"),
    ("/a/b/.", "/a/b/"),
    ("/a%2Fb", "/a/b"),
    ("/a/x%2F..%2Fb", "/a/b"),
    ("/zy%2dggy", "/zy-ggy"),
    ("/k%C3%B5ik", "/kõik"),
    ("/a%20b", "/a b"),
    ("/a;p=1/b", "/a;p=1/b"),
    ("/...", "/..."),
    ("/a/..b", "/a/..b"),
    ("/..", "refuse access_denied"),
    ("/a/../../b", "refuse access_denied"),
    ("/%2e%2e", "refuse access_denied"),
    ("/..%2f", "refuse access_denied"),
    ("//x", "refuse access_denied"),
    ("/a//b", "refuse access_denied"),
    ("/%2F", "refuse access_denied"),
    ("/a/..;/b", "refuse access_denied"),
    ("/a/.;x/b", "refuse access_denied"),
    ("/%252e%252e", "refuse internal_error"),
    ("/a%5cb", "refuse internal_error"),
    ("/%00", "refuse internal_error"),
    ("/a%0Ab", "refuse internal_error"),
    ("/%zz", "refuse internal_error"),
    ("/%", "refuse internal_error"),
    ("/a b", "refuse internal_error"),
    ("/ä", "refuse internal_error"),
    ("/%ff", "refuse internal_error"),
    ("a", "refuse internal_error"),
];

pub(super) fn add(made: &mut Collection) {
    let rows: String =
        GLOBS.iter().map(|(answer, pattern, path)| format!("{answer}\t{pattern}\t{path}\n")).collect();
    let what = "Whether a path pattern matches a path: answer, pattern, path between tabs";
    let globs = Vector::new("path-glob", what, "X-Road security server manual, service endpoints; message-path §4.6")
        .with("note", "stricter than X-Road 7.8, whose * takes all it can and gives nothing back: its /*.json matches nothing")
        .accepted()
        .told("rows", &GLOBS.len().to_string());
    made.add("patterns", globs.as_is(rows.as_bytes()));
    let rows: String = PATHS.iter().map(|(path, normal)| format!("{path}\t{normal}\n")).collect();
    let what = "The path by which rights are judged, or the refusal: path as it came, tab, path judged";
    let paths = Vector::new("normal-path", what, "RFC 3986 5.2.4; message-path §4.6")
        .with("note", "refuses some that X-Road 7.8 judges by a path which the service may read otherwise")
        .accepted()
        .told("rows", &PATHS.len().to_string());
    made.add("paths", paths.as_is(rows.as_bytes()));
}
