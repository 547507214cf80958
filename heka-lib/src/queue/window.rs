//! The part of a queue that is in memory: batches in order, from the oldest that is not done with.

use crate::batch::Batch;
use crate::config::{Durability, QueueConfig, QueueKind, WhenFull};
use crate::token::TokenRef;
use heka_queue::DiskQueue;
use std::collections::VecDeque;

/// Batches that a window holds while its output goes on taking them.
const PATIENT_BATCHES: usize = 8;
/// Bytes of a durable queue's window; what is beyond goes to the disk.
pub(super) const DURABLE_WINDOW_BYTES: u64 = 16 << 20;
/// Bytes on their way to the disk, as far as a quarter of the queue's size allows.
const INCOMING_BYTES_MAX: u64 = 16 << 20;
/// Numbers that are reserved ahead, so that messages which never reach the disk have some.
pub(super) const RESERVED: u64 = 1 << 20;

/// Where a batch may go.
pub(super) enum Place {
    Window,
    Disk,
    Wait,
    /// The oldest ones make room for so many bytes and messages.
    DropOldest((u64, u64)),
    DropNewest,
}

/// A batch with its numbers, as long as it is not done with.
pub(super) struct Entry {
    /// Number of the first message.
    pub(super) sequence: u64,
    /// The number behind the last message's.
    pub(super) end: u64,
    pub(super) batch: Batch,
    /// Of each message, where there are gaps; otherwise they follow from the first.
    numbers: Option<Vec<u64>>,
    messages: usize,
    /// Of these, done with though the batch is not.
    done_messages: usize,
    bytes: u64,
    is_done: bool,
}

/// A batch for the output stage.
pub(crate) struct Taken {
    pub(crate) batch: Batch,
    /// Names the batch; the number of its first message.
    pub(crate) sequence: u64,
    /// Of each message; empty for a queue in memory.
    pub(crate) numbers: Vec<u64>,
}

impl Taken {
    /// Splits the messages from `index` on off. Both parts name the same batch.
    pub(crate) fn split_off(&mut self, index: usize) -> Taken {
        let numbers = self.numbers.split_off(index.min(self.numbers.len()));
        let mut rest = Taken { batch: self.batch.untracked(), sequence: self.sequence, numbers };
        rest.batch.skip(index);
        self.batch.truncate(index);
        rest
    }

    /// Leaves the first messages out: they are done with.
    pub(crate) fn skip(&mut self, count: usize) {
        self.batch.skip(count);
        self.numbers.drain(..count.min(self.numbers.len()));
    }
}

/// What the keeper is to write.
pub(super) struct ToKeep {
    pub(super) sequence: u64,
    pub(super) batch: Batch,
}

/// See the [module](self).
pub(super) struct Window {
    /// In order; of these the first `taken` were given to the output, and the first `kept` are on the disk.
    entries: VecDeque<Entry>,
    taken: usize,
    kept: usize,
    /// On their way to the disk, behind `entries` and behind what is only on the disk.
    incoming: VecDeque<Entry>,
    incoming_bytes: u64,
    bytes: u64,
    messages: u64,
    next_sequence: u64,
    /// Numbers from here on are not reserved yet.
    pub(super) reserved: u64,
    /// Whether the window may be longer than a window whose output goes on taking.
    impatient: bool,
    /// Whether what comes goes behind something that is only on the disk.
    pub(super) behind: bool,
    /// Whether the window is to be written to the disk.
    pub(super) keeps: bool,
    always_keeps: bool,
    holds_tokens: bool,
    /// Tokens of what is only on the disk, where only delivery counts: by the number behind the last message.
    held: VecDeque<(u64, Vec<TokenRef>)>,
    /// What the disk could not take: it is full.
    pub(super) disk_full: bool,
    /// Messages and bytes on the disk, as the keeper saw them last.
    pub(super) on_disk: (u64, u64),
    pub(super) done_below: u64,
    pub(super) synced_below: u64,
    pub(super) waiting_senders: usize,
    /// The keeper waits until the window is shorter.
    pub(super) keeper_waits: bool,
    pub(super) failing: bool,
    pub(super) closed: bool,
    /// The output was removed at a reload: nobody waits for it.
    pub(super) retired: bool,
    /// The output stage has ended.
    pub(super) output_ended: bool,
    /// Nothing that comes now is taken.
    pub(super) ended: bool,
}

