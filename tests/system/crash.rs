//! An agent and a grater that are killed again and again, in the middle of everything: nothing is lost, torn or doubled.
//!
//! The long form: `HEKA_KILLS=500 HEKA_LINES=20000000 cargo test --release -p heka-tests --test system crash -- --nocapture`,
//! after `cargo build --release --workspace`.

use heka_tests::{Directory, Host, wait_until};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Least time between two kills.
const KILL_INTERVAL: Duration = Duration::from_secs(1);
/// How long after the last kill everything must have arrived, for each million lines.
const ARRIVAL_PER_MILLION: Duration = Duration::from_secs(60);

const AGENT: &str = r#"
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

const GRATER: &str = r#"
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

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A daemon that is started again whenever it was killed.
struct Victim<'d> {
    directory: &'d Directory,
    config: &'static str,
    host: Option<Host>,
}

impl<'d> Victim<'d> {
    fn start(directory: &'d Directory, config: &'static str) -> Victim<'d> {
        Victim { directory, config, host: Some(Host::spawn(directory, &["run", config])) }
    }

    fn kill(&mut self) {
        if let Some(host) = self.host.take() {
            host.signal("KILL");
            let ended = host.wait();
            assert_eq!(ended.status, None, "it had ended by itself:\n{}", ended.stderr);
        }
        self.host = Some(Host::spawn(self.directory, &["run", self.config]));
    }

    fn stop(mut self) -> String {
        self.host.take().expect("it runs").stop().stderr
    }
}

/// Writes numbered lines of random length at an even pace; renames the file now and then.
fn write_lines(directory: &Directory, lines: u64, time: Duration) {
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
struct Arrived {
    lines: u64,
    lost: u64,
    torn: u64,
    twice: u64,
}

fn arrived(directory: &Directory, lines: u64) -> Arrived {
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

#[test]
fn nothing_is_lost_torn_or_doubled_over_kills_of_agent_and_grater() {
    let (kills, lines) = (from_environment("HEKA_KILLS", 50), from_environment("HEKA_LINES", 2_000_000));
    let directory = Directory::new();
    let free =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    directory.write("agent.toml", AGENT.replace("ADDRESS", &free));
    directory.write("grater.toml", GRATER.replace("ADDRESS", &free));
    directory.write("logs/first.log", "");
    let mut victims = [Victim::start(&directory, "grater.toml"), Victim::start(&directory, "agent.toml")];
    let duration = KILL_INTERVAL * u32::try_from(kills).expect("few kills") * 5 / 4;
    let random = |round: u64| round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    std::thread::scope(|threads| {
        threads.spawn(|| write_lines(&directory, lines, duration));
        for round in 0..kills {
            let pause = KILL_INTERVAL + Duration::from_millis(random(round) % 500);
            let until = Instant::now() + pause;
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
            victims[(random(round + 1_000_003) % 2) as usize].kill();
        }
    });
    let deadline = Instant::now() + ARRIVAL_PER_MILLION * (lines / 1_000_000 + 1) as u32;
    let mut size = (0, Instant::now());
    loop {
        // Counting everything costs; it is only worth while when nothing has come for a while.
        let now = directory.join("out/all.log").metadata().map_or(0, |file| file.len());
        if now != size.0 {
            size = (now, Instant::now());
        }
        if size.1.elapsed() > Duration::from_secs(3) && arrived(&directory, lines).lost == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", arrived(&directory, lines));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let [grater, agent] = victims;
    let shown = [agent.stop(), grater.stop()];
    let found = arrived(&directory, lines);
    println!("{kills} kills, {lines} lines: {found:?}");
    assert_eq!(found, Arrived { lines, ..Arrived::default() }, "agent:\n{}\ngrater:\n{}", shown[0], shown[1]);
    assert!(directory.read("out/refused.heka").is_empty(), "dead letters");
}

#[test]
fn a_grater_that_is_down_holds_nobody_up_and_gets_everything_later() {
    let directory = Directory::new();
    let free =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    // What is on the disk by then waits for the next run.
    let soon = AGENT.replace("[heka]", "[heka]\nshutdown_deadline = \"2 s\"");
    directory.write("agent.toml", soon.replace("ADDRESS", &free));
    directory.write("grater.toml", GRATER.replace("ADDRESS", &free));
    directory.write("logs/first.log", "");
    let agent = Host::spawn(&directory, &["run", "agent.toml"]);
    write_lines(&directory, 200_000, Duration::from_millis(500));
    wait_until("everything is acknowledged into the agent's queue", || {
        agent.count("output to_grater", "of these on the disk") > 50_000
    });
    let ended = agent.stop();
    assert_eq!(ended.status, Some(3), "the rest waits on the disk: {}", ended.stderr);
    let grater = Host::spawn(&directory, &["run", "grater.toml"]);
    let agent = Host::spawn(&directory, &["run", "agent.toml"]);
    wait_until("everything has arrived", || arrived(&directory, 200_000).lost == 0);
    let shown = [agent.stop().stderr, grater.stop().stderr];
    let found = arrived(&directory, 200_000);
    assert_eq!(found, Arrived { lines: 200_000, ..Arrived::default() }, "{}\n{}", shown[0], shown[1]);
}
