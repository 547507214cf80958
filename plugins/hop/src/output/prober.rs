//! Tries graters that did not answer, on a thread of its own, while others serve.

use super::dial::{DialOptions, Dialed, dial};
use crate::bell::Bell;
use crate::protocol::SourceId;
use heka_plugin_api::StopSignal;
use heka_socket::{Address, cause};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A grater to be tried.
#[derive(Clone)]
pub struct Target {
    pub lane: usize,
    /// Index of the address among the lane's.
    pub index: usize,
    pub address: Address,
    pub source: SourceId,
    pub settled: u64,
}

/// A grater that has answered.
pub struct Found {
    pub lane: usize,
    pub index: usize,
    pub dialed: Dialed,
}

/// The thread, while it runs.
pub struct Prober {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    found: Mutex<Vec<Found>>,
    bell: Bell,
    is_over: AtomicBool,
    is_done: AtomicBool,
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, Vec<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prober {
    /// Begins to try the targets in order, every `interval`, until each or, with `first_only`, one has answered.
    ///
    /// # Errors
    /// Why there can be no thread.
    pub fn begin(
        options: Arc<DialOptions>,
        targets: Vec<Target>,
        interval: Duration,
        first_only: bool,
        stop: &StopSignal,
    ) -> Result<Prober, String> {
        let shared = Arc::new(Shared {
            found: Mutex::new(Vec::new()),
            bell: Bell::new().map_err(cause)?,
            is_over: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
        });
        let of_stop = shared.clone();
        stop.on_stop(move || {
            of_stop.is_over.store(true, Ordering::Release);
            of_stop.bell.ring();
        });
        let of_thread = shared.clone();
        let run = move || {
            probe(&options, targets, interval, first_only, &of_thread);
            of_thread.is_done.store(true, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("hop probe".to_owned()).spawn(run);
        let thread = thread.map_err(|why| heka_plugin_api::cause(&why))?;
        Ok(Prober { shared, thread: Some(thread) })
    }

    /// Tells whether it has nothing left to try.
    pub fn is_done(&self) -> bool {
        self.shared.is_done.load(Ordering::Acquire)
    }

    /// Tells whether a grater has answered.
    pub fn has_found(&self) -> bool {
        !self.shared.found().is_empty()
    }

    /// Returns the graters that have answered.
    pub fn take_found(&self) -> Vec<Found> {
        std::mem::take(&mut *self.shared.found())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn probe(
    options: &DialOptions,
    mut targets: Vec<Target>,
    interval: Duration,
    first_only: bool,
    shared: &Shared,
) {
    while !targets.is_empty() {
        if shared.bell.is_rung_before(Instant::now() + interval) {
            return;
        }
        let mut left = Vec::new();
        for target in targets {
            if shared.is_over.load(Ordering::Acquire) {
                return;
            }
            match dial(options, &target.address, target.source, target.settled, &shared.bell) {
                Ok(dialed) => {
                    shared.found().push(Found { lane: target.lane, index: target.index, dialed });
                    if first_only {
                        return;
                    }
                }
                Err(why) => {
                    log::debug!("{why}");
                    left.push(target);
                }
            }
        }
        targets = left;
    }
}
