//! Writes what a peer reads: head, body, seal; the signature last.
//!
//! Spec: message-path §2.7, §2.8. Seen: byte for byte as X-Road's `MultipartEncoder.java` writes it; its receivers take
//! any boundary, and it makes them of `xtop` or `xatt` and 30 letters.

use crate::fault::SoapFault;
use crate::limits;
use crate::message::rest::{is_token, to_latin1};

/// A part with a fixed content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// An OCSP response.
    Ocsp,
    /// The block of a REST request.
    RestRequest,
    /// The block of a REST response.
    RestResponse,
    /// A REST body.
    RestBody,
    /// The result of a hash chain.
    HashChainResult,
    /// A hash chain.
    HashChain,
    /// The signature.
    Signature,
    /// A fault.
    Fault,
}

/// A header that cannot stand in a part, or a boundary that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot stand in a multipart message")]
pub struct WriteError {
    /// What cannot.
    pub text: String,
}

/// Frames the parts of one message. Every function returns the bytes to send; what stands between them is the body.
#[derive(Debug)]
pub struct Writer {
    boundary: String,
    attachments: Option<String>,
    begun: bool,
}

impl Part {
    /// The content type as it stands on the wire. Spec: message-path §2.8.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Ocsp => "application/ocsp-response",
            Self::RestRequest => "application/x-road-rest-request",
            Self::RestResponse => "application/x-road-rest-response",
            Self::RestBody => "application/x-road-rest-body",
            Self::HashChainResult => "application/hash-chain-result",
            Self::HashChain => "application/hash-chain",
            Self::Signature => "signature/bdoc-1.0/ts",
            Self::Fault => "text/xml; charset=UTF-8",
        }
    }
}

impl Writer {
    /// Begins a message; see [`boundary`].
    ///
    /// # Errors
    /// [`WriteError`] for a boundary that would need quoting, or is too long.
    pub fn new(boundary: &str) -> Result<Self, WriteError> {
        check_boundary(boundary)?;
        Ok(Self { boundary: boundary.to_owned(), attachments: None, begun: false })
    }

    /// The HTTP `Content-Type` of the message.
    #[must_use]
    pub fn content_type(&self) -> String {
        multipart(&self.boundary)
    }

    /// What goes before the body of a part.
    pub fn part(&mut self, part: Part) -> Vec<u8> {
        let mut out = self.delimiter();
        out.extend(format!("content-type: {}\r\n\r\n", part.content_type()).into_bytes());
        out
    }

    /// A part that is at hand whole.
    pub fn whole(&mut self, part: Part, body: &[u8]) -> Vec<u8> {
        let mut out = self.part(part);
        out.extend_from_slice(body);
        out
    }

    /// What goes before a SOAP envelope, with the content type and further headers of the information system.
    ///
    /// # Errors
    /// [`WriteError`] for a header with a line end in it.
    pub fn envelope(
        &mut self,
        content_type: &str,
        headers: &[(String, String)],
    ) -> Result<Vec<u8>, WriteError> {
        let head = head(Some(content_type), headers)?;
        Ok([self.delimiter(), head].concat())
    }

    /// Opens the nested multipart of attachments. Seen: it begins with an empty preamble, one line end.
    ///
    /// # Errors
    /// [`WriteError`] for a boundary that would need quoting, is too long, or begins as the outer one does.
    pub fn open_attachments(&mut self, boundary: &str) -> Result<Vec<u8>, WriteError> {
        check_boundary(boundary)?;
        if boundary.starts_with(&self.boundary) || self.boundary.starts_with(boundary) {
            return Err(WriteError { text: boundary.to_owned() });
        }
        let opened = [self.delimiter(), head(Some(&multipart(boundary)), &[])?].concat();
        self.attachments = Some(boundary.to_owned());
        Ok(opened)
    }

