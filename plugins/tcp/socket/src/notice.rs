//! Keeps a warning that many connections may cause from filling the log.

use std::time::{Duration, Instant};

/// Time between two lines about the same thing.
const PAUSE: Duration = Duration::from_secs(60);

/// One thing to warn about, at most once a minute.
#[derive(Default)]
pub struct Notice {
    last: Option<Instant>,
}

impl Notice {
    /// Tells whether a line is due, and if so that it is written now.
    pub fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}
