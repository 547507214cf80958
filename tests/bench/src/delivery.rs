//! What queues on the disk cost.

use crate::data;
use crate::host::{Bench, OnDisk, show};
use crate::sink::{LINE_BYTES, Sink};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a queue on the disk is measured: longer than the page cache hides what the disk can't do.
const QUEUE_SECONDS: u64 = 60;
/// How long the disk itself is measured.
const DISK_TIME: Duration = Duration::from_secs(10);
/// How many messages an outage leaves: about 10 GB.
const BACKLOG_MESSAGES: u64 = 28_000_000;

/// A file over TCP, with the queues in turn; then the disk for longer than the page cache helps.
pub(crate) fn queue(bench: &Bench) -> Result<(), String> {
    data::plain(bench)?;
    for (durability, aim) in [("disk", "0.6"), ("fsync", "0.3")] {
        let settings = format!("kind = \"disk\", durability = \"{durability}\"");
        let on_disk = || sent(bench, &settings);
        let (rate, memory, ratio) = bench.medians(on_disk, || sent(bench, "kind = \"memory\""))?;
        show(&format!("file -> queue on the disk, `{durability}` -> TCP"), rate, "M/s", "");
        show("  file -> queue in memory -> TCP", memory, "M/s", "");
        show("  against the one in memory", ratio, "x", aim);
    }
    show("the disk itself, written in order and synced at the end", disk(bench)?, "MB/s", "");
    let seconds = (QUEUE_SECONDS * bench.scaled(100) / 100).max(5);
    for durability in ["disk", "fsync"] {
        let settings = format!("kind = \"disk\", durability = \"{durability}\"");
        let rate = queued(bench, &settings, seconds)?;
        show(&format!("generated -> queue on the disk, `{durability}`, {seconds} s -> TCP"), rate, "M/s", "");
    }
    Ok(())
}

/// Megabytes a second that the disk takes, with one `fdatasync` at the end: what a queue can't be faster than for long.
fn disk(bench: &Bench) -> Result<f64, String> {
    let directory = OnDisk::new(bench)?;
    let mut file = fs::File::create(directory.0.join("written")).map_err(|error| error.to_string())?;
    let (block, started) = (vec![7; 1 << 20], Instant::now());
    let mut megabytes = 0.0;
    while started.elapsed() < DISK_TIME {
        file.write_all(&block).map_err(|error| error.to_string())?;
        megabytes += block.len() as f64 / 1e6;
    }
    file.sync_data().map_err(|error| error.to_string())?;
    Ok(megabytes / started.elapsed().as_secs_f64())
}

/// Sends the plain file once; returns millions of lines a second until all are sent and acknowledged.
fn sent(bench: &Bench, settings: &str) -> Result<f64, String> {
    let (sink, state) = (Sink::open()?, OnDisk::new(bench)?);
    let config = format!(
        "[inputs.logs]\nplugin = \"file\"\npaths = [\"plain.log\"]\nfrom = \"beginning\"\n\
         [chains.default]\noutputs = [\"sink\"]\n\
         [outputs.sink]\nplugin = \"tcp\"\naddress = \"{}\"\nencoder = \"payload\"\nqueue = {{ {settings} }}\n",
        sink.address
    );
    let started = Instant::now();
    bench.run_once_in("sent", &config, &state.0)?;
    Ok(bench.scaled(data::LINES) as f64 / started.elapsed().as_secs_f64() / 1e6)
}

fn queued(bench: &Bench, settings: &str, seconds: u64) -> Result<f64, String> {
    let (sink, state) = (Sink::open()?, OnDisk::new(bench)?);
    let config = format!(
        "[inputs.made]\nplugin = \"generate\"\npayload_bytes = {}\n[chains.default]\noutputs = [\"sink\"]\n\
         [outputs.sink]\nplugin = \"tcp\"\naddress = \"{}\"\nencoder = \"payload\"\nqueue = {{ {settings} }}\n",
        LINE_BYTES - 1,
        sink.address
    );
    let served = bench.serve_in("queue", &config, &state.0)?;
    std::thread::sleep(Duration::from_secs(2));
    let rate = sink.rate(seconds);
    drop(served);
    Ok(rate)
}

/// What an outage left on the disk is sent once the peer is back: how fast, and in how much memory.
pub(crate) fn backlog(bench: &Bench) -> Result<(), String> {
    let state = OnDisk::new(bench)?;
    let messages = bench.scaled(BACKLOG_MESSAGES);
    let sink = Sink::open()?;
    let config = |count: u64, address: &str| {
        format!(
            "[inputs.made]\nplugin = \"generate\"\npayload_bytes = {}\ncount = {count}\n\
             [chains.default]\noutputs = [\"sink\"]\n\
             [outputs.sink]\nplugin = \"tcp\"\naddress = \"{address}\"\nencoder = \"payload\"\n\
             queue = {{ kind = \"disk\", max_bytes = \"64 GiB\" }}\n",
            LINE_BYTES - 1
        )
    };
    // Port 9 (discard) refuses where no such service runs.
    let outage = bench.serve_in("outage", &config(messages, "127.0.0.1:9"), &state.0)?;
    let queue = state.0.join("queues/sink");
    let bytes = wait_until_still(&queue)?;
    drop(outage);
    let started = Instant::now();
    let draining = bench.serve_in("drain", &config(1, &sink.address), &state.0)?;
    let mut peak = 0.0_f64;
    while sink.lines() < messages {
        peak = peak.max(draining.resident_mib());
        if started.elapsed() > Duration::from_secs(600) {
            return Err(format!("{} of {messages} messages after 10 minutes", sink.lines()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let rate = messages as f64 / started.elapsed().as_secs_f64() / 1e6;
    drop(draining);
    show(&format!("a backlog of {:.1} GB -> TCP", bytes as f64 / 1e9), rate, "M/s", "");
    let direct = queued(bench, "kind = \"memory\"", 5)?;
    show("  generated -> queue in memory -> TCP", direct, "M/s", "");
    show("  resident while it drains, at most", peak, "MiB", "100");
    show("  a message of 200 bytes takes on the disk", bytes as f64 / messages as f64, "bytes", "");
    Ok(())
}

/// Waits until a queue grows no more; returns its bytes.
fn wait_until_still(queue: &Path) -> Result<u64, String> {
    let (mut bytes, mut still) = (0, 0);
    while still < 3 {
        std::thread::sleep(Duration::from_secs(1));
        let now = fs::read_dir(queue).map_or(0, |files| {
            files.flatten().filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
        });
        still = if now == bytes && now > 0 { still + 1 } else { 0 };
        bytes = now;
    }
    Ok(bytes)
}