impl Entry {
    pub(super) fn new(sequence: u64, batch: Batch, numbers: Option<Vec<u64>>) -> Entry {
        let (messages, bytes) = (batch.len(), batch.bytes() as u64);
        let last = numbers.as_ref().and_then(|numbers| numbers.last()).copied();
        let end = last.map_or(sequence + messages as u64, |last| last + 1);
        Entry { sequence, end, batch, numbers, messages, done_messages: 0, bytes, is_done: false }
    }

    pub(super) fn len(&self) -> usize {
        self.messages
    }

    /// Messages that are not done with.
    pub(super) fn left(&self) -> usize {
        self.messages - self.done_messages.min(self.messages)
    }

    /// Returns the entry without the messages with these indexes, ascending; `None` if nothing is left.
    pub(super) fn without(self, suppressed: &[u32]) -> Option<Entry> {
        if suppressed.is_empty() {
            return Some(self);
        }
        let Entry { sequence, mut batch, numbers, .. } = self;
        let mut numbers = numbers.unwrap_or_else(|| (sequence..).take(batch.len()).collect());
        let is_left = |index: usize| suppressed.binary_search(&(index as u32)).is_err();
        let mut index = 0;
        batch.retain(|_| {
            index += 1;
            is_left(index - 1)
        });
        index = 0;
        numbers.retain(|_| {
            index += 1;
            is_left(index - 1)
        });
        let first = *numbers.first()?;
        Some(Entry::new(first, batch, Some(numbers)))
    }
}

/// Bytes on their way to the disk, at most; as much again may be in the keeper's hands.
pub(super) fn incoming_bytes_max(config: &QueueConfig) -> u64 {
    INCOMING_BYTES_MAX.min(config.max_bytes / 4)
}

/// What the policy says when there is no room in the window.
fn full(config: &QueueConfig, bytes: u64, messages: u64) -> Place {
    match config.when_full {
        WhenFull::Block => Place::Wait,
        WhenFull::DropNewest => Place::DropNewest,
        WhenFull::DropOldest => Place::DropOldest((bytes, messages)),
    }
}

impl Window {
    pub(super) fn new(config: &QueueConfig, disk: Option<&DiskQueue>) -> Window {
        let next_sequence = disk.map_or(0, DiskQueue::next_sequence);
        Window {
            entries: VecDeque::new(),
            taken: 0,
            kept: 0,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            bytes: 0,
            messages: 0,
            next_sequence,
            reserved: if disk.is_some() { next_sequence } else { u64::MAX },
            impatient: false,
            behind: disk.is_some_and(|disk| disk.messages() > 0),
            keeps: config.kind == QueueKind::Disk,
            always_keeps: config.kind == QueueKind::Disk,
            holds_tokens: config.durability == Durability::Memory,
            held: VecDeque::new(),
            disk_full: false,
            on_disk: disk.map_or((0, 0), |disk| (disk.messages(), disk.bytes())),
            done_below: 0,
            synced_below: 0,
            waiting_senders: 0,
            keeper_waits: false,
            failing: false,
            closed: false,
            retired: false,
            output_ended: false,
            ended: false,
        }
    }

    /// Says where a batch may go; `must` says that it can't wait.
    pub(super) fn place_for(&mut self, batch: &Batch, config: &QueueConfig, must: bool) -> Place {
        let (bytes, messages) = (batch.bytes() as u64, batch.len() as u64);
        if self.next_sequence + messages > self.reserved {
            return if must { Place::DropNewest } else { Place::Wait };
        }
        if self.behind || self.always_keeps {
            let fits = self.incoming_bytes + bytes <= incoming_bytes_max(config) || self.incoming.is_empty();
            return match config.when_full {
                _ if must || fits || self.retired => Place::Disk,
                WhenFull::DropNewest if self.disk_full => Place::DropNewest,
                // Where the oldest are dropped, the keeper does it.
                _ => Place::Wait,
            };
        }
        if must || self.retired && config.kind == QueueKind::Memory {
            return Place::Window;
        }
        if config.max_messages.is_some_and(|max| !self.entries.is_empty() && self.messages + messages > max) {
            return full(config, bytes, messages);
        }
        if self.untaken() < PATIENT_BATCHES {
            return Place::Window;
        }
        if !self.impatient {
            return Place::Wait;
        }
        if self.bytes + bytes <= config.window_bytes_max() || self.entries.is_empty() {
            return Place::Window;
        }
        if config.kind == QueueKind::Memory {
            return full(config, bytes, messages);
        }
        (self.behind, self.keeps) = (true, true);
        Place::Disk
    }

