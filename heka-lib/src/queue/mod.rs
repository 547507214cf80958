//! What waits for an output: a window of batches in memory and, for the kinds `disk` and `spill`, a
//! [`DiskQueue`](heka_queue::DiskQueue) behind it.
//!
//! Senders put batches in, the output stage takes them out one after the other and says when each is done with. A
//! thread of its own, the [`Keeper`], writes to the disk and reads back. Every message of a durable queue has a number,
//! ascending and never used twice, that outputs see.
//!
//! | kind | a batch goes | its tokens are let go |
//! |---|---|---|
//! | `memory` | into the window | when it is delivered |
//! | `spill` | into the window; when that is full, the whole window and what comes then go to the disk, until all of that is read back | when it is delivered or on the disk |
//! | `disk` | to the disk, and from there, or by a short cut, into the window | when it is on the disk |
//!
//! A saturated output that goes on taking batches keeps its window short: senders wait for it up to [`PATIENCE`]
//! before they make the window longer. So what is in flight stays in the cache, and a slow or dead output's senders
//! are let go soon. For the same reason the keeper waits so long before it leaves to the disk alone what it wrote.
//!
//! **Invariant: a window goes to the disk as a whole.** What is on the disk then has no older neighbour that was only in
//! memory, so that after a crash "at or before what was appended" means "is on the disk or was delivered".

mod keeper;
#[cfg(test)]
mod tests;
mod window;

use crate::batch::Batch;
use crate::config::{Durability, QueueConfig, QueueKind};
use crate::stats::OutputStats;
use crate::stop::StopFlags;
use crate::token::TokenRef;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use window::{Place, Window};

pub(crate) use keeper::Keeper;
pub(crate) use window::Taken;

/// How long senders wait for an output that is behind, before its window may grow to its full size.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a waiting sender looks whether the router ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What an output stage is sent.
pub(crate) enum ToOutput {
    /// A batch is in the queue, if it has not been dropped since.
    Ready,
    /// Files are to be opened anew.
    Reopen,
    /// What was delivered is to be made durable: the queue waits to forget it.
    Sync,
    /// A reload has left something at the stage's [`Control`](crate::control::Control).
    Look,
    /// Nothing comes any more.
    End,
}

/// A queue as all its users share it.
pub(crate) struct Queue {
    name: String,
    config: QueueConfig,
    /// Zeros for a queue in memory.
    id: [u8; 16],
    window: Mutex<Window>,
    /// Notified when there is room for senders.
    room: Condvar,
    /// Notified when there is something to do for the keeper.
    work: Condvar,
    stats: Arc<OutputStats>,
    stop: StopFlags,
}

/// The sending end. When the last one is gone, the output stage ends with its queue.
#[derive(Clone)]
pub(crate) struct QueueSender {
    open: Arc<Open>,
}

/// The output stage's end.
pub(crate) struct QueueReceiver {
    queue: Arc<Queue>,
    pub(crate) ready: Receiver<ToOutput>,
}

/// Lets a queue's threads look whether the router stops.
#[derive(Clone)]
pub(crate) struct QueueWaker(Arc<Queue>);

impl QueueWaker {
    pub(crate) fn wake(&self) {
        let _window = self.0.lock();
        self.0.work.notify_all();
        self.0.room.notify_all();
    }
}

/// Closes the queue when the last sender is gone.
struct Open {
    queue: Arc<Queue>,
    ready: Sender<ToOutput>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.work.notify_all();
        if !self.queue.is_durable() {
            // Otherwise the keeper says so.
            let _ = self.ready.send(ToOutput::End);
        }
    }
}

