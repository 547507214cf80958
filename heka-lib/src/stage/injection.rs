//! The injection stage: routes messages that filters emit to the router, and those of embedders.
//!
//! **Invariant:** putting messages into the lane waits for no chain, so that no chain ever waits for itself. What the
//! lane refuses is a dead letter, whose output may make it wait: outputs wait for no chain either.

use crate::arena::{ArenaPool, ArenaRef, RecordWriter};
use crate::batch::Batch;
use crate::control::{Answer, Answered};
use crate::dead_letter::{DeadLetterWay, DeadLetters};
use crate::outlet::Group;
use crate::routes::{RoutePlan, Routes};
use crate::stats::InjectionStats;
use crate::token::TokenRef;
use crossbeam_channel::{Receiver, Sender, unbounded};
use heka_plugin_api::abi::{Item, record_flag};
use heka_plugin_api::{Message, MessageWriter};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the injection stage is sent.
pub(crate) enum ToLane {
    Batch(Batch),
    /// Routes are these from now on.
    Routes(Box<RoutePlan>, Answer),
    /// Nothing comes any more.
    Close,
}

/// The way into the injection stage; bounded in bytes.
#[derive(Clone)]
pub(crate) struct Lane {
    sender: Sender<ToLane>,
    shared: Arc<LaneState>,
}

struct LaneState {
    bytes: AtomicU64,
    bytes_max: u64,
    hops_max: u16,
    stats: Arc<InjectionStats>,
    dead_letters: Mutex<DeadLetters>,
    dead_letter_way: DeadLetterWay,
    in_flight: Arc<AtomicUsize>,
}

impl Lane {
    pub(crate) fn new(
        bytes_max: u64,
        hops_max: u16,
        stats: Arc<InjectionStats>,
        dead_letters: DeadLetters,
        in_flight: Arc<AtomicUsize>,
    ) -> (Lane, Receiver<ToLane>) {
        let (sender, receiver) = unbounded();
        let shared = LaneState {
            bytes: AtomicU64::new(0),
            bytes_max,
            hops_max,
            stats,
            dead_letter_way: dead_letters.way(),
            dead_letters: Mutex::new(dead_letters),
            in_flight,
        };
        (Lane { sender, shared: Arc::new(shared) }, receiver)
    }

    /// Puts newly written messages into the lane; what doesn't fit, or went round too often, is a dead letter.
    ///
    /// The records must not be shared yet: their hop count is set here. `tokens` are those of what they were made from.
    pub(crate) fn put(&self, items: &[Item], arenas: &[ArenaRef], hops: u16, tokens: &[TokenRef]) {
        let mut batch = Batch::default();
        batch.hold(arenas, tokens);
        for item in items {
            // SAFETY: just written by this thread and not shared yet.
            let size = unsafe {
                (*item.record.cast_mut()).hops = hops;
                (*item.record.cast_mut()).flags |= record_flag::UNORDERED;
                (*item.record).size as usize
            };
            batch.push(*item, size);
        }
        if hops > self.shared.hops_max {
            let hops_max = self.shared.hops_max;
            self.refuse(&batch, &format!("went through the router more than {hops_max} times (`hops_max`)"));
        } else if !self.reserve(batch.bytes() as u64) {
            self.refuse(&batch, "the injection lane is full (`inject_lane_bytes_max`)");
        } else {
            self.shared.stats.injected.add(batch.len());
            self.shared.in_flight.fetch_add(1, Ordering::AcqRel);
            // The receiver ends after all lanes.
            let _ = self.sender.send(ToLane::Batch(batch));
        }
    }

    fn reserve(&self, bytes: u64) -> bool {
        let before = self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before + bytes <= self.shared.bytes_max || before == 0;
        if !fits {
            self.shared.bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
        fits
    }

    fn refuse(&self, batch: &Batch, reason: &str) {
        self.shared.stats.dead_lettered.add(batch.len());
        let mut dead_letters = self.shared.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        batch.messages().for_each(|message| dead_letters.bury(&message, reason, 1, batch.tokens()));
    }

    /// Ends the injection stage once it has done what is in the lane.
    pub(crate) fn close(&self) {
        // The output for dead letters ends when nobody can send to it any more.
        self.shared.dead_letter_way.set(None);
        let _ = self.sender.send(ToLane::Close);
    }

    /// Lets the stage route by another plan, behind what is in the lane.
    pub(crate) fn set_routes(&self, plan: RoutePlan) -> Answered {
        let (answer, answered) = Answer::new();
        let _ = self.sender.send(ToLane::Routes(Box::new(plan), answer));
        answered
    }

    /// Messages put into the lane so far.
    pub(crate) fn injected(&self) -> u64 {
        self.shared.stats.injected.value()
    }

    /// Copies messages of an embedder into the lane.
    pub(crate) fn inject(
        &self,
        message: &Message<'_>,
        pool: &ArenaPool,
        bytes_max: usize,
    ) -> Result<(), String> {
        let mut writer = RecordWriter::new(pool, bytes_max);
        let mut entries = Vec::new();
        // SAFETY: the writer is the host's own.
        let copied = unsafe { MessageWriter::from_raw(writer.raw(), &mut entries) }.copy(message);
        copied.map_err(|error| error.to_string())?;
        let (mut items, mut arenas) = (Vec::new(), Vec::new());
        writer.take(&mut items, &mut arenas);
        self.put(&items, &arenas, message.hops(), &[]);
        Ok(())
    }
}

/// The injection stage.
pub(crate) struct InjectionStage {
    pub(crate) receiver: Receiver<ToLane>,
    pub(crate) lane: Lane,
    pub(crate) routes: Routes,
}

impl InjectionStage {
    /// Runs until the lane is closed.
    pub(crate) fn run(self) {
        let InjectionStage { receiver, lane, mut routes } = self;
        let shared = lane.shared;
        while let Ok(sent) = receiver.recv() {
            let batch = match sent {
                ToLane::Batch(batch) => batch,
                ToLane::Routes(plan, answer) => {
                    routes.change(*plan);
                    answer.give(Ok(()));
                    continue;
                }
                ToLane::Close => break,
            };
            let group = Group { id: 0, arenas: batch.arenas(), tokens: batch.tokens() };
            routes.route(batch.items(), group);
            if receiver.is_empty() || routes.flush_due().is_none() {
                routes.flush();
            }
            shared.bytes.fetch_sub(batch.bytes() as u64, Ordering::AcqRel);
            shared.stats.routed.add(batch.len());
            shared.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
        routes.flush();
    }
}
