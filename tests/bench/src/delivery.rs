//! What acknowledgement costs: queues on the disk, and the hop from host to host.

use crate::data;
use crate::host::{Bench, Served, show};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a queue on the disk is measured: longer than the page cache hides what the disk can't do.
const QUEUE_SECONDS: u64 = 60;
/// How long the other ones are measured.
const SECONDS: u64 = 15;
const LINE_BYTES: u64 = 200;

/// A peer that reads and forgets; counts the bytes.
struct Sink {
    address: String,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    fn open() -> Result<Sink, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?.to_string();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|connection| drain(connection, &counted))
        });
        Ok(Sink { address, bytes })
    }

    /// Millions of lines in each second of the next `seconds`: their median.
    fn rate(&self, seconds: u64) -> f64 {
        per_second(seconds, || self.bytes.load(Ordering::Relaxed) as f64 / LINE_BYTES as f64)
    }
}

fn drain(mut connection: TcpStream, counted: &AtomicU64) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(len @ 1..) = connection.read(&mut buffer) {
        counted.fetch_add(len as u64, Ordering::Relaxed);
    }
}

/// The median of how much `count` grows a second, in millions.
fn per_second(seconds: u64, count: impl Fn() -> f64) -> f64 {
    let mut rates = Vec::new();
    for _ in 0..seconds.max(1) {
        let (before, started) = (count(), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        rates.push((count() - before) / started.elapsed().as_secs_f64() / 1e6);
    }
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A directory on the disk, not in memory, for state that is to be durable.
struct OnDisk(PathBuf);

impl OnDisk {
    fn new(bench: &Bench) -> Result<OnDisk, String> {
        let path = bench.binaries.join(format!("bench-state-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(OnDisk(path))
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

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
    let seconds = (QUEUE_SECONDS * bench.scaled(100) / 100).max(5);
    for durability in ["disk", "fsync"] {
        let settings = format!("kind = \"disk\", durability = \"{durability}\"");
        let rate = queued(bench, &settings, seconds)?;
        show(&format!("generated -> queue on the disk, `{durability}`, {seconds} s -> TCP"), rate, "M/s", "");
    }
    Ok(())
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

/// Messages from an agent over the hop to a grater, and over TCP from there.
pub(crate) fn hop(bench: &Bench) -> Result<(), String> {
    let rate = bench.median(|| hopped(bench, "", ""))?;
    show("agent -> hop (lz4) -> grater -> TCP", rate, "M/s", "1");
    Ok(())
}

fn hopped(bench: &Bench, agent_options: &str, grater_options: &str) -> Result<f64, String> {
    let (sink, state) = (Sink::open()?, OnDisk::new(bench)?);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = port.map_err(|error| error.to_string())?;
    let grater = format!(
        "[inputs.agents]\nplugin = \"hop\"\naddress = \"{address}\"\n{grater_options}\n\
         [chains.default]\noutputs = [\"sink\"]\n\
         [outputs.sink]\nplugin = \"tcp\"\naddress = \"{}\"\nencoder = \"payload\"\n",
        sink.address
    );
    let agent = format!(
        "[inputs.made]\nplugin = \"generate\"\npayload_bytes = {}\n[chains.default]\noutputs = [\"grater\"]\n\
         [outputs.grater]\nplugin = \"hop\"\naddress = \"{address}\"\n{agent_options}\n",
        LINE_BYTES - 1
    );
    let grater: Served = bench.serve_in("grater", &grater, &state.0.join("grater"))?;
    let agent: Served = bench.serve_in("agent", &agent, &state.0.join("agent"))?;
    std::thread::sleep(Duration::from_secs(2));
    let rate = sink.rate(SECONDS.min(5));
    drop((agent, grater));
    Ok(rate)
}
