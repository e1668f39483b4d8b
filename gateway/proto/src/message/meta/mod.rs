//! Metaservices: what gateways tell of the instance, of services and of their descriptions.
//!
//! Spec: PR-META, PR-MREST; message-path §1.7. Written byte for byte as X-Road 7.8 writes it.
//!
//! | file | what it holds |
//! |---|---|
//! | [`clients`] | `listClients`: members and subsystems of an instance |
//! | [`methods`] | `listMethods` and `allowedMethods`: the services of a provider |
//! | [`addresses`] | `getWsdl` and `getOpenAPI`: descriptions without the addresses of services |
//! | [`govstack`] | the same as a directory in GovStack's words |

pub mod addresses;
pub mod clients;
pub mod govstack;
pub mod methods;

use super::rest::Method;
use crate::xml::escape;

/// A question that a provider's gateway answers in the service's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metaservice {
    /// Which services there are.
    ListMethods,
    /// Which of them the client may call.
    AllowedMethods,
    /// The WSDL that describes a service; SOAP only.
    GetWsdl,
    /// The OpenAPI document that describes a service; REST only.
    GetOpenApi,
}

impl Metaservice {
    /// That which a REST call of this service is for. Seen: by another method than GET it is an unknown service.
    #[must_use]
    pub fn by_rest(method: Method, code: &str) -> Option<Self> {
        match (method, code) {
            (Method::Get, "listMethods") => Some(Self::ListMethods),
            (Method::Get, "allowedMethods") => Some(Self::AllowedMethods),
            (Method::Get, "getOpenAPI") => Some(Self::GetOpenApi),
            _ => None,
        }
    }

    /// That which a SOAP call of this service is for, whatever its version.
    #[must_use]
    pub fn by_soap(code: &str) -> Option<Self> {
        match code {
            "listMethods" => Some(Self::ListMethods),
            "allowedMethods" => Some(Self::AllowedMethods),
            "getWsdl" => Some(Self::GetWsdl),
            _ => None,
        }
    }
}

/// Names and values in the query of a target, decoded as forms are. What does not decode stands for itself.
pub fn parameters(query: &str) -> impl DoubleEndedIterator<Item = (String, String)> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (form_decoded(name), form_decoded(value)))
}

fn form_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match (first, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(*first),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Escapes text for element content as X-Road's library does: quotes stand for themselves.
fn content(text: &str) -> String {
    escape(text).replace("&quot;", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_as_forms_are() {
        let decoded: Vec<_> = parameters("a=1&b=x+y%C3%B5&b&%61=%zz%4&d==").collect();
        let expected = [("a", "1"), ("b", "x yõ"), ("b", ""), ("a", "%zz%4"), ("d", "=")];
        assert_eq!(decoded, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn quotes_stand_for_themselves_in_content() {
        assert_eq!(content("AS \"Õun\" & <Co>\r'"), "AS \"Õun\" &amp; &lt;Co&gt;&#13;'");
    }
}
