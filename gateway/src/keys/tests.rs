//! The choice of keys.

use super::*;
use crate::testbed::{Bed, For, NOW, TestDir, member, server, write_key};
use saatkond_proto::crypto::{DigestAlgorithm, EcdsaForm};
use saatkond_proto::signature::{self, Authorities, MESSAGE, Unverified};
use saatkond_proto::trust::ocsp::Status;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// The first reason why no key serves.
fn reason(error: &NoKey) -> &str {
    &error.reasons[0]
}

fn set(statuses: &mut Statuses, bed: &Bed, of: &Arc<Certificate>, status: Status, at: UnixTime) {
    let response = Response::from_der(&bed.response(of, status, at)).unwrap();
    statuses.insert(of, Arc::new(response));
}

#[test]
fn the_registered_valid_and_good_certificate_is_chosen() {
    let (bed, dir) = (Bed::new(), TestDir::new("keys"));
    let (keys, conf, statuses) = (bed.keys(&dir.0), bed.conf(), bed.statuses());
    let auth = keys.auth(&server(), &conf, &statuses, NOW).unwrap();
    assert_eq!(auth.certificate, bed.auth.certificate);
    assert_eq!((auth.chain.len(), auth.responses.len(), auth.certified.cert.len()), (1, 1, 1));
    assert_eq!(auth.good_until, NOW.plus(Duration::from_secs(3600)), "as long as the response is fresh");
    auth.certified.keys_match().unwrap();
    let (algorithm, value) = auth.sign(b"a note").unwrap();
    let key = auth.certificate.public_key();
    assert_eq!(key.verify(algorithm, b"a note", &value, EcdsaForm::Der), Ok(()));
    let signer = keys.signer(&member(), &conf, &statuses, NOW).unwrap();
    assert_eq!(signer.material.certificate, bed.sign.certificate);
    assert_eq!(signer.material.ocsp.len(), 1);
    assert_eq!(keys.certificates().len(), 2);
}

#[test]
fn a_certificate_that_is_not_good_now_serves_for_nothing() {
    let (bed, dir) = (Bed::new(), TestDir::new("status"));
    let (keys, conf) = (bed.keys(&dir.0), bed.conf());
    let at = |statuses: &Statuses, at| {
        let auth = keys.auth(&server(), &conf, statuses, at).unwrap_err();
        let sign = keys.signer(&member(), &conf, statuses, at).unwrap_err();
        (reason(&auth).to_owned(), reason(&sign).to_owned())
    };
    let (auth, sign) = at(&Statuses::default(), NOW);
    assert!(auth.contains("no OCSP response") && sign.contains("no OCSP response"), "{auth} {sign}");
    let (auth, _) = at(&bed.statuses(), NOW.plus(Duration::from_secs(3601)));
    assert!(auth.contains("may be 3600s old"), "{auth}");
    for status in [Status::Revoked { at: NOW }, Status::Unknown] {
        let mut statuses = bed.statuses();
        set(&mut statuses, &bed, &bed.auth.certificate, status, NOW);
        set(&mut statuses, &bed, &bed.sign.certificate, status, NOW);
        let (auth, sign) = at(&statuses, NOW);
        let expected = if status == Status::Unknown { "does not know" } else { "revoked" };
        assert!(auth.contains(expected) && sign.contains(expected), "{auth} {sign}");
    }
    let (auth, sign) = at(&bed.statuses(), UnixTime::from_rfc3339("2027-06-01T00:00:00Z").unwrap());
    assert!(auth.contains("2027-01-01") && sign.contains("2027-01-01"), "{auth} {sign}");
    // A response for one certificate says nothing of another.
    let mut crossed = bed.statuses();
    let of_sign = bed.response(&bed.sign.certificate, Status::Good, NOW);
    crossed.insert(&bed.auth.certificate, Arc::new(Response::from_der(&of_sign).unwrap()));
    assert!(keys.auth(&server(), &conf, &crossed, NOW).is_err());
}

