//! One request head, read strictly, and kept as it came: order, letter case and duplicates of headers, raw target.
//!
//! Seen: message-path §1.1, the table of what X-Road 7.8 takes and refuses. What is refused here is refused by the HTTP
//! server, before any X-Road rule is asked, and so has no `X-Road-Error`.

use saatkond_proto::message::rest::{Headers, from_latin1};

/// Bytes of the request line, and bytes of all header lines. Seen: Jetty in X-Road 7.8 takes about 8 KiB.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header lines of one request.
const HEADERS_MAX: usize = 200;

/// A request head as it came.
#[derive(Debug, Clone)]
pub struct RequestHead {
    /// The method; letter case as it came.
    pub method: String,
    /// Path and query as they came: scheme, host and fragment are gone.
    pub target: String,
    /// The headers: order, letter case and duplicates as they came.
    pub headers: Headers,
    /// Whether HTTP/1.0 was spoken.
    pub is_http10: bool,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection ends with the answer.
    pub closes: bool,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Where a request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
}

/// Why a request head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks HTTP, or a rule of ours about targets.
    #[error("{0}")]
    Malformed(&'static str),
    /// The request line is too long.
    #[error("request target is too long")]
    TargetTooLong,
    /// The header lines are too long, or too many.
    #[error("request header fields are too large")]
    HeadersTooLarge,
    /// A version of HTTP other than 1.0 and 1.1.
    #[error("HTTP version is neither 1.0 nor 1.1")]
    Version,
}

impl Refusal {
    /// The HTTP status that tells it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TargetTooLong => 414,
            Self::HeadersTooLarge => 431,
            Self::Version => 505,
        }
    }
}

/// Where in `bytes` the head ends (after its empty line), if it does.
///
/// # Errors
/// [`Refusal`] as soon as it is larger than any head may be.
pub(super) fn end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let line_end = memchr::memchr(b'\n', bytes);
    if line_end.unwrap_or(bytes.len()) > HEAD_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    // An empty line ends the head; a bare LF is refused when the lines are read, so that it need not be complete.
    let ends = memchr::memmem::find(bytes, b"\n\r\n").map(|at| at + 3);
    let ends = match memchr::memmem::find(bytes, b"\n\n").map(|at| at + 2) {
        Some(bare) => Some(ends.map_or(bare, |end| end.min(bare))),
        None => ends,
    };
    let headers = ends.unwrap_or(bytes.len()) - line_end.map_or(0, |at| at + 1);
    match line_end {
        Some(_) if headers > HEAD_BYTES_MAX => Err(Refusal::HeadersTooLarge),
        _ => Ok(ends),
    }
}

/// Reads a whole head, its empty line included.
///
/// # Errors
/// [`Refusal`].
pub(super) fn read(bytes: &[u8]) -> Result<RequestHead, Refusal> {
    let mut lines = Lines(bytes);
    let first = lines.next().ok_or(Refusal::Malformed("no request line"))??;
    let (method, target, is_http10) = request_line(first)?;
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if headers.len() == HEADERS_MAX {
            return Err(Refusal::HeadersTooLarge);
        }
        headers.push(header(line)?);
    }
    let host = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(b"host")).count();
    if host > 1 || (host == 0 && !is_http10) {
        return Err(Refusal::Malformed("not exactly one Host"));
    }
    let framing = framing(&headers, is_http10)?;
    let has = |name: &str, token: &str| {
        let mut values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        values.any(|(_, v)| {
            v.split(|b| *b == b',').any(|t| t.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        })
    };
    Ok(RequestHead {
        method,
        target,
        closes: is_http10 || has("connection", "close"),
        expects_continue: !is_http10 && has("expect", "100-continue"),
        is_http10,
        framing,
        headers: Headers::from_latin1(headers),
    })
}

/// Lines that end in CRLF; a bare LF, or CR elsewhere, is an error.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at_checked(at + 1)?;
        self.0 = rest;
        let line = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
        Some(line.ok_or(Refusal::Malformed("line does not end in CRLF")))
    }
}

