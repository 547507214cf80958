//! What comes in over TCP.

use crate::host::{Bench, Served, show};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MESSAGES: u64 = 6_000_000;
const LATENCY_MESSAGES: usize = 200;

pub(crate) fn tcp(bench: &Bench) -> Result<(), String> {
    let heka = "splitter = \"heka\"\ndecoder = \"heka\"";
    let chain = "matcher = 'Type == \"x\" && Fields[status] >= 500'";
    let rate = bench.median(|| flood(bench, heka, chain, &["--format", "heka", "--type", "x"]))?;
    show("heka frames over TCP -> matcher -> file", rate, "M/s", "3");
    for connections in ["1", "8"] {
        let flooded =
            || flood(bench, "", "matcher = 'TRUE'", &["--format", "lines", "--connections", connections]);
        show(
            &format!("lines over TCP, {connections} connections -> file"),
            bench.median(flooded)?,
            "M/s",
            "3",
        );
    }
    Ok(())
}

/// Floods the daemon; returns millions of messages a second until it has read them all.
fn flood(bench: &Bench, input: &str, chain: &str, flags: &[&str]) -> Result<f64, String> {
    let config = format!(
        "[inputs.net]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n{input}\n[chains.some]\n{chain}\noutputs = [\"all\"]\n\
         [outputs.all]\nplugin = \"file\"\npath = \"out/all.log\"\nencoder = \"payload\"\n"
    );
    let mut served = bench.serve("tcp", &config)?;
    let address = address(bench, "inputs/net")?;
    let count = bench.scaled(MESSAGES);
    let started = Instant::now();
    let status = Command::new(bench.binaries.join("heka-host"))
        .args(["flood", &address, "--count", &count.to_string(), "--bytes", "200"])
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("flood ended with {status}"));
    }
    // The daemon delivers what it has read before it ends.
    served.stop();
    Ok(count as f64 / started.elapsed().as_secs_f64() / 1e6)
}

/// Where an input listens; it writes that down.
pub(crate) fn address(bench: &Bench, instance: &str) -> Result<String, String> {
    let path = bench.work.join("state").join(instance).join("address");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        match fs::read_to_string(&path) {
            Ok(address) if !address.trim().is_empty() => return Ok(address.trim().to_owned()),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Err(format!("the daemon does not listen: no `{}`", path.display()))
}

pub(crate) fn latency(bench: &Bench) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let target = listener.local_addr().map_err(|error| error.to_string())?;
    let config = format!(
        "[inputs.net]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n[chains.default]\noutputs = [\"back\"]\n\
         [outputs.back]\nplugin = \"tcp\"\naddress = \"{target}\"\nencoder = \"payload\"\n"
    );
    let served: Served = bench.serve("latency", &config)?;
    let mut there = TcpStream::connect(address(bench, "inputs/net")?).map_err(|error| error.to_string())?;
    there.set_nodelay(true).map_err(|error| error.to_string())?;
    there.write_all(b"first\n").map_err(|error| error.to_string())?;
    let (mut back, _) = listener.accept().map_err(|error| error.to_string())?;
    let mut buffer = [0; 64];
    let _ = back.read(&mut buffer).map_err(|error| error.to_string())?;
    let mut times = Vec::new();
    for _ in 0..LATENCY_MESSAGES {
        std::thread::sleep(Duration::from_millis(20));
        let started = Instant::now();
        there.write_all(b"a message\n").map_err(|error| error.to_string())?;
        let _ = back.read(&mut buffer).map_err(|error| error.to_string())?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    drop(served);
    times.sort_by(f64::total_cmp);
    show("one message through an idle pipeline, TCP to TCP", times[times.len() / 2], "ms", "under 2");
    Ok(())
}
