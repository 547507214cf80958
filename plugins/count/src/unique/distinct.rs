//! The different values of one key: a HyperLogLog sketch.

use crate::table::Tally;
use datasketches::common::NumStdDev;
use datasketches::hash::value::raw_bytes;
use datasketches::hll::{HllSketch, HllType, HllUnion};

/// Where a sketch's bytes say how it is kept: the lowest two bits, 2 for registers, then two for the registers' type.
const MODE_AT: usize = 7;
const MODE_REGISTERS: u8 = 2;
const TYPE_8_BITS: u8 = 2;
/// Where the registers begin.
const REGISTERS_AT: usize = 40;
/// The largest value of a register; the crate takes larger ones, but can't count with them.
const REGISTER_MAX: u8 = 63;

/// The different values of one key; nothing when there were none.
#[derive(Default)]
pub struct Distinct(Option<HllSketch>);

impl Tally for Distinct {
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl Distinct {
    /// Adds a value.
    pub fn insert(&mut self, value: &[u8], precision: u8) {
        if self.0.is_none() {
            // The precision was checked.
            self.0 = HllSketch::new(precision, HllType::Hll8).ok();
        }
        if let Some(sketch) = &mut self.0 {
            sketch.update(raw_bytes::from_slice(value));
        }
    }

    /// Adds the values of another one.
    pub fn unite(&mut self, other: &Distinct, precision: u8) {
        let Ok(mut union) = HllUnion::new(precision) else { return };
        self.0.iter().chain(&other.0).for_each(|sketch| union.update(sketch));
        self.0 = Some(union.to_sketch(HllType::Hll8));
    }

    /// Returns how many there are, and between which numbers the true one lies in 19 of 20 cases.
    pub fn count(&self) -> [i64; 3] {
        let Some(sketch) = &self.0 else { return [0; 3] };
        let (lower, upper) = (sketch.lower_bound(NumStdDev::Two), sketch.upper_bound(NumStdDev::Two));
        [sketch.estimate().round(), lower.floor(), upper.ceil()].map(|count| count as i64)
    }

    /// Returns the sketch as Apache DataSketches write it.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        self.0.as_ref().map(HllSketch::serialize)
    }

    /// Reads a sketch as [`bytes`](Distinct::bytes) gives it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(bytes: &[u8]) -> Result<Distinct, String> {
        let sketch = HllSketch::deserialize(bytes).map_err(|error| error.to_string())?;
        if sketch.target_type() != HllType::Hll8 || bytes[MODE_AT] >> 2 & 3 != TYPE_8_BITS {
            return Err("its registers do not have 8 bits".to_owned());
        }
        let has_registers = bytes[MODE_AT] & 3 == MODE_REGISTERS;
        let registers = bytes.get(REGISTERS_AT..).filter(|_| has_registers).unwrap_or_default();
        match registers.iter().all(|register| *register <= REGISTER_MAX) {
            true => Ok(Distinct(Some(sketch))),
            false => Err("a register is too large".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: std::ops::Range<u32>, precision: u8) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|value| distinct.insert(&value.to_le_bytes(), precision));
        distinct
    }

    fn check(distinct: &Distinct, expected: i64, error: f64) {
        let [count, min, max] = distinct.count();
        let allowed = (expected as f64 * error) as i64;
        assert!((expected - allowed..=expected + allowed).contains(&count), "{count}, not {expected}");
        assert!(min <= count && count <= max, "{min} {count} {max}");
    }

    #[test]
    fn values_are_counted_once() {
        check(&of(0..0, 12), 0, 0.0);
        check(&of(0..3, 12), 3, 0.0);
        let mut twice = of(0..500, 12);
        (0..500u32).for_each(|value| twice.insert(&value.to_le_bytes(), 12));
        check(&twice, 500, 0.05);
        check(&of(0..100_000, 12), 100_000, 0.06);
        check(&of(0..10_000, 4), 10_000, 0.9);
    }

    #[test]
    fn unions_count_what_is_in_both_once() {
        for (precision, other_precision) in [(12, 12), (12, 14), (12, 10), (4, 21)] {
            let (mut one, other) = (of(0..2000, precision), of(1000..3000, other_precision));
            one.unite(&Distinct::read(&other.bytes().unwrap()).unwrap(), precision);
            check(&one, 3000, if precision == 4 { 0.9 } else { 0.12 });
        }
        let mut none = Distinct::default();
        none.unite(&of(0..5, 12), 12);
        check(&none, 5, 0.0);
    }

    #[test]
    fn other_sketches_are_refused() {
        let mut small = HllSketch::new(12, HllType::Hll4).unwrap();
        small.update(1);
        let refused = |bytes: &[u8]| Distinct::read(bytes).map(|_| ()).unwrap_err();
        assert_eq!(refused(&small.serialize()), "its registers do not have 8 bits");
        let mut bytes = of(0..1000, 12).bytes().unwrap();
        bytes[100] = 64;
        assert_eq!(refused(&bytes), "a register is too large");
        assert!(!refused(&bytes[..50]).is_empty() && !refused(b"").is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(read) = Distinct::read(&bytes) {
                of(0..5, 12).unite(&read, 12);
            }
        }

        #[test]
        fn damaged_sketches_are_united_or_refused(
            values in 0u32..3000,
            at in any::<proptest::sample::Index>(),
            byte in any::<u8>(),
            end in any::<proptest::sample::Index>(),
        ) {
            let Some(mut bytes) = of(0..values, 12).bytes() else { return Ok(()) };
            let place = at.index(bytes.len().min(64));
            bytes[place] = byte;
            let end = end.index(bytes.len() + 1);
            for bytes in [&bytes[..], &bytes[..end]] {
                if let Ok(read) = Distinct::read(bytes) {
                    let mut united = of(2000..2500, 12);
                    united.unite(&read, 12);
                    united.count();
                    united.insert(b"more", 12);
                    united.bytes();
                }
            }
        }
    }
}
