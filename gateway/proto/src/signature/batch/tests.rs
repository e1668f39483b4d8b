//! Hash chains: values, trees, documents, and what is refused.

use super::super::testing::{part, unbase64, vectors};
use super::*;
use DigestAlgorithm::{Sha256, Sha512};

fn named(name: &str, algorithm: DigestAlgorithm, digest: &[u8]) -> PartDigest {
    PartDigest { name: name.to_owned(), algorithm, digest: digest.to_vec() }
}

fn top(leaves: &[Vec<u8>]) -> String {
    to_base64(&Tree::over(leaves).value)
}

#[test]
fn digest_lists_have_the_known_form() {
    let two = digest_list([(Sha512, Sha512.digest(b"a").as_slice()), (Sha512, &Sha512.digest(b"b"))]);
    assert_eq!(two.len(), 225);
    assert!(two.starts_with(&[0x30, 0x81, 0xde, 0x30, 0x6d, 0x04, 0x40]));
    let one: String = digest_list([(Sha256, [0x0b].as_slice())]).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        one,
        "3030302e04010b0c27687474703a2f2f7777772e77332e6f72672f323030312f30342f786d6c656e63237368613235363000"
    );
}

/// Tree tops over the digests of "0", "1", …, computed elsewhere.
#[test]
fn tree_tops_are_the_known_ones() {
    for (count, expected) in [
        (1, ""),
        (2, "nyZMyC7+Y+ol0sESY6VTfqhAHZBVaHONpezVI+gLsbAioJkoRyDqpQZF7SWT5YeOnPERJ6omIPTCNTTFc9bqgw=="),
        (3, "DRs1DhWP2FXND7AnjoHUv02dFV5h0rCs9+P2IbEmPFkVqSzZBSan1vXZxRU2dZNjjwbH9Dxt3ka9CpwlEz6AcQ=="),
        (5, "WBgUND8DFiCAPE2gKoe5MIDwhQIp6znHpWodys8E4I7/K5knfZDjRTOqhCasJ/SySULJHo84U2Ef9cCKArB2+w=="),
        (6, "FtQ+UTeVE+E2eAiTAmn1csXCXVrTleK5TqfxDjI3LVAdLLr7n9nWn5mQKOsYu3rPGWtGHCUujuIeYAxCFCNJSA=="),
        (7, "yucw22KPakmRAEL9p58pmc+6gKU03uuLpmpXYfJDVZOvxDFuw+SMi0PL7vSWnusOkjIagOcHw3flQy78ODsqsA=="),
    ] {
        let leaves: Vec<Vec<u8>> = (0..count).map(|i| Sha512.digest(i.to_string().as_bytes())).collect();
        let expected = if count == 1 { to_base64(&leaves[0]) } else { expected.to_owned() };
        assert_eq!(top(&leaves), expected, "{count} leaves");
    }
}

#[test]
fn leaves_are_the_known_ones() {
    let message = "mET+G37YrRAMl92j7gxR95W/rAcOBRlWTrbeJMt7L7lMr+1EALnsNRpq4fH6sUMJNWSA1B2kpDL0NDVCjIQnnw==";
    let attachment =
        "YoZ26aBCLuGV0W9J7CH6YtOXhkEsleUwu1GwIrQ+ZJw7GBAnTwRZF2s2n/z8h1iOkzLiFmO8p4f2VVz+F1DqYg==";
    let parts = [
        named("/message.xml", Sha512, &unbase64(message)),
        named("/attachment1", Sha512, &unbase64(attachment)),
    ];
    assert_eq!(
        to_base64(&leaf(&parts)),
        "RMrOJhh5munNHgv/2wN0WOuxn8xeQ6d5CDOkUjifIlQCoK52NKJyGa8Gf6FpHZlU5VKM4VzOYMTFLJKxeEVNxg=="
    );
    let block = "POST\r\n/r1/DEV/COM/1234/TestService/mock1/pets?x=1\r\nX-Road-Client:DEV/COM/4422/TestClient\r\n\
                 Content-Type:application/json\r\nX-Road-Id:q-1\r\n\
                 x-road-request-id:1c7cc28f-3c6b-4b8d-9a3f-0f6d7c1d2e3a\r\n";
    let parts = [part("/message.xml", block.as_bytes()), part("/attachment1", b"{\"a\":1}")];
    assert_eq!(
        to_base64(&leaf(&parts)),
        "Uv6WqslyqLQsp6aWpN4d28rSJy48g5j6BLcLfT6iHsnrBrKVfvBJVc3m5mHASAAFDVPiTOV5mFBIKbCeBiBvyg=="
    );
    let stamped = [
        "+OjZN7vjd2pNWuImxXIZk07UO75tuC95lQ7WjVUJx1CcVQ+f+PNG8e0lFTSvnghIY+411a55U2GNKnTl/jCYSQ==",
        "FVZJtJM7iQDRGUHvrtSp6/MyRPATYYeaJu7tdbUzwNulDAqBO3t4J9qgsA6YqfrAx+9uP3lwYu4hH4A8wKpBog==",
    ];
    assert_eq!(
        top(&stamped.map(unbase64)),
        "Y3Uqw+5REe4oujpRDKZIQd1M7HBKWB7V0QveaF1LT0dijDwBw2Sl80tIAwLzaExES/UfN+y6bmbrgy+aQjTQJA=="
    );
}

