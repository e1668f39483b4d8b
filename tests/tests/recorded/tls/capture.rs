//! A packet capture, and the part of a TLS 1.2 handshake that everybody on the way can read.

use super::{Facts, WAY};
use saatkond_proto::trust::Certificate;
use std::collections::{BTreeMap, BTreeSet};

/// With which message a server lets its client speak.
const DONE: u8 = 14;

/// One TCP connection, as captured.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    /// What the client said.
    pub(crate) client: Vec<u8>,
    /// What the server said.
    pub(crate) server: Vec<u8>,
}

/// The connections to a port in a capture (pcap, Ethernet, IPv4, TCP, nothing lost or sent twice), in order.
pub(crate) fn connections(pcap: &[u8], port: u16) -> Vec<Captured> {
    let mut found: BTreeMap<usize, Captured> = BTreeMap::new();
    let mut order: Vec<u16> = Vec::new();
    let mut rest = &pcap[24..];
    while let Some((head, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        let (packet, after) = after.split_at(length);
        rest = after;
        let ip = &packet[14..];
        let tcp = &ip[usize::from(ip[0] & 0xf) * 4..number(&ip[2..4])];
        let ports = (number(&tcp[..2]), number(&tcp[2..4]));
        let is_of_client = ports.1 == usize::from(port);
        if !is_of_client && ports.0 != usize::from(port) {
            continue;
        }
        let client = u16::try_from(if is_of_client { ports.0 } else { ports.1 }).unwrap();
        let place = order.iter().position(|p| *p == client).unwrap_or_else(|| {
            order.push(client);
            order.len() - 1
        });
        let connection = found.entry(place).or_default();
        let said = &tcp[usize::from(tcp[12] >> 4) * 4..];
        if is_of_client { &mut connection.client } else { &mut connection.server }.extend_from_slice(said);
    }
    found.into_values().collect()
}

/// A number, big-endian.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Takes vectors off the front of a TLS message.
struct Vectors<'a>(&'a [u8]);

impl<'a> Vectors<'a> {
    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn number(&mut self, length: usize) -> usize {
        number(self.bytes(length))
    }

    /// What follows its length, which has so many bytes.
    fn vector(&mut self, length: usize) -> Self {
        let length = self.number(length);
        Self(self.bytes(length))
    }

    /// What is left, cut into numbers of two bytes.
    fn numbers(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.0).chunks(2).map(number).collect()
    }

    /// Extensions: number and content.
    fn extensions(&mut self) -> BTreeMap<usize, Self> {
        let mut all = if self.0.is_empty() { Self(&[]) } else { self.vector(2) };
        let mut found = BTreeMap::new();
        while !all.0.is_empty() {
            found.insert(all.number(2), all.vector(2));
        }
        found
    }
}

/// What one side said that everybody can read.
#[derive(Default)]
struct Readable {
    /// Handshake messages: kind and content.
    messages: Vec<(u8, Vec<u8>)>,
    /// Level and number of an alert.
    alert: Option<(u8, u8)>,
}

impl Readable {
    fn read(said: &[u8]) -> Self {
        let (mut rest, mut joined, mut found) = (said, Vec::new(), Self::default());
        while let Some((head, after)) = rest.split_at_checked(5) {
            let Some((record, after)) = after.split_at_checked(number(&head[3..5])) else { break };
            match head[0] {
                22 => joined.extend_from_slice(record),
                21 => found.alert = Some((record[0], record[1])),
                _ => break,
            }
            rest = after;
        }
        let mut rest = &joined[..];
        while let Some((head, after)) = rest.split_at_checked(4) {
            let Some((message, after)) = after.split_at_checked(number(&head[1..4])) else { break };
            found.messages.push((head[0], message.to_vec()));
            rest = after;
        }
        found
    }
}

