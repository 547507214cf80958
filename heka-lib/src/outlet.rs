//! Where batches leave a stage: what is gathered for one receiver, and the channel to it.

use crate::arena::ArenaRef;
use crate::batch::{Batch, BatchLimits};
use crate::queue::QueueSender;
use crate::stats::ChainStats;
use crate::token::TokenRef;
use crossbeam_channel::Sender;
use heka_plugin_api::abi::Item;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a chain stage is sent.
pub(crate) enum ToChain {
    /// Messages.
    Batch(Sent),
    /// Tickers strike a last time, before a shutdown.
    Flush,
    /// A reload has left something at the stage's [`Control`](crate::control::Control).
    Look,
}

/// A batch on its way to a chain. One that nobody takes, because the chain has ended, still leaves the count of
/// batches inside chains: chains end before their senders only at a shutdown past its deadline.
pub(crate) struct Sent {
    batch: Option<Batch>,
    in_flight: Arc<AtomicUsize>,
}

impl Sent {
    /// Takes the batch out.
    pub(crate) fn take(mut self) -> Batch {
        self.batch.take().unwrap_or_default()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.batch.is_some() {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The way into a chain.
#[derive(Clone)]
pub(crate) struct ChainSender {
    pub(crate) sender: Sender<ToChain>,
    pub(crate) stats: Arc<ChainStats>,
    /// Batches inside chains.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

impl ChainSender {
    fn send(&self, batch: Batch) {
        self.stats.taken.add(batch.len());
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        // One that can't be sent counts itself out.
        let _ =
            self.sender.send(ToChain::Batch(Sent { batch: Some(batch), in_flight: self.in_flight.clone() }));
    }

    /// Tells a chain to let its tickers strike a last time.
    pub(crate) fn send_flush(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        if self.sender.send(ToChain::Flush).is_err() {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// As `send_flush`, but not if the chain's channel is full: then it could not pass on what its tickers emit.
    pub(crate) fn try_send_flush(&self) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        if self.sender.try_send(ToChain::Flush).is_err() {
            self.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl ChainSender {
    /// Lets a stage that has nothing to do look at its control; another one looks there anyway.
    pub(crate) fn call(&self) {
        let _ = self.sender.try_send(ToChain::Look);
    }
}

/// The way to a receiver of batches.
#[derive(Clone)]
pub(crate) enum Outlet {
    Chain(ChainSender),
    Output(QueueSender),
}

impl Outlet {
    /// Sends a batch; blocks while the receiver has no room, and its policy is to block.
    pub(crate) fn send(&self, batch: Batch) {
        match self {
            Outlet::Chain(chain) => chain.send(batch),
            Outlet::Output(queue) => queue.send(batch),
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