fn request_line(line: &[u8]) -> Result<(String, String, bool), Refusal> {
    let mut words = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed("request line is not method, target and version"));
    };
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) {
        return Err(Refusal::Malformed("method is no token"));
    }
    let is_http10 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        other if other.starts_with(b"HTTP/") => return Err(Refusal::Version),
        _ => return Err(Refusal::Malformed("request line has no HTTP version")),
    };
    let target = std::str::from_utf8(target).map_err(|_| Refusal::Malformed("target is no UTF-8"))?;
    Ok((from_latin1(method), origin_form(target)?, is_http10))
}

/// Brings a target to path and query.
fn origin_form(target: &str) -> Result<String, Refusal> {
    let target = target.split_once('#').map_or(target, |(before, _)| before);
    let target = match target.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let at = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
            if authority.is_empty() {
                return Err(Refusal::Malformed("target has no host"));
            }
            if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
        }
        _ => target.to_owned(),
    };
    let path = target.split_once('?').map_or(target.as_str(), |(path, _)| path);
    path_rules(path)?;
    let (_, query) = target.split_at_checked(path.len()).unwrap_or((&target, ""));
    if query.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return Err(Refusal::Malformed("control character in the query"));
    }
    Ok(target)
}

/// What a path may not hold: forms that two readers might read differently. Seen: message-path §1.1.
fn path_rules(path: &str) -> Result<(), Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Malformed("target is no path"));
    }
    if path.bytes().any(|b| !b.is_ascii_graphic() || b == b'\\') {
        return Err(Refusal::Malformed("illegal character in the path"));
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Refusal::Malformed("ambiguous empty segment in the path"));
        }
        let (name, parameter) = segment.split_once(';').map_or((segment, None), |(n, p)| (n, Some(p)));
        let dots = name.to_ascii_lowercase().replace("%2e", ".");
        if matches!(dots.as_str(), "." | "..") && (dots.len() != name.len() || parameter.is_some()) {
            return Err(Refusal::Malformed("ambiguous dot segment in the path"));
        }
    }
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('%') {
        match after.as_bytes() {
            [b'2', b'5', ..] => return Err(Refusal::Malformed("ambiguous percent sign in the path")),
            [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest = after,
            _ => return Err(Refusal::Malformed("broken escape in the path")),
        }
    }
    // Above the root there is nothing that two readers would agree on.
    let mut depth = 0_i32;
    for segment in path.split('/').skip(1) {
        depth += match segment {
            ".." => -1,
            "." | "" => 0,
            _ => 1,
        };
        if depth < 0 {
            return Err(Refusal::Malformed("path leads above the root"));
        }
    }
    Ok(())
}

/// Splits a header line, and takes the white space around its value.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|b| matches!(b, b' ' | b'\t')) {
        return Err(Refusal::Malformed("folded header line"));
    }
    let at = memchr::memchr(b':', line).ok_or(Refusal::Malformed("header line without colon"))?;
    let (name, value) = line.split_at_checked(at).unwrap_or((line, &[]));
    if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
        return Err(Refusal::Malformed("header name is no token"));
    }
    let value = trim(value.get(1..).unwrap_or_default());
    if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(Refusal::Malformed("control character in a header value"));
    }
    Ok((name, value))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Where the body ends; two answers to that are none. Spec: RFC 9112 §6.3.
fn framing(headers: &[(&[u8], &[u8])], is_http10: bool) -> Result<Framing, Refusal> {
    let values = |name: &'static [u8]| {
        headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| *v)
    };
    let mut lengths = values(b"content-length");
    let mut codings = values(b"transfer-encoding");
    match (lengths.next(), lengths.next(), codings.next(), codings.next()) {
        (None, None, None, None) => Ok(Framing::None),
        (Some(length), None, None, None) => {
            let digits = !length.is_empty() && length.len() < 19 && length.iter().all(u8::is_ascii_digit);
            let value = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|t| t.parse().ok());
            value.map(Framing::Length).ok_or(Refusal::Malformed("Content-Length is no number"))
        }
        (None, None, Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && !is_http10 => {
            Ok(Framing::Chunked)
        }
        (None, None, Some(_), _) => Err(Refusal::Malformed("Transfer-Encoding is not chunked")),
        _ => Err(Refusal::Malformed("more than one length of the body")),
    }
}

