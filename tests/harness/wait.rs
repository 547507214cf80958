//! Waiting for a state instead of sleeping.

use std::time::{Duration, Instant};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `state` holds.
///
/// # Panics
/// If it doesn't within 30 s; `what` says what was waited for.
pub fn wait_until(what: &str, mut state: impl FnMut() -> bool) {
    wait_for(what, || state().then_some(()));
}

/// Waits until `find` finds something.
///
/// # Panics
/// As [`wait_until`].
pub fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
