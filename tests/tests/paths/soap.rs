//! SOAP messages from one information system to the other and back.

use saatkond::messagelog::Attachment;
use saatkond_tests::site::{ASKING, answering};
use saatkond_tests::{Answer, Ask, Federation, Letter, Post, Service};

/// The content type of [`multipart`].
pub(crate) const RELATED: &str = "multipart/related; type=\"text/xml\"; boundary=b1";

/// A request of the Tax Board to a service of the Land Board, with this element in its body.
pub(crate) fn envelope(service: &str, body: &str) -> String {
    let id = |member: &str, subsystem: &str, more: &str| {
        format!(
            "<i:xRoadInstance>DEV</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>{member}\
             </i:memberCode><i:subsystemCode>{subsystem}</i:subsystemCode>{more}"
        )
    };
    let client = id("M1", "TAX", "");
    let service = id("M2", "LAND", &format!("<i:serviceCode>{service}</i:serviceCode>"));
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:x='http://x-road.eu/xsd/xroad.xsd' \
         xmlns:i='http://x-road.eu/xsd/identifiers'><s:Header><x:client i:objectType='SUBSYSTEM'>{client}</x:client>\
         <x:service i:objectType='SERVICE'>{service}</x:service><x:id>q-1</x:id>\
         <x:protocolVersion>4.0</x:protocolVersion></s:Header><s:Body><{body}/></s:Body></s:Envelope>"
    )
}

/// Header lines and content of a part that is no text, and of one that nobody may decode.
const PARTS: [(&str, &[u8]); 2] = [
    ("content-type:application/octet-stream\r\nContent-ID: <a1>", b"\r\n--b\x00\xff\r\n"),
    ("content-type:text/plain\r\nContent-Transfer-Encoding: base64", b"aGVsbG8="),
];

/// An envelope with two attachments.
pub(crate) fn multipart(envelope: &str) -> Vec<u8> {
    let mut out = format!("--b1\r\ncontent-type:text/xml\r\n\r\n{envelope}").into_bytes();
    for (head, body) in PARTS {
        out.extend_from_slice(format!("\r\n--b1\r\n{head}\r\n\r\n").as_bytes());
        out.extend_from_slice(body);
    }
    out.extend_from_slice(b"\r\n--b1--\r\n");
    out
}

/// What an information system says to its gateway.
pub(crate) fn ask(content_type: &str, body: &[u8]) -> Ask {
    let mut ask = Ask::new("POST", "").target("/");
    ask.lines.retain(|(name, _)| name != "X-Road-Client");
    ask.line("Content-Type", content_type).body(body)
}

/// A letter with the headers of a SOAP request.
pub(crate) fn post(letter: &Letter) -> Post {
    Post::of(letter).without("x-road-message-type").line("x-original-content-type", "text/xml")
}

#[tokio::test]
async fn attachments_cross_both_ways_byte_for_byte() {
    let answer = |_: &_| {
        Answer::new("200 OK", &[("Content-Type", RELATED)], multipart(&envelope("parcel", "parcelResponse")))
    };
    let service = Service::start(answer).await;
    let federation = Federation::new().await;
    let soap = format!(
        "{}[[client.service]]\ncode = \"parcel\"\nkind = \"soap\"\nurl = \"{}\"\n\
         allow = [{{ client = \"DEV/GOV/M1/TAX\" }}]\n",
        answering(&service.url("/api")),
        service.url("/soap"),
    );
    let home = federation.open("HOME", &soap).await;
    let tax = federation.open("TAX", ASKING).await;
    let ask = |envelope: String| ask(RELATED, &multipart(&envelope)).line("SOAPAction", "\"urn:a\"");
    let question = envelope("parcel", "parcel");
    let heard = tax.ask(&ask(question.clone())).await;
    assert_eq!(heard.status(), 200, "{heard:?}");
    let asked = service.asked.last();
    assert_eq!((asked.target.as_str(), asked.line("soapaction")), ("/soap", Some("\"urn:a\"")));
    assert_eq!(asked.body, multipart(&question));
    let (of_tax, of_home) = (tax.log(), home.log());
    let kept = PARTS.map(|(_, body)| Attachment::Inline(body.to_vec().into()));
    for place in 0..2 {
        assert_eq!(of_tax[place].message.message, of_home[place].message.message);
        assert_eq!(of_tax[place].message.attachments, kept);
        assert_eq!(of_home[place].message.attachments, kept);
    }
    let told = String::from_utf8(of_tax[1].message.message.to_vec()).unwrap();
    assert!(told.contains("</x:id><x:requestHash algorithmId="), "{told}");
    assert_eq!(heard.body, multipart(&told));

    let wrong = tax.ask(&ask(envelope("land", "land"))).await;
    assert!(wrong.text().contains("server.serverproxy.service_type"), "{wrong:?}");
    let wrong = tax.ask(&Ask::get("parcel")).await;
    assert_eq!(wrong.code(), "server.serverproxy.service_type");
    assert_eq!((service.asked.len(), home.log().len()), (1, 2));
}
