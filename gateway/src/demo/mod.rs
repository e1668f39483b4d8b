//! `saatkond demo`: a whole small state on loopback, each part a real one and a process of its own.
//!
//! | file | what it does |
//! |---|---|
//! | `state` | lays out the instance in a directory, as an installation's files would lie |
//! | `parts` | starts, kills and restarts its processes |
//! | `register` | the land register behind the Land Board's gateways |
//! | `population` | the population register, which speaks SOAP; another door of the same process |
//! | `load` | callers |
//! | `live` | who answers them, shown while it happens |
//! | `operator` | lets another site lead |
//! | `evidence` | looks up, exports and verifies what an exchange left behind |
//! | `story` | what happens |
//! | `findings` | what of it was true |
//!
//! Ours: the demo is the product's first proof. Every figure it prints is measured, every claim checked: it exits
//! with 0 only when all of them held.

mod evidence;
mod findings;
mod live;
mod load;
mod operator;
mod parts;
mod population;
mod register;
mod state;
mod story;

pub use register::RegisterArgs;

use saatkond_ca::exit::{Exit, Failure, Streams};
use saatkond_ca::key::KeySpec;
use std::path::PathBuf;

/// What the demo is asked to do.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// Tell the story once and exit; 0 only if every line of it was true
    #[arg(long)]
    once: bool,
    /// Where the small state is kept
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    dir: PathBuf,
    /// Throw away what an earlier demo left in the directory
    #[arg(long)]
    fresh: bool,
    /// Print the outcome as counts
    #[arg(long)]
    json: bool,
    /// How often home is killed under load
    #[arg(long, value_name = "N", default_value_t = 1)]
    kills: u32,
    /// Make the small state's files and exit
    #[arg(long)]
    lay_out: bool,
    /// The kind of keys a new small state gets; X-Road's own servers make RSA-2048
    #[arg(long, value_name = "KIND", default_value_t = KeySpec::Rsa2048, hide = true)]
    keys: KeySpec,
    #[command(subcommand)]
    part: Option<DemoPart>,
}

/// A part that the demo starts as a process of its own.
#[derive(Debug, Clone, clap::Subcommand)]
enum DemoPart {
    /// One copy of the sample registers
    Register(RegisterArgs),
}

/// Runs the demo, or the part of it that was named.
///
/// # Errors
/// [`Failure`] when it cannot start: the sentence says why and what to do.
pub async fn run(args: DemoArgs, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    match args.part {
        Some(DemoPart::Register(register)) => {
            register::serve(register).await.map_err(|e| Failure::new(Exit::Unavailable, format!("{e:#}")))?;
            Ok(Exit::Done)
        }
        None => story::tell(&args, streams).await,
    }
}
