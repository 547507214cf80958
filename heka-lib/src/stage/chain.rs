//! The chain stage: runs a chain's filters in order on one thread.

use super::injection::Lane;
use super::retry::BackOff;
use crate::arena::{ArenaPool, ArenaRef, RecordWriter};
use crate::batch::{Batch, BatchLimits};
use crate::config::{EmitTo, FilterSettings, OnPanic, RetryConfig};
use crate::control::{Answer, Attention};
use crate::dead_letter::DeadLetters;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use crate::outlet::{Gathering, Group, Outlet, ToChain};
use crate::stats::ChainStats;
use crate::stop::StopFlags;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use heka_plugin_api::abi::{self, Item, record_flag};
use heka_plugin_api::{Message, MessageWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Restarts of a filter that panicked, before it is stopped.
const RESTARTS_MAX: u32 = 5;
/// A batch of which fewer than one message in so many is left is copied, so as not to pin its arenas.
const SPARSE: usize = 4;

/// What a chain stage is made from.
pub(crate) struct ChainPlan {
    pub(crate) filters: Vec<FilterPlan>,
    pub(crate) receiver: Receiver<ToChain>,
    /// By bit of the marks; none for a bit that is free.
    pub(crate) outlets: Vec<Option<Outlet>>,
    /// See [`chain_tag`](crate::routes::chain_tag).
    pub(crate) tag: u64,
    /// Marks that a message starts with: the outputs that the chain names.
    pub(crate) marks: u64,
    pub(crate) stats: Arc<ChainStats>,
    pub(crate) lane: Lane,
    pub(crate) pool: ArenaPool,
    pub(crate) message_bytes_max: usize,
    pub(crate) limits: BatchLimits,
    pub(crate) linger: Duration,
    pub(crate) stop: StopFlags,
    /// Batches that are inside chains and the injection lane; the shutdown waits for 0.
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) attention: Attention<ChainChange>,
}

/// One filter of a chain.
pub(crate) struct FilterPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) instance: Instance,
    pub(crate) settings: FilterSettings,
    pub(crate) dead_letters: DeadLetters,
}

/// What a chain's stage is made of after a reload.
pub(crate) struct ChainChange {
    /// In order.
    pub(crate) filters: Vec<FilterChange>,
    /// By bit of the marks.
    pub(crate) outlets: Vec<Option<Outlet>>,
    pub(crate) marks: u64,
    /// Whether the chain was removed: its tickers strike a last time when all who could send to it have ended.
    pub(crate) is_last: bool,
    pub(crate) answer: Answer,
}

/// A filter after a reload.
pub(crate) enum FilterChange {
    /// The one that was at this place goes on, with its state.
    Keep(usize, FilterSettings),
    /// Another one, opened; it may take over from the one that was at a place.
    New(Box<FilterPlan>, Option<usize>),
}

/// The chain stage.
pub(crate) struct ChainStage {
    filters: Vec<RunningFilter>,
    receiver: Receiver<ToChain>,
    attention: Attention<ChainChange>,
    /// By bit of the marks.
    gatherings: Vec<Option<Gathering>>,
    limits: BatchLimits,
    tag: u64,
    marks: u64,
    is_last: bool,
    stats: Arc<ChainStats>,
    lane: Lane,
    /// Where edited records go.
    out: RecordWriter,
    /// Where sparse survivors are copied.
    kept: RecordWriter,
    emitted: RecordWriter,
    scratch: Scratch,
    linger: Duration,
    oldest: Option<Instant>,
    groups: u64,
    /// Most hops of a message at hand, or behind a tick: what is emitted answers to these.
    hops: u16,
    stop: StopFlags,
    in_flight: Arc<AtomicUsize>,
}

/// Kept between batches, so that nothing is allocated for one.
#[derive(Default)]
struct Scratch {
    current: Vec<Item>,
    next: Vec<Item>,
    emitted: Vec<Item>,
    arenas: Vec<ArenaRef>,
    failed: Vec<(u32, String)>,
    entries: Vec<abi::FieldEntry>,
}

struct RunningFilter {
    plan: FilterPlan,
    stopped: Option<String>,
    restarts: u32,
    next_tick: Option<Instant>,
    /// Most hops of a message seen since the last tick: what a tick emits may come from any of them.
    hops_since_tick: u16,
}

