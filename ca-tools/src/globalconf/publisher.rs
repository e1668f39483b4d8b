//! Publishes the newest state: signs anew when it is due, and takes over what was changed since.

use super::central::Central;
use super::edition::{Edition, Publication};
use super::rotation::Signers;
use super::{Audience, PublishError, chain};
use bytes::Bytes;
use saatkond_proto::globalconf as gc;
use saatkond_proto::time::UnixTime;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// Publishes a central server's state.
///
/// All of it goes by the clock of whoever asks; nothing here sleeps. What is found at one moment is of one edition: it
/// changes whole, in memory, and begins whole after a crash.
#[derive(Debug)]
pub struct Publisher {
    central: Central,
    signers: Signers,
    renewal: Duration,
    edition: Edition,
    publication: Publication,
    /// Editions that a directory still in somebody's hands may name, and until when.
    earlier: VecDeque<(UnixTime, Edition)>,
    /// Why the newest state is not what is published.
    trouble: Option<String>,
}

impl Publisher {
    /// Opens the node's directory and signs for the first time.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn open(directory: &Path, now: UnixTime) -> Result<Self, PublishError> {
        let central = Central::open(directory)?;
        let state = central.read()?;
        let (edition, signers) = (Edition::new(&state, now)?, central.signers(&state)?);
        let publication = edition.sign(&signers, now)?;
        central.note(&publication)?;
        let renewal = state.instance.as_ref().map_or(Duration::ZERO, |file| file.renewal.0);
        Ok(Self { central, signers, renewal, edition, publication, earlier: VecDeque::new(), trouble: None })
    }

    /// Signs anew when the last time is longer ago than the instance's `renewal`, or lies in the future.
    ///
    /// A state changed since is taken over then; one that cannot be read or published is told in
    /// [`Publisher::trouble`] and leaves the last good one in its place, signed anew. Tells whether it was due.
    ///
    /// # Errors
    /// [`PublishError`] when nothing could be signed: what is published runs out.
    pub fn renew(&mut self, now: UnixTime) -> Result<bool, PublishError> {
        let signed_at = self.publication.signed_at();
        if signed_at <= now && now < signed_at.plus(self.renewal) {
            return Ok(false);
        }
        self.trouble = self.take_over(now).err().map(|e| chain(&e));
        let publication = self.edition.sign(&self.signers, now)?;
        // whose keys clients know must stand in the state before they are given it; the last good one told the same
        if let Err(error) = self.central.note(&publication) {
            self.trouble.get_or_insert_with(|| chain(&error));
        }
        self.publication = publication;
        self.earlier.retain(|(until, _)| *until >= now);
        Ok(true)
    }

    /// Why the newest state is not what is published; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Until when what is published holds.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.publication.expires()
    }

    /// How often it is signed anew.
    #[must_use]
    pub const fn renewal(&self) -> Duration {
        self.renewal
    }

    /// What lies at a path, such as `/internalconf` with the query `version=6`, or `/V6/<stamp>/shared-params.xml`.
    #[must_use]
    pub fn find(&self, path: &str, query: Option<&str>) -> Option<Bytes> {
        let directory = Audience::ALL.into_iter().map(Audience::directory);
        if let Some(name) = directory.into_iter().find(|name| path.strip_prefix('/') == Some(name)) {
            return self.publication.directory(version_asked(query)?, name);
        }
        let stored = path.strip_prefix("/V").and_then(|rest| rest.split_once('/'));
        if let Some((version, name)) = stored
            && Audience::ALL.into_iter().any(|audience| audience.directory() == name)
        {
            return self.publication.directory(version.parse().ok()?, name);
        }
        let editions = std::iter::once(&self.edition).chain(self.earlier.iter().rev().map(|(_, e)| e));
        editions.into_iter().find_map(|edition| edition.part(path))
    }

    fn take_over(&mut self, now: UnixTime) -> Result<(), PublishError> {
        if self.central.store().revision()? == self.edition.revision() {
            return Ok(());
        }
        let state = self.central.read()?;
        let (edition, signers) = (Edition::new(&state, now)?, self.central.signers(&state)?);
        // one that cannot be signed with these keys is not taken over
        edition.sign(&signers, now)?;
        let until = self.publication.expires();
        self.earlier.push_back((until, std::mem::replace(&mut self.edition, edition)));
        self.signers = signers;
        self.renewal = state.instance.as_ref().map_or(self.renewal, |file| file.renewal.0);
        Ok(())
    }
}

/// The version that a query asks for: 2 when it names none. Seen: X-Road 7.8's web server takes what is not digits
/// for none, and a number that is not published for what is not there.
pub(crate) fn version_asked(query: Option<&str>) -> Option<u8> {
    let named = query.into_iter().flat_map(|q| q.split('&')).find_map(|pair| pair.strip_prefix("version="));
    match named {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            // `06` names no directory
            text.parse().ok().filter(|version: &u8| version.to_string() == text)
        }
        _ => Some(gc::VERSION_MIN),
    }
}
