//! How many datagrams one system call should take.

/// A call that brings more takes fewer reads the next time: it should end soon and stay in the processor's caches.
const CALL_BYTES: usize = 512 << 10;
/// Fewest reads in one call.
const READS_MIN: usize = 8;

/// How many reads one system call asks for; learns from what they bring.
pub struct Reads {
    now: usize,
    max: usize,
}

impl Reads {
    /// Begins with as many as are allowed.
    pub fn new(max: usize) -> Reads {
        Reads { now: max, max }
    }

    /// Returns how many the next call asks for.
    pub fn count(&self) -> usize {
        self.now
    }

    /// Learns from a call that brought so many bytes.
    pub fn learn(&mut self, bytes: usize) {
        if bytes > CALL_BYTES {
            self.now = (self.now / 2).max(READS_MIN.min(self.max));
        } else if bytes < CALL_BYTES / 4 {
            self.now = (self.now * 2).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_in_one_call_makes_calls_smaller() {
        let (mut reads, mut seen) = (Reads::new(64), Vec::new());
        for bytes in [4 << 20, 2 << 20, 1 << 20, 1 << 20, 300_000, 1_000, 1_000, 1_000, 1_000] {
            reads.learn(bytes);
            seen.push(reads.count());
        }
        assert_eq!(seen, [32, 16, 8, 8, 8, 16, 32, 64, 64]);
        let mut few = Reads::new(2);
        few.learn(4 << 20);
        assert_eq!(few.count(), 2);
    }
}