//------------ ResponseHead --------------------------------------------------

/// The head of an answer as it came. hyper judges whether it is HTTP; this keeps what hyper does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: String,
    /// The headers: order, letter case and duplicates as they came.
    pub headers: Headers,
}

/// Reads the head of an answer, its empty line included; `None` for what is none.
pub(super) fn read_response(bytes: &[u8]) -> Option<ResponseHead> {
    let mut lines = Lines(bytes);
    let first = lines.next()?.ok()?;
    let rest = first.strip_prefix(b"HTTP/1.1 ").or_else(|| first.strip_prefix(b"HTTP/1.0 "))?;
    let (status, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    let headers: Vec<_> = headers.map(header).collect::<Result<_, _>>().ok()?;
    Some(ResponseHead { status, reason: from_latin1(trim(reason)), headers: Headers::from_latin1(headers) })
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        match read(head.as_bytes()) {
            Ok(_) => 200,
            Err(refusal) => refusal.status(),
        }
    }

    fn target(target: &str) -> Result<String, Refusal> {
        read(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).map(|head| head.target)
    }

    #[test]
    fn headers_stay_as_they_came() {
        let head =
            read(b"pUt /a?b HTTP/1.1\r\nhOst: x\r\nX-A:1\r\nx-b:  \t2\t \r\nX-a: \xe4\r\n\r\n").unwrap();
        let headers: Vec<_> = head.headers.iter().collect();
        assert_eq!(headers, [("hOst", "x"), ("X-A", "1"), ("x-b", "2"), ("X-a", "\u{e4}")]);
        assert_eq!(
            (head.method.as_str(), head.target.as_str(), head.framing),
            ("pUt", "/a?b", Framing::None)
        );
    }

    #[test]
    fn targets_two_readers_could_read_differently_are_refused() {
        for bad in [
            "//r1",
            "/a//b",
            "/%2e%2e/b",
            "/a/%2E/b",
            "/a/.%2e/",
            "/a/..;/b",
            "/a%25b",
            "/a%",
            "/a%2",
            "/%zz",
            "/a\\b",
            "/\u{f5}",
            "a",
            "*",
            "/../a",
            "/a/../../b",
            "http://",
            "ftp://a/b",
        ] {
            assert_eq!(target(bad).map_err(Refusal::status), Err(400), "{bad}");
        }
        for good in
            ["/", "/a/", "/a;p=1/b", "/a/../b", "/a%2fb", "/a%2Fb?%zz//\\", "/a?q=\u{e4}", "/a?", "/%C3%B5"]
        {
            assert_eq!(target(good).as_deref(), Ok(good));
        }
        assert_eq!(target("http://h:1/a?b#c").as_deref(), Ok("/a?b"));
        assert_eq!(target("HTTP://h?b").as_deref(), Ok("/?b"));
        assert_eq!(target("/x#frag").as_deref(), Ok("/x"));
    }

    #[test]
    fn heads_that_break_http_are_refused() {
        for (bad, expected) in [
            ("hello\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{1}b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\n\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ] {
            assert_eq!(status(bad), expected, "{bad:?}");
        }
        for good in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\nY:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        ] {
            assert_eq!(status(good), 200, "{good:?}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_and_its_size_bounded() {
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n"), Ok(None));
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody\r\n\r\n"), Ok(Some(24)));
        assert_eq!(end(b"GET / HTTP/1.1\n\nA\r\n\r\n"), Ok(Some(16)));
        assert_eq!(end(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(18)));
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9 * 1024));
        assert_eq!(end(long.as_bytes()), Err(Refusal::TargetTooLong));
        let long = format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(7 * 1024));
        assert_eq!(end(long.as_bytes()), Ok(Some(long.len())));
        let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(9 * 1024));
        assert_eq!(end(long.as_bytes()), Err(Refusal::HeadersTooLarge));
    }
}
