//! The project's own vectors: bytes that say what they are and what must come of them.
//!
//! | file | what it holds |
//! |---|---|
//! | this | the form of a vector's file |
//! | [`judge`](mod@judge) | what comes of a vector |
//! | [`pki`] | keys and certificates of a small instance |
//! | [`make`] | every vector, made anew |

pub mod judge;
pub mod make;
pub mod pki;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What the names of vectors' files end in.
pub const EXTENSION: &str = "vector";

/// One vector: header lines and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    fields: Vec<(String, String)>,
    /// The body, decoded unless it is in pieces.
    pub body: Vec<u8>,
}

/// What may be believed of a vector that is taken: names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told(pub Vec<(String, String)>);

/// A part of a body: a label and bytes, armoured as RFC 7468 has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub label: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Vector {
    /// Begins a vector of a kind.
    #[must_use]
    pub fn new(kind: &str, what: &str, spec: &str) -> Self {
        Self { fields: Vec::new(), body: Vec::new() }.with("what", what).with("spec", spec).with("kind", kind)
    }

    /// With a header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        assert!(!name.contains(": ") && !value.contains(['\n', '\r']), "{name}: {value:?} is no header line");
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// That is taken.
    #[must_use]
    pub fn accepted(self) -> Self {
        self.with("expect", "accept")
    }

    /// That is refused with this code, told without the words before it that say who speaks.
    #[must_use]
    pub fn refused(self, code: &str) -> Self {
        self.with("expect", &format!("refuse {code}"))
    }

    /// With what is told of it when it is taken.
    #[must_use]
    pub fn told(self, name: &str, value: &str) -> Self {
        self.with(&format!("told {name}"), value)
    }

    /// With a body that stands in the file as it is.
    #[must_use]
    pub fn as_is(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self.with("body", "as is") }
    }

    /// With a body that stands in the file as base64.
    #[must_use]
    pub fn in_base64(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self.with("body", "base64") }
    }

    /// With a body of pieces.
    #[must_use]
    pub fn in_pieces(self, pieces: &[Piece]) -> Self {
        let mut text = String::new();
        for Piece { label, bytes } in pieces {
            let armour = write!(text, "-----BEGIN {label}-----\n{}-----END {label}-----\n", lines(bytes));
            assert!(armour.is_ok());
        }
        Self { body: text.into_bytes(), ..self.with("body", "pieces") }
    }

    /// The value of a header line.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value of a header line that must be there.
    #[must_use]
    pub fn required(&self, name: &str) -> &str {
        self.field(name).unwrap_or_else(|| panic!("{}: no header line {name}", self.required("what")))
    }

    /// What the file says must come of it: what is told, or the code.
    ///
    /// # Errors
    /// The code of the refusal, if it must be refused.
    pub fn expected(&self) -> Result<Told, String> {
        match self.required("expect").split_once(' ') {
            None => {
                assert_eq!(self.required("expect"), "accept");
                let told = self
                    .fields
                    .iter()
                    .filter_map(|(n, v)| Some((n.strip_prefix("told ")?.to_owned(), v.clone())));
                Ok(Told(told.collect()))
            }
            Some(("refuse", code)) => Err(code.to_owned()),
            Some(_) => panic!("{}: expect {}", self.required("what"), self.required("expect")),
        }
    }

    /// The pieces of the body.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        assert_eq!(self.field("body"), Some("pieces"));
        let text = std::str::from_utf8(&self.body).unwrap();
        let mut found = Vec::new();
        let mut rest = text;
        while let Some(after) = rest.strip_prefix("-----BEGIN ") {
            let (label, after) = after.split_once("-----\n").unwrap();
            let (value, after) = after.split_once(&format!("-----END {label}-----\n")).unwrap();
            found.push(Piece { label: label.to_owned(), bytes: unarmoured(value) });
            rest = after;
        }
        assert!(rest.is_empty(), "text between pieces: {rest:?}");
        found
    }

    /// The same vector with another body, of pieces or bytes.
    #[must_use]
    pub fn with_body(&self, pieces: &[Piece]) -> Self {
        let mut other = self.clone();
        other.fields.retain(|(n, _)| n != "body");
        match (self.field("body"), pieces) {
            (Some("pieces"), _) => other.in_pieces(pieces),
            (Some("base64"), [only]) => other.in_base64(&only.bytes),
            (_, [only]) => other.as_is(&only.bytes),
            _ => panic!("a body of one piece"),
        }
    }

    /// The body as pieces; one without a label when it is no list of them.
    #[must_use]
    pub fn any_pieces(&self) -> Vec<Piece> {
        if self.field("body") == Some("pieces") {
            return self.pieces();
        }
        vec![Piece { label: String::new(), bytes: self.body.clone() }]
    }

    /// Reads a file.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let split = bytes.windows(2).position(|w| w == b"\n\n").expect("an empty line after the header");
        let header = std::str::from_utf8(&bytes[..split]).unwrap();
        let line = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned()));
        let fields =
            header.lines().map(|l| line(l).unwrap_or_else(|| panic!("no header line: {l:?}"))).collect();
        let mut vector = Self { fields, body: bytes[split + 2..].to_vec() };
        if vector.field("body") == Some("base64") {
            vector.body = unarmoured(std::str::from_utf8(&vector.body).unwrap());
        }
        vector
    }

    /// Writes a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        for (name, value) in &self.fields {
            assert!(writeln!(out, "{name}: {value}").is_ok());
        }
        out.push('\n');
        let mut out = out.into_bytes();
        if self.field("body") == Some("base64") {
            out.extend(lines(&self.body).into_bytes());
        } else {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

impl Piece {
    /// Names bytes.
    #[must_use]
    pub fn new(label: &str, bytes: &[u8]) -> Self {
        Self { label: label.to_owned(), bytes: bytes.to_vec() }
    }
}

/// The bytes of the first piece of this label.
#[must_use]
pub fn piece<'p>(pieces: &'p [Piece], label: &str) -> Option<&'p [u8]> {
    pieces.iter().find(|p| p.label == label).map(|p| p.bytes.as_slice())
}

/// Base64 in lines of 64.
fn lines(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let mut out = String::new();
    for line in text.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).unwrap());
        out.push('\n');
    }
    out
}

fn unarmoured(text: &str) -> Vec<u8> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).expect("base64")
}

/// Hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Where the vectors lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Every vector in the folder, by its name: kind, slash, name.
#[must_use]
pub fn all() -> BTreeMap<String, Vector> {
    let mut found = BTreeMap::new();
    for kind in std::fs::read_dir(folder()).unwrap() {
        let kind = kind.unwrap().path();
        if !kind.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&kind).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(file.extension().and_then(|e| e.to_str()), Some(EXTENSION), "{}", file.display());
            let text = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let vector = Vector::from_bytes(&std::fs::read(&file).unwrap());
            assert_eq!(vector.required("kind"), text(&kind), "{}: its folder is its kind", file.display());
            found.insert(format!("{}/{}", text(&kind), text(&file)), vector);
        }
    }
    found
}
