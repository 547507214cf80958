//! When the next run begins.

use std::time::{Duration, Instant};

/// How runs follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plan {
    /// One begins so long after the one before began, or at its end if that is later.
    Every(Duration),
    /// One begins after the end of the one before: after `delay`, twice that if it ended soon again, at most `max`.
    Again { delay: Duration, max: Duration },
}

/// Knows when the next run is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    plan: Plan,
    due: Instant,
    delay: Duration,
}

impl Schedule {
    /// The first run is due at once.
    pub fn new(plan: Plan, now: Instant) -> Schedule {
        Schedule { plan, due: now, delay: Duration::ZERO }
    }

    /// Returns this schedule, with the next run due when the other one would have begun it, if that is sooner.
    pub fn following(self, other: &Schedule, now: Instant) -> Schedule {
        let first = match self.plan {
            Plan::Every(interval) => now + interval,
            Plan::Again { max, .. } => now + max,
        };
        Schedule { due: other.due.min(first), delay: other.delay.min(self.longest()), ..self }
    }

    fn longest(&self) -> Duration {
        match self.plan {
            Plan::Every(_) => Duration::ZERO,
            Plan::Again { max, .. } => max,
        }
    }

    /// Tells whether runs are to end some time.
    pub fn awaits_ends(&self) -> bool {
        matches!(self.plan, Plan::Every(_))
    }

    /// Returns how long it is until the next run is due.
    pub fn wait(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Notes a run that began and has ended; returns how long it is until the next.
    pub fn ended(&mut self, began: Instant, now: Instant) -> Duration {
        self.due = match self.plan {
            Plan::Every(interval) => (began + interval).max(now),
            Plan::Again { delay, max } => {
                let ran_long = now.saturating_duration_since(began) > max;
                let doubled = if ran_long { delay } else { (self.delay * 2).clamp(delay, max) };
                self.delay = doubled;
                now + doubled
            }
        };
        self.wait(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_count_from_the_beginning_and_runs_never_overlap() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::new(Plan::Every(Duration::from_secs(10)), start);
        assert_eq!(schedule.wait(start), Duration::ZERO);
        assert_eq!(schedule.ended(at(0), at(3)), Duration::from_secs(7));
        assert_eq!(schedule.ended(at(10), at(50)), Duration::ZERO);
    }

    #[test]
    fn who_ends_soon_waits_longer_each_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let plan = Plan::Again { delay: Duration::from_secs(1), max: Duration::from_secs(5) };
        let mut schedule = Schedule::new(plan, start);
        let waits: Vec<u64> = (0..4).map(|_| schedule.ended(at(0), at(1)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5]);
        assert_eq!(schedule.ended(at(0), at(6)).as_secs(), 1);
    }
}