    pub(super) fn push(&mut self, batch: Batch) {
        let entry = self.number(batch);
        self.count_in(&entry);
        self.entries.push_back(entry);
    }

    pub(super) fn push_incoming(&mut self, batch: Batch) {
        let entry = self.number(batch);
        self.incoming_bytes += entry.bytes;
        self.messages += entry.messages as u64;
        self.incoming.push_back(entry);
    }

    fn number(&mut self, batch: Batch) -> Entry {
        let entry = Entry::new(self.next_sequence, batch, None);
        self.next_sequence = entry.end;
        entry
    }

    fn count_in(&mut self, entry: &Entry) {
        self.bytes += entry.bytes;
        self.messages += entry.messages as u64;
    }

    /// Adds a batch that is on the disk.
    pub(super) fn push_kept(&mut self, entry: Entry) {
        debug_assert!(!self.has_to_keep(), "what is kept comes before what is not");
        self.count_in(&entry);
        self.entries.push_back(entry);
        self.kept = self.entries.len();
    }

    /// Takes the next batch out; a durable queue keeps the batch as well.
    pub(super) fn take(&mut self, durable: bool) -> Option<Taken> {
        let entry = self.entries.get_mut(self.taken)?;
        self.taken += 1;
        let batch = if durable { entry.batch.untracked() } else { entry.batch.take_untracked() };
        let numbers = match (&entry.numbers, durable) {
            (Some(numbers), _) => numbers.clone(),
            (None, true) => (entry.sequence..entry.end).collect(),
            (None, false) => Vec::new(),
        };
        Some(Taken { batch, sequence: entry.sequence, numbers })
    }

    /// Notes that a batch is done with; returns what is to be dropped outside the lock.
    pub(super) fn done(&mut self, sequence: u64) -> Vec<(Batch, Vec<TokenRef>)> {
        let mut dropped = Vec::new();
        let found = self.entries.binary_search_by_key(&sequence, |entry| entry.sequence);
        if let Ok(index) = found {
            let entry = &mut self.entries[index];
            entry.is_done = true;
            dropped.push((std::mem::take(&mut entry.batch), Vec::new()));
        }
        while self.entries.front().is_some_and(|entry| entry.is_done) {
            let Some(entry) = self.entries.pop_front() else { break };
            self.count_out(&entry);
            self.taken = self.taken.saturating_sub(1);
            self.kept = self.kept.saturating_sub(1);
            self.done_below = entry.end;
        }
        while self.held.front().is_some_and(|(end, _)| *end <= self.done_below) {
            let tokens = self.held.pop_front().map(|(_, tokens)| tokens).unwrap_or_default();
            dropped.push((Batch::default(), tokens));
        }
        if self.impatient && self.untaken() <= PATIENT_BATCHES / 2 {
            self.impatient = false;
        }
        dropped
    }

    /// Notes that the messages below a number are done with, of a batch that is not done as a whole.
    pub(super) fn done_partly(&mut self, sequence: u64, messages: usize, below: Option<u64>) {
        let Ok(index) = self.entries.binary_search_by_key(&sequence, |entry| entry.sequence) else { return };
        self.entries[index].done_messages += messages;
        if let (0, Some(below)) = (index, below) {
            self.done_below = self.done_below.max(below);
        }
    }

    fn count_out(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        self.messages -= entry.messages as u64;
    }

    pub(super) fn tokens(&self, sequence: u64) -> Vec<TokenRef> {
        let found = self.entries.binary_search_by_key(&sequence, |entry| entry.sequence);
        found.map_or(Vec::new(), |index| self.entries[index].batch.tokens().to_vec())
    }

