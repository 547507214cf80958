//! `heka-host queue`: status, check, cat, export and repair, of a queue in use, left behind, and damaged.

use heka_plugin_api::OwnedMessage;
use heka_queue::{DiskQueue, Entry, QueueOptions};
use heka_tests::{Directory, Ended, Host};
use std::fs;
use std::path::PathBuf;

/// Opens the queue `queue` in a directory.
fn open(directory: &Directory) -> DiskQueue {
    let options = QueueOptions { segment_bytes: 4096, ..QueueOptions::new(1 << 20) };
    DiskQueue::open(&directory.join("queue"), &options).unwrap().0
}

/// A queue with 40 messages, `number 1` to `number 40`, of which the first 3 are done.
fn filled(directory: &Directory) -> DiskQueue {
    let mut queue = open(directory);
    for number in 1..=40_i64 {
        let message = OwnedMessage::build(|message| {
            message
                .message_type(if number % 2 == 0 { "even" } else { "odd" })
                .timestamp(number * 1_000_000_000);
            message
                .payload(format!("number {number}"))
                .field("n", number)
                .field("filler", "x".repeat(200).as_str());
        });
        let sequence = queue.next_sequence();
        queue.append(&[Entry { source: 1, sequence, message: message.unwrap().view() }]).unwrap();
    }
    queue.acknowledge(4).unwrap();
    queue
}

fn run(directory: &Directory, arguments: &[&str]) -> Ended {
    Host::finish(directory, &[&["queue"], arguments].concat())
}

fn segments(directory: &Directory) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("queue")).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "segment")).collect();
    segments.sort();
    segments
}

