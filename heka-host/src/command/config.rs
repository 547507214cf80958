//! Reads the config that several commands take.

use crate::plugin_dirs::PluginDirs;
use heka_lib::Router;
use heka_lib::config::{Config, ConfigOptions, Faults, load};
use heka_lib::plugin::Registry;
use std::path::Path;

/// Loads a config file or directory. The environment is only read where the config allows it.
pub(super) fn read(path: &Path) -> Result<Config, Faults> {
    let (config, faults) = read_with_faults(path)?;
    faults.into_result(config)
}

/// Loads a config, finds its plugins and checks everything: all faults come together.
pub(super) fn read_and_check(path: &Path, plugins: &PluginDirs) -> Result<(Config, Registry), Faults> {
    let (config, mut faults) = read_with_faults(path)?;
    let registry = plugins.registry(&config.host);
    if let Err(more) = Router::check(&config, &registry) {
        faults.extend_elsewhere(more);
    }
    faults.into_result((config, registry))
}

fn read_with_faults(path: &Path) -> Result<(Config, Faults), Faults> {
    let environment = |name: &str| std::env::var(name).ok();
    let document = load(path, Some(&environment))?;
    Ok(Config::with_faults(&document, ConfigOptions::default()))
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