#[test]
fn steps_with_sha256_are_the_known_ones() {
    let digests = ["one", "two", "three", "four"].map(|t| Sha256.digest(t.as_bytes()));
    let pair = |a: &[u8], b: &[u8]| step(Sha256, [(Sha256, a), (Sha256, b)]);
    let top = pair(&pair(&digests[0], &digests[1]), &pair(&digests[2], &digests[3]));
    assert_eq!(to_base64(&top), "D7oIIfhfp4ToT729xyx991PvstI5XvpW+d7oeWvXw8E=");
    let short = [[0x0b], [0x0c], [0x0d], [0x0e]];
    let top = step(Sha256, short.iter().map(|d| (Sha256, d.as_slice())));
    assert_eq!(to_base64(&top), "v3CBVgjKmzZT5hnJ6vj6waqBazZe334tdEoNiL2oM5E=");
}

#[test]
fn documents_are_written_as_x_road_writes_them() {
    let messages =
        [vec![part("/message.xml", b"0")], vec![part("/message.xml", b"1"), part("/attachment1", b"2")]];
    let chains = build(Kind::Signature, &messages).unwrap();
    let value = |b: &[u8]| to_base64(b);
    let (zero, both) = (Sha512.digest(b"0"), leaf(&messages[1]));
    let second = format!(
        r##"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:HashChain xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain">
    <ns2:DefaultDigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>
    <ns2:HashStep id="STEP0">
        <ns2:HashValue>
            <DigestValue>{}</DigestValue>
        </ns2:HashValue>
        <ns2:StepRef URI="#STEP1"/>
    </ns2:HashStep>
    <ns2:HashStep id="STEP1">
        <ns2:DataRef URI="/message.xml">
            <DigestValue>{}</DigestValue>
        </ns2:DataRef>
        <ns2:DataRef URI="/attachment1">
            <DigestValue>{}</DigestValue>
        </ns2:DataRef>
    </ns2:HashStep>
</ns2:HashChain>
"##,
        value(&zero),
        value(&Sha512.digest(b"1")),
        value(&Sha512.digest(b"2")),
    );
    assert_eq!(String::from_utf8(chains.chains[1].clone()).unwrap(), second);
    let result = format!(
        r##"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:HashChainResult URI="/sig-hashchain.xml#STEP0" xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain">
    <DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>
    <DigestValue>{}</DigestValue>
</ns2:HashChainResult>
"##,
        top(&[zero, both]),
    );
    assert_eq!(String::from_utf8(chains.result).unwrap(), result);
}

#[test]
fn a_lone_message_of_one_part_has_no_chain() {
    assert_eq!(build(Kind::Signature, &[]), None);
    assert_eq!(build(Kind::Signature, &[vec![part("/message.xml", b"")]]), None);
    assert_eq!(build(Kind::Signature, &[vec![part("/message.xml", b"")], vec![]]), None);
}

