//! The trust services alone.

use clap::Parser;
use saatkond_ca::{cli, exit};

#[derive(Debug, Parser)]
#[command(name = "saatkond-ca", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: cli::CaCommand,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let (mut out, mut talk) = (std::io::stdout(), std::io::stderr());
    let mut streams = exit::Streams::new(&mut out, &mut talk);
    cli::main(Arguments::parse().command, &mut streams).await.into()
}
