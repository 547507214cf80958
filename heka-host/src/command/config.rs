//! Reads the config that several commands take.

use heka_lib::config::{Config, Faults, load};
use std::path::Path;

/// Loads a config file or directory. The environment is only read where the config allows it.
pub(super) fn read(path: &Path) -> Result<Config, Faults> {
    let environment = |name: &str| std::env::var(name).ok();
    let document = load(path, Some(&environment))?;
    Config::from_document(&document)
}

/// Prints faults, one a line.
pub(super) fn print(faults: &Faults) {
    eprintln!("{faults}");
}

/// Sets up logging: lines at `info` and above to standard error, or as RUST_LOG says.
pub(super) fn set_up_logging() {
    let environment = env_logger::Env::default().default_filter_or("info");
    env_logger::Builder::from_env(environment).format_target(false).init();
}