#[test]
fn an_authentication_certificate_must_be_registered_for_this_very_server() {
    let (bed, dir) = (Bed::new(), TestDir::new("registered"));
    let keys = bed.keys(&dir.0);
    let mut shared = bed.shared();
    shared.servers[0].auth_cert_hashes.clear();
    let error = keys.auth(&server(), &bed.conf_of(shared), &bed.statuses(), NOW).unwrap_err();
    assert!(reason(&error).contains("is not registered with the instance"), "{error}");
    let mut shared = bed.shared();
    shared.servers[0].id.code = "OTHER".to_owned();
    let error = keys.auth(&server(), &bed.conf_of(shared), &bed.statuses(), NOW).unwrap_err();
    assert!(reason(&error).contains("is registered for DEV/GOV/M1/OTHER"), "{error}");
}

#[test]
fn a_sign_certificate_must_name_the_member_and_be_for_signing() {
    let (bed, dir) = (Bed::new(), TestDir::new("member"));
    bed.write_keys(&dir.0);
    let open = || Keys::open(&dir.0, 1, &PinSource::none()).unwrap();
    let mut statuses = bed.statuses();
    for (holder, expected) in [
        (bed.issue("M9", For::Signing), "belongs to DEV/GOV/M9, expected DEV/GOV/M1"),
        (bed.issue("M1", For::Authentication), "may not sign"),
    ] {
        set(&mut statuses, &bed, &holder.certificate, Status::Good, NOW);
        write_key(&dir.0, "sign", &holder);
        let error = open().signer(&member(), &bed.conf(), &statuses, NOW).unwrap_err();
        assert!(reason(&error).contains(expected), "{error}");
    }
    let other = MemberId::new("DEV", "GOV", "M2");
    let error = open().signer(&other, &bed.conf(), &statuses, NOW).unwrap_err();
    assert!(error.to_string().starts_with("no key serves as sign key of DEV/GOV/M2: "), "{error}");
    // Another authority's certificate with all the right names.
    let stranger = Bed::new();
    set(&mut statuses, &stranger, &stranger.sign.certificate, Status::Good, NOW);
    write_key(&dir.0, "sign", &stranger.sign);
    assert!(open().signer(&member(), &bed.conf(), &statuses, NOW).is_err());
}

#[test]
fn the_newest_certificate_that_serves_is_taken() {
    let (bed, dir) = (Bed::new(), TestDir::new("newest"));
    bed.write_keys(&dir.0);
    // A certificate that waits to be registered is newer than the one in use, and so is one that is not asked for yet.
    let later = (2025, 6, 1);
    let waiting = bed.issue_since("TAX", For::Authentication, later);
    let renewed = bed.issue_since("M1", For::Signing, later);
    write_key(&dir.0, "waiting", &waiting);
    write_key(&dir.0, "renewed", &renewed);
    let index = fs::read_to_string(dir.0.join("keys.toml")).unwrap();
    let more = "[[key]]\nuse = \"auth\"\nname = \"waiting\"\n[[key]]\nuse = \"sign\"\nname = \"renewed\"\n";
    fs::write(dir.0.join("keys.toml"), index + more).unwrap();
    let keys = Keys::open(&dir.0, 1, &PinSource::none()).unwrap();
    let mut statuses = bed.statuses();
    let auth_at = |at, conf: &GlobalConf, statuses: &Statuses| {
        keys.auth(&server(), conf, statuses, at).unwrap().certificate
    };
    let auth = |conf: &GlobalConf, statuses: &Statuses| auth_at(NOW, conf, statuses);
    let signer = |statuses: &Statuses| {
        keys.signer(&member(), &bed.conf(), statuses, NOW).unwrap().material.certificate.clone()
    };
    assert_eq!(auth(&bed.conf(), &statuses), bed.auth.certificate);
    assert_eq!(signer(&statuses), bed.sign.certificate, "nothing is known of the newer one");
    set(&mut statuses, &bed, &waiting.certificate, Status::Good, NOW);
    set(&mut statuses, &bed, &renewed.certificate, Status::Good, NOW);
    assert_eq!(auth(&bed.conf(), &statuses), bed.auth.certificate, "the newer one is not registered");
    assert_eq!(signer(&statuses), renewed.certificate);
    let mut shared = bed.shared();
    shared.servers[0].register(waiting.certificate.der());
    let registered = bed.conf_of(shared);
    assert_eq!(auth(&registered, &statuses), bed.auth.certificate, "others may not know it yet");
    let expires = registered.expires();
    assert_eq!(auth_at(expires, &registered, &statuses), bed.auth.certificate);
    let after = expires.plus(Duration::from_secs(1));
    assert_eq!(auth_at(after, &registered, &statuses), waiting.certificate, "now everybody does");
}

