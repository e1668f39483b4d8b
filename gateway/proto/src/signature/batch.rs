//! Hash chains: one signature or time-stamp over many messages.
//!
//! Spec: message-path §3.6 (values), §3.7 (documents), §3.8 (verification).
//!
//! Ours, stricter than X-Road 7.8: a step is evaluated once, never within itself, and there are bounds on steps and
//! values; SHA-1 is refused; transforms on a part are refused; the digest that a chain gives for a part must be the
//! part's own; the chain is one document.
//!
//! Known of the format, and nothing that a verifier can mend: leaves and inner values are hashed alike, so a part whose
//! bytes are the DER of a digest list can pass for a step. A signer can: see [`passes_for_step`].

use super::form::{Children, DS, attribute, base64, digest_method, name, readable, to_base64, unexpected};
use super::{HASH_CHAIN, PartDigest};
use crate::crypto::DigestAlgorithm;
use crate::der::{self, tag};
use crate::fault::{Code, Leaf};
use crate::limits;
use crate::xml::{XmlError, admit, escape, is};
use roxmltree::Node;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

/// The name of the signature document in time-stamp chains. Spec: message-path §3.7.
pub const SIGNATURES: &str = "/META-INF/signatures.xml";
/// The name of a time-stamp's chain. Spec: message-path §3.7.
pub const TIMESTAMP_CHAIN: &str = "/ts-hashchain.xml";
/// Namespace of hash chains. Spec: message-path §3.7.
const NAMESPACE: &str = "http://cyber.ee/hashchain";
/// What chains are made with; leaves have it anyway. Spec: message-path §0.3.
const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

/// A hash chain that does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A document that is no hash chain.
    #[error("hash chain: {0}")]
    Form(#[from] XmlError),
    /// No default digest method.
    #[error("hash chain has no DefaultDigestMethod")]
    NoDefaultMethod,
    /// A digest algorithm that is not known, or proves nothing.
    #[error("hash chain digests with {0:?}, expected SHA-256, SHA-384 or SHA-512")]
    Algorithm(String),
    /// A step within itself.
    #[error("hash chain step {0:?} leads to itself")]
    Circle(String),
    /// A part with transforms.
    #[error("hash chain transforms {0:?}")]
    Transform(String),
    /// Something named that is not there: another document, or a part that did not come.
    #[error("hash chain names {0:?}, which did not come")]
    Unresolved(String),
    /// It leads to another value.
    #[error("hash chain does not lead to its result; parts with another digest than it names: {differing:?}")]
    Result {
        /// Parts whose digest is another than the chain names: they were changed, or the chain.
        differing: Vec<String>,
    },
    /// It leads to its result, but names another digest for a part.
    #[error("hash chain names another digest for {0:?}")]
    Digest(Vec<String>),
    /// Parts that the chain does not use.
    #[error("hash chain does not use {0:?}")]
    Unused(Vec<String>),
    /// A part listed twice with one algorithm.
    #[error("part {0:?} came twice")]
    Twice(String),
}

impl ChainError {
    /// The code, without what goes before it. Seen: message-path §3.8.
    #[must_use]
    pub fn code(&self) -> Code {
        Code::of(match self {
            Self::Form(_) | Self::Algorithm(_) | Self::Circle(_) | Self::Transform(_) | Self::Twice(_) => {
                Leaf::MalformedHashChain
            }
            Self::NoDefaultMethod => Leaf::InternalError,
            Self::Unresolved(_) => Leaf::InvalidReference,
            Self::Result { .. } => Leaf::InvalidHashChain,
            Self::Digest(_) => Leaf::InvalidHashChainRef,
            Self::Unused(_) => Leaf::HashchainUnusedInputs,
        })
    }
}

/// What hash chain documents belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A signature: the chain is `/sig-hashchain.xml`.
    Signature,
    /// A time-stamp: the chain is `/ts-hashchain.xml`.
    Timestamp,
}

impl Kind {
    const fn document(self) -> &'static str {
        match self {
            Self::Signature => HASH_CHAIN,
            Self::Timestamp => TIMESTAMP_CHAIN,
        }
    }
}

// --- building ------------------------------------------------------------------------------------------------------

/// The hash chain documents of messages that are signed or stamped together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains {
    /// The result, whose bytes are signed or stamped.
    pub result: Vec<u8>,
    /// One chain for each message, in their order.
    pub chains: Vec<Vec<u8>>,
}

