//! Messages as they go over the wire, made once and sent again and again.

use std::ops::Range;

/// Least size of a block, in bytes: so much goes out in one system call.
pub(super) const BLOCK_BYTES_MIN: usize = 256 << 10;

/// Count of digits of a message's number.
pub(super) const NUMBER_DIGITS: usize = 12;

/// Whole messages, one behind the other.
#[derive(Clone, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Offset behind each message.
    ends: Vec<u32>,
    /// Where each message's number stands; empty when they have none.
    numbers: Vec<u32>,
}

impl Block {
    /// Adds the message that `write` appends; `number` tells where in it a number stands.
    pub(super) fn add(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        number: impl FnOnce(&[u8]) -> Option<usize>,
    ) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        if let Some(at) = number(&self.bytes[start..]) {
            self.numbers.push((start + at) as u32);
        }
        self.ends.push(self.bytes.len() as u32);
    }

    /// Returns the count of messages.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether it is large enough to be sent with few system calls.
    pub(super) fn is_large(&self) -> bool {
        self.bytes.len() >= BLOCK_BYTES_MIN
    }

    /// Returns the length that all messages have, if they have one.
    pub(super) fn message_bytes(&self) -> Option<usize> {
        let len = *self.ends.first()?;
        let mut starts = std::iter::once(&0).chain(&self.ends);
        self.ends
            .iter()
            .all(|end| starts.next().is_some_and(|start| end - start == len))
            .then_some(len as usize)
    }

    fn start(&self, message: usize) -> usize {
        message.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize)
    }

    /// Returns the messages from `first` on: as many as fit, at least one, not beyond the block's end.
    pub(super) fn fit(&self, first: usize, messages_max: u64, bytes_max: usize) -> Range<usize> {
        let until = usize::try_from(messages_max).unwrap_or(usize::MAX).saturating_add(first).min(self.len());
        let limit = self.start(first).saturating_add(bytes_max);
        let fitting = self.ends[first..until].partition_point(|&end| end as usize <= limit);
        first..(first + fitting.max(1)).min(self.len())
    }

    /// Returns the bytes of messages.
    pub(super) fn span(&self, messages: Range<usize>) -> &[u8] {
        &self.bytes[self.start(messages.start)..self.start(messages.end)]
    }

    /// Returns how many of the messages from `first` on the next `bytes` bytes hold whole.
    pub(super) fn whole_messages(&self, first: usize, bytes: usize) -> usize {
        let limit = self.start(first) + bytes;
        self.ends[first..].partition_point(|&end| end as usize <= limit)
    }

    /// Tells whether messages have numbers.
    pub(super) fn is_numbered(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Writes numbers into messages: `first`, `first + step`, and so on.
    pub(super) fn number(&mut self, messages: Range<usize>, first: u64, step: u64) {
        let mut number = first;
        for &at in self.numbers.get(messages).unwrap_or_default() {
            if let Some(place) = self.bytes.get_mut(at as usize..at as usize + NUMBER_DIGITS) {
                put_number(number, place);
            }
            number += step;
        }
    }
}

fn put_number(number: u64, place: &mut [u8]) {
    // Two halves: their divisions go on side by side.
    let (high, low) = place.split_at_mut(NUMBER_DIGITS / 2);
    for (half, mut number) in [(high, (number / 1_000_000) as u32), (low, (number % 1_000_000) as u32)] {
        for pair in half.rchunks_exact_mut(2) {
            let last = (number % 100) as u8;
            number /= 100;
            pair.copy_from_slice(&[b'0' + last / 10, b'0' + last % 10]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(messages: &[&str]) -> Block {
        let mut block = Block::default();
        for message in messages {
            block.add(|bytes| bytes.extend_from_slice(message.as_bytes()), |_| None);
        }
        block
    }

    #[test]
    fn as_many_fit_as_bytes_and_count_allow() {
        let block = block(&["aaa", "bb", "c", "dddd"]);
        let cases = [
            ((0, 9, 100), 0..4, "aaabbcdddd"),
            ((0, 9, 5), 0..2, "aaabb"),
            ((1, 9, 3), 1..3, "bbc"),
            ((1, 1, 3), 1..2, "bb"),
            ((3, 9, 1), 3..4, "dddd"),
            ((0, u64::MAX, usize::MAX), 0..4, "aaabbcdddd"),
        ];
        for ((first, messages_max, bytes_max), fitting, bytes) in cases {
            assert_eq!(block.fit(first, messages_max, bytes_max), fitting);
            assert_eq!(block.span(fitting), bytes.as_bytes());
        }
        assert_eq!(block.message_bytes(), None);
        let whole: Vec<usize> = [0, 2, 3, 5, 9].map(|bytes| block.whole_messages(0, bytes)).into();
        assert_eq!(whole, [0, 0, 1, 2, 3]);
    }

    #[test]
    fn equal_lengths_are_seen() {
        assert_eq!(block(&["ab", "cd", "ef"]).message_bytes(), Some(2));
        assert_eq!(block(&["ab", "c", "efg"]).message_bytes(), None);
        assert_eq!(block(&[]).message_bytes(), None);
    }

    #[test]
    fn numbers_stand_where_they_were_said_to() {
        let mut block = Block::default();
        for text in ["<000000000000>", "<<000000000000>>"] {
            block.add(
                |bytes| bytes.extend_from_slice(text.as_bytes()),
                |message| message.iter().position(|&byte| byte == b'0'),
            );
        }
        block.number(0..2, 999_999_999_998, 1);
        assert_eq!(block.span(0..2), b"<999999999998><<999999999999>>");
        block.number(1..2, 123, 7);
        assert_eq!(block.span(0..2), b"<999999999998><<000000000123>>");
    }

    proptest! {
        #[test]
        fn numbers_have_twelve_digits(number in 0..1_000_000_000_000_u64) {
            let mut place = [0; NUMBER_DIGITS];
            put_number(number, &mut place);
            prop_assert_eq!(place.to_vec(), format!("{number:012}").into_bytes());
        }
    }
}