fn damage(directory: &Directory) {
    let path = &segments(directory)[1];
    let mut bytes = fs::read(path).unwrap();
    bytes[1000] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn status_says_how_a_queue_stands_in_use_and_after() {
    let directory = Directory::new();
    let queue = filled(&directory);
    let ended = run(&directory, &["status", "queue"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let has =
        |shown: &str, line: &str| assert!(shown.lines().any(|shown| shown == line), "no `{line}` in {shown}");
    has(&ended.stdout, "messages    37");
    has(&ended.stdout, "numbers     4 to 40");
    has(&ended.stdout, "times       1970-01-01T00:00:04.000000000Z to 1970-01-01T00:00:40.000000000Z");
    has(&ended.stdout, &format!("in use      by process {}", std::process::id()));
    let json = run(&directory, &["status", "--json", "queue"]);
    let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(object["segments"], queue.segments());
    assert_eq!(object["bytes"], queue.bytes());
    assert_eq!((&object["done_below"], &object["version"]), (&4.into(), &1.into()));
    drop(queue);
    let ended = run(&directory, &["status", "queue"]);
    has(&ended.stdout, "in use      no");
    assert!(ended.stdout.contains("; closed properly\n"), "{}", ended.stdout);
}

#[test]
fn cat_prints_what_waits_as_text_json_and_counts() {
    let directory = Directory::new();
    let _queue = filled(&directory);
    let text = run(&directory, &["cat", "queue"]);
    assert_eq!(text.status, Some(0), "{}", text.stderr);
    assert!(
        text.stdout.contains("  | number 4\n") && !text.stdout.contains("  | number 3\n"),
        "{}",
        text.stdout
    );
    let json = run(&directory, &["cat", "--json", "--match", "Type == 'even' && Fields[n] > 30", "queue"]);
    let shown: Vec<i64> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(shown, [32, 34, 36, 38, 40]);
    let count = run(&directory, &["cat", "--count", "--match", "Type == 'odd'", "queue"]);
    assert_eq!(count.stdout, "processed 37, matched 18\n");
    let limited = run(&directory, &["cat", "--format", "payload", "--limit", "2", "queue"]);
    assert_eq!(limited.stdout, "number 4\nnumber 5\n");
    let all = run(&directory, &["cat", "--format", "payload", "--limit", "1", "--all", "queue"]);
    assert_eq!(all.stdout, "number 1\n", "what is done and still there");
}

#[test]
fn export_writes_frames_that_cat_reads() {
    let directory = Directory::new();
    let queue = filled(&directory);
    let ended = run(&directory, &["export", "queue", "-o", "waiting.heka"]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (Some(0), "37 messages in waiting.heka\n"),
        "{}",
        ended.stderr
    );
    let to_stdout = run(&directory, &["export", "queue"]);
    assert_eq!(to_stdout.stdout_bytes, fs::read(directory.join("waiting.heka")).unwrap());
    let read = Host::finish(&directory, &["cat", "--format", "payload", "waiting.heka"]);
    let expected: String = (4..=40).map(|number| format!("number {number}\n")).collect();
    assert_eq!((read.stdout, read.status), (expected, Some(0)), "{}", read.stderr);
    let again = run(&directory, &["export", "queue", "-o", "waiting.heka"]);
    assert_eq!(again.status, Some(1));
    assert_eq!(again.stderr, "heka-host: failed to create `waiting.heka`: file exists\n");
    assert_eq!(queue.messages(), 37, "the queue keeps them");
}

#[test]
fn check_finds_damage_and_repair_sets_it_aside() {
    let directory = Directory::new();
    drop(filled(&directory));
    let sound = run(&directory, &["check", "queue"]);
    assert_eq!(sound.status, Some(0), "{}", sound.stdout);
    assert!(sound.stdout.ends_with(" 40 sound messages; nothing is damaged\n"), "{}", sound.stdout);
    damage(&directory);
    let damaged = run(&directory, &["check", "queue"]);
    assert_eq!(damaged.status, Some(1));
    assert!(damaged.stdout.contains(".segment: damaged: "), "{}", damaged.stdout);
    assert!(damaged.stdout.ends_with(" 39 sound messages; 1 place is damaged\n"), "{}", damaged.stdout);
    let shown = run(&directory, &["cat", "--count", "queue"]);
    assert_eq!((shown.stdout.as_str(), shown.status), ("processed 36, matched 36\n", Some(1)));
    assert!(shown.stderr.starts_with("queue: 1 damaged place, "), "{}", shown.stderr);
    let repaired = run(&directory, &["repair", "queue"]);
    assert_eq!(repaired.status, Some(0), "{}", repaired.stderr);
    assert!(repaired.stdout.contains("36 messages wait"), "{}", repaired.stdout);
    assert!(repaired.stdout.contains("; 1 damaged place, "), "{}", repaired.stdout);
    assert_eq!(run(&directory, &["check", "queue"]).status, Some(0));
    assert!(run(&directory, &["status", "queue"]).stdout.contains("quarantine  1 piece, "));
    assert_eq!(open(&directory).messages(), 36);
}

#[test]
fn repair_leaves_a_queue_in_use_alone_and_says_whose_it_is() {
    let directory = Directory::new();
    let _queue = filled(&directory);
    let ended = run(&directory, &["repair", "queue"]);
    let pid = std::process::id();
    let text = format!(
        "heka-host: queue `queue`: in use by process {pid}; stop that one or name another directory\n"
    );
    assert_eq!((ended.status, ended.stderr), (Some(1), text));
}

#[test]
fn what_is_no_queue_is_said_to_be_none() {
    let directory = Directory::new();
    directory.write("other/file", "x");
    for command in ["status", "check", "cat", "export", "repair"] {
        let ended = run(&directory, &[command, "other"]);
        let text =
            "heka-host: queue `other`: not a queue's directory; it has neither identity nor segments\n";
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), text), "{command}");
        let ended = run(&directory, &[command, "nothing"]);
        let text = "heka-host: queue `nothing`: failed to open the directory: no such file or directory\n";
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), text), "{command}");
    }
    assert_eq!(fs::read_dir(directory.join("other")).unwrap().count(), 1);
}

#[test]
fn each_command_has_help_with_an_example() {
    let directory = Directory::new();
    for command in ["status", "check", "cat", "export", "repair"] {
        let ended = run(&directory, &[command, "--help"]);
        assert!(ended.stdout.contains(&format!("heka-host queue {command} ")), "{}", ended.stdout);
        assert!(ended.stdout.contains("Example:"), "{}", ended.stdout);
    }
}