impl ChainStage {
    pub(crate) fn new(plan: ChainPlan) -> ChainStage {
        let writer = || RecordWriter::new(&plan.pool, plan.message_bytes_max);
        let (out, kept, emitted) = (writer(), writer(), writer());
        let filters = plan.filters.into_iter().map(RunningFilter::new).collect();
        let mut stage = ChainStage {
            filters,
            receiver: plan.receiver,
            attention: plan.attention,
            gatherings: Vec::new(),
            limits: plan.limits,
            tag: plan.tag,
            marks: 0,
            is_last: false,
            stats: plan.stats,
            lane: plan.lane,
            out,
            kept,
            emitted,
            scratch: Scratch::default(),
            linger: plan.linger,
            oldest: None,
            groups: 0,
            hops: 0,
            stop: plan.stop,
            in_flight: plan.in_flight,
        };
        stage.set_outlets(plan.outlets, plan.marks);
        stage
    }

    fn set_outlets(&mut self, outlets: Vec<Option<Outlet>>, marks: u64) {
        let gathering = |outlet: Option<Outlet>| Some(Gathering::new(outlet?, self.limits));
        self.gatherings = outlets.into_iter().map(gathering).collect();
        self.marks = marks;
        self.out.raw().marks = marks;
        self.emitted.raw().marks = marks;
    }

