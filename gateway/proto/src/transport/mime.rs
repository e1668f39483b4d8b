//! Multipart, read in pieces of any size.
//!
//! A machine that knows boundaries, part heads and nesting, and nothing of X-Road. Body bytes are handed on as they
//! come; only what may yet turn out to be a boundary line is held back, so memory does not grow with the message.
//!
//! Spec: RFC 2046 5.1, RFC 2045 5.1; message-path §2.7. Seen: lines may end with a bare LF, bodies are never decoded,
//! and `signature/bdoc-1.0/ts` is no media type by RFC 2045. Ours: only a whole line is a boundary.

use crate::limits;
use crate::message::rest::{from_latin1, is_token};
use memchr::{memchr, memmem};

/// A `Content-Type`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// What stands before the first semicolon, in lower case.
    pub base: String,
    /// Parameters; names in lower case, values unquoted.
    pub parameters: Vec<(String, String)>,
}

/// The headers of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `Content-Type` as it came.
    pub content_type: Option<String>,
    /// All other headers, in order, letter case kept, folded lines joined with a space.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Bytes that it takes in memory, about: an empty line has some, too.
    #[must_use]
    pub fn weight(&self) -> usize {
        const LINE_BYTES: usize = 80;
        let lines = self.headers.iter().map(|(name, value)| name.len() + value.len() + LINE_BYTES);
        lines.sum::<usize>() + self.content_type.as_ref().map_or(0, String::len)
    }
}

/// What the next bytes complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'i> {
    /// A part begins.
    Part(Head),
    /// The next bytes of its body.
    Body(&'i [u8]),
    /// The next bytes of its body are [`Machine::held`].
    BodyHeld,
    /// The part is whole.
    PartEnd,
    /// The closing boundary of the innermost multipart has come.
    Close,
}

/// Bytes that are no multipart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MimeError {
    /// A boundary that is empty, too long, or has characters that none may have.
    #[error("{found:?} is no boundary")]
    Boundary {
        /// What was read.
        found: String,
    },
    /// A multipart that ends before its closing boundary.
    #[error("multipart ends early: {expected} expected")]
    Truncated {
        /// What had to come.
        expected: &'static str,
    },
    /// More bytes than one of the bounds.
    #[error("{what} has more than {allowed} bytes")]
    TooLarge {
        /// What has.
        what: &'static str,
        /// How many it may have.
        allowed: usize,
    },
    /// A header line that is none.
    #[error("part header {line:?} is none")]
    HeaderLine {
        /// The line.
        line: String,
    },
    /// Two content types for one part.
    #[error("part has two content types")]
    TwoContentTypes,
    /// Text behind the closing boundary on its line.
    #[error("text on the line of the closing boundary")]
    AfterClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary of the innermost multipart.
    Preamble,
    /// In the headers of a part.
    Head,
    /// In the body of a part.
    Body,
    /// Behind the closing boundary, on its line.
    Closing,
    /// Behind the closing boundary.
    Epilogue,
}

/// What a text that begins at the start of a line, or at the line end before it, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// No boundary line.
    Other,
    /// Perhaps one: more is needed.
    Unsure,
    /// Opens a part of the multipart at this depth; `len` bytes belong to the line.
    Open { depth: usize, len: usize },
    /// Closes the multipart at this depth.
    Close { depth: usize, len: usize },
    /// A boundary with more white space behind it than anyone sends.
    Padded,
}

/// Reads one multipart, and one more inside a part of it.
#[derive(Debug)]
pub struct Machine {
    /// `--boundary`, outermost first.
    delimiters: Vec<Vec<u8>>,
    needle: memmem::Finder<'static>,
    state: State,
    /// The position is the start of a line: a boundary needs no line end before it.
    at_line_start: bool,
    /// Bytes that may be the beginning of a boundary line; in `Head`, the lines so far.
    held: Vec<u8>,
    /// Whether `held` began at the start of a line.
    held_from_line_start: bool,
    /// `held` was handed out and is to be dropped.
    spent: bool,
    /// A boundary line that was found and not yet told of in full.
    found: Option<Line>,
    skipped: usize,
}

