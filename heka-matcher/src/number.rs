//! Exact comparison of integers and doubles with a number from the matcher's text.

use super::ast::{Number, Relation};
use std::cmp::Ordering;

/// 2^63, the first double above every `i64`; its negative is `i64::MIN`.
const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;

/// Tests integers: a range with both ends included, empty when `low > high`.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntegerRange {
    low: i64,
    high: i64,
}

impl IntegerRange {
    const ALL: IntegerRange = IntegerRange { low: i64::MIN, high: i64::MAX };
    const NONE: IntegerRange = IntegerRange { low: i64::MAX, high: i64::MIN };

    /// Makes the range of the integers that stand in `relation` to `number`.
    pub(super) fn new(relation: Comparison, number: Number) -> IntegerRange {
        match number.normalized() {
            Number::Integer(integer) => Self::to_integer(relation, integer),
            Number::Double(double) => Self::to_double(relation, double),
        }
    }

    fn to_integer(relation: Comparison, value: i64) -> IntegerRange {
        let below = value.checked_sub(1).map(|high| IntegerRange { low: i64::MIN, high });
        let above = value.checked_add(1).map(|low| IntegerRange { low, high: i64::MAX });
        match relation {
            Comparison::Equal => IntegerRange { low: value, high: value },
            Comparison::Less => below.unwrap_or(Self::NONE),
            Comparison::LessEqual => IntegerRange { low: i64::MIN, high: value },
            Comparison::Greater => above.unwrap_or(Self::NONE),
            Comparison::GreaterEqual => IntegerRange { low: value, high: i64::MAX },
        }
    }

    /// `value` has a fraction, or is beyond every integer.
    fn to_double(relation: Comparison, value: f64) -> IntegerRange {
        let holds_below = matches!(relation, Comparison::Less | Comparison::LessEqual);
        let holds_above = matches!(relation, Comparison::Greater | Comparison::GreaterEqual);
        match integer_part(value) {
            Ok(floor) if holds_below => IntegerRange { low: i64::MIN, high: floor },
            Ok(floor) if holds_above => Self::to_integer(Comparison::Greater, floor),
            Err(Ordering::Greater) if holds_below => Self::ALL,
            Err(Ordering::Less) if holds_above => Self::ALL,
            _ => Self::NONE,
        }
    }

    #[inline]
    pub(super) fn contains(&self, value: i64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// A relation without `!=`, which is the negation of `==`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Comparison {
    /// Splits a relation into a comparison and whether its outcome is negated.
    pub(super) fn from_relation(relation: Relation) -> (Comparison, bool) {
        match relation {
            Relation::Equal => (Comparison::Equal, false),
            Relation::NotEqual => (Comparison::Equal, true),
            Relation::Less => (Comparison::Less, false),
            Relation::LessEqual => (Comparison::LessEqual, false),
            Relation::Greater => (Comparison::Greater, false),
            Relation::GreaterEqual => (Comparison::GreaterEqual, false),
        }
    }

    #[inline]
    pub(super) fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterEqual => ordering.is_ge(),
        }
    }
}

impl Number {
    /// Makes an integer of a double that is one, so that a number is a double only where it has to be.
    pub(super) fn normalized(self) -> Number {
        match self {
            Number::Double(double) if double.trunc() == double => match integer_part(double) {
                Ok(integer) => Number::Integer(integer),
                Err(_) => self,
            },
            _ => self,
        }
    }

    /// Compares a double from a message with this number; `None` for NaN.
    #[inline]
    pub(super) fn ordering_of(self, value: f64) -> Option<Ordering> {
        match self {
            Number::Double(number) => value.partial_cmp(&number),
            Number::Integer(_) if value.is_nan() => None,
            Number::Integer(number) => Some(match integer_part(value) {
                // The integer parts order the two; where they are equal, the fraction puts the value above.
                Ok(floor) => floor.cmp(&number).then(if value > floor as f64 {
                    Ordering::Greater
                } else {
                    Ordering::Equal
                }),
                Err(side) => side,
            }),
        }
    }
}

