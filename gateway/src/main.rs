//! Arguments in, exit code out.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use saatkond::admin::cli as gateway;
use saatkond::demo::{self, DemoArgs};
use saatkond_ca::cli::{self as ca, CaCommand};
use saatkond_ca::exit::{Exit, Failure, Streams};
use std::process::ExitCode;

/// Lets the organisations of a state ask each other for data, from whichever copy of a register is alive.
#[derive(Debug, Parser)]
#[command(name = "saatkond", version)]
struct Cli {
    /// End when standard input ends: whoever started this process is gone
    #[arg(long, global = true, hide = true)]
    while_stdin: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring up a whole small state on loopback, make a call, kill home, and see it answered from abroad
    Demo(Box<DemoArgs>),
    #[command(flatten)]
    Gateway(gateway::Command),
    /// What those run whom everyone trusts: certificates, OCSP, time-stamps, signed configuration
    #[command(subcommand)]
    Ca(Box<CaCommand>),
    /// Print what lets a shell complete these commands, for it to read at its start
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (mut out, mut talk) = (std::io::stdout(), std::io::stderr());
    let mut streams = Streams::new(&mut out, &mut talk);
    let ended = tokio::select! {
        ended = Box::pin(run(cli.command, &mut streams)) => ended,
        () = stdin_ends(cli.while_stdin) => Ok(Exit::Done),
    };
    let exit = ended.unwrap_or_else(|failure| {
        streams.talk(&failure);
        failure.exit
    });
    exit.into()
}

async fn run(command: Command, streams: &mut Streams<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::run(*args, streams).await,
        Command::Gateway(command) => gateway::run(command, streams).await,
        Command::Ca(command) => ca::run(*command, streams).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "saatkond", &mut script);
            streams.bytes(&script);
            Ok(Exit::Done)
        }
    }
}

/// Ends with standard input. A thread of its own reads it: one that never ends must not keep the process from ending.
async fn stdin_ends(watched: bool) {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    if watched {
        std::thread::spawn(move || {
            // Whoever holds the other end writes nothing; only that it closes matters.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(ended);
        });
        let _ = end.await;
    } else {
        std::future::pending().await
    }
}