// ------------ ContentType ---------------------------------------------------

impl ContentType {
    /// Reads a header value; `None` for one that cannot be read or has a parameter twice.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (base, mut rest) = value.split_at(value.find(';').unwrap_or(value.len()));
        let base = base.trim().to_ascii_lowercase();
        let (kind, subtype) = base.split_once('/')?;
        if !is_token(kind) || subtype.is_empty() || !subtype.split('/').all(is_token) {
            return None;
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        while let Some(text) = rest.strip_prefix(';') {
            let text = text.trim_start();
            if text.is_empty() || text.starts_with(';') {
                rest = text;
                continue;
            }
            let (name, text) = text.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let (value, after) = parameter_value(text.trim_start())?;
            if !is_token(&name) || parameters.iter().any(|(n, _)| *n == name) {
                return None;
            }
            parameters.push((name, value));
            rest = after.trim_start();
        }
        rest.is_empty().then_some(Self { base, parameters })
    }

    /// The value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads a parameter's value, quoted or not; tells what follows.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ';' || c.is_whitespace()).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return (!value.contains('"')).then(|| (value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return quoted.get(at + 1..).map(|after| (value, after)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

// ------------ Machine -------------------------------------------------------

impl Machine {
    /// Begins a multipart.
    ///
    /// # Errors
    /// [`MimeError::Boundary`] for a boundary outside RFC 2046 5.1.1.
    pub fn new(boundary: &str) -> Result<Self, MimeError> {
        let delimiter = delimiter(boundary)?;
        let needle = [b"\n", delimiter.as_slice()].concat();
        Ok(Self {
            delimiters: vec![delimiter],
            needle: memmem::Finder::new(&needle).into_owned(),
            state: State::Preamble,
            at_line_start: true,
            held: Vec::new(),
            held_from_line_start: false,
            spent: false,
            found: None,
            skipped: 0,
        })
    }

    /// Takes the body of the part that has just begun as a multipart of its own; one level, no more.
    ///
    /// # Errors
    /// [`MimeError::Boundary`] for a boundary outside RFC 2046 5.1.1, or one that cannot be told from the outer.
    pub fn open(&mut self, boundary: &str) -> Result<(), MimeError> {
        let inner = delimiter(boundary)?;
        let closing = [inner.as_slice(), b"--"].concat();
        let confused = self.delimiters.iter().any(|outer| *outer == inner || outer.starts_with(&closing));
        if self.delimiters.len() != 1 || confused || self.state != State::Body {
            return Err(MimeError::Boundary { found: boundary.to_owned() });
        }
        self.delimiters.push(inner);
        self.needle = memmem::Finder::new(b"\n--").into_owned();
        self.begin(State::Preamble, true);
        Ok(())
    }

    /// Whether the closing boundary of the outermost multipart has come.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.delimiters.is_empty()
    }

