//! Where batches leave a stage: what is gathered for one receiver, and the channel to it.

use crate::arena::ArenaRef;
use crate::batch::{Batch, BatchLimits};
use crate::stats::{ChainStats, OutputStats};
use crate::token::TokenRef;
use crossbeam_channel::Sender;
use heka_plugin_api::abi::Item;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a chain or output stage is sent.
pub(crate) enum ToStage {
    /// Messages.
    Batch(Sent),
    /// Tickers strike a last time, before a shutdown.
    Flush,
    /// Files are to be opened anew.
    Reopen,
}

/// Who receives batches, and counts them as soon as they are sent.
#[derive(Clone)]
pub(crate) enum Receiver {
    /// With the count of batches inside chains.
    Chain(Arc<ChainStats>, Arc<AtomicUsize>),
    Output(Arc<OutputStats>),
}

impl Receiver {
    fn count(&self, messages: usize) {
        match self {
            Receiver::Chain(stats, in_flight) => {
                stats.taken.add(messages);
                in_flight.fetch_add(1, Ordering::AcqRel);
            }
            Receiver::Output(stats) => stats.marked.add(messages),
        }
    }

    fn count_abandoned(&self, messages: usize) {
        match self {
            Receiver::Chain(_, in_flight) => _ = in_flight.fetch_sub(1, Ordering::AcqRel),
            Receiver::Output(stats) => stats.abandoned.add(messages),
        }
    }
}

/// A batch on its way. One that nobody takes, because its receiver has ended, is counted as given up: receivers end
/// before their senders only at a shutdown past its deadline.
pub(crate) struct Sent {
    batch: Option<Batch>,
    receiver: Receiver,
}

impl Sent {
    /// Takes the batch out.
    pub(crate) fn take(mut self) -> Batch {
        self.batch.take().unwrap_or_default()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(batch) = &self.batch {
            self.receiver.count_abandoned(batch.len());
        }
    }
}

/// The sending end of a stage's channel.
#[derive(Clone)]
pub(crate) struct Outlet {
    pub(crate) sender: Sender<ToStage>,
    pub(crate) receiver: Receiver,
}

impl Outlet {
    /// Sends a batch; blocks while the receiver's channel is full.
    pub(crate) fn send(&self, batch: Batch) {
        self.receiver.count(batch.len());
        // One that can't be sent counts itself as given up.
        let _ =
            self.sender.send(ToStage::Batch(Sent { batch: Some(batch), receiver: self.receiver.clone() }));
    }

    /// Tells a chain to let its tickers strike a last time.
    pub(crate) fn send_flush(&self) {
        self.receiver.count(0);
        if self.sender.send(ToStage::Flush).is_err() {
            self.receiver.count_abandoned(0);
        }
    }

    /// As `send_flush`, but not if the chain's channel is full: then it could not pass on what its tickers emit.
    pub(crate) fn try_send_flush(&self) {
        self.receiver.count(0);
        if self.sender.try_send(ToStage::Flush).is_err() {
            self.receiver.count_abandoned(0);
        }
    }

    /// Tells an output to open its files anew; not if its channel is full, when it is busy enough to do so anyway.
    pub(crate) fn send_reopen(&self) {
        if self.sender.try_send(ToStage::Reopen).is_err() {
            log::warn!("an output is too busy to reopen its files; signal again");
        }
    }
}

/// What messages of one read or one batch live in and answer to.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    /// Differs from the last group's.
    pub(crate) id: u64,
    pub(crate) arenas: &'a [ArenaRef],
    pub(crate) tokens: &'a [TokenRef],
}

/// An outlet with the batch that gathers for it.
pub(crate) struct Gathering {
    outlet: Outlet,
    batch: Batch,
    limits: BatchLimits,
    /// Group whose arenas and tokens the batch holds already.
    held: u64,
}

impl Gathering {
    pub(crate) fn new(outlet: Outlet, limits: BatchLimits) -> Gathering {
        Gathering { outlet, batch: Batch::default(), limits, held: 0 }
    }

    /// Adds a message of `group`; sends the batch when it is full.
    #[inline]
    pub(crate) fn push(&mut self, item: Item, bytes: usize, group: Group<'_>) {
        if self.held != group.id {
            self.hold(group);
        }
        self.batch.push(item, bytes);
        if self.batch.is_full(&self.limits) {
            self.send();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.send();
        }
    }

    #[cold]
    fn hold(&mut self, group: Group<'_>) {
        self.batch.hold(group.arenas, group.tokens);
        self.held = group.id;
    }

    fn send(&mut self) {
        self.held = 0;
        self.outlet.send(self.batch.take(&self.limits));
    }
}
