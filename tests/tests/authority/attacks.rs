//! What a door that lies brings, what comes twice, what comes too late: refused, each.

use super::*;
use saatkond::embassy::exchange;
use saatkond::embassy::switch::switch;
use saatkond::net::tls;
use saatkond_proto::continuity::note::Note;
use saatkond_proto::continuity::{Class, header};
use saatkond_proto::transport::read::{Event, Expect, Reader};
use saatkond_tests::passage::sign;
use saatkond_tests::wire::Wire;
use saatkond_tests::{For, Gate, Holder, Passage, Post, Seen};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Longer than a note may be old.
const FAR: Duration = Duration::from_secs(301);
const NOT_AUTHENTIC: &str = "service_failed.ssl_authentication_failed";

fn der(federation: &Federation, code: &str) -> Vec<u8> {
    federation.auth(code).certificate.der().to_vec()
}

/// Registers the land register on the harbour's server, which stands at the mission.
fn register_at_mission(federation: &Federation) {
    federation.change_server("PORT", |server| server.clients.push("DEV/GOV/M2/LAND".to_owned()));
}

/// A note of another door than the one that brings the call.
fn of_home(bed: &Bed, passage: &Passage) -> Note {
    let mut passed = passage.note.passed().clone();
    (passed.door, passed.certificate) = (bed.federation.id("HOME"), der(&bed.federation, "HOME"));
    sign(passed, &bed.federation.auth("HOME"))
}

/// What a door that is the embassy's makes of a call.
struct Lie {
    what: &'static str,
    spoil: fn(&Bed, Passage) -> Passage,
}

const fn lie(what: &'static str, spoil: fn(&Bed, Passage) -> Passage) -> Lie {
    Lie { what, spoil }
}

/// Lies that each spoil one thing.
const LIES: [Lie; 14] = [
    lie("a note about other bytes", |_, p| p.noting(|n| n.message[0] ^= 1)),
    lie("another call under the note", |bed, p| {
        let other = Passage::of(&bed.federation, "EMBASSY", &bed.write("other"));
        Passage { note: p.note, ..other }
    }),
    lie("a chain of another member's server", |bed, p| p.claiming(vec![der(&bed.federation, "PORT")])),
    lie("a chain that no server shows", |bed, p| {
        let stranger = bed.federation.issue(For::Authentication, |_| ());
        p.claiming(vec![stranger.certificate.der().to_vec()])
    }),
    lie("no chain", |_, p| p.claiming(Vec::new())),
    lie("a chain that the note does not name", |bed, mut p| {
        p.chain.push(bed.federation.authority().certificate.der().to_vec());
        p
    }),
    lie("a note signed by another key", |bed, mut p| {
        p.note = sign(p.note.passed().clone(), &bed.federation.auth("HOME"));
        p
    }),
    lie("a note in another door's name", |bed, p| p.noting(|n| n.door = bed.federation.id("HOME"))),
    lie("another door's note", |bed, p| Passage { note: of_home(bed, &p), ..p }),
    lie("an old note", |_, p| p.noting(|n| n.time = n.time.minus(FAR))),
    lie("a note that is ahead", |_, p| p.noting(|n| n.time = n.time.plus(FAR))),
    lie("a note that names one before it", |_, p| p.noting(|n| n.previous = Some(vec![7; 32]))),
    lie("a call that it brought itself", |bed, p| p.by(&bed.federation, "EMBASSY")),
    lie("a note before it about another call", |bed, p| {
        let other = Passage::of(&bed.federation, "EMBASSY", &bed.write("other"));
        Passage { notes: vec![of_home(bed, &other)], ..p }
    }),
];

