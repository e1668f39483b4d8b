//! The commands: `saatkond ca …`, and the same as the program `saatkond-ca`.

use crate::exit::{Exit, Failure, Streams};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What those run whom everyone trusts.
#[derive(Debug, Clone, Subcommand)]
pub enum CaCommand {
    /// Make a certification authority in a new directory
    Init(Init),
    /// Serve OCSP, time-stamps and the signed configuration until SIGTERM
    Serve(Serve),
}

/// Arguments of `ca init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// The directory to make
    pub dir: PathBuf,
}

/// Arguments of `ca serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The file that names what to serve
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PurposeName {
    /// A security server's TLS
    Auth,
    /// A member's signatures
    Sign,
    /// An OCSP responder
    Ocsp,
    /// A time-stamping authority
    Tsa,
    /// A web server or an information system
    Tls,
}

/// Does what was asked; the caller prints the failure and exits with its code.
///
/// # Errors
/// [`Failure`] with what to do about it.
pub async fn run(command: CaCommand, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    let _ = (command, streams);
    Err(Failure::new(Exit::OurBug, "not done"))
}

/// Does what was asked and says what went wrong.
pub async fn main(command: CaCommand, streams: &mut Streams<'_>) -> Exit {
    match run(command, streams).await {
        Ok(exit) => exit,
        Err(failure) => {
            streams.talk(&failure);
            failure.exit
        }
    }
}
