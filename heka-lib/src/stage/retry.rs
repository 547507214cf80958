//! Back-off between attempts: exponential, with jitter.

use crate::config::RetryConfig;
use std::time::Duration;

/// Counts attempts and says how long to wait before the next.
pub(crate) struct BackOff {
    delay_min: Duration,
    delay_max: Duration,
    jitter: bool,
    attempts: u32,
}

impl BackOff {
    pub(crate) fn new(config: &RetryConfig) -> BackOff {
        BackOff {
            delay_min: config.delay_min,
            delay_max: config.delay_max,
            jitter: config.jitter,
            attempts: 0,
        }
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Counts a failed attempt; returns the delay before the next, at least `after`.
    pub(crate) fn next(&mut self, after: Duration) -> Duration {
        let doubled =
            self.delay_min.saturating_mul(1_u32.checked_shl(self.attempts.min(31)).unwrap_or(u32::MAX));
        self.attempts = self.attempts.saturating_add(1);
        let delay = doubled.min(self.delay_max);
        let spread = if self.jitter { 0.75 + 0.5 * fastrand::f64() } else { 1.0 };
        delay.mul_f64(spread).max(after)
    }

    /// Something went well.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}
