//! What trust services state: the instance's trust, OCSP responses, time-stamp tokens.

use super::Collection;
use crate::vectors::judge::certificate;
use crate::vectors::pki::{AT, FRESHNESS, Party, Pki, later, now, says};
use crate::vectors::{Piece, Vector};
use saatkond_proto::time::UnixTime;
use saatkond_proto::trust::ocsp::Status;

pub(super) fn add(made: &mut Collection, pki: &Pki) {
    let shared = pki.shared();
    let what = "The shared parameters of instance DEV: whom the other vectors name as their trust";
    let trust = Vector::new("trust", what, "PR-GCONF; trust-and-configuration §2.2")
        .with("version", &shared.version.to_string())
        .accepted()
        .told("instance", "DEV")
        .told("authorities", "2")
        .told("stamping authorities", "2")
        .told("members", "4");
    made.add("dev", trust.as_is(&shared.to_xml(shared.version).unwrap()));
    ocsp(made, pki);
    timestamps(made, pki);
}

fn ocsp(made: &mut Collection, pki: &Pki) {
    let begin = |what: &str, at: UnixTime| {
        Vector::new("ocsp", what, "RFC 6960; message-path §5.3")
            .with("trust", "dev")
            .with("at", &at.to_string())
            .with("freshness", &FRESHNESS.to_string())
    };
    let pieces = |of: &Party, issuer: &Party, response: &[u8]| {
        [
            Piece::new("CERTIFICATE", of.certificate.der()),
            Piece::new("ISSUER", issuer.certificate.der()),
            Piece::new("OCSP RESPONSE", response),
        ]
    };
    let next = later(86_400).to_string();
    let mut accept = |name: &str, what: &str, told: &str, of: &Party, issuer: &Party, response: &[u8]| {
        let vector = begin(what, now()).accepted().told("status", told);
        let vector = vector.told("this update", AT).told("next update", &next);
        made.add(name, vector.in_pieces(&pieces(of, issuer, response)));
    };
    let (root, middle) = (&pki.root, &pki.middle);
    let good = pki.says(root, &pki.m1.certificate, Status::Good, now());
    accept("good", "Good, by the responder that the instance lists", "good", &pki.m1, root, &good);
    let own = says(root, root, &pki.m2.certificate, Status::Good, now());
    accept("good-by-authority", "Good, by the authority itself, with RSA", "good", &pki.m2, root, &own);
    let delegated = pki.says(middle, &pki.m3.certificate, Status::Good, now());
    accept(
        "good-by-delegate",
        "Good, by a responder whom the authority delegated; its certificate is sent along",
        "good",
        &pki.m3,
        middle,
        &delegated,
    );
    let at = later(0);
    let revoked = pki.says(root, &pki.m1.certificate, Status::Revoked { at }, now());
    accept("revoked", "Revoked", &format!("revoked {AT}"), &pki.m1, root, &revoked);
    let unknown = pki.says(root, &pki.m1.certificate, Status::Unknown, now());
    accept("unknown", "Unknown", "unknown", &pki.m1, root, &unknown);

    let mut refuse = |name: &str, what: &str, code: &str, at: UnixTime, of: &Party, response: &[u8]| {
        let issuer = if std::ptr::eq(of, &raw const pki.m3) { middle } else { root };
        made.add(name, begin(what, at).refused(code).in_pieces(&pieces(of, issuer, response)));
    };
    let info = "incorrect_validation_info";
    refuse("stale", "Older than the instance allows", info, later(FRESHNESS + 1), &pki.m1, &good);
    let ahead = pki.says(root, &pki.m1.certificate, Status::Good, later(301));
    refuse("ahead", "Of more than five minutes ahead", info, now(), &pki.m1, &ahead);
    refuse("other-certificate", "Of another certificate", "cert_validation", now(), &pki.m2, &good);
    let forged = says(&pki.stranger_ca, root, &pki.m1.certificate, Status::Good, now());
    refuse("stranger", "By nobody who may speak for the authority", info, now(), &pki.m1, &forged);
    let upward = says(&pki.delegate, root, &pki.m1.certificate, Status::Good, now());
    refuse("delegate-of-another", "By the delegate of another authority", info, now(), &pki.m1, &upward);
    let member = says(&pki.m2, root, &pki.m1.certificate, Status::Good, now());
    refuse(
        "not-a-responder",
        "By a certificate of the authority that is no responder's",
        info,
        now(),
        &pki.m1,
        &member,
    );
    let sibling = says(&pki.responder, middle, &pki.m3.certificate, Status::Good, now());
    refuse(
        "responder-of-another",
        "By the listed responder of another authority",
        info,
        now(),
        &pki.m3,
        &sibling,
    );
    refuse(
        "trailing",
        "One octet after the response",
        info,
        now(),
        &pki.m1,
        &[good.as_slice(), &[0]].concat(),
    );
    refuse("try-later", "A response that is none: tryLater", info, now(), &pki.m1, &[0x30, 3, 0x0a, 1, 3]);
    refuse("empty", "No octets", info, now(), &pki.m1, &[]);
}

fn timestamps(made: &mut Collection, pki: &Pki) {
    let begin = |what: &str| {
        Vector::new("timestamp", what, "RFC 3161; RFC 5816; message-path §7.4").with("trust", "dev")
    };
    let pieces =
        |bytes: &[u8], token: &[u8]| [Piece::new("STAMPED", bytes), Piece::new("TIMESTAMP TOKEN", token)];
    let bytes = b"what is stamped";
    for (name, tsa, what) in [
        ("rsa", &pki.tsa, "A time-stamp by an approved authority, RSA"),
        ("p256", &pki.tsa_ec, "A time-stamp by an approved authority, P-256"),
    ] {
        let token = pki.stamp(tsa, bytes, later(7));
        let vector = begin(what).accepted().told("time", &later(7).to_string()).told("serial", "2a");
        let vector = vector.told("authority", &certificate(&tsa.certificate));
        made.add(name, vector.in_pieces(&pieces(bytes, &token)));
    }
    let mut refuse = |name: &str, what: &str, code: &str, token: &[u8], bytes: &[u8]| {
        made.add(name, begin(what).refused(code).in_pieces(&pieces(bytes, token)));
    };
    let good = pki.stamp(&pki.tsa, bytes, later(7));
    refuse("other-bytes", "For other octets", "malformed_signature", &good, b"what was not stamped");
    let forged = pki.stamp(&pki.stranger_ca, bytes, later(7));
    refuse(
        "stranger",
        "By an authority that nobody approves",
        "mlog.tsp_certificate_not_found",
        &forged,
        bytes,
    );
    let early = UnixTime::from_rfc3339("2025-12-31T23:59:59Z").unwrap();
    let early = pki.stamp(&pki.tsa, bytes, early);
    refuse(
        "before-its-authority",
        "Of a time when the authority's certificate did not hold yet: X-Road takes it",
        "mlog.timestamp_signer_verification_failed",
        &early,
        bytes,
    );
    refuse(
        "trailing",
        "One octet after the token",
        "malformed_signature",
        &[good.as_slice(), &[0]].concat(),
        bytes,
    );
    refuse("empty", "No octets", "malformed_signature", &[], bytes);
}
