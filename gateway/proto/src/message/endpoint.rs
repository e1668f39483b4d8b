//! Which calls an access right opens: method and path pattern.
//!
//! Spec: message-path §4.6. Seen: X-Road 7.8 `PathGlob.java`, `UriUtils.java`, `BaseEndpoint.java`.

use super::rest::Method;
use crate::fault::{Code, Leaf};
use crate::id::decode_segment;
use std::fmt;

/// A path pattern: `*` stands for anything without a slash, `**` for anything, `\` takes the meaning of the next.
///
/// Seen: X-Road 7.8 makes `*` possessive, so that its `/*.json` matches nothing; here it means what its manual says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathGlob {
    pattern: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Literal(char),
    /// `*`
    InSegment,
    /// `**`
    Anything,
}

/// One endpoint of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The method; `None` (written `*`) for all.
    pub method: Option<Method>,
    /// The paths.
    pub path: PathGlob,
}

/// A path about which no right can say anything.
///
/// Ours: X-Road 7.8 judges some of these by a path that the service may read otherwise; all are refused here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It leads out of the service's root.
    #[error("path {path:?} leads above its root")]
    AboveRoot {
        /// The path as it came.
        path: String,
    },
    /// It has an empty segment, or a dot segment with a parameter: readers differ about those.
    #[error("path {path:?} has a segment that readers take differently: {segment:?}")]
    Ambiguous {
        /// The path as it came.
        path: String,
        /// The segment, decoded.
        segment: String,
    },
    /// It does not decode, or decodes to a backslash, a percent sign or a control character.
    #[error("path {path:?} is not percent-encoded UTF-8 of characters allowed in a path")]
    Encoding {
        /// The path as it came.
        path: String,
    },
}

impl PathGlob {
    /// Takes a pattern; every text is one.
    pub fn new(pattern: impl Into<String>) -> Self {
        let pattern = pattern.into();
        let mut tokens = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '\\' => Token::Literal(chars.next_if(|next| matches!(next, '*' | '\\')).unwrap_or('\\')),
                '*' if chars.next_if_eq(&'*').is_some() => {
                    while chars.next_if_eq(&'*').is_some() {}
                    Token::Anything
                }
                '*' => Token::InSegment,
                c => Token::Literal(c),
            });
        }
        Self { pattern, tokens }
    }

    /// Whether a normal path matches, whole. Takes time in proportion to both lengths, never more.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.tokens == [Token::Anything] {
            return true;
        }
        let mut here = Places::new(self.tokens.len());
        here.reach(0, &self.tokens);
        for c in path.chars() {
            let mut next = Places::new(self.tokens.len());
            for place in here.reached() {
                match self.tokens.get(place) {
                    Some(Token::Literal(literal)) if *literal == c => next.reach(place + 1, &self.tokens),
                    Some(Token::InSegment) if c != '/' => next.reach(place, &self.tokens),
                    Some(Token::Anything) => next.reach(place, &self.tokens),
                    Some(Token::Literal(_) | Token::InSegment) | None => {}
                }
            }
            if next.order.is_empty() {
                return false;
            }
            here = next;
        }
        here.reached().any(|place| place == self.tokens.len())
    }
}

/// The places in a pattern that some reading of the path so far has come to.
struct Places {
    marked: Vec<bool>,
    order: Vec<usize>,
}

impl Places {
    fn new(tokens: usize) -> Self {
        Self { marked: vec![false; tokens + 1], order: Vec::new() }
    }

    /// Marks a place, and those behind it that need no character.
    fn reach(&mut self, mut place: usize, tokens: &[Token]) {
        while let Some(mark) = self.marked.get_mut(place).filter(|mark| !**mark) {
            *mark = true;
            self.order.push(place);
            if !matches!(tokens.get(place), Some(Token::InSegment | Token::Anything)) {
                return;
            }
            place += 1;
        }
    }

