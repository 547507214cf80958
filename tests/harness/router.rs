//! A router inside the test's own process.

use crate::directory::{Directory, plugin_dir};
use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Router, RouterOptions};

/// A running router, and the directory that its state is in.
pub struct Started {
    /// The router.
    pub router: Router,
    /// Its directory.
    pub directory: Directory,
}

/// Starts a router with plugins loaded from files. The config has no `[heka]` table: the state is put into a
/// directory of the test's own; `more` goes into that table.
///
/// # Errors
/// The faults, one a line.
pub fn start(config: &str, more: &str) -> Result<Started, String> {
    let directory = Directory::new();
    let text = format!("[heka]\nstate_dir = \"{}\"\n{more}\n{config}", directory.join("state").display());
    let document = from_toml_str("heka.toml", &text).map_err(|faults| faults.to_string())?;
    let config = Config::from_document(&document).map_err(|faults| faults.to_string())?;
    let mut registry = Registry::new();
    registry.add_directory(&plugin_dir());
    let router =
        Router::start(&config, &registry, &RouterOptions::default()).map_err(|faults| faults.to_string())?;
    Ok(Started { router, directory })
}
