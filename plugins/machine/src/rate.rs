//! Rates of counters that only grow, but for wraps and resets.

use std::collections::HashMap;
use std::time::Instant;

/// A counter of 32 bits wraps here.
const WRAP_32: u64 = 1 << 32;

/// Returns by how much a counter has grown; `None` if it was reset.
///
/// One that fell from the upper half of 32 bits to the lower half has wrapped: counters of some drivers and of 32-bit
/// kernels do. Any other fall is a reset: the device was made anew.
pub fn increase(before: u64, after: u64) -> Option<u64> {
    if after >= before {
        return Some(after - before);
    }
    let is_wrap = (WRAP_32 / 2..WRAP_32).contains(&before) && after < WRAP_32 / 2;
    is_wrap.then(|| after + WRAP_32 - before)
}

/// The counters of devices as they were at the last look.
///
/// Time is the monotonic clock's, which stands still while the machine is suspended, as the counters do.
#[derive(Default)]
pub struct History<const N: usize> {
    devices: HashMap<String, Counters<N>>,
    look: u64,
}

struct Counters<const N: usize> {
    at: Instant,
    values: [u64; N],
    look: u64,
}

impl<const N: usize> History<N> {
    /// Notes a device's counters; returns what each has grown by in a second, as far as that is known.
    pub fn rates(&mut self, device: &str, now: Instant, values: [u64; N]) -> [Option<f64>; N] {
        let (look, noted) = (self.look, Counters { at: now, values, look: self.look });
        let Some(before) = self.devices.get_mut(device) else {
            self.devices.insert(device.to_owned(), noted);
            return [None; N];
        };
        // A device that was away may have been replaced.
        let is_known = before.look + 1 == look;
        let before = std::mem::replace(before, noted);
        let seconds = now.saturating_duration_since(before.at).as_secs_f64();
        std::array::from_fn(|index| {
            let grown = increase(before.values[index], values[index]).filter(|_| is_known && seconds > 0.0);
            grown.map(|grown| grown as f64 / seconds)
        })
    }

    /// Ends a look: devices that were not in it are forgotten.
    pub fn end_look(&mut self) {
        let look = self.look;
        self.devices.retain(|_, counters| counters.look == look);
        self.look += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn counters_wrap_at_32_bits_and_are_reset() {
        let check = |before, after, expected| assert_eq!(increase(before, after), expected);
        check(5, 5, Some(0));
        check(5, 1 << 40, Some((1 << 40) - 5));
        check(WRAP_32 - 10, 20, Some(30));
        check(1_000, 20, None);
        check(WRAP_32 + 5, 20, None);
        check(u64::MAX, 0, None);
    }

    #[test]
    fn rates_need_two_looks_in_a_row() {
        let mut history = History::<2>::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(history.rates("a", at(0), [10, 10]), [None, None]);
        history.end_look();
        assert_eq!(history.rates("a", at(2), [14, 5]), [Some(2.0), None]);
        history.end_look();
        assert_eq!(history.rates("a", at(2), [15, 6]), [None, None], "no time has passed");
        history.end_look();
        history.end_look();
        assert_eq!(history.rates("a", at(9), [99, 99]), [None, None], "it was away");
        assert_eq!(history.devices.len(), 1);
    }
}
