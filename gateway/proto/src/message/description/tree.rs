//! JSON and YAML, read whole within bounds.
//!
//! What begins with `{` is JSON, all else YAML 1.2. Only the first document of a stream is read. Seen: X-Road 7.8 reads
//! both with a YAML reader that follows no alias; neither does this one, so that no document grows by being read.

use crate::limits;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// Nothing.
    Null,
    /// A text, number or truth, as written.
    Text(String),
    /// Values in order.
    List(Vec<Self>),
    /// Named values in order; no name stands twice.
    Map(Vec<(String, Self)>),
    /// A mention of another value of a YAML document, which is not followed.
    Alias,
}

/// A document that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// More bytes than are read.
    #[error("document has {found} bytes, at most {allowed} are read")]
    TooLarge {
        /// Bytes it has.
        found: usize,
        /// Bytes it may have.
        allowed: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("document is not UTF-8")]
    NotUtf8,
    /// One of the structural bounds.
    #[error("document has more than {allowed} {what}")]
    Bound {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        allowed: usize,
    },
    /// Not JSON or YAML; the text names line and column.
    #[error("document is neither JSON nor YAML: {0}")]
    Malformed(String),
}

impl Node {
    /// Reads a document.
    ///
    /// # Errors
    /// [`TreeError`].
    pub(super) fn read(bytes: &[u8]) -> Result<Self, TreeError> {
        let allowed = limits::DESCRIPTION_BYTES_MAX;
        if bytes.len() > allowed {
            return Err(TreeError::TooLarge { found: bytes.len(), allowed });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TreeError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with('{') { json(text) } else { yaml(text) }
    }

    /// The value of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.entries().iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text, of a text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The named values, of a map.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    /// The values, of a list.
    pub(super) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// What it is, in a word.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Alias => "an alias, which is not followed",
        }
    }
}

// ------------ JSON ----------------------------------------------------------

/// Reads JSON. Its reader bounds how deep it goes.
fn json(text: &str) -> Result<Node, TreeError> {
    let malformed = |error: serde_json::Error| TreeError::Malformed(error.to_string());
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut left = limits::DESCRIPTION_VALUES_MAX;
    let node = Seed { left: &mut left }.deserialize(&mut reader).map_err(malformed)?;
    reader.end().map_err(malformed)?;
    Ok(node)
}

/// Reads one value, while any are left.
struct Seed<'a> {
    left: &'a mut usize,
}

impl Seed<'_> {
    fn again(&mut self) -> Seed<'_> {
        Seed { left: self.left }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let allowed = limits::DESCRIPTION_VALUES_MAX;
        *self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| de::Error::custom(TreeError::Bound { what: "values", allowed }))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.again())? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            entries.push((key, access.next_value_seed(self.again())?));
        }
        match twice(&entries) {
            Some(key) => Err(de::Error::custom(format!("{key:?} stands twice in one map"))),
            None => Ok(Node::Map(entries)),
        }
    }
}

/// A name that stands twice in a map: readers differ about which one counts.
fn twice(entries: &[(String, Node)]) -> Option<&str> {
    let mut seen = HashSet::new();
    entries.iter().map(|(key, _)| key.as_str()).find(|key| !seen.insert(*key))
}

// ------------ YAML ----------------------------------------------------------

/// A list or map that is not at its end.
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

/// Reads the first document of a YAML stream.
fn yaml(text: &str) -> Result<Node, TreeError> {
    let mut open: Vec<Open> = Vec::new();
    let mut left = limits::DESCRIPTION_VALUES_MAX;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| TreeError::Malformed(error.to_string()))?;
        let at = |why: &str| {
            let (line, column) = (span.start.line(), span.start.col() + 1);
            TreeError::Malformed(format!("{why} at line {line} column {column}"))
        };
        let whole = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Some(Node::List(items)),
                Some(Open::Map(entries, _)) => {
                    if let Some(key) = twice(&entries) {
                        return Err(at(&format!("{key:?} stands twice in the map that ends")));
                    }
                    Some(Node::Map(entries))
                }
                None => None,
            },
            Event::Scalar(text, style, ..) => Some(scalar(text.into_owned(), style)),
            Event::Alias(_) => Some(Node::Alias),
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node::Null),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => None,
        };
        if open.len() > limits::DESCRIPTION_DEPTH_MAX {
            return Err(TreeError::Bound {
                what: "levels of nesting",
                allowed: limits::DESCRIPTION_DEPTH_MAX,
            });
        }
        let Some(node) = whole else { continue };
        left = left
            .checked_sub(1)
            .ok_or(TreeError::Bound { what: "values", allowed: limits::DESCRIPTION_VALUES_MAX })?;
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map(entries, key)) => match (key.take(), node) {
                (Some(name), value) => entries.push((name, value)),
                (None, Node::Text(name)) => *key = Some(name),
                (None, Node::Null) => *key = Some("null".to_owned()),
                (None, other) => return Err(at(&format!("a name that is {}", other.kind()))),
            },
        }
    }
    Ok(Node::Null)
}

