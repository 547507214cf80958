//! The thread that keeps a durable queue's messages on the disk and reads them back.

use super::window::{Entry, RESERVED, ToKeep, incoming_bytes_max};
use super::{PATIENCE, Queue, ToOutput};
use crate::arena::{ArenaPool, RecordWriter};
use crate::batch::Batch;
use crate::config::WhenFull;
use crate::limited_log::LimitedLog;
use crate::token::TokenRef;
use crossbeam_channel::Sender;
use heka_plugin_api::MessageWriter;
use heka_queue::{Block, DiskQueue, QueueError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often the keeper looks for what was delivered, while there is something on the disk.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How often a full or failing disk is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How often an output is asked to sync at most.
const SYNC_INTERVAL: Duration = Duration::from_millis(200);
/// How long past the deadline the keeper waits to see how far the output got.
const OUTPUT_GRACE: Duration = Duration::from_millis(300);
/// How long after a stop was asked for everything goes to the disk.
const STOP_GRACE: Duration = Duration::from_millis(100);

/// Keeps a queue on the disk, on a thread of its own.
pub(crate) struct Keeper {
    queue: Arc<Queue>,
    disk: DiskQueue,
    ready: Sender<ToOutput>,
    writer: RecordWriter,
    block: Block,
    /// Whether the disk's reader stands at what comes next for the window.
    reading: bool,
    appended: Appended,
    /// What was written while the window was long, and may yet stay in memory.
    later: Vec<Entry>,
    acknowledged: u64,
    asked_sync: Option<Instant>,
    failed: Option<Instant>,
    stopping: Option<Instant>,
    aborting: Option<Instant>,
    log: LimitedLog,
}

/// What was appended, and is not known to be durable as the config wants it.
#[derive(Default)]
struct Appended {
    /// The last batch of the window.
    window: Option<u64>,
    /// Tokens of what went past the window, by the number behind the last message.
    incoming: Vec<(u64, Vec<TokenRef>)>,
}

impl Appended {
    fn is_empty(&self) -> bool {
        self.window.is_none() && self.incoming.is_empty()
    }
}

/// What the last look at the window found.
#[derive(PartialEq, Eq)]
enum Found {
    Work,
    Nothing,
    End,
}

impl Keeper {
    pub(super) fn new(queue: Arc<Queue>, disk: DiskQueue, ready: Sender<ToOutput>) -> Keeper {
        Keeper {
            reading: disk.messages() > 0,
            queue,
            disk,
            ready,
            writer: RecordWriter::new(&ArenaPool::default(), u32::MAX as usize),
            block: Block::default(),
            appended: Appended::default(),
            later: Vec::new(),
            acknowledged: 0,
            asked_sync: None,
            failed: None,
            stopping: None,
            aborting: None,
            log: LimitedLog::default(),
        }
    }

    /// Reserves the first numbers, before the queue is used.
    ///
    /// # Errors
    /// If the disk can't be written.
    pub(crate) fn prepare(&mut self, pool: &ArenaPool) -> Result<(), QueueError> {
        self.writer = RecordWriter::new(pool, u32::MAX as usize);
        self.reserve()
    }

    /// Runs until all senders are gone and everything is delivered, or on the disk where the output can't deliver.
    pub(crate) fn run(mut self) {
        loop {
            let result = self.work();
            match result {
                Ok(Found::End) => break,
                Ok(Found::Work) => self.failed = None,
                Ok(Found::Nothing) => self.wait(),
                Err(error) => {
                    self.failed = Some(Instant::now());
                    let name = self.queue.name.clone();
                    self.log.warn(|| format!("output `{name}`: queue: {error}"));
                    if self.queue.stop.is_aborting() {
                        break;
                    }
                    self.wait();
                }
            }
        }
        self.end();
    }

    fn work(&mut self) -> Result<Found, QueueError> {
        self.look_at_stop();
        self.reserve_more()?;
        self.acknowledge()?;
        let refilled = self.refill()?;
        let kept = self.keep()?;
        if refilled || kept {
            return Ok(Found::Work);
        }
        let window = self.queue.lock();
        // An output that hangs is not waited for.
        let leaves = self.queue.stop.is_aborting()
            && (window.output_ended || self.aborting.is_some_and(|since| since.elapsed() >= OUTPUT_GRACE));
        let is_over = window.closed && window.is_empty();
        let is_kept = window.disk_full || !window.has_to_keep() && !window.has_incoming();
        Ok(if is_over || leaves && is_kept { Found::End } else { Found::Nothing })
    }

    /// When the router stops, what is still in memory goes to the disk, so that its inputs need not wait.
    fn look_at_stop(&mut self) {
        let stop = &self.queue.stop;
        if !stop.is_stopping() && !stop.is_aborting() {
            return;
        }
        if stop.is_aborting() {
            self.aborting.get_or_insert_with(Instant::now);
        }
        let since = self.stopping.get_or_insert_with(Instant::now).elapsed();
        let mut window = self.queue.lock();
        window.keeps |= window.failing || since >= STOP_GRACE || stop.is_aborting();
    }

    fn reserve(&mut self) -> Result<(), QueueError> {
        let next = self.queue.lock().next_sequence().max(self.disk.next_sequence());
        self.disk.reserve(next + RESERVED)?;
        self.queue.lock().reserved = next + RESERVED;
        self.queue.room.notify_all();
        Ok(())
    }

    fn reserve_more(&mut self) -> Result<(), QueueError> {
        let wanted = self.queue.lock().wants_reservation();
        if wanted { self.reserve() } else { Ok(()) }
    }

    /// Lets the disk forget what was delivered, and synced where that is asked for.
    fn acknowledge(&mut self) -> Result<(), QueueError> {
        let (done, synced) = {
            let window = self.queue.lock();
            (window.done_below, window.synced_below)
        };
        let below = if self.queue.config.syncs() { synced } else { done };
        if below > self.acknowledged {
            self.disk.acknowledge(below)?;
            self.acknowledged = below;
            self.asked_sync = None;
            self.note();
        }
        let asks = self.asked_sync.is_none_or(|asked| asked.elapsed() >= SYNC_INTERVAL);
        if self.queue.config.syncs() && done > synced && asks {
            self.asked_sync = Some(Instant::now());
            let _ = self.ready.send(ToOutput::Sync);
        }
        Ok(())
    }

    /// Tells the others what is on the disk.
    fn note(&mut self) {
        let on_disk = (self.disk.messages(), self.disk.bytes());
        self.queue.stats.on_disk.set(on_disk.0);
        let mut window = self.queue.lock();
        window.on_disk = on_disk;
        if window.waiting_senders > 0 {
            self.queue.room.notify_all();
        }
    }

    /// Reads on from the disk while the window is short.
    fn refill(&mut self) -> Result<bool, QueueError> {
        let mut refilled = false;
        loop {
            {
                let window = self.queue.lock();
                if !window.wants_refill() || window.has_to_keep() {
                    return Ok(refilled);
                }
            }
            if !(self.reading && self.disk.read(&mut self.block)?) {
                let mut window = self.queue.lock();
                // Nothing more is on the disk; what comes now may go straight into the window.
                if window.is_behind_only_on_disk() {
                    (window.behind, self.reading) = (false, false);
                    window.keeps = window.keeps_always() || self.stopping.is_some();
                    self.queue.room.notify_all();
                }
                return Ok(refilled);
            }
            refilled = true;
            let Some(entry) = self.copy_block() else { continue };
            let mut window = self.queue.lock();
            window.push_kept(entry);
            let _ = self.ready.send(ToOutput::Ready);
        }
    }

    /// Makes a batch of the block that was read.
    fn copy_block(&mut self) -> Option<Entry> {
        let (mut entries, mut numbers, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        // SAFETY: the writer is the host's own.
        let mut copies = unsafe { MessageWriter::from_raw(self.writer.raw(), &mut entries) };
        for kept in self.block.messages() {
            let record = kept.message.record();
            if copies.copy_from(&kept.message, kept.message.origin(), record.flags).is_ok() {
                numbers.push(kept.sequence);
                sources.push(kept.source);
            }
        }
        let (mut items, mut arenas) = (Vec::new(), Vec::new());
        self.writer.take(&mut items, &mut arenas);
        let mut batch = Batch::default();
        batch.hold(&arenas, &[]);
        for (item, source) in items.iter_mut().zip(&sources) {
            item.marks = *source;
            // SAFETY: the arenas keep the record.
            batch.push(*item, unsafe { (*item.record).size } as usize);
        }
        let first = *numbers.first()?;
        Some(Entry::new(first, batch, Some(numbers)))
    }

    /// Writes the window, if it is to be kept, or what comes behind it; tells whether anything was written.
    fn keep(&mut self) -> Result<bool, QueueError> {
        if self.failed.is_some_and(|failed| failed.elapsed() < RETRY_INTERVAL)
            && !self.queue.stop.is_aborting()
        {
            return Ok(false);
        }
        if !self.appended.is_empty() {
            self.settle()?;
            return Ok(true);
        }
        // One group of a group commit.
        let group_bytes_max = incoming_bytes_max(&self.queue.config);
        let (from_window, incoming) = {
            let mut window = self.queue.lock();
            let from_window = if window.keeps { window.to_keep(group_bytes_max) } else { Vec::new() };
            let waits = window.keeps && window.has_to_keep();
            let incoming = if waits { Vec::new() } else { window.take_incoming(group_bytes_max) };
            (from_window, incoming)
        };
        if !from_window.is_empty() {
            return self.keep_window(&from_window);
        }
        if incoming.is_empty() {
            return Ok(false);
        }
        if self.queue.lock().waiting_senders > 0 {
            self.queue.room.notify_all();
        }
        self.keep_incoming(incoming)
    }

    fn keep_window(&mut self, batches: &[ToKeep]) -> Result<bool, QueueError> {
        let mut last = None;
        let mut result = Ok(());
        for ToKeep { sequence, batch } in batches {
            match self.append(*sequence, batch) {
                Ok(Some(_)) => last = Some(*sequence),
                Ok(None) => break,
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.appended.window = last.or(self.appended.window);
        self.settle()?;
        result.map(|()| last.is_some())
    }

    fn keep_incoming(&mut self, entries: Vec<Entry>) -> Result<bool, QueueError> {
        let mut tokens = Vec::new();
        let mut left = entries.into_iter();
        let mut result = Ok(());
        while let Some(mut entry) = left.next() {
            let end = entry.end;
            let suppressed = match self.append(entry.sequence, &entry.batch) {
                Ok(Some(suppressed)) => suppressed,
                refused => {
                    let rest = std::iter::once(entry).chain(left.by_ref()).collect();
                    self.queue.lock().give_back(rest);
                    result = refused.map(|_| ());
                    break;
                }
            };
            tokens.push((end, entry.batch.take_tokens()));
            let Some(entry) = entry.without(&suppressed) else { continue };
            let left = if self.later.is_empty() { self.show(entry) } else { Some(entry) };
            self.later.extend(left);
        }
        let has_kept = !tokens.is_empty();
        self.appended.incoming.append(&mut tokens);
        let settled = self.settle();
        self.show_later();
        settled.and(result).map(|()| has_kept)
    }

    /// Lets go of the tokens of what was appended, after a sync where that is asked for. When the sync fails, they
    /// stay until a later one succeeds; nothing is appended meanwhile.
    fn settle(&mut self) -> Result<(), QueueError> {
        if self.appended.is_empty() {
            return Ok(());
        }
        if self.queue.config.syncs() {
            self.disk.sync()?;
        }
        let Appended { window: last, incoming } = std::mem::take(&mut self.appended);
        let mut window = self.queue.lock();
        let of_window = last.map(|last| window.kept(last));
        let free: Vec<_> = incoming.into_iter().map(|(end, tokens)| window.release(end, tokens)).collect();
        drop(window);
        // Outside the lock.
        drop((of_window, free));
        self.note();
        Ok(())
    }

    /// Lets a batch that is on the disk stay in the window; gives it back if there is no room.
    fn show(&mut self, entry: Entry) -> Option<Entry> {
        let mut window = self.queue.lock();
        if !window.has_short_cut(entry.batch.bytes() as u64) {
            return Some(entry);
        }
        window.push_kept(entry);
        let _ = self.ready.send(ToOutput::Ready);
        None
    }

    /// Shows what there was no room for: waits a little for an output that goes on taking, then leaves the rest to be
    /// read back.
    fn show_later(&mut self) {
        let mut later = std::mem::take(&mut self.later).into_iter();
        for entry in later.by_ref() {
            self.wait_for_output();
            if let Some(left) = self.show(entry) {
                self.read_back(left.sequence);
                break;
            }
        }
        drop(later);
    }

    /// Lets the window continue from the disk.
    fn read_back(&mut self, sequence: u64) {
        self.queue.lock().behind = true;
        if !self.reading {
            self.reading = true;
            self.disk.skip_to(sequence);
        }
    }

    fn wait_for_output(&self) {
        let until = Instant::now() + PATIENCE;
        let mut window = self.queue.lock();
        if !window.is_long() {
            return;
        }
        while window.is_long_for_keeper() && !self.queue.stop.is_stopping() && !self.queue.stop.is_aborting()
        {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            window.keeper_waits = true;
            let woken = self.queue.work.wait_timeout(window, left);
            window = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        window.keeper_waits = false;
    }

    /// Appends a batch; returns which of its messages were duplicates, or nothing if there is no room.
    fn append(&mut self, sequence: u64, batch: &Batch) -> Result<Option<Vec<u32>>, QueueError> {
        let has_room = self.make_room(sequence, batch)?;
        let entries = batch.messages().zip(batch.items()).zip(sequence..);
        let entries: Vec<heka_queue::Entry<'_>> = entries
            .map(|((message, item), sequence)| heka_queue::Entry { source: item.marks, sequence, message })
            .collect();
        let appended = if has_room { self.disk.append(&entries).map(Some) } else { Ok(None) };
        let is_full = !matches!(appended, Ok(Some(_)));
        let mut window = self.queue.lock();
        if std::mem::replace(&mut window.disk_full, is_full) != is_full {
            self.queue.room.notify_all();
        }
        drop(window);
        let Some(appended) = appended? else { return Ok(None) };
        self.queue.stats.duplicates.add(appended.suppressed);
        Ok(Some(self.disk.suppressed().to_vec()))
    }

    /// Tells whether a batch may be appended, after the oldest made room where that is the policy.
    fn make_room(&mut self, sequence: u64, batch: &Batch) -> Result<bool, QueueError> {
        let (bytes, messages) = (batch.bytes() as u64, batch.len() as u64);
        if !self.disk.has_room(bytes, messages) {
            // What was delivered may still take room.
            self.disk.reclaim()?;
        }
        while !self.disk.has_room(bytes, messages) {
            if self.queue.config.when_full != WhenFull::DropOldest || self.disk.messages() == 0 {
                let (name, waiting) = (&self.queue.name, self.disk.messages());
                self.log.warn(|| {
                    format!("output `{name}`: its queue is full: {waiting} messages wait on the disk")
                });
                return Ok(false);
            }
            self.drop_oldest(sequence, bytes)?;
        }
        Ok(true)
    }

    /// Makes room on the disk for a batch that begins at `sequence`. What is in the window as well is still delivered.
    fn drop_oldest(&mut self, sequence: u64, bytes: u64) -> Result<(), QueueError> {
        match self.later.first().map(|entry| entry.sequence) {
            Some(later) => self.read_back(later),
            None if self.reading => {}
            None => self.disk.skip_to(sequence),
        }
        self.later.clear();
        let dropped = self.disk.drop_oldest(bytes)?;
        self.queue.stats.dropped.add(dropped as usize);
        self.note();
        Ok(())
    }

    fn wait(&mut self) {
        let window = self.queue.lock();
        let stop = &self.queue.stop;
        // A full disk is looked at again now and then.
        let has_work = !window.disk_full && (window.keeps && window.has_to_keep() || window.has_incoming());
        let is_over = window.closed && window.is_empty() || stop.is_aborting() && window.output_ended;
        if self.failed.is_none() && (has_work || window.wants_refill() && self.reading || is_over) {
            return;
        }
        let looks = self.failed.is_some()
            || window.disk_full
            || window.on_disk.0 > 0
            || window.closed
            || stop.is_stopping();
        let condvar = &self.queue.work;
        if looks {
            let time = if self.failed.is_some() { RETRY_INTERVAL } else { LOOK_INTERVAL };
            let _woken = condvar.wait_timeout(window, time).unwrap_or_else(PoisonError::into_inner);
        } else {
            let _woken = condvar.wait(window).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the window: what is in it and not on the disk is given up.
    fn end(&mut self) {
        let queue = self.queue.clone();
        let mut window = queue.lock();
        window.ended = true;
        let lost = window.count_unkept();
        // What was appended but could not be synced is not acknowledged.
        std::mem::take(&mut self.appended.incoming)
            .into_iter()
            .flat_map(|(_, tokens)| tokens)
            .for_each(std::mem::forget);
        let left = window.drain();
        drop(window);
        queue.abandon(lost);
        drop(left);
        queue.room.notify_all();
        if let Err(error) = self.acknowledge() {
            log::warn!("output `{}`: queue: {error}", queue.name);
        }
        self.note();
        let _ = self.ready.send(ToOutput::End);
    }
}
