//! The output stage: encodes and delivers on one thread, with retries and dead letters.

use super::retry::BackOff;
use crate::batch::Batch;
use crate::config::RetryConfig;
use crate::dead_letter::DeadLetters;
use crate::instance::{Acknowledgements, Failure, FailureKind, Instance, InstanceSpec, Stopper};
use crate::limited_log::LimitedLog;
use crate::outlet::ToStage;
use crate::stats::OutputStats;
use crate::stop::StopFlags;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use heka_plugin_api::Message;
use heka_plugin_api::abi::{self, Buffer, Slice, status};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Batches that an output may hold for later.
const DEFERRED_MAX: usize = 16;
/// How often an output with deferred batches looks for answers.
const ANSWER_INTERVAL: Duration = Duration::from_millis(2);
/// Encoded bytes beyond which a buffer is given back after use.
const ENCODED_KEPT_MAX: usize = 4 << 20;
/// Most encoded bytes of one batch.
const ENCODED_MAX: usize = 1 << 30;

/// What an output stage is made from.
pub(crate) struct OutputPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) instance: Instance,
    /// Whether `start` has succeeded.
    pub(crate) started: bool,
    pub(crate) encoder: Option<(InstanceSpec, Instance)>,
    pub(crate) receiver: Receiver<ToStage>,
    pub(crate) retry: RetryConfig,
    pub(crate) ticker: Option<Duration>,
    pub(crate) stats: Arc<OutputStats>,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) stop: StopFlags,
    pub(crate) stop_slot: Arc<Mutex<Option<Stopper>>>,
}

/// The output stage.
pub(crate) struct OutputStage {
    plan: OutputPlan,
    encoded: Encoded,
    failed: Vec<(u32, String)>,
    /// To be delivered before anything else is received.
    waiting: VecDeque<Batch>,
    deferred: VecDeque<Deferred>,
    back_off: BackOff,
    answers: Acknowledgements,
    tickets: u64,
    stopped: Option<String>,
    next_tick: Option<Instant>,
    log: LimitedLog,
}

/// A batch that the output took for later.
struct Deferred {
    ticket: u64,
    batch: Batch,
}

