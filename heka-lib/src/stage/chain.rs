//! The chain stage: runs a chain's filters in order on one thread.

use super::injection::Lane;
use super::running_filter::{FilterCall, FilterPlan, RunningFilter};
use crate::arena::{ArenaPool, ArenaRef, RecordWriter};
use crate::batch::{Batch, BatchLimits};
use crate::config::{EmitTo, FilterSettings};
use crate::control::{Answer, Attention};
use crate::outlet::{Gathering, Group, Outlet, ToChain};
use crate::stats::ChainStats;
use crate::stop::StopFlags;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use heka_plugin_api::abi::{self, Item, record_flag};
use heka_plugin_api::{Message, MessageWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
                self.filters.iter_mut().for_each(|filter| filter.plan.instance.goes_on());
                return answer.give(Err(format!("filter `{}`: {}", plan.name, failure.reason)));
            }
        }
        let goes_on = |index: &usize| filters.iter().any(|filter| filter.old() == Some(*index));
        let leaving: Vec<usize> = (0..self.filters.len()).filter(|index| !goes_on(index)).collect();
        leaving.into_iter().for_each(|index| self.strike_last(index));
        self.flush();
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
        if absorbed > 0 && filter.plan.settings.hold_until_flush {
            filter.held.extend_from_slice(batch.tokens());
        }
        stats.absorbed.add(absorbed);
        stats.dead_lettered.add(dead);
        stats.destroyed.add(destroyed);
        self.take_emitted(index, batch);
    }

    /// Sends what a filter emitted on its way: through the rest of the chain, or to the router.
    fn take_emitted(&mut self, index: usize, from: &Batch) {
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
                self.lane.put(&scratch.emitted, &arenas, self.hops + 1, from.tokens());
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
            match last {
                true => self.strike_last(index),
                false if self.filters[index].next_tick.is_some_and(|due| now >= due) => self.strike(index),
                false => {}
            }
        }
    }

    /// As `strike`; the filter is told that it has to let go what it holds back.
    fn strike_last(&mut self, index: usize) {
        self.filters[index].plan.instance.ask_to_stop();
        self.strike(index);
    }

    /// Lets a filter's ticker strike, if it has one.
    fn strike(&mut self, index: usize) {
        let filter = &mut self.filters[index];
        if filter.next_tick.is_none() {
            return;
        }
        let struck = Instant::now();
        self.hops = std::mem::take(&mut filter.hops_since_tick);
        filter.tick(&mut self.emitted);
        // The filter may have asked for another interval.
        filter.schedule(struck);
        let mut absorbed = Batch::default();
        absorbed.hold(&[], &std::mem::take(&mut filter.held));
        self.scratch.current.clear();
        self.take_emitted(index, &absorbed);
        self.run_emitted(index + 1, &absorbed);
    }

    /// Runs messages that a tick emitted through the filters behind.
    fn run_emitted(&mut self, from: usize, absorbed: &Batch) {
        if self.scratch.current.is_empty() {
            return;
        }
        for index in from..self.filters.len() {
            self.run_filter(index, absorbed);
        }
        self.pass(absorbed, 0);
    }
}

impl FilterChange {
    /// The place of the filter that goes on in it, or that it takes over from.
    fn old(&self) -> Option<usize> {
        match self {
            FilterChange::Keep(index, _) => Some(*index),
            FilterChange::New(_, old) => *old,
        }
    }

    fn kept(&self) -> Option<usize> {
        match self {
            FilterChange::Keep(index, _) => Some(*index),
            FilterChange::New(..) => None,
        }
    }
}

fn most_hops(items: &[Item]) -> u16 {
    // SAFETY: the batch's arenas keep the records.
    items.iter().map(|item| unsafe { (*item.record).hops }).max().unwrap_or(0)
}