/// Builds the chains of `messages`, each a list of parts digested with SHA-512.
///
/// For a time-stamp each message is the one part [`SIGNATURES`] with its signature document's digest. `None` when there
/// is nothing to chain: no message, one without parts, or a single message of one part.
#[must_use]
pub fn build(kind: Kind, messages: &[Vec<PartDigest>]) -> Option<Chains> {
    let tree = tree_over(messages)?;
    let chains = messages.iter().enumerate().map(|(index, parts)| chain(&tree, index, parts)).collect();
    Some(Chains { result: result_document(kind, &tree.value), chains })
}

/// The hash tree of messages that are stamped or signed together, for whoever wants few of many chains.
#[derive(Debug, Clone)]
pub struct ChainTree {
    kind: Kind,
    tree: Tree,
    messages: Vec<Vec<PartDigest>>,
}

impl ChainTree {
    /// Builds the tree over `messages`; `None` as with [`build`].
    #[must_use]
    pub fn over(kind: Kind, messages: Vec<Vec<PartDigest>>) -> Option<Self> {
        let tree = tree_over(&messages)?;
        Some(Self { kind, tree, messages })
    }

    /// The result, as [`Chains::result`].
    #[must_use]
    pub fn result(&self) -> Vec<u8> {
        result_document(self.kind, &self.tree.value)
    }

    /// The chain of one message, as in [`Chains::chains`]; `None` when there are fewer.
    #[must_use]
    pub fn chain(&self, index: usize) -> Option<Vec<u8>> {
        self.messages.get(index).map(|parts| chain(&self.tree, index, parts))
    }
}

/// The value that stands for a message in the tree: its part's digest, or the step of its parts.
#[must_use]
pub fn leaf(parts: &[PartDigest]) -> Vec<u8> {
    match parts {
        [only] => only.digest.clone(),
        parts => step(ALGORITHM, parts.iter().map(|p| (p.algorithm, p.digest.as_slice()))),
    }
}

/// Digests a DER `DigestList`. Seen: X-Road 7.8 `DigestList.java`; an empty list of transforms is always there.
fn step<'d>(with: DigestAlgorithm, values: impl IntoIterator<Item = (DigestAlgorithm, &'d [u8])>) -> Vec<u8> {
    with.digest(&digest_list(values))
}

/// Whether a part that begins with `start` and has `length` bytes could be a step's input. Nobody should sign such a part:
/// whoever made it could show the signature as one over other messages.
///
/// `start` has the first [`STEP_START_BYTES`] of the part, or all of it. Ours: X-Road 7.8 signs it.
#[must_use]
pub fn passes_for_step(start: &[u8], length: u64) -> bool {
    // SEQUENCE { SEQUENCE { OCTET STRING of a digest's length, UTF8String … } … } that ends where the part ends.
    let Some((rest, content)) = header(start, tag::SEQUENCE) else { return false };
    if (start.len() - rest.len()) as u64 + content != length {
        return false;
    }
    let Some((first, _)) = header(rest, tag::SEQUENCE) else { return false };
    let Some((digest, octets)) = header(first, tag::OCTET_STRING) else { return false };
    let behind = usize::try_from(octets).ok().and_then(|octets| digest.get(octets));
    octets <= 64 && behind == Some(&tag::UTF8_STRING)
}

/// Bytes of a part that tell whether it passes for a step: three headers and the longest digest.
pub const STEP_START_BYTES: usize = 96;

/// The header of a DER value: what follows it, and how long the content is.
fn header(bytes: &[u8], tag: u8) -> Option<(&[u8], u64)> {
    let (&first, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    if first < 0x80 {
        return Some((rest, u64::from(first)));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    (length.len() <= 8).then(|| (rest, length.iter().fold(0, |n, b| (n << 8) | u64::from(*b))))
}

fn digest_list<'d>(values: impl IntoIterator<Item = (DigestAlgorithm, &'d [u8])>) -> Vec<u8> {
    der::sequence(values.into_iter().map(|(algorithm, digest)| {
        der::sequence([
            der::write(tag::OCTET_STRING, digest),
            der::write(tag::UTF8_STRING, algorithm.uri().as_bytes()),
            der::write(tag::SEQUENCE, &[]),
        ])
    }))
}

fn tree_over(messages: &[Vec<PartDigest>]) -> Option<Tree> {
    if messages.iter().any(Vec::is_empty) || messages.iter().map(Vec::len).sum::<usize>() < 2 {
        return None;
    }
    Some(Tree::over(&messages.iter().map(|m| leaf(m)).collect::<Vec<_>>()))
}

/// A hash tree in the shape of RFC 6962, with SHA-512 throughout.
#[derive(Debug, Clone)]
struct Tree {
    value: Vec<u8>,
    leaves: usize,
    halves: Option<Box<(Self, Self)>>,
}

