//! What the tests of this room share.

use super::{
    Authorities, PartDigest, SignatureError, SignatureParts, SignerMaterial, Unverified, Verified, form,
};
use crate::crypto::{DigestAlgorithm, EcdsaForm, SignatureAlgorithm, SigningKey};
use crate::id::{ClientId, MemberId};
use crate::time::UnixTime;
use crate::trust::ocsp::{self, Answer, Status};
use crate::trust::testing::{self as trust, Draft, POLICY, Party, now};
use crate::trust::{ApprovedCa, Certificate};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A folder with other people's bytes, or `None` with a word of it.
pub(super) fn vectors(folder: &str) -> Option<PathBuf> {
    Some(crate::trust::testing::vectors()?.join(folder))
}

/// Whether a program can be started; says so when not, and fails where nothing may be missing.
pub(super) fn has_tool(name: &str) -> bool {
    let started = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if started.is_ok() {
        return true;
    }
    let required = std::env::var("SAATKOND_REQUIRE").is_ok_and(|v| v == "all");
    assert!(!required, "program {name} is missing");
    crate::trust::testing::skip(&format!("program {name} is missing"));
    false
}

/// Small numbers that look random and are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides
    }

    /// One of `faces`.
    pub(super) fn pick<'f>(&mut self, faces: &[&'f str]) -> &'f str {
        faces[self.roll(faces.len())]
    }
}

/// Base64, blanks allowed.
pub(super) fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text: String = text.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// A part digested with SHA-512.
pub(super) fn part(name: &str, bytes: &[u8]) -> PartDigest {
    let algorithm = DigestAlgorithm::Sha512;
    PartDigest { name: name.to_owned(), algorithm, digest: algorithm.digest(bytes) }
}

/// A key made for these tests; it opens nothing.
const RSA_KEY: &str = "
    MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQDyUxIasg56A40GQ5IbacWt5s+tgPc/Etoi/RUgeyu89ibZzJBO
    fxJZ1GUDgaguG/mE5gtizwkUd0JyziUb8tDyUk/eb49ZFeVDTMv0tIUTUJr41ChojmjvcZiTax0XVsQs4eLejHiWsJHwUW1fSOLP
    mTvZZj8lEbK9m6HscXazlEkxLcKBMlWuh7mtdi51gwdw4ucXOu9ONhUjfC9SGzjMUgcbVNZ2BmU04kjTZ0AuZe4DqfLIKJGRx/Ay
    eBxNDS/ouDq9jhSvN9prBOURWUhNDlGP5rQtWd0z2DGoyvuxYGZ3/uQwH4jFmru+8i5Qo9kxjH8YM1lFBfGOPpbK0hzZAgMBAAEC
    ggEAEFnOzGwisiGNAZTlbG609UV9BbONVPB9zvbHVxA7xMqeyq5uneVQ6yyVZLWtQyM4sTqs62disPW7gmMEU2aNQ8FbFnxUYb0q
    lMgMF3Oaargf8aJ7JLok1kp5C/8IkPt8gQMvtQP2DqqH+ZbwK6N2FNTwzWJq6CKE4YQsjZEGyRoapRkfNmTcTtub/EgmOSd/+yjp
    7WEig9oEYQKyBHHInhln8+rU/rdVMOc6FxWn6iQiZcj8PHFMg37/XJk97/Dg9Rpe9/dHMOo93yZpCMX594G82jm1670lcup2BXYa
    ZJiKRxF2itBrze6YbYyO/rUW4ixJtXuceLOpXCoOtTZwIwKBgQD94ZMrDJOTp/vOvdwak8PEg9HdQYkG4EnR3nXYFiLIwZjiIk1e
    POdvFb8/EPiOs81sqJJQ1IpLRraLS9y0bwhLAsIHgyNnJaD71sNesLVqSo/FdlJuqpGo2Jn0jLYO4ea/vHxhpzvQpaVZfjdIOeVO
    McbwMCtGks7ErVYgNaTwAwKBgQD0WM3/jecZM9/OHM0aP+fS2e8RljVB2r6gIBGQcJxYxsZu5fXzeeZAPMmhrqvoRd8bYqpbM40V
    XqtROsrAs7qRYr6Fqy+OZfSbftZaJNaJdH48rO/sBSAqNdbR6taUOz5GJAkYKsLEPoB5o2UCUwP9VgroLo2hXLJr+PX1kAtu8wKB
    gGxeCvmHJr8SJxO6Suc1R4zsT3pH7Pt4ZUol0Ntpp3NV37I2vhuJl6f8+mMrFU2kRf0pfzrtXhJ/no+a1BxYgIu0I6odOdFfaHXW
    2BHlD6rNJM0+kjUWrZIK0rxmC5gSqPISvGzae1e2PPwUOfikbdKQwL/pb69yHrwo2OhqvXqNAoGBAMxnnawy4ShMJOUfYtSasSvJ
    9BwaM+MrQlxhd1AFZEU/w6/x35YWW29Rars+i8B68vDN0QUKUvOVhmsla4dY0rHckNTxJ49P6xhJOreeKXpDYXcQlIQ0pXuqHlLs
    ySSniqjSbGkzHEtencsjzNPs7mF3IRiqGQDrsrZwRhFutqHRAoGBANyAf9UM41mSdA1+l5klrJKuUUcogXwsB1c2VmZ8EgFymbpG
    J1NdwCxZHWpPkToxhDo07ynT6nzjerjmoqLJ/zOQqODNYw+Mb+3r+b+SLFnw53ielQqMGQQeTtiRFAUqMgIARuqUPpZkxBcDAO38
    I69+0Wo/7oZp+X6eWenpRtEZ";