/// Rounds a double down to an integer, or tells on which side of all integers it is. NaN is above.
#[inline]
fn integer_part(value: f64) -> Result<i64, Ordering> {
    let floor = value.floor();
    if floor < -BEYOND_I64 {
        Err(Ordering::Less)
    } else if floor < BEYOND_I64 {
        // Exact: the value is integral and within the range.
        Ok(floor as i64)
    } else {
        Err(Ordering::Greater)
    }
}

/// Tests numbers for being one of a list.
#[derive(Debug, Clone)]
pub(super) struct NumberList {
    integers: Box<[i64]>,
    /// Those that no `i64` equals.
    doubles: Box<[f64]>,
}

impl NumberList {
    pub(super) fn new(numbers: impl IntoIterator<Item = Number>) -> NumberList {
        let (mut integers, mut doubles) = (Vec::new(), Vec::new());
        for number in numbers {
            match number.normalized() {
                Number::Integer(integer) => integers.push(integer),
                Number::Double(double) => doubles.push(double),
            }
        }
        integers.sort_unstable();
        doubles.sort_unstable_by(f64::total_cmp);
        NumberList { integers: integers.into(), doubles: doubles.into() }
    }

    #[inline]
    pub(super) fn contains(&self, value: i64) -> bool {
        self.integers.binary_search(&value).is_ok()
    }

    pub(super) fn contains_double(&self, value: f64) -> bool {
        match Number::Double(value).normalized() {
            Number::Integer(integer) => self.contains(integer),
            Number::Double(double) => self.doubles.binary_search_by(|known| known.total_cmp(&double)).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPARISONS: [Comparison; 5] = [
        Comparison::Equal,
        Comparison::Less,
        Comparison::LessEqual,
        Comparison::Greater,
        Comparison::GreaterEqual,
    ];

    /// Checks both directions against the exact ordering of `integer` relative to `double`.
    fn check(integer: i64, double: f64, ordering: Ordering) {
        let number = Number::Integer(integer);
        assert_eq!(number.ordering_of(double), Some(ordering.reverse()), "{double} against {integer}");
        for comparison in COMPARISONS {
            let range = IntegerRange::new(comparison, Number::Double(double));
            assert_eq!(
                range.contains(integer),
                comparison.accepts(ordering),
                "{integer} {comparison:?} {double}"
            );
        }
    }

    #[test]
    fn integers_and_doubles_compare_exactly() {
        let two_to_53 = 9_007_199_254_740_992_i64;
        check(two_to_53, two_to_53 as f64, Ordering::Equal);
        check(two_to_53 + 1, two_to_53 as f64, Ordering::Greater);
        check(i64::MAX, BEYOND_I64, Ordering::Less);
        check(i64::MIN, -BEYOND_I64, Ordering::Equal);
        check(i64::MIN, -BEYOND_I64 * 2.0, Ordering::Greater);
        check(i64::MAX, 1e300, Ordering::Less);
        check(0, -0.0, Ordering::Equal);
        check(0, 0.5, Ordering::Less);
        check(0, -0.5, Ordering::Greater);
        check(-1, -0.5, Ordering::Less);
        check(-1, -1.5, Ordering::Greater);
        check(5, f64::MIN_POSITIVE, Ordering::Greater);
        check(0, f64::MIN_POSITIVE, Ordering::Less);
    }

    #[test]
    fn infinite_and_nan_values_have_their_place() {
        for number in [Number::Integer(i64::MAX), Number::Double(0.5)] {
            assert_eq!(number.ordering_of(f64::INFINITY), Some(Ordering::Greater));
            assert_eq!(number.ordering_of(f64::NEG_INFINITY), Some(Ordering::Less));
            assert_eq!(number.ordering_of(f64::NAN), None);
        }
    }

    #[test]
    fn list_finds_integers_and_doubles_by_value() {
        let list = NumberList::new([Number::Integer(3), Number::Double(4.0), Number::Double(0.5)]);
        assert!(list.contains(3) && list.contains(4) && !list.contains(0));
        assert!(list.contains_double(3.0) && list.contains_double(0.5) && !list.contains_double(f64::NAN));
    }
}
