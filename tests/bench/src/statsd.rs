//! Metrics over UDP, added up: how many a second without loss, beside npm's `statsd`.

use crate::datagram_load::DatagramLoad;
use crate::host::{Bench, Served, median, show};
use crate::network::address;
use heka_tests::install_npm;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NAMES: usize = 10_000;
/// Lines of 22 bytes: 1,386 bytes in all.
const LINES_PER_PACKET: usize = 63;
/// How long each rate is tried.
const SECONDS: f64 = 3.0;
/// The share that may be lost.
const LOSS_MAX: f64 = 0.001;
/// Each rate that is too high is followed by one that is so much lower.
const STEP: f64 = 0.93;

/// Packets of so many metrics each.
struct Packets {
    load: DatagramLoad,
    metrics_per_packet: u64,
}

impl Packets {
    /// Makes packets of all `lines` in turn, which have one length.
    fn new(lines: &[String], lines_per_packet: usize) -> Result<Packets, String> {
        let packets: Vec<Vec<u8>> =
            lines.chunks_exact(lines_per_packet).map(|lines| lines.concat().into_bytes()).collect();
        Ok(Packets { load: DatagramLoad::new(&packets)?, metrics_per_packet: lines_per_packet as u64 })
    }

    /// Sends for a while at `rate` metrics a second; returns how many metrics were sent, and the seconds.
    fn send(&self, address: &str, rate: f64) -> Result<(u64, f64), String> {
        let rate = rate / self.metrics_per_packet as f64;
        let (sent, seconds) = self.load.send(address, rate, (rate * SECONDS) as u64)?;
        Ok((sent * self.metrics_per_packet, seconds))
    }
}

/// What one run gave.
struct Run {
    /// Metrics a second that were sent.
    rate: f64,
    lost: f64,
    /// Processor time of one metric, in µs.
    cost: f64,
}

/// A statsd under test: starts anew, takes the packets, tells the sum of all.
trait Server {
    /// Sends at a rate; returns what came of it.
    fn run(&self, packets: &Packets, rate: f64) -> Result<Run, String>;
}

pub(crate) fn statsd(bench: &Bench) -> Result<(), String> {
    let counters = lines(|number| format!("bench.stat.n{number:05}:1|c\n"));
    let timers = lines(|number| format!("bench.tim.n{number:05}:{}|ms\n", number % 9 + 1));
    let (many, one) = (Packets::new(&counters, LINES_PER_PACKET)?, Packets::new(&counters, 1)?);
    let heka = Heka { bench };
    measure(bench, "statsd counters, 10,000 names, 63 in a packet", &heka, &many, 20e6, ("7", "under 0.13"))?;
    measure(bench, "statsd counters, one in a packet", &heka, &one, 8e6, ("0.6", "under 1"))?;
    let timers = Packets::new(&timers, LINES_PER_PACKET - 1)?;
    measure(
        bench,
        "statsd timers with percentiles, 62 in a packet",
        &heka,
        &timers,
        12e6,
        ("2.5", "under 0.4"),
    )?;
    match install_npm(&["statsd@0.9.0"]) {
        Ok(directory) => {
            let npm = Npm { bench, directory: &directory };
            measure(bench, "  npm statsd 0.9.0, counters, 63 in a packet", &npm, &many, 0.4e6, ("", ""))?;
            measure(bench, "  npm statsd 0.9.0, one in a packet", &npm, &one, 0.03e6, ("", ""))
        }
        Err(why) => {
            eprintln!("skipped: npm statsd: {why}");
            Ok(())
        }
    }
}

fn lines(line: impl Fn(usize) -> String) -> Vec<String> {
    // Enough of them that sends of any length begin at all places.
    (0..NAMES * 48).map(|number| line(number % NAMES)).collect()
}

/// Looks for the highest rate that loses next to nothing, a few times.
fn measure(
    bench: &Bench,
    what: &str,
    server: &impl Server,
    packets: &Packets,
    from: f64,
    (aim, cost_aim): (&str, &str),
) -> Result<(), String> {
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    let mut rate = from;
    for _ in 0..bench.runs() {
        let run = loop {
            let run = server.run(packets, rate)?;
            if run.lost <= LOSS_MAX {
                break run;
            }
            // What got through says where to go on.
            let through = run.rate * (1.0 - run.lost);
            rate = (rate.min(run.rate) * STEP).min(through);
        };
        rates.push(run.rate);
        costs.push(run.cost);
        // The next run may do better.
        rate = run.rate * 1.1;
    }
    show(what, median(rates) / 1e6, "M/s", aim);
    show("  processor time of one", median(costs), "µs", cost_aim);
    Ok(())
}

