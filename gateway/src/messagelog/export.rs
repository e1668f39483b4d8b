//! A record and its proof as one file: an ASiC-E container, as X-Road's tools read it.
//!
//! Spec: message-path §6.5, §7.3.

use super::bodies;
use super::codec::{Attachment, Stamp};
use super::reader::Found;
use super::{LogError, stamp};
use saatkond_proto::container::{self, BatchStamp, ContainerError, Evidence};
use saatkond_proto::signature::batch::ChainTree;
use saatkond_proto::signature::{self, FormError};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

/// A container that is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The container cannot be written.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A time-stamp does not go into the signature document.
    #[error("time-stamp of record {number} does not go into its signature: {source}")]
    Stamp {
        /// The message's record.
        number: u64,
        /// Why.
        source: FormError,
    },
    /// A time-stamp record does not lead to the message that it is said to cover.
    #[error("time-stamp record {stamp} does not cover record {number}")]
    NotCovered {
        /// The message's record.
        number: u64,
        /// The time-stamp's record.
        stamp: u64,
    },
}

pub(super) fn write<W: Write>(
    dir: &Path,
    found: &Found,
    stamped: Option<&Stamped>,
    sink: W,
) -> Result<W, ExportError> {
    let message = &found.message;
    let mut signature: Cow<'_, [u8]> = Cow::Borrowed(&message.proof.signature);
    let chain;
    let mut batch = None;
    if let Some(stamped) = stamped {
        let stamp = &stamped.stamp;
        match &stamp.result {
            Some(result) => {
                chain = stamped.chain_to(found.number, result)?;
                batch =
                    Some(BatchStamp { token: &stamp.token, hash_chain_result: result, hash_chain: &chain });
            }
            None => {
                let stamped = signature::with_timestamp(&signature, &stamp.token)
                    .map_err(|source| ExportError::Stamp { number: found.number, source })?;
                signature = Cow::Owned(stamped);
            }
        }
    }
    let evidence = Evidence {
        message: &message.message,
        signature: &signature,
        hash_chain_result: message.proof.hash_chain_result.as_deref(),
        hash_chain: message.proof.hash_chain.as_deref(),
        stamp: batch,
        time: message.time,
    };
    let mut attachments: Vec<Box<dyn Read>> = Vec::new();
    for attachment in &message.attachments {
        match attachment {
            Attachment::Inline(bytes) => attachments.push(Box::new(Cursor::new(bytes.clone()))),
            Attachment::File { name, .. } => {
                let file = File::open(bodies::path_of(dir, *name))
                    .map_err(|source| LogError::Disk { dir: dir.to_owned(), source })?;
                attachments.push(Box::new(file));
            }
            Attachment::Omitted { .. } => {}
        }
    }
    Ok(container::write(sink, &evidence, attachments)?)
}

/// A time-stamp record and the hash tree under it, made once for all messages that it covers.
#[derive(Debug)]
pub(super) struct Stamped {
    number: u64,
    stamp: Stamp,
    /// `None` for a time-stamp over one signature value.
    tree: Option<ChainTree>,
}

impl Stamped {
    pub(super) fn new(number: u64, stamp: Stamp) -> Self {
        let tree = stamp.result.as_ref().and_then(|_| stamp::tree(&stamp.covers));
        Self { number, stamp, tree }
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The chain from the time-stamp to this message.
    fn chain_to(&self, number: u64, result: &[u8]) -> Result<Vec<u8>, ExportError> {
        let place = self.stamp.covers.iter().position(|(n, _)| *n == number);
        let tree = self.tree.as_ref().filter(|tree| tree.result() == result);
        tree.zip(place)
            .and_then(|(tree, place)| tree.chain(place))
            .ok_or(ExportError::NotCovered { number, stamp: self.number })
    }
}
