//! `heka-host queue repair`: sets aside what is damaged.

use std::path::PathBuf;

/// Read all of a queue that no host has in use, move what is damaged to its `quarantine/`, and cut off what was never
/// finished.
///
/// A host does the same when it opens the queue, or when it comes to what is damaged.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host queue repair state/queues/archive")]
pub(super) struct Arguments {
    /// The queue's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let recovery = heka_queue::repair(&arguments.directory).map_err(|error| error.to_string())?;
    println!("{recovery}");
    Ok(true)
}
