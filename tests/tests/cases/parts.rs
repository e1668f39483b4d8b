//! Messages taken apart without the code under test.

use saatkond_proto::message::rest::from_latin1;
use saatkond_tests::recorded::place;
use std::fmt;

/// One part of a message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Header lines, names in lower case, sorted; none for an envelope that stands alone.
    pub(crate) lines: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = from_latin1(&self.body).chars().take(2000).collect();
        write!(f, "{:?} {} bytes {text:?}", self.lines, self.body.len())
    }
}

/// The parts of a message of an information system: lines may end in LF, as X-Road's files do.
pub(crate) fn sections(content_type: &str, bytes: &[u8]) -> Vec<Section> {
    let Some((_, boundary)) = content_type.split_once("boundary=") else {
        return vec![Section { lines: Vec::new(), body: bytes.to_vec() }];
    };
    let boundary = boundary.split(';').next().unwrap().trim_matches('"');
    let delimiter = format!("\n--{boundary}");
    let bytes = [b"\n", bytes].concat();
    let mut ends: Vec<usize> = Vec::new();
    while let Some(at) = place(&bytes[ends.last().map_or(0, |end| end + 1)..], delimiter.as_bytes()) {
        ends.push(at + ends.last().map_or(0, |end| end + 1));
    }
    let section = |pair: &[usize]| {
        let part = &bytes[pair[0] + delimiter.len()..pair[1]];
        let part = part.strip_suffix(b"\r").unwrap_or(part);
        let part = &part[place(part, b"\n").unwrap() + 1..];
        let (lf, crlf) = (place(part, b"\n\n"), place(part, b"\r\n\r\n"));
        let (end, gap) = match (lf, crlf) {
            (Some(lf), Some(crlf)) if lf < crlf => (lf, 2),
            (_, Some(crlf)) => (crlf, 4),
            (lf, None) => (lf.unwrap(), 2),
        };
        let head = from_latin1(&part[..end]);
        let line = |l: &str| l.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()));
        let mut lines: Vec<_> = head.lines().filter_map(line).collect();
        lines.sort();
        Section { lines, body: part[end + gap..].to_vec() }
    };
    ends.windows(2).map(section).collect()
}

/// An envelope without `requestHash`, and that hash.
pub(crate) fn without_hash(envelope: &[u8]) -> (String, Option<String>) {
    let text = from_latin1(envelope);
    let hash =
        regex_lite::Regex::new(r"\s*<(?:\w+:)?requestHash\b[^>]*>([^<]*)</(?:\w+:)?requestHash>").unwrap();
    let found = hash.captures(&text).map(|found| found[1].trim().to_owned());
    (hash.replace_all(&text, "").into_owned(), found)
}