impl Tree {
    /// Builds the tree; its left half is the largest power of two that is smaller than the whole.
    fn over(leaves: &[Vec<u8>]) -> Self {
        if let [] | [_] = leaves {
            let value = leaves.first().cloned().unwrap_or_default();
            return Self { value, leaves: leaves.len(), halves: None };
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let halves = (Self::over(left), Self::over(right));
        let value = step(ALGORITHM, [(ALGORITHM, &*halves.0.value), (ALGORITHM, &*halves.1.value)]);
        Self { value, leaves: leaves.len(), halves: Some(Box::new(halves)) }
    }
}

/// The first line of the documents. Seen: X-Road 7.8 on the wire.
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";

fn result_document(kind: Kind, top: &[u8]) -> Vec<u8> {
    let (document, uri, value) = (kind.document(), ALGORITHM.uri(), to_base64(top));
    format!(
        "{HEAD}<ns2:HashChainResult URI=\"{document}#STEP0\" xmlns=\"{DS}\" xmlns:ns2=\"{NAMESPACE}\">\n    \
         <DigestMethod Algorithm=\"{uri}\"/>\n    <DigestValue>{value}</DigestValue>\n</ns2:HashChainResult>\n"
    )
    .into_bytes()
}

/// Writes the chain of one message, from the top down. Seen: X-Road 7.8 on the wire, byte for byte.
fn chain(tree: &Tree, index: usize, parts: &[PartDigest]) -> Vec<u8> {
    let mut steps = Vec::new();
    let (mut node, mut index) = (tree, index);
    while let Some(halves) = &node.halves {
        let left = index < halves.0.leaves;
        let (mine, sibling) = if left { (&halves.0, &halves.1) } else { (&halves.1, &halves.0) };
        let here = match (mine.leaves, parts) {
            (1, [part]) => data_ref(part),
            _ => format!("        <ns2:StepRef URI=\"#STEP{}\"/>\n", steps.len() + 1),
        };
        let there =
            format!("        <ns2:HashValue>\n{}        </ns2:HashValue>\n", digest_value(&sibling.value));
        steps.push(if left { here + &there } else { there + &here });
        index -= if left { 0 } else { halves.0.leaves };
        node = mine;
    }
    if parts.len() > 1 {
        steps.push(parts.iter().map(data_ref).collect());
    }
    let uri = ALGORITHM.uri();
    let mut document = format!(
        "{HEAD}<ns2:HashChain xmlns=\"{DS}\" xmlns:ns2=\"{NAMESPACE}\">\n    \
         <ns2:DefaultDigestMethod Algorithm=\"{uri}\"/>\n"
    );
    for (number, step) in steps.iter().enumerate() {
        let written = write!(document, "    <ns2:HashStep id=\"STEP{number}\">\n{step}    </ns2:HashStep>\n");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    document.push_str("</ns2:HashChain>\n");
    document.into_bytes()
}

fn data_ref(part: &PartDigest) -> String {
    let (uri, value) = (escape(&part.name), digest_value(&part.digest));
    format!("        <ns2:DataRef URI=\"{uri}\">\n{value}        </ns2:DataRef>\n")
}

fn digest_value(digest: &[u8]) -> String {
    format!("            <DigestValue>{}</DigestValue>\n", to_base64(digest))
}

// --- verifying -----------------------------------------------------------------------------------------------------

/// Checks that `chain` leads from every part to `result`.
///
/// # Errors
/// [`ChainError`]. [`ChainError::Unresolved`] when no chain came.
pub fn verify(
    kind: Kind,
    result: &[u8],
    chain: Option<&[u8]>,
    parts: &[PartDigest],
) -> Result<(), ChainError> {
    let result = read_result(result)?;
    let (document, start) = split_uri(&result.uri)?;
    let chain = chain.filter(|_| document == kind.document());
    let chain = read_chain(chain.ok_or_else(|| ChainError::Unresolved(document.to_owned()))?)?;
    let mut at_hand = HashMap::with_capacity(parts.len());
    for part in parts {
        if at_hand.insert((part.name.as_str(), part.algorithm), part.digest.as_slice()).is_some() {
            return Err(ChainError::Twice(part.name.clone()));
        }
    }
    let first = position(&chain, start)?;
    let digests = chain.iter().map(|_| Evaluation::default()).collect();
    let mut evaluator = Evaluator {
        kind,
        chain: &chain,
        parts: &at_hand,
        digests,
        used: HashSet::new(),
        differing: Vec::new(),
    };
    let found = evaluator.digest(first, result.algorithm)?;
    let Evaluator { used, differing, .. } = evaluator;
    if found != result.digest {
        return Err(ChainError::Result { differing });
    }
    if !differing.is_empty() {
        return Err(ChainError::Digest(differing));
    }
    let mut unused: Vec<String> =
        parts.iter().map(|p| &p.name).filter(|n| !used.contains(n.as_str())).cloned().collect();
    unused.dedup();
    if unused.is_empty() { Ok(()) } else { Err(ChainError::Unused(unused)) }
}

/// Lists what a chain says of parts: name and digest of each `DataRef`, for parts that are not at hand.
///
/// # Errors
/// [`ChainError`] for a chain that cannot be read.
pub fn parts_named(chain: &[u8]) -> Result<Vec<PartDigest>, ChainError> {
    let items = read_chain(chain)?.into_iter().flat_map(|step| step.items);
    let parts = items.filter_map(|item| match item.what {
        What::Part { name, transformed: false } => {
            Some(PartDigest { name, algorithm: item.algorithm, digest: item.digest })
        }
        What::Part { .. } | What::Value | What::Step { .. } => None,
    });
    Ok(parts.collect())
}

struct ReadResult {
    uri: String,
    algorithm: DigestAlgorithm,
    digest: Vec<u8>,
}

struct Step {
    id: String,
    items: Vec<Item>,
}

/// One value of a step.
struct Item {
    algorithm: DigestAlgorithm,
    /// As written; empty for a step.
    digest: Vec<u8>,
    what: What,
}

enum What {
    Value,
    Step { uri: String },
    Part { name: String, transformed: bool },
}

fn read_result(bytes: &[u8]) -> Result<ReadResult, ChainError> {
    let text = readable(bytes)?;
    let document = admit(&text, limits::HASH_CHAIN_BYTES_MAX)?;
    let root = expect(document.root_element(), "HashChainResult")?;
    let mut children = Children::of(root)?;
    let algorithm = algorithm_of(children.required(DS, "DigestMethod")?)?;
    let digest = base64(children.required(DS, "DigestValue")?)?;
    children.end()?;
    Ok(ReadResult { uri: attribute(root, "URI")?.to_owned(), algorithm, digest })
}

fn read_chain(bytes: &[u8]) -> Result<Vec<Step>, ChainError> {
    let text = readable(bytes)?;
    let document = admit(&text, limits::HASH_CHAIN_BYTES_MAX)?;
    let root = expect(document.root_element(), "HashChain")?;
    let mut children = Children::of(root)?;
    let default = children.optional(NAMESPACE, "DefaultDigestMethod").ok_or(ChainError::NoDefaultMethod)?;
    let default = algorithm_of(default)?;
    let mut steps: Vec<Step> = Vec::new();
    while let Some(node) = children.optional(NAMESPACE, "HashStep") {
        let id = attribute(node, "id")?.to_owned();
        if steps.len() >= limits::HASH_CHAIN_STEPS_MAX {
            return Err(bound(limits::HASH_CHAIN_STEPS_MAX, "hash chain steps"));
        }
        if steps.iter().any(|s| s.id == id) {
            return Err(unexpected("step ids that differ".to_owned(), format!("{id:?} twice")).into());
        }
        steps.push(Step { id, items: read_items(node, default)? });
    }
    children.end()?;
    Ok(steps)
}

fn read_items(step: Node<'_, '_>, default: DigestAlgorithm) -> Result<Vec<Item>, ChainError> {
    let mut items = Vec::new();
    let mut children = Children::of(step)?;
    while let Some(node) = children.any() {
        if items.len() >= limits::HASH_STEP_VALUES_MAX {
            return Err(bound(limits::HASH_STEP_VALUES_MAX, "values in a hash step"));
        }
        items.push(read_item(node, default)?);
    }
    if items.is_empty() {
        return Err(unexpected("a value in HashStep".to_owned(), "none".to_owned()).into());
    }
    Ok(items)
}

fn read_item(node: Node<'_, '_>, default: DigestAlgorithm) -> Result<Item, ChainError> {
    let kind = name(node);
    if !is(node, NAMESPACE, &kind) || !matches!(kind.as_str(), "HashValue" | "StepRef" | "DataRef") {
        return Err(unexpected("HashValue, StepRef or DataRef in HashStep".to_owned(), kind).into());
    }
    let mut children = Children::of(node)?;
    let algorithm = children.optional(DS, "DigestMethod").map_or(Ok(default), algorithm_of)?;
    let (digest, what) = match kind.as_str() {
        "StepRef" => (Vec::new(), What::Step { uri: attribute(node, "URI")?.to_owned() }),
        "HashValue" => (base64(children.required(DS, "DigestValue")?)?, What::Value),
        _ => {
            let transformed = children.optional(DS, "Transforms").is_some();
            let name = attribute(node, "URI")?.to_owned();
            (base64(children.required(DS, "DigestValue")?)?, What::Part { name, transformed })
        }
    };
    children.end()?;
    Ok(Item { algorithm, digest, what })
}

fn expect<'a, 'i>(node: Node<'a, 'i>, local: &str) -> Result<Node<'a, 'i>, XmlError> {
    if is(node, NAMESPACE, local) { Ok(node) } else { Err(unexpected(local.to_owned(), name(node))) }
}

fn algorithm_of(method: Node<'_, '_>) -> Result<DigestAlgorithm, ChainError> {
    digest_method(method)?.map_err(ChainError::Algorithm)
}

fn bound(allowed: usize, what: &'static str) -> ChainError {
    XmlError::Bound { what, allowed }.into()
}

fn split_uri(uri: &str) -> Result<(&str, &str), XmlError> {
    uri.split_once('#').ok_or_else(|| unexpected("a URI with #".to_owned(), format!("{uri:?}")))
}

fn position(chain: &[Step], id: &str) -> Result<usize, XmlError> {
    chain
        .iter()
        .position(|s| s.id == id)
        .ok_or_else(|| unexpected(format!("a step with the id {id:?}"), "none".to_owned()))
}

/// How far a step has come.
#[derive(Default)]
struct Evaluation {
    busy: bool,
    list: Option<Vec<u8>>,
    digests: Vec<(DigestAlgorithm, Vec<u8>)>,
}

struct Evaluator<'c> {
    kind: Kind,
    chain: &'c [Step],
    parts: &'c HashMap<(&'c str, DigestAlgorithm), &'c [u8]>,
    digests: Vec<Evaluation>,
    used: HashSet<&'c str>,
    differing: Vec<String>,
}

