//! A router inside the test's own process.

use crate::directory::{Directory, plugin_dir};
use crate::probe::PLUGIN_FILE;
use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Reloaded, Router, RouterOptions, RouterStats};
use std::time::Duration;

/// A running router, and the directory that its state is in.
pub struct Started {
    /// The router.
    pub router: Router,
    /// Its directory.
    pub directory: Directory,
}

/// Starts a router with plugins loaded from files, and those of [`probe`](crate::probe). The config has no `[heka]` table: the state is put into a
/// directory of the test's own; `more` goes into that table.
///
/// # Errors
/// The faults, one a line.
pub fn start(config: &str, more: &str) -> Result<Started, String> {
    let directory = Directory::new();
    let config = parse(&directory, config, more)?;
    let router = Router::start(&config, &registry(), &RouterOptions::default());
    Ok(Started { router: router.map_err(|faults| faults.to_string())?, directory })
}

impl Started {
    /// Goes over to another config, made as [`start`] makes it.
    ///
    /// # Errors
    /// The faults, one a line.
    pub fn reload(&self, config: &str, more: &str) -> Result<Reloaded, String> {
        let config = parse(&self.directory, config, more)?;
        self.router.reload(&config, &registry()).map_err(|faults| faults.to_string())
    }
}

fn parse(directory: &Directory, config: &str, more: &str) -> Result<Config, String> {
    let text = format!("[heka]\nstate_dir = \"{}\"\n{more}\n{config}", directory.join("state").display());
    let document = from_toml_str("heka.toml", &text).map_err(|faults| faults.to_string())?;
    Config::from_document(&document).map_err(|faults| faults.to_string())
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add_directory(&plugin_dir()).add_static(&PLUGIN_FILE);
    registry
}

/// Starts a router as [`start`] does, waits until its inputs have ended, stops it, and returns the counts, which
/// balance.
///
/// # Panics
/// If it can't be started or doesn't end, or if something is left or unaccounted for.
pub fn run_to_end(config: &str, more: &str) -> RouterStats {
    let started = start(config, more).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(started.router.wait(Duration::from_secs(60)), "the inputs don't end: {}", started.router.stats());
    let stats = started.router.stop();
    assert_eq!(stats.left(), 0, "{stats}");
    assert_balanced(&stats);
    stats
}

/// Checks that every message is accounted for, in each chain and each output, when nothing is under way any more.
///
/// # Panics
/// If one isn't.
pub fn assert_balanced(stats: &RouterStats) {
    for chain in &stats.chains {
        let came = chain.taken + chain.emitted;
        let went = chain.passed + chain.destroyed + chain.absorbed + chain.dead_lettered;
        assert_eq!(came, went, "chain `{}` does not balance:\n{stats}", chain.name);
    }
    for output in &stats.outputs {
        let came = output.queued_at_start + output.marked + output.replayed;
        let went =
            output.delivered + output.dead_lettered + output.dropped + output.duplicates + output.abandoned;
        assert_eq!(came, went + output.on_disk, "output `{}` does not balance:\n{stats}", output.name);
    }
    assert_eq!(
        stats.injection.injected, stats.injection.routed,
        "the injection lane does not balance:\n{stats}"
    );
}
