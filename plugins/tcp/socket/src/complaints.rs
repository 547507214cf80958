//! Keeps what bad peers cause from filling the log.

use std::time::{Duration, Instant};

/// Lines that are written in one period.
const LINES_MAX: u32 = 10;
/// Length of a period.
const PERIOD: Duration = Duration::from_secs(60);

/// Warns at a limited rate.
#[derive(Default)]
pub struct Complaints {
    began: Option<Instant>,
    written: u32,
    held_back: u32,
}

impl Complaints {
    /// Writes a line, or counts it if there were too many.
    pub fn warn(&mut self, line: impl FnOnce() -> String) {
        if self.began.is_none_or(|began| began.elapsed() >= PERIOD) {
            (self.began, self.written) = (Some(Instant::now()), 0);
        }
        if self.written == LINES_MAX {
            self.held_back += 1;
            return;
        }
        self.written += 1;
        match std::mem::take(&mut self.held_back) {
            0 => log::warn!("{}", line()),
            more => log::warn!("{}; {more} lines were held back before", line()),
        }
    }
}
