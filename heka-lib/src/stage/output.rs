//! The output stage: encodes and delivers on one thread, with retries and dead letters.

use super::deferred::{ANSWER_INTERVAL, Deferred};
use super::encoded::Encoded;
use super::replacement::OutputChange;
use super::retry::BackOff;
use crate::config::RetryConfig;
use crate::control::Attention;
use crate::dead_letter::DeadLetters;
use crate::instance::{Acknowledgements, Failure, FailureKind, Instance, InstanceSpec, Stopper};
use crate::limited_log::LimitedLog;
use crate::queue::{QueueReceiver, Taken, ToOutput};
use crate::stats::OutputStats;
use crate::stop::StopFlags;
use crossbeam_channel::RecvTimeoutError;
use heka_plugin_api::Message;
use heka_plugin_api::abi::{self, Slice, status};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failed attempts after which an output is probed with one message until it takes that.
const PROBE_AFTER: u32 = 3;
/// How often a stage that waits for its next attempt looks whether the router ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// What an output stage is made from.
pub(crate) struct OutputPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) instance: Instance,
    /// Whether `start` has succeeded.
    pub(crate) started: bool,
    pub(crate) encoder: Option<(InstanceSpec, Instance)>,
    pub(crate) queue: QueueReceiver,
    pub(crate) retry: RetryConfig,
    pub(crate) ticker: Option<Duration>,
    pub(crate) stats: Arc<OutputStats>,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) stop: StopFlags,
    pub(crate) stop_slot: Arc<Mutex<Option<Stopper>>>,
    pub(crate) attention: Attention<OutputChange>,
}

/// The output stage.
pub(crate) struct OutputStage {
    pub(super) plan: OutputPlan,
    encoded: Encoded,
    failed: Vec<(u32, String)>,
    /// To be delivered before anything else is received.
    pub(super) waiting: VecDeque<Taken>,
    pub(super) deferred: VecDeque<Deferred>,
    /// Whether the plugin has ever taken a batch for later.
    pub(super) defers: bool,
    /// Whether the last call gave the plugin one message only.
    was_probe: bool,
    failing: bool,
    pub(super) back_off: BackOff,
    pub(super) answers: Acknowledgements,
    tickets: u64,
    pub(super) stopped: Option<String>,
    next_tick: Option<Instant>,
    pub(super) log: LimitedLog,
}

impl OutputStage {
    pub(crate) fn new(plan: OutputPlan) -> OutputStage {
        let next_tick = plan.ticker.or(plan.instance.ticker()).map(|interval| Instant::now() + interval);
        let answers = plan.instance.acknowledgements();
        let back_off = BackOff::new(&plan.retry);
        OutputStage {
            plan,
            encoded: Encoded::default(),
            failed: Vec::new(),
            waiting: VecDeque::new(),
            deferred: VecDeque::new(),
            defers: false,
            was_probe: false,
            failing: false,
            back_off,
            answers,
            tickets: 0,
            stopped: None,
            next_tick,
            log: LimitedLog::default(),
        }
    }

