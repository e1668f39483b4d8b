//! The form of a configuration file as JSON Schema, made from the source that reads it.

use super::json::{Json, object};
use super::source::{Field, Item, items};
use std::collections::BTreeSet;

/// Texts that have a form of their own: what each is, and its pattern. `\s` is allowed where the program trims.
const TEXTS: [(&str, &str, &str); 11] = [
    ("span", "A length of time: a whole number and ms, s, min, h or d.", r"^\s*[0-9]+\s*(ms|s|min|h|d)\s*$"),
    ("longSpan", "A length of time: a whole number and s, min, h or d.", r"^\s*[0-9]+\s*(s|min|h|d)\s*$"),
    (
        "bytes",
        "A number of bytes: a whole number and B, KiB, MiB or GiB.",
        r"^\s*[0-9]+\s*(B|KiB|MiB|GiB)\s*$",
    ),
    (
        "door",
        "An address to listen on, ADDRESS:PORT with [ ] around an IPv6 address, or off.",
        r"^(off|[0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}|\[[0-9A-Fa-f:.%]+\]:[0-9]{1,5})$",
    ),
    (
        "oldest",
        "A version as gateways tell theirs, or off.",
        r"^(off|[0-9]+\.[0-9]+\.[0-9]+(-[^+]+)?(\+.*)?)$",
    ),
    ("keyKind", "A kind of key; letters may be capital.", r"^([Rr][Ss][Aa]-(2048|3072|4096)|[Pp](256|384))$"),
    ("memberId", "INSTANCE/CLASS/CODE, each part percent-encoded.", r"^[^/]+/[^/]+/[^/]+$"),
    (
        "clientId",
        "INSTANCE/CLASS/CODE/SUBSYSTEM, or without the last for the member itself; each part percent-encoded.",
        r"^[^/]+/[^/]+/[^/]+(/[^/]+)?$",
    ),
    ("serverId", "INSTANCE/CLASS/CODE/SERVER, each part percent-encoded.", r"^[^/]+/[^/]+/[^/]+/[^/]+$"),
    ("groupId", "INSTANCE/CODE of a global group.", r"^[^/]+/.+$"),
    ("url", "http:// or https://, with a host.", r"^[Hh][Tt][Tt][Pp][Ss]?://[^/@?#]+([/?][^#@]*)?$"),
];

