//! The figures, in the order in which they are printed.

use crate::data::{self, LINES, RARE};
use crate::host::{Bench, show};
use crate::{datagrams, delivery, hop, idle, in_process, network, parse, statsd};
use std::fs;
use std::process::Command;
use std::time::Instant;

/// Measures one figure, or several that belong together, and prints them.
type Measure = fn(&Bench) -> Result<(), String>;

pub(crate) const ALL: &[(&str, Measure)] = &[
    ("pipeline", in_process::pipeline),
    ("matchers", in_process::matchers),
    ("file", file),
    ("keep", keep),
    ("parse", parse::parse),
    ("tcp", network::tcp),
    ("udp", datagrams::udp),
    ("metlog", datagrams::metlog),
    ("idle", idle::idle),
    ("latency", network::latency),
    ("queue", delivery::queue),
    ("backlog", delivery::backlog),
    ("hop", hop::plain),
    ("tls", hop::tls),
    ("agents", hop::agents),
    ("answer", hop::answer),
    ("statsd", statsd::statsd),
];

pub(crate) fn file_pipeline(input: &str, more_input: &str, chain: &str, encoder: &str, more: &str) -> String {
    format!(
        "[inputs.logs]\nplugin = \"file\"\npaths = [\"{input}\"]\nfrom = \"beginning\"\n{more_input}\n\
         [chains.default]\noutputs = [\"all\"]\n{chain}\n\
         [outputs.all]\nplugin = \"file\"\npath = \"out/all.log\"\nencoder = \"{encoder}\"\n{more}\n"
    )
}

fn file(bench: &Bench) -> Result<(), String> {
    let (input, lines) = (data::plain(bench)?, bench.scaled(LINES) as f64);
    let config = file_pipeline("plain.log", "", "", "payload", "");
    let mut peak = 0.0_f64;
    let heka = || {
        let (seconds, resident) = bench.run_once("file", &config)?;
        peak = peak.max(resident);
        Ok(lines / seconds / 1e6)
    };
    let cat = || {
        let out = bench.work.join("cat.log");
        let _ = fs::remove_file(&out);
        let started = Instant::now();
        let target = fs::File::create(&out).map_err(|error| error.to_string())?;
        let status =
            Command::new("cat").arg(&input).stdout(target).status().map_err(|error| error.to_string())?;
        let seconds = started.elapsed().as_secs_f64();
        let _ = fs::remove_file(&out);
        if status.success() { Ok(lines / seconds / 1e6) } else { Err("cat failed".to_owned()) }
    };
    let (heka, cat, ratio) = bench.medians(heka, cat)?;
    show("file -> file", heka, "M/s", "5");
    show("  cat of the same file", cat, "M/s", "");
    show("  file -> file against cat", ratio, "x", "0.5");
    show("  peak resident memory", peak, "MiB", "under 60");
    Ok(())
}

fn keep(bench: &Bench) -> Result<(), String> {
    data::plain(bench)?;
    let lines = bench.scaled(LINES) as f64;
    let filter = format!("[filters.rare]\nplugin = \"grep\"\ncontains = \"{RARE}\"");
    let config = file_pipeline("plain.log", "", "filters = [\"rare\"]", "payload", &filter);
    let rate = bench.median(|| bench.run_once("keep", &config).map(|(seconds, _)| lines / seconds / 1e6))?;
    show("file -> keep 1 line in 20 by its text -> file", rate, "M/s", "6");
    Ok(())
}