    /// Runs until all who send to the chain have ended.
    pub(crate) fn run(mut self) {
        loop {
            let asked = Instant::now();
            match self.receive() {
                Ok(ToChain::Batch(sent)) => {
                    // A stage that had nothing to do for so long passes on at once what comes then.
                    let was_idle = asked.elapsed() >= self.linger;
                    self.take(sent.take());
                    if was_idle {
                        self.flush();
                    }
                    self.in_flight.fetch_sub(1, Ordering::AcqRel);
                }
                Ok(ToChain::Flush) => {
                    self.tick(true);
                    self.flush();
                    self.in_flight.fetch_sub(1, Ordering::AcqRel);
                }
                Ok(ToChain::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Some(change) = self.attention.take() {
                self.change(change);
            }
            if self.stop.is_aborting() {
                // What is gathered is still sent, so that it is counted as given up.
                break;
            }
            self.tick(false);
            if self.oldest.is_some_and(|oldest| oldest.elapsed() >= self.linger) {
                self.flush();
            }
        }
        if let Some(change) = self.attention.take() {
            self.change(change);
        }
        if self.is_last && !self.stop.is_aborting() {
            self.tick(true);
        }
        self.flush();
    }

    /// Goes on in another way, or, when a new filter refuses to start, as before. What filters absorbed that do not go
    /// on is passed on first.
    fn change(&mut self, change: ChainChange) {
        let ChainChange { mut filters, outlets, marks, is_last, answer } = change;
        let kept: Vec<usize> = filters.iter().filter_map(FilterChange::kept).collect();
        (0..self.filters.len()).filter(|index| !kept.contains(index)).for_each(|index| self.strike(index));
        self.flush();
        for filter in &mut filters {
            let FilterChange::New(plan, old) = filter else { continue };
            let old = old.and_then(|old| self.filters.get_mut(old)).map(|old| &mut old.plan.instance);
            if let Err(failure) = plan.instance.start(old) {
                return answer.give(Err(format!("filter `{}`: {}", plan.name, failure.reason)));
            }
        }
        let mut old: Vec<_> = self.filters.drain(..).map(Some).collect();
        let now = |change: FilterChange| match change {
            FilterChange::Keep(index, settings) => {
                let mut filter = old.get_mut(index)?.take()?;
                if filter.plan.settings != settings {
                    filter.plan.settings = settings;
                    filter.schedule(Instant::now());
                }
                Some(filter)
            }
            FilterChange::New(plan, _) => Some(RunningFilter::new(*plan)),
        };
        self.filters = filters.into_iter().filter_map(now).collect();
        self.set_outlets(outlets, marks);
        self.is_last = is_last;
        answer.give(Ok(()));
    }

    fn receive(&self) -> Result<ToChain, RecvTimeoutError> {
        let linger = self.oldest.map(|oldest| oldest + self.linger);
        let ticks = self.filters.iter().filter_map(|filter| filter.next_tick);
        match ticks.chain(linger).min() {
            Some(deadline) => self.receiver.recv_deadline(deadline),
            None => self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn flush(&mut self) {
        self.gatherings.iter_mut().flatten().for_each(Gathering::flush);
        self.oldest = None;
    }

    /// Runs a batch through all filters.
    fn take(&mut self, batch: Batch) {
        let taken = batch.len();
        self.hops = most_hops(batch.items());
        self.scratch.current.clear();
        self.scratch.current.extend(batch.items().iter().map(|item| Item { marks: self.marks, ..*item }));
        self.scratch.arenas.clear();
        self.scratch.arenas.extend_from_slice(batch.arenas());
        for index in 0..self.filters.len() {
            self.run_filter(index, &batch);
        }
        self.pass(&batch, taken);
    }

    fn run_filter(&mut self, index: usize, batch: &Batch) {
        let ChainStage { filters, scratch, out, emitted, stats, stop, .. } = self;
        let filter = &mut filters[index];
        filter.hops_since_tick = filter.hops_since_tick.max(self.hops);
        let before = scratch.current.len();
        let mut call = FilterCall { items: &scratch.current, batch, out, emitted, absorbed: 0, dead: 0 };
        filter.process(&mut call, &mut scratch.failed, stop);
        let (absorbed, dead) = (call.absorbed as usize, call.dead);
        out.take(&mut scratch.next, &mut scratch.arenas);
        std::mem::swap(&mut scratch.current, &mut scratch.next);
        let destroyed = before.saturating_sub(scratch.current.len() + absorbed + dead);
        stats.absorbed.add(absorbed);
        stats.dead_lettered.add(dead);
        stats.destroyed.add(destroyed);
        self.take_emitted(index);
    }

    /// Sends what a filter emitted on its way: through the rest of the chain, or to the router.
    fn take_emitted(&mut self, index: usize) {
        if self.emitted.is_empty() {
            return;
        }
        let scratch = &mut self.scratch;
        match self.filters[index].plan.settings.emit_to {
            EmitTo::Chain => {
                self.emitted.take(&mut scratch.emitted, &mut scratch.arenas);
                for item in &scratch.emitted {
                    // SAFETY: just written by this thread and not shared yet.
                    unsafe {
                        (*item.record.cast_mut()).hops = self.hops;
                        (*item.record.cast_mut()).flags |= record_flag::UNORDERED;
                    }
                }
                self.stats.emitted.add(scratch.emitted.len());
                scratch.current.append(&mut scratch.emitted);
            }
            EmitTo::Router => {
                let mut arenas = Vec::new();
                self.emitted.take(&mut scratch.emitted, &mut arenas);
                self.lane.put(&scratch.emitted, &arenas, self.hops + 1);
            }
        }
    }

    /// Gathers what came through all filters for the outputs that it is marked for.
    fn pass(&mut self, batch: &Batch, taken: usize) {
        let passed = self.scratch.current.len();
        self.stats.passed.add(passed);
        if passed > 0 && passed * SPARSE < taken {
            self.copy_survivors();
        }
        self.groups += 1;
        let Scratch { current, arenas, .. } = &self.scratch;
        let group = Group { id: self.groups, arenas, tokens: batch.tokens() };
        for &item in current {
            // SAFETY: the arenas keep the record.
            let bytes = unsafe { (*item.record).size } as usize;
            let mut marks = item.marks;
            while marks != 0 {
                let bit = marks.trailing_zeros() as usize;
                marks &= marks - 1;
                if let Some(Some(gathering)) = self.gatherings.get_mut(bit) {
                    gathering.push(Item { marks: self.tag, ..item }, bytes, group);
                }
            }
        }
        self.scratch.arenas.clear();
        if self.oldest.is_none() && self.gatherings.iter().flatten().any(|gathering| !gathering.is_empty()) {
            self.oldest = Some(Instant::now());
        }
    }

    fn copy_survivors(&mut self) {
        let Scratch { current, arenas, entries, .. } = &mut self.scratch;
        // SAFETY: the writer is the host's own.
        let mut writer = unsafe { MessageWriter::from_raw(self.kept.raw(), entries) };
        for item in current.iter() {
            // SAFETY: the arenas keep the record.
            let message = unsafe { Message::from_record(item.record) };
            if writer.copy(&message).is_err() {
                // Only when memory is out: the originals serve as well.
                break;
            }
        }
        let marks: Vec<u64> = current.iter().map(|item| item.marks).collect();
        let (mut copies, mut copied) = (Vec::new(), Vec::new());
        self.kept.take(&mut copies, &mut copied);
        if copies.len() == current.len() {
            copies.iter_mut().zip(marks).for_each(|(item, marks)| item.marks = marks);
            *current = copies;
            *arenas = copied;
        }
    }

    /// Lets tickers strike that are due; all of them at the end.
    fn tick(&mut self, last: bool) {
        let now = Instant::now();
        for index in 0..self.filters.len() {
            if self.filters[index].next_tick.is_some_and(|due| last || now >= due) {
                self.strike(index);
            }
        }
    }

    /// Lets a filter's ticker strike, if it has one.
    fn strike(&mut self, index: usize) {
        let filter = &mut self.filters[index];
        if filter.next_tick.is_none() {
            return;
        }
        filter.schedule(Instant::now());
        self.hops = std::mem::take(&mut filter.hops_since_tick);
        filter.tick(&mut self.emitted);
        self.scratch.current.clear();
        self.take_emitted(index);
        self.run_emitted(index + 1);
    }

    /// Runs messages that a tick emitted through the filters behind.
    fn run_emitted(&mut self, from: usize) {
        if self.scratch.current.is_empty() {
            return;
        }
        let nothing = Batch::default();
        for index in from..self.filters.len() {
            self.run_filter(index, &nothing);
        }
        self.pass(&nothing, 0);
    }
}

impl FilterChange {
    fn kept(&self) -> Option<usize> {
        match self {
            FilterChange::Keep(index, _) => Some(*index),
            FilterChange::New(..) => None,
        }
    }
}

/// One call to a filter, with what it counts.
struct FilterCall<'c> {
    items: &'c [Item],
    batch: &'c Batch,
    out: &'c mut RecordWriter,
    emitted: &'c mut RecordWriter,
    absorbed: u32,
    dead: usize,
}

impl RunningFilter {
    fn new(plan: FilterPlan) -> RunningFilter {
        let mut filter =
            RunningFilter { plan, stopped: None, restarts: 0, next_tick: None, hops_since_tick: 0 };
        filter.schedule(Instant::now());
        filter
    }

    fn schedule(&mut self, now: Instant) {
        let interval = self.plan.settings.ticker_interval.or(self.plan.instance.ticker());
        self.next_tick = interval.map(|interval| now + interval);
    }

    fn process(&mut self, call: &mut FilterCall<'_>, failed: &mut Vec<(u32, String)>, stop: &StopFlags) {
        let len = call.items.len() as u32;
        let mut batch = abi::Batch { items: call.items.as_ptr(), len, completed: 0, ticket: 0 };
        let mut back_off = BackOff::new(&RetryConfig::default());
        while batch.completed < len {
            if let Some(reason) = self.stopped.clone() {
                (batch.completed..len).for_each(|index| self.bury(call, index, &reason, 1));
                return;
            }
            let (out, emitted) = (call.out.raw(), call.emitted.raw());
            let result = self.plan.instance.process(&mut batch, out, emitted, &mut call.absorbed);
            self.plan.instance.take_failed(failed);
            for (index, reason) in failed.drain(..) {
                self.bury(call, index, &reason, 1);
            }
            let Err(failure) = result else { return };
            if failure.kind == FailureKind::Retry && !stop.is_aborting() {
                stop.wait_unless_aborting(back_off.next(failure.after));
                continue;
            }
            self.bury(call, batch.completed, &failure.reason, back_off.attempts() + 1);
            batch.completed += 1;
            self.recover(&failure);
        }
    }

    fn tick(&mut self, emitted: &mut RecordWriter) {
        if self.stopped.is_some() {
            return;
        }
        if let Err(failure) = self.plan.instance.tick(emitted.raw()) {
            log::warn!("filter `{}`: tick: {}", self.plan.name, failure.reason);
            self.recover(&failure);
        }
    }

    fn bury(&mut self, call: &mut FilterCall<'_>, index: u32, reason: &str, attempts: u32) {
        let Some(item) = call.items.get(index as usize) else { return };
        call.dead += 1;
        // SAFETY: the batch's arenas keep the record.
        let message = unsafe { Message::from_record(item.record) };
        self.plan.dead_letters.bury(&message, reason, attempts, call.batch.tokens());
    }

    /// Makes the filter anew after a panic, or notes that it is stopped.
    fn recover(&mut self, failure: &Failure) {
        let (name, reason) = (&self.plan.name, &failure.reason);
        match failure.kind {
            FailureKind::Message | FailureKind::Retry => {}
            FailureKind::Panic
                if self.plan.settings.on_panic == OnPanic::Restart && self.restarts < RESTARTS_MAX =>
            {
                self.restarts += 1;
                log::error!("filter `{name}`: {reason}; restarted ({} of {RESTARTS_MAX})", self.restarts);
                let opened =
                    self.plan.spec.open().and_then(|mut instance| instance.start(None).map(|()| instance));
                match opened {
                    Ok(instance) => self.plan.instance = instance,
                    Err(failure) => self.stop(format!("failed to restart: {}", failure.reason)),
                }
            }
            _ => self.stop(reason.clone()),
        }
    }

    fn stop(&mut self, reason: String) {
        log::error!(
            "filter `{}`: {reason}; stopped: its chain's messages become dead letters",
            self.plan.name
        );
        self.stopped = Some(format!("the filter is stopped: {reason}"));
    }
}

fn most_hops(items: &[Item]) -> u16 {
    // SAFETY: the batch's arenas keep the records.
    items.iter().map(|item| unsafe { (*item.record).hops }).max().unwrap_or(0)
}