/// Who signs in these tests, by which authority.
pub(super) struct World {
    pub(super) key: SigningKey,
    pub(super) root: Party,
    pub(super) material: SignerMaterial,
    pub(super) cas: Vec<ApprovedCa>,
    pub(super) signer: ClientId,
}

/// What a sign certificate is made from: the member DEV/GOV/M1.
pub(super) fn sign_draft() -> Draft {
    use crate::trust::name::attribute::{COMMON_NAME, COUNTRY, ORGANIZATION};
    let subject = trust::name(&[(COUNTRY, "DEV"), (ORGANIZATION, "GOV"), (COMMON_NAME, "M1")]);
    Draft { subject, ..Draft::signing("M1") }
}

pub(super) fn ec_key() -> SigningKey {
    trust::new_key()
}

pub(super) fn rsa_key() -> SigningKey {
    SigningKey::from_pkcs8(&unbase64(RSA_KEY)).unwrap()
}

/// What the authority says of a certificate; it is its own responder.
pub(super) fn status_of(certificate: &Certificate, issuer: &Party, status: Status, at: UnixTime) -> Vec<u8> {
    let request = ocsp::parse_request(&ocsp::request(certificate, &issuer.certificate)).unwrap();
    let question = request.questions.into_iter().next().unwrap();
    let answer = Answer { question, status, this_update: at, next_update: None };
    ocsp::respond(&[answer], &issuer.certificate, &issuer.key, at, None).unwrap()
}

impl World {
    pub(super) fn new(key: SigningKey) -> Self {
        Self::with(key, sign_draft())
    }

    pub(super) fn with(key: SigningKey, draft: Draft) -> Self {
        let root = Draft::ca("root").self_signed();
        let certificate = draft.issued_for(key.spki(), &root);
        let ocsp = vec![status_of(&certificate, &root, Status::Good, now())];
        let cas = vec![trust::approved(&root)];
        let material = SignerMaterial { certificate, intermediates: Vec::new(), ocsp };
        let signer = MemberId::new("DEV", "GOV", "M1").subsystem("CONSUMER");
        Self { key, root, material, cas, signer }
    }

    /// With an authority between the approved one and the signer.
    pub(super) fn below_an_intermediate(key: SigningKey) -> Self {
        let mut world = Self::new(key);
        let middle = Draft::ca("middle").issued_by(&world.root);
        let certificate = sign_draft().issued_for(world.key.spki(), &middle);
        let ocsp = vec![
            status_of(&certificate, &middle, Status::Good, now()),
            status_of(&middle.certificate, &world.root, Status::Good, now()),
        ];
        world.material = SignerMaterial { certificate, intermediates: vec![middle.certificate], ocsp };
        world
    }

