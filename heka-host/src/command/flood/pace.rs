//! How fast messages may go.

use std::time::{Duration, Instant};

/// Longest sleep, so that a signal is noticed.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// Shortest sleep: what becomes due in it goes out together.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Lets messages go evenly, counted from the start.
pub(super) struct Pace {
    per_second: f64,
    started: Instant,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Pace {
        Pace { per_second, started: Instant::now() }
    }

    /// Returns how many more messages may go after `sent`; sleeps for a while when none may.
    pub(super) fn allow(&self, sent: u64) -> u64 {
        let due = self.due(sent, self.started.elapsed());
        if due == 0 {
            let next_at = Duration::from_secs_f64(sent as f64 / self.per_second);
            let left = next_at.saturating_sub(self.started.elapsed());
            std::thread::sleep(left.clamp(SLEEP_MIN, SLEEP_MAX));
        }
        due
    }

    fn due(&self, sent: u64, elapsed: Duration) -> u64 {
        // The first message is due at once.
        let until_now = (elapsed.as_secs_f64() * self.per_second) as u64 + 1;
        until_now.saturating_sub(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_due_one_by_one() {
        let pace = Pace::new(1_000.0);
        let due = |sent, micros| pace.due(sent, Duration::from_micros(micros));
        assert_eq!([due(0, 0), due(1, 0), due(1, 999), due(1, 1_001)], [1, 0, 0, 1]);
        assert_eq!([due(500, 1_000_000), due(2_000, 1_000_000)], [501, 0]);
    }
}
