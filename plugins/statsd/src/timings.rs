//! The samples of one timer or histogram in one interval.

use crate::metric::Number;
use crate::sketch;
use crate::sum::Sum;
use sketches_ddsketch::DDSketch;

/// First room for samples.
const SAMPLES_MIN: usize = 8;

/// What the samples of all timers may take.
#[derive(Debug)]
pub struct SampleMemory {
    used: usize,
    max: usize,
}

impl SampleMemory {
    pub fn new(max: usize) -> SampleMemory {
        SampleMemory { used: 0, max }
    }

    /// Changes the limit; what is in use stays.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.used + bytes <= self.max
    }

    /// Tells whether there is room for one more sketch: they may take as much again.
    fn has_room_for_sketch(&self) -> bool {
        self.used < self.max.saturating_mul(2)
    }
}

/// The samples of one timer in one interval: all of them, or in a sketch, or only what can be summed.
#[derive(Default)]
pub struct Timings {
    samples: Vec<f64>,
    sketch: Option<Box<DDSketch>>,
    /// What is not in `samples`.
    totals: Totals,
    /// How many samples clients took, also those that they didn't send.
    count: Sum,
    /// Whether something is in neither, so that there are no percentiles.
    is_partial: bool,
}

/// What can be summed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    pub samples: u64,
    pub sum: f64,
    pub sum_squares: f64,
    pub lower: f64,
    pub upper: f64,
}

impl Default for Totals {
    fn default() -> Totals {
        Totals { samples: 0, sum: 0.0, sum_squares: 0.0, lower: f64::INFINITY, upper: f64::NEG_INFINITY }
    }
}

impl Totals {
    fn add(&mut self, value: f64) {
        let one = Totals { samples: 1, sum: value, sum_squares: value * value, lower: value, upper: value };
        self.merge(&one);
    }

    fn merge(&mut self, other: &Totals) {
        self.samples = self.samples.saturating_add(other.samples);
        self.sum += other.sum;
        self.sum_squares += other.sum_squares;
        self.lower = self.lower.min(other.lower);
        self.upper = self.upper.max(other.upper);
    }
}

impl Timings {
    /// Adds a sample that stands for `weight` of them.
    #[inline]
    pub fn add(&mut self, value: f64, weight: Number, samples_max: usize, memory: &mut SampleMemory) {
        match weight {
            Number::Integer(weight) => self.count.add_integer(weight),
            weight => self.count.add(weight),
        }
        if self.samples.len() < self.samples.capacity().min(samples_max) && self.is_exact() {
            self.samples.push(value);
        } else {
            self.add_further(value, samples_max, memory);
        }
    }

    #[cold]
    fn grow(&mut self, samples_max: usize, memory: &mut SampleMemory) -> bool {
        let (len, old) = (self.samples.len(), self.samples.capacity());
        if len >= samples_max {
            return false;
        }
        let more = old.max(SAMPLES_MIN).min(samples_max.max(old) - old).max(1);
        if !memory.has_room(more * size_of::<f64>()) {
            return false;
        }
        self.samples.reserve_exact(old + more - len);
        memory.used += (self.samples.capacity() - old) * size_of::<f64>();
        true
    }

    fn add_further(&mut self, value: f64, samples_max: usize, memory: &mut SampleMemory) {
        if self.is_exact() && self.grow(samples_max, memory) {
            return self.samples.push(value);
        }
        self.leave_samples(memory);
        self.totals.add(value);
        match &mut self.sketch {
            Some(sketch) => {
                let before = sketch.length();
                sketch.add(value);
                memory.used += (sketch.length() - before) * size_of::<u64>();
            }
            None => self.is_partial = true,
        }
    }

    /// Tells whether all there is are samples.
    fn is_exact(&self) -> bool {
        self.sketch.is_none() && !self.is_partial
    }

    /// Goes over to a sketch, if there is room for one, or to totals.
    fn leave_samples(&mut self, memory: &mut SampleMemory) {
        if !self.is_exact() {
            return;
        }
        let samples = std::mem::take(&mut self.samples);
        memory.used -= samples.capacity() * size_of::<f64>();
        samples.iter().for_each(|sample| self.totals.add(*sample));
        if memory.has_room_for_sketch() {
            let sketch = sketch_of(&samples);
            memory.used += sketch.length() * size_of::<u64>();
            self.sketch = Some(Box::new(sketch));
        } else {
            self.is_partial = !samples.is_empty();
        }
    }

    /// Adds what another statsd has seen; without the bins of its sketch there are no percentiles.
    pub fn merge(
        &mut self,
        count: Number,
        totals: &Totals,
        bins: Option<&[(f64, u64)]>,
        memory: &mut SampleMemory,
    ) {
        self.count.add(count);
        if totals.samples == 0 {
            return;
        }
        self.leave_samples(memory);
        self.totals.merge(totals);
        match (&mut self.sketch, bins) {
            (Some(sketch), Some(bins)) => {
                let before = sketch.length();
                bins.iter().for_each(|&(value, count)| sketch.add_with_count(value, count));
                memory.used += (sketch.length() - before) * size_of::<u64>();
            }
            _ => self.is_partial = true,
        }
    }

