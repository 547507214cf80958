//! Pipelines inside this process: plugins loaded from files against the same plugins linked in.

use crate::host::{Bench, show};
use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Router, RouterOptions};
use std::fmt::Write;
use std::time::{Duration, Instant};

const MESSAGES: u64 = 10_000_000;

pub(crate) fn pipeline(bench: &Bench) -> Result<(), String> {
    let messages = bench.scaled(MESSAGES);
    let config = format!(
        "[inputs.made]\nplugin = \"generate\"\ncount = {messages}\npayload_bytes = 200\nfields = 6\n\
         [filters.all]\nplugin = \"grep\"\ncontains = \"xyz\"\n\
         [chains.default]\nfilters = [\"all\"]\noutputs = [\"nowhere\"]\n[outputs.nowhere]\nplugin = \"null\"\n"
    );
    let (loaded, linked, ratio) =
        bench.medians(|| run(bench, &config, &loaded(bench)), || run(bench, &config, &linked()))?;
    show("generate -> grep -> null, plugins loaded", loaded, "M/s", "8");
    show("  the same plugins linked in", linked, "M/s", "");
    show("  loaded against linked in", ratio, "x", "0.98");
    Ok(())
}

pub(crate) fn matchers(bench: &Bench) -> Result<(), String> {
    let config = |count: usize| {
        let mut text = format!(
            "[inputs.made]\nplugin = \"generate\"\ncount = {}\npayload_bytes = 200\nfields = 6\n\
             [outputs.nowhere]\nplugin = \"null\"\n[chains.wanted]\nmatcher = 'Type == \"generate\"'\n\
             outputs = [\"nowhere\"]\n",
            bench.scaled(MESSAGES)
        );
        for number in 1..count {
            let _ = write!(
                text,
                "[chains.c{number}]\nmatcher = 'Type == \"t{number}\"'\noutputs = [\"nowhere\"]\n"
            );
        }
        text
    };
    let (many, one) = (config(100), config(1));
    let (many, one, ratio) =
        bench.medians(|| run(bench, &many, &linked()), || run(bench, &one, &linked()))?;
    show("100 matchers `Type == ...`", many, "M/s", "");
    show("  1 matcher", one, "M/s", "");
    show("  100 matchers against 1", ratio, "x", "0.9");
    Ok(())
}

fn loaded(bench: &Bench) -> Registry {
    let mut registry = Registry::new();
    registry.add_directory(&bench.binaries);
    registry
}

fn linked() -> Registry {
    let mut registry = Registry::new();
    registry.add_static(&heka_null::PLUGIN_FILE).add_static(&heka_grep::PLUGIN_FILE);
    registry
}

/// Runs a config until its input ends; returns millions of messages a second.
fn run(bench: &Bench, config: &str, registry: &Registry) -> Result<f64, String> {
    let text = format!("[heka]\nstate_dir = \"{}/state\"\n{config}", bench.work.display());
    let document = from_toml_str("bench.toml", &text).map_err(|faults| faults.to_string())?;
    let config = Config::from_document(&document).map_err(|faults| faults.to_string())?;
    let router =
        Router::start(&config, registry, &RouterOptions::default()).map_err(|faults| faults.to_string())?;
    let started = Instant::now();
    router.wait(Duration::from_secs(600));
    let stats = router.stop();
    let delivered = stats.output("nowhere").map_or(0, |output| output.delivered);
    if delivered != bench.scaled(MESSAGES) {
        return Err(format!("{delivered} messages were delivered"));
    }
    Ok(delivered as f64 / started.elapsed().as_secs_f64() / 1e6)
}
