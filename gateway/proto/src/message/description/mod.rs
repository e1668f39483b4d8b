//! What services say of themselves: WSDL and OpenAPI documents, read for the names of services and endpoints.
//!
//! | file | what it holds |
//! |---|---|
//! | [`wsdl`] | WSDL 1.1: the services of its operations |
//! | [`openapi`] | OpenAPI 3.0 and 3.1: the endpoints of one service |
//! | `tree` | JSON and YAML, read whole within bounds |

pub mod openapi;
mod tree;
pub mod wsdl;

pub use tree::TreeError;

/// Whether a text may be a service's code or version.
///
/// Seen: X-Road 7.8 `LegacyEncodedIdentifierValidator.java`: whatever is none of these cannot be administered there.
#[must_use]
pub fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || ":;/\\%".contains(c))
}

/// Whether a code or version has only characters that X-Road takes from a new installation on.
///
/// Seen: X-Road 7.8 `StrictIdentifierValidator.java`.
#[must_use]
pub fn is_strict_code(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "'()+,-.=?".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen: X-Road's `LegacyEncodedIdentifierValidatorTest` and `StrictIdentifierValidatorTest`.
    #[test]
    fn codes_have_no_character_that_addresses_something() {
        for (text, may, strictly) in [
            ("getRandom", true, true),
            ("v1.0-(a)", true, true),
            ("get_random", true, false),
            ("küsi", true, false),
            ("", false, false),
            ("a:b", false, false),
            ("a;b", false, false),
            ("a/b", false, false),
            ("a\\b", false, false),
            ("a%b", false, false),
            ("a\u{80}b", false, false),
            ("a\nb", false, false),
        ] {
            assert_eq!((is_code(text), is_strict_code(text)), (may, strictly), "{text:?}");
        }
    }
}
