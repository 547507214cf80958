//! `heka-host queue replay`: puts dead letters back.

use crate::command::admin::find;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Put dead letters back into a running host: to the outputs that refused them, the others into the router
///
/// Without FILE, those that wait in the host's built-in queue of dead letters.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  heka-host queue replay --config heka.toml\n  heka-host queue replay out/refused.heka"
)]
pub(super) struct Arguments {
    /// A file of Heka frames, as an output with `encoder = "heka"` or `queue export` writes it
    file: Option<PathBuf>,
    /// The host's admin socket
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Find the host by its config
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| format!("failed to read `{}`: {error}", path.display()))
    };
    let frames = arguments.file.as_ref().map(read).transpose()?;
    if frames.as_ref().is_some_and(Vec::is_empty) {
        println!("0 dead letters put back");
        return Ok(true);
    }
    let target = find(arguments.socket.as_deref(), arguments.config.as_deref())?;
    let reply = target.ask("POST", "/replay", frames.as_deref().unwrap_or_default())?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match answer["error"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => {
            println!("{} dead letters put back", answer["injected"].as_u64().unwrap_or_default());
            Ok(true)
        }
    }
}
