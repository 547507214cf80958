//! `heka-host admin`: asks a running host.

pub(super) mod client;
mod table;

use super::config;
use crate::status;
use client::{Reply, Target};
use heka_lib::config::HostConfig;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Ask a running host how it is doing, or tell it something.
///
/// Without --socket or --config, the host is looked for at `state/admin.sock`.
/// The status is 0 when the host did what was asked, and for `health` when all is well; 1 otherwise.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host admin stats --config /etc/heka/heka.toml")]
pub(crate) struct Arguments {
    /// What to ask
    #[arg(value_enum)]
    question: Question,
    /// The host's admin socket
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Find the host by its config
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Question {
    /// What each stage has done, and whether the accounting balances
    Stats,
    /// How each instance is doing
    Health,
    /// Read the config again
    Reload,
    /// Let outputs open their files anew, after a log rotation
    Reopen,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let target = match target(arguments) {
        Ok(target) => target,
        Err(code) => return code,
    };
    match target.ask(arguments.question.method(), arguments.question.path(), &[]) {
        Ok(reply) => print(arguments, &reply),
        Err(why) => {
            eprintln!("heka-host: {why}");
            status::FAILED
        }
    }
}

/// Finds a host by its socket, by its config, or, without either, where the defaults put its socket.
///
/// # Errors
/// If the config is wrong, or names no admin endpoint.
pub(super) fn find(socket: Option<&Path>, config: Option<&Path>) -> Result<Target, String> {
    if let Some(socket) = socket {
        return Ok(Target::Socket(socket.to_owned()));
    }
    let host = match config.map(config::read) {
        None => HostConfig::default(),
        Some(Ok(config)) => config.host,
        Some(Err(faults)) => return Err(faults.to_string()),
    };
    Target::of(&host)
}

fn target(arguments: &Arguments) -> Result<Target, ExitCode> {
    if let Some(Err(faults)) = arguments.config.as_deref().map(config::read) {
        config::print(&faults);
        return Err(status::bad_config());
    }
    find(arguments.socket.as_deref(), arguments.config.as_deref()).map_err(|why| {
        eprintln!("heka-host: {why}");
        status::FAILED
    })
}

impl Question {
    fn method(self) -> &'static str {
        match self {
            Question::Stats | Question::Health => "GET",
            Question::Reload | Question::Reopen => "POST",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Question::Stats => "/stats",
            Question::Health => "/health",
            Question::Reload => "/reload",
            Question::Reopen => "/reopen",
        }
    }
}

fn print(arguments: &Arguments, reply: &Reply) -> ExitCode {
    let value: Value = match serde_json::from_slice(&reply.body) {
        Ok(value) => value,
        Err(error) => {
            eprintln!("heka-host: the answer is not JSON: {error}");
            return status::FAILED;
        }
    };
    if arguments.json {
        print!("{}", String::from_utf8_lossy(&reply.body));
    } else if let Some(error) = value["error"].as_str() {
        eprintln!("heka-host: {error}");
    } else {
        match arguments.question {
            Question::Stats => print!("{}", table::stats(&value)),
            Question::Health => print!("{}", table::health(&value)),
            Question::Reload | Question::Reopen => println!("{}", value["done"].as_str().unwrap_or("done")),
        }
    }
    if (200..300).contains(&reply.status) { status::DONE } else { status::FAILED }
}