impl Queue {
    /// Makes a queue; `disk` is for the durable kinds.
    pub(crate) fn open(
        name: &str,
        config: &QueueConfig,
        stats: Arc<OutputStats>,
        stop: StopFlags,
        disk: Option<heka_queue::DiskQueue>,
    ) -> (QueueSender, QueueReceiver, Option<Keeper>) {
        let window = Window::new(config, disk.as_ref());
        let queue = Arc::new(Queue {
            name: name.to_owned(),
            config: config.clone(),
            id: disk.as_ref().map_or([0; 16], |disk| disk.id()),
            window: Mutex::new(window),
            room: Condvar::new(),
            work: Condvar::new(),
            stats,
            stop,
        });
        let (sender, receiver) = unbounded();
        let keeper = disk.map(|disk| Keeper::new(queue.clone(), disk, sender.clone()));
        let open = Arc::new(Open { queue: queue.clone(), ready: sender });
        (QueueSender { open }, QueueReceiver { queue, ready: receiver }, keeper)
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_durable(&self) -> bool {
        self.config.kind != QueueKind::Memory
    }

    fn wait_for_room<'w>(
        &self,
        mut window: MutexGuard<'w, Window>,
        time: Duration,
    ) -> MutexGuard<'w, Window> {
        window.waiting_senders += 1;
        let (mut window, _) = self.room.wait_timeout(window, time).unwrap_or_else(PoisonError::into_inner);
        window.waiting_senders -= 1;
        window
    }

    /// Counts messages as given up: they are neither delivered nor on the disk.
    fn abandon(&self, messages: usize) {
        self.stats.abandoned.add(messages);
    }
}

impl QueueSender {
    /// Puts a batch in; waits while there is no room, if the policy is to `block`.
    pub(crate) fn send(&self, batch: Batch) {
        self.open.queue.stats.marked.add(batch.len());
        self.put(batch);
    }

    /// As `send`, of a dead letter that is put back.
    pub(crate) fn replay(&self, batch: Batch) {
        self.open.queue.stats.replayed.add(batch.len());
        self.put(batch);
    }

    fn put(&self, batch: Batch) {
        let Open { queue, ready } = &*self.open;
        let mut window = queue.lock();
        let mut asked: Option<Instant> = None;
        loop {
            if queue.stop.is_aborting() && (!queue.is_durable() || window.ended) {
                drop(window);
                return queue.abandon(batch.len());
            }
            match window.place_for(&batch, &queue.config, queue.stop.is_aborting()) {
                Place::Window => {
                    window.push(batch);
                    // Under the lock, so that markers come in the order of the entries. Nobody waits in there.
                    let _ = ready.send(ToOutput::Ready);
                    return;
                }
                Place::Disk => {
                    window.push_incoming(batch);
                    queue.work.notify_one();
                    return;
                }
                Place::Wait => {
                    let asked = *asked.get_or_insert_with(Instant::now);
                    let left = PATIENCE.saturating_sub(asked.elapsed());
                    if left.is_zero() && window.is_patient() {
                        window.lose_patience();
                        continue;
                    }
                    if queue.is_durable() {
                        queue.work.notify_one();
                    }
                    let time = if left.is_zero() { LOOK_INTERVAL } else { left };
                    window = queue.wait_for_room(window, time);
                }
                Place::DropOldest(wanted) => {
                    let dropped = window.drop_oldest(wanted);
                    let count = dropped.iter().map(|entry| entry.len()).sum();
                    queue.stats.dropped.add(count);
                    if dropped.is_empty() {
                        window = queue.wait_for_room(window, LOOK_INTERVAL);
                    } else {
                        // Tokens are let go outside the lock.
                        drop(window);
                        drop(dropped);
                        window = queue.lock();
                    }
                }
                Place::DropNewest => {
                    drop(window);
                    return queue.stats.dropped.add(batch.len());
                }
            }
        }
    }

    /// Tells the output to open its files anew.
    pub(crate) fn send_reopen(&self) {
        let _ = self.open.ready.send(ToOutput::Reopen);
    }

    /// Lets the output look at its control.
    pub(crate) fn call(&self) {
        let _ = self.open.ready.send(ToOutput::Look);
    }

