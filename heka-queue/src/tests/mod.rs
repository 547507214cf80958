//! Tests of the whole queue, on a simulated disk.

mod corruption;
mod failures;
mod properties;
mod queue;

use crate::block::AlignedBytes;
use crate::storage::simulated::{Crash, Disk, SimulatedStorage};
use crate::{Block, DiskQueue, Entry, QueueOptions, Recovery};
use heka_plugin_api::{Message, OwnedMessage};

pub(crate) type TestQueue = DiskQueue<SimulatedStorage>;

/// A message from a place in a stream, its payload as long as asked for.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) source: u64,
    pub(crate) stream: u64,
    pub(crate) position: u64,
    pub(crate) payload_len: usize,
}

/// The message at a place of a stream.
pub(crate) fn message(stream: u64, position: u64, payload_len: usize) -> Sample {
    Sample { source: 1, stream, position, payload_len }
}

impl Sample {
    fn payload(&self) -> Vec<u8> {
        let mut text = format!("{}/{}/{} ", self.source, self.stream, self.position).into_bytes();
        text.resize(text.len().max(self.payload_len), b'x');
        text
    }

    pub(crate) fn record(&self) -> TestRecord {
        let built = OwnedMessage::build(|message| _ = message.payload(self.payload())).unwrap();
        let mut memory = AlignedBytes::default();
        let record = built.view().record_bytes().to_vec();
        memory.resize(record.len());
        memory.bytes_mut().copy_from_slice(&record);
        memory.bytes_mut()[96..104].copy_from_slice(&self.stream.to_ne_bytes());
        memory.bytes_mut()[104..112].copy_from_slice(&self.position.to_ne_bytes());
        TestRecord(memory)
    }
}

/// A record in memory of its own, with an origin.
pub(crate) struct TestRecord(AlignedBytes);

impl TestRecord {
    pub(crate) fn view(&self) -> Message<'_> {
        Message::from_bytes(self.0.bytes()).unwrap()
    }
}

/// Says which sample a message was: source, stream, position.
pub(crate) fn identify(message: &Message<'_>) -> (u64, u64, u64) {
    let payload = String::from_utf8_lossy(message.payload()).into_owned();
    let mut numbers = payload.split([' ', '/']).map(|number| number.parse().unwrap());
    let found = (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
    let origin = message.origin();
    assert_eq!((origin.stream, origin.position), (found.1, found.2), "the record is whole");
    found
}

/// A disk, and small queues on it.
pub(crate) struct Tester {
    pub(crate) disk: Disk,
}

impl Tester {
    pub(crate) fn new() -> Tester {
        Tester { disk: Disk::new() }
    }

    /// Options of a queue with small segments.
    pub(crate) fn options(&self) -> QueueOptions {
        QueueOptions { segment_bytes: 4096, free_bytes_min: 0, ..QueueOptions::new(1 << 20) }
    }

    pub(crate) fn open_with(&self, options: &QueueOptions) -> TestQueue {
        self.try_open(options).0
    }

    pub(crate) fn try_open(&self, options: &QueueOptions) -> (TestQueue, Recovery) {
        DiskQueue::open_on(self.disk.storage(), options).unwrap()
    }

    pub(crate) fn open(&self) -> (TestQueue, Recovery) {
        self.try_open(&self.options())
    }

    /// Opens again after the process has ended without closing.
    pub(crate) fn reopen(&self, queue: TestQueue, how: Crash) -> (TestQueue, Recovery) {
        self.disk.crash(how);
        drop(queue);
        self.open()
    }

    /// Appends samples with the next numbers; returns the first of them.
    pub(crate) fn append(&self, queue: &mut TestQueue, samples: &[Sample]) -> u64 {
        let first = queue.next_sequence();
        append_at(queue, first, samples).unwrap();
        first
    }

    /// Reads what is unread, as sample positions.
    pub(crate) fn positions(&self, queue: &mut TestQueue) -> Vec<u64> {
        drain(queue).into_iter().map(|(_, (_, _, position))| position).collect()
    }

    /// Returns the names of segments.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.names(|name| name.ends_with(".segment"))
    }

    pub(crate) fn quarantined(&self) -> Vec<String> {
        self.names(|name| name.starts_with("quarantine/"))
    }

    fn names(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.disk.files().into_iter().map(|(name, _)| name).filter(|name| is_wanted(name)).collect()
    }
}

pub(crate) fn append_at(
    queue: &mut TestQueue,
    first: u64,
    samples: &[Sample],
) -> Result<crate::Appended, crate::QueueError> {
    let records: Vec<TestRecord> = samples.iter().map(Sample::record).collect();
    let entries: Vec<Entry<'_>> = (first..)
        .zip(samples)
        .zip(&records)
        .map(|((sequence, sample), record)| Entry { source: sample.source, sequence, message: record.view() })
        .collect();
    queue.append(&entries)
}

/// A number, and which sample it is.
pub(crate) type Seen = (u64, (u64, u64, u64));

/// Reads all that is unread.
pub(crate) fn drain(queue: &mut TestQueue) -> Vec<Seen> {
    let (mut block, mut all) = (Block::new(), Vec::new());
    while queue.read(&mut block).unwrap() {
        assert!(!block.is_empty());
        all.extend(block.messages().map(|queued| {
            let found = identify(&queued.message);
            assert_eq!(queued.source, found.0);
            (queued.sequence, found)
        }));
    }
    assert!(block.is_empty());
    all
}
