//! Queues with a consumer that the test plays.

use super::*;
use crate::arena::{ArenaPool, RecordWriter};
use crate::config::WhenFull;
use crate::token::Ledger;
use heka_plugin_api::{MessageWriter, Origin};
use std::path::Path;

struct Run {
    sender: Option<QueueSender>,
    receiver: QueueReceiver,
    keeper: Option<std::thread::JoinHandle<()>>,
    stats: Arc<OutputStats>,
    stop: StopFlags,
    ledger: Ledger,
    position: u64,
}

fn config(kind: QueueKind, when_full: WhenFull) -> QueueConfig {
    let durability = if kind == QueueKind::Memory { Durability::Memory } else { Durability::Disk };
    QueueConfig { kind, max_bytes: 2 << 20, max_messages: None, when_full, durability }
}

impl Run {
    fn start(config: &QueueConfig, dir: &Path) -> Run {
        let (stats, stop, pool) = (OutputStats::new("out"), StopFlags::default(), ArenaPool::default());
        let open = || heka_queue::DiskQueue::open(dir, &config.disk_options()).unwrap().0;
        let disk = (config.kind != QueueKind::Memory).then(open);
        let (sender, receiver, keeper) = Queue::open("out", config, stats.clone(), stop.clone(), disk);
        let keeper = keeper.map(|mut keeper| {
            keeper.prepare(&pool).unwrap();
            std::thread::spawn(move || keeper.run())
        });
        Run { sender: Some(sender), receiver, keeper, stats, stop, ledger: Ledger::default(), position: 0 }
    }

    /// A batch of messages of about 1 KiB that come from stream 7, with one token.
    fn batch(&mut self, messages: u64) -> Batch {
        let mut writer = RecordWriter::new(&ArenaPool::default(), 1 << 20);
        let mut entries = Vec::new();
        // SAFETY: the raw writer is this test's own.
        let mut copies = unsafe { MessageWriter::from_raw(writer.raw(), &mut entries) };
        for _ in 0..messages {
            let origin = Origin { stream: 7, position: self.position, index: 0 };
            copies.set_defaults(0, b"t", b"l", b"h", origin);
            copies.message().payload([b'x'; 900]).finish().unwrap();
            self.position += 1;
        }
        let (mut items, mut arenas) = (Vec::new(), Vec::new());
        writer.take(&mut items, &mut arenas);
        let token = self.ledger.token(7, self.position);
        let mut batch = Batch::default();
        batch.hold(&arenas, &[token]);
        for item in items {
            let item = heka_plugin_api::abi::Item { marks: 5, ..item };
            // SAFETY: the arenas keep the record.
            batch.push(item, unsafe { (*item.record).size } as usize);
        }
        batch
    }

    fn send(&mut self, messages: u64) {
        let batch = self.batch(messages);
        self.sender.as_ref().unwrap().send(batch);
    }

    /// The next batch's positions, if one comes within a second.
    fn take(&mut self) -> Option<(u64, Vec<u64>)> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            match self.receiver.ready.recv_deadline(deadline) {
                Ok(ToOutput::Ready) => {
                    if let Some(taken) = self.receiver.take() {
                        let positions = taken.batch.messages().map(|message| message.origin().position);
                        return Some((taken.sequence, positions.collect()));
                    }
                }
                Ok(ToOutput::Sync) => self.receiver.synced(self.receiver.done_below()),
                Ok(ToOutput::Reopen | ToOutput::Look) => {}
                Ok(ToOutput::End) | Err(_) => return None,
            }
        }
    }

    fn deliver_all(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        while let Some((sequence, mut positions)) = self.take() {
            all.append(&mut positions);
            self.receiver.done(sequence);
        }
        all
    }

    fn acknowledged(&mut self) -> u64 {
        let mut end = 0;
        self.ledger.collect(|_, position| end = position);
        end
    }

    fn acknowledged_within_a_second(&mut self, wanted: u64) {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut end = 0;
        while end < wanted {
            assert!(Instant::now() < deadline, "acknowledged up to {end}, not {wanted}");
            end = end.max(self.acknowledged());
            std::thread::yield_now();
        }
    }

    fn close(&mut self) {
        self.sender = None;
        if let Some(keeper) = self.keeper.take() {
            keeper.join().unwrap();
        }
    }

    /// As a shutdown past its deadline does it.
    fn abort(&mut self) {
        self.ledger.abandon().abandon();
        self.stop.stop();
        self.stop.abort();
        self.sender.as_ref().unwrap().waker().wake();
        self.close();
        self.receiver.end();
    }
}