    /// The output was removed: senders that wait for room are let go, since they have their new routes to look at.
    pub(crate) fn retire(&self) {
        self.open.queue.lock().retired = true;
        self.open.queue.room.notify_all();
    }

    /// Returns what wakes the queue and doesn't keep it open.
    pub(crate) fn waker(&self) -> QueueWaker {
        QueueWaker(self.open.queue.clone())
    }
}

impl QueueReceiver {
    /// Id of the durable queue; `None` for one in memory.
    pub(crate) fn id(&self) -> Option<[u8; 16]> {
        self.queue.is_durable().then_some(self.queue.id)
    }

    /// Takes the next batch out; it stays in the window until it is [`done`](QueueReceiver::done).
    pub(crate) fn take(&self) -> Option<Taken> {
        let mut window = self.queue.lock();
        let taken = window.take(self.queue.is_durable());
        if window.wants_refill() || window.keeper_waits && !window.is_long_for_keeper() {
            self.queue.work.notify_one();
        }
        if window.waiting_senders > 0 && window.has_room_again() {
            self.queue.room.notify_all();
        }
        taken
    }

    /// A batch is done with: delivered, or a dead letter.
    pub(crate) fn done(&self, sequence: u64) {
        let queue = &*self.queue;
        let mut window = queue.lock();
        let entry = window.done(sequence);
        let has_room = window.waiting_senders > 0 && window.has_room_again();
        let wake = window.wants_refill() || window.closed && window.is_empty();
        drop(window);
        if has_room {
            queue.room.notify_all();
        }
        if wake && queue.is_durable() {
            queue.work.notify_one();
        }
        drop(entry);
    }

    /// Messages of a batch are done with, and the others are not; of a durable queue, those from `below` on.
    pub(crate) fn done_partly(&self, sequence: u64, messages: usize, below: Option<u64>) {
        self.queue.lock().done_partly(sequence, messages, below);
    }

    /// Tokens of a batch that was taken: what becomes a dead letter of it answers to these.
    pub(crate) fn tokens(&self, sequence: u64) -> Vec<TokenRef> {
        self.queue.lock().tokens(sequence)
    }

    /// The output can't deliver now, or can again.
    pub(crate) fn set_failing(&self, failing: bool) {
        let mut window = self.queue.lock();
        if std::mem::replace(&mut window.failing, failing) != failing && failing {
            self.queue.work.notify_one();
        }
    }

    /// Tells whether the output is to leave what it can't deliver now: it is on the disk, and the router ends.
    pub(crate) fn is_left(&self) -> bool {
        self.queue.lock().ended
    }

    /// Everything that was done before [`ToOutput::Sync`] came is durable now.
    pub(crate) fn synced(&self, below: u64) {
        let mut window = self.queue.lock();
        window.synced_below = window.synced_below.max(below);
        self.queue.work.notify_one();
    }

    /// The number below which everything is done.
    pub(crate) fn done_below(&self) -> u64 {
        self.queue.lock().done_below
    }

    /// The output stage ends: what is still in the window of a queue in memory is given up, and the keeper of another
    /// one knows how far it got.
    pub(crate) fn end(&self) {
        let queue = &*self.queue;
        let mut window = queue.lock();
        window.output_ended = true;
        if queue.is_durable() {
            return queue.work.notify_all();
        }
        window.ended = true;
        let left = window.drain();
        drop(window);
        queue.abandon(left.iter().map(|entry| entry.left()).sum());
        queue.room.notify_all();
    }
}

impl QueueConfig {
    /// Bytes that the window holds at most.
    fn window_bytes_max(&self) -> u64 {
        match self.kind {
            QueueKind::Memory => self.max_bytes,
            _ => window::DURABLE_WINDOW_BYTES.min(self.max_bytes),
        }
    }

    /// Whether the disk is synced before tokens are let go, and the output's own `sync` comes before the queue forgets.
    fn syncs(&self) -> bool {
        self.durability == Durability::Fsync
    }
}
