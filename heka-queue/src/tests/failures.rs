//! What fails leaves the queue as it was; what breaks off is taken up again.

use super::{Tester, append_at, drain, message};
use crate::QueueErrorKind;
use crate::storage::simulated::Crash;

const FULL: i32 = 28;
const BROKEN: i32 = 5;

#[test]
fn an_append_that_fails_leaves_nothing_behind() {
    for number in [FULL, BROKEN] {
        for after in 0..12 {
            let tester = Tester::new();
            let (mut queue, _) = tester.open();
            for position in 0..8 {
                tester.append(&mut queue, &[message(7, position, 400)]);
            }
            let (messages, next) = (queue.messages(), queue.next_sequence());
            let batch: Vec<_> = (8..12).map(|position| message(7, position, 400)).collect();
            tester.disk.fail_after(after, number);
            let appended = append_at(&mut queue, next, &batch);
            tester.disk.heal();
            if let Err(error) = &appended {
                let kind = if number == FULL { QueueErrorKind::Full } else { QueueErrorKind::Io };
                assert_eq!(error.kind(), kind, "{error}");
                assert_eq!((queue.messages(), queue.suppressed().len()), (messages, 0));
                assert_eq!(append_at(&mut queue, next, &batch).unwrap().suppressed, 0);
            }
            assert_eq!(tester.positions(&mut queue), (0..12).collect::<Vec<_>>());
            let (mut queue, _) = tester.reopen(queue, Crash::Kill);
            assert_eq!(tester.positions(&mut queue), (0..12).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_full_disk_is_said_and_over_when_there_is_room_again() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    tester.append(&mut queue, &[message(7, 0, 100)]);
    for room in [0, 1, 100, 300] {
        tester.disk.set_room(room);
        let next = queue.next_sequence();
        let error = append_at(&mut queue, next, &[message(7, 1, 400)]).unwrap_err();
        assert_eq!(error.kind(), QueueErrorKind::Full);
        assert!(error.to_string().ends_with("no space left on device"), "{error}");
    }
    tester.disk.set_room(u64::MAX);
    tester.append(&mut queue, &[message(7, 1, 400)]);
    let (mut queue, recovery) = tester.reopen(queue, Crash::Kill);
    assert_eq!((tester.positions(&mut queue), recovery.is_sound()), (vec![0, 1], true));
}

#[test]
fn what_a_failed_sync_may_have_lost_is_written_elsewhere() {
    // Nothing, some, or everything of the tail was synced before; one segment or several are not.
    for (synced, appended) in [(0, 3), (3, 6), (0, 40), (5, 40), (11, 30)] {
        for after in 0..8 {
            let tester = Tester::new();
            let mut options = tester.options();
            options.roll_syncs = false;
            let mut queue = tester.open_with(&options);
            for position in 0..appended {
                if position == synced {
                    queue.sync().unwrap();
                }
                tester.append(&mut queue, &[message(7, position, 400)]);
            }
            queue.acknowledge(2).unwrap();
            let expected: Vec<u64> = (1..appended).collect();
            let segments = queue.segments();
            tester.disk.fail_after(after, BROKEN);
            let mut failed = 0;
            while let Err(error) = queue.sync() {
                assert_eq!(error.kind(), QueueErrorKind::Io);
                failed += 1;
                assert!(failed < 5, "{error}");
            }
            tester.disk.heal();
            assert!(queue.segments() >= segments - 1);
            assert_eq!(tester.positions(&mut queue), expected, "synced {synced} of {appended}, {after}");
            assert_eq!(queue.messages(), expected.len() as u64);
            tester.append(&mut queue, &[message(7, appended, 400)]);
            queue.sync().unwrap();
            let (mut queue, recovery) = tester.reopen(queue, Crash::Power);
            assert!(recovery.is_sound(), "{recovery}");
            let seen = tester.positions(&mut queue);
            let expected: Vec<u64> = (seen[0]..=appended).collect();
            assert_eq!(seen, expected, "synced {synced} of {appended}, {after}");
            assert!(seen[0] <= 1);
        }
    }
}

#[test]
fn the_reader_and_the_position_move_with_what_is_written_anew() {
    for (read, acknowledged) in [(0, 1), (2, 2), (4, 4), (6, 5), (6, 7)] {
        let tester = Tester::new();
        let (mut queue, _) = tester.open();
        for position in 0..3 {
            tester.append(&mut queue, &[message(7, position, 200)]);
        }
        queue.sync().unwrap();
        for position in 3..6 {
            tester.append(&mut queue, &[message(7, position, 200)]);
        }
        queue.skip_to(read + 1);
        queue.acknowledge(acknowledged).unwrap();
        tester.disk.fail_after(0, BROKEN);
        queue.sync().unwrap_err();
        queue.sync().unwrap();
        assert_eq!(queue.messages(), 7 - acknowledged);
        let from = read.max(acknowledged - 1);
        assert_eq!(tester.positions(&mut queue), (from..6).collect::<Vec<_>>());
        queue.rewind();
        assert_eq!(tester.positions(&mut queue), (acknowledged - 1..6).collect::<Vec<_>>());
        for below in acknowledged..=7 {
            queue.acknowledge(below).unwrap();
            assert_eq!(queue.messages(), 7 - below);
        }
        let (mut queue, _) = tester.reopen(queue, Crash::Kill);
        assert_eq!(drain(&mut queue), []);
    }
}

/// A life of a queue, in which the process may die at any moment; returns how far it came: positions appended, and the
/// number below which all is acknowledged.
fn live(tester: &Tester) -> (u64, u64) {
    let options = crate::QueueOptions { segment_bytes: 2048, ..tester.options() };
    let mut came = (0, 0);
    let Ok((mut queue, _)) = crate::DiskQueue::open_on(tester.disk.storage(), &options) else { return came };
    for position in 0..24 {
        let next = queue.next_sequence();
        let batch = [message(7, 2 * position, 150), message(7, 2 * position + 1, 150)];
        if append_at(&mut queue, next, &batch).is_err() {
            return came;
        }
        came.0 = 2 * position + 2;
        let mut block = crate::Block::new();
        match position % 4 {
            0 if queue.sync().is_err() => return came,
            1 if queue.read(&mut block).is_err() => return came,
            2 => {
                let below = next.saturating_sub(3);
                came.1 = came.1.max(below);
                if queue.acknowledge(below).is_err() {
                    return came;
                }
            }
            _ if queue.reserve(next + 10).is_err() => return came,
            _ => {}
        }
    }
    if queue.drop_oldest(1).is_ok() {
        came.1 = queue.acknowledged_below();
    }
    came
}

#[test]
fn dying_at_any_operation_and_again_while_opening_loses_nothing() {
    let whole = Tester::new();
    live(&whole);
    let operations = whole.disk.operations();
    for dies in 0..operations {
        for dies_again in [0, 1, 2, 3, 5, 8, 13] {
            let tester = Tester::new();
            tester.disk.die_after(dies);
            let (appended, below) = live(&tester);
            tester.disk.crash(Crash::Kill);
            tester.disk.die_after(dies_again);
            let _ = crate::DiskQueue::open_on(tester.disk.storage(), &tester.options());
            tester.disk.crash(Crash::Kill);
            let (mut queue, recovery) = tester.open();
            let what = format!("dies at {dies}, again after {dies_again}");
            assert!(recovery.is_sound(), "{what}: {recovery}");
            let seen = drain(&mut queue);
            assert_eq!(queue.messages(), seen.len() as u64, "{what}");
            // All of it is there but what was acknowledged; of the append that died, all or nothing.
            let positions: Vec<u64> = seen.iter().map(|(_, (_, _, position))| *position).collect();
            let first = positions.first().copied().unwrap_or(appended);
            let end = positions.last().map_or(first, |last| last + 1);
            assert_eq!(positions, (first..end).collect::<Vec<_>>(), "{what}");
            let is_rest = end == appended || end == appended + 2;
            assert!(is_rest || positions.is_empty() && below > appended, "{what}: {end} of {appended}");
            let oldest = seen.first().map_or(u64::MAX, |seen| seen.0);
            assert!(first == 0 || oldest >= below.min(oldest), "{what}");
            if below > 0 && !seen.is_empty() {
                assert!(oldest <= below.max(1) || first <= below, "{what}: {oldest}, below {below}");
            }
            let again: Vec<_> = (0..end + 1).map(|position| message(7, position, 150)).collect();
            let next = queue.next_sequence();
            let appended = append_at(&mut queue, next, &again).unwrap();
            assert_eq!(appended.suppressed as u64, end, "{what}: all are known");
        }
    }
}

#[test]
fn what_can_not_be_set_aside_is_passed_over_all_the_same() {
    let tester = Tester::new();
    let (mut queue, _) = tester.open();
    for position in 0..5 {
        tester.append(&mut queue, &[message(7, position, 100)]);
    }
    let name = tester.segments().pop().unwrap();
    let mut bytes = tester.disk.read(&name);
    let second = bytes.windows(8).enumerate().filter(|(_, bytes)| bytes == b"HEKABLK\n").nth(2).unwrap().0;
    bytes[second + 90] ^= 1;
    tester.disk.write_in_place(&name, &bytes);
    tester.disk.set_room(0);
    assert_eq!(tester.positions(&mut queue), [0, 2, 3, 4]);
    assert_eq!(queue.messages(), 4);
    assert_eq!(tester.quarantined().len(), 1);
    assert_eq!(tester.disk.read(&tester.quarantined()[0]), []);
    queue.acknowledge(4).unwrap();
    assert_eq!(queue.messages(), 2);
    tester.disk.set_room(u64::MAX);
    queue.acknowledge(5).unwrap();
    assert_eq!(queue.messages(), 1);
}