#[tokio::test]
async fn a_call_that_a_door_lies_about_is_not_executed() {
    let bed = Bed::new().await;
    for Lie { what, spoil } in LIES {
        let letter = bed.write(what);
        let passage = Passage::of(&bed.federation, "EMBASSY", &letter);
        let told = spoil(&bed, passage).bring(&bed.federation, "HOME").await.unwrap();
        assert_eq!(told.code(), NOT_AUTHENTIC, "{what}: {:?}", told.fault());
        assert!(bed.book.all().is_empty() && bed.home().log().is_empty(), "{what}");
    }
    for text in ["", "saatkond/relay-note/v1", "no note\n"] {
        let passage = Passage::of(&bed.federation, "EMBASSY", &bed.write("a"));
        let told = passage.bring_with(&bed.federation, "HOME", text).await.unwrap();
        assert_eq!(told.code(), NOT_AUTHENTIC, "{text:?}");
    }
    // What a member signed cannot be altered by a door, whatever its note says.
    let mut letter = bed.write("altered");
    *letter.part(Part::RestBody) = b"to something else".to_vec();
    let told = Passage::of(&bed.federation, "EMBASSY", &letter).bring(&bed.federation, "HOME").await.unwrap();
    assert!(told.code().contains("signature_verification"), "{}", told.code());
    assert!(bed.book.all().is_empty() && bed.home().log().is_empty());
    assert_eq!(bed.home().spooled(), 0);
    // Without a lie it is.
    let letter = bed.write("honest");
    let told = Passage::of(&bed.federation, "EMBASSY", &letter).bring(&bed.federation, "HOME").await.unwrap();
    assert_eq!(bed.judge(&letter, &told).by, "HOME");
    assert_eq!(bed.book.all(), [("home", "honest".to_owned())]);
}

#[tokio::test]
async fn what_was_passed_on_is_executed_once_however_it_comes_again() {
    let bed = Bed::new().await;
    register_at_mission(&bed.federation);
    bed.home().refresh().await;
    let letter = bed.write("once");
    let passage = Passage::of(&bed.federation, "EMBASSY", &letter);
    assert_eq!(bed.judge(&letter, &passage.bring(&bed.federation, "HOME").await.unwrap()).by, "HOME");
    let later = passage.clone().noting(|n| n.time = n.time.plus(Duration::from_secs(1)));
    let elsewhere = Passage::of(&bed.federation, "PORT", &letter);
    // The same signature, written in another way.
    let rewritten = letter.clone().resigned("?>", "?>\n");
    let rewritten = Passage::of(&bed.federation, "EMBASSY", &rewritten);
    for (what, again) in
        [("as it was", passage), ("later", later), ("by another door", elsewhere), ("rewritten", rewritten)]
    {
        let told = again.bring(&bed.federation, "HOME").await.unwrap();
        assert_eq!(told.code(), "continuity.already_executed", "{what}: {:?}", told.fault());
    }
    assert_eq!(bed.bring("HOME", &letter).await.code(), "continuity.already_executed");
    assert_eq!(bed.book.all().len(), 1);
    // A read that a door brings is served once, too: whoever wants it again signs it again.
    let read = bed.asker().draft(&Ask::get("land/titles/1")).letter();
    let passage = Passage::of(&bed.federation, "EMBASSY", &read);
    assert_eq!(passage.bring(&bed.federation, "HOME").await.unwrap().code(), "");
    assert_eq!(passage.bring(&bed.federation, "HOME").await.unwrap().code(), "continuity.already_executed");
}

#[tokio::test]
async fn a_third_hop_is_refused_and_a_second_is_not() {
    let bed = Bed::new().await;
    register_at_mission(&bed.federation);
    bed.home().refresh().await;
    bed.embassy().refresh().await;
    let federation = &bed.federation;
    let letter = bed.write("two");
    let two = Passage::of(federation, "PORT", &letter).by(federation, "EMBASSY");
    assert_eq!(bed.judge(&letter, &two.bring(federation, "HOME").await.unwrap()).by, "HOME");
    let three =
        Passage::of(federation, "PORT", &bed.write("three")).by(federation, "EMBASSY").by(federation, "PORT");
    let told = three.bring(federation, "HOME").await.unwrap();
    let why = String::from_utf8_lossy(&told.body).into_owned();
    assert_eq!(told.head.status(), 403);
    assert!(why.contains("the call came by 3 doors, expected 1 to 2"), "{why}");
    // A site that does not lead passes a call on once more at most, and never back.
    let order = bed.order(1, "lux1", Switch::Unplanned);
    switch(&bed.embassy().gateway, &bed.embassy().gateway.world(), &order).await.unwrap();
    for passage in [
        Passage::of(federation, "PORT", &bed.write("b")).by(federation, "EMBASSY"),
        Passage::of(federation, "EMBASSY", &bed.write("c")),
    ] {
        assert_eq!(passage.bring(federation, "HOME").await.unwrap().head.status(), 421);
    }
    assert_eq!(bed.book.all(), [("home", "two".to_owned())]);
    let letter = bed.write("d");
    let told = Passage::of(federation, "PORT", &letter).bring(federation, "HOME").await.unwrap();
    assert_eq!(bed.judge(&letter, &told).by, "EMBASSY");
}

