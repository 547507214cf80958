//! An agent and a grater as the tests of faults run them, and the ledger of the lines that went in.

use heka_tests::Directory;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// The agent; `ADDRESS` is the grater's.
pub(crate) const AGENT: &str = r#"
[heka]
state_dir = "agent-state"

[inputs.logs]
plugin = "file"
paths = ["logs/*.log"]
from = "beginning"

[chains.default]
outputs = ["to_grater"]

[outputs.to_grater]
plugin = "hop"
address = "ADDRESS"
dead_letter = "refused"

[outputs.to_grater.queue]
kind = "spill"
max_bytes = "1 GiB"
when_full = "block"
durability = "disk"

[outputs.refused]
plugin = "file"
path = "out/refused.heka"
encoder = "heka"
"#;

/// The grater.
pub(crate) const GRATER: &str = r#"
[heka]
state_dir = "grater-state"

[inputs.from_agents]
plugin = "hop"
address = "ADDRESS"

[chains.default]
outputs = ["all"]

[outputs.all]
plugin = "file"
path = "out/all.log"
encoder = "payload"
queue = { kind = "disk", durability = "fsync" }
"#;

/// An address that nobody listens at.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string()
}

/// Writes numbered lines of random length at an even pace; renames the file now and then.
pub(crate) fn write_lines(directory: &Directory, lines: u64, time: Duration) {
    let path = |generation: u64| directory.join(format!("logs/app-{generation}.log"));
    let started = Instant::now();
    let (mut file, mut generation, mut block) = (File::create(path(0)).expect("a log"), 0, Vec::new());
    let mut written = 0;
    while written < lines {
        let due =
            (lines as u128 * started.elapsed().as_nanos() / time.as_nanos().max(1)).min(lines.into()) as u64;
        while written < due {
            let length = (written * 7919 % 400) as usize;
            writeln!(block, "{written:010} {length:03} {}", "x".repeat(length)).expect("memory");
            written += 1;
            if block.len() > 1 << 16 {
                file.write_all(&block).expect("a log");
                block.clear();
            }
            if written % (lines / 10).max(1) == 0 {
                file.write_all(&block).expect("a log");
                block.clear();
                generation += 1;
                file = File::create(path(generation)).expect("a log");
            }
        }
        file.write_all(&block).expect("a log");
        block.clear();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// What has arrived.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) lines: u64,
    pub(crate) lost: u64,
    pub(crate) torn: u64,
    pub(crate) twice: u64,
}

pub(crate) fn arrived(directory: &Directory, lines: u64) -> Arrived {
    let mut seen = vec![false; lines as usize];
    let mut found = Arrived::default();
    let Ok(file) = File::open(directory.join("out/all.log")) else { return Arrived { lost: lines, ..found } };
    for line in BufReader::with_capacity(1 << 20, file).split(b'\n') {
        let line = line.expect("a readable file");
        found.lines += 1;
        match number(&line) {
            Some(number) if seen.get(number as usize) == Some(&false) => seen[number as usize] = true,
            Some(number) if number < lines => found.twice += 1,
            _ => found.torn += 1,
        }
    }
    found.lost = seen.iter().filter(|seen| !**seen).count() as u64;
    found
}

/// The number of a whole line.
fn number(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let (number, rest) = text.split_once(' ')?;
    let (length, filling) = rest.split_once(' ')?;
    let is_whole = filling.len() == length.parse::<usize>().ok()? && filling.bytes().all(|byte| byte == b'x');
    is_whole.then(|| number.parse().ok()).flatten()
}
