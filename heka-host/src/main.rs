//! The Heka daemon: runs a router from a config, with plugins loaded from files.

mod admin;
mod command;
mod plugin_dirs;
mod status;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Routes logs and metrics.
#[derive(Parser)]
#[command(name = "heka-host", version, max_term_width = 100)]
#[command(after_help = "Example:\n  heka-host check heka.toml && heka-host run heka.toml")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(command::run::Arguments),
    Check(command::check::Arguments),
    Plugins(command::plugins::Arguments),
    Cat(command::cat::Arguments),
    Inject(command::inject::Arguments),
    Flood(command::flood::Arguments),
    Admin(command::admin::Arguments),
    Queue(command::queue::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Run(arguments) => command::run::run(&arguments),
        Command::Check(arguments) => command::check::run(&arguments),
        Command::Plugins(arguments) => command::plugins::run(&arguments),
        Command::Cat(arguments) => command::cat::run(&arguments),
        Command::Inject(arguments) => command::inject::run(&arguments),
        Command::Flood(arguments) => command::flood::run(&arguments),
        Command::Admin(arguments) => command::admin::run(&arguments),
        Command::Queue(arguments) => command::queue::run(&arguments),
    }
}
