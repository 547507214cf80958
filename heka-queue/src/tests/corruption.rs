//! Whatever is done to the files, a queue opens, delivers what is intact, and counts the rest.

use super::{Tester, drain, message};
use crate::storage::simulated::Crash;
use std::collections::BTreeSet;

/// A disk with one segment of ten blocks, two messages each.
fn tester() -> Tester {
    let tester = Tester::new();
    let mut queue =
        tester.open_with(&crate::QueueOptions { free_bytes_min: 0, ..crate::QueueOptions::new(1 << 20) });
    for position in 0..10 {
        tester.append(&mut queue, &[message(7, 2 * position, 30), message(7, 2 * position + 1, 30)]);
    }
    queue.sync().unwrap();
    tester.disk.crash(Crash::Kill);
    tester
}

fn segment(tester: &Tester) -> (String, Vec<u8>) {
    let name = tester.segments().pop().unwrap();
    let bytes = tester.disk.read(&name);
    (name, bytes)
}

/// Offsets at which the blocks begin, and the end.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    let starts = (0..bytes.len()).step_by(8).filter(|&at| bytes[at..].starts_with(b"HEKABLK\n"));
    starts.chain([bytes.len()]).collect()
}

/// Opens, reads all twice, and opens again: nothing more is found damaged then.
fn check_opens(tester: &Tester, what: &str) -> (Vec<u64>, crate::Recovery) {
    let (mut queue, recovery) = tester.open();
    let seen = drain(&mut queue);
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "{what}");
    assert_eq!(queue.messages(), seen.len() as u64, "{what}");
    assert_eq!(recovery.messages, seen.len() as u64, "{what}");
    let (mut queue, second) = tester.reopen(queue, Crash::Kill);
    assert_eq!(drain(&mut queue), seen, "{what}");
    assert!(second.blocks_quarantined == 0 && second.bytes_torn == 0, "{what}: {second}");
    // It goes on working.
    let next = tester.append(&mut queue, &[message(9, 1, 30)]);
    assert_eq!(drain(&mut queue), [(next, (1, 9, 1))], "{what}");
    queue.sync().unwrap();
    let (mut queue, _) = tester.reopen(queue, Crash::Power);
    assert_eq!(drain(&mut queue), [&seen[..], &[(next, (1, 9, 1))]].concat(), "{what}");
    (seen.into_iter().map(|(_, (_, _, position))| position).collect(), recovery)
}

#[test]
fn every_flipped_byte_costs_its_block_and_no_other() {
    let tester = tester();
    let (name, bytes) = segment(&tester);
    let starts = blocks(&bytes);
    assert_eq!(starts.len(), 12, "a head, ten blocks, the end");
    for at in 0..bytes.len() {
        let copy = Tester { disk: tester.disk.fork() };
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        copy.disk.write(&name, &flipped);
        let (positions, recovery) = check_opens(&copy, &format!("byte {at}"));
        let block = starts.partition_point(|&start| start <= at) - 1;
        let expected: Vec<u64> =
            (0..20).filter(|position| block == 0 || position / 2 != block as u64 - 1).collect();
        assert_eq!(positions, expected, "byte {at}");
        assert_eq!(recovery.blocks_quarantined, 1, "byte {at}: {recovery}");
        assert_eq!(recovery.bytes_quarantined, (starts[block + 1] - starts[block]) as u64, "byte {at}");
        assert_eq!(copy.quarantined().len(), 1, "byte {at}");
        assert_eq!(copy.disk.read(&copy.quarantined()[0]), flipped[starts[block]..starts[block + 1]]);
        // Behind a broken last header nobody knows.
        if block > 0 && at < starts[10] {
            let lost = 2 * block as u64;
            assert!(
                recovery.lost.iter().any(|&(first, last)| first <= lost && last >= lost - 1),
                "byte {at}"
            );
        }
    }
}

