//! The router as an embedder sees it: start, inject, look, stop.

use crate::build::{Common, Running, Surroundings, Tier, build, check};
use crate::config::{Config, Faults};
use crate::dead_letter::{batch_of, resurrect};
use crate::health::InstanceHealth;
use crate::outlet::ChainSender;
use crate::plugin::Registry;
use crate::queue::QueueWaker;
use crate::reload::{Reloaded, reload};
use crate::stage::input::StopSlot;
use crate::state_dir::{StateDir, StateDirError};
use crate::stats::RouterStats;
use crate::stop::StopFlags;
use heka_plugin_api::{Message, OwnedMessage};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
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

/// A running router, which several threads may use. Dropping it stops it within the config's `shutdown_deadline`.
pub struct Router {
    common: Common,
    /// None once the router was stopped.
    running: Mutex<Option<Running>>,
    /// What runs is being stopped, or was.
    is_closed: AtomicBool,
    message_bytes_max: usize,
    hops_max: u8,
    /// Given back when everything has ended.
    state_dir: Mutex<Option<StateDir>>,
}

/// Why a message could not be injected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InjectError(String);

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
        let around = Surroundings { hostname: hostname(config), once: options.once, stop };
        let (common, running) = build(config, registry, around)?;
        Ok(Router {
            common,
            running: Mutex::new(Some(running)),
            is_closed: AtomicBool::new(false),
            message_bytes_max: config.host.message_bytes_max,
            hops_max: config.host.hops_max,
            state_dir: Mutex::new(Some(state_dir)),
        })
    }

    /// Goes over to another config, and to newer builds of plugins if the registry has some. `[any thread]`
    ///
    /// Everything is checked, and new instances are opened, before anything is changed. Then only what changed is
    /// replaced: an instance of the same plugin takes over sockets, connections, positions and state; what is queued
    /// and under way stays. What was removed still delivers what it has. When an instance refuses to start, everything
    /// goes on as before. Waits while another reload is under way.
    ///
    /// # Errors
    /// All faults of the config, keys of `[heka]` that can't change while a router runs, or what refused to start.
    pub fn reload(&self, config: &Config, registry: &Registry) -> Result<Reloaded, Faults> {
        let mut running = self.lock();
        let Some(stages) = running.as_mut().filter(|_| !self.common.around.stop.is_stopping()) else {
            let mut faults = Faults::new();
            faults.add_unplaced("the router is stopped");
            return Err(faults);
        };
        reload(&self.common, stages, config, registry)
    }

    /// Puts a message into the router, as if an input had read it. Waits for no chain. `[any thread]`
    ///
    /// The message is copied; it goes to every chain whose matcher accepts it. When `inject_lane_bytes_max` bytes
    /// wait already, it becomes a dead letter.
    ///
    /// # Errors
    /// If the message is larger than `message_bytes_max`, or the router has been stopped.
    pub fn inject(&self, message: &Message<'_>) -> Result<(), InjectError> {
        // In this order: whoever stops the router either sees that something comes, or is seen.
        self.common.in_flight.fetch_add(1, Ordering::SeqCst);
        let result = match self.is_closed.load(Ordering::SeqCst) {
            true => Err("the router is stopped".to_owned()),
            false => self.common.lane.inject(message, &self.common.pool, self.message_bytes_max),
        };
        self.common.in_flight.fetch_sub(1, Ordering::SeqCst);
        result.map_err(InjectError)
    }

    /// Returns what each stage has done so far. `[any thread]`
    pub fn stats(&self) -> RouterStats {
        self.common.stats.snapshot()
    }

    /// Returns how each instance is doing. Waits for no stage. `[any thread]`
    pub fn health(&self) -> Vec<InstanceHealth> {
        self.common.stats.health()
    }

    /// Tells whether the router is being stopped, or has been. `[any thread]`
    pub fn is_stopping(&self) -> bool {
        self.common.around.stop.is_stopping()
    }

    /// Puts a dead letter back: to the output that refused it, or, if none did, into the router. The marks of a dead
    /// letter are taken off it. A message that is none goes into the router. `[any thread]`
    ///
    /// # Errors
    /// As [`Router::inject`].
    pub fn replay(&self, letter: &Message<'_>) -> Result<(), InjectError> {
        let resurrected = resurrect(letter);
        let message = resurrected.message.view();
        let running = self.lock();
        let Some(stages) = running.as_ref().filter(|_| !self.is_stopping()) else {
            return Err(InjectError("the router is stopped".to_owned()));
        };
        let is_its =
            |name: &String| stages.outputs.iter().find(|output| output.blueprint.config.name == *name);
        let Some(output) = resurrected.output.as_ref().and_then(is_its) else {
            drop(running);
            return self.inject(&message);
        };
        let queue = output.queue.clone();
        drop(running);
        let batch = batch_of(&message, &self.common.pool, self.message_bytes_max, &[]);
        let too_large = || InjectError("the message is larger than `message_bytes_max`".to_owned());
        queue.replay(batch.ok_or_else(too_large)?);
        Ok(())
    }

    /// Puts back all dead letters that wait in the built-in queue; returns how many. `[any thread]`
    ///
    /// # Errors
    /// The first that can't be put back, which stays with those behind it; or if the queue can't be read.
    pub fn replay_dead_letters(&self) -> Result<u64, InjectError> {
        let put_back = |letter: OwnedMessage| self.replay(&letter.view()).map_err(|error| error.to_string());
        self.common.store.replay(put_back).map_err(InjectError)
    }

    /// Tells outputs to close and open their files anew, after a log rotation. `[any thread]`
    pub fn reopen(&self) {
        let running = self.lock();
        running.iter().flat_map(|running| &running.outputs).for_each(|output| output.queue.send_reopen());
    }

    /// Waits at most `time` until all inputs have ended by themselves; tells whether they have. `[any thread]`
    pub fn wait(&self, time: Duration) -> bool {
        self.common.threads.wait(&[Tier::Input], Instant::now() + time)
    }

    /// Stops: inputs first, then everything that is under way is delivered; what isn't by the config's
    /// `shutdown_deadline` is given up and counted. Returns the final counts. `[any thread]`
    pub fn stop(&self) -> RouterStats {
        self.is_closed.store(true, Ordering::SeqCst);
        self.common.around.stop.stop();
        let running = self.lock().take();
        if let Some(running) = running {
            self.shut_down(running);
            self.state_dir.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.stats()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut_down(&self, mut running: Running) {
        let common = &self.common;
        let deadline = Instant::now() + running.host.shutdown_deadline;
        running.queue_wakers().iter().for_each(QueueWaker::wake);
        stop_all(running.input_stops());
        let ended = self.end_inputs(&running, deadline) && self.empty_chains(&running, deadline);
        common.lane.close();
        running.ways.clear();
        running.chains.clear();
        let abandons: Vec<_> = running.abandons().cloned().collect();
        let output_stops: Vec<_> = running.output_stops().cloned().collect();
        let wakers: Vec<QueueWaker> = running.queue_wakers();
        drop(running);
        let rest = [Tier::Injection, Tier::Chain, Tier::Output];
        if !(ended && common.threads.wait(&rest, deadline)) {
            // First: what is dropped from now on is not delivered, so no input may take it as acknowledged.
            abandons.iter().for_each(|abandon| abandon.abandon());
            common.around.stop.abort();
            wakers.iter().for_each(QueueWaker::wake);
            stop_all(output_stops.iter());
            let all = [Tier::Input, Tier::Injection, Tier::Chain, Tier::Output];
            if !common.threads.wait(&all, Instant::now() + ABORT_GRACE) {
                let names = common.threads.names();
                log::error!("stages that did not stop in time are left alone: {}", names.join(", "));
            }
        }
    }

    /// Waits for the inputs. When one waits for an output until shortly before the deadline, the tickers of all chains
    /// that can take anything strike now, so that what they absorbed from other inputs is still delivered.
    fn end_inputs(&self, running: &Running, deadline: Instant) -> bool {
        let threads = &self.common.threads;
        let last_ticks = running.host.shutdown_deadline.min(LAST_TICKS * 2) / 2;
        if threads.wait(&[Tier::Input], deadline - last_ticks) {
            return true;
        }
        running.chain_senders().for_each(ChainSender::try_send_flush);
        threads.wait(&[Tier::Input], deadline)
    }

    /// Lets tickers strike a last time, until nothing is left inside chains and the injection lane. What a ticker
    /// emits to the router may wake another one's: `hops_max` bounds that.
    fn empty_chains(&self, running: &Running, deadline: Instant) -> bool {
        let common = &self.common;
        for _ in 0..=self.hops_max {
            let before = common.lane.injected();
            running.chain_senders().for_each(ChainSender::send_flush);
            while common.in_flight.load(Ordering::SeqCst) > 0 {
                if Instant::now() >= deadline {
                    return false;
                }
                common.around.stop.wait_unless_aborting(EMPTY_INTERVAL);
            }
            if common.lane.injected() == before {
                break;
            }
        }
        true
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn stop_all<'s>(slots: impl Iterator<Item = &'s StopSlot>) {
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