#[test]
fn keys_of_a_demonstration_and_for_https_are_told_apart() {
    let (bed, dir) = (Bed::new(), TestDir::new("internal"));
    assert!(!bed.keys(&dir.0).are_a_demonstration());
    let own = bed.issue("localhost", For::Authentication);
    write_key(&dir.0, "internal", &own);
    let text = fs::read_to_string(dir.0.join("keys.toml")).unwrap();
    let text = text.replacen("version = 1", "version = 1\ndemo = true", 1);
    let key =
        "[[key]]\nuse = \"internal-tls\"\nkey = \"internal.key.pem\"\ncertificate = \"internal.cert.pem\"\n";
    fs::write(dir.0.join("keys.toml"), format!("{text}{key}")).unwrap();
    let keys = Keys::open(&dir.0, 1, &PinSource::none()).unwrap();
    assert!(keys.are_a_demonstration());
    let internal = keys.internal_tls().unwrap();
    assert_eq!(internal.cert[0].as_ref(), own.certificate.der());
    assert_eq!(keys.certificates().len(), 2, "nobody asks for the status of that one");
}

#[test]
fn nothing_prints_a_key() {
    let (bed, dir) = (Bed::new(), TestDir::new("print"));
    let (keys, conf, statuses) = (bed.keys(&dir.0), bed.conf(), bed.statuses());
    let auth = keys.auth(&server(), &conf, &statuses, NOW).unwrap();
    let signer = keys.signer(&member(), &conf, &statuses, NOW).unwrap();
    assert_eq!(format!("{keys:?}"), "Keys");
    assert!(format!("{auth:?} {signer:?}").len() < 400);
}

// --- signing -------------------------------------------------------------------

fn parts(text: &str) -> Vec<PartDigest> {
    let algorithm = DigestAlgorithm::Sha512;
    vec![PartDigest { name: MESSAGE.to_owned(), algorithm, digest: algorithm.digest(text.as_bytes()) }]
}

fn holds(bed: &Bed, text: &str, signed: &SignatureParts) -> bool {
    let conf = bed.conf();
    let unverified = Unverified {
        parts: parts(text),
        signature: signed.signature.to_vec(),
        hash_chain_result: signed.hash_chain_result.as_ref().map(|r| r.to_vec()),
        hash_chain: signed.hash_chain.clone(),
    };
    let authorities = Authorities {
        of_signer: conf.approved_cas("DEV"),
        listed: conf.all_cas(),
        policy: conf.ocsp_policy(),
    };
    signature::verify_by(unverified, &member().subsystem("TAX"), &authorities, NOW).is_ok()
}

#[tokio::test]
async fn a_signature_holds_for_its_message_alone() {
    let (bed, dir) = (Bed::new(), TestDir::new("sign"));
    let keys = bed.keys(&dir.0);
    let signer = keys.signer(&member(), &bed.conf(), &bed.statuses(), NOW).unwrap();
    let signed = keys.sign(&signer, parts("a"), NOW).await.unwrap();
    assert!(signed.hash_chain.is_none(), "one message of one part is signed plainly");
    assert!(holds(&bed, "a", &signed));
    assert!(!holds(&bed, "b", &signed));
}

#[tokio::test]
async fn messages_that_wait_together_share_a_signature_and_each_holds_by_itself() {
    let (bed, dir) = (Bed::new(), TestDir::new("batch"));
    bed.write_keys(&dir.0);
    let keys = Keys::open(&dir.0, 8, &PinSource::none()).unwrap();
    let signer = keys.signer(&member(), &bed.conf(), &bed.statuses(), NOW).unwrap();
    let texts: Vec<String> = (0..60).map(|n| format!("message {n}")).collect();
    let mut calls = tokio::task::JoinSet::new();
    for text in texts.clone() {
        let (keys, signer) = (keys.clone(), signer.clone());
        calls.spawn(async move { (text.clone(), keys.sign(&signer, parts(&text), NOW).await.unwrap()) });
    }
    let signed = calls.join_all().await;
    for (text, proof) in &signed {
        assert!(holds(&bed, text, proof), "{text}");
        assert!(!holds(&bed, "another", proof));
    }
    let mut documents: Vec<&[u8]> = signed.iter().map(|(_, s)| &*s.signature).collect();
    documents.sort_unstable();
    documents.dedup();
    assert!(documents.len() >= 8, "at most eight under one signature, found {}", documents.len());
}

