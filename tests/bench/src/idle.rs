//! What following files costs when little happens.

use crate::host::{Bench, show};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

const FILES: usize = 100;
const IDLE_SECONDS: u64 = 10;

pub(crate) fn idle(bench: &Bench) -> Result<(), String> {
    let logs = bench.work.join("idle");
    fs::create_dir_all(&logs).map_err(|error| error.to_string())?;
    let open = |number: usize| {
        let path = logs.join(format!("{number}.log"));
        OpenOptions::new().create(true).append(true).open(path).map_err(|error| error.to_string())
    };
    let mut files = (0..FILES).map(open).collect::<Result<Vec<_>, _>>()?;
    let config = "[inputs.logs]\nplugin = \"file\"\npaths = [\"idle/*.log\"]\nfrom = \"beginning\"\n\
                  decoder = \"access_log\"\n[chains.default]\noutputs = [\"all\"]\n\
                  [outputs.all]\nplugin = \"file\"\npath = \"out/idle.log\"\nencoder = \"json\"\n";
    let served = bench.serve("idle", config)?;
    std::thread::sleep(Duration::from_secs(2));
    let before = served.processor_seconds();
    std::thread::sleep(Duration::from_secs(IDLE_SECONDS));
    let share = (served.processor_seconds() - before) / IDLE_SECONDS as f64 * 100.0;
    show("100 files followed, idle: of one core", share, "%", "under 0.3");
    show("  resident memory", served.resident_mib(), "MiB", "under 15");
    let before = served.processor_seconds();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(IDLE_SECONDS) {
        for file in &mut files {
            let line: &[u8] =
                b"192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\n";
            file.write_all(line).map_err(|error| error.to_string())?;
            std::thread::sleep(Duration::from_micros(900));
        }
    }
    let share = (served.processor_seconds() - before) / started.elapsed().as_secs_f64() * 100.0;
    show("100 files growing by 10 lines a second: of one core", share, "%", "under 1.5");
    Ok(())
}
