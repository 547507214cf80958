//! What appending and reading back cost per message.

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use heka_plugin_api::OwnedMessage;
use heka_queue::{Block, DiskQueue, Entry, QueueOptions};
use std::os::unix::fs::FileExt;

/// Messages of a batch.
const MESSAGES: usize = 256;

fn main() {
    divan::main();
}

/// A batch of records of about 400 bytes.
fn batch() -> Vec<OwnedMessage> {
    let message = |number: usize| {
        OwnedMessage::build(|builder| {
            builder.message_type("nginx.access").logger("access").hostname("web-1.example.org").severity(6);
            builder.payload("x".repeat(140)).field("status", 200_i64).field("number", number as i64);
            builder.field("path", "/apache_pb.gif");
        })
    };
    (0..MESSAGES)
        .map(|number| message(number).unwrap_or_else(|reason| panic!("it builds: {reason}")))
        .collect()
}

fn entries(batch: &[OwnedMessage], first: u64) -> Vec<Entry<'_>> {
    let numbered = batch.iter().zip(first..);
    numbered.map(|(message, sequence)| Entry { source: 1, sequence, message: message.view() }).collect()
}

fn bytes(batch: &[OwnedMessage]) -> usize {
    batch.iter().map(|message| message.view().record_bytes().len()).sum()
}

/// Directories: the disk's page cache, and memory.
fn place(name: &str) -> tempfile::TempDir {
    let made = match name {
        "memory" => tempfile::tempdir_in("/dev/shm"),
        _ => tempfile::tempdir(),
    };
    made.unwrap_or_else(|reason| panic!("a directory: {reason}"))
}

fn open(directory: &tempfile::TempDir) -> DiskQueue {
    let opened = DiskQueue::open(&directory.path().join("queue"), &QueueOptions::new(1 << 30));
    opened.unwrap_or_else(|reason| panic!("{reason}")).0
}

#[divan::bench(args = ["disk", "memory"], sample_count = 200, sample_size = 20)]
fn append_and_acknowledge(bencher: Bencher, name: &str) {
    let (batch, directory) = (batch(), place(name));
    let mut queue = open(&directory);
    bencher.counter(ItemsCount::new(MESSAGES)).counter(BytesCount::new(bytes(&batch))).bench_local(|| {
        let first = queue.next_sequence();
        let appended = queue.append(&entries(&batch, first));
        appended.unwrap_or_else(|reason| panic!("{reason}"));
        queue.skip_to(first + MESSAGES as u64);
        queue.acknowledge(first + MESSAGES as u64).unwrap_or_else(|reason| panic!("{reason}"));
    });
}

/// As `append_and_acknowledge`, but read back in between.
#[divan::bench(args = ["disk", "memory"], sample_count = 200, sample_size = 20)]
fn append_read_and_acknowledge(bencher: Bencher, name: &str) {
    let (batch, directory) = (batch(), place(name));
    let mut queue = open(&directory);
    let mut block = Block::new();
    bencher.counter(ItemsCount::new(MESSAGES)).counter(BytesCount::new(bytes(&batch))).bench_local(|| {
        let first = queue.next_sequence();
        let appended = queue.append(&entries(&batch, first));
        appended.unwrap_or_else(|reason| panic!("{reason}"));
        let read = queue.read(&mut block).unwrap_or_else(|reason| panic!("{reason}"));
        assert!(read && block.len() == MESSAGES);
        queue.acknowledge(first + MESSAGES as u64).unwrap_or_else(|reason| panic!("{reason}"));
    });
}

/// A backlog of 64 MiB, read back.
#[divan::bench(args = ["disk", "memory"], sample_count = 20)]
fn read_backlog(bencher: Bencher, name: &str) {
    let (batch, directory) = (batch(), place(name));
    let mut queue = open(&directory);
    let batches = (64 << 20) / bytes(&batch);
    for _ in 0..batches {
        let first = queue.next_sequence();
        queue.append(&entries(&batch, first)).unwrap_or_else(|reason| panic!("{reason}"));
    }
    let mut block = Block::new();
    bencher.counter(ItemsCount::new(MESSAGES * batches)).bench_local(|| {
        queue.rewind();
        let mut sum = 0;
        while queue.read(&mut block).unwrap_or_else(|reason| panic!("{reason}")) {
            sum += block.messages().map(|queued| queued.message.severity() as usize).sum::<usize>();
        }
        sum
    });
}

/// What the kernel's copy alone costs: one write of a batch's bytes, to a file that begins anew every 64 MiB.
#[divan::bench(args = ["disk", "memory"], sample_count = 200, sample_size = 20)]
fn kernel_copy(bencher: Bencher, name: &str) {
    let (batch, directory) = (batch(), place(name));
    let block = vec![7; bytes(&batch) + MESSAGES * 16];
    let create = || {
        let _ = std::fs::remove_file(directory.path().join("file"));
        std::fs::File::create(directory.path().join("file")).unwrap_or_else(|reason| panic!("{reason}"))
    };
    let (mut file, mut at) = (create(), 0);
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        if at > 64 << 20 {
            (file, at) = (create(), 0);
        }
        at += file.write_at(&block, at).unwrap_or_else(|reason| panic!("{reason}")) as u64;
    });
}
