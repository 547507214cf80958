//! `heka-host queue export`: a queue's messages as a Heka-framed stream.

use super::cat::{Choice, print};
use crate::command::cat::printer::Format;
use heka_plugin_api::cause;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// Write the messages that wait in a queue as Heka frames, oldest first, to standard output or a file.
///
/// `heka-host cat` reads them, and so does an input with `splitter = "heka"` and `decoder = "heka"`. The queue keeps them.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host queue export state/queues/archive -o waiting.heka && heka-host cat waiting.heka"
)]
pub(super) struct Arguments {
    /// The queue's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Write to FILE, which must not be there
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let Arguments { directory, output, choice } = arguments;
    let Some(path) = output else {
        let printed = print(directory, choice, Format::Heka, Box::new(io::stdout()), "standard output")?;
        return Ok(printed.is_sound);
    };
    let name = path.display().to_string();
    // Nothing is created for a queue that isn't there.
    heka_queue::Inspection::open(directory).map_err(|error| error.to_string())?;
    let failed = |verb: &str, error: &io::Error| format!("failed to {verb} `{name}`: {}", cause(error));
    let file = File::create_new(path).map_err(|error| failed("create", &error))?;
    let copy = file.try_clone().map_err(|error| failed("create", &error))?;
    let printed = print(directory, choice, Format::Heka, Box::new(copy), &name)?;
    file.sync_all().map_err(|error| failed("sync", &error))?;
    println!("{} messages in {name}", printed.messages);
    Ok(printed.is_sound)
}
