//! Puts the configuration's documents together.

use super::read::{IDENTIFIERS, XROAD};
use crate::id::ClientId;
use crate::xml::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// A document being written.
pub(crate) struct Sheet {
    writer: Writer<Vec<u8>>,
    root: &'static str,
}

impl Sheet {
    /// Begins a document with this root, prefix included: the root in X-Road's namespace, what lies under it in none.
    pub(super) fn begin(root: &'static str) -> Self {
        Self::begin_with(root, &[("xmlns:ns2", IDENTIFIERS), ("xmlns:ns3", XROAD)])
    }

    /// Begins a document with this root, which has these attributes.
    pub(crate) fn begin_with(root: &'static str, attributes: &[(&str, &str)]) -> Self {
        let mut sheet = Self { writer: Writer::new_with_indent(Vec::new(), b' ', 4), root };
        sheet.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), Some("yes"))));
        let start = BytesStart::new(root).with_attributes(attributes.iter().copied());
        sheet.event(Event::Start(start));
        sheet
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.close(self.root);
        let mut bytes = self.writer.into_inner();
        bytes.push(b'\n');
        bytes
    }

    /// Begins an element.
    pub(crate) fn open(&mut self, name: &str) {
        self.event(Event::Start(BytesStart::new(name)));
    }

    /// Begins an element with one attribute.
    pub(super) fn open_with(&mut self, name: &str, attribute: &str, value: &str) {
        let mut start = BytesStart::new(name);
        start.push_attribute((attribute, value));
        self.event(Event::Start(start));
    }

    /// Ends an element.
    pub(crate) fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.open(name);
        self.event(Event::Text(BytesText::from_escaped(escape(value))));
        self.close(name);
    }

    /// An element with text, if there is any.
    pub(crate) fn optional_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element with octets.
    pub(super) fn octets(&mut self, name: &str, value: &[u8]) {
        self.text(name, &STANDARD.encode(value));
    }

    /// An element that names a member or subsystem.
    pub(super) fn client_id(&mut self, name: &str, id: &ClientId) {
        self.open_with(name, "ns2:objectType", id.kind());
        self.text("ns2:xRoadInstance", &id.member.instance);
        self.text("ns2:memberClass", &id.member.class);
        self.text("ns2:memberCode", &id.member.code);
        self.optional_text("ns2:subsystemCode", id.subsystem.as_deref());
        self.close(name);
    }

    fn event(&mut self, event: Event<'_>) {
        let written = self.writer.write_event(event);
        debug_assert!(written.is_ok(), "a vector takes all that is written to it");
    }
}
