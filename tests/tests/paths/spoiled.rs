//! Messages that are spoiled in one thing each, and the code that must come: for requests and answers alike.
//!
//! Spec: message-path §3.8, §4.3, and what §4.4 refuses besides.

use rcgen::{CertificateParams, KeyUsagePurpose};
use saatkond_proto::transport::write::Part;
use saatkond_proto::trust::ocsp::Status;
use saatkond_tests::federation::{self, status_by};
use saatkond_tests::letter::Piece;
use saatkond_tests::{Draft, Federation, For, Holder, Letter, START, Signer};
use std::time::Duration;

/// A message that must be refused.
pub(crate) struct Spoiled {
    /// What is wrong with it.
    pub(crate) what: &'static str,
    /// Whether it is made from a message with a body, and so with a hash chain.
    pub(crate) has_body: bool,
    /// Spoils a draft.
    pub(crate) make: Box<dyn Fn(Draft) -> Letter + Send + Sync>,
    /// The code, after `signature_verification.`.
    pub(crate) code: &'static str,
}

/// The line of a block in which a byte is altered.
pub(crate) const MARK: (&str, &str) = ("X-Mark", "original");

struct List<'a> {
    federation: &'a Federation,
    code: &'static str,
    all: Vec<Spoiled>,
}

/// All messages of the owner of server `code` that must be refused for their signature.
pub(crate) fn signatures(federation: &Federation, code: &'static str) -> Vec<Spoiled> {
    let mut list = List { federation, code, all: Vec::new() };
    list.altered();
    list.of_other_keys();
    list.of_unfit_certificates();
    list.of_unproven_status();
    list.misshapen();
    list.chains();
    list.all
}