#[test]
fn every_truncated_length_keeps_the_blocks_before_it() {
    let tester = tester();
    let (name, bytes) = segment(&tester);
    let starts = blocks(&bytes);
    for len in 0..=bytes.len() {
        let copy = Tester { disk: tester.disk.fork() };
        copy.disk.write(&name, &bytes[..len]);
        let (positions, recovery) = check_opens(&copy, &format!("length {len}"));
        let whole = starts.partition_point(|&start| start <= len).saturating_sub(1);
        let expected: Vec<u64> = (0..2 * (whole as u64).saturating_sub(1)).collect();
        assert_eq!(positions, expected, "length {len}");
        let torn = len - starts[..=whole].iter().copied().filter(|&start| start <= len).max().unwrap_or(0);
        assert_eq!((recovery.bytes_torn, recovery.blocks_quarantined), (torn as u64, 0), "length {len}");
    }
}

#[test]
fn zeros_at_the_end_are_cut_off() {
    for zeros in [1, 8, 63, 64, 4096, 1 << 20] {
        let tester = tester();
        let (name, bytes) = segment(&tester);
        let longer = [&bytes[..], &vec![0; zeros]].concat();
        tester.disk.write(&name, &longer);
        let (positions, recovery) = check_opens(&tester, "zeros");
        assert_eq!((positions.len(), recovery.bytes_torn), (20, zeros as u64));
        let tester = self::tester();
        let (name, mut zeroed) = segment(&tester);
        let start = blocks(&zeroed)[8];
        zeroed[start..].fill(0);
        tester.disk.write(&name, &zeroed);
        assert_eq!(check_opens(&tester, "zeroed").0.len(), 14);
    }
}

#[test]
fn garbage_between_blocks_is_passed_over() {
    for len in [8, 56, 64, 4096] {
        let tester = tester();
        let (name, bytes) = segment(&tester);
        let starts = blocks(&bytes);
        let garbage: Vec<u8> = (0..len).map(|byte| byte as u8 | 1).collect();
        let mut changed = bytes.clone();
        changed[starts[3]..starts[3] + len.min(starts[5] - starts[3])]
            .copy_from_slice(&garbage[..len.min(starts[5] - starts[3])]);
        tester.disk.write(&name, &changed);
        let (positions, recovery) = check_opens(&tester, "garbage");
        assert!(positions.len() >= 16 && recovery.blocks_quarantined >= 1);
    }
}

#[test]
fn a_block_of_a_later_version_is_quarantined() {
    let tester = tester();
    let (name, mut bytes) = segment(&tester);
    let starts = blocks(&bytes);
    let header = bytes[starts[4]..].first_chunk_mut::<64>().unwrap();
    header[8] = 2;
    crate::format::seal(header);
    tester.disk.write(&name, &bytes);
    let (positions, recovery) = check_opens(&tester, "later");
    assert_eq!((positions.len(), recovery.blocks_quarantined), (18, 1));
}

#[test]
fn a_directory_of_a_later_version_is_refused_and_left_alone() {
    let tester = tester();
    let mut bytes = tester.disk.read("queue");
    bytes[8] = 2;
    crate::format::seal(bytes.first_chunk_mut().unwrap());
    tester.disk.write("queue", &bytes);
    let files = tester.disk.files();
    let error = crate::DiskQueue::open_on(tester.disk.storage(), &tester.options()).err().unwrap();
    assert_eq!(error.kind(), crate::QueueErrorKind::Version);
    let text = "queue `/simulated`: of version 2, this program knows 1; use a later one or another directory";
    assert_eq!(error.to_string(), text);
    assert_eq!(tester.disk.files(), files);
}

/// A disk with many segments.
fn many() -> Tester {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..80 {
        tester.append(&mut queue, &[message(7, position, 300)]);
    }
    queue.sync().unwrap();
    tester.disk.crash(Crash::Kill);
    tester
}

#[test]
fn a_missing_segment_costs_what_was_in_it() {
    let count = many().segments().len();
    assert!(count >= 6);
    for index in 0..count {
        let tester = many();
        let name = tester.segments()[index].clone();
        let first: u64 = crate::format::segment_first(&name).unwrap();
        let next = tester.segments().get(index + 1).and_then(|name| crate::format::segment_first(name));
        tester.disk.remove(&name);
        let (positions, recovery) = check_opens(&tester, &name);
        let is_left = |position: &u64| position + 1 < first || next.is_some_and(|next| position + 1 >= next);
        assert_eq!(positions, (0..80).filter(is_left).collect::<Vec<_>>());
        if let Some(next) = next {
            assert_eq!(recovery.lost, [(first, next - 1)], "{name}");
        }
    }
}

