//! The input stage: reads, splits, decodes and routes on one thread; with `decode_threads` it reads and splits only.

use super::intake::Intake;
use super::reading::Reading;
use super::retry::BackOff;
use super::takeover::InputChange;
use crate::config::RetryConfig;
use crate::control::Attention;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec, Stopper};
use crate::splitter::SplitterConfig;
use crate::stop::StopFlags;
use heka_plugin_api::abi::status;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a read may wait when nothing is pending.
const IDLE_WAIT: Duration = Duration::from_millis(250);
/// How often acknowledgements are collected at least, while the input reads.
const COLLECT_INTERVAL: Duration = Duration::from_millis(2);
/// How long an input that was asked to stop may go on reading what has arrived already.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How often an ended input looks whether everything it read is acknowledged.
const SETTLE_INTERVAL: Duration = Duration::from_millis(2);

/// What an input stage is made from.
pub(crate) struct InputPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) splitter: SplitterConfig,
    /// Whether the config names the splitter; otherwise each datagram is one frame.
    pub(crate) splitter_named: bool,
    pub(crate) ticker: Option<Duration>,
    pub(crate) linger: Duration,
    /// End at the first idle moment, with everything read.
    pub(crate) once: bool,
    pub(crate) stop: StopFlags,
    pub(crate) attention: Attention<InputCommand>,
}

/// What a reload says to an input stage.
pub(crate) enum InputCommand {
    /// The input was removed: it ends as at a stop.
    End,
    /// It goes on in another way.
    Change(Box<InputChange>),
}

/// Where other threads find how to stop a stage's instance, as long as there is one.
pub(crate) type StopSlot = Arc<Mutex<Option<Stopper>>>;

/// The input stage.
pub(crate) struct InputStage {
    pub(super) plan: InputPlan,
    pub(super) instance: Instance,
    pub(super) started: bool,
    /// The instance that this one takes over from, until it has started.
    pub(super) predecessor: Option<Instance>,
    pub(super) reading: Box<Reading>,
    pub(super) stop_slot: StopSlot,
    pub(super) back_off: BackOff,
    next_tick: Option<Instant>,
    /// Whether the input is to end, without the others.
    ends: bool,
}

impl InputStage {
    pub(crate) fn new(
        plan: InputPlan,
        instance: Instance,
        started: bool,
        intake: Intake,
        stop_slot: StopSlot,
    ) -> InputStage {
        let reading =
            Box::new(Reading::new(plan.splitter.clone(), plan.splitter_named, intake, &plan.spec.state_dir));
        let back_off = BackOff::new(&RetryConfig::default());
        let mut stage = InputStage {
            plan,
            instance,
            started,
            predecessor: None,
            reading,
            stop_slot,
            back_off,
            next_tick: None,
            ends: false,
        };
        stage.schedule();
        stage
    }

