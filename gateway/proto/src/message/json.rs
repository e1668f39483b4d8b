//! JSON, written byte for byte as X-Road's library writes it.

/// Writes a JSON string.
///
/// Seen: control characters below space have the short form where JSON has one, else four digits in upper case; all other
/// characters stand for themselves.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes an object; values are JSON already, and a field without one is left out.
pub(super) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let fields = fields.into_iter().filter_map(|(name, value)| Some(format!("{}:{}", quote(name), value?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// Writes an array; values are JSON already.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_x_roads_library_writes_them() {
        let text = "AS \"Õun\" \\ /\u{8}\u{c}\n\r\t\u{1f}\u{7f}\u{85}";
        let written = quote(text);
        assert_eq!(written, "\"AS \\\"Õun\\\" \\\\ /\\b\\f\\n\\r\\t\\u001F\u{7f}\u{85}\"");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn a_field_without_a_value_is_left_out() {
        let written = object([("a", Some(quote("x"))), ("b", None), ("c", Some(array(["1".to_owned()])))]);
        assert_eq!(written, r#"{"a":"x","c":[1]}"#);
        assert_eq!(object([]), "{}");
    }
}