#[tokio::test]
async fn a_message_that_cannot_be_signed_spoils_only_itself() {
    let (bed, dir) = (Bed::new(), TestDir::new("spoil"));
    let keys = bed.keys(&dir.0);
    let signer = keys.signer(&member(), &bed.conf(), &bed.statuses(), NOW).unwrap();
    let (good, bad, other) = tokio::join!(
        keys.sign(&signer, parts("a"), NOW),
        keys.sign(&signer, Vec::new(), NOW),
        keys.sign(&signer, parts("b"), NOW),
    );
    assert!(matches!(bad, Err(SignError::Prepare(_))));
    assert!(holds(&bed, "a", &good.unwrap()) && holds(&bed, "b", &other.unwrap()));
}

// --- a changed directory ---------------------------------------------------------

/// Takes over what has changed; whether something has.
fn retake(keys: &Keys) -> bool {
    let fresh = keys.reread().unwrap();
    let has_changed = fresh.is_some();
    fresh.into_iter().for_each(|fresh| keys.take(fresh));
    has_changed
}

#[tokio::test]
async fn a_changed_directory_is_taken_over_and_who_signs_goes_on() {
    let (bed, dir) = (Bed::new(), TestDir::new("retake"));
    let keys = bed.keys(&dir.0);
    let clone = keys.clone();
    assert!(!retake(&keys), "nothing has changed");
    let mut statuses = bed.statuses();
    let before = keys.signer(&member(), &bed.conf(), &statuses, NOW).unwrap();
    let renewed = bed.issue_since("M1", For::Signing, (2025, 6, 1));
    set(&mut statuses, &bed, &renewed.certificate, Status::Good, NOW);
    write_key(&dir.0, "renewed", &renewed);
    let index = fs::read_to_string(dir.0.join("keys.toml")).unwrap();
    fs::write(dir.0.join("keys.toml"), index.replace("\"sign\"\nuse", "\"renewed\"\nuse")).unwrap();
    assert!(retake(&keys) && !retake(&keys));
    let after = clone.signer(&member(), &bed.conf(), &statuses, NOW).unwrap();
    assert_eq!(after.material.certificate, renewed.certificate, "all clones have it");
    assert_eq!(keys.certificates().len(), 2, "the earlier one is gone");
    assert!(holds(&bed, "a", &keys.sign(&before, parts("a"), NOW).await.unwrap()));
    assert!(holds(&bed, "b", &keys.sign(&after, parts("b"), NOW).await.unwrap()));
}

#[test]
fn a_bad_state_is_refused_and_the_earlier_keys_stay() {
    let (bed, dir) = (Bed::new(), TestDir::new("refuse"));
    let keys = bed.keys(&dir.0);
    let index = dir.0.join("keys.toml");
    let good = fs::read_to_string(&index).unwrap();
    let expose =
        || fs::set_permissions(dir.0.join("sign.key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let spoilers: [&dyn Fn(); 4] = [
        &|| fs::write(&index, "version = 2").unwrap(),
        &|| fs::write(&index, format!("{good}[[key]]\nuse = \"sign\"\nname = \"none\"\n")).unwrap(),
        &|| fs::remove_file(&index).unwrap(),
        &|| {
            fs::write(&index, format!("{good}\n")).unwrap();
            expose();
        },
    ];
    for spoil in spoilers {
        spoil();
        assert!(keys.reread().is_err() && keys.reread().is_err(), "as long as it is bad");
        keys.auth(&server(), &bed.conf(), &bed.statuses(), NOW).unwrap();
        keys.signer(&member(), &bed.conf(), &bed.statuses(), NOW).unwrap();
    }
    fs::set_permissions(dir.0.join("sign.key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(retake(&keys));
}