    /// The bytes of [`Piece::BodyHeld`].
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Takes from `input` what the next piece needs; `None` when all of it is taken.
    ///
    /// # Errors
    /// [`MimeError`]; the machine must not be used any more.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'i>>, MimeError> {
        loop {
            if self.spent {
                self.spent = false;
                self.held.clear();
            }
            if let Some(line) = self.found.take() {
                if let Some(piece) = self.turn(line)? {
                    return Ok(Some(piece));
                }
                continue;
            }
            if input.is_empty() {
                return Ok(None);
            }
            let piece = match self.state {
                State::Head => self.take_head(input)?,
                State::Closing => {
                    self.take_closing(input)?;
                    None
                }
                State::Epilogue if self.is_closed() => {
                    *input = &[];
                    None
                }
                State::Preamble | State::Body | State::Epilogue => self.take_lines(input)?,
            };
            if piece.is_some() {
                return Ok(piece);
            }
        }
    }

    /// Ends the multipart: no bytes will come any more.
    ///
    /// # Errors
    /// [`MimeError::Truncated`] unless the closing boundary has come.
    pub fn finish(&self) -> Result<(), MimeError> {
        let expected = match self.state {
            _ if self.is_closed() => return Ok(()),
            State::Preamble => "first boundary",
            State::Head => "part headers",
            State::Body => "boundary after a part",
            State::Closing | State::Epilogue => "boundary after the nested multipart",
        };
        Err(MimeError::Truncated { expected })
    }

    fn begin(&mut self, state: State, at_line_start: bool) {
        self.state = state;
        self.at_line_start = at_line_start;
        self.skipped = 0;
    }

    /// Goes where a boundary line leads. Called again with what is left of it, until nothing is.
    fn turn(&mut self, line: Line) -> Result<Option<Piece<'static>>, MimeError> {
        let (Line::Open { depth, .. } | Line::Close { depth, .. }) = line else { return Ok(None) };
        if depth < self.delimiters.len() {
            return Err(MimeError::Truncated { expected: "closing boundary of the nested multipart" });
        }
        if matches!(self.state, State::Body | State::Epilogue) {
            // A part ends, in an epilogue the one that held the nested multipart; then the line is looked at again.
            self.state = State::Closing;
            self.found = Some(line);
            return Ok(Some(Piece::PartEnd));
        }
        if matches!(line, Line::Open { .. }) {
            self.begin(State::Head, true);
            return Ok(None);
        }
        self.delimiters.pop();
        if let [outer] = self.delimiters.as_slice() {
            self.needle = memmem::Finder::new(&[b"\n", outer.as_slice()].concat()).into_owned();
        }
        self.begin(State::Closing, false);
        Ok(Some(Piece::Close))
    }

    /// Reads on behind a closing boundary: white space, then the end of the line.
    fn take_closing(&mut self, input: &mut &[u8]) -> Result<(), MimeError> {
        let at = input.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(input.len());
        let (_, rest) = input.split_at(at);
        *input = rest;
        match rest.first() {
            None => Ok(()),
            Some(b'\r' | b'\n') => {
                self.begin(State::Epilogue, false);
                Ok(())
            }
            Some(_) => Err(MimeError::AfterClose),
        }
    }

    /// Reads header lines until the empty one.
    fn take_head(&mut self, input: &mut &[u8]) -> Result<Option<Piece<'static>>, MimeError> {
        let bytes: &[u8] = input;
        let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let (line, rest) = bytes.split_at(end);
        *input = rest;
        if self.held.len() + line.len() > limits::PART_HEAD_BYTES_MAX {
            return Err(MimeError::TooLarge { what: "part head", allowed: limits::PART_HEAD_BYTES_MAX });
        }
        self.held.extend_from_slice(line);
        if !self.held.ends_with(b"\n\n")
            && !self.held.ends_with(b"\n\r\n")
            && !matches!(self.held.as_slice(), b"\n" | b"\r\n")
        {
            return Ok(None);
        }
        let head = read_head(&self.held, &self.delimiters)?;
        self.held.clear();
        self.begin(State::Body, true);
        Ok(Some(Piece::Part(head)))
    }

    /// Reads body bytes, or passes over preamble and epilogue, up to the next boundary line.
    fn take_lines<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'i>>, MimeError> {
        if self.held.is_empty() {
            let bytes: &'i [u8] = input;
            let (body, line, from_line_start) = self.search(bytes);
            let (before, candidate) = bytes.split_at(body);
            if !before.is_empty() {
                self.at_line_start = false;
            }
            match line {
                Line::Open { len, .. } | Line::Close { len, .. } => {
                    *input = candidate.get(len..).unwrap_or_default();
                    self.found = Some(line);
                }
                Line::Unsure => {
                    self.held.extend_from_slice(candidate);
                    self.held_from_line_start = from_line_start;
                    *input = &[];
                }
                Line::Other => *input = candidate,
                Line::Padded => return Err(padded()),
            }
            return Ok(self.pass(before)?.then_some(Piece::Body(before)));
        }
        while let Some((byte, rest)) = input.split_first() {
            self.held.push(*byte);
            let line = self.classify(&self.held, self.held_from_line_start);
            match line {
                Line::Unsure => *input = rest,
                Line::Open { .. } | Line::Close { .. } => {
                    *input = rest;
                    self.held.clear();
                    self.found = Some(line);
                    return Ok(None);
                }
                Line::Padded => return Err(padded()),
                // Only the byte that decided may begin another boundary line: it stays in the input.
                Line::Other => {
                    self.held.pop();
                    self.at_line_start = false;
                    self.spent = true;
                    let len = self.held.len();
                    return Ok(self.count(len)?.then_some(Piece::BodyHeld));
                }
            }
        }
        Ok(None)
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<bool, MimeError> {
        if bytes.is_empty() { Ok(false) } else { self.count(bytes.len()) }
    }

    /// Whether bytes here are a body's; counts those that are none.
    fn count(&mut self, bytes: usize) -> Result<bool, MimeError> {
        if self.state == State::Body {
            return Ok(true);
        }
        self.skipped = self.skipped.saturating_add(bytes);
        let allowed = limits::PREAMBLE_BYTES_MAX;
        if self.skipped > allowed {
            return Err(MimeError::TooLarge { what: "text around the parts", allowed });
        }
        Ok(false)
    }

    /// Finds where the body ends in `bytes`, what begins there, and whether it does so at the start of a line.
    fn search(&self, bytes: &[u8]) -> (usize, Line, bool) {
        if self.at_line_start {
            let line = self.classify(bytes, true);
            if line != Line::Other {
                return (0, line, true);
            }
        }
        for at in self.needle.find_iter(bytes) {
            let start = with_return(bytes, at);
            let line = self.classify(bytes.get(start..).unwrap_or_default(), false);
            if line != Line::Other {
                return (start, line, false);
            }
        }
        let needle = self.needle.needle();
        let partial =
            (1..needle.len()).rev().find(|len| needle.get(..*len).is_some_and(|n| bytes.ends_with(n)));
        match partial {
            Some(len) => (with_return(bytes, bytes.len() - len), Line::Unsure, false),
            None if bytes.ends_with(b"\r") => (bytes.len() - 1, Line::Unsure, false),
            None => (bytes.len(), Line::Other, false),
        }
    }

    /// Tells whether a text that begins with a line end (or at the start of a line) is a boundary line.
    fn classify(&self, text: &[u8], from_line_start: bool) -> Line {
        let line = if from_line_start {
            text
        } else {
            match text {
                [] | [b'\r'] => return Line::Unsure,
                [b'\r', b'\n', line @ ..] | [b'\n', line @ ..] => line,
                _ => return Line::Other,
            }
        };
        let before = text.len() - line.len();
        for (at, delimiter) in self.delimiters.iter().enumerate() {
            match classify_line(line, delimiter) {
                Line::Other => {}
                Line::Open { len, .. } => return Line::Open { depth: at + 1, len: before + len },
                Line::Close { len, .. } => return Line::Close { depth: at + 1, len: before + len },
                // The outer boundary goes first, also where it is not decided yet.
                line @ (Line::Unsure | Line::Padded) => return line,
            }
        }
        Line::Other
    }
}

