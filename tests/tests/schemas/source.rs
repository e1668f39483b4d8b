//! Reads the structs and enums of a configuration file's source: names, types, serde's attributes, documentation.
//!
//! It knows the Rust that these sources are written in, formatted by rustfmt, and no more; what it does not know fails
//! the test that asked.

/// A struct or enum that serde reads.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its name.
    pub(crate) name: String,
    /// Its documentation.
    pub(crate) doc: String,
    /// serde's attributes on it.
    serde: Vec<String>,
    /// Its fields or variants.
    pub(crate) fields: Vec<Field>,
    /// Whether it is an enum.
    pub(crate) is_enum: bool,
}

/// A field of a struct, or a variant of an enum.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name in the file.
    pub(crate) name: String,
    /// Its type; empty for a variant.
    pub(crate) kind: String,
    /// Its documentation.
    pub(crate) doc: String,
    /// serde's attributes on it.
    serde: Vec<String>,
}

impl Item {
    /// Whether every field may be left out.
    pub(crate) fn has_default(&self) -> bool {
        self.serde.iter().any(|s| s == "default")
    }

    /// Whether unknown keys are refused.
    pub(crate) fn is_closed(&self) -> bool {
        self.serde.iter().any(|s| s == "deny_unknown_fields")
    }
}

impl Field {
    /// Whether it may be left out.
    pub(crate) fn is_optional(&self) -> bool {
        self.kind.starts_with("Option<")
            || self.serde.iter().any(|s| s == "default" || s.starts_with("default ="))
    }

    /// The function that reads it, where it is not its type that says so.
    pub(crate) fn reader(&self) -> Option<&str> {
        self.serde.iter().find_map(|s| s.strip_prefix("deserialize_with = "))
    }
}

/// Every struct with named fields and every enum that serde reads, in the order in which they stand.
pub(crate) fn items(source: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut doc, mut attributes) = (String::new(), Vec::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("/// ") {
            append(&mut doc, text);
        } else if line.starts_with("#[") {
            attributes.push(line.to_owned());
        } else {
            let words: Vec<&str> = line.split_whitespace().filter(|w| !w.starts_with("pub")).collect();
            let derived = attributes.iter().any(|a| a.starts_with("#[derive(") && a.contains("Deserialize"));
            if let ["struct" | "enum", name, "{"] = words[..]
                && derived
            {
                items.push(Item {
                    name: name.to_owned(),
                    doc: std::mem::take(&mut doc),
                    serde: serde_of(&attributes),
                    fields: fields(&mut lines),
                    is_enum: words[0] == "enum",
                });
                let item = items.last_mut().unwrap();
                rename_variants(item);
            }
            doc.clear();
            attributes.clear();
        }
    }
    items
}

/// Reads fields or variants up to the closing brace.
fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Field> {
    let mut fields = Vec::new();
    let (mut doc, mut attributes) = (String::new(), Vec::new());
    for line in lines.map(str::trim) {
        if line == "}" {
            return fields;
        } else if let Some(text) = line.strip_prefix("/// ") {
            append(&mut doc, text);
        } else if line.starts_with("#[") {
            assert!(line.ends_with(']'), "an attribute of more than one line: {line}");
            attributes.push(line.to_owned());
        } else if let Some(code) = line.strip_suffix(',') {
            let code = code.strip_prefix("pub(super) ").or_else(|| code.strip_prefix("pub ")).unwrap_or(code);
            let (name, kind) = code.split_once(": ").unwrap_or((code, ""));
            let serde = serde_of(&attributes);
            let renamed = serde.iter().find_map(|s| s.strip_prefix("rename = "));
            fields.push(Field {
                name: renamed.unwrap_or(name).to_owned(),
                kind: kind.to_owned(),
                doc: std::mem::take(&mut doc),
                serde,
            });
            attributes.clear();
        } else {
            panic!("no field: {line}");
        }
    }
    panic!("a struct without an end");
}

fn append(doc: &mut String, text: &str) {
    if !doc.is_empty() {
        doc.push(' ');
    }
    doc.push_str(text);
}

/// What stands in `#[serde(…)]`, without quotes.
fn serde_of(attributes: &[String]) -> Vec<String> {
    let inner = attributes.iter().filter_map(|a| a.strip_prefix("#[serde(")?.strip_suffix(")]"));
    inner.flat_map(|i| i.split(", ")).map(|part| part.replace('"', "")).collect()
}

/// Gives the variants of an enum the names that serde gives them.
fn rename_variants(item: &mut Item) {
    if !item.is_enum {
        return;
    }
    let rule = item.serde.iter().find_map(|s| s.strip_prefix("rename_all = ")).unwrap_or("none").to_owned();
    for variant in &mut item.fields {
        assert!(variant.kind.is_empty() && variant.name.chars().all(char::is_alphanumeric), "{variant:?}");
        variant.name = match rule.as_str() {
            "lowercase" => variant.name.to_lowercase(),
            "kebab-case" => {
                let mut name = String::new();
                for (index, letter) in variant.name.char_indices() {
                    if index > 0 && letter.is_uppercase() {
                        name.push('-');
                    }
                    name.extend(letter.to_lowercase());
                }
                name
            }
            other => panic!("{}: rename_all = {other:?}", item.name),
        };
    }
}
