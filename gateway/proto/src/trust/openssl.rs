//! OpenSSL as the other side: what we write it accepts, what it writes we accept.
//!
//! Where there is no `openssl` these tests say that they skip.

use super::testing::*;
use super::*;
use crate::crypto::{DigestAlgorithm, SigningKey};
use crate::time::UnixTime;
use base64::Engine as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes away with the test.
struct Bench {
    folder: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Bench {
    fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
            assert!(!required, "no openssl");
            skip("no openssl");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("saatkond-trust-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Some(Self { folder })
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    /// What openssl says with these words; whether it succeeded.
    fn run(&self, words: &str) -> (bool, String) {
        let mut command = Command::new("openssl");
        let output = command.args(words.split_whitespace()).current_dir(&self.folder).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn must(&self, words: &str) -> String {
        let (success, said) = self.run(words);
        assert!(success, "openssl {words}: {said}");
        said
    }

    /// A key that openssl makes and has as a file.
    fn key(&self, kind: &str, name: &str) -> SigningKey {
        self.must(&format!("genpkey {kind} -outform PEM -out {name}.key"));
        self.must(&format!("pkcs8 -topk8 -nocrypt -in {name}.key -outform DER -out {name}.p8"));
        SigningKey::from_pkcs8(&self.read(&format!("{name}.p8"))).unwrap()
    }

    /// A certificate for a new key, by `issuer` or by itself, both as files.
    fn party(&self, kind: &str, draft: Draft, issuer: Option<&Party>, name: &str) -> Party {
        let draft = Draft { not_before: rfc3339("2020-01-01"), not_after: rfc3339("2049-01-01"), ..draft };
        let key = self.key(kind, name);
        let der = match issuer {
            Some(issuer) => draft.sign(key.spki(), issuer.certificate.subject(), &issuer.key),
            None => draft.sign(key.spki(), &draft.subject.clone(), &key),
        };
        self.write(&format!("{name}.pem"), pem(&der));
        Party { key, certificate: Arc::new(Certificate::from_der(&der).unwrap()) }
    }
}

fn rfc3339(day: &str) -> UnixTime {
    UnixTime::from_rfc3339(&format!("{day}T00:00:00Z")).unwrap()
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// OpenSSL asks the machine's clock.
fn clock() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime::from_secs(i64::try_from(since.as_secs()).unwrap())
}

const KINDS: [&str; 3] = [
    "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
    "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
];

/// Root, responder and leaf as files `ca`, `ocsp` and `leaf`.
fn three(bench: &Bench, kind: &str) -> [Party; 3] {
    let root = bench.party(kind, Draft::ca("root"), None, "ca");
    let responder = bench.party(kind, Draft::responder("responder"), Some(&root), "ocsp");
    let leaf = bench.party(kind, Draft::signing("leaf"), Some(&root), "leaf");
    [root, responder, leaf]
}

#[test]
fn openssl_believes_our_ocsp_responses() {
    let Some(bench) = Bench::new() else { return };
    for kind in KINDS {
        let [root, responder, leaf] = three(&bench, kind);
        bench.must("ocsp -issuer ca.pem -cert leaf.pem -reqout asked.der");
        let asked = ocsp::parse_request(&bench.read("asked.der")).unwrap();
        assert!(asked.nonce.is_some() && asked.questions[0].is_of(&root.certificate));
        for (signer, status, word) in [
            (&responder, ocsp::Status::Good, "leaf.pem: good"),
            (&root, ocsp::Status::Revoked { at: clock() }, "leaf.pem: revoked"),
            (&responder, ocsp::Status::Unknown, "leaf.pem: unknown"),
        ] {
            let answer = ocsp::Answer {
                question: asked.questions[0].clone(),
                status,
                this_update: clock(),
                next_update: Some(clock().plus(seconds(600))),
            };
            let nonce = asked.nonce.as_deref();
            let (certificate, key) = (&signer.certificate, &signer.key);
            let der = ocsp::respond(&[answer], certificate, key, clock(), nonce).unwrap();
            bench.write("answer.der", &der);
            let words = "ocsp -reqin asked.der -respin answer.der -CAfile ca.pem";
            let said = bench.must(words);
            assert!(said.contains("Response verify OK") && !said.contains("WARNING"), "{said}");
            let about = "-no_nonce -issuer ca.pem -cert leaf.pem -respin answer.der -CAfile ca.pem";
            let said = bench.must(&format!("ocsp {about}"));
            assert!(said.contains(word), "{said}");
            // openssl refuses what we refuse.
            let last = flipped(&der, memchr::memmem::rfind(&der, certificate.der()).unwrap() * 8 - 80);
            bench.write("answer.der", last);
            assert!(!bench.run(words).1.contains("Response verify OK"));
        }
        assert_eq!(leaf.certificate.issuer(), root.certificate.subject());
    }
    bench.write("answer.der", ocsp::refuse(ocsp::Refusal::TryLater));
    let (_, said) = bench.run("ocsp -respin answer.der -CAfile ca.pem");
    assert!(said.contains("trylater"), "{said}");
}

#[test]
fn we_believe_openssls_ocsp_responses() {
    let Some(bench) = Bench::new() else { return };
    for kind in KINDS {
        let [root, _, leaf] = three(&bench, kind);
        bench.write("asked.der", ocsp::request(&leaf.certificate, &root.certificate));
        let serial = leaf.certificate.serial_text().to_uppercase();
        bench.write("index.txt", format!("V\t490101000000Z\t\t{serial}\tunknown\t/CN=leaf\n"));
        for flags in ["", "-resp_key_id", "-resp_no_certs -rsigner ca.pem -rkey ca.key"] {
            let signer = if flags.contains("rsigner") { "" } else { "-rsigner ocsp.pem -rkey ocsp.key" };
            bench.must(&format!(
                "ocsp -index index.txt -CA ca.pem {signer} {flags} -reqin asked.der -respout answer.der -ndays 1"
            ));
            let response = ocsp::Response::from_der(&bench.read("answer.der")).unwrap();
            assert_eq!(response.status(), ocsp::Status::Good);
            let cas = [approved(&root)];
            let chain = path::for_signing(&leaf.certificate, &[], &cas, clock()).unwrap();
            let listed: Vec<&ApprovedCa> = cas.iter().collect();
            assert_eq!(ocsp::check(&chain, &[response], &listed, &POLICY, clock()), Ok(()));
        }
    }
}

/// A time-stamping authority as file `tsa`; openssl wants its extended key usage critical.
fn tsa(bench: &Bench, kind: &str) -> Party {
    let root = bench.party(kind, Draft::ca("root"), None, "ca");
    let usage = crate::der::sequence([crate::der::write(crate::der::tag::OID, TIME_STAMPING)]);
    let draft = Draft::new("tsa").usage(DIGITAL_SIGNATURE).extension(&[0x55, 0x1d, 0x25], true, &usage);
    bench.party(kind, draft, Some(&root), "tsa")
}

#[test]
fn openssl_believes_our_time_stamps() {
    let Some(bench) = Bench::new() else { return };
    bench.write("text", "stamped");
    for kind in KINDS {
        let tsa = tsa(&bench, kind);
        for (flags, is_embedded) in
            [("-sha512 -cert", true), ("-sha256", false), ("-sha384 -no_nonce", false)]
        {
            bench.must(&format!("ts -query -data text {flags} -out asked.tsq"));
            let asked = tsp::parse_request(&bench.read("asked.tsq")).unwrap();
            assert_eq!(asked.cert_req, is_embedded);
            assert_eq!(asked.nonce.is_some(), !flags.contains("no_nonce"));
            let statement =
                tsp::Statement { serial: &[0xff, 2], gen_time: clock(), policy: &[0x2a, 3, 4, 1] };
            let answer = tsp::issue(&asked, &statement, &tsa.certificate, &tsa.key).unwrap();
            bench.write("answer.tsr", &answer);
            let words = "ts -verify -queryfile asked.tsq -in answer.tsr -CAfile ca.pem -untrusted tsa.pem";
            let said = bench.must(words);
            assert!(said.contains("Verification: OK"), "{said}");
            bench.write("answer.tsr", flipped(&answer, answer.len() * 8 - 9));
            assert!(!bench.run(words).0);
        }
    }
    bench.write("answer.tsr", tsp::refuse(tsp::Refusal::UnacceptedPolicy, "no such policy"));
    let said = bench.must("ts -reply -in answer.tsr -text");
    assert!(said.contains("unacceptedPolicy") || said.contains("not supported"), "{said}");
    assert!(said.contains("no such policy"), "{said}");
}

#[test]
fn we_believe_openssls_time_stamps() {
    let Some(bench) = Bench::new() else { return };
    let digest = DigestAlgorithm::Sha512.digest(b"stamped");
    bench.write("asked.tsq", tsp::request(&digest));
    for kind in KINDS {
        let tsa = tsa(&bench, kind);
        for hash in ["sha1", "sha256", "sha512"] {
            bench.write("serial", "0100");
            bench.write(
                "tsa.cnf",
                format!(
                    "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\ncrypto_device = builtin\n\
                     signer_cert = tsa.pem\nsigner_key = tsa.key\nsigner_digest = sha256\n\
                     default_policy = 1.2.3.4.1\ndigests = sha256, sha512\naccuracy = secs:1\n\
                     ordering = yes\ntsa_name = yes\ness_cert_id_alg = {hash}\n"
                ),
            );
            bench.must("ts -reply -config tsa.cnf -queryfile asked.tsq -out answer.tsr");
            let token = tsp::parse_response(&bench.read("answer.tsr")).unwrap();
            let tsas = [Arc::clone(&tsa.certificate)];
            let found = tsp::verify(&token, (DigestAlgorithm::Sha512, &digest), &tsas);
            assert_eq!(found.unwrap().der(), tsa.certificate.der());
            assert!(clock().since(token.gen_time()) < seconds(60));
        }
    }
}
