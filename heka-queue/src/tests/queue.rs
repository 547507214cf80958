//! What a queue does when nothing goes wrong.

use super::{Tester, append_at, drain, message};
use crate::storage::simulated::Crash;
use crate::{DiskQueue, QueueErrorKind};

#[test]
fn messages_come_back_in_order_with_their_numbers() {
    let tester = Tester::new();
    let (mut queue, recovery) = tester.open();
    assert_eq!((recovery.messages, recovery.first, recovery.is_sound()), (0, None, true));
    assert_eq!(queue.next_sequence(), 1);
    let samples: Vec<_> = (0..50).map(|position| message(7, position, 100)).collect();
    for batch in samples.chunks(7) {
        tester.append(&mut queue, batch);
    }
    assert!(tester.segments().len() > 2, "several segments");
    let expected: Vec<_> = (0..50).map(|position| (position + 1, (1, 7, position))).collect();
    assert_eq!(drain(&mut queue), expected);
    assert_eq!(drain(&mut queue), []);
    queue.rewind();
    assert_eq!(drain(&mut queue), expected);
    assert_eq!((queue.messages(), queue.oldest_sequence(), queue.newest_sequence()), (50, Some(1), Some(50)));
}

#[test]
fn what_is_acknowledged_goes_segment_by_segment() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..60 {
        tester.append(&mut queue, &[message(7, position, 300)]);
    }
    let many = tester.segments().len();
    assert!(many > 4);
    for below in [5, 5, 4, 20, 41, 61] {
        queue.acknowledge(below).unwrap();
        let below = queue.acknowledged_below();
        assert_eq!(queue.messages(), 61 - below);
        assert_eq!(queue.oldest_sequence(), (below < 61).then_some(below));
    }
    assert_eq!(tester.segments().len(), 1);
    assert_eq!(drain(&mut queue), []);
}

#[test]
fn a_batch_of_which_a_part_is_acknowledged_counts_and_reads_as_the_rest() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    append_at(&mut queue, 10, &[message(7, 0, 10), message(7, 1, 10), message(7, 2, 10)]).unwrap();
    // Number 21 is a duplicate: the block has a gap.
    let gap = [message(7, 3, 10), message(7, 3, 10), message(7, 4, 10), message(7, 5, 10)];
    assert_eq!(append_at(&mut queue, 20, &gap).unwrap().suppressed, 1);
    assert_eq!(queue.suppressed(), [1]);
    for (below, left) in [(11, 5), (12, 4), (15, 3), (21, 2), (22, 2), (23, 1), (24, 0)] {
        queue.acknowledge(below).unwrap();
        assert_eq!(queue.messages(), left, "below {below}");
        queue.rewind();
        assert_eq!(drain(&mut queue).len() as u64, left);
        let copy = Tester { disk: tester.disk.fork() };
        assert_eq!(copy.open().0.messages(), left);
    }
}

#[test]
fn the_reader_passes_over_what_its_caller_has() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..40 {
        tester.append(&mut queue, &[message(7, position, 300), message(8, position, 300)]);
    }
    queue.skip_to(8);
    assert_eq!(drain(&mut queue).first().map(|seen| seen.0), Some(8));
    queue.rewind();
    queue.skip_to(64);
    assert_eq!(drain(&mut queue).first().map(|seen| seen.0), Some(64));
    queue.rewind();
    queue.skip_to(81);
    assert_eq!(drain(&mut queue), []);
    tester.append(&mut queue, &[message(9, 0, 10)]);
    assert_eq!(drain(&mut queue).len(), 1);
    queue.rewind();
    queue.skip_to(1000);
    let next = tester.append(&mut queue, &[message(9, 1, 10)]);
    assert_eq!((next, drain(&mut queue).len()), (82, 0), "passed over when it comes");
}

#[test]
fn duplicates_are_left_out_also_after_a_crash_and_over_segments() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..40 {
        tester.append(&mut queue, &[message(7, position, 300)]);
    }
    queue.acknowledge(41).unwrap();
    let (mut queue, _) = tester.reopen(queue, Crash::Kill);
    let next = queue.next_sequence();
    assert!(next > 40);
    let again: Vec<_> = (30..45).map(|position| message(7, position, 300)).collect();
    let appended = append_at(&mut queue, next, &again).unwrap();
    assert_eq!(appended.suppressed, 10);
    assert_eq!(queue.suppressed(), (0..10).collect::<Vec<_>>());
    assert_eq!(tester.positions(&mut queue), [40, 41, 42, 43, 44]);
}

#[test]
fn other_sources_unordered_ones_and_source_0_are_no_duplicates() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    let same = |source| super::Sample { source, ..message(7, 5, 10) };
    tester.append(&mut queue, &[same(1), same(2), same(0), same(0), message(0, 5, 10), message(0, 5, 10)]);
    assert_eq!((queue.messages(), queue.suppressed().len()), (6, 0));
    tester.append(&mut queue, &[same(1), same(2), same(0)]);
    assert_eq!((queue.messages(), queue.suppressed()), (7, &[0, 1][..]));
}