/// One to 40 messages of one to three parts: each chain proves its own message, and no other.
#[test]
fn every_chain_proves_its_message_and_no_other() {
    for count in (1..20).chain([31, 32, 33, 40]) {
        let messages: Vec<Vec<PartDigest>> = (0..count)
            .map(|i| {
                let mut parts = vec![part("/message.xml", format!("m{i}").as_bytes())];
                parts.extend(
                    (1..=i % 3).map(|a| part(&format!("/attachment{a}"), format!("a{i}.{a}").as_bytes())),
                );
                parts
            })
            .collect();
        let Some(chains) = build(Kind::Signature, &messages) else {
            assert_eq!(count, 1);
            continue;
        };
        let tree = ChainTree::over(Kind::Signature, messages.clone()).unwrap();
        assert_eq!((tree.result(), tree.chain(count)), (chains.result.clone(), None));
        for (i, chain) in chains.chains.iter().enumerate() {
            assert_eq!(tree.chain(i).as_ref(), Some(chain), "message {i} of {count}");
            let check = |parts: &[PartDigest]| verify(Kind::Signature, &chains.result, Some(chain), parts);
            assert_eq!(check(&messages[i]), Ok(()), "message {i} of {count}");
            assert_eq!(parts_named(chain).unwrap(), messages[i]);
            let other = &messages[(i + 3) % count];
            assert!(count == 3 || i + 3 == count + i || check(other).is_err(), "message {i} of {count}");
            let mut more = messages[i].clone();
            more.push(part("/attachment9", b""));
            assert_eq!(check(&more), Err(ChainError::Unused(vec!["/attachment9".to_owned()])));
            let mut changed = messages[i].clone();
            changed[0].digest[0] ^= 1;
            let differing = vec!["/message.xml".to_owned()];
            assert_eq!(check(&changed), Err(ChainError::Result { differing }));
        }
    }
}

fn sample() -> (Chains, Vec<PartDigest>) {
    let messages = vec![
        vec![part("/message.xml", b"m"), part("/attachment1", b"a")],
        vec![part("/message.xml", b"n")],
        vec![part("/message.xml", b"o")],
    ];
    (build(Kind::Signature, &messages).unwrap(), messages[0].clone())
}

/// Verifies the sample with its chain altered.
fn altered(from: &str, to: &str) -> ChainError {
    let (chains, parts) = sample();
    let chain = String::from_utf8(chains.chains[0].clone()).unwrap();
    assert!(chain.contains(from), "{from}");
    verify(Kind::Signature, &chains.result, Some(chain.replace(from, to).as_bytes()), &parts).unwrap_err()
}

