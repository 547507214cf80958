//! Datagrams: how many a second are taken without loss, plain lines and messages of Metlog clients.

use crate::datagram_load::DatagramLoad;
use crate::host::{Bench, median, show};
use crate::network::address;
use std::fs;
use std::time::Duration;

/// Length of plain lines, with the newline that the output adds.
const LINE_BYTES: usize = 200;
/// Messages of one run.
const MESSAGES: u64 = 2_000_000;
/// Where the search begins, in messages a second.
const RATE: f64 = 1_500_000.0;
/// A rate that loses something is followed by one that is so much lower.
const STEP: f64 = 0.9;
/// Below this rate nothing is measured any more.
const RATE_LEAST: f64 = 10_000.0;

/// What one run gave.
struct Run {
    /// Messages a second.
    rate: f64,
    lost: u64,
    /// Processor time of one message, in µs.
    cost: f64,
}

/// What is sent, and what becomes of it.
struct Work {
    load: DatagramLoad,
    config: &'static str,
    /// Bytes that each message makes in `out/all`.
    bytes: u64,
}

/// Metlog's JSON, decoded and looked at by a matcher.
pub(crate) fn metlog(bench: &Bench) -> Result<(), String> {
    let config = "[inputs.clients]\nplugin = \"udp\"\naddress = \"127.0.0.1:0\"\ndecoder = \"json\"\n\
                  [chains.counters]\nmatcher = 'Type == \"counter\" && Fields[rate] == 1 && Pid == 25221'\noutputs = [\"all\"]\n\
                  [outputs.all]\nplugin = \"file\"\npath = \"out/all\"\nencoder = \"payload\"\n";
    let load = DatagramLoad::new(&(0..10_000).map(counter).collect::<Vec<_>>())?;
    // Each payload is a digit and a newline.
    measure(bench, "metlog JSON over UDP -> file, nothing lost", &Work { load, config, bytes: 2 }, "0.3")
}

/// Lines of 200 bytes, as they are.
pub(crate) fn udp(bench: &Bench) -> Result<(), String> {
    let config = "[inputs.clients]\nplugin = \"udp\"\naddress = \"127.0.0.1:0\"\n\
                  [chains.default]\noutputs = [\"all\"]\n\
                  [outputs.all]\nplugin = \"file\"\npath = \"out/all\"\nencoder = \"payload\"\n";
    let line = |number| format!("{number:0>width$}", width = LINE_BYTES - 1).into_bytes();
    let load = DatagramLoad::new(&(0..10_000).map(line).collect::<Vec<_>>())?;
    let work = Work { load, config, bytes: LINE_BYTES as u64 };
    measure(bench, "lines of 200 bytes over UDP -> file, nothing lost", &work, "0.6")
}

/// Looks for the highest rate at which nothing is lost.
fn measure(bench: &Bench, what: &str, work: &Work, aim: &str) -> Result<(), String> {
    let (mut rates, mut costs, mut rate) = (Vec::new(), Vec::new(), RATE);
    while rates.len() < bench.runs() {
        let run = take(bench, work, rate)?;
        if run.lost == 0 {
            rates.push(run.rate);
            costs.push(run.cost);
            // The next run may do better.
            rate = run.rate * 1.1;
        } else if rate < RATE_LEAST {
            return Err(format!("{} messages are lost even at {rate:.0} a second", run.lost));
        } else {
            rate = rate.min(run.rate) * STEP;
        }
    }
    show(what, median(rates) / 1e6, "M/s", aim);
    show("  processor time of one", median(costs), "µs", "");
    Ok(())
}

/// What metlog-py sends for a counter.
fn counter(number: usize) -> Vec<u8> {
    format!(
        "{{\"severity\": 6, \"timestamp\": \"2012-11-22T09:26:37.{:06}Z\", \"metlog_hostname\": \"web1.example\", \
         \"fields\": {{\"rate\": 1.0, \"name\": \"hits.{number:06}\"}}, \"metlog_pid\": 25221, \"logger\": \"myapp\", \
         \"type\": \"counter\", \"payload\": \"3\", \"env_version\": \"0.8\"}}",
        number * 97 % 1_000_000
    )
    .into_bytes()
}

fn take(bench: &Bench, work: &Work, rate: f64) -> Result<Run, String> {
    let mut served = bench.serve("datagrams", work.config)?;
    let address = address(bench, "inputs/clients")?;
    let before = served.processor_seconds();
    let (sent, seconds) = work.load.send(&address, rate, bench.scaled(MESSAGES))?;
    // What waits in the socket is read before the daemon ends; it must not be asked while packets are under way.
    std::thread::sleep(Duration::from_millis(200));
    let used = served.processor_seconds() - before;
    served.stop();
    let written = fs::metadata(bench.work.join("out/all")).map_err(|error| error.to_string())?.len();
    let received = written / work.bytes;
    if std::env::var_os("HEKA_BENCH_VERBOSE").is_some() {
        eprintln!("{:.3} M/s sent, {} of {sent} lost", sent as f64 / seconds / 1e6, sent - received);
    }
    Ok(Run { rate: sent as f64 / seconds, lost: sent - received, cost: used / received.max(1) as f64 * 1e6 })
}
