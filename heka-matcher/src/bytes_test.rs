//! Tests of text, which is bytes.

use super::key_table::KeyTable;
use super::number::Comparison;
use memchr::memmem::Finder;
use regex::bytes::Regex;
use std::sync::Arc;

/// What is asked of some bytes; each kind as specialised as its text allowed.
#[derive(Debug, Clone)]
pub(super) enum BytesTest {
    Equal(Box<[u8]>),
    Compare(Comparison, Box<[u8]>),
    OneOf(Arc<KeyTable>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<Finder<'static>>),
    Regex(Regex),
}

impl BytesTest {
    /// Makes the test of a comparison with `literal`.
    pub(super) fn compare(comparison: Comparison, literal: impl Into<Box<[u8]>>) -> BytesTest {
        match comparison {
            Comparison::Equal => BytesTest::Equal(literal.into()),
            _ => BytesTest::Compare(comparison, literal.into()),
        }
    }

    #[inline]
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        match self {
            BytesTest::Equal(literal) => same_bytes(bytes, literal),
            _ => self.holds_by_call(bytes),
        }
    }

    /// Runs all but the most frequent test, which would otherwise save and restore registers for these.
    #[inline(never)]
    fn holds_by_call(&self, bytes: &[u8]) -> bool {
        match self {
            BytesTest::Equal(literal) => bytes == &**literal,
            BytesTest::Compare(comparison, literal) => comparison.accepts(bytes.cmp(literal)),
            BytesTest::OneOf(table) => table.find(bytes).is_some(),
            BytesTest::Prefix(literal) => bytes.starts_with(literal),
            BytesTest::Suffix(literal) => bytes.ends_with(literal),
            BytesTest::Contains(finder) => finder.find(bytes).is_some(),
            BytesTest::Regex(regex) => regex.is_match(bytes),
        }
    }

    /// Tells how dear the test is: 0 for a few nanoseconds, 1 for a search.
    pub(super) fn cost(&self) -> u32 {
        match self {
            BytesTest::Contains(_) => 1,
            BytesTest::Regex(_) => 2,
            _ => 0,
        }
    }
}

/// Tells whether both are equal: `==` of slices calls out, which for a name or a type costs more than comparing.
#[inline]
pub(super) fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        // The last eight bytes differ more often than the first: `nginx.access` and `nginx.error`.
        (Some(left_end), Some(right_end)) => left_end == right_end && same_words(left, right),
        _ => same_short(left, right),
    }
}

/// Compares all eights but what `same_bytes` has compared at the end.
#[inline]
fn same_words(mut left: &[u8], mut right: &[u8]) -> bool {
    while left.len() > 8 {
        let (Some((left_word, left_rest)), Some((right_word, right_rest))) =
            (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
        else {
            break;
        };
        if left_word != right_word {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    true
}

/// Compares fewer than eight bytes, as two words that may overlap.
#[inline]
fn same_short(left: &[u8], right: &[u8]) -> bool {
    match (left.first_chunk::<4>(), right.first_chunk::<4>()) {
        (Some(left_start), Some(right_start)) => {
            left_start == right_start && left.last_chunk::<4>() == right.last_chunk::<4>()
        }
        _ => left.iter().eq(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_bytes_is_equality() {
        for length in 0..40_usize {
            let left: Vec<u8> = (0..length as u8).collect();
            assert!(same_bytes(&left, &left.clone()));
            assert!(!same_bytes(&left, &[left.as_slice(), b"x"].concat()));
            for at in 0..length {
                let mut right = left.clone();
                right[at] ^= 0x80;
                assert!(!same_bytes(&left, &right), "{length} bytes differ at {at}");
            }
        }
    }
}
