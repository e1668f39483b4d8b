//! Cuts a signed directory into its pieces without changing a byte.
//!
//! Spec: trust-and-configuration §1.6.1. Not the machine that reads messages: a directory is small, comes whole, may
//! end its lines either way, and its first entry ends where the next delimiter begins.
//!
//! Ours: stricter than X-Road's parser where a second reading is possible. Nothing may stand before the first or after
//! the last delimiter, no line may merely begin like one, and no header may come twice.

use super::DirectoryError;
use crate::limits;

/// The header lines of one part.
pub(super) struct Head(Vec<(String, String)>);

/// A header's value: the word in front, and the parameters behind it.
pub(super) struct Value {
    /// What stands before the first `;`.
    pub(super) word: String,
    parameters: Vec<(String, String)>,
}

/// Cuts the header lines off; `None` for the body when no blank line ends them.
pub(super) fn split_head(bytes: &[u8]) -> Result<(Head, Option<&[u8]>), DirectoryError> {
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let length = line_length(rest);
        if matches!(rest.get(..length), Some(b"\n" | b"\r\n")) {
            let (head, _) = bytes.split_at(at);
            let (_, body) = rest.split_at(length);
            return Ok((Head::read(head)?, Some(body)));
        }
        at += length;
    }
    Ok((Head::read(bytes)?, None))
}

/// A body, cut.
pub(super) struct Cut<'a> {
    /// What stands between the delimiters.
    pub(super) parts: Vec<&'a [u8]>,
    /// Whether the closing delimiter came; without it the last part goes to the end.
    pub(super) closed: bool,
}

/// Cuts a body at the lines that begin with `--boundary`.
pub(super) fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Result<Cut<'a>, DirectoryError> {
    let delimiter = format!("--{boundary}");
    let (mut parts, mut begin, mut at, mut closed) = (Vec::new(), None, 0, false);
    while at < body.len() {
        let rest = body.get(at..).unwrap_or_default();
        let length = line_length(rest);
        let line = rest.get(..length).unwrap_or_default();
        if let Some(tail) = line.strip_prefix(delimiter.as_bytes()).filter(|_| !closed) {
            let tail = tail.trim_ascii_end();
            if !(tail.is_empty() || tail == b"--") {
                return Err(DirectoryError::Malformed("a line only begins like a delimiter"));
            }
            if let Some(begin) = begin {
                parts.push(without_line_break(body.get(begin..at).unwrap_or_default()));
            }
            bound("parts", parts.len(), limits::DIRECTORY_PARTS_MAX)?;
            closed = !tail.is_empty();
            begin = Some(at + length);
        } else if (begin.is_none() || closed) && !line.trim_ascii().is_empty() {
            return Err(DirectoryError::Malformed("text outside the parts"));
        }
        at += length;
    }
    match begin {
        _ if closed => {}
        None => return Err(DirectoryError::Malformed("no delimiter")),
        Some(begin) => parts.push(body.get(begin..).unwrap_or_default()),
    }
    Ok(Cut { parts, closed })
}

fn line_length(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn bound(what: &'static str, found: usize, allowed: usize) -> Result<(), DirectoryError> {
    if found > allowed { Err(DirectoryError::TooLarge { what, found, allowed }) } else { Ok(()) }
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, DirectoryError> {
        bound("bytes in a header", bytes.len(), limits::PART_HEAD_BYTES_MAX)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| DirectoryError::Malformed("a header is not UTF-8"))?;
        let mut lines: Vec<(String, String)> = Vec::new();
        for line in text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)) {
            if line.is_empty() {
                continue;
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(DirectoryError::Malformed("a header has control characters"));
            }
            if line.starts_with([' ', '\t']) {
                let (_, value) =
                    lines.last_mut().ok_or(DirectoryError::Malformed("a folded line comes first"))?;
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let (name, value) =
                line.split_once(':').ok_or(DirectoryError::Malformed("a header has no colon"))?;
            let name = name.to_ascii_lowercase();
            if lines.iter().any(|(known, _)| *known == name) {
                return Err(DirectoryError::Malformed("a header comes twice"));
            }
            lines.push((name, value.trim().to_owned()));
        }
        Ok(Self(lines))
    }

    /// A header's value, the name's letter case aside.
    pub(super) fn optional(&self, header: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(header))?;
        Some(found.1.trim())
    }

    /// A header's value, which must be there.
    pub(super) fn required(&self, header: &'static str) -> Result<&str, DirectoryError> {
        self.optional(header)
            .filter(|value| !value.is_empty())
            .ok_or(DirectoryError::HeaderMissing { header })
    }

    /// Demands that a header has exactly this value.
    pub(super) fn exactly(&self, header: &'static str, expected: &'static str) -> Result<(), DirectoryError> {
        let found = self.required(header)?;
        if found == expected { Ok(()) } else { Err(wrong(header, expected, found)) }
    }

    /// The boundary of the multipart type that `Content-Type` must name.
    pub(super) fn boundary(&self, expected: &'static str) -> Result<String, DirectoryError> {
        let header = "Content-Type";
        let value = Value::read(self.required(header)?)?;
        if !value.word.eq_ignore_ascii_case(expected) {
            return Err(wrong(header, expected, &value.word));
        }
        let boundary = value.parameter(header, "boundary")?;
        let fits = (1..=limits::BOUNDARY_BYTES_MAX).contains(&boundary.len());
        if !(fits && boundary.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(wrong(header, "a boundary of 1 to 70 visible characters", boundary));
        }
        Ok(boundary.to_owned())
    }
}