    /// What goes before the body of an attachment; [`Writer::open_attachments`] must have been called.
    ///
    /// # Errors
    /// [`WriteError`] for a header with a line end in it.
    pub fn attachment(
        &mut self,
        content_type: Option<&str>,
        headers: &[(String, String)],
    ) -> Result<Vec<u8>, WriteError> {
        let boundary =
            self.attachments.as_deref().ok_or_else(|| WriteError { text: "attachment".to_owned() })?;
        let mut out = format!("\r\n--{boundary}\r\n").into_bytes();
        out.extend(head(content_type, headers)?);
        Ok(out)
    }

    /// Closes the nested multipart.
    pub fn close_attachments(&mut self) -> Vec<u8> {
        self.attachments.take().map(|b| format!("\r\n--{b}--\r\n").into_bytes()).unwrap_or_default()
    }

    /// A fault as the last part; [`Writer::close`] must follow.
    pub fn fault(&mut self, fault: &SoapFault) -> Vec<u8> {
        self.whole(Part::Fault, fault.to_xml().as_bytes())
    }

    /// Closes the message.
    #[must_use]
    pub fn close(mut self) -> Vec<u8> {
        let mut out = self.close_attachments();
        out.extend(format!("\r\n--{}--\r\n", self.boundary).into_bytes());
        out
    }

    /// The line that begins a part. A nested multipart that is still open is closed.
    fn delimiter(&mut self) -> Vec<u8> {
        let mut out = self.close_attachments();
        let line_end = if std::mem::replace(&mut self.begun, true) { "\r\n" } else { "" };
        out.extend(format!("{line_end}--{}\r\n", self.boundary).into_bytes());
        out
    }
}

/// Frames a message with attachments as information systems are sent it.
///
/// Seen: message-path §1.5.4; X-Road writes no space behind `content-type:` unless the envelope is the only part.
#[derive(Debug)]
pub struct Related {
    boundary: String,
    is_alone: bool,
    begun: bool,
}

impl Related {
    /// Begins a message with the boundary that its content type names; `is_alone` says that no attachment follows.
    #[must_use]
    pub fn new(boundary: &str, is_alone: bool) -> Self {
        Self { boundary: boundary.to_owned(), is_alone, begun: false }
    }

    /// What goes before the body of the next part.
    ///
    /// # Errors
    /// [`WriteError`] for a header with a line end in it.
    pub fn part(&mut self, content_type: &str, headers: &[(String, String)]) -> Result<Vec<u8>, WriteError> {
        let head = head(Some(content_type), headers)?;
        let line_end = if std::mem::replace(&mut self.begun, true) { "\r\n" } else { "" };
        let mut out = format!("{line_end}--{}\r\n", self.boundary).into_bytes();
        match head.strip_prefix(b"content-type: ") {
            Some(rest) if !self.is_alone => out.extend([b"content-type:", rest].concat()),
            _ => out.extend(head),
        }
        Ok(out)
    }

    /// Closes the message.
    #[must_use]
    pub fn close(self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }
}

fn multipart(boundary: &str) -> String {
    format!("multipart/mixed; charset=UTF-8; boundary={boundary}")
}

/// A boundary that stands in a header without quotes.
fn check_boundary(boundary: &str) -> Result<(), WriteError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'+_-.".contains(&b);
    if (1..=limits::BOUNDARY_BYTES_MAX).contains(&boundary.len()) && boundary.bytes().all(plain) {
        Ok(())
    } else {
        Err(WriteError { text: boundary.to_owned() })
    }
}