/// The schema of the file that `sources` read with the struct `File`, or with the first one there is.
pub(crate) fn schema(title: &str, about: &str, sources: &[&str]) -> Json {
    let items: Vec<Item> = sources.iter().flat_map(|source| items(source)).collect();
    let mut form = Form { items: &items, used: BTreeSet::new() };
    let whole = items.iter().find(|item| item.name == "File").or(items.first());
    let whole = whole.expect("the struct of the whole file");
    let written = form.table(whole, object([("title", title.into()), ("description", about.into())]));
    // what the root names may name others: until nothing new comes
    let mut texts = Vec::new();
    let mut tables: Vec<(String, Json)> = Vec::new();
    while let Some(name) = form.used.iter().find(|n| tables.iter().all(|(done, _)| done != *n)).cloned() {
        let item = items.iter().find(|item| key_of(&item.name) == name);
        let content = match (item, TEXTS.iter().find(|(key, ..)| *key == name)) {
            (Some(item), None) if item.is_enum => words(item),
            (Some(item), None) => {
                form.table(item, object([("description", plain(&item.doc).as_str().into())]))
            }
            (None, Some((_, about, pattern))) => {
                texts.push(name.clone());
                object([
                    ("description", (*about).into()),
                    ("type", "string".into()),
                    ("pattern", (*pattern).into()),
                ])
            }
            (item, text) => panic!("{name}: {item:?} {text:?}"),
        };
        tables.push((name, content));
    }
    tables.sort_by_key(|(name, _)| (texts.contains(name), name.clone()));
    let Json::Object(mut keys) = written else { panic!("no object") };
    keys.insert(0, ("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into()));
    if tables.is_empty() {
        Json::Object(keys)
    } else {
        Json::Object(keys).with("$defs", Json::Object(tables))
    }
}

struct Form<'a> {
    items: &'a [Item],
    used: BTreeSet<String>,
}

impl Form<'_> {
    /// A table of TOML.
    fn table(&mut self, item: &Item, about: Json) -> Json {
        assert!(item.is_closed(), "{} takes unknown keys", item.name);
        let mut keys = about.with("type", "object");
        let required = item.fields.iter().filter(|f| !item.has_default() && !f.is_optional());
        let required: Vec<Json> = required.map(|f| f.name.as_str().into()).collect();
        for field in &item.fields {
            let is_required = required.contains(&field.name.as_str().into());
            assert!(!field.doc.is_empty(), "{}.{} says nothing", item.name, field.name);
            assert!(
                !(is_required && field.doc.contains("Default:"))
                    && (is_required || !field.doc.contains("Required")),
                "{}.{}: documentation and attributes disagree on whether it is required",
                item.name,
                field.name
            );
        }
        if !required.is_empty() {
            keys = keys.with("required", Json::List(required));
        }
        if item.doc.contains("exactly one key") {
            keys = keys.with("minProperties", Json::Number(1)).with("maxProperties", Json::Number(1));
        }
        let properties = item.fields.iter().map(|field| (field.name.clone(), self.property(field)));
        let properties = Json::Object(properties.collect());
        keys.with("additionalProperties", Json::Truth(false)).with("properties", properties)
    }

    /// A key of a table: what it is, its default, its form.
    fn property(&mut self, field: &Field) -> Json {
        let mut keys = object([("description", plain(&field.doc).as_str().into())]);
        if let Some(default) = default_of(&field.doc) {
            keys = keys.with("default", default);
        }
        let content = if field.name == "version" && field.doc.starts_with("Version of this format") {
            object([("const", Json::Number(1))])
        } else {
            self.kind(&field.kind, field.reader(), &field.doc)
        };
        let Json::Object(content) = content else { panic!("no object") };
        content.into_iter().fold(keys, |keys, (key, value)| keys.with(&key, value))
    }

    /// The form of a type.
    fn kind(&mut self, kind: &str, reader: Option<&str>, doc: &str) -> Json {
        let inner = |outer: &str| kind.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>');
        if let Some(inner) = inner("Spanned").or_else(|| inner("Option")) {
            return self.kind(inner, reader, doc);
        }
        if let Some(inner) = inner("Vec") {
            let items = self.kind(inner, reader, doc);
            let list = object([("type", "array".into()), ("items", items)]);
            return if doc.contains("At least one") { list.with("minItems", Json::Number(1)) } else { list };
        }
        let number = |max: u64| {
            object([("type", "integer".into()), ("minimum", Json::Number(0)), ("maximum", Json::Number(max))])
        };
        match (kind, reader) {
            ("Duration", Some("span")) => self.named("span"),
            ("u64", Some("bytes")) => self.named("bytes"),
            ("Span", None) => self.named("longSpan"),
            ("Door", None) => self.named("door"),
            ("KeySpec", None) => self.named("keyKind"),
            ("Oldest", None) => self.named("oldest"),
            ("ClientId", Some("id")) => self.named("clientId"),
            ("ServerId", Some("ids")) => self.named("serverId"),
            ("bool", None) => object([("type", "boolean".into())]),
            ("u8", None) => number(u64::from(u8::MAX)),
            ("u16", None) => number(u64::from(u16::MAX)),
            ("u32", None) => number(u64::from(u32::MAX)),
            ("u64" | "usize", None) => number(i64::MAX as u64),
            ("String", None) if doc.contains("`INSTANCE/CLASS/CODE/SERVER`") => self.named("serverId"),
            ("String", None) if doc.contains("`INSTANCE/CLASS/CODE/SUBSYSTEM`") => self.named("clientId"),
            ("String", None) if doc.contains("`INSTANCE/CLASS/CODE`") => self.named("memberId"),
            ("String", None) if doc.contains("`INSTANCE/CODE`") => self.named("groupId"),
            ("String", None) if doc.contains("`http://…` or `https://…`") => self.named("url"),
            ("String" | "PathBuf", None) => object([("type", "string".into())]),
            (other, None) if self.items.iter().any(|item| item.name == other) => self.named(&key_of(other)),
            (other, reader) => panic!("no form is known of {other} read by {reader:?}"),
        }
    }

    fn named(&mut self, name: &str) -> Json {
        self.used.insert(name.to_owned());
        object([("$ref", format!("#/$defs/{name}").as_str().into())])
    }
}

/// The name of a table's form: `WrittenClient` is `client`.
fn key_of(name: &str) -> String {
    let short = name.strip_prefix("Written").unwrap_or(name);
    let (first, rest) = short.split_at(1);
    first.to_lowercase() + rest
}

/// An enum: the words that may stand, and what each means.
fn words(item: &Item) -> Json {
    let each = item.fields.iter().map(|v| format!("{}: {}", v.name, plain(&v.doc).trim_end_matches('.')));
    let about = format!("{} {}.", plain(&item.doc), each.collect::<Vec<_>>().join("; "));
    let names = item.fields.iter().map(|v| v.name.as_str().into()).collect();
    object([("description", about.as_str().into()), ("enum", Json::List(names))])
}

/// Documentation as it is shown by editors: without the marks of code.
fn plain(doc: &str) -> String {
    doc.replace('`', "")
}

/// The default that a field documents, if it is one that could stand in the file.
fn default_of(doc: &str) -> Option<Json> {
    let written = doc.rsplit_once("Default: `")?.1.strip_suffix("`.")?;
    Some(match (written, written.parse()) {
        ("true", _) => Json::Truth(true),
        ("false", _) => Json::Truth(false),
        ("[]", _) => Json::List(Vec::new()),
        (_, Ok(number)) => Json::Number(number),
        (text, Err(_)) => text.into(),
    })
}