#[tokio::test]
async fn who_is_no_door_of_the_register_passes_nothing_on() {
    let bed = Bed::new().await;
    let federation = &bed.federation;
    // A server that stands at no site does not get as far as a word.
    let passage = Passage::of(federation, "TAX", &bed.write("a"));
    assert!(passage.bring(federation, "HOME").await.is_err());
    // Nor does one whose certificate is the embassy's and whose key is not.
    let mut passage = Passage::of(federation, "EMBASSY", &bed.write("b"));
    passage.shows = passage.shows.with_key_of(&federation.auth("TAX"));
    assert!(passage.bring(federation, "HOME").await.is_err());
    // One that brings no good word about its certificate is not listened to.
    let mut passage = Passage::of(federation, "EMBASSY", &bed.write("c"));
    passage.statuses.clear();
    assert_eq!(passage.bring(federation, "HOME").await.unwrap().head.status(), 403);
    // One at a site, where nobody can bring calls for this register: it is not registered there.
    let told = Passage::of(federation, "PORT", &bed.write("d")).bring(federation, "HOME").await.unwrap();
    assert_eq!(told.code(), NOT_AUTHENTIC);
    let told = Passage::of(federation, "PORT", &bed.write("e"))
        .by(federation, "EMBASSY")
        .bring(federation, "HOME")
        .await;
    assert_eq!(told.unwrap().code(), NOT_AUTHENTIC);
    // What is no register's is passed on by nobody.
    let ask = Ask::get("listMethods").target("/r1/DEV/GOV/M2/LAND/listMethods");
    let told =
        Passage::of(federation, "EMBASSY", &bed.asker().draft(&ask).letter()).bring(federation, "HOME").await;
    assert_eq!(told.unwrap().code(), "invalid_request");
    assert!(bed.book.all().is_empty() && bed.at_home.asked.is_empty() && bed.home().log().is_empty());
    register_at_mission(federation);
    bed.home().refresh().await;
    let letter = bed.write("f");
    let told = Passage::of(federation, "PORT", &letter).bring(federation, "HOME").await.unwrap();
    assert_eq!(bed.judge(&letter, &told).by, "HOME", "once it is registered there");
}

#[tokio::test]
async fn a_class_holds_for_each_door_that_a_call_came_by() {
    let bed = Bed::new().await;
    register_at_mission(&bed.federation);
    bed.home().refresh().await;
    let federation = &bed.federation;
    let forbidden = "continuity.class_forbidden";
    for (class, embassy, mission) in [
        (Class::Public, "", ""),
        (Class::Internal, "", ""),
        (Class::Restricted, "", forbidden),
        (Class::HomeOnly, forbidden, forbidden),
    ] {
        let policy = bed.home().gateway.world().conf.continuity().cloned().unwrap();
        bed.home().believe_all(|instances| {
            let mut policy = policy;
            policy.registers[0].class = class;
            instances[0].options.continuity = Some(Arc::new(policy));
        });
        for (door, expected) in [("EMBASSY", embassy), ("PORT", mission)] {
            for letter in [bed.write("a"), bed.asker().draft(&Ask::get("land")).letter()] {
                let told = Passage::of(federation, door, &letter).bring(federation, "HOME").await.unwrap();
                assert_eq!(told.code(), expected, "{class:?} {door}");
            }
        }
        let two = Passage::of(federation, "PORT", &bed.write("b")).by(federation, "EMBASSY");
        let expected = if embassy.is_empty() { mission } else { embassy };
        assert_eq!(two.bring(federation, "HOME").await.unwrap().code(), expected, "{class:?} by both");
    }
}

