//! Log lines that come at most once a second each, with a count of what was left out.

use std::time::{Duration, Instant};

/// Shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Limits the rate of one kind of line.
#[derive(Default)]
pub(crate) struct LimitedLog {
    last: Option<Instant>,
    left_out: u64,
}

impl LimitedLog {
    /// Logs a warning, unless one was logged within the last second.
    pub(crate) fn warn(&mut self, text: impl FnOnce() -> String) {
        if self.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            self.left_out += 1;
            return;
        }
        match std::mem::take(&mut self.left_out) {
            0 => log::warn!("{}", text()),
            more => log::warn!("{} ({more} more like this since the last line)", text()),
        }
        self.last = Some(Instant::now());
    }
}
