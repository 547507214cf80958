//! How a router's threads are told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all stages: first the inputs are asked to stop; past the deadline everything is.
#[derive(Clone, Default)]
pub(crate) struct StopFlags {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stopping: AtomicBool,
    aborting: AtomicBool,
    lock: Mutex<()>,
    raised: Condvar,
}

impl StopFlags {
    /// Asks the inputs to stop; what they have read is still delivered.
    pub(crate) fn stop(&self) {
        self.raise(&self.state.stopping);
    }

    /// Asks every stage to leave what it can't finish at once.
    pub(crate) fn abort(&self) {
        self.raise(&self.state.aborting);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.state.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_aborting(&self) -> bool {
        self.state.aborting.load(Ordering::Acquire)
    }

    /// Waits, for an input's retry: until the time is over, the inputs are asked to stop, or `is_called` says so.
    pub(crate) fn wait_unless_stopping(&self, time: Duration, is_called: impl Fn() -> bool) {
        self.wait(time, || self.is_stopping() || is_called());
    }

    /// Waits, for a delivery's retry: until the time is over or the deadline has passed.
    pub(crate) fn wait_unless_aborting(&self, time: Duration) {
        self.wait(time, || self.is_aborting());
    }

    /// As `wait_unless_aborting`, but also until `is_called` says so.
    pub(crate) fn wait_unless_called(&self, time: Duration, is_called: impl Fn() -> bool) {
        self.wait(time, || self.is_aborting() || is_called());
    }

    /// Lets those that wait look whether they are called.
    pub(crate) fn call(&self) {
        let _lock = self.state.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.raised.notify_all();
    }

    fn raise(&self, flag: &AtomicBool) {
        let _lock = self.state.lock.lock().unwrap_or_else(PoisonError::into_inner);
        flag.store(true, Ordering::Release);
        self.state.raised.notify_all();
    }

    fn wait(&self, time: Duration, is_over: impl Fn() -> bool) {
        let deadline = Instant::now() + time;
        let mut lock = self.state.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_over() {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            lock = self.state.raised.wait_timeout(lock, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
