//! An agent and a grater that are killed again and again, in the middle of everything: nothing is lost, torn or doubled.
//!
//! The long form: `HEKA_KILLS=500 HEKA_LINES=20000000 cargo test --release -p heka-tests --test system crash -- --nocapture`,
//! after `cargo build --release --workspace`.

use crate::ledger::{AGENT, Arrived, GRATER, arrived, free_address, write_lines};
use heka_tests::{Directory, Host, wait_until};
use std::time::{Duration, Instant};

/// Least time between two kills.
const KILL_INTERVAL: Duration = Duration::from_secs(1);
/// How long after the last kill everything must have arrived, for each million lines.
const ARRIVAL_PER_MILLION: Duration = Duration::from_secs(60);

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

#[test]
fn nothing_is_lost_torn_or_doubled_over_kills_of_agent_and_grater() {
    let (kills, lines) = (from_environment("HEKA_KILLS", 50), from_environment("HEKA_LINES", 2_000_000));
    let directory = Directory::new();
    let free = free_address();
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
    let free = free_address();
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
