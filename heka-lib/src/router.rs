//! The router as an embedder sees it: start, inject, look, stop.

use crate::build::{Built, Surroundings, Tier, build, check};
use crate::config::{Config, Faults};
use crate::handle::RouterHandle;
use crate::health::InstanceHealth;
use crate::instance::Stopper;
use crate::outlet::ChainSender;
use crate::plugin::Registry;
use crate::queue::{QueueSender, QueueWaker};
use crate::state_dir::{StateDir, StateDirError};
use crate::stats::RouterStats;
use crate::stop::StopFlags;
use heka_plugin_api::Message;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long threads that were told to leave everything may take to do so.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// How long before the deadline tickers strike though inputs have not ended, or half the deadline if that is shorter.
const LAST_TICKS: Duration = Duration::from_secs(1);
/// How often the shutdown looks whether the chains are empty.
const EMPTY_INTERVAL: Duration = Duration::from_millis(1);

/// How to run a router, beside its config.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RouterOptions {
    /// Each input ends at its first idle moment: what is there is read to the end, incomplete last lines included.
    pub once: bool,
}

/// A running router. Dropping it stops it within the config's `shutdown_deadline`.
pub struct Router {
    built: Option<Built>,
    stop: StopFlags,
    deadline: Duration,
    message_bytes_max: usize,
    hops_max: u8,
    // Given back when everything has ended.
    _state_dir: StateDir,
}

/// Why a message could not be injected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InjectError(String);

impl InjectError {
    pub(crate) fn new(why: impl Into<String>) -> InjectError {
        InjectError(why.into())
    }
}

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InjectError {}

impl Router {
    /// Checks a config as far as that is possible without starting anything: names, options, matchers, and what
    /// the plugins themselves check.
    ///
    /// # Errors
    /// All faults.
    pub fn check(config: &Config, registry: &Registry) -> Result<(), Faults> {
        check(config, registry, &hostname(config))
    }

    /// Checks a config, builds everything in it and starts it.
    ///
    /// # Errors
    /// All faults of the config, before any thread was started; or the instances that can't be started; or that
    /// another router has the state directory: see [`Faults::is_in_use`].
    pub fn start(config: &Config, registry: &Registry, options: &RouterOptions) -> Result<Router, Faults> {
        let state_dir = lock_state_dir(config)?;
        let stop = StopFlags::default();
        let around = Surroundings { hostname: hostname(config), once: options.once, stop: stop.clone() };
        let built = build(config, registry, &around)?;
        Ok(Router {
            built: Some(built),
            stop,
            deadline: config.host.shutdown_deadline,
            message_bytes_max: config.host.message_bytes_max,
            hops_max: config.host.hops_max,
            _state_dir: state_dir,
        })
    }

    /// Puts a message into the router, as if an input had read it. Waits for no chain. `[any thread]`
    ///
    /// The message is copied; it goes to every chain whose matcher accepts it. When `inject_lane_bytes_max` bytes
    /// wait already, it becomes a dead letter.
    ///
    /// # Errors
    /// If the message is larger than `message_bytes_max`, or the router has been stopped.
    pub fn inject(&self, message: &Message<'_>) -> Result<(), InjectError> {
        let built = self.built.as_ref().ok_or_else(|| InjectError("the router is stopped".to_owned()))?;
        built.lane.inject(message, &built.pool, self.message_bytes_max).map_err(InjectError)
    }

    /// Returns what each stage has done so far. `[any thread]`
    pub fn stats(&self) -> RouterStats {
        match &self.built {
            Some(built) => built.stats.snapshot(),
            None => crate::stats::Stats::default().snapshot(),
        }
    }

    /// Returns how each instance is doing. `[any thread]`
    pub fn health(&self) -> Vec<InstanceHealth> {
        self.built.as_ref().map(|built| built.stats.health()).unwrap_or_default()
    }

    /// Returns what other threads look at the router with, and inject by; `None` when it is stopped. `[any thread]`
    pub fn handle(&self) -> Option<RouterHandle> {
        self.built.as_ref().map(|built| RouterHandle {
            stats: built.stats.clone(),
            lane: built.lane.clone(),
            pool: built.pool.clone(),
            stop: self.stop.clone(),
            message_bytes_max: self.message_bytes_max,
        })
    }

