//! Bounds of a SOAP message, each pushed against at the consumer's door, at the provider's, and by the service: a message
//! at the bound crosses, one beyond it is told so and leaves nothing behind.

use crate::codes::Scripted;
use crate::soap::{self, RELATED, envelope};
use saatkond_proto::limits;
use saatkond_proto::transport::write::Part;
use saatkond_tests::letter::Piece;
use saatkond_tests::{Answer, Ask, Asker, Gate, spawn_asking};

/// A message as an information system frames it, with its content type.
struct Framed {
    kind: String,
    body: Vec<u8>,
}

impl Framed {
    fn alone(envelope: String) -> Self {
        Self { kind: "text/xml".to_owned(), body: envelope.into_bytes() }
    }

    /// An envelope and so many parts, each with this head and body.
    fn related(parts: usize, head: &str, body: &[u8]) -> Self {
        let envelope = envelope("parcel", "parcel");
        let mut out = format!("--b1\r\ncontent-type:text/xml\r\n\r\n{envelope}").into_bytes();
        for _ in 0..parts {
            out.extend_from_slice(format!("\r\n--b1\r\ncontent-type:a/b\r\n{head}\r\n").as_bytes());
            out.extend_from_slice(body);
        }
        out.extend_from_slice(b"\r\n--b1--\r\n");
        Self { kind: RELATED.to_owned(), body: out }
    }

    /// As the provider's gateway is brought it: the envelope, and the attachments in a multipart of their own.
    fn pieces(&self) -> Vec<Piece> {
        if self.kind != RELATED {
            return vec![Piece::new("text/xml", &self.body)];
        }
        let begins = b"\r\n--b1\r\ncontent-type:a/b";
        let end = self.body.windows(begins.len()).position(|w| w == begins).unwrap_or(self.body.len() - 10);
        let envelope = &self.body[b"--b1\r\ncontent-type:text/xml\r\n\r\n".len()..end];
        let mut pieces = vec![Piece::new("text/xml", envelope)];
        if end < self.body.len() - 10 {
            pieces.push(Piece::new("multipart/mixed; boundary=b1", &self.body[end..]));
        }
        pieces
    }
}

fn with(text: &str, other: &str) -> String {
    let right = envelope("parcel", "parcel");
    assert!(right.contains(text), "{text}");
    right.replacen(text, other, 1)
}

fn inside(inner: &str) -> String {
    with("<parcel/>", &format!("<parcel>{inner}</parcel>"))
}

/// What is at a bound, what is beyond it, and the last word of the code. Both are made when it is their turn.
type Bound = (&'static str, fn() -> Framed, fn() -> Framed, &'static str);

const BOUNDS: &[Bound] = &[
    (
        "levels of nesting", // three are around it
        || Framed::alone(inside(&("<a>".repeat(61) + &"</a>".repeat(61)))),
        || Framed::alone(inside(&("<a>".repeat(62) + &"</a>".repeat(62)))),
        "invalid_soap",
    ),
    (
        "attributes on an element",
        || {
            Framed::alone(inside(&format!(
                "<a{}/>",
                (0..64).map(|i| format!(" a{i}=''")).collect::<String>()
            )))
        },
        || {
            Framed::alone(inside(&format!(
                "<a{}/>",
                (0..65).map(|i| format!(" a{i}=''")).collect::<String>()
            )))
        },
        "invalid_soap",
    ),
    (
        "namespace declarations in scope", // three are the envelope's
        || {
            Framed::alone(inside(&format!(
                "<a{}/>",
                (0..29).map(|i| format!(" xmlns:n{i}='u'")).collect::<String>()
            )))
        },
        || {
            Framed::alone(inside(&format!(
                "<a{}/>",
                (0..30).map(|i| format!(" xmlns:n{i}='u'")).collect::<String>()
            )))
        },
        "invalid_soap",
    ),
    (
        "bytes in a name",
        || Framed::alone(inside(&format!("<{}/>", "n".repeat(256)))),
        || Framed::alone(inside(&format!("<{}/>", "n".repeat(257)))),
        "invalid_soap",
    ),
    (
        "elements and attributes",
        || Framed::alone(inside(&"<a/>".repeat(limits::XML_MARKS_MAX - 100))),
        || Framed::alone(inside(&"<a/>".repeat(limits::XML_MARKS_MAX))),
        "invalid_soap",
    ),
    (
        "bytes",
        || Framed::alone(inside(&"x".repeat(limits::ENVELOPE_BYTES_MAX - 2000))),
        || Framed::alone(inside(&"x".repeat(limits::ENVELOPE_BYTES_MAX))),
        "invalid_soap",
    ),
    (
        "attachments",
        || Framed::related(limits::ATTACHMENTS_MAX, "", b""),
        || Framed::related(limits::ATTACHMENTS_MAX + 1, "", b""),
        "mime_parsing_failed",
    ),
    (
        "bytes of part headers",
        || Framed::related(250, &format!("x: {}\r\n", "h".repeat(15_000)), b""),
        || Framed::related(270, &format!("x: {}\r\n", "h".repeat(15_000)), b""),
        "mime_parsing_failed",
    ),
];

