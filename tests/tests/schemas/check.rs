//! Holds a document against a schema, as far as the schemas of this repository go; an unknown keyword fails the test.

use serde_json::Value;

/// What is wrong with `document`, each with its place; empty when it has the form.
pub(crate) fn errors(schema: &Value, document: &Value) -> Vec<String> {
    let mut check = Check { whole: schema, errors: Vec::new() };
    check.value(schema, document, "");
    check.errors
}

struct Check<'a> {
    whole: &'a Value,
    errors: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, found: &Value, place: &str) {
        for (keyword, wanted) in schema.as_object().unwrap() {
            let count = found.as_object().map_or(0, serde_json::Map::len) as u64;
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "properties" => true,
                "$ref" => {
                    let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                    self.value(self.whole.pointer(pointer).unwrap(), found, place);
                    true
                }
                "type" => match wanted.as_str().unwrap() {
                    "object" => found.is_object(),
                    "array" => found.is_array(),
                    "string" => found.is_string(),
                    "boolean" => found.is_boolean(),
                    "integer" => found.is_i64() || found.is_u64(),
                    other => panic!("type {other}"),
                },
                "const" => found == wanted,
                "enum" => wanted.as_array().unwrap().contains(found),
                "required" => {
                    wanted.as_array().unwrap().iter().all(|k| found.get(k.as_str().unwrap()).is_some())
                }
                "minProperties" => !found.is_object() || count >= wanted.as_u64().unwrap(),
                "maxProperties" => !found.is_object() || count <= wanted.as_u64().unwrap(),
                "minItems" => found.as_array().is_none_or(|a| a.len() as u64 >= wanted.as_u64().unwrap()),
                "minimum" => found.as_i64().is_none_or(|n| n >= wanted.as_i64().unwrap()),
                "maximum" => found.as_u64().is_none_or(|n| n <= wanted.as_u64().unwrap()),
                "pattern" => {
                    let pattern = regex_lite::Regex::new(wanted.as_str().unwrap()).unwrap();
                    found.as_str().is_none_or(|text| pattern.is_match(text))
                }
                "items" => {
                    for (index, item) in found.as_array().into_iter().flatten().enumerate() {
                        self.value(wanted, item, &format!("{place}/{index}"));
                    }
                    true
                }
                "additionalProperties" => {
                    assert_eq!(wanted, &Value::Bool(false));
                    self.keys(schema, found, place);
                    true
                }
                other => panic!("keyword {other}"),
            };
            if !holds {
                self.errors.push(format!("{place}: {found} breaks {keyword}: {wanted}"));
            }
        }
    }

    fn keys(&mut self, schema: &Value, found: &Value, place: &str) {
        for (key, value) in found.as_object().into_iter().flatten() {
            match schema["properties"].get(key) {
                Some(wanted) => self.value(wanted, value, &format!("{place}/{key}")),
                None => self.errors.push(format!("{place}: no key {key}")),
            }
        }
    }
}
