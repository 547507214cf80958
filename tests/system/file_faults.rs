//! The output `file` dies at each of its steps: no record is torn, none lost, and from a durable queue none comes twice.

use heka_tests::{Directory, Host, wait_until};
use std::collections::BTreeMap;
use std::fs;

const LINES: usize = 6_000;
const QUEUES: [&str; 3] = [
    "{ kind = \"memory\" }",
    "{ kind = \"disk\", max_bytes = \"2 MiB\" }",
    "{ kind = \"disk\", max_bytes = \"2 MiB\", durability = \"fsync\" }",
];

fn config(queue: &str, output: &str) -> String {
    format!(
        "[heka]\nbatch_messages_max = 64\n[inputs.logs]\nplugin = \"file\"\npaths = [\"logs/*.log\"]\nfrom = \"beginning\"\n\
         [chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"file\"\nencoder = \"payload\"\nqueue = {queue}\n{output}\n"
    )
}

fn line(number: usize) -> String {
    format!("{number:06} {}", "x".repeat(number * 37 % 300))
}

/// Lines of all files in `out`, with how often each came.
fn received(directory: &Directory) -> BTreeMap<String, usize> {
    let mut received = BTreeMap::new();
    for entry in fs::read_dir(directory.join("out")).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        text.lines().for_each(|line| *received.entry(line.to_owned()).or_default() += 1);
    }
    received
}

/// Lets the daemon die at these points, one after another, and then go on to the end.
fn check(queue: &str, output: &str, points: &[&str]) {
    let directory = Directory::new();
    let text = |from: usize, to: usize| (from..to).map(|number| line(number) + "\n").collect::<String>();
    // Two streams, for two paths.
    directory.write("logs/a.log", text(0, LINES / 2));
    directory.write("logs/b.log", text(LINES / 2, LINES));
    directory.write("heka.toml", config(queue, output));
    for point in points {
        let mut host = Host::spawn_dying(&directory, &["run", "heka.toml"], point);
        wait_until(&format!("it dies at {point} with {queue}"), || host.has_ended());
    }
    let host = Host::run(&directory, &config(queue, output));
    wait_until(&format!("all lines arrive after {points:?} with {queue}"), || {
        received(&directory).len() >= LINES
    });
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let received = received(&directory);
    for number in 0..LINES {
        let times = received.get(&line(number)).copied().unwrap_or(0);
        let is_right = times == 1 || times > 1 && queue.contains("memory");
        assert!(
            is_right,
            "{} came {times} times after {points:?} with {queue}: {}",
            line(number),
            ended.stderr
        );
    }
    assert_eq!(received.len(), LINES, "torn lines after {points:?} with {queue}: {}", ended.stderr);
}

const ONE: &str = "path = \"out/all\"";
const TWO: &str = "path = \"out/{logger}\"";
const ROTATED: &str = "path = \"out/all\"\nrotate_bytes = \"50 KiB\"";

#[test]
fn a_death_at_a_write_tears_and_doubles_nothing() {
    for queue in QUEUES {
        for output in [ONE, TWO] {
            check(queue, output, &["file.output.opened"]);
            for point in ["file.output.written", "file.output.committed"] {
                check(queue, output, &[&format!("{point}:1"), &format!("{point}:7"), point]);
            }
        }
    }
}

#[test]
fn a_death_while_it_takes_back_what_a_death_tore() {
    for queue in QUEUES {
        check(
            queue,
            ONE,
            &["file.output.written:5", "file.output.cut", "file.output.opened", "file.output.written:2"],
        );
    }
}

#[test]
fn a_death_around_a_rotation() {
    for queue in QUEUES {
        check(
            queue,
            ROTATED,
            &[
                "file.output.closed:3",
                "file.output.rotated:2",
                "file.output.rotated",
                "file.output.written:4",
            ],
        );
    }
}

#[test]
fn a_death_around_a_sync() {
    for output in [ONE, TWO, ROTATED] {
        for point in ["file.output.synced", "file.output.commits_synced"] {
            check(QUEUES[2], output, &[point, &format!("{point}:2")]);
        }
    }
}

#[test]
fn a_death_while_positions_are_saved() {
    for queue in QUEUES {
        for step in ["written", "synced", "linked", "renamed"] {
            let point = format!("file.positions.{step}");
            check(queue, ONE, &[&point, &point]);
        }
    }
}