/// Holds the start of a line against one delimiter.
fn classify_line(line: &[u8], delimiter: &[u8]) -> Line {
    let Some(rest) = line.strip_prefix(delimiter) else {
        return if delimiter.starts_with(line) { Line::Unsure } else { Line::Other };
    };
    if rest.starts_with(b"--") {
        return Line::Close { depth: 0, len: delimiter.len() + 2 };
    }
    let padding = rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
    let len = delimiter.len() + padding;
    match rest.get(padding..).unwrap_or_default() {
        _ if padding > limits::BOUNDARY_PADDING_BYTES_MAX => Line::Padded,
        [b'\n', ..] => Line::Open { depth: 0, len: len + 1 },
        [b'\r', b'\n', ..] => Line::Open { depth: 0, len: len + 2 },
        [] | [b'\r'] => Line::Unsure,
        [b'-'] if padding == 0 => Line::Unsure,
        _ => Line::Other,
    }
}

/// Where the line end begins whose LF stands at `at`.
fn with_return(bytes: &[u8], at: usize) -> usize {
    match at.checked_sub(1).and_then(|before| bytes.get(before)) {
        Some(b'\r') => at - 1,
        _ => at,
    }
}

fn padded() -> MimeError {
    MimeError::TooLarge { what: "white space after a boundary", allowed: limits::BOUNDARY_PADDING_BYTES_MAX }
}

