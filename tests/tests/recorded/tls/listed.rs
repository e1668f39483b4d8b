//! Every difference of handshakes, with its reason.

use crate::listed::Listed;

const EVERYWHERE: &[&str] = &[];
const JAVA: &[&str] = &["rsa/tls/three-calls.pcap"];

/// The differences.
pub(crate) const DIFFERENCES: [Listed; 15] = [
    //------------ what is meant ----------------------------------------------
    Listed {
        cases: EVERYWHERE,
        what: &[
            "suite: ECDHE-RSA-AES256-SHA384, ours ECDHE-RSA-AES256-GCM-SHA384",
            "suite: ECDHE-ECDSA-AES256-SHA384, ours ECDHE-ECDSA-AES256-GCM-SHA384",
        ],
        reason: "the caller offers better than CBC, and gets it; real servers offer none better",
    },
    Listed {
        cases: &["rsa/tls/gcm-only.txt", "ec/tls/gcm-only.txt"],
        what: &["way: alert 40, ours TLSv1.2"],
        reason: "as above: who can do without CBC is served",
    },
    Listed {
        cases: &["rsa/tls/default-any-version.txt", "ec/tls/default-any-version.txt"],
        what: &["way: TLSv1.2, ours TLSv1.3"],
        reason: "TLS 1.3 is what gateways of our kind speak",
    },
    Listed {
        cases: &["rsa/tls/tls13-only.txt", "ec/tls/tls13-only.txt"],
        what: &["way: alert 70, ours TLSv1.3"],
        reason: "as above",
    },
    Listed {
        cases: &["rsa/tls/dhe.txt"],
        what: &["way: TLSv1.2, ours alert 40"],
        reason: "who has the DHE suite has an ECDHE one, too; nobody but a test lists it alone",
    },
    Listed { cases: JAVA, what: &["offer of suite: 006b, ours none"], reason: "as above, when we call" },
    Listed {
        cases: &["rsa/tls/curve-p521.txt"],
        what: &["way: TLSv1.2, ours alert 40"],
        reason: "ring has no P-521; real clients list X25519 and P-256 before it",
    },
    //------------ what rustls does -------------------------------------------
    Listed {
        cases: &["rsa/tls/no-client-cert.txt", "ec/tls/no-client-cert.txt"],
        what: &["alert: 40, ours 116"],
        reason: "rustls says certificate_required in TLS 1.2, too, and lets nobody choose the alert. Both are \
            fatal, and both come in place of the server's Finished",
    },
    Listed {
        cases: &["rsa/tls/tls11.txt", "ec/tls/tls11.txt"],
        what: &["way: alert 70, ours alert 40"],
        reason: "rustls misses the list of signature algorithms, which TLS 1.1 has not, before it looks at \
            the version. It shows such a hello to nobody, so the alert cannot be chosen",
    },
    Listed {
        cases: &["ec/tls/curve-x25519.txt"],
        what: &["way: alert 40, ours alert none"],
        reason: "rustls does not hold the curve of our certificate against the curves that the caller lists; \
            this caller itself then turns away. Either way nobody is served",
    },
    Listed {
        cases: EVERYWHERE,
        what: &["ticket lifetime: 600 (seconds), ours 43200 (seconds)"],
        reason: "nothing rests on how long a session lives: who the peer is, is looked up with each message",
    },
    Listed {
        cases: JAVA,
        what: &["call 2: way: 2, 4, ours 2, 11, 12, 13, 14", "call 3: way: 2, 4, ours 2, 11, 12, 13, 14"],
        reason: "the Java client shows a ticket of the recorded server, which ours cannot read, and shakes \
            hands anew; that ours reads its own is in `ticket-reconnect.txt`",
    },
    //------------ what is verified -------------------------------------------
    Listed {
        cases: EVERYWHERE,
        what: &[
            "certificate type DSA sign: asked for, ours none",
            "signature algorithm DSA+SHA224: asked for, ours none",
            "signature algorithm DSA+SHA256: asked for, ours none",
            "signature algorithm ECDSA+SHA224: asked for, ours none",
            "signature algorithm ECDSA+SHA512: asked for, ours none",
            "signature algorithm RSA+SHA224: asked for, ours none",
            "signature algorithm ed448: asked for, ours none",
            "signature algorithm rsa_pss_pss_sha256: asked for, ours none",
            "signature algorithm rsa_pss_pss_sha384: asked for, ours none",
            "signature algorithm rsa_pss_pss_sha512: asked for, ours none",
        ],
        reason: "a gateway's key is RSA or ECDSA P-256; all that such a key signs well with is asked for",
    },
    Listed {
        cases: JAVA,
        what: &[
            "call 1: certificate type 2: asked for, ours none",
            "call 1: scheme 0301: asked for, ours none",
            "call 1: scheme 0302: asked for, ours none",
            "call 1: scheme 0303: asked for, ours none",
            "call 1: scheme 0402: asked for, ours none",
            "call 1: scheme 0603: asked for, ours none",
            "call 1: scheme 0808: asked for, ours none",
            "call 1: scheme 0809: asked for, ours none",
            "call 1: scheme 080a: asked for, ours none",
            "call 1: scheme 080b: asked for, ours none",
            "offer of scheme: 0301, ours none",
            "offer of scheme: 0302, ours none",
            "offer of scheme: 0303, ours none",
            "offer of scheme: 0402, ours none",
            "offer of scheme: 0603, ours none",
            "offer of scheme: 0808, ours none",
            "offer of scheme: 0809, ours none",
            "offer of scheme: 080a, ours none",
            "offer of scheme: 080b, ours none",
            // P-521, X448 and finite fields; those that servers choose are there.
            "offer of group: 0019, ours none",
            "offer of group: 001e, ours none",
            "offer of group: 0100, ours none",
            "offer of group: 0101, ours none",
            "offer of group: 0102, ours none",
            "offer of group: 0103, ours none",
            "offer of group: 0104, ours none",
            // status_request_v2 and signature_algorithms_cert say nothing new; renegotiation_info is said as a suite.
            "offer of extension: 0011, ours none",
            "offer of extension: 0032, ours none",
            "offer of extension: ff01, ours none",
        ],
        reason: "as above; of what the recorded servers choose, nothing is missing",
    },
    Listed {
        cases: EVERYWHERE,
        what: &[
            "digest: SHA256, ours SHA512",
            "call 1: scheme: 0804, ours 0806",
            "order of authorities: O = DEV PKI, CN = DEV Intermediate CA, O = DEV PKI, CN = DEV Test CA, \
             ours O = DEV PKI, CN = DEV Test CA, O = DEV PKI, CN = DEV Intermediate CA",
        ],
        reason: "of what the caller takes anything may be chosen, and the order in which authorities are \
            named says nothing (RFC 5246 §7.4.4)",
    },
];
