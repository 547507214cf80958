//! The process dies at every named step of a durable operation, and once more at the same step while it recovers:
//! nothing is lost, torn or doubled.

use crate::ledger::{AGENT, GRATER, free_address};
use heka_tests::{Directory, Host, repository, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const LINES: usize = 4_000;
/// How long after the last line has arrived a process may still come to a point.
const SETTLED: Duration = Duration::from_millis(700);
/// Scenarios at a time.
const THREADS: usize = 4;

/// Steps that only damage, failed syncs, full disks or rotation lead to: tests of the plugin and the queue lead there.
const NOT_REACHED: [&str; 12] = [
    "file.output.closed",
    "file.output.cut",
    "file.output.rotated",
    "queue.drop.begun",
    "queue.quarantine.copied",
    "queue.quarantine.moved",
    "queue.quarantine.voided",
    "queue.recovery.removed",
    "queue.recovery.truncated",
    "queue.renew.renamed",
    "queue.renew.truncated",
    "queue.renew.written",
];

/// Queues so small that everything goes to the disk, and segments roll.
fn configs(address: &str) -> [String; 2] {
    let spill = &AGENT[AGENT.find("[outputs.to_grater.queue]").expect("a queue")..];
    let spill = &spill[..spill.find("[outputs.refused]").expect("another output")];
    let disk = "[outputs.to_grater.queue]\nkind = \"disk\"\nmax_bytes = \"2 MiB\"\n\n";
    let agent = AGENT.replace(spill, disk);
    let grater = GRATER.replace("kind = \"disk\"", "kind = \"disk\", max_bytes = \"2 MiB\"");
    [agent, grater].map(|config| config.replace("ADDRESS", address))
}

/// All names in the sources.
fn points() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["heka-queue/src", "plugins/file/src", "plugins/hop/src"] {
        collect(&repository().join(folder), &mut found);
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), found);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            let names = text.split("fault_point(\"").skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

/// Lets both processes die at `point`, then once more while they recover; tells whether one did.
fn dies_at(point: &str, count: u32) -> bool {
    let directory = Directory::new();
    let free = free_address();
    let [agent, grater] = configs(&free);
    directory.write("agent.toml", agent);
    directory.write("grater.toml", grater);
    let line = |number: usize| format!("{number:06} {}\n", "x".repeat(number * 37 % 600));
    let half = |from: usize, to: usize| (from..to).map(line).collect::<String>();
    directory.write("logs/app.log", half(0, LINES / 2));
    let configs = ["grater.toml", "agent.toml"];
    let mut died = false;
    for attempt in [format!("{point}:{count}"), point.to_owned()] {
        let mut hosts = configs.map(|config| Some(Host::spawn_dying(&directory, &["run", config], &attempt)));
        let (mut ended, mut arrived) = (false, None::<Instant>);
        wait_until("one dies, or everything has arrived", || {
            for host in &mut hosts {
                ended |= host.as_mut().is_some_and(Host::has_ended);
            }
            if directory.lines("out/all.log").len() >= LINES / 2 {
                // What follows an acknowledgement is not seen from here.
                arrived.get_or_insert_with(Instant::now);
            }
            ended || arrived.is_some_and(|arrived| arrived.elapsed() > SETTLED)
        });
        died |= ended;
    }
    let hosts = configs.map(|config| Host::spawn(&directory, &["run", config]));
    directory.append("logs/app.log", &half(LINES / 2, LINES));
    wait_until(&format!("everything has arrived after {point}"), || {
        directory.lines("out/all.log").len() >= LINES
    });
    let ended = hosts.map(Host::stop);
    let expected: Vec<String> =
        (0..LINES).map(|number| line(number).trim_end_matches('\n').to_owned()).collect();
    let lines = directory.lines("out/all.log");
    let first = lines.iter().zip(&expected).position(|(line, expected)| line != expected);
    let numbers: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let jumps: Vec<String> = numbers
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] >= pair[1])
        .map(|(at, pair)| format!("{at}: {} {}", pair[0], pair[1]))
        .collect();
    let shown = || {
        format!(
            "{point}: {} lines, first wrong one {first:?}, out of order {jumps:?}\n{}\n{}",
            lines.len(),
            ended[0].stderr,
            ended[1].stderr
        )
    };
    assert!(lines == expected, "{}", shown());
    died
}

#[test]
fn a_death_at_any_step_loses_tears_and_doubles_nothing() {
    // To look at one of them: HEKA_POINT=queue.roll.created
    let wanted = std::env::var("HEKA_POINT").ok();
    let is_wanted = |point: &String| wanted.as_ref().is_none_or(|wanted| wanted == point);
    let waiting = Mutex::new(points().into_iter().filter(is_wanted).collect::<Vec<_>>());
    let unreached = Mutex::new(BTreeSet::new());
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let Some(point) = waiting.lock().expect("no panic").pop() else { break };
                    let reached = [1, 3].map(|count| dies_at(&point, count));
                    if !reached.contains(&true) {
                        unreached.lock().expect("no panic").insert(point);
                    }
                }
            });
        }
    });
    let unreached = unreached.into_inner().expect("no panic");
    let expected: BTreeSet<String> = NOT_REACHED.map(str::to_owned).into();
    let surprising: Vec<_> = unreached.difference(&expected).collect();
    assert!(surprising.is_empty(), "points that no process came to: {surprising:?}");
}
