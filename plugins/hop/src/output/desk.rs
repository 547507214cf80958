//! What is under way: shared by the output's thread, which sends, and the threads that listen to graters.

use super::counters::Counters;
use crate::intervals::{IntervalSet, runs};
use crate::protocol::{Range, Ready};
use heka_plugin_api::{Acknowledger, fault_point};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Messages that a grater refused, or that none can take: more than these are not remembered.
const REFUSED_MAX: usize = 4096;

/// What is under way.
pub struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

/// The state of a desk.
pub struct State {
    acknowledger: Acknowledger,
    counters: Counters,
    pending: Vec<Pending>,
    /// What graters have acknowledged.
    done: IntervalSet,
    lanes: Vec<Lane>,
    /// Messages that are refused for good, and why.
    pub refused: BTreeMap<u64, String>,
    /// Everything below is settled: what is said of it changes nothing.
    floor: u64,
    /// Why batches under way are on no connection any more.
    lost: Option<String>,
}

/// A batch that the host was told to be answered later.
struct Pending {
    ticket: u64,
    count: u32,
    /// What was not done when the batch came.
    runs: Vec<Range>,
    lane: usize,
}

/// A way to a grater.
#[derive(Default)]
struct Lane {
    /// Number of the connection; 0 for none.
    session: u64,
    /// What the grater has, or was sent.
    received: IntervalSet,
    /// Why the last connection ended.
    broken: Option<String>,
}

/// What to do with the messages of a batch.
pub enum Plan {
    /// They are all done.
    Done,
    /// These are to be sent; the others are under way already.
    Send(Vec<Range>),
}