#[tokio::test]
async fn a_message_may_be_so_large_and_no_larger() {
    let bench = Scripted::new("", "").await;
    let asker = Asker::of(&bench.federation, "TAX");
    let right = soap::ask("text/xml", envelope("parcel", "parcel").as_bytes());
    for (what, at, beyond, code) in BOUNDS {
        // At the bound it crosses both ways.
        let Framed { kind, body } = at();
        bench.says(Answer::new("200 OK", &[("Content-Type", &kind)], &body));
        let heard = bench.tax.ask(&soap::ask(&kind, &body)).await;
        assert!(
            heard.text().contains("requestHash"),
            "{what}: {}",
            &heard.text()[..500.min(heard.body.len())]
        );
        let asked = bench.service.asked.last();
        assert!(asked.body == body, "{what}: the service was asked something else");
        let (before, logged) = (bench.service.asked.len(), bench.home.log().len());

        // Beyond it: from the information system, from the other gateway, from the service.
        let framed = beyond();
        let heard = bench.tax.ask(&soap::ask(&framed.kind, &framed.body)).await;
        assert_eq!(heard.fault().map(|f| f.code), Some(format!("client.{code}")), "{what}");
        let mut letter = asker.draft(&Ask::get("land")).letter();
        let place = letter.place(Part::RestRequest);
        letter.pieces.splice(place..=place, framed.pieces());
        let told = asker.say(&bench.federation, "HOME", &soap::post(&letter)).await.unwrap();
        assert_eq!(told.code(), format!("service_failed.{code}"), "{what}: {:?}", told.fault());
        assert_eq!((bench.service.asked.len(), bench.home.log().len()), (before, logged), "{what}");
        bench.says(Answer::new("200 OK", &[("Content-Type", &framed.kind)], &framed.body));
        let heard = bench.tax.ask(&right).await;
        let code = format!("server.serverproxy.service_failed.{code}");
        assert_eq!(heard.fault().map(|f| f.code), Some(code), "{what}");
        assert_eq!((bench.tax.spooled(), bench.home.spooled()), (0, 0), "{what}");
    }
}

/// One bound on what is in memory, however many attachments there are, and one file for the rest.
#[tokio::test]
async fn many_attachments_are_one_file() {
    let small = "[limits]\nspool_memory = \"4 KiB\"\n";
    let bench = Scripted::new(small, small).await;
    let gate = Gate::default();
    let Framed { kind, body } = Framed::related(500, "Content-ID: <a>\r\n", &[b'a'; 1000]);
    bench.says(Answer::new("200 OK", &[("Content-Type", &kind)], &body).after(&gate));
    let asking = spawn_asking(bench.tax.clients, soap::ask(&kind, &body));
    bench.service.asked.wait_for(1).await;
    assert_eq!((bench.tax.spooled(), bench.home.spooled()), (1, 1));
    gate.open();
    let heard = asking.await.unwrap();
    assert_eq!(heard.text().matches("Content-ID: <a>").count(), 500);
    assert_eq!(bench.service.asked.last().body, body);
    // Together they are bounded, too.
    let less = "[limits]\nbody_max = \"400 KiB\"\n";
    let bench = Scripted::new("", less).await;
    let heard = bench.tax.ask(&soap::ask(&kind, &body)).await;
    assert_eq!(heard.fault().map(|f| f.code), Some("server.serverproxy.invalid_request".to_owned()));
    assert!(bench.service.asked.is_empty());
}
