//! The process dies at each fault point, and again while it takes up what it left: nothing is lost, nothing comes twice.

use heka_plugin_api::testing::message;
use heka_plugin_api::{Message, OwnedMessage};
use heka_queue::{Block, DiskQueue, Entry, QueueOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Names the directory in which this program, started again, lives a queue's life.
const DIRECTORY: &str = "HEKA_QUEUE_TEST_DIRECTORY";
/// Batches that are appended, of 10 messages each.
const BATCHES: u64 = 40;

const POINTS: [&str; 17] = [
    "queue.append.begun",
    "queue.append.written",
    "queue.roll.created",
    "queue.snapshot.written",
    "queue.roll.done",
    "queue.sync.begun",
    "queue.sync.synced",
    "queue.sync.named",
    "queue.position.created",
    "queue.position.begun",
    "queue.position.written",
    "queue.position.synced",
    "queue.reserve.written",
    "queue.delete.begun",
    "queue.delete.removed",
    "queue.identity.written",
    "queue.identity.renamed",
];

const RECOVERY_POINTS: [&str; 6] = [
    "queue.recovery.verified",
    "queue.recovery.truncated",
    "queue.recovery.removed",
    "queue.quarantine.copied",
    "queue.quarantine.voided",
    "queue.recovery.done",
];

fn options() -> QueueOptions {
    QueueOptions { segment_bytes: 8192, ..QueueOptions::new(1 << 20) }
}

/// A producer that gives everything again after a crash, and a consumer that takes a part.
fn live(directory: &Path) {
    let mut queue = DiskQueue::open(directory, &options()).unwrap().0;
    let delivered = directory.with_extension("delivered");
    let mut block = Block::new();
    for batch in 0..BATCHES {
        let messages: Vec<OwnedMessage> = (batch * 10..batch * 10 + 10).map(numbered).collect();
        let first = queue.next_sequence();
        let records: Vec<Record> =
            messages.iter().zip(batch * 10..).map(|(message, at)| Record::new(message, at)).collect();
        let entries = records.iter().zip(first..);
        let entries: Vec<Entry<'_>> =
            entries.map(|(record, sequence)| Entry { source: 3, sequence, message: record.view() }).collect();
        queue.append(&entries).unwrap();
        queue.sync().unwrap();
        queue.reserve(queue.next_sequence() + 5).unwrap();
        if batch % 2 == 1 && queue.read(&mut block).unwrap() {
            // The consumer's ledger is written before the queue hears of it, as an output's file is.
            let below = block.messages().last().unwrap().sequence + 1;
            let lines: String =
                block.messages().map(|queued| line(queued.sequence, &queued.message)).collect();
            append_to(&delivered, &lines);
            queue.acknowledge(below).unwrap();
            queue.sync_position().unwrap();
        }
    }
}

fn line(sequence: u64, message: &Message<'_>) -> String {
    format!("{sequence} {}\n", String::from_utf8_lossy(message.payload()))
}

fn append_to(path: &Path, text: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn numbered(number: u64) -> OwnedMessage {
    message(|message| _ = message.payload(format!("{number}")).field("filler", "x".repeat(100).as_str()))
}

/// A record with an origin, 8-aligned.
struct Record(Vec<u64>);

impl Record {
    fn new(message: &OwnedMessage, position: u64) -> Record {
        let bytes = message.view().record_bytes().to_vec();
        let (words, _) = bytes.as_chunks::<8>();
        let mut words: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        (words[12], words[13]) = (77, position);
        Record(words)
    }

    fn view(&self) -> Message<'_> {
        // SAFETY: the words are a whole record, of which the origin was changed, and 8-aligned.
        unsafe { Message::from_record(self.0.as_ptr().cast()) }
    }
}

/// Runs this test program again, to live there and die at a point.
fn run(directory: &Path, point: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lives", "--nocapture"])
        .env(DIRECTORY, directory)
        .env("HEKA_FAULT_POINT", point)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

/// Does nothing unless it is started by the others.
#[test]
fn lives() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        live(Path::new(&directory));
    }
}

fn has_died(status: ExitStatus) -> bool {
    status.signal() == Some(6)
}

/// Lets a last life end well, and compares what was delivered, or waits, with what was given.
fn check_all_are_there(directory: &Path, what: &str) {
    let status = run(directory, "none");
    assert!(status.success(), "{what}: the last life ends well: {status}");
    let (mut queue, recovery) = DiskQueue::open(directory, &options()).unwrap();
    assert!(recovery.is_sound(), "{what}: {recovery}");
    let mut lines = std::fs::read_to_string(directory.with_extension("delivered")).unwrap_or_default();
    let mut block = Block::new();
    while queue.read(&mut block).unwrap() {
        lines.extend(block.messages().map(|queued| line(queued.sequence, &queued.message)));
    }
    // What was delivered and not acknowledged comes again with its number.
    let mut lines: Vec<(u64, u64)> = lines
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(sequence, number)| (sequence.parse().unwrap(), number.parse().unwrap()))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let numbers: Vec<u64> = lines.into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..BATCHES * 10).collect::<Vec<_>>(), "{what}: each once, in order");
}

fn check(point: &str, again: &str) {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("queue");
    let mut deaths = 0;
    for nth in [1, 2, 9] {
        deaths += u32::from(has_died(run(&directory, &format!("{point}:{nth}"))));
        // Torn and damaged as well, so that opening has something to do.
        tear(&directory);
        deaths += u32::from(has_died(run(&directory, again)));
    }
    assert!(deaths > 0, "{point} is reached");
    check_all_are_there(&directory, &format!("{point}, {again}"));
}

/// Leaves the beginning of a block behind the last one, as a death in the middle of a write does.
fn tear(directory: &Path) {
    let Ok(files) = directory.read_dir() else { return };
    let mut segments: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    let Some(last) = segments.into_iter().max() else { return };
    let bytes = std::fs::read(&last).unwrap();
    append_to(&last, "");
    let head: Vec<u8> = bytes.iter().copied().take(40).collect();
    use std::io::Write;
    std::fs::OpenOptions::new().append(true).open(last).unwrap().write_all(&head).unwrap();
}

#[test]
fn dying_at_each_point_and_again_while_opening_loses_nothing() {
    if !cfg!(debug_assertions) {
        println!("skipped: a release build has no fault points");
        return;
    }
    let (first, second) = POINTS.split_at(POINTS.len() / 2);
    std::thread::scope(|scope| {
        for half in [first, second] {
            scope.spawn(|| half.iter().for_each(|point| check(point, RECOVERY_POINTS[point.len() % 6])));
        }
    });
    RECOVERY_POINTS[..3].iter().for_each(|point| check("queue.append.written", point));
}

#[test]
fn dying_while_damage_is_set_aside_loses_no_more() {
    if !cfg!(debug_assertions) {
        return;
    }
    for point in RECOVERY_POINTS {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("queue");
        run(&directory, "queue.append.written:12");
        let segment = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let segment =
            segment.filter(|path| path.extension().is_some_and(|name| name == "segment")).min().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[3000] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        for nth in 1..3 {
            run(&directory, &format!("{point}:{nth}"));
        }
        let status = run(&directory, "none");
        assert!(status.success(), "{point}: {status}");
        let (_, recovery) = DiskQueue::open(&directory, &options()).unwrap();
        assert_eq!(recovery.blocks_quarantined, 0, "{point}: once is enough");
        assert_eq!(directory.join("quarantine").read_dir().unwrap().count(), 1, "{point}");
    }
}
