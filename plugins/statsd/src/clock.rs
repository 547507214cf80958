//! When an interval ends.

use crate::figures::FlushTime;
use heka_plugin_api::now;
use std::time::{Duration, Instant};

/// A flush that comes at most by this part of the interval too late or early is on time.
const TOLERANCE: f64 = 0.1;

/// Says when the next flush is due, and how long the interval was.
#[derive(Clone, Debug)]
pub struct FlushClock {
    interval: Duration,
    align: bool,
    began: Instant,
    due: Instant,
}

impl FlushClock {
    /// Begins the first interval.
    pub fn new(interval: Duration, align: bool) -> FlushClock {
        let began = Instant::now();
        let mut clock = FlushClock { interval, align, began, due: began };
        clock.due = began + clock.until_next(now());
        clock
    }

    /// Goes on with other options in the interval that has begun.
    pub fn set(&mut self, interval: Duration, align: bool) {
        if (self.interval, self.align) != (interval, align) {
            (self.interval, self.align) = (interval, align);
            self.due = Instant::now() + self.until_next(now());
        }
    }

    /// Returns when the next flush is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Ends the interval now, at `wall` ns since 1970, and begins the next one.
    pub fn flush(&mut self, wall: i64) -> FlushTime {
        let at = Instant::now();
        let elapsed = at - self.began;
        let (seconds, nominal) = (elapsed.as_secs_f64(), self.interval.as_secs_f64());
        let is_on_time = (seconds - nominal).abs() <= nominal * TOLERANCE;
        let timestamp = if self.align { self.nearest(wall) } else { wall };
        // Behind time, the next interval ends as if this one had been on time.
        let next = match self.align {
            true => at + self.until_boundary(wall, timestamp.max(wall)),
            false if is_on_time => self.due + self.interval,
            false => at + self.interval,
        };
        (self.began, self.due) = (at, next.max(at));
        // A clock may not move at all.
        let seconds = if is_on_time { nominal } else { seconds.max(1e-6) };
        FlushTime { timestamp, seconds }
    }

    /// Returns the boundary that `wall` is so near to that the flush was meant for it.
    fn nearest(&self, wall: i64) -> i64 {
        let interval = self.interval.as_nanos() as i64;
        let past = wall.rem_euclid(interval);
        let tolerance = (interval as f64 * TOLERANCE) as i64;
        match past {
            _ if past <= tolerance => wall - past,
            _ if past >= interval - tolerance => wall + interval - past,
            _ => wall,
        }
    }

    fn until_next(&self, wall: i64) -> Duration {
        if self.align { self.until_boundary(wall, wall) } else { self.interval }
    }

    /// Returns the time from `wall` to the first boundary behind `after`.
    fn until_boundary(&self, wall: i64, after: i64) -> Duration {
        let interval = self.interval.as_nanos() as i64;
        Duration::from_nanos((after - wall + interval - after.rem_euclid(interval)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn aligned_flushes_are_at_multiples_of_the_interval() {
        let mut clock = FlushClock::new(Duration::from_secs(10), true);
        assert!(clock.due() <= Instant::now() + Duration::from_secs(10));
        let check = |clock: &mut FlushClock, wall: i64, expected: i64, next: u64| {
            assert_eq!(clock.flush(wall).timestamp, expected);
            let left = clock.due() - clock.began;
            assert!(left.abs_diff(Duration::from_secs(next)) < Duration::from_millis(510), "{left:?}");
        };
        check(&mut clock, 1_000 * SECOND + 1, 1_000 * SECOND, 10);
        check(&mut clock, 1_000 * SECOND - SECOND / 2, 1_000 * SECOND, 10);
        check(&mut clock, 1_000 * SECOND - SECOND, 1_000 * SECOND, 11);
        check(&mut clock, 1_004 * SECOND, 1_004 * SECOND, 6);
    }

    #[test]
    fn an_interval_on_time_has_its_nominal_length() {
        let mut clock = FlushClock::new(Duration::from_secs(10), false);
        clock.began = Instant::now() - Duration::from_millis(10_050);
        clock.due = clock.began + Duration::from_secs(10);
        let due = clock.due;
        assert_eq!(clock.flush(7).seconds, 10.0);
        assert_eq!(clock.due(), due + Duration::from_secs(10));
    }

    #[test]
    fn another_one_has_its_true_length() {
        let mut clock = FlushClock::new(Duration::from_secs(10), false);
        clock.began = Instant::now() - Duration::from_secs(4);
        let seconds = clock.flush(7).seconds;
        assert!((4.0..5.0).contains(&seconds), "{seconds}");
    }
}
