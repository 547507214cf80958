//! Any sequence of operations, failures and crashes: nothing acknowledged to the producer is lost, nothing is invented,
//! order is kept, and counts are exact.

use super::{Sample, Seen, TestQueue, Tester, append_at, drain, message};
use crate::storage::simulated::{Crash, Disk};
use crate::{Block, DiskQueue, QueueOptions};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    /// The producer gives the next messages of a stream, or all again since the last it was answered for.
    Append {
        stream: u64,
        count: u64,
        len: usize,
        again: bool,
    },
    Sync,
    Read,
    /// A part of what was read, in 1/8.
    Acknowledge(u64),
    SyncPosition,
    Reserve(u64),
    DropOldest(u64),
    SkipTo(u64),
    Rewind,
    Close,
    Crash(Crash),
    /// The process dies so many operations later.
    DieAfter(u64, Crash),
    FailAfter(u64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let crash = || prop_oneof![Just(Crash::Kill), Just(Crash::Power)];
    let append = (1..4_u64, 1..12_u64, prop_oneof![4 => 0..200_usize, 1 => 1000..6000_usize], any::<bool>());
    let append = append.prop_map(|(stream, count, len, again)| Step::Append { stream, count, len, again });
    prop_oneof![
        12 => append,
        4 => Just(Step::Sync),
        6 => Just(Step::Read),
        4 => (0..9_u64).prop_map(Step::Acknowledge),
        1 => Just(Step::SyncPosition),
        1 => (0..2000_u64).prop_map(Step::Reserve),
        1 => (1..6000_u64).prop_map(Step::DropOldest),
        1 => (0..9_u64).prop_map(Step::SkipTo),
        1 => Just(Step::Rewind),
        1 => Just(Step::Close),
        2 => crash().prop_map(Step::Crash),
        2 => (0..12_u64, crash()).prop_map(|(after, how)| Step::DieAfter(after, how)),
        1 => (0..8_u64, any::<bool>()).prop_map(|(after, full)| Step::FailAfter(after, full)),
    ]
}

/// One message: stream and position.
type Place = (u64, u64);

/// What a queue should be.
struct World {
    disk: Disk,
    options: QueueOptions,
    queue: Option<TestQueue>,
    block: Block,
    how_it_dies: Crash,
    /// Whether the producer is answered after a sync only.
    fsync: bool,

    /// What waits, by number.
    waiting: BTreeMap<u64, Place>,
    /// All that was ever given to an append.
    given: BTreeSet<(u64, Place)>,
    /// Numbers that were appended since the last sync.
    unsynced: BTreeSet<u64>,
    below: u64,
    /// What the reader comes to next.
    read_from: u64,
    /// The highest number used.
    used: u64,

    /// Per stream: the next new position, and up to where the producer was answered.
    produced: BTreeMap<u64, (u64, u64)>,
    /// What was acknowledged by the consumer, or dropped by policy.
    gone: BTreeSet<Place>,
    /// How often each message was appended.
    appended: BTreeMap<Place, u32>,
    /// Whether a power failure, or a failure of the disk, may have let something come twice.
    may_repeat: bool,
    has_failed: bool,
}

impl World {
    fn new(seed: u64, fsync: bool) -> World {
        let disk = Disk::with_seed(seed);
        let options = QueueOptions { roll_syncs: fsync, ..Tester { disk: disk.clone() }.options() };
        let queue = DiskQueue::open_on(disk.storage(), &options).unwrap().0;
        World {
            disk,
            options,
            queue: Some(queue),
            block: Block::new(),
            how_it_dies: Crash::Kill,
            fsync,
            waiting: BTreeMap::new(),
            given: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            below: 0,
            read_from: 0,
            used: 0,
            produced: BTreeMap::new(),
            gone: BTreeSet::new(),
            appended: BTreeMap::new(),
            may_repeat: false,
            has_failed: false,
        }
    }