    /// Runs until the input ends or is asked to stop, and then until everything read is acknowledged.
    pub(crate) fn run(mut self) {
        self.read_all();
        self.plan.attention.end();
        self.reading.intake.routes().flush();
        self.settle();
        *self.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn read_all(&mut self) {
        let mut collected = Instant::now();
        while !self.is_stopping() && self.reading.intake.fatal().is_none() {
            if self.plan.attention.is_called() {
                self.obey();
                continue;
            }
            let pending = self.reading.intake.routes().flush_due();
            let wait = pending.unwrap_or(IDLE_WAIT).min(self.reading.silence.left());
            let asked = Instant::now();
            let found = self.read(wait);
            self.reading.silence.pass(asked, wait);
            // A stage that had nothing to do for so long passes on at once what comes then.
            let was_idle = asked.elapsed() >= self.plan.linger;
            match found {
                Ok(status::OK) => self.back_off.reset(),
                Ok(status::IDLE) if !self.plan.once => {}
                Err(failure) if self.recover(&failure) => {}
                Ok(_) | Err(_) => break,
            }
            self.reading.release_silent();
            if was_idle {
                self.reading.intake.routes().flush();
            }
            if was_idle || collected.elapsed() >= COLLECT_INTERVAL {
                self.collect();
                collected = Instant::now();
            }
            self.tick();
        }
        self.finish();
    }

    fn read(&mut self, wait: Duration) -> Result<i32, Failure> {
        if !self.started {
            self.instance.start(self.predecessor.as_mut())?;
            self.started = true;
            self.predecessor = None;
        }
        let mut reader = self.reading.reader();
        let result = self.instance.read(&mut reader, wait);
        self.reading.intake.route_ready();
        if result.is_ok() {
            self.reading.end_takeover();
        }
        result
    }

    fn is_stopping(&self) -> bool {
        self.ends || self.plan.stop.is_stopping()
    }

    /// Does what a reload says.
    fn obey(&mut self) {
        match self.plan.attention.take() {
            Some(InputCommand::End) => self.ends = true,
            Some(InputCommand::Change(change)) => self.change(*change),
            None => {}
        }
    }

    /// Deals with a failed read; tells whether the input goes on.
    fn recover(&mut self, failure: &Failure) -> bool {
        let delay = self.back_off.next(failure.after);
        let (name, reason) = (self.plan.name.clone(), &failure.reason);
        match failure.kind {
            FailureKind::Retry | FailureKind::Message => {
                self.reading.intake.warn(|| format!("{reason}; next try in {delay:.1?}"));
            }
            FailureKind::Panic => {
                log::error!("input `{name}`: {reason}; restarted in {delay:.1?}");
                if let Err(failure) = self.restart() {
                    log::error!("input `{name}`: failed to restart: {}; stopped", failure.reason);
                    return false;
                }
            }
            FailureKind::Fatal | FailureKind::Config => {
                log::error!("input `{name}`: {reason}; stopped");
                return false;
            }
        }
        self.plan.stop.wait_unless_stopping(delay, || self.plan.attention.is_called());
        true
    }

    fn restart(&mut self) -> Result<(), Failure> {
        let fresh = self.plan.spec.open()?;
        self.install(fresh);
        self.started = false;
        self.reading.forget_streams();
        Ok(())
    }

    /// Puts another instance in the place of the stage's, and returns that.
    pub(super) fn install(&mut self, fresh: Instance) -> Instance {
        *self.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.stopper());
        std::mem::replace(&mut self.instance, fresh)
    }

    /// Lets the plugin read what has arrived already and close its streams.
    fn finish(&mut self) {
        if let Some(reason) = self.reading.intake.fatal() {
            log::error!("input `{}`: decoder: {reason}; stopped", self.plan.name);
        }
        if self.plan.once && !self.is_stopping() {
            self.reading.finish_all();
        }
        self.drain();
    }

    /// Asks the instance to stop, and reads what has arrived until it ends.
    pub(super) fn drain(&mut self) {
        // An instance that never got to take over leaves it to its predecessor to end well.
        if let (false, Some(predecessor)) = (self.started, self.predecessor.take()) {
            self.install(predecessor);
            self.started = true;
        }
        // SAFETY: the instance is alive.
        unsafe { self.instance.stopper().stop() };
        let asked = Instant::now();
        while self.started && asked.elapsed() < DRAIN_MAX && !self.plan.stop.is_aborting() {
            if !matches!(self.read(Duration::ZERO), Ok(status::OK)) {
                break;
            }
        }
    }

    /// Waits until everything read is acknowledged, so that the plugin can keep its positions.
    fn settle(&mut self) {
        let stop = self.plan.stop.clone();
        self.settle_unless(|| stop.is_aborting());
    }

    /// Waits until everything read is acknowledged, or `is_over` says that it was long enough; tells which.
    pub(super) fn settle_unless(&mut self, is_over: impl Fn() -> bool) -> bool {
        self.collect();
        while !self.reading.intake.ledger().is_settled() {
            if is_over() {
                return false;
            }
            self.plan.stop.wait_unless_aborting(SETTLE_INTERVAL);
            self.collect();
        }
        true
    }

    fn collect(&mut self) {
        let InputStage { instance, reading, .. } = self;
        reading.collect(|stream, position| instance.acknowledged(stream, position));
    }

    fn tick(&mut self) {
        let Some(due) = self.next_tick else { return };
        if Instant::now() < due {
            return;
        }
        self.schedule();
        if let Err(failure) = self.instance.tick(std::ptr::null_mut()) {
            log::warn!("input `{}`: tick: {}", self.plan.name, failure.reason);
        }
    }

    pub(super) fn schedule(&mut self) {
        let interval = self.plan.ticker.or(self.instance.ticker());
        self.next_tick = interval.map(|interval| Instant::now() + interval);
    }
}
