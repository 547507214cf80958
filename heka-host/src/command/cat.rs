//! `heka-host cat`: the messages of Heka-framed streams.

mod frames;
mod listing;
pub(super) mod printer;
mod text;

use super::size::parse_size;
use crate::status;
use frames::FrameReader;
use heka_lib::matcher::Matcher;
use heka_plugin_api::cause;
use listing::{Failure, Listing};
use printer::{Format, Printer};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a followed file is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);

/// Print the messages of files in Heka's framing.
///
/// What is no frame, and messages that can't be read, are reported and skipped.
/// The status is 0 when there was none of it, and 1 otherwise.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host cat --match 'Fields[status] >= 500' --format json messages.heka"
)]
pub(crate) struct Arguments {
    /// Files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print a message: `heka` are its bytes as they are, `count` counts only
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the messages that this matcher accepts
    #[arg(long = "match", value_name = "MATCHER")]
    matcher: Option<Matcher>,
    /// Count only: as `--format count`
    #[arg(long)]
    count: bool,
    /// Go on as the files grow, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Begin at byte N of each file
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u64,
    /// Write to FILE, which is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Skip messages longer than SIZE
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = parse_size)]
    message_bytes_max: usize,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match cat(arguments) {
        Ok(true) => status::DONE,
        Ok(false) => status::FAILED,
        Err(why) => {
            eprintln!("heka-host: {why}");
            status::FAILED
        }
    }
}

/// Returns whether nothing was broken.
fn cat(arguments: &Arguments) -> Result<bool, String> {
    let format = if arguments.count { Format::Count } else { arguments.format };
    let streams = open(arguments)?;
    let out = output(arguments)?;
    let report = |line: &str| eprintln!("{line}");
    let mut listing = Listing::new(Printer::new(format, out), arguments.matcher.clone(), report);
    let done = if arguments.follow {
        let stop = stop_signal(arguments)?;
        follow(streams, &mut listing, &stop)
    } else {
        streams.into_iter().try_for_each(|mut stream| listing.read_to_end(&mut stream))
    };
    match done.and_then(|()| listing.finish()) {
        Ok(()) => Ok(listing.is_sound()),
        // Nobody reads any more, such as `head` behind a pipe.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(Failure::Output(error)) => {
            let name = arguments.output.as_deref().unwrap_or(Path::new("standard output"));
            Err(format!("failed to write to `{}`: {}", name.display(), cause(&error)))
        }
        Err(Failure::Input(why)) => Err(why),
    }
}

fn open(arguments: &Arguments) -> Result<Vec<FrameReader>, String> {
    let open = |path: &PathBuf| FrameReader::open(path, arguments.offset, arguments.message_bytes_max);
    arguments.files.iter().map(open).collect()
}

fn output(arguments: &Arguments) -> Result<Box<dyn Write>, String> {
    let Some(path) = &arguments.output else { return Ok(Box::new(io::stdout())) };
    let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    let own = identity(path);
    if let Some(input) = arguments.files.iter().find(|input| own.is_some() && identity(input) == own) {
        let (input, path) = (input.display(), path.display());
        return Err(format!("the output `{path}` is the input `{input}`: it would be emptied; name another"));
    }
    let file = File::create(path);
    let file = file.map_err(|error| format!("failed to create `{}`: {}", path.display(), cause(&error)))?;
    Ok(Box::new(file))
}

/// Catches the signals that end following, so that the counts are printed.
fn stop_signal(arguments: &Arguments) -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    // A read from standard input goes on through a caught signal.
    if !arguments.files.iter().any(|path| frames::is_stdin(path)) {
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())
                .map_err(|error| format!("failed to catch signals: {}", cause(&error)))?;
        }
    }
    Ok(stop)
}

/// Reads all files again and again; ends when it is told to, or when none can grow.
fn follow(mut streams: Vec<FrameReader>, listing: &mut Listing, stop: &AtomicBool) -> Result<(), Failure> {
    while !stop.load(Ordering::Acquire) && !streams.is_empty() {
        for stream in &mut streams {
            listing.read_what_is_there(stream)?;
            if stream.was_truncated() {
                eprintln!("{}: is shorter now; reading from its beginning", stream.name());
                stream.rewind().map_err(Failure::Input)?;
            }
        }
        for mut ended in streams.extract_if(.., |stream| !stream.can_grow()) {
            listing.read_to_end(&mut ended)?;
        }
        listing.flush()?;
        std::thread::sleep(FOLLOW_INTERVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