/// What a client offers.
#[derive(Debug, Default)]
pub(crate) struct Offer {
    pub(crate) versions: BTreeSet<usize>,
    pub(crate) suites: BTreeSet<usize>,
    pub(crate) groups: BTreeSet<usize>,
    pub(crate) schemes: BTreeSet<usize>,
    pub(crate) extensions: BTreeSet<usize>,
}

impl Offer {
    /// Reads the ClientHello with which a client begins.
    pub(crate) fn read(said: &[u8]) -> Self {
        let (kind, hello) = &Readable::read(said).messages[0];
        assert_eq!(*kind, 1, "a client begins with ClientHello");
        let mut hello = Vectors(hello);
        hello.bytes(2 + 32);
        hello.vector(1);
        let suites = hello.vector(2).numbers().into_iter().collect();
        hello.vector(1);
        let mut extensions = hello.extensions();
        let names = extensions.keys().copied().collect();
        let mut list = |name: usize, length: usize| -> BTreeSet<usize> {
            let list = extensions.get_mut(&name).map(|extension| extension.vector(length).numbers());
            list.unwrap_or_default().into_iter().collect()
        };
        let (versions, groups, schemes) = (list(43, 1), list(10, 2), list(13, 2));
        Self { versions, suites, groups, schemes, extensions: names }
    }
}

/// Reads what a server answers to a ClientHello, before it hears its client again. Which way a handshake goes is which
/// messages these are, or an alert.
pub(crate) fn flight(said: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let Readable { messages, alert } = Readable::read(said);
    if let Some((level, alert)) = alert {
        facts.note(WAY, format!("alert {alert} of level {level}"));
    }
    let end = messages.iter().position(|(kind, _)| *kind == DONE).map_or(messages.len(), |end| end + 1);
    for (kind, message) in &messages[..end] {
        facts.add(WAY, kind.to_string());
        read(*kind, Vectors(message), &mut facts);
    }
    facts
}

/// Whether everything is there that a server says before it hears its client again.
pub(crate) fn is_whole(said: &[u8]) -> bool {
    let Readable { messages, alert } = Readable::read(said);
    alert.is_some() || messages.iter().any(|(kind, _)| *kind == DONE)
}

fn read(kind: u8, mut message: Vectors<'_>, facts: &mut Facts) {
    match kind {
        2 => {
            facts.note("version", hex(message.number(2)));
            message.bytes(32);
            facts.note("has a session id", (!message.vector(1).0.is_empty()).to_string());
            facts.note("suite", hex(message.number(2)));
            facts.note("compression", message.number(1).to_string());
            let extensions = message.extensions().into_keys().map(hex);
            extensions.for_each(|extension| facts.note(format!("extension {extension}"), "said"));
        }
        4 => facts.note("ticket lifetime", message.number(4).to_string()),
        11 => {
            let mut list = message.vector(3);
            while !list.0.is_empty() {
                let certificate = Certificate::from_der(list.vector(3).0).unwrap();
                facts.add("chain", certificate.subject_text());
            }
        }
        12 => {
            assert_eq!(message.number(1), 3, "a named group");
            facts.note("group", hex(message.number(2)));
            message.vector(1);
            facts.note("scheme", hex(message.number(2)));
        }
        13 => {
            let types = message.vector(1).0.to_vec();
            types.into_iter().for_each(|kind| facts.note(format!("certificate type {kind}"), "asked for"));
            let schemes = message.vector(2).numbers().into_iter().map(hex);
            schemes.for_each(|scheme| facts.note(format!("scheme {scheme}"), "asked for"));
            let mut list = message.vector(2);
            while !list.0.is_empty() {
                let name = list.vector(2).0.iter().map(|b| char::from(*b));
                let readable: String = name.filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
                facts.note(format!("authority {readable}"), "named");
            }
        }
        _ => {}
    }
}

/// A number as it is looked up in registries.
pub(crate) fn hex(number: usize) -> String {
    format!("{number:04x}")
}