impl Value {
    /// Takes a value apart; parameters may be bare, in double or in single quotes, or in both.
    pub(super) fn read(text: &str) -> Result<Self, DirectoryError> {
        let mut pieces = vec![String::new()];
        let mut quote = None;
        for c in text.chars() {
            if c == ';' && quote.is_none() {
                pieces.push(String::new());
                continue;
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push(c);
            }
            quote = match quote {
                None if c == '"' || c == '\'' => Some(c),
                Some(open) if open == c => None,
                other => other,
            };
        }
        if quote.is_some() {
            return Err(DirectoryError::Malformed("a quote in a header does not end"));
        }
        let mut pieces = pieces.into_iter();
        let word = pieces.next().unwrap_or_default().trim().to_owned();
        let mut parameters: Vec<(String, String)> = Vec::new();
        for piece in pieces.filter(|p| !p.trim().is_empty()) {
            let (name, value) = piece
                .split_once('=')
                .ok_or(DirectoryError::Malformed("a parameter of a header has no value"))?;
            let name = name.trim().to_ascii_lowercase();
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(DirectoryError::Malformed("a parameter of a header comes twice"));
            }
            let value = unquoted(unquoted(value.trim(), '"'), '\'');
            parameters.push((name, value.to_owned()));
        }
        Ok(Self { word, parameters })
    }

    /// A parameter, which must be there.
    pub(super) fn parameter(
        &self,
        header: &'static str,
        parameter: &'static str,
    ) -> Result<&str, DirectoryError> {
        let found = self.parameters.iter().find(|(name, _)| name == parameter);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
            .ok_or(DirectoryError::ParameterMissing { header, parameter })
    }
}

fn unquoted(text: &str, quote: char) -> &str {
    text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)).unwrap_or(text)
}

/// A header with another value than it may have.
pub(super) fn wrong(header: &'static str, expected: &'static str, found: &str) -> DirectoryError {
    DirectoryError::HeaderValue { header, expected, found: found.chars().take(120).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(body: &str) -> Result<(Vec<&str>, bool), DirectoryError> {
        let Cut { parts, closed } = split_parts(body.as_bytes(), "b")?;
        Ok((parts.into_iter().map(|p| std::str::from_utf8(p).unwrap()).collect(), closed))
    }

    #[test]
    fn one_line_break_belongs_to_the_delimiter() {
        for (body, expected) in [
            ("--b\r\nx\r\n\r\n--b\r\ny\r\n--b--\r\n", vec!["x\r\n", "y"]),
            ("\n--b\nx\n--b\n\n--b--", vec!["x", ""]),
            ("--b\n--b\r\ny\n--b--", vec!["", "y"]),
            ("--b  \r\nx--b\r\n--b-- ", vec!["x--b"]),
        ] {
            assert_eq!(parts(body), Ok((expected, true)), "{body:?}");
        }
        assert_eq!(parts("--b\nx\n--b\ny"), Ok((vec!["x", "y"], false)));
    }

    #[test]
    fn what_could_be_read_twice_is_refused() {
        for body in ["x\n--b\ny\n--b--", "--b\nx\n--b--\ny", "--b\nx\n--bb\ny\n--b--", "", "--b\nx\n--b-"] {
            assert!(matches!(parts(body), Err(DirectoryError::Malformed(_))), "{body:?}");
        }
    }

    #[test]
    fn headers_are_unfolded_and_letter_case_is_aside() {
        let (head, body) = split_head(b"A-b:  1;\r\n\t x=\"2\"\nc:\n\nrest").unwrap();
        assert_eq!(head.optional("a-B"), Some("1; x=\"2\""));
        assert!(matches!(head.required("C"), Err(DirectoryError::HeaderMissing { header: "C" })));
        assert_eq!(body, Some(&b"rest"[..]));
        let (head, body) = split_head(b"a: 1\r\nb: 2").unwrap();
        assert_eq!((head.optional("b"), body), (Some("2"), None));
        for bad in ["a: 1\nA: 2\n", " a: 1\n", "a\n", "a: \u{7}\n", "a: b\rc: d\n"] {
            assert!(split_head(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(split_head(b"a: \xff\n").is_err());
    }

    #[test]
    fn parameters_have_three_styles() {
        for text in ["w; instance='a;b'", "w;instance=\"a;b\"", "w ; instance=\"'a;b'\" ;"] {
            let value = Value::read(text).unwrap();
            assert_eq!((value.word.as_str(), value.parameter("h", "instance")), ("w", Ok("a;b")), "{text}");
        }
        let bare = Value::read("w; Instance=ab").unwrap();
        assert_eq!(bare.parameter("h", "instance"), Ok("ab"));
        assert!(bare.parameter("h", "other").is_err());
        for bad in ["w; x='a", "w; x=1; x=2", "w; x"] {
            assert!(Value::read(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split_head(&bytes);
            let _ = split_parts(&bytes, "-");
        }
    }
}