/// Writes a part's head in ISO-8859-1, the empty line at its end included.
fn head(content_type: Option<&str>, headers: &[(String, String)]) -> Result<Vec<u8>, WriteError> {
    let mut out = Vec::new();
    let fixed = content_type.map(|value| ("content-type", value));
    for (name, value) in fixed.into_iter().chain(headers.iter().map(|(n, v)| (n.as_str(), v.as_str()))) {
        if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(WriteError { text: format!("{name}: {value}") });
        }
        out.extend([to_latin1(name).as_slice(), b": ", &to_latin1(value), b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    Ok(out)
}

/// Makes a boundary of random bytes: `prefix` (`xtop`, `xatt`) and a letter for each byte; X-Road takes 30.
#[must_use]
pub fn boundary(prefix: &str, random: &[u8]) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |b: &u8| LETTERS.get(usize::from(*b) % LETTERS.len()).map_or('x', |l| char::from(*l));
    prefix.chars().chain(random.iter().map(letter)).collect()
}

/// Writes the answer of the OCSP port: content type and body. Spec: message-path §5.1.
///
/// # Errors
/// [`WriteError`] for a boundary that would need quoting, or is too long.
pub fn ocsp_answer(boundary: &str, responses: &[&[u8]]) -> Result<(String, Vec<u8>), WriteError> {
    check_boundary(boundary)?;
    let kind = Part::Ocsp.content_type();
    let mut body = Vec::new();
    for response in responses {
        body.extend(format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n").into_bytes());
        body.extend_from_slice(response);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    Ok((format!("multipart/related; type=\"{kind}\"; charset=UTF-8; boundary={boundary}"), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spec: message-path §2.17, §2.7.
    #[test]
    fn bytes_are_the_incumbents() {
        let mut writer = Writer::new("xtopA").unwrap();
        let mut out = writer.whole(Part::Ocsp, b"DER");
        out.extend(writer.envelope("text/xml", &[("Content-ID".to_owned(), "<õ>".to_owned())]).unwrap());
        out.extend(b"<e/>");
        out.extend(writer.open_attachments("xattA").unwrap());
        out.extend(writer.attachment(Some("a/b"), &[]).unwrap());
        out.extend(b"1");
        out.extend(writer.attachment(None, &[]).unwrap());
        out.extend(writer.whole(Part::Signature, b"<s/>"));
        out.extend(writer.close());
        assert_eq!(
            out,
            b"--xtopA\r\ncontent-type: application/ocsp-response\r\n\r\nDER\r\n\
              --xtopA\r\ncontent-type: text/xml\r\nContent-ID: <\xf5>\r\n\r\n<e/>\r\n\
              --xtopA\r\ncontent-type: multipart/mixed; charset=UTF-8; boundary=xattA\r\n\r\n\r\n\
              --xattA\r\ncontent-type: a/b\r\n\r\n1\r\n--xattA\r\n\r\n\r\n--xattA--\r\n\r\n\
              --xtopA\r\ncontent-type: signature/bdoc-1.0/ts\r\n\r\n<s/>\r\n--xtopA--\r\n"
        );
    }

    #[test]
    fn what_would_break_the_frame_is_refused() {
        for boundary in ["", "a b", "a\r\n", "\"a\"", "ä", &"a".repeat(71)] {
            assert!(Writer::new(boundary).is_err(), "{boundary}");
            assert!(ocsp_answer(boundary, &[]).is_err(), "{boundary}");
        }
        let mut writer = Writer::new("xtopA").unwrap();
        assert!(writer.attachment(None, &[]).is_err());
        assert!(writer.open_attachments("xtopAB").is_err());
        for (name, value) in [("a", "b\r\nc: d"), ("a", "\0"), ("a\r\n", "b"), ("", "b"), ("a b", "c")] {
            let line = (name.to_owned(), value.to_owned());
            assert!(writer.envelope("text/xml", &[line]).is_err(), "{name:?} {value:?}");
        }
        assert!(writer.envelope("text/xml\r\n\r\n", &[]).is_err());
    }

    #[test]
    fn boundaries_are_letters() {
        let made = boundary("xtop", &[0, 25, 26, 51, 52, 255]);
        assert_eq!(made, "xtopAZazAv");
        assert!(Writer::new(&made).is_ok());
    }
}