    /// Begins anew; keeps its room if most of it was needed.
    pub fn clear(&mut self, memory: &mut SampleMemory) {
        if let Some(sketch) = self.sketch.take() {
            memory.used -= sketch.length() * size_of::<u64>();
        }
        let capacity = self.samples.capacity();
        if self.samples.len() * 4 < capacity {
            memory.used -= capacity * size_of::<f64>();
            self.samples = Vec::new();
        }
        self.samples.clear();
        (self.totals, self.count, self.is_partial) = (Totals::default(), Sum::default(), false);
    }

    /// Returns how many samples clients took.
    pub fn count(&self) -> Number {
        self.count.number()
    }

    /// Returns what the samples say; `None` if there are none.
    pub fn summary(&mut self) -> Option<Summary<'_>> {
        self.samples.sort_unstable_by(f64::total_cmp);
        let mut totals = self.totals;
        self.samples.iter().for_each(|sample| totals.add(*sample));
        let spread = if self.is_partial {
            Spread::Unknown
        } else {
            match &self.sketch {
                None => Spread::Samples(&self.samples),
                Some(sketch) => Spread::Bins(sketch::bins(&sketch.to_java_bytes()).unwrap_or_default()),
            }
        };
        (totals.samples > 0).then_some(Summary { totals, spread })
    }

    /// Returns the bytes of a sketch of all samples; `None` if there is none.
    pub fn sketch_bytes(&self) -> Option<Vec<u8>> {
        match &self.sketch {
            _ if self.is_partial => None,
            Some(sketch) => Some(sketch.to_java_bytes()),
            None => Some(sketch_of(&self.samples).to_java_bytes()),
        }
    }
}

fn sketch_of(samples: &[f64]) -> DDSketch {
    let mut sketch = sketch::empty();
    samples.iter().for_each(|sample| sketch.add(*sample));
    sketch
}

/// What the samples of an interval say.
pub struct Summary<'a> {
    pub totals: Totals,
    spread: Spread<'a>,
}

enum Spread<'a> {
    /// In order.
    Samples(&'a [f64]),
    /// Values with counts, in order.
    Bins(Vec<(f64, u64)>),
    Unknown,
}

/// The part of the samples on one side of a percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    pub samples: u64,
    pub bound: f64,
    pub sum: f64,
    pub sum_squares: f64,
}

impl Summary<'_> {
    /// Returns the lowest `percent` of the samples, or the highest ones if it is negative; `None` if these are none.
    pub fn part(&self, percent: f64) -> Option<Part> {
        let all = self.totals.samples;
        // Halves are rounded up, as statsd does.
        let wanted = if all == 1 { 1 } else { (percent.abs() / 100.0 * all as f64 + 0.5).floor() as u64 };
        let wanted = wanted.min(all);
        let mut part = match &self.spread {
            Spread::Samples(samples) if percent > 0.0 => {
                part(samples.iter().map(|value| (*value, 1)), wanted)
            }
            Spread::Samples(samples) => part(samples.iter().rev().map(|value| (*value, 1)), wanted),
            Spread::Bins(bins) if percent > 0.0 => part(bins.iter().copied(), wanted),
            Spread::Bins(bins) => part(bins.iter().rev().copied(), wanted),
            Spread::Unknown => None,
        }?;
        part.bound = part.bound.clamp(self.totals.lower, self.totals.upper);
        Some(part)
    }

    /// Returns the middle sample, or what is between the two.
    pub fn median(&self) -> Option<f64> {
        let all = self.totals.samples;
        let at = |rank: u64| match &self.spread {
            Spread::Samples(samples) => samples.get(rank as usize).copied(),
            Spread::Bins(bins) => part(bins.iter().copied(), rank + 1).map(|part| part.bound),
            Spread::Unknown => None,
        };
        let middle = at(all / 2)?;
        let median = if all % 2 == 1 { middle } else { f64::midpoint(at(all / 2 - 1)?, middle) };
        Some(median.clamp(self.totals.lower, self.totals.upper))
    }

    /// Returns the mean.
    pub fn mean(&self) -> f64 {
        self.totals.sum / self.totals.samples as f64
    }

    /// Returns the standard deviation.
    pub fn deviation(&self) -> f64 {
        let (mean, all) = (self.mean(), self.totals.samples as f64);
        let variance = match &self.spread {
            Spread::Samples(samples) => samples.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all,
            _ => self.totals.sum_squares / all - mean * mean,
        };
        variance.max(0.0).sqrt()
    }
}

fn part(values: impl Iterator<Item = (f64, u64)>, wanted: u64) -> Option<Part> {
    let mut part = Part { samples: 0, bound: 0.0, sum: 0.0, sum_squares: 0.0 };
    for (value, count) in values {
        let taken = count.min(wanted - part.samples);
        if taken == 0 {
            break;
        }
        part.samples += taken;
        part.bound = value;
        part.sum += value * taken as f64;
        part.sum_squares += value * value * taken as f64;
    }
    (part.samples > 0).then_some(part)
}

#[cfg(test)]
mod tests;