    /// Tells outputs to close and open their files anew, after a log rotation. `[any thread]`
    pub fn reopen(&self) {
        self.built.iter().flat_map(|built| &built.outputs).for_each(|output| output.send_reopen());
    }

    /// Waits at most `time` until all inputs have ended by themselves; tells whether they have.
    pub fn wait(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        self.built.as_mut().is_none_or(|built| built.threads.wait(&[Tier::Input], deadline))
    }

    /// Stops: inputs first, then everything that is under way is delivered; what isn't by the config's
    /// `shutdown_deadline` is given up and counted. Returns the final counts.
    pub fn stop(mut self) -> RouterStats {
        match self.built.take() {
            Some(built) => self.shut_down(built),
            None => self.stats(),
        }
    }

    fn shut_down(&self, mut built: Built) -> RouterStats {
        let deadline = Instant::now() + self.deadline;
        self.stop.stop();
        built.outputs.iter().for_each(QueueSender::wake);
        stop_all(&built.input_stops);
        let ended = self.end_inputs(&mut built, deadline) && self.empty_chains(&built, deadline);
        built.lane.close();
        let wakers: Vec<QueueWaker> = built.outputs.iter().map(QueueSender::waker).collect();
        built.chains.clear();
        built.outputs.clear();
        let rest = [Tier::Injection, Tier::Chain, Tier::Output];
        if !(ended && built.threads.wait(&rest, deadline)) {
            // First: what is dropped from now on is not delivered, so no input may take it as acknowledged.
            built.abandons.iter().for_each(|abandon| abandon.abandon());
            self.stop.abort();
            wakers.iter().for_each(QueueWaker::wake);
            stop_all(&built.output_stops);
            let all = [Tier::Input, Tier::Injection, Tier::Chain, Tier::Output];
            if !built.threads.wait(&all, Instant::now() + ABORT_GRACE) {
                let names: Vec<&str> = built.threads.names().collect();
                log::error!("stages that did not stop in time are left alone: {}", names.join(", "));
            }
        }
        built.stats.snapshot()
    }

    /// Waits for the inputs. When one waits for an output until shortly before the deadline, the tickers of all chains
    /// that can take anything strike now, so that what they absorbed from other inputs is still delivered.
    fn end_inputs(&self, built: &mut Built, deadline: Instant) -> bool {
        if built.threads.wait(&[Tier::Input], deadline - self.deadline.min(LAST_TICKS * 2) / 2) {
            return true;
        }
        built.chains.iter().for_each(ChainSender::try_send_flush);
        built.threads.wait(&[Tier::Input], deadline)
    }

    /// Lets tickers strike a last time, until nothing is left inside chains and the injection lane. What a ticker
    /// emits to the router may wake another one's: `hops_max` bounds that.
    fn empty_chains(&self, built: &Built, deadline: Instant) -> bool {
        for _ in 0..=self.hops_max {
            let before = built.lane.injected();
            built.chains.iter().for_each(|chain| chain.send_flush());
            while built.in_flight.load(Ordering::Acquire) > 0 {
                if Instant::now() >= deadline {
                    return false;
                }
                self.stop.wait_unless_aborting(EMPTY_INTERVAL);
            }
            if built.lane.injected() == before {
                break;
            }
        }
        true
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(built) = self.built.take() {
            self.shut_down(built);
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn stop_all(slots: &[std::sync::Arc<Mutex<Option<Stopper>>>]) {
    for slot in slots {
        if let Some(stopper) = *slot.lock().unwrap_or_else(PoisonError::into_inner) {
            // SAFETY: a stage empties its slot before it drops the instance, under the same lock.
            unsafe { stopper.stop() };
        }
    }
}

fn lock_state_dir(config: &Config) -> Result<StateDir, Faults> {
    StateDir::lock(&config.host.state_dir).map_err(|error| {
        let mut faults = Faults::new();
        match error {
            StateDirError::InUse(text) => faults.add_in_use(text),
            StateDirError::Unusable(text) => faults.add_unplaced(text),
        }
        faults
    })
}

fn hostname(config: &Config) -> String {
    let system = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    config.host.hostname.clone().unwrap_or_else(system)
}
