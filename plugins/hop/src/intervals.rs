//! Sets of sequences, kept as ranges.

use crate::protocol::Range;

/// A set of numbers as ascending ranges, first to last, both included, with a gap between any two.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct IntervalSet {
    ranges: Vec<Range>,
}

impl IntervalSet {
    /// Makes a set of ranges in any order; empty ones, whose first is above the last, are left out.
    pub fn of(ranges: impl IntoIterator<Item = Range>) -> IntervalSet {
        let mut set = IntervalSet::default();
        ranges.into_iter().filter(|(first, last)| first <= last).for_each(|range| set.insert(range));
        set
    }

    /// Returns the ranges in order.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Adds a range.
    pub fn insert(&mut self, (first, last): Range) {
        // What ends at or behind the number before `first` touches the new range, if it doesn't begin too far behind.
        let from = self.ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = from + self.ranges[from..].partition_point(|range| range.0 <= last.saturating_add(1));
        match self.ranges[from..to] {
            [] => self.ranges.insert(from, (first, last)),
            [ref mut only] => *only = (only.0.min(first), only.1.max(last)),
            [(lowest, _), .., (_, highest)] => {
                self.ranges[from] = (lowest.min(first), highest.max(last));
                self.ranges.drain(from + 1..to);
            }
        }
    }

    /// Tells whether a number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.contains_all((number, number))
    }

    /// Tells whether all numbers of a range are in the set.
    pub fn contains_all(&self, (first, last): Range) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < first);
        self.ranges.get(at).is_some_and(|range| range.0 <= first && last <= range.1)
    }

    /// Tells whether any number of a range is in the set.
    pub fn contains_any(&self, (first, last): Range) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < first);
        self.ranges.get(at).is_some_and(|range| range.0 <= last)
    }

    /// Forgets all numbers below `floor`.
    pub fn forget_below(&mut self, floor: u64) {
        let gone = self.ranges.partition_point(|range| range.1 < floor);
        self.ranges.drain(..gone);
        if let Some(first) = self.ranges.first_mut() {
            first.0 = first.0.max(floor);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }
}

/// Groups ascending numbers into ranges without gaps.
pub fn runs(numbers: impl IntoIterator<Item = u64>, mut found: impl FnMut(Range)) {
    let mut run: Option<Range> = None;
    for number in numbers {
        match &mut run {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => {
                run.replace((number, number)).into_iter().for_each(&mut found);
            }
        }
    }
    run.into_iter().for_each(found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn numbers(set: &IntervalSet) -> BTreeSet<u64> {
        set.ranges().iter().flat_map(|&(first, last)| first..=last).collect()
    }

    proptest! {
        #[test]
        fn a_set_of_ranges_is_the_set_of_their_numbers(
            ranges in prop::collection::vec((0_u64..200, 0_u64..12), 0..40),
            floor in 0_u64..220,
            probe in (0_u64..220, 0_u64..12),
        ) {
            let mut set = IntervalSet::default();
            let mut expected = BTreeSet::new();
            for (first, len) in ranges {
                set.insert((first, first + len));
                expected.extend(first..=first + len);
            }
            prop_assert_eq!(numbers(&set), expected.clone());
            prop_assert!(set.ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            let probe = (probe.0, probe.0 + probe.1);
            prop_assert_eq!(set.contains_all(probe), (probe.0..=probe.1).all(|n| expected.contains(&n)));
            prop_assert_eq!(set.contains_any(probe), (probe.0..=probe.1).any(|n| expected.contains(&n)));
            prop_assert_eq!(set.contains(probe.0), expected.contains(&probe.0));
            prop_assert_eq!(IntervalSet::of(set.ranges().iter().rev().copied()), set.clone());
            set.forget_below(floor);
            expected.retain(|&number| number >= floor);
            prop_assert_eq!(numbers(&set), expected);
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers() {
        let mut set = IntervalSet::of([(u64::MAX, u64::MAX), (0, 0), (5, 3)]);
        assert_eq!(set.ranges(), [(0, 0), (u64::MAX, u64::MAX)]);
        set.insert((0, u64::MAX));
        assert_eq!(set.ranges(), [(0, u64::MAX)]);
    }

    #[test]
    fn runs_have_no_gaps() {
        let mut found = Vec::new();
        runs([1, 2, 3, 7, 9, 10, u64::MAX], |run| found.push(run));
        assert_eq!(found, [(1, 3), (7, 7), (9, 10), (u64::MAX, u64::MAX)]);
        runs([], |_| panic!("nothing to find"));
    }
}
