//! What a door says of a call that it does not serve, so that the one who asked may know where to go.
//!
//! ```text
//! 503 Service Unavailable
//! X-Road-Error: server.serverproxy.continuity.not_authority
//! X-Road-Cont-Retry: safe;site=lux1
//! ```
//!
//! In a signed block this is the provider's own word that nothing was executed, and the only one by which a write may go to
//! another door. A gateway that knows nothing of it passes it on as an answer with status 503.

use super::header::RETRY;
use crate::message::rest::{Response, name};

/// The HTTP status of a signed refusal.
pub const STATUS: u16 = 503;
/// The word of a code that says that the door does not lead the register. Both casings of X-Road's codes are read.
const NOT_AUTHORITY: [&str; 2] = ["continuity.not_authority", "Continuity.NotAuthority"];

/// The value of `X-Road-Cont-Retry` for a call that was not executed and may be tried at `site`.
#[must_use]
pub fn safe_at(site: &str) -> String {
    format!("safe;site={site}")
}

/// The site to which a signed answer sends a call that was not executed: the answer is a refusal by a door that does not
/// lead, and names who does. The caller has verified the answer's signature.
#[must_use]
pub fn sends_to(response: &Response) -> Option<&str> {
    let code = response.headers.last(name::ERROR)?.trim();
    let is_refusal = NOT_AUTHORITY
        .iter()
        .any(|end| code.strip_suffix(end).is_some_and(|origin| origin.ends_with('.') && origin.len() > 1));
    if response.status != STATUS || !is_refusal {
        return None;
    }
    let mut parts = response.headers.last(RETRY)?.split(';').map(str::trim);
    if parts.next() != Some("safe") {
        return None;
    }
    parts.find_map(|part| part.strip_prefix("site=")).filter(|site| !site.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::rest::{Headers, Request};

    fn response(status: u16, code: &str, retry: &str) -> Response {
        let request = "GET\r\n/r1/DEV/GOV/M2/LAND/land\r\nx-road-client:DEV/GOV/M1/TAX\r\nx-road-id:1\r\nx-road-request-id:2\r\n";
        let request = Request::from_block(request.as_bytes().to_vec()).unwrap();
        let mut headers = Headers::default();
        headers.push("X-Road-Error", code);
        let mut told = Headers::default();
        told.push(RETRY, retry);
        let asked = (&request, &[1; 64][..]);
        Response::from_service(status, "Service Unavailable", &headers, told, asked).unwrap()
    }

    #[test]
    fn only_a_refusal_that_names_a_site_sends_on() {
        let ours = "server.serverproxy.continuity.not_authority";
        let sends = |status: u16, code: &str, retry: &str| {
            sends_to(&response(status, code, retry)).map(str::to_owned)
        };
        let lux = Some("lux1".to_owned());
        assert_eq!(sends(503, ours, &safe_at("lux1")), lux);
        assert_eq!(sends(503, "Server.ServerProxy.Continuity.NotAuthority", "safe; site=lux1; after=1"), lux);
        assert_eq!(sends(500, ours, "safe;site=lux1"), None);
        assert_eq!(sends(503, "server.serverproxy.continuity.read_only", "safe;site=lux1"), None);
        assert_eq!(sends(503, "not_authority", "safe;site=lux1"), None);
        assert_eq!(sends(503, "discontinuity.not_authority", "safe;site=lux1"), None);
        for retry in ["never;site=lux1", "safe", "safe;site=", "site=lux1;safe", "with-key;site=lux1"] {
            assert_eq!(sends(503, ours, retry), None, "{retry}");
        }
    }
}