    /// Runs until all who send to the output have ended and everything is delivered, kept on the disk or given up.
    pub(crate) fn run(mut self) {
        loop {
            match self.receive() {
                Ok(ToOutput::Ready) => self.waiting.extend(self.plan.queue.take()),
                Ok(ToOutput::Reopen) => self.reopen(),
                Ok(ToOutput::Sync) => self.sync(),
                Ok(ToOutput::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(ToOutput::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.collect(Duration::ZERO);
            self.tick();
            self.deliver_waiting();
            if self.is_leaving() {
                break;
            }
        }
        while !self.deferred.is_empty() && !self.is_leaving() {
            self.collect(ANSWER_INTERVAL);
        }
        self.plan.queue.end();
        *self.plan.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn receive(&self) -> Result<ToOutput, RecvTimeoutError> {
        let answers = (!self.deferred.is_empty()).then(|| Instant::now() + ANSWER_INTERVAL);
        let ready = &self.plan.queue.ready;
        match self.next_tick.into_iter().chain(answers).min() {
            Some(deadline) => ready.recv_deadline(deadline),
            None => ready.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Whether what can't be delivered now is to be left: the deadline has passed, or it is on the disk.
    pub(super) fn is_leaving(&self) -> bool {
        self.plan.stop.is_aborting() || self.plan.queue.is_left()
    }

    /// Whether something else is to be done than trying again: leaving, or what a reload says.
    pub(super) fn is_called(&self) -> bool {
        self.plan.attention.is_called() || self.is_leaving()
    }

    /// Delivers what waits, and between two batches does what a reload says.
    fn deliver_waiting(&mut self) {
        loop {
            if let Some(change) = self.plan.attention.take() {
                self.change(change);
            }
            let Some(taken) = self.waiting.pop_front() else { break };
            if self.is_leaving() {
                self.waiting.push_front(taken);
                return;
            }
            self.deliver(taken);
        }
        self.encoded.shrink();
    }

    /// Makes durable what was delivered, so that the queue may forget it.
    fn sync(&mut self) {
        self.collect(Duration::ZERO);
        let below = self.plan.queue.done_below();
        match self.plan.instance.sync() {
            Ok(()) => self.plan.queue.synced(below),
            Err(failure) => {
                let (name, reason) = (&self.plan.name, &failure.reason);
                self.log.warn(|| {
                    format!("output `{name}`: failed to sync: {reason}; its queue keeps the messages")
                });
            }
        }
    }

    /// Encodes a batch; messages that the encoder refuses leave it as dead letters.
    fn encode(&mut self, taken: &mut Taken) {
        let Some((spec, encoder)) = &mut self.plan.encoder else { return };
        let batch = &taken.batch;
        self.encoded.start(batch.len());
        let mut raw =
            abi::Batch { items: batch.items().as_ptr(), len: batch.len() as u32, completed: 0, ticket: 0 };
        let mut refused = Vec::new();
        while raw.completed < raw.len {
            let result = self.encoded.with_buffer(|buffer| encoder.encode(&mut raw, buffer));
            encoder.take_failed(&mut self.failed);
            refused.append(&mut self.failed);
            let Err(failure) = result else { break };
            if failure.kind == FailureKind::Retry && !self.plan.stop.is_aborting() {
                self.plan.stop.wait_unless_aborting(failure.after.max(self.plan.retry.delay_min));
                continue;
            }
            refused.push((raw.completed, failure.reason.clone()));
            self.encoded.set_end(raw.completed);
            raw.completed += 1;
            let renewed = renewed(spec, &failure).and_then(|instance| match instance {
                Some(mut instance) => instance.start(None).map(|()| *encoder = instance),
                None => Ok(()),
            });
            if let Err(failure) = renewed {
                log::error!("output `{}`: encoder: {}; stopped", self.plan.name, failure.reason);
                self.stopped = Some(format!("the encoder is stopped: {}", failure.reason));
                break;
            }
        }
        if !refused.is_empty() {
            self.refuse(taken, &refused);
        }
    }

    /// Takes refused messages out of the batch.
    fn refuse(&mut self, taken: &mut Taken, refused: &[(u32, String)]) {
        for (index, reason) in refused {
            self.bury(taken, *index as usize, reason);
        }
        let is_left = |index: usize| !refused.iter().any(|(refused, _)| *refused as usize == index);
        let mut index = 0..;
        taken.batch.retain(|_| index.next().is_none_or(is_left));
        index = 0..;
        taken.numbers.retain(|_| index.next().is_none_or(is_left));
        index = 0..;
        self.encoded.ends.retain(|_| index.next().is_none_or(is_left));
    }

    /// Delivers a batch, again and again until it is out of the way.
    fn deliver(&mut self, mut taken: Taken) {
        if self.stopped.is_none() {
            self.encode(&mut taken);
        }
        let (mut done, began) = (0, Instant::now());
        while done < taken.batch.len() {
            if let Some(reason) = self.stopped.clone() {
                self.bury_rest(&taken, done, &reason);
                break;
            }
            let failure = match self.attempt(&taken, &mut done) {
                Ok(None) => continue,
                Ok(Some(ticket)) => {
                    self.keep_given(&mut taken, done);
                    return self.defer(Deferred { ticket, taken });
                }
                Err(failure) => failure,
            };
            match failure.kind {
                FailureKind::Retry => {
                    let tried = self.back_off.attempts() + 1;
                    if self.is_over(tried, began) {
                        let reason = format!("{} (tried {tried} times)", failure.reason);
                        self.plan.stats.retries.add(1);
                        self.bury_rest(&taken, done, &reason);
                        break;
                    }
                    self.wait(&failure, taken.batch.len() - done);
                    if self.is_called() || !self.deferred.is_empty() {
                        return self.give_again(taken, done);
                    }
                }
                FailureKind::Message | FailureKind::Panic => {
                    self.bury(&taken, done, &failure.reason);
                    done += 1;
                    self.renew(&failure);
                    if failure.kind == FailureKind::Panic && !self.deferred.is_empty() {
                        // The new instance knows nothing of what the old one took for later.
                        return self.give_again(taken, done);
                    }
                }
                FailureKind::Fatal | FailureKind::Config => self.renew(&failure),
            }
        }
        self.finish(taken.sequence);
    }

    fn probes(&self) -> bool {
        self.back_off.attempts() >= PROBE_AFTER && !self.defers
    }

    /// Leaves of a batch that the plugin took for later what it was given; what a probe did not give is delivered next.
    fn keep_given(&mut self, taken: &mut Taken, done: usize) {
        self.defers = true;
        if done > 0 {
            taken.skip(done);
            self.plan.queue.done_partly(taken.sequence, done, taken.numbers.first().copied());
        }
        if std::mem::replace(&mut self.was_probe, false) && taken.batch.len() > 1 {
            let rest = taken.split_off(1);
            self.waiting.push_front(rest);
            self.back_off.reset();
        }
    }

    /// A batch, or a part of it, is out of the way; the queue hears of it when all of it is.
    pub(super) fn finish(&mut self, sequence: u64) {
        let waits = self.waiting.iter().any(|taken| taken.sequence == sequence);
        if !waits && !self.deferred.iter().any(|deferred| deferred.taken.sequence == sequence) {
            self.plan.queue.done(sequence);
        }
    }

    /// Calls the plugin once; returns a ticket if it took the rest for later.
    fn attempt(&mut self, taken: &Taken, done: &mut usize) -> Result<Option<u64>, Failure> {
        self.start()?;
        self.tickets += 1;
        let items = taken.batch.items();
        // A dead output is not hammered with everything that waits, but asked with one message whether it is back.
        self.was_probe = self.probes();
        let len = if self.was_probe { *done + 1 } else { items.len() };
        let raw = abi::Batch {
            items: items.as_ptr(),
            len: len as u32,
            completed: *done as u32,
            ticket: self.tickets,
        };
        let (bytes, ends) = match self.plan.encoder {
            Some(_) => (Slice::new(self.encoded.bytes()), self.encoded.ends.as_ptr()),
            None => (Slice::EMPTY, std::ptr::null()),
        };
        let (queue, sequences) = match self.plan.queue.id() {
            Some(id) => (id, taken.numbers.as_ptr()),
            None => ([0; 16], std::ptr::null()),
        };
        let mut delivery = abi::Delivery { batch: raw, bytes, ends, queue, sequences };
        let result = self.plan.instance.deliver(&mut delivery);
        self.plan.instance.take_failed(&mut self.failed);
        let completed = (delivery.batch.completed as usize).min(len);
        let failed = std::mem::take(&mut self.failed);
        for (index, reason) in &failed {
            self.bury(taken, *index as usize, reason);
        }
        let delivered = completed.saturating_sub(*done + failed.len());
        self.failed = failed;
        self.plan.stats.delivered.add(delivered);
        self.plan.stats.bytes.add(self.encoded.between(*done, completed));
        if completed > *done {
            self.back_off.reset();
            self.note_failing(false);
        }
        *done = completed;
        match result? {
            status::DEFERRED => Ok(Some(self.tickets)),
            _ => Ok(None),
        }
    }

    fn start(&mut self) -> Result<(), Failure> {
        if !self.plan.started {
            self.plan.instance.start(None)?;
            self.plan.started = true;
        }
        Ok(())
    }

    /// Waits before the next attempt.
    fn wait(&mut self, failure: &Failure, messages: usize) {
        self.plan.stats.retries.add(1);
        let delay = self.back_off.next(failure.after);
        let (name, reason) = (&self.plan.name, &failure.reason);
        self.log
            .warn(|| format!("output `{name}`: {reason}; {messages} messages wait, next try in {delay:.1?}"));
        self.note_failing(true);
        let until = Instant::now() + delay;
        while let Some(left) = until.checked_duration_since(Instant::now())
            && !self.is_called()
        {
            let attention = &self.plan.attention;
            self.plan.stop.wait_unless_called(left.min(LOOK_INTERVAL), || attention.is_called());
        }
    }

    /// Lets the queue know whether the output can deliver.
    pub(super) fn note_failing(&mut self, failing: bool) {
        if std::mem::replace(&mut self.failing, failing) != failing {
            self.plan.queue.set_failing(failing);
        }
    }

    fn is_over(&self, tried: u32, began: Instant) -> bool {
        let retry = &self.plan.retry;
        retry.attempts_max.is_some_and(|max| tried >= max)
            || retry.age_max.is_some_and(|max| began.elapsed() >= max)
    }

    fn bury(&mut self, taken: &Taken, index: usize, reason: &str) {
        let Some(item) = taken.batch.items().get(index) else { return };
        self.plan.stats.dead_lettered.add(1);
        // SAFETY: the batch's arenas keep the record.
        let message = unsafe { Message::from_record(item.record) };
        let attempts = self.back_off.attempts() + 1;
        let tokens = self.plan.queue.tokens(taken.sequence);
        self.plan.dead_letters.bury(&message, reason, attempts, &tokens);
    }

    fn bury_rest(&mut self, taken: &Taken, done: usize, reason: &str) {
        (done..taken.batch.len()).for_each(|index| self.bury(taken, index, reason));
        self.back_off.reset();
    }

    /// Makes the plugin anew after a panic, or notes that it is stopped.
    fn renew(&mut self, failure: &Failure) {
        let name = &self.plan.name;
        match renewed(&self.plan.spec, failure) {
            Ok(None) => {}
            Ok(Some(instance)) => {
                log::error!("output `{name}`: {}; restarted", failure.reason);
                self.install(instance);
                self.plan.started = false;
            }
            Err(failure) => {
                log::error!("output `{name}`: {}; stopped: its messages become dead letters", failure.reason);
                self.stopped = Some(format!("the output is stopped: {}", failure.reason));
            }
        }
    }

    /// Puts another instance in the place of the stage's.
    pub(super) fn install(&mut self, fresh: Instance) {
        self.answers = fresh.acknowledgements();
        *self.plan.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.stopper());
        self.plan.instance = fresh;
    }

    pub(super) fn schedule(&mut self) {
        let interval = self.plan.ticker.or(self.plan.instance.ticker());
        self.next_tick = interval.map(|interval| Instant::now() + interval);
    }

    fn reopen(&mut self) {
        if let Err(failure) = self.plan.instance.reopen() {
            log::warn!("output `{}`: failed to reopen: {}", self.plan.name, failure.reason);
        }
    }

    pub(super) fn tick(&mut self) {
        let Some(due) = self.next_tick else { return };
        if Instant::now() < due || self.stopped.is_some() {
            return;
        }
        self.schedule();
        if let Err(failure) = self.plan.instance.tick(std::ptr::null_mut()) {
            let (name, reason) = (&self.plan.name, &failure.reason);
            self.log.warn(|| format!("output `{name}`: {reason}"));
            if failure.kind == FailureKind::Retry {
                // The connection broke: what it took for later was not delivered.
                self.give_deferred_again();
                self.note_failing(true);
            }
            self.renew(&failure);
        }
    }
}

/// Returns a new instance after a panic, none after a failure of one message, and the failure itself if there is
/// no going on.
fn renewed(spec: &InstanceSpec, failure: &Failure) -> Result<Option<Instance>, Failure> {
    match failure.kind {
        FailureKind::Message | FailureKind::Retry => Ok(None),
        FailureKind::Panic => spec.open().map(Some),
        FailureKind::Fatal | FailureKind::Config => Err(failure.clone()),
    }
}