    /// Drops the oldest batches that the output has not taken yet, until there is room.
    pub(super) fn drop_oldest(&mut self, (bytes, messages): (u64, u64)) -> Vec<Entry> {
        let (mut dropped, mut freed) = (Vec::new(), (0, 0));
        while (freed.0 < bytes || freed.1 < messages) && self.taken < self.entries.len() {
            let Some(entry) = self.entries.remove(self.taken) else { break };
            self.count_out(&entry);
            freed = (freed.0 + entry.bytes, freed.1 + entry.messages as u64);
            dropped.push(entry);
        }
        dropped
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<Entry> {
        (self.taken, self.kept, self.bytes, self.messages, self.incoming_bytes) = (0, 0, 0, 0, 0);
        let entries = self.entries.drain(..).filter(|entry| !entry.is_done);
        entries.chain(self.incoming.drain(..)).collect()
    }

    /// Messages that are neither done with nor on the disk.
    pub(super) fn count_unkept(&self) -> usize {
        let entries = self.entries.iter().skip(self.kept).filter(|entry| !entry.is_done);
        entries.chain(&self.incoming).map(Entry::left).sum()
    }

    /// Whether the window always goes to the disk.
    pub(super) fn keeps_always(&self) -> bool {
        self.always_keeps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.incoming.is_empty() && !self.behind
    }

    pub(super) fn is_patient(&self) -> bool {
        !self.impatient
    }

    pub(super) fn lose_patience(&mut self) {
        self.impatient = true;
    }

    /// Batches that wait for the output.
    fn untaken(&self) -> usize {
        self.entries.len() - self.taken
    }

    /// Whether senders are woken: not for each batch, so that they work in longer stretches.
    pub(super) fn has_room_again(&self) -> bool {
        self.impatient || self.untaken() <= PATIENT_BATCHES / 2
    }

    /// Whether the keeper is to read on from the disk.
    pub(super) fn wants_refill(&self) -> bool {
        self.behind && self.untaken() < PATIENT_BATCHES / 2
    }

    pub(super) fn wants_reservation(&self) -> bool {
        self.reserved != u64::MAX && self.next_sequence + RESERVED / 2 > self.reserved
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(super) fn has_incoming(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Batches of the window that are not on the disk yet, oldest first, up to `bytes_max`.
    pub(super) fn to_keep(&self, bytes_max: u64) -> Vec<ToKeep> {
        let mut bytes = 0;
        let left = self.entries.iter().skip(self.kept).filter(|entry| !entry.is_done);
        let fits = |entry: &&Entry| {
            bytes += entry.bytes;
            bytes <= bytes_max || bytes == entry.bytes
        };
        left.take_while(fits)
            .map(|entry| ToKeep { sequence: entry.sequence, batch: entry.batch.untracked() })
            .collect()
    }

    pub(super) fn has_to_keep(&self) -> bool {
        self.entries.iter().skip(self.kept).any(|entry| !entry.is_done)
    }

    /// Everything of the window up to this number is on the disk; returns the tokens to be let go.
    pub(super) fn kept(&mut self, last: u64) -> Vec<TokenRef> {
        let mut tokens = Vec::new();
        while let Some(entry) = self.entries.get_mut(self.kept)
            && entry.sequence <= last
        {
            if !self.holds_tokens {
                tokens.append(&mut entry.batch.take_tokens());
            }
            self.kept += 1;
        }
        tokens
    }

    /// Takes batches on their way to the disk, up to `bytes_max`.
    pub(super) fn take_incoming(&mut self, bytes_max: u64) -> Vec<Entry> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.incoming.front()
            && (taken.is_empty() || bytes + entry.bytes <= bytes_max)
        {
            bytes += entry.bytes;
            taken.extend(self.incoming.pop_front());
        }
        self.incoming_bytes -= bytes;
        self.messages -= taken.iter().map(|entry| entry.messages as u64).sum::<u64>();
        taken
    }

    /// Gives back what the disk could not take.
    pub(super) fn give_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.incoming_bytes += entry.bytes;
            self.messages += entry.messages as u64;
            self.incoming.push_front(entry);
        }
    }

    /// Tokens of what is only on the disk now: let go, or held until it is delivered.
    pub(super) fn release(&mut self, end: u64, tokens: Vec<TokenRef>) -> Vec<TokenRef> {
        if self.holds_tokens && end > self.done_below {
            self.held.push_back((end, tokens));
            return Vec::new();
        }
        tokens
    }

    /// Whether a batch that is on the disk may stay in the window as well, because nothing older is missing there.
    pub(super) fn has_short_cut(&self, bytes: u64) -> bool {
        let fits = self.bytes + bytes <= DURABLE_WINDOW_BYTES || self.entries.is_empty();
        !self.behind && !self.is_long() && fits
    }

    /// Whether the output has so many batches before it that more of them go to the disk only.
    pub(super) fn is_long(&self) -> bool {
        self.untaken() >= 2 * PATIENT_BATCHES
    }

    /// Whether the keeper waits on for an output that had a long window before it.
    pub(super) fn is_long_for_keeper(&self) -> bool {
        !self.behind && !self.failing && !self.output_ended && self.untaken() > PATIENT_BATCHES
    }

    /// Whether all that is older than what comes now is on the disk. What is on its way there stays before what comes,
    /// where everything goes that way.
    pub(super) fn is_behind_only_on_disk(&self) -> bool {
        self.behind && (self.incoming.is_empty() || self.always_keeps)
    }
}