/// `--boundary`, if it is one. Seen: X-Road takes any; RFC 2046's characters have no line end among them.
fn delimiter(boundary: &str) -> Result<Vec<u8>, MimeError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
    let sound = (1..=limits::BOUNDARY_BYTES_MAX).contains(&boundary.len())
        && boundary.bytes().all(allowed)
        && !boundary.ends_with(' ');
    if sound {
        Ok([b"--", boundary.as_bytes()].concat())
    } else {
        Err(MimeError::Boundary { found: boundary.to_owned() })
    }
}

/// Reads the headers of a part, the empty line at their end included.
fn read_head(bytes: &[u8], delimiters: &[Vec<u8>]) -> Result<Head, MimeError> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let broken = || MimeError::HeaderLine { line: from_latin1(text) };
        if text.is_empty() {
            continue;
        }
        let control = |b: &u8| (*b < 0x20 && *b != b'\t') || *b == 0x7f;
        if text.iter().any(control) || delimiters.iter().any(|d| text.starts_with(d)) {
            return Err(broken());
        }
        let text = from_latin1(text);
        if text.starts_with([' ', '\t']) {
            let (_, value) = lines.last_mut().ok_or_else(broken)?;
            value.push(' ');
            value.push_str(text.trim());
            continue;
        }
        let (name, value) = text.split_once(':').filter(|(name, _)| is_token(name)).ok_or_else(broken)?;
        lines.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut head = Head::default();
    for (name, value) in lines {
        if !name.eq_ignore_ascii_case("content-type") {
            head.headers.push((name, value));
        } else if head.content_type.replace(value).is_some() {
            return Err(MimeError::TwoContentTypes);
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a multipart with boundary `b` at once: heads and bodies.
    fn parts(bytes: &[u8]) -> Result<Vec<(Head, Vec<u8>)>, MimeError> {
        let mut machine = Machine::new("b")?;
        let (mut found, mut input) = (Vec::new(), bytes);
        while let Some(piece) = machine.next(&mut input)? {
            match piece {
                Piece::Part(head) => found.push((head, Vec::new())),
                Piece::Body(bytes) => found.last_mut().unwrap().1.extend_from_slice(bytes),
                Piece::BodyHeld => found.last_mut().unwrap().1.extend_from_slice(machine.held()),
                Piece::PartEnd | Piece::Close => {}
            }
        }
        machine.finish()?;
        Ok(found)
    }

    fn head(text: &str) -> Result<Head, MimeError> {
        Ok(parts(format!("--b\r\n{text}\r\n\r\n\r\n--b--").as_bytes())?.remove(0).0)
    }

    #[test]
    fn content_types_are_taken_apart() {
        let read = ContentType::parse("Multipart/Related ; TYPE=\"a/b; c\\\"d\" ;; boundary=x_1;").unwrap();
        assert_eq!((read.base.as_str(), read.parameter("type")), ("multipart/related", Some("a/b; c\"d")));
        assert_eq!(read.parameter("boundary"), Some("x_1"));
        assert_eq!(ContentType::parse("signature/bdoc-1.0/ts").unwrap().base, "signature/bdoc-1.0/ts");
        for broken in [
            "",
            "a",
            "/b",
            "a/",
            "a/b; c",
            "a/b; c=\"d",
            "a/b; c=1; C=2",
            "a/b; =1",
            "a b/c",
            "a/b; c=1 2",
            "a/b; c=d\"e",
        ] {
            assert_eq!(ContentType::parse(broken), None, "{broken}");
        }
    }

    #[test]
    fn heads_are_read_unfolded() {
        let head =
            head("X-A:  one\r\n\ttwo \r\n three\r\nCONTENT-type: text/plain;\r\n charset=x\r\nx-a:").unwrap();
        assert_eq!(head.content_type.as_deref(), Some("text/plain; charset=x"));
        let line = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(head.headers, [line("X-A", "one two three"), line("x-a", "")]);
    }

    #[test]
    fn broken_heads_are_refused() {
        for text in
            ["no colon", " folded first", ": v", "a b: c", "a: \0", "a: b\rc: d", "a: \u{7f}", "--b: c"]
        {
            assert!(matches!(head(text), Err(MimeError::HeaderLine { .. })), "{text:?}");
        }
        assert_eq!(head("content-type: a/b\r\nContent-Type: a/b"), Err(MimeError::TwoContentTypes));
        let large = "a: b\r\n".repeat(limits::PART_HEAD_BYTES_MAX / 6 + 1);
        assert!(matches!(head(&large), Err(MimeError::TooLarge { what: "part head", .. })));
        assert!(matches!(
            head(&"a".repeat(limits::PART_HEAD_BYTES_MAX + 1)),
            Err(MimeError::TooLarge { .. })
        ));
        assert!(head(&format!("a: {}", "b".repeat(limits::PART_HEAD_BYTES_MAX - 100))).is_ok());
    }

    #[test]
    fn line_ends_and_text_around_may_vary() {
        let expected = Ok(vec![(Head::default(), b"x\r".to_vec()), (Head::default(), Vec::new())]);
        for text in [
            "--b\r\n\r\nx\r\r\n--b\r\n\r\n\r\n--b--\r\n",
            "--b\n\nx\r\r\n--b\n\n\n--b--\n",
            "--b \t \r\n\r\nx\r\r\n--b\n\r\n\n--b--  ",
            "before\r\n--bb\r\n--b\r\n\r\nx\r\r\n--b\r\n\r\n--b--\r\nafter\r\n--b\r\n",
            "\n\r\n--b\r\n\r\nx\r\r\n--b\r\n\r\n--b--",
        ] {
            assert_eq!(parts(text.as_bytes()), expected, "{text:?}");
        }
        let bound = |what, allowed| Err(MimeError::TooLarge { what, allowed });
        let before = "x".repeat(limits::PREAMBLE_BYTES_MAX + 1);
        assert_eq!(parts(before.as_bytes()), bound("text around the parts", limits::PREAMBLE_BYTES_MAX));
        let padding = " ".repeat(limits::BOUNDARY_PADDING_BYTES_MAX + 1);
        let text = format!("--b{padding}\r\n");
        assert_eq!(
            parts(text.as_bytes()),
            bound("white space after a boundary", limits::BOUNDARY_PADDING_BYTES_MAX)
        );
        assert_eq!(parts(b"--b\r\n\r\n\r\n--b--x"), Err(MimeError::AfterClose));
        assert_eq!(parts(b""), Err(MimeError::Truncated { expected: "first boundary" }));
    }

    #[test]
    fn boundaries_that_cannot_be_told_apart_are_refused() {
        let nested = |outer: &str, inner: &str| {
            let mut machine = Machine::new(outer).unwrap();
            let text = format!("--{outer}\r\n\r\n");
            assert!(matches!(machine.next(&mut text.as_bytes()), Ok(Some(Piece::Part(_)))));
            machine.open(inner)
        };
        assert!(nested("b", "a").is_ok() && nested("aX", "a").is_ok() && nested("a", "aX").is_ok());
        for (outer, inner) in [("b", "b"), ("a--", "a"), ("a--x", "a"), ("b", ""), ("b", "a\r\nb")] {
            assert!(nested(outer, inner).is_err(), "{outer} {inner}");
        }
    }
}
