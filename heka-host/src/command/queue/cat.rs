//! `heka-host queue cat`: the messages of a queue, for people and programs.

use super::output_failure;
use crate::command::cat::printer::{Format, Printer};
use heka_heka::framing::write_frame;
use heka_heka::protobuf::put_message;
use heka_lib::matcher::Matcher;
use heka_queue::{Block, Inspection};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Print the messages that wait in a queue, oldest first.
///
/// What is damaged is reported and passed over; the status is then 1.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host queue cat --match 'Fields[status] >= 500' --json state/queues/archive"
)]
pub(super) struct Arguments {
    /// The queue's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// How to print a message: `heka` is a Heka frame, `count` counts only
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print a JSON object in a line: as `--format json`
    #[arg(long, conflicts_with_all = ["format", "count"])]
    json: bool,
    /// Count only: as `--format count`
    #[arg(long, conflicts_with = "format")]
    count: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Which messages.
#[derive(clap::Args)]
pub(super) struct Choice {
    /// Take the messages that this matcher accepts
    #[arg(long = "match", value_name = "MATCHER")]
    matcher: Option<Matcher>,
    /// Take also those that are done and not yet removed
    #[arg(long)]
    all: bool,
    /// Stop after N messages
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let format = match arguments {
        Arguments { json: true, .. } => Format::Json,
        Arguments { count: true, .. } => Format::Count,
        Arguments { format, .. } => *format,
    };
    print(&arguments.directory, &arguments.choice, format, Box::new(io::stdout()), "standard output")
        .map(|printed| printed.is_sound)
}

/// What was printed.
pub(super) struct Printed {
    pub(super) messages: u64,
    pub(super) is_sound: bool,
}

/// Why printing ended early.
enum Failure {
    Input(String),
    Output(io::Error),
}

/// Prints a queue's messages to `out`, whose name is for reports.
pub(super) fn print(
    directory: &Path,
    choice: &Choice,
    format: Format,
    out: Box<dyn Write>,
    name: &str,
) -> Result<Printed, String> {
    let mut printer = Printer::new(format, out);
    match print_all(directory, choice, format, &mut printer) {
        Ok(printed) => Ok(printed),
        Err(Failure::Input(why)) => Err(why),
        Err(Failure::Output(error)) => {
            output_failure(name, &error).map(|is_sound| Printed { messages: 0, is_sound })
        }
    }
}

fn print_all(
    directory: &Path,
    choice: &Choice,
    format: Format,
    printer: &mut Printer,
) -> Result<Printed, Failure> {
    let input = |error: heka_queue::QueueError| Failure::Input(error.to_string());
    let inspection = Inspection::open(directory).map_err(input)?;
    let mut reader = inspection.messages(choice.all).map_err(input)?;
    let (mut block, mut body, mut frame) = (Block::new(), Vec::new(), Vec::new());
    let (mut processed, mut matched) = (0, 0);
    let limit = choice.limit.unwrap_or(u64::MAX);
    'all: while reader.read(&mut block).map_err(input)? {
        for queued in block.messages() {
            if matched >= limit {
                break 'all;
            }
            processed += 1;
            let message = queued.message;
            if choice.matcher.as_ref().is_some_and(|matcher| !matcher.matches(&message)) {
                continue;
            }
            matched += 1;
            if format == Format::Heka {
                body.clear();
                frame.clear();
                put_message(&message, &mut body);
                write_frame(&body, None, &mut frame);
            }
            printer.print(&message, &frame).map_err(Failure::Output)?;
        }
    }
    printer.finish(processed, matched).map_err(Failure::Output)?;
    let damages = reader.damages();
    if damages.blocks > 0 {
        let (blocks, bytes) = (damages.blocks, damages.bytes);
        let places = if blocks == 1 { "place" } else { "places" };
        eprintln!("{}: {blocks} damaged {places}, {bytes} bytes, passed over", directory.display());
    }
    Ok(Printed { messages: matched, is_sound: damages.blocks == 0 })
}
