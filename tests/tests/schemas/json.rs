//! JSON as it is written into `schemas/`: keys in the order in which they were put.

use std::fmt;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// A boolean.
    Truth(bool),
    /// A whole number.
    Number(u64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object; no key stands there twice.
    Object(Vec<(String, Self)>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An object of these keys.
pub(crate) fn object<const N: usize>(keys: [(&str, Json); N]) -> Json {
    Json::Object(keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl Json {
    /// Adds a key to an object.
    pub(crate) fn with(self, key: &str, value: impl Into<Self>) -> Self {
        let Self::Object(mut keys) = self else { panic!("{self:?} is no object") };
        assert!(keys.iter().all(|(k, _)| k != key), "{key} twice");
        keys.push((key.to_owned(), value.into()));
        Self::Object(keys)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let text = |text: &str| serde_json::to_string(text).unwrap();
        match self {
            Self::Truth(truth) => write!(f, "{truth}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(content) => f.write_str(&text(content)),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    item.write(f, depth)?;
                }
                f.write_str("]")
            }
            Self::Object(keys) if keys.is_empty() => f.write_str("{}"),
            Self::Object(keys) => {
                f.write_str("{\n")?;
                for (index, (key, value)) in keys.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ",\n" })?;
                    write!(f, "{:1$}{2}: ", "", depth * 2 + 2, text(key))?;
                    value.write(f, depth + 1)?;
                }
                write!(f, "\n{:1$}}}", "", depth * 2)
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)?;
        f.write_str("\n")
    }
}
