//! Adds up metrics by name, and tells in slices what an interval brought, while the next one is added up already.

use crate::figures::{FlushTime, Form};
use crate::metric::{Kind, Number, Value, whole};
use crate::name::write_name;
use crate::settings::Settings;
use crate::slot::{Data, Side, Slot};
use crate::timings::{SampleMemory, Totals};
use hashbrown::HashTable;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_micro_inline};

/// Room in the table of names from the start.
const NAMES_EXPECTED: usize = 16_384;

/// Adds up metrics.
pub struct Accumulator {
    pub(crate) settings: Settings,
    pub(crate) form: Form,
    secrets: RapidSecrets,
    /// Numbers of slots, by name and kind.
    table: HashTable<u32>,
    pub(crate) slots: Vec<Slot>,
    free: Vec<u32>,
    /// The side that is added to.
    pub(crate) side: Side,
    /// The number of the interval that is added up.
    pub(crate) interval: u32,
    pub(crate) flushing: Option<Flushing>,
    pub(crate) memory: SampleMemory,
    /// Room for a name.
    scratch: Vec<u8>,
    /// What was taken and refused since the last look.
    pub tally: Tally,
}

/// A flush that is under way.
pub(crate) struct Flushing {
    pub(crate) time: FlushTime,
    /// The first slot that is not told yet.
    pub(crate) next: usize,
    /// Metrics told so far.
    pub(crate) told: u64,
    /// The lines of several metrics, for one message.
    pub(crate) lines: Vec<u8>,
}

/// Counts of what was taken and refused.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub metrics: u64,
    /// Values of names that were one too many, too long or had no usable letter.
    pub names_refused: u64,
    /// Members that were one too many.
    pub members_refused: u64,
}

/// What another statsd tells of a timer.
pub struct Timed<'a> {
    pub count: Number,
    pub totals: Totals,
    pub bins: Option<&'a [(f64, u64)]>,
}

impl Accumulator {
    pub fn new(settings: Settings) -> Accumulator {
        Accumulator {
            form: Form::new(&settings),
            memory: SampleMemory::new(settings.samples_memory),
            // Another one in each process, so that nobody can prepare names that collide.
            secrets: RapidSecrets::seed(std::hash::BuildHasher::hash_one(
                &std::collections::hash_map::RandomState::new(),
                0,
            )),
            table: HashTable::with_capacity(settings.names_max.min(NAMES_EXPECTED)),
            slots: Vec::new(),
            free: Vec::new(),
            side: 0,
            interval: 1,
            flushing: None,
            scratch: Vec::new(),
            tally: Tally::default(),
            settings,
        }
    }

    /// Goes on with other options.
    pub fn set_settings(&mut self, settings: Settings) {
        let rollup = self.form.rollup.take();
        self.form = Form::new(&settings);
        self.form.rollup = rollup;
        self.memory.set_max(settings.samples_memory);
        self.settings = settings;
    }

    /// Returns how many metrics are kept.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Says why names are refused, and what to do.
    pub fn refusal(&self) -> String {
        let (kept, settings) = (self.len(), &self.settings);
        format!(
            "metrics were refused: {kept} of {} names are taken, or names are longer than {} bytes or have no letter or \
             digit; raise `names_max` or `name_bytes_max`, or let idle ones go with `forget_after`",
            settings.names_max, settings.name_bytes_max
        )
    }

    /// Adds an integer of a metric without tags; most values are such.
    #[inline]
    pub fn add_integer(&mut self, name: &[u8], kind: Kind, value: i64) {
        let Some(number) = self.find(name, kind).or_else(|| self.slot_of(name, b"", kind)) else { return };
        if kind != Kind::Counter {
            let value = match kind {
                Kind::Timer | Kind::Histogram => Value::Time { value: value as f64, weight: 1.0 },
                _ => Value::Level(Number::Integer(value)),
            };
            return self.apply(number, value);
        }
        self.tally.metrics += 1;
        let slot = &mut self.slots[number];
        slot.touched[self.side] = true;
        if let Data::Sums(sums) = &mut slot.data {
            sums[self.side].add_integer(value);
        }
    }

    /// Adds one value of a metric; `tags` as a line has them.
    pub fn add(&mut self, name: &[u8], tags: &[u8], value: Value<'_>) {
        if let Some(number) = self.slot_of(name, tags, value.kind()) {
            self.apply(number, value);
        }
    }

    /// Adds what another statsd tells of a timer or histogram.
    pub fn merge_timings(&mut self, name: &[u8], tags: &[u8], kind: Kind, timed: &Timed<'_>) {
        let Some(number) = self.slot_of(name, tags, kind) else { return };
        let slot = &mut self.slots[number];
        if let Data::Timings(timings) = &mut slot.data {
            self.tally.metrics += 1;
            slot.touched[self.side] |= timed.totals.samples > 0;
            timings[self.side].merge(timed.count, &timed.totals, timed.bins, &mut self.memory);
        }
    }

