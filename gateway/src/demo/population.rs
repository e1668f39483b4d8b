//! The population register behind the Land Board's gateways, which speaks SOAP: asked for a person, it answers with the
//! person's data and a portrait as an attachment. And how the demo asks it.

use super::load::Target;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use saatkond_proto::fault::SoapFault;
use saatkond_proto::limits;
use saatkond_proto::message::soap::Envelope;
use saatkond_proto::xml;
use std::time::Duration;
use tokio::net::TcpStream;

/// The service, as the screen names it.
pub(super) const SERVICE: &str = "personData.v1 of DEV/GOV/M2/POPULATION";
/// The namespace of what the register is asked and answers.
const NAMESPACE: &str = "http://population.dev/xsd";
/// What stands between the parts of an answer.
const BOUNDARY: &str = "population-register";
const PORTRAIT: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 60 80\"><rect width=\"60\" height=\"80\" \
    fill=\"#dde\"/><circle cx=\"30\" cy=\"30\" r=\"16\" fill=\"#fc9\"/><path d=\"M4 80q26-56 52 0z\" fill=\"#369\"/></svg>\n";
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What came of a question.
#[derive(Debug)]
pub(super) struct Person {
    /// The copy that answered.
    pub(super) copy: String,
    /// Bytes of the portrait.
    pub(super) portrait: usize,
}

/// The message that asks for a person.
pub(super) fn question(id: &str) -> String {
    let member = |code: &str, subsystem: &str| {
        format!(
            "<id:xRoadInstance>DEV</id:xRoadInstance><id:memberClass>GOV</id:memberClass>\
             <id:memberCode>{code}</id:memberCode><id:subsystemCode>{subsystem}</id:subsystemCode>"
        )
    };
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"\n    \
             xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:id=\"http://x-road.eu/xsd/identifiers\">\n  <s:Header>\n    \
             <x:client id:objectType=\"SUBSYSTEM\">{}</x:client>\n    \
             <x:service id:objectType=\"SERVICE\">{}<id:serviceCode>personData</id:serviceCode>\
             <id:serviceVersion>v1</id:serviceVersion></x:service>\n    \
             <x:id>{}</x:id>\n    <x:protocolVersion>4.0</x:protocolVersion>\n  </s:Header>\n  <s:Body>\n    \
             <p:personData xmlns:p=\"{NAMESPACE}\"><code>48001010001</code></p:personData>\n  </s:Body>\n</s:Envelope>\n",
        member("M1", "TAX"),
        member("M2", "POPULATION"),
        xml::escape(id),
    )
}

/// Asks for a person through the consumer's gateway.
///
/// # Errors
/// What was told instead of an answer.
pub(super) async fn ask(target: &Target, id: &str) -> anyhow::Result<Person> {
    let stream = TcpStream::connect(target.gateway).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let driver = tokio::task::spawn(connection);
    let request = Request::post("/")
        .header("host", target.gateway.to_string())
        .header("content-type", "text/xml; charset=UTF-8")
        .body(Full::new(Bytes::from(question(id))))?;
    let response = tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await??;
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    driver.abort();
    let body = body.map_err(|e| anyhow::anyhow!("the answer was not read: {e}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let between = |start: &str, end: &str| Some(text.split_once(start)?.1.split_once(end)?.0.to_owned());
    let copy = between("<copy>", "</copy>");
    match (copy, text.contains(PORTRAIT)) {
        (Some(copy), true) => Ok(Person { copy, portrait: PORTRAIT.len() }),
        _ => anyhow::bail!("expected a person and a portrait, found: {text}"),
    }
}

/// Answers a question.
pub(super) fn answer(copy: &str, body: &[u8]) -> Response<Full<Bytes>> {
    let (status, kind, body) = match person(copy, body) {
        Ok(envelope) => {
            let kind = format!("multipart/related; type=\"text/xml\"; boundary={BOUNDARY}");
            let body = format!(
                "--{BOUNDARY}\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n{envelope}\r\n--{BOUNDARY}\r\n\
                 Content-Type: image/svg+xml\r\nContent-ID: <portrait>\r\n\r\n{PORTRAIT}\r\n--{BOUNDARY}--\r\n"
            );
            (StatusCode::OK, kind, body)
        }
        Err(error) => {
            let fault = SoapFault::new("Client.Person", format!("{error:#}"), None);
            (StatusCode::INTERNAL_SERVER_ERROR, "text/xml; charset=UTF-8".to_owned(), fault.to_xml())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

/// The envelope of an answer: the header of the question, and another body.
fn person(copy: &str, question: &[u8]) -> anyhow::Result<String> {
    Envelope::read(question.to_vec(), None)?;
    let text = xml::text(question)?;
    let document = xml::admit(text, limits::ENVELOPE_BYTES_MAX)?;
    let header = document.root_element().first_element_child();
    let header = header.and_then(|node| text.get(..node.range().end));
    let code = document.descendants().find(|node| node.has_tag_name("code")).map(xml::text_of);
    let (Some(header), Some(code)) = (header, code) else {
        anyhow::bail!("expected the code of a person in <code>");
    };
    let name = text.trim_start().split('<').find(|tag| tag.contains("Envelope")).unwrap_or_default();
    let prefix = name.split_once(":Envelope").map_or(String::new(), |(prefix, _)| format!("{prefix}:"));
    Ok(format!(
        "{header}\n  <{prefix}Body>\n    <p:personDataResponse xmlns:p=\"{NAMESPACE}\"><code>{}</code><name>Mari Maasikas</name>\
         <portrait href=\"cid:portrait\"/><copy>{}</copy></p:personDataResponse>\n  </{prefix}Body>\n</{prefix}Envelope>\n",
        xml::escape(&code),
        xml::escape(copy),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_header_of_its_question() {
        let asked = Envelope::read(question("q <1>").into_bytes(), None).unwrap();
        let told = Envelope::read(person("HOME", asked.bytes()).unwrap().into_bytes(), None).unwrap();
        assert!(told.is_response());
        assert_eq!(told.with_request_hash(&asked).unwrap().answers(&asked), Ok(()));
        assert_eq!(answer("HOME", asked.bytes()).status(), 200);
        assert_eq!(answer("HOME", b"nonsense").status(), 500);
    }
}