#[test]
fn damage_in_an_older_segment_is_found_when_it_is_read() {
    let check = |budget_is_spent: bool, is_acknowledged: bool| {
        let tester = many();
        let name = tester.segments()[1].clone();
        let (mut queue, _) = tester.open();
        if !budget_is_spent {
            tester.disk.crash(Crash::Kill);
        }
        let mut bytes = tester.disk.read(&name);
        let start = blocks(&bytes)[2];
        bytes[start + 200] ^= 1;
        tester.disk.write_in_place(&name, &bytes);
        if !budget_is_spent {
            queue = tester.open().0;
        }
        if is_acknowledged {
            queue.acknowledge(40).unwrap();
        }
        let left = drain(&mut queue).len() as u64;
        assert_eq!(queue.messages(), left);
        assert_eq!(left, if is_acknowledged { 41 } else { 79 });
        if !is_acknowledged {
            assert_eq!((queue.damages().blocks, queue.damages().lost.len()), (1, 1));
        }
        let (mut queue, _) = tester.reopen(queue, Crash::Kill);
        assert_eq!(drain(&mut queue).len() as u64, left);
    };
    for budget_is_spent in [true, false] {
        check(budget_is_spent, true);
        check(budget_is_spent, false);
    }
}

#[test]
fn every_byte_of_identity_and_position_may_be_flipped() {
    for name in ["queue", "position"] {
        for at in 0..tester().disk.read(name).len() {
            let tester = tester();
            let id = tester.disk.read("queue")[16..32].to_vec();
            let mut bytes = tester.disk.read(name);
            bytes[at] ^= 1;
            tester.disk.write(name, &bytes);
            let (queue, recovery) = tester.open();
            assert_eq!(queue.id().to_vec(), id, "{name} byte {at}: a segment knows the id");
            assert_eq!(recovery.messages, 20, "{name} byte {at}");
            assert!(queue.next_sequence() > 20);
        }
    }
}

#[test]
fn without_a_position_everything_in_the_segments_waits() {
    for bytes in [None, Some(vec![]), Some(vec![0; 1024]), Some(vec![0xff; 1024]), Some(vec![0; 100])] {
        let tester = many();
        let (mut queue, _) = tester.open();
        queue.acknowledge(40).unwrap();
        let front = crate::format::segment_first(&tester.segments()[0]).unwrap();
        drop(queue);
        match bytes {
            None => tester.disk.remove("position"),
            Some(bytes) => tester.disk.write("position", &bytes),
        }
        let (queue, recovery) = tester.open();
        assert!(front <= 40 && front > 20);
        assert_eq!((recovery.messages, recovery.first), (81 - front, Some(front)));
        assert!(queue.next_sequence() > 80);
    }
}

#[test]
fn leftovers_and_strangers_are_survived() {
    let tester = tester();
    for name in ["queue.new", "position.new", "00000000000000000009.segment.new"] {
        tester.disk.write(name, b"half");
    }
    tester.disk.write("README", b"who knows");
    tester.disk.write("00000000000000000900.segment", b"");
    let (positions, _) = check_opens(&tester, "leftovers");
    assert_eq!(positions.len(), 20);
    let names: BTreeSet<String> = tester.disk.files().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains("README") && !names.iter().any(|name| name.ends_with(".new")), "{names:?}");
}

#[test]
fn behind_damage_no_stream_is_taken_for_appended() {
    let tester = tester();
    let (name, mut bytes) = segment(&tester);
    let starts = blocks(&bytes);
    // Positions 8 and 9 are lost; their producer gives all again.
    bytes[starts[5] + 100] ^= 1;
    tester.disk.write(&name, &bytes);
    for _ in 0..2 {
        let (mut queue, _) = tester.open();
        let again: Vec<_> = (0..20).map(|position| message(7, position, 30)).collect();
        tester.append(&mut queue, &again);
        let seen: BTreeSet<u64> = tester.positions(&mut queue).into_iter().collect();
        assert_eq!(seen, (0..20).collect());
        let known = queue.messages();
        tester.append(&mut queue, &again);
        assert_eq!(queue.messages(), known, "now they are known");
        tester.disk.crash(Crash::Kill);
    }
}