    /// Adds the members of another statsd's set.
    ///
    /// # Errors
    /// If the bytes are not members.
    pub fn merge_members(&mut self, name: &[u8], tags: &[u8], bytes: &[u8]) -> Result<(), &'static str> {
        let max = self.settings.set_members_max;
        let Some(number) = self.slot_of(name, tags, Kind::Set) else { return Ok(()) };
        let slot = &mut self.slots[number];
        if let Data::Members(members) = &mut slot.data {
            self.tally.metrics += 1;
            slot.touched[self.side] |= !bytes.is_empty();
            self.tally.members_refused += members[self.side].merge(bytes, max)? as u64;
        }
        Ok(())
    }

    /// Makes sure that a metric is known of which there is nothing to add.
    pub fn touch(&mut self, name: &[u8], tags: &[u8], kind: Kind) {
        self.slot_of(name, tags, kind);
    }

    #[inline]
    fn apply(&mut self, number: usize, value: Value<'_>) {
        self.tally.metrics += 1;
        let (side, samples_max) = (self.side, self.settings.timer_samples_max);
        // A gauge that was not told yet has its value on the other side.
        let is_told = self.flushing.as_ref().is_none_or(|flushing| number < flushing.next);
        let slot = &mut self.slots[number];
        match (&mut slot.data, value) {
            (Data::Sums(sums), Value::Count(number)) => sums[side].add(number),
            (Data::Sums(sums), Value::Level(number)) => sums[side].set(number),
            (Data::Sums(sums), Value::Change(number)) => {
                if !slot.touched[side] && !is_told && slot.born != self.interval {
                    sums[side] = sums[1 - side];
                }
                sums[side].add(number);
            }
            (Data::Timings(timings), Value::Time { value, weight } | Value::Sample { value, weight }) => {
                timings[side].add(value, whole(weight), samples_max, &mut self.memory);
            }
            (Data::Members(members), Value::Member(member)) => {
                let is_in = members[side].insert(member, self.settings.set_members_max);
                self.tally.members_refused += u64::from(!is_in);
            }
            // The table gives a slot of the value's kind.
            _ => return,
        }
        slot.touched[side] = true;
    }

    #[inline]
    fn find(&self, name: &[u8], kind: Kind) -> Option<usize> {
        let hash = hash(&self.secrets, name, kind);
        let is_it = |number: &u32| {
            let slot = &self.slots[*number as usize];
            slot.kind == kind && &*slot.name == name
        };
        self.table.find(hash, is_it).map(|number| *number as usize)
    }

    /// Returns the slot of a metric as clients name it, a new one if need be; `None` if it is refused.
    fn slot_of(&mut self, name: &[u8], tags: &[u8], kind: Kind) -> Option<usize> {
        let tags = if self.settings.keep_tags { tags } else { b"" };
        if name.len() + tags.len() > self.settings.name_bytes_max {
            self.tally.names_refused += 1;
            return None;
        }
        let mut kept = std::mem::take(&mut self.scratch);
        kept.clear();
        write_name(name, tags, &mut kept);
        let found = self.find(&kept, kind).or_else(|| self.insert(&kept, kind));
        self.scratch = kept;
        found
    }

    fn insert(&mut self, kept: &[u8], kind: Kind) -> Option<usize> {
        if kept.is_empty() || kept[0] == b';' || self.len() >= self.settings.names_max {
            self.tally.names_refused += 1;
            return None;
        }
        let slot = Slot::new(kept, kind, self.interval);
        let number = match self.free.pop() {
            Some(free) => {
                self.slots[free as usize] = slot;
                free
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let Accumulator { table, slots, secrets, .. } = self;
        table.insert_unique(hash(secrets, kept, kind), number, |number| {
            let slot = &slots[*number as usize];
            hash(secrets, &slot.name, slot.kind)
        });
        Some(number as usize)
    }

    /// Forgets a metric.
    pub(crate) fn forget(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        let hash = hash(&self.secrets, &slot.name, slot.kind);
        if let Ok(entry) = self.table.find_entry(hash, |found| *found as usize == number) {
            entry.remove();
        }
        slot.free(&mut self.memory);
        self.free.push(number as u32);
    }
}

#[inline]
fn hash(secrets: &RapidSecrets, name: &[u8], kind: Kind) -> u64 {
    // An odd factor for each kind spreads the kinds of one name.
    let hash = rapidhash_v3_micro_inline::<true, false>(name, secrets);
    hash.wrapping_mul(kind as u64 * 2 + 1)
}

#[cfg(test)]
mod tests;