fn scalar(text: String, style: ScalarStyle) -> Node {
    let is_null = style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if is_null { Node::Null } else { Node::Text(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Node, TreeError> {
        Node::read(text.as_bytes())
    }

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = "{\n\t\"a\": [1, 2.50, true, null, \"x\\/\\ud83d\\ude00\"],\n\t\"200\": {\"b\": {}}}";
        let yaml = "%YAML 1.2\n---\na:\n  - 1\n  - 2.5\n  - true\n  - ~\n  - \"x/\u{1f600}\" # why\n200: {b: {}}\n...\n---\nsecond: 1\n";
        let expected = Node::Map(vec![
            (
                "a".to_owned(),
                Node::List(vec![text("1"), text("2.5"), text("true"), Node::Null, text("x/\u{1f600}")]),
            ),
            ("200".to_owned(), Node::Map(vec![("b".to_owned(), Node::Map(Vec::new()))])),
        ]);
        assert_eq!(read(json), Ok(expected.clone()));
        assert_eq!(read(yaml), Ok(expected.clone()));
        assert_eq!(read(&format!("\u{feff}{json}")), Ok(expected));
        assert_eq!(read(""), Ok(Node::Null));
        assert_eq!(read("# nothing\n"), Ok(Node::Null));
    }

    #[test]
    fn a_name_stands_once_in_a_map() {
        for document in ["{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}", "a: 1\nb:\n  c: 1\n  c: 2\n"] {
            let error = read(document).unwrap_err();
            assert!(
                matches!(&error, TreeError::Malformed(why) if why.contains("\"c\" stands twice")),
                "{error}"
            );
        }
        assert!(
            matches!(read("? [a]\n: 1\n"), Err(TreeError::Malformed(why)) if why.contains("a name that is a list"))
        );
    }

    #[test]
    fn what_is_neither_is_refused_with_its_place() {
        for (document, place) in [
            ("{\"a\": }", "line 1 column 7"),
            ("a: [1\nb: 2\n", "line 2"),
            ("{\"a\": 1} x", "line 1 column 10"),
        ] {
            let error = read(document).unwrap_err();
            assert!(
                matches!(&error, TreeError::Malformed(why) if why.contains(place)),
                "{document}: {error}"
            );
        }
        assert_eq!(Node::read(b"a: \xff"), Err(TreeError::NotUtf8));
    }

    #[test]
    fn an_alias_makes_nothing_grow() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n";
        let read = read(bomb).unwrap();
        assert_eq!(read.child("c").unwrap().items(), vec![Node::Alias; 9]);
    }

    #[test]
    fn depth_values_and_bytes_are_bounded() {
        let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
        assert!(read(&deep("[", "]", limits::DESCRIPTION_DEPTH_MAX)).is_ok());
        let allowed = limits::DESCRIPTION_DEPTH_MAX;
        assert_eq!(
            read(&deep("[", "]", allowed + 1)),
            Err(TreeError::Bound { what: "levels of nesting", allowed })
        );
        assert!(read(&deep("{\"a\":", "}", 1000)).is_err());
        let many = format!("{{\"a\": [{}1]}}", "1,".repeat(limits::DESCRIPTION_VALUES_MAX));
        assert!(matches!(read(&many), Err(TreeError::Malformed(why)) if why.contains("values")));
        let many = format!("a: [{}1]", "1,".repeat(limits::DESCRIPTION_VALUES_MAX));
        assert!(matches!(read(&many), Err(TreeError::Bound { what: "values", .. })));
        let large = " ".repeat(limits::DESCRIPTION_BYTES_MAX + 1);
        assert!(matches!(read(&large), Err(TreeError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn nothing_breaks_the_readers(document in "[ \n\t{}\\[\\]:,\"'&*!|>%#?a1-]{0,64}") {
            let _ = read(&document);
        }

        #[test]
        fn what_json_says_yaml_says(document in "\\{(\"[a-z]\": (1|true|\"[a-z ]\"|\\[1, 2\\]|\\{\"x\": 1\\}), ){0,3}\"zz\": 0\\}") {
            let yaml = yaml(&document);
            prop_assert_eq!(json(&document).ok(), yaml.ok());
        }
    }
}