/// The bytes of a batch.
#[derive(Default)]
struct Encoded {
    bytes: Vec<u8>,
    len: usize,
    ends: Vec<u32>,
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
            back_off,
            answers,
            tickets: 0,
            stopped: None,
            next_tick,
            log: LimitedLog::default(),
        }
    }

    /// Runs until all who send to the output have ended and everything is delivered or given up.
    pub(crate) fn run(mut self) {
        loop {
            match self.receive() {
                Ok(ToStage::Batch(sent)) => self.take(sent.take()),
                Ok(ToStage::Reopen) => self.reopen(),
                Ok(ToStage::Flush) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.collect(Duration::ZERO);
            self.tick();
            if self.plan.stop.is_aborting() {
                break;
            }
        }
        while !self.deferred.is_empty() && !self.plan.stop.is_aborting() {
            self.collect(ANSWER_INTERVAL);
        }
        self.give_up();
        *self.plan.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn receive(&self) -> Result<ToStage, RecvTimeoutError> {
        let answers = (!self.deferred.is_empty()).then(|| Instant::now() + ANSWER_INTERVAL);
        match self.next_tick.into_iter().chain(answers).min() {
            Some(deadline) => self.plan.receiver.recv_deadline(deadline),
            None => self.plan.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Counts what the stage still holds as given up; what is in the channel counts itself when that closes.
    fn give_up(&mut self) {
        let deferred = self.deferred.drain(..).map(|deferred| deferred.batch);
        let left: usize = deferred.chain(self.waiting.drain(..)).map(|batch| batch.len()).sum();
        self.plan.stats.abandoned.add(left);
    }

    fn take(&mut self, batch: Batch) {
        self.waiting.push_back(batch);
        while let Some(batch) = self.waiting.pop_front() {
            if self.plan.stop.is_aborting() {
                self.waiting.push_front(batch);
                return;
            }
            self.deliver(batch);
        }
        self.encoded.shrink();
    }

    /// Encodes a batch; messages that the encoder refuses leave it as dead letters.
    fn encode(&mut self, batch: &mut Batch) {
        let Some((spec, encoder)) = &mut self.plan.encoder else { return };
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
                Some(mut instance) => instance.start().map(|()| *encoder = instance),
                None => Ok(()),
            });
            if let Err(failure) = renewed {
                log::error!("output `{}`: encoder: {}; stopped", self.plan.name, failure.reason);
                self.stopped = Some(format!("the encoder is stopped: {}", failure.reason));
                break;
            }
        }
        if !refused.is_empty() {
            self.refuse(batch, &refused);
        }
    }

    /// Takes refused messages out of the batch.
    fn refuse(&mut self, batch: &mut Batch, refused: &[(u32, String)]) {
        for (index, reason) in refused {
            self.bury(batch, *index as usize, reason);
        }
        let is_refused = |index: usize| refused.iter().any(|(refused, _)| *refused as usize == index);
        let mut index = 0;
        batch.items_mut().retain(|_| {
            index += 1;
            !is_refused(index - 1)
        });
        index = 0;
        self.encoded.ends.retain(|_| {
            index += 1;
            !is_refused(index - 1)
        });
    }

    /// Delivers a batch, again and again until it is out of the way.
    fn deliver(&mut self, mut batch: Batch) {
        if self.stopped.is_none() {
            self.encode(&mut batch);
        }
        let (mut done, began) = (0, Instant::now());
        while done < batch.len() {
            if let Some(reason) = self.stopped.clone() {
                return self.bury_rest(&batch, done, &reason);
            }
            let failure = match self.attempt(&batch, &mut done) {
                Ok(None) => continue,
                Ok(Some(ticket)) => return self.defer(Deferred { ticket, batch }),
                Err(failure) => failure,
            };
            match failure.kind {
                FailureKind::Retry => {
                    self.wait(&failure, batch.len() - done);
                    if self.plan.stop.is_aborting() || !self.deferred.is_empty() {
                        return self.give_again(batch, done);
                    }
                    if self.is_over(began) {
                        let reason = format!("{} (tried {} times)", failure.reason, self.back_off.attempts());
                        return self.bury_rest(&batch, done, &reason);
                    }
                }
                FailureKind::Message | FailureKind::Panic => {
                    self.bury(&batch, done, &failure.reason);
                    done += 1;
                    self.renew(&failure);
                }
                FailureKind::Fatal | FailureKind::Config => self.renew(&failure),
            }
        }
    }

    /// Calls the plugin once; returns a ticket if it took the rest for later.
    fn attempt(&mut self, batch: &Batch, done: &mut usize) -> Result<Option<u64>, Failure> {
        self.start()?;
        self.tickets += 1;
        let items = batch.items();
        let raw = abi::Batch {
            items: items.as_ptr(),
            len: items.len() as u32,
            completed: *done as u32,
            ticket: self.tickets,
        };
        let (bytes, ends) = match self.plan.encoder {
            Some(_) => (Slice::new(self.encoded.bytes()), self.encoded.ends.as_ptr()),
            None => (Slice::EMPTY, std::ptr::null()),
        };
        let mut delivery = abi::Delivery { batch: raw, bytes, ends, queue: [0; 16], sequences: std::ptr::null() };
        let result = self.plan.instance.deliver(&mut delivery);
        self.plan.instance.take_failed(&mut self.failed);
        let completed = (delivery.batch.completed as usize).min(items.len());
        let failed = std::mem::take(&mut self.failed);
        for (index, reason) in &failed {
            self.bury(batch, *index as usize, reason);
        }
        let delivered = completed.saturating_sub(*done + failed.len());
        self.failed = failed;
        self.plan.stats.delivered.add(delivered);
        self.plan.stats.bytes.add(self.encoded.between(*done, completed));
        if completed > *done {
            self.back_off.reset();
        }
        *done = completed;
        match result? {
            status::DEFERRED => Ok(Some(self.tickets)),
            _ => Ok(None),
        }
    }

    fn start(&mut self) -> Result<(), Failure> {
        if !self.plan.started {
            self.plan.instance.start()?;
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
        self.plan.stop.wait_unless_aborting(delay);
    }

    fn is_over(&self, began: Instant) -> bool {
        let retry = &self.plan.retry;
        retry.attempts_max.is_some_and(|max| self.back_off.attempts() >= max)
            || retry.age_max.is_some_and(|max| began.elapsed() >= max)
    }

    /// Puts what is left, and before it what the output took for later, in front of everything else.
    fn give_again(&mut self, mut batch: Batch, done: usize) {
        batch.skip(done);
        self.waiting.push_front(batch);
        while let Some(deferred) = self.deferred.pop_back() {
            self.waiting.push_front(deferred.batch);
        }
    }

    fn defer(&mut self, deferred: Deferred) {
        self.deferred.push_back(deferred);
        while self.deferred.len() >= DEFERRED_MAX && !self.plan.stop.is_aborting() {
            self.collect(ANSWER_INTERVAL);
        }
    }

    /// Takes answers to deferred batches, waiting for one at most `time`.
    fn collect(&mut self, time: Duration) {
        if self.deferred.is_empty() {
            return;
        }
        for (ticket, count) in self.answers.wait(time) {
            let Some(index) = self.deferred.iter().position(|deferred| deferred.ticket == ticket) else {
                let name = &self.plan.name;
                self.log.warn(|| {
                    format!("output `{name}`: acknowledged a batch that it doesn't hold (ticket {ticket})")
                });
                continue;
            };
            let deferred = &mut self.deferred[index];
            let count = (count as usize).min(deferred.batch.len());
            self.plan.stats.delivered.add(count);
            deferred.batch.skip(count);
            if deferred.batch.is_empty() {
                self.deferred.remove(index);
            }
        }
    }

    fn bury(&mut self, batch: &Batch, index: usize, reason: &str) {
        let Some(item) = batch.items().get(index) else { return };
        self.plan.stats.dead_lettered.add(1);
        // SAFETY: the batch's arenas keep the record.
        let message = unsafe { Message::from_record(item.record) };
        let attempts = self.back_off.attempts() + 1;
        self.plan.dead_letters.bury(&message, reason, attempts, batch.tokens());
    }

    fn bury_rest(&mut self, batch: &Batch, done: usize, reason: &str) {
        (done..batch.len()).for_each(|index| self.bury(batch, index, reason));
        self.back_off.reset();
    }

    /// Makes the plugin anew after a panic, or notes that it is stopped.
    fn renew(&mut self, failure: &Failure) {
        let name = &self.plan.name;
        match renewed(&self.plan.spec, failure) {
            Ok(None) => {}
            Ok(Some(instance)) => {
                log::error!("output `{name}`: {}; restarted", failure.reason);
                self.answers = instance.acknowledgements();
                let mut slot = self.plan.stop_slot.lock().unwrap_or_else(PoisonError::into_inner);
                *slot = Some(instance.stopper());
                self.plan.instance = instance;
                self.plan.started = false;
            }
            Err(failure) => {
                log::error!("output `{name}`: {}; stopped: its messages become dead letters", failure.reason);
                self.stopped = Some(format!("the output is stopped: {}", failure.reason));
            }
        }
    }

    fn reopen(&mut self) {
        if let Err(failure) = self.plan.instance.reopen() {
            log::warn!("output `{}`: failed to reopen: {}", self.plan.name, failure.reason);
        }
    }

    fn tick(&mut self) {
        let Some(due) = self.next_tick else { return };
        if Instant::now() < due || self.stopped.is_some() {
            return;
        }
        let interval = self.plan.ticker.or(self.plan.instance.ticker());
        self.next_tick = interval.map(|interval| Instant::now() + interval);
        if let Err(failure) = self.plan.instance.tick(std::ptr::null_mut()) {
            log::warn!("output `{}`: tick: {}", self.plan.name, failure.reason);
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

impl Encoded {
    fn start(&mut self, messages: usize) {
        self.len = 0;
        self.ends.clear();
        self.ends.resize(messages, 0);
    }

    fn with_buffer<R>(&mut self, encode: impl FnOnce(&mut Buffer) -> R) -> R {
        let context: *mut Vec<u8> = &mut self.bytes;
        let mut buffer = Buffer {
            data: self.bytes.as_mut_ptr(),
            len: self.len,
            capacity: self.bytes.len(),
            ends: self.ends.as_mut_ptr(),
            grow,
            context: context.cast(),
        };
        let result = encode(&mut buffer);
        self.len = buffer.len.min(self.bytes.len());
        result
    }

    fn set_end(&mut self, index: u32) {
        if let Some(end) = self.ends.get_mut(index as usize) {
            *end = self.len as u32;
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Bytes of the messages from `first` to before `last`.
    fn between(&self, first: usize, last: usize) -> usize {
        let end = |index: usize| match index {
            0 => 0,
            index => self.ends.get(index - 1).map_or(0, |&end| end as usize),
        };
        end(last).saturating_sub(end(first))
    }

    fn shrink(&mut self) {
        if self.bytes.len() > ENCODED_KEPT_MAX {
            *self = Encoded::default();
        }
    }
}

unsafe extern "C" fn grow(buffer: *mut Buffer, more: usize) -> i32 {
    // SAFETY: the context is the vector behind the buffer, which nobody else touches during the call.
    let (buffer, bytes) = unsafe { (&mut *buffer, &mut *buffer_bytes(buffer)) };
    let wanted = buffer.len.saturating_add(more);
    if wanted > ENCODED_MAX {
        return status::MESSAGE;
    }
    bytes.resize(wanted.max(bytes.len() * 2).max(64 << 10), 0);
    (buffer.data, buffer.capacity) = (bytes.as_mut_ptr(), bytes.len());
    status::OK
}

unsafe fn buffer_bytes(buffer: *mut Buffer) -> *mut Vec<u8> {
    // SAFETY: the caller's buffer is valid.
    unsafe { (*buffer).context.cast() }
}
