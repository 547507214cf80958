//! What is kept of one metric: two intervals, of which one is added to while the other is told.

use crate::members::Members;
use crate::metric::Kind;
use crate::sum::Sum;
use crate::timings::{SampleMemory, Timings};

/// One of the two intervals.
pub type Side = usize;

/// One metric.
pub struct Slot {
    /// With its tags.
    pub name: Box<[u8]>,
    pub kind: Kind,
    pub data: Data,
    /// Whether anything came in the interval.
    pub touched: [bool; 2],
    /// The number of the interval in which it came first.
    pub born: u32,
    /// How many intervals nothing has come.
    pub idle: u32,
}

/// What was added up, of each side.
pub enum Data {
    /// Of a counter or a gauge.
    Sums([Sum; 2]),
    Timings(Box<[Timings; 2]>),
    Members(Box<[Members; 2]>),
    /// The place waits for another metric.
    Free,
}

impl Slot {
    pub fn new(name: &[u8], kind: Kind, born: u32) -> Slot {
        let data = match kind {
            Kind::Counter | Kind::Gauge => Data::Sums(Default::default()),
            Kind::Timer | Kind::Histogram => Data::Timings(Box::default()),
            Kind::Set => Data::Members(Box::default()),
        };
        Slot { name: name.into(), kind, data, touched: [false; 2], born, idle: 0 }
    }

    /// Begins the interval anew. A gauge's value lives on.
    pub fn clear(&mut self, side: Side, memory: &mut SampleMemory) {
        match &mut self.data {
            Data::Sums(sums) if self.kind == Kind::Gauge => {
                if !self.touched[1 - side] {
                    sums[1 - side] = sums[side];
                }
            }
            Data::Sums(sums) => sums[side] = Sum::default(),
            Data::Timings(timings) => timings[side].clear(memory),
            Data::Members(members) => members[side].clear(),
            Data::Free => {}
        }
        self.touched[side] = false;
    }

    /// Leaves the place to another metric.
    pub fn free(&mut self, memory: &mut SampleMemory) {
        self.clear(0, memory);
        self.clear(1, memory);
        if let Data::Timings(timings) = &mut self.data {
            // What `clear` keeps for the next interval.
            timings.iter_mut().for_each(|timings| timings.clear(memory));
        }
        (self.data, self.name) = (Data::Free, Box::default());
    }
}