#[test]
fn batches_come_out_in_order_and_are_acknowledged_when_done() {
    for kind in [QueueKind::Memory, QueueKind::Spill, QueueKind::Disk] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::start(&config(kind, WhenFull::Block), dir.path());
        run.send(3);
        run.send(2);
        let (first, positions) = run.take().unwrap();
        assert_eq!(positions, [0, 1, 2]);
        let (second, positions) = run.take().unwrap();
        assert_eq!(positions, [3, 4]);
        if kind != QueueKind::Disk {
            assert_eq!(run.acknowledged(), 0, "{kind:?}");
        }
        run.receiver.done(first);
        run.receiver.done(second);
        run.acknowledged_within_a_second(5);
        run.close();
        assert_eq!(run.stats.on_disk.value(), 0);
    }
}

#[test]
fn a_stuck_output_lets_go_of_its_senders_by_spilling() {
    let dir = tempfile::tempdir().unwrap();
    let config = QueueConfig { max_bytes: 64 << 20, ..config(QueueKind::Spill, WhenFull::Block) };
    let mut run = Run::start(&config, dir.path());
    // 40 MiB: more than the window.
    (0..320).for_each(|_| run.send(128));
    run.acknowledged_within_a_second(320 * 128 - 5_000);
    assert_eq!(run.deliver_all(), (0..320 * 128).collect::<Vec<u64>>());
    run.close();
    assert_eq!((run.stats.on_disk.value(), run.stats.abandoned.value()), (0, 0));
    assert_eq!(run.stats.marked.value(), 320 * 128);
}

#[test]
fn what_is_left_at_the_deadline_is_there_in_the_next_run() {
    for kind in [QueueKind::Spill, QueueKind::Disk] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(kind, WhenFull::Block);
        let mut run = Run::start(&config, dir.path());
        (0..4).for_each(|_| run.send(100));
        let (first, _) = run.take().unwrap();
        run.receiver.done(first);
        let (second, _) = run.take().unwrap();
        run.abort();
        assert_eq!((run.stats.abandoned.value(), run.stats.on_disk.value()), (0, 300), "{kind:?}");
        let mut run = Run::start(&config, dir.path());
        run.position = 400;
        run.send(1);
        let (again, positions) = run.take().unwrap();
        assert_eq!((again, positions[0], positions.len()), (second, 100, 100));
        run.receiver.done(again);
        assert_eq!(run.deliver_all(), (200..401).collect::<Vec<u64>>());
    }
}

#[test]
fn what_is_read_again_after_a_crash_comes_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(QueueKind::Disk, WhenFull::Block);
    let mut run = Run::start(&config, dir.path());
    run.send(100);
    run.acknowledged_within_a_second(100);
    run.abort();
    let mut run = Run::start(&config, dir.path());
    run.send(150);
    run.acknowledged_within_a_second(150);
    assert_eq!(run.deliver_all(), (0..150).collect::<Vec<u64>>());
    assert_eq!(run.stats.duplicates.value(), 100);
}

#[test]
fn policies_drop_and_count() {
    for (kind, when_full) in [
        (QueueKind::Memory, WhenFull::DropOldest),
        (QueueKind::Memory, WhenFull::DropNewest),
        (QueueKind::Disk, WhenFull::DropOldest),
        (QueueKind::Disk, WhenFull::DropNewest),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::start(&config(kind, when_full), dir.path());
        (0..200).for_each(|_| run.send(100));
        let delivered = run.deliver_all();
        let (dropped, marked) = (run.stats.dropped.value(), run.stats.marked.value());
        assert_eq!(dropped + delivered.len() as u64, marked, "{kind:?} {when_full:?}");
        assert!(dropped > 10_000, "{kind:?} {when_full:?}: {dropped}");
        assert!(delivered.is_sorted());
        let last = *delivered.last().unwrap();
        assert_eq!(last == marked - 1, when_full == WhenFull::DropOldest, "{kind:?} {when_full:?}: {last}");
        run.close();
    }
}

#[test]
fn a_full_queue_blocks_and_goes_on() {
    for kind in [QueueKind::Memory, QueueKind::Disk] {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run::start(&config(kind, WhenFull::Block), dir.path());
        let sender = run.sender.clone().unwrap();
        let batches: Vec<Batch> = (0..200).map(|_| run.batch(100)).collect();
        let sending = std::thread::spawn(move || batches.into_iter().for_each(|batch| sender.send(batch)));
        let delivered = run.deliver_all();
        sending.join().unwrap();
        assert_eq!(delivered, (0..20_000).collect::<Vec<u64>>());
        run.acknowledged_within_a_second(20_000);
        run.close();
    }
}

#[test]
fn a_message_has_the_same_number_when_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = QueueConfig { durability: Durability::Fsync, ..config(QueueKind::Disk, WhenFull::Block) };
    let mut run = Run::start(&config, dir.path());
    let id = run.receiver.id();
    run.send(10);
    let (first, _) = run.take().unwrap();
    run.abort();
    let mut run = Run::start(&config, dir.path());
    assert_eq!(run.receiver.id(), id);
    assert_eq!(run.take().unwrap().0, first);
}