impl List<'_> {
    fn add(
        &mut self,
        what: &'static str,
        code: &'static str,
        make: impl Fn(Draft) -> Letter + Send + Sync + 'static,
    ) {
        self.all.push(Spoiled { what, has_body: false, make: Box::new(make), code });
    }

    fn add_chained(
        &mut self,
        what: &'static str,
        code: &'static str,
        make: impl Fn(Draft) -> Letter + Send + Sync + 'static,
    ) {
        self.all.push(Spoiled { what, has_body: true, make: Box::new(make), code });
    }

    /// One that is signed by someone else than it should.
    fn add_signer(&mut self, what: &'static str, code: &'static str, signer: Signer) {
        self.add(what, code, move |mut draft| {
            draft.signer = signer.clone();
            draft.letter()
        });
    }

    fn altered(&mut self) {
        self.add("a byte of the block is altered", "invalid_signature_value", |draft| {
            let mut letter = draft.letter();
            let place = letter.pieces.iter().position(|piece| piece.kind == draft.part.content_type());
            alter(&mut letter.pieces[place.unwrap()].bytes, b"original", b"0riginal");
            letter
        });
        let pairs = [
            (
                "the digest of the message is altered",
                "URI=\"/message.xml\">\n<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>\n<ds:DigestValue>",
                "AAAA",
            ),
            ("the signature value is altered", "<ds:SignatureValue Id=\"signature-value\">\n", "AAAA"),
        ];
        for (what, text, other) in pairs {
            self.add(what, "invalid_signature_value", move |draft| {
                let mut letter = draft.letter();
                let signature = letter.part(Part::Signature);
                let after = find(signature, text.as_bytes()) + text.len();
                signature[after..after + other.len()].copy_from_slice(other.as_bytes());
                letter
            });
        }
        self.add("the signing time is altered", "invalid_signature_value", |draft| {
            draft.letter().resigned("<xades:SigningTime>2026", "<xades:SigningTime>2025")
        });
        self.add("the signature value has another length", "invalid_signature_value", |draft| {
            draft.letter().resigned("signature-value\">\n", "signature-value\">\nAAAA")
        });
        self.add("an unsigned body is added", "malformed_signature", |draft| {
            let mut letter = draft.letter();
            let place = letter.pieces.len() - 1;
            letter.pieces.insert(place, Piece::new(Part::RestBody.content_type(), b""));
            letter
        });
    }

    fn of_other_keys(&mut self) {
        let own = self.federation.sign(self.code);
        let good = self.federation.good(&own.certificate);
        let other = self.federation.sign("PORT");
        self.add_signer(
            "the key is not the certificate's",
            "invalid_signature_value",
            Signer::new(&own.with_key_of(&other), good),
        );
        let of_other = Signer::new(&other, self.federation.good(&other.certificate));
        self.add_signer("another member signed", "incorrect_certificate", of_other);
    }

    fn of_unfit_certificates(&mut self) {
        let (federation, serial, member) = match self.code {
            "TAX" => (self.federation, "DEV/TAX/GOV", "M1"),
            _ => (self.federation, "DEV/HOME/GOV", "M2"),
        };
        let issue = |purpose, change: &dyn Fn(&mut CertificateParams)| {
            let holder = federation.issue(purpose, |params| {
                federation::named(params, serial, member);
                change(params);
            });
            Signer::new(&holder, federation.good(&holder.certificate))
        };
        let cases = [
            ("the certificate has no key usage", "internal_error", issue(For::Nothing, &|_| ())),
            (
                "the certificate is not for signing",
                "malformed_signature",
                issue(For::Tls, &|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            ),
            (
                "the certificate has expired",
                "cannot_create_cert_path.internal_error",
                issue(For::Signing, &|params| params.not_after = rcgen::date_time_ymd(2026, 1, 1)),
            ),
            (
                "the certificate is not valid yet",
                "cannot_create_cert_path.internal_error",
                issue(For::Signing, &|params| params.not_before = rcgen::date_time_ymd(2026, 1, 3)),
            ),
            (
                "the subject names no member",
                "incorrect_certificate",
                issue(For::Signing, &|params| federation::named(params, "nonsense", "M1")),
            ),
        ];
        for (what, code, signer) in cases {
            self.add_signer(what, code, signer);
        }
        let named = |params: &mut CertificateParams| federation::named(params, serial, member);
        let of_itself = Holder::self_signed(For::Signing, named);
        let status =
            status_by(&of_itself, &of_itself.certificate, &of_itself.certificate, (Status::Good, START));
        self.add_signer("nobody approved vouches", "internal_error", Signer::new(&of_itself, status));
        let authority = federation.authority();
        let impostor = authority.with_key_of(&of_itself);
        let forged = Holder::issued_by(&impostor, For::Signing, named);
        let signer = Signer::new(&forged, federation.good(&forged.certificate));
        let what = "the authority's name stands there, and its key did not sign";
        self.add_signer(what, "cannot_create_cert_path.internal_error", signer);
    }

    fn of_unproven_status(&mut self) {
        let (federation, own) = (self.federation, self.federation.sign(self.code));
        let of = &own.certificate;
        let (authority, stranger) = (federation.authority(), federation.auth(self.code));
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let mut forged = federation.good(of);
        alter(&mut forged, b"20260102030405Z", b"20260102030404Z");
        let cases = [
            (
                "the certificate is revoked",
                "invalid_cert_path.cert_validation",
                federation.status(of, Status::Revoked { at: START.minus(hours(24)) }, START),
            ),
            (
                "its responder does not know the certificate",
                "invalid_cert_path.cert_validation",
                federation.status(of, Status::Unknown, START),
            ),
            (
                "the OCSP response is of another certificate",
                "invalid_cert_path.cert_validation",
                federation.good(&stranger.certificate),
            ),
            (
                "the OCSP response is stale",
                "invalid_cert_path.incorrect_validation_info",
                federation.status(of, Status::Good, START.minus(hours(1) + Duration::from_secs(1))),
            ),
            (
                "the OCSP response is of tomorrow",
                "invalid_cert_path.incorrect_validation_info",
                federation.status(of, Status::Good, START.plus(hours(24))),
            ),
            ("the OCSP response is altered", "invalid_cert_path.incorrect_validation_info", forged),
            (
                "the OCSP response is signed by who may not",
                "invalid_cert_path.incorrect_validation_info",
                status_by(&stranger, of, &authority.certificate, (Status::Good, START)),
            ),
            ("the OCSP response cannot be read", "malformed_signature", b"nonsense".to_vec()),
        ];
        for (what, code, status) in cases {
            self.add_signer(what, code, Signer::new(&own, status));
        }
        self.add("there is no OCSP response", "malformed_signature", |draft| {
            let mut letter = draft.letter();
            cut_out(letter.part(Part::Signature), "<xades:RevocationValues>", "</xades:RevocationValues>");
            letter
        });
    }

    fn misshapen(&mut self) {
        self.add("the signature is no XML", "invalid_xml", |draft| {
            let mut letter = draft.letter();
            *letter.part(Part::Signature) = b"nonsense".to_vec();
            letter
        });
        self.add("the signature is cut off", "invalid_xml", |draft| {
            let mut letter = draft.letter();
            let signature = letter.part(Part::Signature);
            signature.truncate(signature.len() / 2);
            letter
        });
        let pairs = [
            ("there is a DOCTYPE", "invalid_xml", "standalone=\"no\"?>", "standalone=\"no\"?><!DOCTYPE a>"),
            ("a reference leads nowhere", "internal_error", "URI=\"/message.xml\"", "URI=\"/attachment1\""),
            (
                "a part is digested with an algorithm that is unknown",
                "internal_error",
                "xml\">\n<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>",
                "xml\">\n<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha999\"/>",
            ),
            (
                "the canonicalization is unknown",
                "internal_error",
                "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
                "http://www.w3.org/TR/2001/REC-xml-c14n-20010316",
            ),
            (
                "the signature algorithm is weak",
                "invalid_signature_value",
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
            ),
            (
                "the signed properties are not referred to",
                "malformed_signature",
                " Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#signed-properties\"",
                " Type=\"http://uri.etsi.org/01903#SignedProperties\" URI=\"#signature-value\"",
            ),
            (
                "an Id stands twice",
                "malformed_signature",
                "Id=\"signature-value\"",
                "Id=\"signed-properties\"",
            ),
            (
                "another certificate is named than stands there",
                "malformed_signature",
                "<xades:CertDigest><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/><ds:DigestValue>",
                "<xades:CertDigest><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\"/>\
                 <ds:DigestValue>AAAA",
            ),
        ];
        for (what, code, text, other) in pairs {
            self.add(what, code, move |draft| draft.letter().resigned(text, other));
        }
    }

    fn chains(&mut self) {
        self.add_chained(
            "a byte of the body is altered",
            "malformed_signature.invalid_hash_chain",
            |draft| {
                let mut letter = draft.letter();
                letter.part(Part::RestBody)[0] ^= 1;
                letter
            },
        );
        self.add_chained(
            "a byte of the block is altered",
            "malformed_signature.invalid_hash_chain",
            |draft| {
                let mut letter = draft.letter();
                let place = letter.pieces.iter().position(|piece| piece.kind == draft.part.content_type());
                alter(&mut letter.pieces[place.unwrap()].bytes, b"original", b"0riginal");
                letter
            },
        );
        self.add_chained("the body is cut short", "malformed_signature.invalid_hash_chain", |draft| {
            let mut letter = draft.letter();
            letter.part(Part::RestBody).pop();
            letter
        });
        self.add_chained("the body is removed", "malformed_signature.invalid_reference", |draft| {
            draft.letter().without(Part::RestBody)
        });
        self.add_chained("the chain is removed", "malformed_signature.invalid_reference", |draft| {
            draft.letter().without(Part::HashChain)
        });
        self.add_chained("chain and result are removed", "internal_error", |draft| {
            draft.letter().without(Part::HashChain).without(Part::HashChainResult)
        });
        self.add_chained(
            "a byte of the result's digest is altered",
            "malformed_signature.invalid_hash_chain",
            |draft| {
                let mut letter = draft.letter();
                let result = letter.part(Part::HashChainResult);
                let at = find(result, b"<DigestValue>") + 13;
                result[at..at + 4].copy_from_slice(b"AAAA");
                letter
            },
        );
        self.add_chained("a space of the result is altered", "invalid_signature_value", |draft| {
            let mut letter = draft.letter();
            alter(letter.part(Part::HashChainResult), b"    <DigestValue>", b" \t  <DigestValue>");
            letter
        });
        self.add_chained(
            "the chain names another digest",
            "malformed_signature.invalid_hash_chain_ref",
            |draft| {
                let mut letter = draft.letter();
                let chain = letter.part(Part::HashChain);
                let at = find(chain, b"<DigestValue>") + 13;
                chain[at..at + 4].copy_from_slice(b"AAAA");
                letter
            },
        );
        self.add_chained("the chain is none", "malformed_signature.malformed_hash_chain", |draft| {
            let mut letter = draft.letter();
            *letter.part(Part::HashChain) = b"<a/>".to_vec();
            letter
        });
        self.add_chained("the chain has no default method", "malformed_signature.internal_error", |draft| {
            let mut letter = draft.letter();
            cut_out(letter.part(Part::HashChain), "<ns2:DefaultDigestMethod", "/>");
            letter
        });
        self.add("the chain is another message's", "malformed_signature.invalid_hash_chain", |draft| {
            let mut letters = pair(draft);
            let other = letters[1].part(Part::HashChain).clone();
            *letters[0].part(Part::HashChain) = other;
            letters.swap_remove(0)
        });
        self.add("a body is added to a chain", "malformed_signature.hashchain_unused_inputs", |draft| {
            let mut letter = pair(draft).swap_remove(0);
            let place = letter.place(Part::HashChainResult);
            letter.pieces.insert(place, Piece::new(Part::RestBody.content_type(), b"body"));
            letter
        });
        self.add("a chain is added that is not signed", "malformed_signature", |draft| {
            let mut chained = pair(draft.clone()).swap_remove(0);
            *chained.part(Part::Signature) = draft.letter().part(Part::Signature).clone();
            chained
        });
    }
}

/// Two messages of one signature: this, and one like it.
fn pair(draft: Draft) -> Vec<Letter> {
    let mut other = draft.clone();
    alter(&mut other.block, b"original", b"0riginal");
    Draft::batch(&[draft, other])
}

fn find(bytes: &[u8], text: &[u8]) -> usize {
    let found = bytes.windows(text.len()).position(|window| window == text);
    found.unwrap_or_else(|| {
        panic!("{} is not in {}", String::from_utf8_lossy(text), String::from_utf8_lossy(bytes))
    })
}

fn alter(bytes: &mut [u8], text: &[u8], other: &[u8]) {
    let at = find(bytes, text);
    bytes[at..at + text.len()].copy_from_slice(other);
}

/// Cuts out what stands from `start` to the end of the next `end`.
fn cut_out(bytes: &mut Vec<u8>, start: &str, end: &str) {
    let from = find(bytes, start.as_bytes());
    let to = from + find(&bytes[from..], end.as_bytes()) + end.len();
    bytes.drain(from..to);
}