/// This project's.
struct Heka<'a> {
    bench: &'a Bench,
}

impl Server for Heka<'_> {
    fn run(&self, packets: &Packets, rate: f64) -> Result<Run, String> {
        let config = "[inputs.stats]\nplugin = \"statsd\"\naddress = \"127.0.0.1:0\"\nflush_interval = \"1 s\"\n\
                      [chains.default]\noutputs = [\"all\"]\n\
                      [outputs.all]\nplugin = \"file\"\npath = \"out/stats\"\nencoder = \"payload\"\n";
        let mut served = self.bench.serve("statsd", config)?;
        let address = address(self.bench, "inputs/stats")?;
        let before = served.processor_seconds();
        let (sent, seconds) = packets.send(&address, rate)?;
        let used = settled(&served) - before;
        served.stop();
        let text =
            fs::read_to_string(self.bench.work.join("out/stats")).map_err(|error| error.to_string())?;
        let sums = text.lines().filter(|line| line.contains(".count "));
        let received: f64 = sums.filter_map(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).sum();
        if received > sent as f64 {
            return Err(format!("{received} metrics were told of {sent} that were sent"));
        }
        Ok(Run {
            rate: sent as f64 / seconds,
            lost: 1.0 - received / sent as f64,
            cost: used / received * 1e6,
        })
    }
}

/// Processor time once nothing waits any more.
fn settled(served: &Served) -> f64 {
    std::thread::sleep(Duration::from_millis(200));
    served.processor_seconds()
}

/// The one from npm.
struct Npm<'a> {
    bench: &'a Bench,
    directory: &'a Path,
}

/// Appends the sum of all counters at each flush.
const BACKEND: &str = "exports.init = (start, config, events) => { events.on('flush', (time, metrics) => { \
    let sum = 0; for (const name in metrics.counters) if (name.startsWith('bench.')) sum += metrics.counters[name]; \
    require('fs').appendFileSync(config.sums, sum + '\\n'); }); return true; };";

impl Server for Npm<'_> {
    fn run(&self, packets: &Packets, rate: f64) -> Result<Run, String> {
        let io = |error: std::io::Error| error.to_string();
        let [backend, config, sums] = ["sum.js", "npm.js", "sums"].map(|name| self.bench.work.join(name));
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(io)?.port();
        let management =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(io)?.port();
        let _ = fs::remove_file(&sums);
        fs::write(&backend, BACKEND).map_err(io)?;
        let options = format!(
            "{{ port: {free}, mgmt_port: {management}, flushInterval: 1000, backends: ['{}'], sums: '{}' }}",
            backend.display(),
            sums.display()
        );
        fs::write(&config, options).map_err(io)?;
        let mut command = Command::new("node");
        command.arg(self.directory.join("node_modules/statsd/stats.js")).arg(&config);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut served = Served { child: command.spawn().map_err(io)? };
        wait_for_lines(&sums, 1, &mut served.child)?;
        let before = served.processor_seconds();
        let (sent, seconds) = packets.send(&format!("127.0.0.1:{free}"), rate)?;
        let used = settled(&served) - before;
        let told = fs::read_to_string(&sums).map_err(io)?.lines().count();
        wait_for_lines(&sums, told + 2, &mut served.child)?;
        served.stop();
        let text = fs::read_to_string(&sums).map_err(io)?;
        let received: f64 = text.lines().filter_map(|line| line.parse::<f64>().ok()).sum();
        Ok(Run {
            rate: sent as f64 / seconds,
            lost: 1.0 - received / sent as f64,
            cost: used / received * 1e6,
        })
    }
}

fn wait_for_lines(path: &Path, count: usize, child: &mut Child) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if fs::read_to_string(path).unwrap_or_default().lines().count() >= count {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("npm statsd ended with {status}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("npm statsd tells nothing".to_owned())
}
