//! The cases as they are listed, and those whose outcome is another one, each with its reason.

use saatkond_tests::recorded;
use std::collections::HashMap;
use std::path::PathBuf;

/// A case.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// Whether the information system asks over HTTPS.
    pub(crate) is_tls: bool,
    /// Whether the suite plays the provider's gateway.
    pub(crate) has_door: bool,
    /// What is asked; empty for what the case makes itself.
    pub(crate) request: String,
    /// The content type of that.
    pub(crate) request_type: String,
    /// What is answered; empty for what the case makes itself.
    pub(crate) answer: String,
    /// The content type of that.
    pub(crate) answer_type: String,
    /// The HTTP method.
    pub(crate) method: String,
    /// What must come of it.
    pub(crate) expected: Expected,
    folder: PathBuf,
}

/// What must come of a case.
#[derive(Debug)]
pub(crate) enum Expected {
    /// The answer.
    Normal,
    /// A fault with this code.
    Fault(String),
    /// A fault whose code begins so.
    FaultBegins(String),
    /// A fault.
    SomeFault,
}

/// A case whose outcome with us is another one.
pub(crate) struct Otherwise {
    /// The case.
    pub(crate) case: &'static str,
    /// The code that comes; empty for the answer.
    pub(crate) code: &'static str,
    /// Why.
    pub(crate) why: &'static str,
}

/// Cases whose outcome is not the one that X-Road's suite demands.
pub(crate) const OTHERWISE: &[Otherwise] = &[
    Otherwise { case: "ServerProxyConnectionAborted", code: UNKNOWN, why: TOLD_APART },
    Otherwise { case: "ServerProxyConnectionAborted2", code: UNKNOWN, why: TOLD_APART },
    Otherwise { case: "ServerProxyConnectionAborted3", code: UNKNOWN, why: TOLD_APART },
    Otherwise {
        case: "SslClientAuthExpiredISCert",
        code: "",
        why: "the fault is that of a server on which enforce-client-is-cert-validity-period-check is set; it is not \
              by default, and with us it cannot be",
    },
    Otherwise { case: "SslClientAuthNoISCert", code: "", why: NO_SUCH_FILE },
    Otherwise { case: "SslToServiceNoISCerts", code: "", why: NO_SUCH_FILE },
];
const UNKNOWN: &str = "server.clientproxy.outcome_unknown";
const TOLD_APART: &str =
    "the request was handed over whole: a caller must be told apart a call that may have taken effect";
const NO_SUCH_FILE: &str =
    "a server.toml that demands certificates and names none is refused; the earlier one stays in force";

impl Case {
    /// A file that the case names, with the id of this exchange in the place of the one it has. Seen: X-Road's suite.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        let bytes = std::fs::read(self.folder.join("proxy-queries").join(name)).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let id = regex_lite::Regex::new("<xroad:id>.*</xroad:id>").unwrap();
        id.replace_all(&text, format!("<xroad:id>{}</xroad:id>", self.name)).into_owned().into_bytes()
    }
}

/// Reads the list; `None`, said plainly, when it is not here.
pub(crate) fn cases() -> Option<Vec<Case>> {
    let folder = recorded::folder()?.join("xroad");
    let text = std::fs::read_to_string(folder.join("proxy-testcases.csv")).unwrap();
    let mut lines = text.lines();
    let names = fields(lines.next().unwrap());
    let case = |line: &str| {
        let row: HashMap<String, String> = names.iter().cloned().zip(fields(line)).collect();
        let field = |name: &str| row[name].clone();
        let content_type = |name: &str| match row[name].as_str() {
            "" => "text/xml; charset=UTF-8".to_owned(),
            expression => java_text(expression),
        };
        let code = field("fault_code");
        let expected = match (row["expected"].as_str(), code.strip_prefix("prefix ")) {
            ("normal", _) => Expected::Normal,
            (_, Some(code)) => Expected::FaultBegins(code.to_owned()),
            _ if code.is_empty() => Expected::SomeFault,
            _ => Expected::Fault(code),
        };
        Case {
            name: field("testcase"),
            is_tls: field("base").contains("Ssl"),
            has_door: !row["marker"].is_empty(),
            request: field("request_file"),
            // The one case that says it in its code.
            request_type: match row["testcase"].as_str() {
                "AttachmentBig" => {
                    "multipart/related; charset=UTF-8; boundary=jetty771207119h3h10dty".to_owned()
                }
                _ => content_type("request_content_type"),
            },
            answer: field("response_file"),
            answer_type: content_type("response_content_type"),
            method: if row["http_method"].is_empty() { "POST".to_owned() } else { field("http_method") },
            expected,
            folder: folder.clone(),
        }
    };
    Some(lines.filter(|line| !line.is_empty()).map(case).collect())
}

/// The fields of a line, where a quote inside quotes is doubled.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted, mut chars) = (vec![String::new()], false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                fields.last_mut().unwrap().extend(chars.next());
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

/// The value of what stands in X-Road's source: texts and a constant, added.
fn java_text(expression: &str) -> String {
    let value = |term: &str| match term.trim().strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        Some(text) => text.replace("\\\"", "\""),
        None => {
            assert!(matches!(term.trim(), "TEXT_XML" | "MimeTypes.TEXT_XML"), "{term}");
            "text/xml".to_owned()
        }
    };
    expression.split(" + ").map(value).collect()
}
