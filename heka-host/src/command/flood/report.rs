//! What was sent, and how fast.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts what all connections have sent.
#[derive(Default)]
pub(super) struct Progress {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Counts what went out together.
    pub(super) fn add(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns what was sent since `then`, when the counts were `before`.
    pub(super) fn since(&self, then: Instant, before: &Progress) -> Report {
        let difference = |now: &AtomicU64, before: &AtomicU64| {
            now.load(Ordering::Relaxed).saturating_sub(before.load(Ordering::Relaxed))
        };
        Report {
            messages: difference(&self.messages, &before.messages),
            bytes: difference(&self.bytes, &before.bytes),
            elapsed: then.elapsed(),
        }
    }
}

impl Clone for Progress {
    fn clone(&self) -> Progress {
        let copy = |counter: &AtomicU64| counter.load(Ordering::Relaxed).into();
        Progress { messages: copy(&self.messages), bytes: copy(&self.bytes) }
    }
}

/// What was sent in a time.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        let messages = self.messages as f64 / seconds / 1e6;
        let bytes = self.bytes as f64 / seconds / 1e6;
        write!(f, "sent {} messages, {} bytes, in {seconds:.3} s: ", self.messages, self.bytes)?;
        write!(f, "{messages:.3} M messages/s, {bytes:.1} MB/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_millions() {
        let report =
            Report { messages: 5_000_000, bytes: 1_000_000_000, elapsed: Duration::from_millis(2_500) };
        let text = "sent 5000000 messages, 1000000000 bytes, in 2.500 s: 2.000 M messages/s, 400.0 MB/s";
        assert_eq!(report.to_string(), text);
    }
}
