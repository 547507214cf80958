//! A queue in a real directory: locks, modes, refusals, and what others see of it.

use heka_plugin_api::OwnedMessage;
use heka_queue::{Block, DiskQueue, Entry, Inspection, QueueError, QueueErrorKind, QueueOptions, repair};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn options() -> QueueOptions {
    QueueOptions { segment_bytes: 4096, ..QueueOptions::new(1 << 20) }
}

fn open(directory: &Path) -> DiskQueue {
    DiskQueue::open(directory, &options()).unwrap().0
}

fn append(queue: &mut DiskQueue, texts: &[&str]) {
    let sequence = queue.next_sequence();
    let messages: Vec<OwnedMessage> = texts
        .iter()
        .map(|text| OwnedMessage::build(|message| _ = message.payload(text).timestamp(7)).unwrap())
        .collect();
    let entries = messages.iter().zip(sequence..);
    let entries: Vec<Entry<'_>> =
        entries.map(|(message, sequence)| Entry { source: 0, sequence, message: message.view() }).collect();
    queue.append(&entries).unwrap();
}

fn texts(block: &Block) -> Vec<String> {
    block.messages().map(|queued| String::from_utf8_lossy(queued.message.payload()).into_owned()).collect()
}

fn refusal(directory: &Path) -> QueueError {
    DiskQueue::open(directory, &options()).err().unwrap()
}

#[test]
fn a_queue_is_its_users_alone_and_lives_on() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("a/b/queue");
    let mut queue = open(&directory);
    append(&mut queue, &["one", "two"]);
    queue.sync().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600));
    let id = queue.id();
    drop(queue);
    let mut queue = open(&directory);
    let mut block = Block::new();
    assert!(queue.read(&mut block).unwrap());
    assert_eq!((texts(&block), queue.id()), (vec!["one".to_owned(), "two".to_owned()], id));
    assert!(queue.has_room(1000, 10));
}

#[test]
fn a_second_opener_is_told_who_the_first_is() {
    let directory = tempfile::tempdir().unwrap();
    let queue = open(directory.path());
    let error = refusal(directory.path());
    assert_eq!(error.kind(), QueueErrorKind::Locked);
    let text = format!(
        "queue `{}`: in use by process {}; stop that one or name another directory",
        directory.path().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(repair(directory.path()).err().map(|error| error.kind()), Some(QueueErrorKind::Locked));
    drop(queue);
    open(directory.path());
}

#[test]
fn what_can_not_be_a_queue_is_refused_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    let check = |path: &Path, kind: QueueErrorKind, text: &str| {
        let error = refusal(path);
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.to_string(), format!("queue `{}`: {text}", path.display()));
    };
    check(&file, QueueErrorKind::Directory, "not a directory; name another or remove it");
    check(&file.join("below"), QueueErrorKind::Directory, "failed to look at the directory: not a directory");
    let system = Path::new("/proc/heka");
    check(system, QueueErrorKind::Directory, "failed to make the directory: no such file or directory");
    // Only root can give a directory away.
    if rustix::process::geteuid().is_root() {
        let foreign = place.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        std::os::unix::fs::chown(&foreign, Some(4321), None).unwrap();
        let text = "owned by user 4321, not by this one (0); change its owner or the user";
        check(&foreign, QueueErrorKind::Directory, text);
    }
}

#[test]
fn an_inspection_sees_a_queue_in_use_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut queue = open(path);
    for number in 0..50 {
        append(&mut queue, &[&format!("{number} {}", "x".repeat(300)), "y"]);
    }
    queue.acknowledge(20).unwrap();
    let inspection = Inspection::open(path).unwrap();
    let status = inspection.status().unwrap();
    assert_eq!(status.id, Some(queue.id()));
    assert_eq!(status.holder, Some(std::process::id()));
    assert_eq!((status.messages, status.bytes), (queue.messages(), queue.bytes()));
    assert_eq!((status.segments, status.sequences), (queue.segments(), Some((20, 100))));
    assert_eq!((status.timestamps, status.below, status.is_clean), (Some((7, 7)), Some(20), Some(false)));
    let check = inspection.check().unwrap();
    assert!(check.is_sound() && check.segments == status.segments && check.messages >= status.messages);
    let count = |all: bool| {
        let (mut reader, mut block, mut count) = (inspection.messages(all).unwrap(), Block::new(), 0);
        while reader.read(&mut block).unwrap() {
            count += block.len() as u64;
        }
        count
    };
    assert_eq!(count(false), queue.messages());
    assert_eq!(count(true), check.messages);
    drop(queue);
    assert_eq!(inspection.status().unwrap().holder, None);
    assert_eq!(inspection.status().unwrap().is_clean, Some(true));
}

#[test]
fn a_damaged_queue_is_checked_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut queue = open(path);
    for number in 0..50 {
        append(&mut queue, &[&format!("{number} {}", "x".repeat(300))]);
    }
    drop(queue);
    let mut segments: Vec<_> = path.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    segments.sort();
    let mut bytes = fs::read(&segments[1]).unwrap();
    bytes[600] ^= 1;
    fs::write(&segments[1], &bytes).unwrap();
    let inspection = Inspection::open(path).unwrap();
    let check = inspection.check().unwrap();
    assert!(!check.is_sound());
    assert_eq!((check.places.len(), check.damages.blocks, check.messages), (1, 1, 49));
    let recovery = repair(path).unwrap();
    assert_eq!((recovery.blocks_quarantined, recovery.messages), (1, 49));
    assert_eq!(inspection.check().unwrap().damages.blocks, 0);
    assert_eq!(inspection.status().unwrap().quarantine.0, 1);
}

#[test]
fn other_directories_are_not_inspected_nor_made_queues() {
    let directory = tempfile::tempdir().unwrap();
    let check = |error: QueueError| {
        let text = "not a queue's directory; it has neither identity nor segments";
        assert_eq!(error.to_string(), format!("queue `{}`: {text}", directory.path().display()));
    };
    check(Inspection::open(directory.path()).unwrap_err());
    check(repair(directory.path()).unwrap_err());
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_file_that_may_not_be_written_is_named() {
    if rustix::process::geteuid().is_root() {
        // Root may write anything; a directory in the place of a file stands for it.
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("lock")).unwrap();
        let error = refusal(directory.path());
        assert!(error.to_string().contains("failed to open `lock`: is a directory"), "{error}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let error = refusal(directory.path());
    assert_eq!(error.kind(), QueueErrorKind::Directory);
    assert!(error.to_string().ends_with("failed to open `lock`: permission denied"), "{error}");
}
