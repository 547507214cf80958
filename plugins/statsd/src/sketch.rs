//! DDSketches: many samples in few bins, so that every quantile is within 1 % of a true one.
//!
//! The bytes of a sketch are those of Datadog's libraries (`sketches-java`, `DDSketchWithExactSummaryStatistics`): flags
//! of one byte, each followed by its value. Of them the index mapping (logarithmic; gamma and offset, two doubles), the
//! count of zeros and the bins (index differences as zigzag varints, counts as variable doubles) are used here; count,
//! sum, minimum and maximum are skipped.

use sketches_ddsketch::{Config, DDSketch};

/// How far a quantile is from the true one, at most.
pub const ACCURACY: f64 = 0.01;
/// Most bins for positive, and for negative, samples: 1 ns to 10^9 s take 2,073 of them.
const BINS_MAX: u32 = 2048;
/// Smaller samples count as 0.
const SMALLEST: f64 = 1e-9;
/// Bins beyond hold no double.
const INDEX_MAX: i64 = 40_000;

/// Makes an empty sketch.
pub fn empty() -> DDSketch {
    DDSketch::new(mapping())
}

fn mapping() -> Config {
    Config::new(ACCURACY, BINS_MAX, SMALLEST)
}

/// Returns the bins of a sketch in bytes, each a value and a count, in the order of the values.
///
/// # Errors
/// What is wrong with the bytes.
pub fn bins(bytes: &[u8]) -> Result<Vec<(f64, u64)>, &'static str> {
    let mapping = mapping();
    let (mut input, mut zeros) = (Bytes(bytes), 0);
    let (mut negative, mut positive) = (Vec::new(), Vec::new());
    let mut has_mapping = false;
    while let Some(flag) = input.next() {
        match flag {
            0x02 => {
                let (gamma, offset) = (input.double()?, input.double()?);
                if (gamma - mapping.gamma).abs() > 1e-9 || offset != 0.0 {
                    return Err("the sketch has another accuracy");
                }
                has_mapping = true;
            }
            0x04 => zeros = input.count()?,
            0xa0 => _ = input.varying_double()?,
            0x84 | 0x88 | 0x8c => _ = input.double()?,
            0x05 => input.bins(&mut positive)?,
            0x07 => input.bins(&mut negative)?,
            _ => return Err("the sketch has parts that are not known"),
        }
    }
    if !has_mapping && !bytes.is_empty() {
        return Err("the sketch says nothing of its accuracy");
    }
    let mut bins: Vec<(f64, u64)> = Vec::with_capacity(negative.len() + positive.len() + 1);
    bins.extend(negative.iter().rev().map(|&(index, count)| (-mapping.value(index), count)));
    bins.extend((zeros > 0).then_some((0.0, zeros)));
    bins.extend(positive.iter().map(|&(index, count)| (mapping.value(index), count)));
    Ok(bins)
}

/// Reads the parts of a sketch.
struct Bytes<'a>(&'a [u8]);

const CUT: &str = "the sketch is cut off";

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn double(&mut self) -> Result<f64, &'static str> {
        let (bytes, rest) = self.0.split_first_chunk::<8>().ok_or(CUT)?;
        self.0 = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    fn varint(&mut self) -> Result<u64, &'static str> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = u64::from(self.next().ok_or(CUT)?);
            if byte < 0x80 || shift == 56 {
                return Ok(value | byte << shift);
            }
            value |= (byte & 0x7f) << shift;
            shift += 7;
        }
    }

    /// Reads a double whose bits are turned so that small counts are short.
    fn varying_double(&mut self) -> Result<f64, &'static str> {
        let (mut bits, mut shift) = (0_u64, 57);
        loop {
            let byte = u64::from(self.next().ok_or(CUT)?);
            if shift == 1 {
                bits |= byte;
                break;
            }
            bits |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift -= 7;
        }
        Ok(f64::from_bits(bits.rotate_right(6).wrapping_add(1.0_f64.to_bits())) - 1.0)
    }

    fn count(&mut self) -> Result<u64, &'static str> {
        let count = self.varying_double()?;
        let fits = (0.0..=(1_u64 << 53) as f64).contains(&count);
        if fits { Ok(count.round() as u64) } else { Err("the sketch has an impossible count") }
    }

    fn bins(&mut self, bins: &mut Vec<(i32, u64)>) -> Result<(), &'static str> {
        let len = self.varint()?;
        if len > u64::from(BINS_MAX) {
            return Err("the sketch has too many bins");
        }
        let mut index = 0_i64;
        for _ in 0..len {
            let step = self.varint()?;
            index = index.saturating_add((step >> 1) as i64 ^ -((step & 1) as i64));
            let is_in_order = bins.last().is_none_or(|&(last, _)| index > i64::from(last));
            if !is_in_order || index.abs() > INDEX_MAX {
                return Err("the sketch has impossible bins");
            }
            bins.push((index as i32, self.count()?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(samples: &[f64]) -> DDSketch {
        let mut sketch = empty();
        samples.iter().for_each(|sample| sketch.add(*sample));
        sketch
    }

    #[test]
    fn bins_are_read_in_order() {
        let bins = bins(&sketch(&[100.0, -3.0, 0.0, 100.0, -200.0]).to_java_bytes()).unwrap();
        let near: Vec<(f64, u64)> = vec![(-200.0, 1), (-3.0, 1), (0.0, 1), (100.0, 2)];
        assert_eq!(bins.len(), near.len());
        for ((value, count), (expected, times)) in bins.into_iter().zip(near) {
            assert!((value - expected).abs() <= expected.abs() * ACCURACY, "{value} {expected}");
            assert_eq!(count, times);
        }
        assert_eq!(super::bins(&sketch(&[]).to_java_bytes()), Ok(vec![]));
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = sketch(&[1.0, 2.0]).to_java_bytes();
        let check = |bytes: &[u8], reason| assert_eq!(bins(bytes), Err(reason));
        check(&good[..good.len() - 1], CUT);
        check(&[9], "the sketch has parts that are not known");
        check(&[4, 2], "the sketch says nothing of its accuracy");
        let other = DDSketch::new(Config::new(0.02, 2048, 1e-9)).to_java_bytes();
        check(&other, "the sketch has another accuracy");
        check(&[5, 0xff, 0xff, 0x7f], "the sketch has too many bins");
        check(&[5, 1, 0xff, 0xff, 0xff, 0x7f, 2], "the sketch has impossible bins");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = bins(&bytes);
        }

        #[test]
        fn bins_added_again_are_the_same_sketch(samples in proptest::collection::vec(-1e6..1e6, 0..50)) {
            let bytes = sketch(&samples).to_java_bytes();
            let read = bins(&bytes).unwrap();
            let mut again = empty();
            read.iter().for_each(|&(value, count)| again.add_with_count(value, count));
            prop_assert_eq!(bins(&again.to_java_bytes()).unwrap(), read);
        }
    }
}
