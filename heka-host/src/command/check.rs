//! `heka-host check`: all faults of a config, without starting anything.

use super::config;
use crate::plugin_dirs::PluginDirs;
use crate::status;
use heka_lib::config::Faults;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a config: print all its faults, each with file, line and column; start nothing.
///
/// The status is 0 when there are none, and 78 otherwise.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host check /etc/heka/heka.toml")]
pub(crate) struct Arguments {
    /// A TOML or JSON file, or a directory of them
    config: PathBuf,
    #[command(flatten)]
    plugins: PluginDirs,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    config::set_up_logging();
    match check(arguments) {
        Ok(text) => {
            println!("{text}");
            status::DONE
        }
        Err(faults) => {
            config::print(&faults);
            status::bad_config()
        }
    }
}

fn check(arguments: &Arguments) -> Result<String, Faults> {
    let (config, _) = config::read_and_check(&arguments.config, &arguments.plugins)?;
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    let (inputs, chains, outputs) = (config.inputs.len(), config.chains.len(), config.outputs.len());
    Ok(format!("{}: good: {inputs} inputs, {chains} chains, {outputs} outputs", arguments.config.display()))
}