/// The tools refuse to register such a register abroad; a gateway that is told so all the same serves it to nobody.
#[tokio::test]
async fn a_register_that_may_not_leave_home_is_refused_abroad() {
    let bed = Bed::new().await;
    let policy = bed.home().gateway.world().conf.continuity().cloned().unwrap();
    for site in [bed.home(), bed.embassy()] {
        site.believe_all(|instances| {
            let mut policy = policy.clone();
            policy.registers[0].class = Class::HomeOnly;
            instances[0].options.continuity = Some(Arc::new(policy));
        });
    }
    let _fresh = Bed::fresh(bed.embassy());
    for ask in [Ask::get("land"), Ask::post("land", "{}")] {
        let letter = bed.asker().draft(&ask).letter();
        let told = bed.bring("EMBASSY", &letter).await;
        assert_eq!(told.code(), "continuity.class_forbidden", "{ask:?}");
        assert!(told.fault().unwrap().string.contains("is HOME_ONLY"), "{:?}", told.fault());
        assert_eq!(bed.bring("HOME", &letter).await.code(), "", "{ask:?}");
    }
    assert!(bed.abroad.asked.is_empty() && bed.embassy().log().is_empty());
}

/// Each name, forged in a call that is passed on and by the register that answers it.
#[tokio::test]
async fn nobody_else_speaks_in_our_name_through_a_door() {
    let bed = Bed::new().await;
    let forging = Service::start(|_: &Asked| {
        let lines: Vec<(&str, &str)> = header::ALL.iter().map(|name| (*name, "forged")).collect();
        Answer::new("200 OK", &lines, "{}")
    });
    let forging = forging.await;
    bed.home().change_server(&answering(&forging.url(""))).await;
    let names = header::ALL.into_iter().filter(|name| *name != header::MAX_STALENESS);
    let ask = names.fold(Ask::post("land", "{}"), |ask, name| ask.line(name, "forged"));
    let letter = bed.asker().draft(&ask).letter();
    let judged = bed.judge(&letter, &bed.bring("EMBASSY", &letter).await);
    let asked = forging.asked.last();
    let ours: Vec<_> = asked.lines.iter().filter(|(name, _)| header::is_ours(name)).collect();
    assert_eq!(ours.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["0"], "{ours:?}");
    let told: Vec<_> = judged.response.headers.iter().filter(|(name, _)| header::is_ours(name)).collect();
    assert_eq!(told, [(header::STATE, "HOME_ACTIVE;site=home;copy=AUTHORITY;token=0")]);
    assert_eq!(judged.by, "HOME");
}

//------------ SOAP ----------------------------------------------------------

const SOAP: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' \
    xmlns:x='http://x-road.eu/xsd/xroad.xsd' xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header>\
    <x:client i:objectType='SUBSYSTEM'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
    <i:memberCode>M1</i:memberCode><i:subsystemCode>TAX</i:subsystemCode></x:client>\
    <x:service i:objectType='SERVICE'><i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass>\
    <i:memberCode>M2</i:memberCode><i:subsystemCode>LAND</i:subsystemCode><i:serviceCode>deal</i:serviceCode>\
    </x:service><x:id>q-1</x:id><x:protocolVersion>4.0</x:protocolVersion></s:Header><s:Body><deal>WHAT</deal></s:Body>\
    </s:Envelope>";

