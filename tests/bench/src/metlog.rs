//! Messages of Metlog clients over UDP: how many a second are decoded without loss.

use crate::datagram_load::DatagramLoad;
use crate::host::{Bench, median, show};
use crate::network::address;
use std::fs;
use std::time::Duration;

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

pub(crate) fn metlog(bench: &Bench) -> Result<(), String> {
    let load = DatagramLoad::new(&(0..10_000).map(counter).collect::<Vec<_>>())?;
    let (mut rates, mut costs, mut rate) = (Vec::new(), Vec::new(), RATE);
    while rates.len() < bench.runs() {
        let run = take(bench, &load, rate)?;
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
    show("metlog JSON over UDP -> file, nothing lost", median(rates) / 1e6, "M/s", "0.3");
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

fn take(bench: &Bench, load: &DatagramLoad, rate: f64) -> Result<Run, String> {
    let config = "[inputs.clients]\nplugin = \"udp\"\naddress = \"127.0.0.1:0\"\ndecoder = \"json\"\n\
                  [chains.counters]\nmatcher = 'Type == \"counter\" && Fields[rate] == 1 && Pid == 25221'\noutputs = [\"all\"]\n\
                  [outputs.all]\nplugin = \"file\"\npath = \"out/all\"\nencoder = \"payload\"\n";
    let mut served = bench.serve("metlog", config)?;
    let address = address(bench, "inputs/clients")?;
    let before = served.processor_seconds();
    let (sent, seconds) = load.send(&address, rate, bench.scaled(MESSAGES))?;
    // What waits in the socket is read before the daemon ends; it must not be asked while packets are under way.
    std::thread::sleep(Duration::from_millis(200));
    let used = served.processor_seconds() - before;
    served.stop();
    // Each payload is a digit and a newline.
    let received = fs::metadata(bench.work.join("out/all")).map_err(|error| error.to_string())?.len() / 2;
    if std::env::var_os("HEKA_BENCH_VERBOSE").is_some() {
        eprintln!("metlog: {:.3} M/s sent, {} of {sent} lost", sent as f64 / seconds / 1e6, sent - received);
    }
    Ok(Run { rate: sent as f64 / seconds, lost: sent - received, cost: used / received.max(1) as f64 * 1e6 })
}
