//! `heka-host flood`: a load generator.

mod block;
mod content;
mod form;
mod pace;
mod report;
mod segments;
mod sender;

use super::peer::{Connection, Peer};
use super::size::parse_size;
use crate::status;
use block::Block;
use form::Format;
use heka_plugin_api::cause;
use heka_plugin_api::units::parse_duration;
use pace::Pace;
use report::{Progress, Report};
use sender::{Sender, Share};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender as Channel, channel};
use std::time::{Duration, Instant};

/// How many messages are sent when neither `--count` nor `--seconds` says.
const COUNT_DEFAULT: u64 = 1_000_000;
/// How often the main thread looks at its signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);
/// How often `--verbose` prints.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Most connections; each has a thread.
const CONNECTIONS_MAX: i64 = 1_000;

/// Send many messages to a running host, as fast as it takes them, and print the rate.
///
/// A message counts as sent when the system has taken it. The status is 0 when all were sent, also when Ctrl-C or
/// --seconds ended it, and 1 when a connection broke.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  heka-host flood 127.0.0.1:5565 --count 10000000 --bytes 200\n  heka-host flood \
                  127.0.0.1:8125 --udp --format statsd --datagram-bytes 1390 --seconds 10s"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    peer: Peer,
    /// How many messages; 0 is without end. Without it a million, or without end if there are --seconds
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time, such as 10 or 500ms
    #[arg(long, value_name = "S", value_parser = parse_duration)]
    seconds: Option<Duration>,
    /// Messages a second, over all connections; 0 is as many as the host takes
    #[arg(long, value_name = "N", default_value_t = 0)]
    rate: u64,
    /// How many connections, each with a thread
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    connections: u16,
    #[command(flatten)]
    shape: Shape,
    /// Fill datagrams up to SIZE with whole messages; without it each message is one
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "udp")]
    datagram_bytes: Option<usize>,
    /// Print the rate each second
    #[arg(long, short)]
    verbose: bool,
}

/// What the messages are like.
#[derive(clap::Args)]
struct Shape {
    /// What to send
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    format: Format,
    /// Length of a line with its newline, or of a payload
    #[arg(long, value_name = "SIZE", default_value = "200", value_parser = parse_size)]
    bytes: usize,
    /// Take the lines, or payloads, from FILE, again and again; at most 64 MiB and a million lines
    #[arg(long, value_name = "FILE", conflicts_with = "bytes")]
    lines: Option<PathBuf>,
    /// Begin each line or payload with its number, 12 digits, from 0
    #[arg(long)]
    numbered: bool,
    /// The type of Heka and JSON messages
    #[arg(long = "type", value_name = "TYPE", default_value = "flood")]
    message_type: String,
    /// How many different statsd counters
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    names: u32,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let ended = stop_signal().and_then(|stop| flood(arguments, &stop));
    let (report, broken) = match ended {
        Ok(ended) => ended,
        Err(why) => {
            eprintln!("heka-host: {why}");
            return status::FAILED;
        }
    };
    println!("{report}");
    for why in &broken {
        eprintln!("heka-host: {why}");
    }
    if broken.is_empty() { status::DONE } else { status::FAILED }
}

fn stop_signal() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .map_err(|error| format!("failed to catch signals: {}", cause(&error)))?;
    }
    Ok(stop)
}

/// Returns what was sent, and why connections broke.
fn flood(arguments: &Arguments, stop: &AtomicBool) -> Result<(Report, Vec<String>), String> {
    let block = form::block(&arguments.shape)?;
    let connect = |_| arguments.peer.connect();
    let connections: Vec<Connection> = (0..arguments.connections).map(connect).collect::<Result<_, _>>()?;
    let progress = Progress::default();
    let started = Instant::now();
    let broken = std::thread::scope(|scope| {
        let (ended, all_ended) = channel();
        for (index, connection) in connections.into_iter().enumerate() {
            let sender = sender(arguments, &block, index as u64, connection, &progress, stop);
            let ended: Channel<Option<String>> = ended.clone();
            scope.spawn(move || _ = ended.send(sender.run().err()));
        }
        drop(ended);
        supervise(arguments, &all_ended, &progress, stop)
    });
    let broken = broken.into_iter().map(|why| format!("the connection to `{}` broke: {why}", arguments.peer));
    Ok((progress.since(started, &Progress::default()), broken.collect()))
}

fn sender<'a>(
    arguments: &Arguments,
    block: &'a Block,
    index: u64,
    connection: Connection,
    progress: &'a Progress,
    stop: &'a AtomicBool,
) -> Sender<'a> {
    let connections = u64::from(arguments.connections);
    let count = arguments.count.unwrap_or(if arguments.seconds.is_some() { 0 } else { COUNT_DEFAULT });
    let share = Share {
        first: index,
        step: connections,
        // The numbers below `count` that are `index` more than a multiple of `step`.
        count: if count == 0 { u64::MAX } else { (count + connections - 1 - index) / connections },
        pace: (arguments.rate > 0).then(|| Pace::new(arguments.rate as f64 / connections as f64)),
    };
    Sender::new(connection, block, share, arguments.datagram_bytes, progress, stop)
}

/// Waits until all senders have ended, and ends them in time; returns why those that broke did.
fn supervise(
    arguments: &Arguments,
    ended: &Receiver<Option<String>>,
    progress: &Progress,
    stop: &AtomicBool,
) -> Vec<String> {
    let deadline = arguments.seconds.and_then(|seconds| Instant::now().checked_add(seconds));
    let (mut told, mut told_at) = (Progress::default(), Instant::now());
    let mut broken = Vec::new();
    loop {
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            stop.store(true, Ordering::Release);
        }
        if arguments.verbose && now - told_at >= REPORT_INTERVAL {
            eprintln!("{}", progress.since(told_at, &told));
            (told, told_at) = (progress.clone(), now);
        }
        let left = deadline.map_or(SIGNAL_INTERVAL, |deadline| deadline.saturating_duration_since(now));
        match ended.recv_timeout(left.clamp(Duration::from_millis(1), SIGNAL_INTERVAL)) {
            Ok(why) => broken.extend(why),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return broken,
        }
    }
}

#[cfg(test)]
mod tests;