#[test]
fn numbers_are_never_used_twice() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    let id = queue.id();
    tester.append(&mut queue, &[message(7, 0, 10)]);
    queue.reserve(500).unwrap();
    assert_eq!(queue.next_sequence(), 500);
    drop(queue);
    let (mut queue, _) = tester.open();
    assert_eq!((queue.next_sequence(), queue.id()), (500, id), "closed properly");
    queue.acknowledge(700).unwrap();
    let (queue, _) = tester.reopen(queue, Crash::Kill);
    assert!(queue.next_sequence() > 700 + (1 << 30), "not closed properly");
    drop(queue);
    tester.disk.remove("position");
    for name in tester.segments() {
        tester.disk.remove(&name);
    }
    let (queue, _) = tester.open();
    assert_ne!(queue.id(), id, "nobody knows the numbers: another queue");
}

#[test]
fn numbers_of_messages_must_ascend() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    append_at(&mut queue, 5, &[message(7, 0, 10)]).unwrap();
    let error = append_at(&mut queue, 5, &[message(7, 1, 10)]).unwrap_err();
    assert_eq!(error.kind(), QueueErrorKind::Misuse);
    assert_eq!(error.to_string(), "queue `/simulated`: numbers of appended messages must ascend");
    assert_eq!(tester.positions(&mut queue), [0]);
}

#[test]
fn a_message_larger_than_a_segment_has_one_of_its_own() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    tester.append(&mut queue, &[message(7, 0, 100)]);
    tester.append(&mut queue, &[message(7, 1, 17 << 20)]);
    tester.append(&mut queue, &[message(7, 2, 100)]);
    assert_eq!(tester.segments().len(), 3);
    assert_eq!(tester.positions(&mut queue), [0, 1, 2]);
    let (mut queue, recovery) = tester.reopen(queue, Crash::Kill);
    assert_eq!((recovery.messages, tester.positions(&mut queue)), (3, vec![0, 1, 2]));
}

#[test]
fn a_huge_batch_is_several_blocks_and_whole() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    let samples: Vec<_> = (0..300).map(|position| message(7, position, 20_000)).collect();
    tester.append(&mut queue, &samples);
    assert_eq!(tester.positions(&mut queue), (0..300).collect::<Vec<_>>());
    let (mut queue, _) = tester.reopen(queue, Crash::Kill);
    assert_eq!(tester.positions(&mut queue).len(), 300);
}

#[test]
fn small_blocks_are_read_together() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    let options = crate::QueueOptions::new(64 << 20);
    drop(queue);
    queue = tester.open_with(&options);
    for position in 0..1000 {
        tester.append(&mut queue, &[message(7, position, 50)]);
    }
    let (mut block, mut reads) = (crate::Block::new(), 0);
    while queue.read(&mut block).unwrap() {
        reads += 1;
        assert!(block.len() <= crate::BLOCK_MESSAGES);
    }
    assert!(reads <= 8, "{reads} reads");
}

#[test]
fn dropping_the_oldest_makes_room_and_counts_what_was_not_read() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..60 {
        tester.append(&mut queue, &[message(7, position, 300)]);
    }
    let mut block = crate::Block::new();
    queue.skip_to(4);
    assert!(queue.read(&mut block).unwrap());
    let read_below = block.messages().last().unwrap().sequence + 1;
    let (bytes, messages) = (queue.bytes(), queue.messages());
    let gone = queue.drop_oldest(5000).unwrap();
    assert!(queue.bytes() <= bytes - 5000);
    let below = queue.acknowledged_below();
    assert_eq!((queue.messages(), gone), (61 - below, below.saturating_sub(read_below)));
    assert!(gone < messages);
    assert_eq!(drain(&mut queue).first().map(|seen| seen.0), Some(below.max(read_below)));
    let left = queue.messages();
    queue.rewind();
    assert_eq!(queue.drop_oldest(u64::MAX).unwrap(), left);
    assert_eq!((queue.messages(), drain(&mut queue).len()), (0, 0));
    let next = queue.next_sequence();
    let again = append_at(&mut queue, next, &[message(7, 59, 10), message(7, 60, 10)]).unwrap();
    assert_eq!(again.suppressed, 1, "what was dropped is known as seen");
    let (mut queue, _) = tester.reopen(queue, Crash::Kill);
    assert_eq!(tester.positions(&mut queue), [60]);
}

#[test]
fn a_recovery_says_what_waits_in_one_line() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    tester.append(&mut queue, &[message(7, 0, 10), message(7, 1, 10)]);
    drop(queue);
    let (queue, recovery) = tester.open();
    let line = format!("queue `/simulated`: 2 messages wait, {} B on disk, numbers 1 to 2", queue.bytes());
    assert_eq!(recovery.to_string(), line);
}

#[test]
fn a_queue_can_be_sent_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<DiskQueue>();
}
