//! Verifies containers and archives, offline: who said what, when, under which certificate, and what is not proven.

use crate::exit::{Exit, Failure, Streams};
use std::path::PathBuf;

/// Arguments of `ca verify`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = HELP)]
#[group(id = "trust", required = true, multiple = true, args = ["anchor", "globalconf"])]
pub struct VerifyArgs {
    /// Containers (.asice), message-log archives (.zip), or downloads of several containers (.zip)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The configuration anchor: whose signature to believe
    #[arg(long, value_name = "FILE")]
    pub anchor: Option<PathBuf>,
    /// The global configuration: a folder or a verificationconf.zip
    #[arg(long, value_name = "FOLDER|ZIP")]
    pub globalconf: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const HELP: &str = "\
Nobody is asked; everything needed is in the files. A container carries message, signature, the \
certificate's status and a time-stamp. What it cannot carry is whom to trust: that is the global \
configuration of the instance at that time, in one of these forms.

  --anchor anchor.xml
      The anchor came to you by a way you trust, and beside it (in its folder or below) lies the \
      configuration as published: the signed directory, such as `internalconf`, and the files it \
      lists, such as `shared-params.xml`. Where exactly does not matter: only what the anchor's \
      certificates signed is believed. With --globalconf FOLDER it is looked for there instead.

  --globalconf FOLDER
      A copy of a security server's /etc/xroad/globalconf, or of a gateway's globalconf/. It \
      carries no signature any more: you trust whoever gave you the copy.

  --globalconf verificationconf.zip
      What a security server gives at http://SERVER/verificationconf. The same applies.

An expired configuration is read all the same: it tells whom the instance approved then. Exit \
code 0: all hold; 1: at least one does not; 74: a file cannot be read; 78: no configuration that \
can be believed.";

/// Verifies all files and says what came of it.
///
/// # Errors
/// [`Failure`] when there is no configuration to hold them against.
pub fn run(args: &VerifyArgs, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let _ = (args, streams);
    Err(Failure::new(Exit::OurBug, "verification is not there yet"))
}
