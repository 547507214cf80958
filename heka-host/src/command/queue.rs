//! `heka-host queue`: what is in an output's queue on disk, in use or not.

mod cat;
mod check;
mod export;
mod repair;
mod replay;
mod status;

use std::io;
use std::process::ExitCode;

/// Look into a queue's directory, take messages out of it as a file, repair it, or put dead letters back.
///
/// All but `repair` and `replay` read only, and work while a host has the queue in use.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host queue status state/queues/archive && heka-host queue cat --json state/queues/archive"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Status(status::Arguments),
    Check(check::Arguments),
    Cat(cat::Arguments),
    Export(export::Arguments),
    Repair(repair::Arguments),
    Replay(replay::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.command {
        Command::Status(arguments) => status::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Cat(arguments) => cat::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Repair(arguments) => repair::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
    };
    match done {
        Ok(true) => crate::status::DONE,
        Ok(false) => crate::status::FAILED,
        Err(why) => {
            eprintln!("heka-host: {why}");
            crate::status::FAILED
        }
    }
}

/// Says why writing failed; nothing if nobody reads any more, such as `head` behind a pipe.
fn output_failure(name: &str, error: &io::Error) -> Result<bool, String> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(true);
    }
    Err(format!("failed to write to `{name}`: {}", heka_plugin_api::cause(error)))
}