impl<'c> Evaluator<'c> {
    /// The digest of a step's list. It calls itself for steps inside, at most [`limits::HASH_CHAIN_STEPS_MAX`] deep.
    fn digest(&mut self, index: usize, with: DigestAlgorithm) -> Result<Vec<u8>, ChainError> {
        let known = self.digests.get(index).and_then(|e| e.digests.iter().find(|(a, _)| *a == with));
        if let Some((_, digest)) = known {
            return Ok(digest.clone());
        }
        self.list(index)?;
        let Some(evaluation) = self.digests.get_mut(index) else { return Ok(Vec::new()) };
        let digest = with.digest(evaluation.list.as_deref().unwrap_or_default());
        evaluation.digests.push((with, digest.clone()));
        Ok(digest)
    }

    /// Makes the DER list of a step, once.
    fn list(&mut self, index: usize) -> Result<(), ChainError> {
        let chain = self.chain;
        let (Some(step), Some(evaluation)) = (chain.get(index), self.digests.get_mut(index)) else {
            return Ok(());
        };
        if evaluation.list.is_some() {
            return Ok(());
        }
        if evaluation.busy {
            return Err(ChainError::Circle(step.id.clone()));
        }
        evaluation.busy = true;
        let mut values = Vec::with_capacity(step.items.len());
        for item in &step.items {
            values.push((item.algorithm, self.value(item)?));
        }
        let list = digest_list(values.iter().map(|(a, d)| (*a, d.as_slice())));
        if let Some(evaluation) = self.digests.get_mut(index) {
            evaluation.list = Some(list);
        }
        Ok(())
    }

    fn value(&mut self, item: &'c Item) -> Result<Vec<u8>, ChainError> {
        match &item.what {
            What::Value => Ok(item.digest.clone()),
            What::Step { uri } => {
                let (document, id) = split_uri(uri)?;
                if !document.is_empty() && document != self.kind.document() {
                    return Err(ChainError::Unresolved(document.to_owned()));
                }
                self.digest(position(self.chain, id)?, item.algorithm)
            }
            What::Part { name, transformed } => {
                let own = self.parts.get(&(name.as_str(), item.algorithm));
                let own = *own.ok_or_else(|| ChainError::Unresolved(name.clone()))?;
                if *transformed {
                    return Err(ChainError::Transform(name.clone()));
                }
                if own != item.digest {
                    self.differing.push(name.clone());
                }
                self.used.insert(name);
                Ok(own.to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests;