#[test]
fn a_bit_flipped_in_a_digest_is_refused() {
    let (chains, parts) = sample();
    for document in [&chains.result, &chains.chains[0]] {
        let text = String::from_utf8(document.clone()).unwrap();
        for (start, _) in text.match_indices("<DigestValue>") {
            let mut flipped = document.clone();
            let at = start + 20;
            flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
            let (result, chain) = if document == &chains.result {
                (&flipped, &chains.chains[0])
            } else {
                (&chains.result, &flipped)
            };
            assert!(verify(Kind::Signature, result, Some(chain), &parts).is_err(), "digest at {start}");
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    let (chains, mut parts) = sample();
    let missing = |what: &str| Err(ChainError::Unresolved(what.to_owned()));
    assert_eq!(verify(Kind::Signature, &chains.result, None, &parts), missing("/sig-hashchain.xml"));
    let chain = Some(chains.chains[0].as_slice());
    assert_eq!(verify(Kind::Timestamp, &chains.result, chain, &parts), missing("/sig-hashchain.xml"));
    parts.pop();
    assert_eq!(verify(Kind::Signature, &chains.result, chain, &parts), missing("/attachment1"));
    let (_, mut parts) = sample();
    parts.push(parts[0].clone());
    assert_eq!(
        verify(Kind::Signature, &chains.result, chain, &parts),
        Err(ChainError::Twice("/message.xml".to_owned()))
    );
}

#[test]
fn a_part_digested_otherwise_as_well_is_one_part() {
    let (chains, mut parts) = sample();
    parts.push(named("/message.xml", Sha256, &Sha256.digest(b"m")));
    assert_eq!(verify(Kind::Signature, &chains.result, Some(&chains.chains[0]), &parts), Ok(()));
    parts.retain(|p| p.name != "/message.xml" || p.algorithm == Sha256);
    let missing = Err(ChainError::Unresolved("/message.xml".to_owned()));
    assert_eq!(verify(Kind::Signature, &chains.result, Some(&chains.chains[0]), &parts), missing);
}

#[test]
fn circles_are_refused() {
    assert_eq!(altered("#STEP1", "#STEP0"), ChainError::Circle("STEP0".to_owned()));
    assert_eq!(altered("#STEP2", "#STEP0"), ChainError::Circle("STEP0".to_owned()));
}

#[test]
fn other_documents_and_steps_that_are_not_there_are_refused() {
    assert_eq!(altered("#STEP1", "/other.xml#STEP1"), ChainError::Unresolved("/other.xml".to_owned()));
    assert!(matches!(altered("#STEP1", "#STEP9"), ChainError::Form(_)));
    assert!(matches!(altered("#STEP1", "STEP1"), ChainError::Form(_)));
    assert!(matches!(altered("id=\"STEP1\"", "id=\"STEP0\""), ChainError::Form(_)));
    assert!(matches!(altered("<ns2:StepRef", "<ns2:StepReff"), ChainError::Form(_)));
    assert!(matches!(
        altered("<ns2:HashStep id=\"STEP0\">", "<ns2:HashStep id=\"STEP0\">text"),
        ChainError::Form(_)
    ));
}

#[test]
fn weak_unknown_and_missing_algorithms_are_refused() {
    let sha512 = "http://www.w3.org/2001/04/xmlenc#sha512";
    for other in ["http://www.w3.org/2000/09/xmldsig#sha1", "urn:other"] {
        assert_eq!(altered(sha512, other), ChainError::Algorithm(other.to_owned()));
    }
    let method = format!("<ns2:DefaultDigestMethod Algorithm=\"{sha512}\"/>");
    assert_eq!(altered(&method, ""), ChainError::NoDefaultMethod);
}

#[test]
fn transforms_on_a_part_are_refused() {
    let from = "<ns2:DataRef URI=\"/attachment1\">";
    let to = "<ns2:DataRef URI=\"/attachment1\"><Transforms><Transform Algorithm=\"a\"/></Transforms>";
    assert_eq!(altered(from, to), ChainError::Transform("/attachment1".to_owned()));
}

#[test]
fn a_chain_that_says_another_digest_of_a_part_is_refused_though_it_leads_to_its_result() {
    let value = to_base64(&Sha512.digest(b"a"));
    let other = to_base64(&Sha512.digest(b"b"));
    assert_eq!(altered(&value, &other), ChainError::Digest(vec!["/attachment1".to_owned()]));
}

/// Sixty steps, each naming the next one many times: every step is evaluated once, or this would not end.
#[test]
fn a_chain_that_branches_at_every_step_is_cheap() {
    let mut chain = format!(
        "<HashChain xmlns=\"{NAMESPACE}\" xmlns:ds=\"{DS}\"><DefaultDigestMethod Algorithm=\"{}\"/>",
        Sha512.uri()
    );
    for i in 0..60 {
        let next = format!("<StepRef URI=\"#S{}\"/>", i + 1).repeat(100);
        write!(chain, "<HashStep id=\"S{i}\">{next}</HashStep>").unwrap();
    }
    let value = to_base64(&Sha512.digest(b"m"));
    let data = format!("<DataRef URI=\"/message.xml\"><ds:DigestValue>{value}</ds:DigestValue></DataRef>");
    write!(chain, "<HashStep id=\"S60\">{data}</HashStep></HashChain>").unwrap();
    let mut top = leaf_of_one(&Sha512.digest(b"m"));
    for _ in 0..60 {
        top = step(Sha512, std::iter::repeat_n((Sha512, top.as_slice()), 100));
    }
    let result = String::from_utf8(result_document(Kind::Signature, &top)).unwrap().replace("STEP0", "S0");
    let parts = [part("/message.xml", b"m")];
    assert_eq!(verify(Kind::Signature, result.as_bytes(), Some(chain.as_bytes()), &parts), Ok(()));
}

fn leaf_of_one(digest: &[u8]) -> Vec<u8> {
    step(Sha512, [(Sha512, digest)])
}

#[test]
fn bounds_hold() {
    let many = |count: usize| {
        let steps: String = (0..count)
            .map(|i| format!("<HashStep id=\"S{i}\"><StepRef URI=\"#S{}\"/></HashStep>", i + 1))
            .collect();
        let method = format!("<DefaultDigestMethod Algorithm=\"{}\"/>", Sha512.uri());
        read_chain(format!("<HashChain xmlns=\"{NAMESPACE}\">{method}{steps}</HashChain>").as_bytes())
            .map(|s| s.len())
    };
    assert_eq!(many(limits::HASH_CHAIN_STEPS_MAX), Ok(limits::HASH_CHAIN_STEPS_MAX));
    assert!(matches!(many(limits::HASH_CHAIN_STEPS_MAX + 1), Err(ChainError::Form(XmlError::Bound { .. }))));
}

/// As many attachments as a message may have: the chain is not too large, and each is looked up once.
#[test]
fn the_largest_message_is_proven() {
    let mut parts = vec![part("/message.xml", b"m")];
    parts.extend((1..=limits::ATTACHMENTS_MAX).map(|i| part(&format!("/attachment{i}"), &i.to_be_bytes())));
    let chains = build(Kind::Signature, std::slice::from_ref(&parts)).unwrap();
    assert_eq!(verify(Kind::Signature, &chains.result, Some(&chains.chains[0]), &parts), Ok(()));
}

#[test]
fn time_stamp_chains_lead_to_signature_documents() {
    let records: Vec<Vec<PartDigest>> = (0..7_u8).map(|i| vec![part(SIGNATURES, &[i])]).collect();
    let chains = build(Kind::Timestamp, &records).unwrap();
    assert!(String::from_utf8_lossy(&chains.result).contains("\"/ts-hashchain.xml#STEP0\""));
    for (chain, record) in chains.chains.iter().zip(&records) {
        assert_eq!(verify(Kind::Timestamp, &chains.result, Some(chain), record), Ok(()));
    }
}

/// X-Road's own chains; their documents call the chain `/hashchain.xml`.
#[test]
fn vectors_of_x_road_have_their_verdicts() {
    let Some(folder) = vectors("xroad/soap-messages") else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let run = |number: u8, chain: &str, parts: &[PartDigest]| {
        let result =
            read(&format!("hc-verifier{number}-hashchainresult.xml")).replace("/hashchain.xml", HASH_CHAIN);
        verify(Kind::Signature, result.as_bytes(), Some(read(chain).as_bytes()), parts)
    };
    let two = named("/message.xml", Sha256, &Sha256.digest(b"two"));
    assert_eq!(run(1, "hc-verifier1-hashchain.xml", std::slice::from_ref(&two)), Ok(()));
    let more = [two.clone(), named("/attachment1", Sha256, &[0; 32])];
    assert_eq!(
        run(1, "hc-verifier1-hashchain.xml", &more),
        Err(ChainError::Unused(vec!["/attachment1".to_owned()]))
    );
    let three = named("/message.xml", Sha256, &Sha256.digest(b"three"));
    assert!(matches!(run(1, "hc-verifier1-hashchain.xml", &[three]), Err(ChainError::Result { .. })));
    let parts: Vec<PartDigest> = ["/message.xml", "/attachment1", "/attachment2", "/attachment3"]
        .into_iter()
        .zip([0x0b_u8, 0x0c, 0x0d, 0x0e])
        .map(|(name, digest)| named(name, Sha256, &[digest]))
        .collect();
    assert_eq!(run(2, "hc-verifier2-hashchain.xml", &parts), Ok(()));
    // Ours: no transforms on a part, one chain document.
    assert!(matches!(
        run(3, "hc-verifier3-hashchain.xml", std::slice::from_ref(&two)),
        Err(ChainError::Transform(_))
    ));
    assert!(matches!(
        run(4, "hc-verifier4-hashchain1.xml", std::slice::from_ref(&two)),
        Err(ChainError::Unresolved(_))
    ));
    assert!(matches!(run(4, "hc-verifier5-hashchain-invalid-schema.xml", &[two]), Err(ChainError::Form(_))));
}

#[test]
fn a_part_that_passes_for_a_step_is_told_from_all_others() {
    let (a, b) = ([1; 64], [2; 64]);
    let sha512 = Sha512;
    let passes =
        |bytes: &[u8]| passes_for_step(&bytes[..bytes.len().min(STEP_START_BYTES)], bytes.len() as u64);
    assert!(passes(&digest_list([(sha512, &a[..])])));
    assert!(passes(&digest_list([(sha512, &a[..]), (sha512, &b[..])])));
    assert!(passes(&digest_list(std::iter::repeat_n((sha512, &a[..]), 3000))));
    assert!(passes(&digest_list([(Sha256, &a[..32])])));
    let mut longer = digest_list([(sha512, &a[..])]);
    longer.push(0);
    assert!(!passes(&longer), "what ends elsewhere is no step");
    for other in [&b""[..], b"0", b"{\"a\":1}", b"0000 text that begins with the tag's digit", &[0x30, 0x80]]
    {
        assert!(!passes(other));
    }
    let certificate =
        rcgen::CertificateParams::default().self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    assert!(!passes(certificate.der()));
}
