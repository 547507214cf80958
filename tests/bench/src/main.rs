//! Measures whole pipelines on this machine and prints each figure beside its aim. `./bench` runs it.
//!
//! Every figure is the median of `--runs` runs (5). Files are in memory (`/dev/shm`), so that no disk is measured.

mod agent;
mod cases;
mod data;
mod datagram_load;
mod datagrams;
mod delivery;
mod hop;
mod host;
mod idle;
mod in_process;
mod network;
mod parse;
mod sink;
mod statsd;

use host::Bench;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: heka-bench [--runs N] [--scale PERCENT] [FIGURE...]
figures: pipeline matchers file keep parse tcp udp metlog idle latency queue backlog hop tls agents answer statsd (all without an argument)";

fn main() -> ExitCode {
    let Some((bench, figures)) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    println!("{:<58} {:>14}  aim", "figure", "median");
    let measured: Result<(), String> = cases::ALL
        .iter()
        .filter(|(name, _)| figures.is_empty() || figures.iter().any(|figure| figure == name))
        .try_for_each(|(name, measure)| measure(&bench).map_err(|error| format!("{name}: {error}")));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heka-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Option<(Bench, Vec<String>)> {
    let (mut runs, mut scale, mut figures) = (5, 100, Vec::new());
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--runs" => runs = given.next()?.parse().ok()?,
            "--scale" => scale = given.next()?.parse().ok()?,
            figure if cases::ALL.iter().any(|(name, _)| *name == figure) => figures.push(argument),
            _ => return None,
        }
    }
    let binaries = std::env::current_exe().ok()?.parent().map(PathBuf::from)?;
    let work = PathBuf::from("/dev/shm").join(format!("heka-bench-{}", std::process::id()));
    Some((Bench::new(binaries, work, runs, scale), figures))
}
