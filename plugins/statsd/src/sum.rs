//! Sums in which integers lose nothing.

use crate::metric::{Number, whole};

/// A sum: integers exactly, as far as 64 bits go, and the rest as a double.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    whole: i64,
    rest: f64,
}

impl Sum {
    /// Adds an integer.
    #[inline]
    pub fn add_integer(&mut self, value: i64) {
        match self.whole.checked_add(value) {
            Some(whole) => self.whole = whole,
            None => {
                self.rest += self.whole as f64;
                self.whole = value;
            }
        }
    }

    /// Adds a number; one that would lead beyond all doubles is left out.
    pub fn add(&mut self, number: Number) {
        match number {
            Number::Integer(value) => self.add_integer(value),
            Number::Double(value) if (self.rest + value).is_finite() => self.rest += value,
            Number::Double(_) => {}
        }
    }

    /// Begins anew with a number.
    pub fn set(&mut self, number: Number) {
        *self = Sum::default();
        self.add(number);
    }

    /// Returns the sum: an integer if only integers were added, and they fit.
    pub fn number(&self) -> Number {
        if self.rest == 0.0 { Number::Integer(self.whole) } else { whole(self.whole as f64 + self.rest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(numbers: &[Number], expected: Number) {
        let mut sum = Sum::default();
        numbers.iter().for_each(|number| sum.add(*number));
        assert_eq!(sum.number(), expected, "{numbers:?}");
    }

    #[test]
    fn integers_stay_exact() {
        use Number::{Double, Integer};
        check(&[], Integer(0));
        check(&[Integer(i64::MAX - 1), Integer(1)], Integer(i64::MAX));
        check(&[Integer(1 << 53), Integer(1)], Integer((1 << 53) + 1));
        check(&[Double(0.5), Integer(1), Double(0.5)], Integer(2));
        check(&[Double(0.1), Integer(1)], Double(1.1));
        check(&[Integer(i64::MAX), Integer(i64::MAX)], Double(2.0 * i64::MAX as f64));
        check(&[Double(1e308), Double(1e308)], Double(1e308));
    }

    proptest! {
        #[test]
        fn sums_of_integers_are_those_of_more_bits(values in proptest::collection::vec(-1_000_000_000_000_i64..1_000_000_000_000, 0..100)) {
            let mut sum = Sum::default();
            values.iter().for_each(|value| sum.add_integer(*value));
            let expected: i128 = values.iter().map(|value| i128::from(*value)).sum();
            prop_assert_eq!(sum.number(), Number::Integer(expected as i64));
        }
    }
}