impl Desk {
    pub fn new(lanes: usize, acknowledger: Acknowledger, counters: Counters) -> Desk {
        let state = State {
            acknowledger,
            counters,
            pending: Vec::new(),
            done: IntervalSet::default(),
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            refused: BTreeMap::new(),
            floor: 0,
            lost: None,
        };
        Desk { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Locks the state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something holds of the state; tells whether it did in time.
    pub fn wait_until(&self, until: Instant, mut holds: impl FnMut(&State) -> bool) -> bool {
        let mut state = self.state();
        while !holds(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Wakes who waits, so that it looks again.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    /// Ranges are done, says the connection `session` of a lane.
    ///
    /// # Errors
    /// If they were never sent there; then nothing has changed.
    pub fn acknowledge(&self, lane: usize, session: u64, ranges: &[Range]) -> Result<(), String> {
        let mut state = self.state();
        let Some(of) = state.lanes.get(lane).filter(|lane| lane.session == session) else { return Ok(()) };
        let floor = state.floor;
        let was_sent = |&(first, last): &Range| {
            first <= last && (last < floor || of.received.contains_all((first.max(floor), last)))
        };
        if !ranges.iter().all(was_sent) {
            return Err("it acknowledged what it was never sent".to_owned());
        }
        ranges.iter().for_each(|range| state.done.insert(*range));
        fault_point("hop.acknowledged.taken");
        state.answer();
        drop(state);
        self.wake();
        Ok(())
    }

    /// One message is refused for good, says the connection `session` of a lane.
    ///
    /// # Errors
    /// As [`Desk::acknowledge`].
    pub fn refuse(&self, lane: usize, session: u64, sequence: u64, reason: String) -> Result<(), String> {
        let mut state = self.state();
        let Some(of) = state.lanes.get(lane).filter(|lane| lane.session == session) else { return Ok(()) };
        if sequence < state.floor {
            return Ok(());
        }
        if !of.received.contains(sequence) {
            return Err("it refused what it was never sent".to_owned());
        }
        if state.refused.len() < REFUSED_MAX {
            state.refused.insert(sequence, reason);
        }
        drop(state);
        self.wake();
        Ok(())
    }

    /// The connection `session` of a lane has ended.
    pub fn end(&self, lane: usize, session: u64, why: String) {
        let mut state = self.state();
        if let Some(of) = state.lanes.get_mut(lane).filter(|lane| lane.session == session) {
            (of.session, of.broken) = (0, Some(why));
        }
        drop(state);
        self.wake();
    }
}

impl State {
    /// Goes on for another instance.
    pub fn hand_over(&mut self, acknowledger: Acknowledger, counters: Counters) {
        (self.acknowledger, self.counters) = (acknowledger, counters);
    }

    /// Returns where batches are answered.
    pub fn acknowledger(&self) -> Acknowledger {
        self.acknowledger
    }

    /// A lane has a new connection.
    pub fn begin(&mut self, lane: usize, session: u64, ready: &Ready) {
        let done = ready.done.iter().filter(|(first, last)| first <= last);
        done.for_each(|range| self.done.insert(*range));
        let State { lanes, pending, lost, .. } = self;
        if let Some(lane) = lanes.get_mut(lane) {
            let mut under_way = pending.iter().flat_map(|pending| &pending.runs);
            if under_way.any(|run| lane.received.contains_any(*run)) {
                *lost = Some(lane.broken.take().unwrap_or_else(|| "it was given up".to_owned()));
            }
            *lane = Lane { session, received: IntervalSet::of(ready.received.iter().copied()), broken: None };
        }
        self.answer();
    }

    /// Tells whether a lane has a connection.
    pub fn is_live(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.session != 0)
    }

    /// Returns the lane with a connection on which the least is under way.
    pub fn least_busy(&self) -> Option<usize> {
        let load = |lane: usize| -> u32 {
            self.pending.iter().filter(|pending| pending.lane == lane).map(|pending| pending.count).sum()
        };
        (0..self.lanes.len()).filter(|&lane| self.is_live(lane)).min_by_key(|&lane| load(lane))
    }

    /// Returns why a lane's connection has ended, once.
    pub fn take_broken(&mut self) -> Option<(usize, String)> {
        let broken = self.lanes.iter_mut().enumerate();
        broken.filter_map(|(number, lane)| lane.broken.take().map(|why| (number, lane, why))).next().map(
            |(number, lane, why)| {
                lane.received.clear();
                (number, why)
            },
        )
    }

    /// Returns why batches under way are on no connection any more, once.
    pub fn take_lost(&mut self) -> Option<String> {
        self.lost.take()
    }

    /// Tells whether a message that is under way was refused.
    pub fn has_refused_pending(&self) -> bool {
        let mut runs = self.pending.iter().flat_map(|pending| &pending.runs);
        runs.any(|run| self.refused.range(run.0..=run.1).next().is_some())
    }

    /// Tells whether one of these was refused.
    pub fn has_refused(&self, numbers: &[u64]) -> bool {
        let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else { return false };
        self.refused.range(first..=last).any(|(number, _)| numbers.binary_search(number).is_ok())
    }

    /// Returns how many batches are under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Forgets the batches that are under way: the host gives them again.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
        self.lost = None;
    }

    /// Tells whether all of these are done.
    pub fn are_done(&self, numbers: &[u64]) -> bool {
        numbers.iter().all(|number| self.done.contains(*number))
    }

    /// Returns the lowest sequence that is waited for, if a batch begins with `first`.
    pub fn settled(&self, first: u64) -> u64 {
        let lowest = |pending: &Pending| pending.runs.first().map_or(first, |run| run.0);
        self.pending.iter().map(lowest).fold(first, u64::min)
    }

    /// Decides what of a batch is to be sent on a lane, and notes it as sent.
    ///
    /// A batch that is under way already was given again: only the newer ticket is answered.
    pub fn plan(&mut self, lane: usize, numbers: &[u64]) -> Plan {
        let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else { return Plan::Done };
        let overlaps = |pending: &Pending| pending.runs.iter().any(|run| run.0 <= last && first <= run.1);
        self.pending.retain(|pending| !overlaps(pending));
        let settled = self.settled(first);
        if settled > self.floor {
            self.floor = settled;
            self.refused = self.refused.split_off(&settled);
        }
        self.done.forget_below(settled);
        self.lanes.iter_mut().for_each(|lane| lane.received.forget_below(settled));
        let is_there = |lane: &Lane| lane.session != 0 && lane.received.contains_any((first, last));
        let mut to_send = Vec::new();
        if !self.lanes.iter().any(is_there) && !self.done.contains_any((first, last)) {
            runs(numbers.iter().copied(), |run| to_send.push(run));
        } else {
            if self.are_done(numbers) {
                return Plan::Done;
            }
            let has = |lane: &Lane, number| lane.session != 0 && lane.received.contains(number);
            let is_new = |number: &u64| {
                !self.done.contains(*number) && !self.lanes.iter().any(|lane| has(lane, *number))
            };
            runs(numbers.iter().copied().filter(is_new), |run| to_send.push(run));
            let sent: u64 = to_send.iter().map(|(first, last)| last - first + 1).sum();
            self.counters.duplicates.add(numbers.len() as u64 - sent);
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            to_send.iter().for_each(|run| lane.received.insert(*run));
        }
        Plan::Send(to_send)
    }

    /// Notes that the host waits for an answer to a batch.
    pub fn await_answer(&mut self, ticket: u64, lane: usize, numbers: &[u64]) {
        let mut left = Vec::new();
        runs(numbers.iter().copied().filter(|number| !self.done.contains(*number)), |run| left.push(run));
        self.pending.push(Pending { ticket, count: numbers.len() as u32, runs: left, lane });
    }

    /// Answers the batches that are done.
    fn answer(&mut self) {
        let State { pending, done, acknowledger, counters, .. } = self;
        pending.retain(|pending| {
            let is_done = pending.runs.iter().all(|run| done.contains_all(*run));
            if is_done {
                counters.acknowledged.add(pending.count.into());
                acknowledger.acknowledge(pending.ticket, pending.count);
            }
            !is_done
        });
    }
}