/// A register that is asked by SOAP, and `server.toml` of a gateway with it.
async fn soap_register(book: &Book, site: &'static str) -> (Service, String) {
    let book = book.clone();
    let service = Service::start(move |asked: &Asked| {
        let body = String::from_utf8(asked.body.clone()).unwrap();
        let what = body.split("<deal>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
        book.0.lock().unwrap().push((site, what));
        let answer = body.replace("<deal>", "<dealResponse>").replace("</deal>", "</dealResponse>");
        Answer::new("200 OK", &[("Content-Type", "text/xml")], answer)
    })
    .await;
    let toml = answering(&service.url("")).replace("code = \"land\"", "code = \"deal\"\nkind = \"soap\"");
    (service, toml)
}

/// A write by SOAP, as a gateway brings it.
fn deal(bed: &Bed, what: &str) -> (Letter, Post) {
    let mut draft = bed.asker().draft(&Ask::post("land", "{}"));
    (draft.block, draft.body) = (SOAP.replace("WHAT", what).into_bytes(), None);
    let mut letter = draft.letter();
    let place = letter.place(Part::RestRequest);
    letter.pieces[place].kind = "text/xml".to_owned();
    let post = Post::of(&letter).without("x-road-message-type").line("x-original-content-type", "text/xml");
    (letter, post)
}

/// Whose key the Land Board signed a SOAP answer with; the answer.
fn soap_answer(bed: &Bed, told: &Told) -> (&'static str, String) {
    let content_type = told.head.line("content-type").unwrap();
    assert!(content_type.starts_with("multipart/"), "{:?}", told.fault());
    let mut reader = Reader::new(content_type, Expect::SoapResponse).unwrap();
    let (mut bytes, mut document, mut proof) = (told.body.as_slice(), Vec::new(), Vec::new());
    while let Some(event) = reader.next(&mut bytes).unwrap() {
        match event {
            Event::Soap { envelope, .. } => document = envelope,
            Event::Signature(bytes) => proof = bytes,
            _ => {}
        }
    }
    let algorithm = DigestAlgorithm::Sha512;
    let digest = PartDigest { name: MESSAGE.to_owned(), algorithm, digest: algorithm.digest(&document) };
    let unverified =
        Unverified { parts: vec![digest], signature: proof, hash_chain_result: None, hash_chain: None };
    let conf = &bed.home().gateway.world().conf;
    let verified = signature::verify(unverified, &land(), conf, bed.federation.now()).unwrap();
    let by = ["HOME", "EMBASSY"].into_iter().find(|code| bed.signed_by(&verified, code)).unwrap();
    (by, String::from_utf8(document).unwrap())
}

#[tokio::test]
async fn a_write_by_soap_is_passed_on_once_and_comes_back_as_homes() {
    let bed = Bed::new().await;
    let ((_home, at_home), (_lux, abroad)) =
        (soap_register(&bed.book, "home").await, soap_register(&bed.book, "lux1").await);
    bed.home().change_server(&at_home).await;
    bed.embassy().change_server(&abroad).await;
    let (asker, federation) = (bed.asker(), &bed.federation);
    let (_, post) = deal(&bed, "first");
    let (by, answer) = soap_answer(&bed, &asker.say(federation, "EMBASSY", &post).await.unwrap());
    assert!(
        by == "HOME" && answer.contains("requestHash") && answer.contains("<dealResponse>first<"),
        "{answer}"
    );
    // The request id of a SOAP message is not signed.
    for id in ["none", "00000000-0000-4000-8000-00000000ffff"] {
        let again = post.clone().line("x-road-request-id", id);
        for door in ["EMBASSY", "HOME"] {
            let told = asker.say(federation, door, &again).await.unwrap();
            assert_eq!(told.code(), "continuity.already_executed", "{door} {id}");
        }
        let passage = Passage::honest(federation, "EMBASSY", "TAX", &again);
        assert_eq!(passage.bring(federation, "HOME").await.unwrap().code(), "continuity.already_executed");
    }
    // The same attacks as by REST.
    let (mut letter, _) = deal(&bed, "second");
    let place = letter.pieces.iter().position(|piece| piece.kind == "text/xml").unwrap();
    letter.pieces[place].bytes = SOAP.replace("WHAT", "third").into_bytes();
    let altered = Post { body: letter.bytes(), ..post.clone() };
    let passage = Passage::honest(federation, "EMBASSY", "TAX", &altered);
    let told = passage.bring(federation, "HOME").await.unwrap();
    assert!(told.code().contains("signature_verification"), "{}", told.code());
    let (_, post) = deal(&bed, "fourth");
    let honest = Passage::honest(federation, "EMBASSY", "TAX", &post);
    for lie in [
        honest.clone().noting(|n| n.message[0] ^= 1),
        honest.clone().claiming(vec![der(federation, "PORT")]),
        honest.clone().noting(|n| n.door = federation.id("HOME")),
    ] {
        assert_eq!(lie.bring(federation, "HOME").await.unwrap().code(), NOT_AUTHENTIC);
    }
    assert_eq!(bed.book.all(), [("home", "first".to_owned())]);
    assert_eq!(soap_answer(&bed, &honest.bring(federation, "HOME").await.unwrap()).0, "HOME");
}

#[tokio::test]
async fn a_write_by_soap_that_can_go_nowhere_is_refused() {
    let mut bed = Bed::new().await;
    let (_abroad, toml) = soap_register(&bed.book, "lux1").await;
    bed.embassy().change_server(&toml).await;
    bed.close_home().await;
    let told = bed.asker().say(&bed.federation, "EMBASSY", &deal(&bed, "a").1).await.unwrap();
    assert_eq!(told.code(), "continuity.not_authority", "{:?}", told.fault());
    assert!(bed.book.all().is_empty());
}

//------------ authority that passes meanwhile -------------------------------

/// A register over TLS that takes connections and lets nobody finish the handshake before a gate is open.
async fn held(holder: &Holder, gate: &Gate) -> (String, Seen<()>, Seen<String>, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(tls::from_information_systems(holder.certified(&[])).unwrap());
    let (connected, asked, gate) = (Seen::default(), Seen::default(), gate.clone());
    let (came, heard) = (connected.clone(), asked.clone());
    let running = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            came.add(());
            gate.pass().await;
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let mut wire = Wire::new(stream);
            while let Ok(Some(head)) = wire.head().await {
                heard.add(head.first.clone());
                let _ = wire.body(head.end()).await;
                let _ = wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    });
    (url, connected, asked, running)
}

