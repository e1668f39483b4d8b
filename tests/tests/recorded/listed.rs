//! Every difference from the recordings, with its reason.

/// A difference that is meant.
pub(crate) struct Listed {
    /// The cases it is in; wherever it is met, when none is named.
    pub(crate) cases: &'static [&'static str],
    /// What differs, as [`crate::compare`] names it.
    pub(crate) what: &'static [&'static str],
    /// Why ours is better, or why it does not matter.
    pub(crate) reason: &'static str,
}

const EVERYWHERE: &[&str] = &[];

/// Cases that are not played here, by the beginning of their names, and why.
pub(crate) const NOT_PLAYED: [(&[&str], &str); 2] = [
    (&["pooling", "asic-interface"], "they have tests of their own beside this"),
    (
        &[
            "archive",
            "batch-",
            "response-negative",
            "wire-negative",
            "trust-services",
            "tls",
            "ocsp5577-interface",
        ],
        "no information system takes part: tests of the message, of signatures and of trust read these",
    ),
];

/// The differences.
pub(crate) const DIFFERENCES: [Listed; 20] = [
    //------------ what the information system sees, everywhere ---------------
    Listed {
        cases: EVERYWHERE,
        what: &["reason phrase"],
        reason: "the words after a status mean nothing (RFC 9112 §4); ours are the registered ones, Jetty \
            says `Server Error` for 500",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["letter case of header names"],
        reason: "header names have no letter case (RFC 9110 §5.1); what is signed keeps it, HTTP to the \
            client is written in lower case",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["framing: Close, ours Length", "framing: Chunked, ours Length"],
        reason: "the whole answer is verified before its first byte is passed on, so its length is known \
            and told: a client sees when one breaks off. The real server's answer to `Connection: close` \
            ends with the connection, and one that was cut looks whole",
    },
    Listed {
        cases: &["rest-head", "rest-304"],
        what: &["framing: Length, ours None"],
        reason: "the real server tells `Content-Length: 0` where there is no body, though GET would be \
            answered with one; a length there must be GET's own or be left out (RFC 9110 §8.6)",
    },
    Listed {
        cases: &["err-rest-bad-escape", "http-garbage", "http-too-long-query", "http-expect-delayed"],
        what: &["header connection"],
        reason: "the connection ends with this answer, as the caller asked or as it must after such a \
            head, and ours says so",
    },
    //------------ what the service sees, everywhere --------------------------
    Listed {
        cases: EVERYWHERE,
        what: &["service: letter case of header names"],
        reason: "as above: what is signed keeps the letter case, HTTP to the service is written in lower \
            case",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["service: first header"],
        reason: "`Host` stands first, as RFC 9110 §7.2 asks; all others keep their order",
    },
    Listed {
        cases: EVERYWHERE,
        what: &[
            "service: header user-agent: Apache-HttpClient/4.5.14 (Java/25.0.3), ours none",
            "service: header connection: Keep-Alive, ours none",
        ],
        reason: "which HTTP library a gateway is made of is nothing to a service; HTTP/1.1 keeps \
            connections unasked",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["service: header cookie: a=1, ours none"],
        reason: "the real server keeps the cookies of services and sends them with calls of whichever \
            consumer: one consumer's session in another's call. Ours keeps none, and passes on those of \
            the caller",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["service: header accept-encoding: gzip,deflate, ours none"],
        reason: "the real server asks for compression in its own name and undoes it before signing. Ours \
            asks for what the caller asks for, and signs what the service said",
    },
    Listed {
        cases: EVERYWHERE,
        what: &[
            "service: header transfer-encoding: chunked, ours none",
            "service: header content-length: ours alone",
        ],
        reason: "a SOAP message is whole before it is passed on, so its length is known and told",
    },
    //------------ single cases -----------------------------------------------
    Listed {
        cases: &["rest-gzip-asked", "rest-gzip-default"],
        what: &["header content-encoding: ours alone", "body"],
        reason: "what the service said is signed and passed on as it is, its encoding told: asked for \
            gzip, the caller gets gzip. Who says nothing of encodings takes any (RFC 9110 §12.5.3); the \
            real server asked in its own name here",
    },
    Listed {
        cases: &["rest-response-headers"],
        what: &["order of headers"],
        reason: "lines of one name are written one after the other, in their order; between lines of \
            different names order means nothing (RFC 9110 §5.3). The service's own `X-Road-Service` stays \
            before the true one in both",
    },
    Listed {
        cases: &["http-10"],
        what: &["HTTP version"],
        reason: "who speaks HTTP/1.0 is answered in HTTP/1.0: it knows what `Connection: close` stands for",
    },
    Listed {
        cases: &["http-empty-xroad-id"],
        what: &["header x-road-error", "body", "service: calls"],
        reason: "the real servers carry the call, the service acts on it, and only then is its answer \
            found unreadable. Ours refuses the empty id before anything is done, with the same status",
    },
    Listed {
        cases: &["err-rest-bad-query"],
        what: &["status", "header x-road-error", "body"],
        reason: "the caller is told at once that its request is no HTTP, with 400. The real consumer's \
            server signs, logs and sends it, and the provider's says with 500 that it failed itself",
    },
    Listed {
        cases: &["err-rest-encoded-space"],
        what: &[
            "status",
            "header x-road-error: server.serverproxy.internal_error, ours none",
            "header content-type",
            "header x-road-client: ours alone",
            "header x-road-id: ours alone",
            "header x-road-request-hash: ours alone",
            "header x-road-request-id: ours alone",
            "header x-road-service: ours alone",
            "body",
            "service: calls",
        ],
        reason: "a path with an encoded space is a path. The real server decodes it to judge rights and \
            then takes the result for a URI, which fails; ours judges the decoded path and carries the \
            call",
    },
    Listed {
        cases: &["soap-resp-cdata", "soap-resp-compact"],
        what: &["body"],
        reason: "the real server writes the service's envelope anew: it adds an XML declaration, quotes \
            attributes its own way and drops processing instructions. Ours inserts the hash of the request \
            and nothing else",
    },
    Listed {
        cases: &["soap-resp-hash"],
        what: &["body"],
        reason: "a `requestHash` that the service sent is taken out whole; the real server takes the tags \
            and leaves its text lying in the header",
    },
    Listed {
        cases: &["soap-resp-latin1"],
        what: &["header content-type", "header soapaction: , ours none", "body"],
        reason: "the real server writes UTF-8 into the declaration and ISO-8859-1 behind it, which its peer \
            cannot read. Ours leaves both as they came, and the answer arrives",
    },
];