    fn queue(&mut self) -> &mut TestQueue {
        self.queue.as_mut().unwrap()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append { stream, count, len, again } => self.append(stream, count, len, again),
            Step::Sync => self.sync(),
            Step::Read => self.read(),
            Step::Acknowledge(part) => {
                let below = self.part(part);
                self.acknowledge(below);
            }
            Step::SyncPosition => self.has_failed |= self.queue().sync_position().is_err(),
            Step::Reserve(more) => {
                let below = self.queue().next_sequence() + more;
                self.used = self.used.max(below - 1);
                self.has_failed |= self.queue().reserve(below).is_err();
            }
            Step::DropOldest(bytes) => self.drop_oldest(bytes),
            Step::SkipTo(part) => {
                let to = self.part(part);
                self.queue().skip_to(to);
                self.read_from = self.read_from.max(to);
            }
            Step::Rewind => {
                self.queue().rewind();
                self.read_from = self.below;
            }
            Step::Close => self.end(None),
            Step::Crash(how) => self.end(Some(how)),
            Step::DieAfter(after, how) => {
                self.disk.die_after(after);
                self.how_it_dies = how;
            }
            Step::FailAfter(after, full) => {
                self.disk.fail_after(after, if full { 28 } else { 5 });
                self.has_failed = true;
            }
        }
        if self.disk.has_died() {
            self.end(Some(self.how_it_dies));
        }
        self.check();
    }

    /// A number between the first that waits and one behind the last.
    fn part(&self, part: u64) -> u64 {
        let last = self.waiting.last_key_value().map_or(self.below, |(last, _)| last + 1);
        let first = self.waiting.first_key_value().map_or(last, |(first, _)| *first);
        first + (last - first) * part / 8
    }

    fn append(&mut self, stream: u64, count: u64, len: usize, again: bool) {
        let (next, answered) = *self.produced.entry(stream).or_default();
        let start = if again { answered } else { next };
        let end = next + count;
        let samples: Vec<Sample> = (start..end).map(|position| message(stream, position, len)).collect();
        let first = self.queue().next_sequence();
        self.given.extend((first..).zip(start..end).map(|(number, position)| (number, (stream, position))));
        // The number of an append that failed is given again.
        match append_at(self.queue(), first, &samples) {
            Ok(appended) => {
                let suppressed: BTreeSet<u32> = self.queue().suppressed().iter().copied().collect();
                assert_eq!(suppressed.len(), appended.suppressed);
                for (index, position) in (start..end).enumerate() {
                    if !suppressed.contains(&(index as u32)) {
                        let number = first + index as u64;
                        self.waiting.insert(number, (stream, position));
                        self.unsynced.insert(number);
                        self.used = self.used.max(number);
                        *self.appended.entry((stream, position)).or_default() += 1;
                    }
                }
                let answered = if self.fsync { answered } else { end };
                self.produced.insert(stream, (end, answered));
            }
            Err(_) => self.has_failed = true,
        }
    }

    fn sync(&mut self) {
        if self.queue().sync().is_err() {
            self.has_failed = true;
            return;
        }
        self.unsynced.clear();
        self.produced.values_mut().for_each(|(next, answered)| *answered = *next);
    }

    fn read(&mut self) {
        let mut block = std::mem::take(&mut self.block);
        let from = self.read_from.max(self.below);
        let mut expected = self.waiting.range(from..).map(|(number, place)| (*number, *place));
        let has_read = self.queue.as_mut().unwrap().read(&mut block).unwrap();
        assert_eq!(has_read, !block.is_empty());
        for queued in block.messages() {
            let (_, stream, position) = super::identify(&queued.message);
            assert_eq!(Some((queued.sequence, (stream, position))), expected.next());
            self.read_from = queued.sequence + 1;
        }
        if !has_read {
            assert_eq!(expected.next(), None, "caught up");
        }
        self.block = block;
    }

    fn acknowledge(&mut self, below: u64) {
        self.has_failed |= self.queue().acknowledge(below).is_err();
        self.used = self.used.max(below.saturating_sub(1));
        self.forget(below);
    }

    fn forget(&mut self, below: u64) {
        self.below = self.below.max(below);
        let left = self.waiting.split_off(&self.below);
        self.gone.extend(std::mem::replace(&mut self.waiting, left).into_values());
    }

    fn drop_oldest(&mut self, bytes: u64) {
        let read_from = self.read_from.max(self.below);
        let dropped = self.queue().drop_oldest(bytes);
        let below = self.queue().acknowledged_below();
        self.used = self.used.max(below.saturating_sub(1));
        match dropped {
            Ok(dropped) => {
                let expected = self.waiting.range(read_from..below.max(read_from)).count();
                assert_eq!(dropped, expected as u64);
            }
            Err(_) => self.has_failed = true,
        }
        self.forget(below);
    }

    /// Ends the process, opens the queue again, and compares.
    fn end(&mut self, how: Option<Crash>) {
        if let Some(how) = how {
            self.disk.crash(how);
        } else {
            self.disk.heal();
        }
        let is_power = how == Some(Crash::Power);
        self.may_repeat |= is_power || self.has_failed;
        let id = self.queue.take().map(|queue| queue.id());
        self.disk.heal();
        let (mut queue, recovery) = DiskQueue::open_on(self.disk.storage(), &self.options).unwrap();
        let seen: Vec<Seen> = drain(&mut queue);
        queue.rewind();
        assert_eq!(recovery.messages, seen.len() as u64, "{recovery}");
        // What a power failure took is said until the segment behind it is gone.
        assert!(self.may_repeat || recovery.is_sound(), "{recovery}");
        // Where a power failure took all that tells which numbers were used, it is another queue.
        let is_same = id == Some(queue.id());
        assert!(is_same || is_power && seen.is_empty());
        assert!(!is_same || queue.next_sequence() > self.used, "{} used", self.used);
        self.used = queue.next_sequence() - 1;
        assert!(seen.is_sorted_by(|a, b| a.0 < b.0), "order is kept");
        let found: BTreeMap<u64, Place> =
            seen.into_iter().map(|(number, (_, stream, position))| (number, (stream, position))).collect();
        for (number, place) in &found {
            assert!(self.given.contains(&(*number, *place)), "invented: {number} {place:?}");
        }
        for (number, place) in &self.waiting {
            let may_be_lost = is_power && self.unsynced.contains(number);
            assert!(may_be_lost || found.get(number) == Some(place), "lost: {number} {place:?}");
        }
        for (number, place) in &found {
            if !self.waiting.contains_key(number) {
                // Of the append at which the process died, or what was acknowledged and not synced.
                let repeats = self.gone.contains(place);
                assert!(is_power || !repeats || self.has_failed, "twice: {number} {place:?}");
                *self.appended.entry(*place).or_default() += u32::from(!repeats);
            }
        }
        if is_power {
            self.unsynced.clear();
        } else {
            self.unsynced.extend(found.keys().filter(|number| !self.waiting.contains_key(number)));
        }
        self.waiting = found;
        self.below = queue.acknowledged_below();
        self.read_from = self.below;
        self.has_failed = false;
        self.queue = Some(queue);
        if is_power || how.is_none() && self.fsync || how == Some(Crash::Kill) {
            // The producer begins again where it was answered.
            self.produced.values_mut().for_each(|(next, answered)| *next = *answered);
        }
    }

    fn check(&mut self) {
        let waiting = self.waiting.len() as u64;
        let (fsync, has_failed, may_repeat) = (self.fsync, self.has_failed, self.may_repeat);
        let disk = self.disk.clone();
        let queue = self.queue();
        assert_eq!(queue.messages(), waiting);
        let on_disk: usize =
            disk.files().iter().filter(|(name, _)| name.ends_with(".segment")).map(|(_, len)| len).sum();
        assert!(has_failed || queue.bytes() == on_disk as u64, "{} of {on_disk}", queue.bytes());
        for (place, count) in &self.appended {
            assert!(may_repeat || *count <= 1, "{place:?} was appended {count} times, fsync {fsync}");
        }
    }

    /// Everything that the producer was answered for waits, or is gone.
    fn check_answered(&self) {
        let waiting: BTreeSet<Place> = self.waiting.values().copied().collect();
        for (&stream, &(_, answered)) in &self.produced {
            for position in 0..answered {
                let place = (stream, position);
                let is_lost_by_power = !self.fsync && self.may_repeat;
                assert!(
                    waiting.contains(&place) || self.gone.contains(&place) || is_lost_by_power,
                    "lost: {place:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_nothing_is_lost_or_invented(
        steps in prop::collection::vec(step(), 1..60),
        seed: u64,
        fsync: bool,
    ) {
        let mut world = World::new(seed, fsync);
        for step in &steps {
            world.run(step);
        }
        world.check_answered();
        // Everything that waits can be delivered and acknowledged.
        world.end(None);
        let next = world.queue().next_sequence();
        while !world.waiting.is_empty() && world.read_from < next {
            let before = world.read_from;
            world.read();
            if world.read_from == before {
                break;
            }
        }
        world.acknowledge(next);
        prop_assert_eq!(world.queue().messages(), 0);
    }
}