/// A write is checked, recorded and about to be told to the register when a higher order comes: it goes where authority went.
#[tokio::test]
async fn an_order_that_comes_between_check_and_register_fences_the_write() {
    for comes in [true, false] {
        let bed = Bed::new().await;
        let gate = Gate::default();
        let shows = Holder::self_signed(For::Tls, |_| ());
        let (url, connected, asked, running) = held(&shows, &gate).await;
        let toml = answering(&url).replace("timeout =", "verify_tls = false\ntimeout =");
        bed.home().change_server(&toml).await;
        let letter = bed.write("fenced");
        let meanwhile = async {
            connected.wait_for(1).await;
            if comes {
                let order = bed.order(1, "lux1", Switch::Unplanned);
                let (embassy, world) = (&bed.embassy().gateway, bed.embassy().gateway.world());
                let policy = world.conf.continuity().unwrap();
                embassy.embassy.authority.adopt(policy, &order).await.unwrap();
                assert!(
                    exchange::tell(embassy, &world, policy.site("home").unwrap(), &order)
                        .await
                        .unwrap()
                        .stands
                );
                assert_eq!(Bed::leader(bed.home()), ("lux1".to_owned(), 1));
            }
            gate.open();
        };
        let (told, ()) = tokio::join!(bed.bring("HOME", &letter), meanwhile);
        let by = bed.judge(&letter, &told).by;
        if comes {
            assert_eq!((by, asked.len()), ("EMBASSY", 0), "home's register was not told");
            assert_eq!(bed.book.all(), [("lux1", "fenced".to_owned())]);
        } else {
            assert_eq!((by, asked.len(), bed.book.all().len()), ("HOME", 1, 0));
        }
        running.abort();
    }
}

/// The same through a door: home says that it does not lead any more, and by which order; the door takes it where it went.
#[tokio::test]
async fn an_order_that_only_home_knows_is_heard_by_the_door_that_brings_a_write() {
    let bed = Bed::new().await;
    let order = bed.order(1, "lux1", Switch::Unplanned);
    let world = bed.home().gateway.world();
    bed.home().gateway.embassy.authority.adopt(world.conf.continuity().unwrap(), &order).await.unwrap();
    assert_eq!(Bed::leader(bed.embassy()), ("home".to_owned(), 0));
    let letter = bed.write("a");
    assert_eq!(bed.judge(&letter, &bed.bring("EMBASSY", &letter).await).by, "EMBASSY");
    assert_eq!(Bed::leader(bed.embassy()), ("lux1".to_owned(), 1));
    // One that is forged is heard by nobody.
    let forged = order.to_text().replace("site lux1", "site home").replace("token 1", "token 9");
    let mut passage = Passage::of(&bed.federation, "EMBASSY", &bed.write("b"));
    passage.order = Some(forged);
    let told = passage.bring(&bed.federation, "HOME").await.unwrap();
    assert_eq!((told.head.status(), Bed::leader(bed.home())), (421, ("lux1".to_owned(), 1)));
}