    fn reached(&self) -> impl Iterator<Item = usize> {
        self.order.iter().copied()
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl Endpoint {
    /// The endpoint that stands for the whole service: `*` and `**`.
    #[must_use]
    pub fn everything() -> Self {
        Self { method: None, path: PathGlob::new("**") }
    }

    /// Whether a call with this method and normal path ([`normal_path`]) falls under it.
    #[must_use]
    pub fn covers(&self, method: Method, path: &str) -> bool {
        self.method.is_none_or(|m| m == method) && self.path.matches(path)
    }

    /// Whether a right on this endpoint is one on all of another. Seen: its pattern must match the other's, as a path.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.method.is_none_or(|m| other.method == Some(m)) && self.path.matches(&other.path.pattern)
    }
}

impl PathError {
    /// The code under which it is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::AboveRoot { .. } | Self::Ambiguous { .. } => Code::of(Leaf::AccessDenied),
            Self::Encoding { .. } => Code::of(Leaf::InternalError),
        }
    }
}

/// The path by which rights are judged: decoded once, dot segments resolved. An encoded slash counts as a slash.
///
/// # Errors
/// [`PathError`]; such a call is refused.
pub fn normal_path(path: &str) -> Result<String, PathError> {
    let encoding = || PathError::Encoding { path: path.to_owned() };
    let decoded =
        path.split('/').map(decode_segment).collect::<Result<Vec<_>, _>>().map_err(|_| encoding())?.join("/");
    if decoded.chars().any(|c| c.is_control() || matches!(c, '\\' | '%')) {
        return Err(encoding());
    }
    let Some(inside) = decoded.strip_prefix('/') else {
        return if decoded.is_empty() { Ok(decoded) } else { Err(encoding()) };
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = inside.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if !last => return Err(ambiguous(path, segment)),
            "." => {}
            ".." => {
                kept.pop().ok_or_else(|| PathError::AboveRoot { path: path.to_owned() })?;
            }
            s if s.starts_with(".;") || s.starts_with("..;") => return Err(ambiguous(path, segment)),
            s => kept.push(s),
        }
        if last && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

fn ambiguous(path: &str, segment: &str) -> PathError {
    PathError::Ambiguous { path: path.to_owned(), segment: segment.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seen: X-Road's `PathGlobTest`, all rows.
    #[test]
    fn patterns_match_as_the_incumbent_says() {
        for (glob, path, expected) in [
            ("**", "", true),
            ("***", "match/anything/*", true),
            ("**", "/a/b/c", true),
            ("/*/", "/a/", true),
            ("/*/", "/a/b/", false),
            ("", "", true),
            ("", " ", false),
            (".^$+{[]|()", ".^$+{[]|()", true),
            ("**/bar/**", "a/b/c/bar/e/f", true),
            ("**/bar/**", "a/b/c/foo/e/f", false),
            ("**\\*", "/what/ever*", true),
            ("**\\*", "/what/ever!", false),
            ("simple", "simple", true),
            ("simple", "prefix.simple.suffix", false),
            ("**/*/**", "something/bar/something/else", true),
            ("**/*/**", "/bar/", true),
            ("**/*/**", "//", true),
            ("**/*/**", "something/else", false),
            ("\\A", "\\A", true),
            ("\\*", "*", true),
            ("\\*", "\\*", false),
            ("\\\\", "\\", true),
            ("aa\\", "aa\\", true),
        ] {
            assert_eq!(PathGlob::new(glob).matches(path), expected, "{glob:?} on {path:?}");
        }
        assert!(PathGlob::new("/*.json").matches("/a.json"));
        assert!(!PathGlob::new("/*.json").matches("/a/b.json"));
    }

    #[test]
    fn a_pattern_of_stars_costs_little() {
        let glob = PathGlob::new("**a*".repeat(200));
        assert!(!glob.matches(&"/ab".repeat(50).replace('a', "b")));
        assert!(!glob.matches(&"a".repeat(199)));
        assert!(glob.matches(&"a".repeat(200)));
    }

    #[test]
    fn endpoints_hold_method_and_path() {
        let open = Endpoint { method: Some(Method::Get), path: PathGlob::new("/open/*") };
        assert!(open.covers(Method::Get, "/open/1"));
        assert!(!open.covers(Method::Post, "/open/1"));
        assert!(!open.covers(Method::Get, "/open/1/2"));
        assert!(Endpoint::everything().covers(Method::Trace, ""));
    }

    #[test]
    fn an_endpoint_includes_those_whose_patterns_it_matches() {
        let endpoint = |method, path| Endpoint { method, path: PathGlob::new(path) };
        let open = endpoint(Some(Method::Get), "/open/*");
        assert!(open.includes(&open));
        assert!(Endpoint::everything().includes(&open));
        assert!(endpoint(None, "/open/**").includes(&open));
        assert!(open.includes(&endpoint(Some(Method::Get), "/open/1")));
        assert!(!open.includes(&endpoint(Some(Method::Post), "/open/*")));
        assert!(!open.includes(&endpoint(None, "/open/*")));
        assert!(!open.includes(&endpoint(Some(Method::Get), "/open/*/*")));
        assert!(!open.includes(&Endpoint::everything()));
    }

    /// Seen: X-Road's `UriUtilsTest`, and message-path §4.6.
    #[test]
    fn paths_are_judged_decoded_and_without_dots() {
        for (path, expected) in [
            ("", ""),
            ("/", "/"),
            ("/a/b/c", "/a/b/c"),
            ("/a/b/./c", "/a/b/c"),
            ("/a/b/d/../c", "/a/b/c"),
            ("/a/b/../../c", "/c"),
            ("/a/b/%2e/c", "/a/b/c"),
            ("/a/b/d/%2e%2e/c", "/a/b/c"),
            ("/a/b/%2e%2e/%2e%2e/c", "/c"),
            ("/foo/bar/zy%2dggy", "/foo/bar/zy-ggy"),
            ("/a%2Fb/c", "/a/b/c"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/a/b/", "/a/b/"),
            ("/k%C3%B5ik", "/kõik"),
            ("/a%20b", "/a b"),
            ("/a;p=1/b", "/a;p=1/b"),
        ] {
            assert_eq!(normal_path(path).as_deref(), Ok(expected), "{path}");
        }
        for path in ["/..", "/a/../../b", "/a/b/../../%2e%2e/c/d", "/..%2f", "/%2e%2e"] {
            assert!(matches!(normal_path(path), Err(PathError::AboveRoot { .. })), "{path}");
        }
        for path in ["//x", "/a//b", "/%2F", "/a/..;/b", "/a/.;x/b", "/a%2F%2Fb"] {
            assert!(matches!(normal_path(path), Err(PathError::Ambiguous { .. })), "{path}");
        }
        for path in ["/%252e%252e%252f", "/%5c", "/%00", "/%zz", "/%", "/a b", "/ä", "/%ff", "a", "/a%0Ab"] {
            assert!(matches!(normal_path(path), Err(PathError::Encoding { .. })), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_stays_inside_its_root(path in "(/(\\.|\\.\\.|a|%2e|%2F|%2E%2e|b;c|)){0,6}") {
            if let Ok(normal) = normal_path(&path) {
                prop_assert!(normal.split('/').all(|s| s != ".." && s != "."), "{}", normal);
                prop_assert!(!normal.contains("//"), "{}", normal);
            }
        }

        #[test]
        fn nothing_breaks_a_pattern(glob in "[*\\\\/ab]{0,12}", path in "[*\\\\/ab]{0,12}") {
            let glob = PathGlob::new(glob);
            let _ = glob.matches(&path);
            let literal: String = path.chars().flat_map(|c| if c == '*' || c == '\\' { vec!['\\', c] } else { vec![c] }).collect();
            prop_assert!(PathGlob::new(literal).matches(&path));
        }
    }
}