    pub(super) fn value(&self, bytes: &[u8]) -> Vec<u8> {
        self.key.sign(DigestAlgorithm::Sha512, bytes, EcdsaForm::Fixed).unwrap()
    }

    pub(super) fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    pub(super) fn sign(&self, messages: &[Vec<PartDigest>]) -> Vec<SignatureParts> {
        let prepared = super::prepare(messages, &self.material, self.algorithm(), now()).unwrap();
        let value = self.value(prepared.bytes());
        prepared.finish(&value)
    }

    pub(super) fn verify(&self, unverified: Unverified) -> Result<Verified, SignatureError> {
        self.verify_at(unverified, now())
    }

    pub(super) fn verify_at(&self, unverified: Unverified, at: UnixTime) -> Result<Verified, SignatureError> {
        self.verify_remembering(unverified, &super::Memory::default(), at)
    }

    /// What was found before must change nothing: the verdict is the same without a memory and with one, asked
    /// twice.
    pub(super) fn verify_remembering(
        &self,
        unverified: Unverified,
        memory: &super::Memory,
        at: UnixTime,
    ) -> Result<Verified, SignatureError> {
        let authorities =
            Authorities { of_signer: &self.cas, listed: self.cas.iter().collect(), policy: POLICY };
        let alone = super::verify_by(unverified.clone(), &self.signer, &authorities, at);
        for memory in [memory, memory] {
            let remembering = super::verify::verify_remembering;
            assert_eq!(remembering(unverified.clone(), &self.signer, &authorities, memory, at), alone);
        }
        alone
    }

    /// A message of one part, signed plainly by this world, with its document edited before it is signed.
    pub(super) fn crafted(&self, edit: impl Fn(String) -> String) -> Unverified {
        let message = part(super::MESSAGE, b"message");
        let mut signed = received(&self.sign(&[vec![message.clone()]])[0], vec![message]);
        signed.signature = self.resigned(edit, &signed.signature);
        signed
    }

    /// A signature document edited, then digested and signed again where X-Road's form has digest and value.
    pub(super) fn resigned(&self, edit: impl Fn(String) -> String, document: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(document.to_vec()).unwrap();
        let (before, properties) = text.split_once("URI=\"#signed-properties\"").unwrap();
        let properties = hollow(properties, "<ds:DigestValue>", "</ds:DigestValue>", "@PROPERTIES@");
        let text = format!("{before}URI=\"#signed-properties\"{properties}");
        let text = edit(hollow(
            &text,
            "<ds:SignatureValue Id=\"signature-value\">",
            "</ds:SignatureValue>",
            "@VALUE@",
        ));
        let canonical = |text: &str, name: &str, method: &super::c14n::Method| {
            let document = crate::xml::admit(text, 1 << 20).unwrap();
            let node = document.descendants().find(|n| n.tag_name().name() == name).unwrap();
            method.element_bytes(node).unwrap()
        };
        let plain = super::c14n::Method::default();
        let exclusive = super::c14n::Method::from_uri(super::c14n::EXCLUSIVE).unwrap();
        let method = |at: &str| if text.contains(at) { &exclusive } else { &plain };
        let properties_method = method("<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"");
        let info_method =
            method("<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"");
        let digest = DigestAlgorithm::Sha512.digest(&canonical(&text, "SignedProperties", properties_method));
        let text = text.replace("@PROPERTIES@", &form::to_base64(&digest));
        let value = self.value(&canonical(&text, "SignedInfo", info_method));
        text.replace("@VALUE@", &form::to_base64(&value)).into_bytes()
    }
}

/// Replaces what stands between two words, the first time.
fn hollow(text: &str, start: &str, end: &str, with: &str) -> String {
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{start}{with}{end}{after}")
}

/// What a receiver has of a message that was signed.
pub(super) fn received(signed: &SignatureParts, parts: Vec<PartDigest>) -> Unverified {
    Unverified {
        parts,
        signature: signed.signature.to_vec(),
        hash_chain_result: signed.hash_chain_result.as_ref().map(|r| r.to_vec()),
        hash_chain: signed.hash_chain.clone(),
    }
}
