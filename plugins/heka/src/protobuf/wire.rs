//! Protobuf's wire format: varints, lengths, tags.

use std::fmt;
use std::ops::Range;

/// Says why bytes are not a protobuf message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProtobufFault {
    /// A varint does not end before the bytes do.
    TruncatedVarint {
        /// Offset of the varint.
        at: usize,
    },
    /// A varint has more than ten bytes.
    LongVarint {
        /// Offset of the varint.
        at: usize,
    },
    /// A length reaches beyond the end.
    LengthBeyondEnd {
        /// Offset behind the length.
        at: usize,
        /// What the length says.
        length: u64,
        /// How many bytes are left.
        left: usize,
    },
    /// A tag is field 0, or of a wire type that is obsolete or does not exist.
    BadTag {
        /// Offset behind the tag.
        at: usize,
        /// The tag.
        tag: u64,
    },
}

impl fmt::Display for ProtobufFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtobufFault::TruncatedVarint { at } => {
                write!(f, "not protobuf: the number at byte {at} has no end")
            }
            ProtobufFault::LongVarint { at } => {
                write!(f, "not protobuf: the number at byte {at} is longer than 10 bytes")
            }
            ProtobufFault::LengthBeyondEnd { at, length, left } => {
                write!(f, "not protobuf: {length} bytes should follow at byte {at}, but only {left} do")
            }
            ProtobufFault::BadTag { at, tag } => {
                write!(f, "not protobuf: field {} of wire type {} before byte {at}", tag >> 3, tag & 7)
            }
        }
    }
}

impl std::error::Error for ProtobufFault {}

/// A place in a message. Offsets count from the start of the whole message, also inside a nested one.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset behind the last byte.
    end: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes, end: bytes.len() }
    }

    /// Offset of the next byte.
    #[inline]
    fn at(&self) -> usize {
        self.end - self.rest.len()
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a tag: number of the field times 8, plus the wire type of its value.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<u64, ProtobufFault> {
        self.varint()
    }

    /// Steps over a tag of one byte if it is the next.
    #[inline]
    pub(crate) fn eat(&mut self, tag: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == tag => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, ProtobufFault> {
        match self.rest {
            &[byte @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(byte.into())
            }
            &[low, high @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            rest => {
                // By value, so that the cursor can stay in registers.
                let (value, len) = long_varint(rest, self.at())?;
                self.rest = rest.get(len..).unwrap_or_default();
                Ok(value)
            }
        }
    }

    /// Reads a length and steps over the bytes that it counts.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ProtobufFault> {
        let length = self.varint()?;
        if length > self.rest.len() as u64 {
            return Err(beyond_end(self.at(), length, self.rest.len()));
        }
        let (bytes, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        Ok(bytes)
    }

    /// As `bytes`; returns where they are.
    #[inline(always)]
    pub(crate) fn range(&mut self) -> Result<Range<usize>, ProtobufFault> {
        let len = self.bytes()?.len();
        Ok(self.at() - len..self.at())
    }

    /// As `bytes`; returns a cursor over them.
    #[inline]
    pub(crate) fn nested(&mut self) -> Result<Cursor<'a>, ProtobufFault> {
        let bytes = self.bytes()?;
        Ok(Cursor { rest: bytes, end: self.at() })
    }

    /// Reads a length; tells whether it counts all bytes that are left.
    #[inline]
    pub(crate) fn length_to_end(&mut self) -> bool {
        self.varint().is_ok_and(|length| length == self.rest.len() as u64)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, ProtobufFault> {
        let fixed = self.fixed::<8>()?;
        Ok(u64::from_le_bytes(fixed))
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtobufFault> {
        let Some((fixed, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(beyond_end(self.at(), N as u64, self.rest.len()));
        };
        self.rest = rest;
        Ok(*fixed)
    }

    /// Steps over the value behind `tag`.
    #[inline]
    pub(crate) fn skip(&mut self, tag: u64) -> Result<(), ProtobufFault> {
        self.rest = self.clone().skipped(tag)?;
        Ok(())
    }

    #[cold]
    fn skipped(mut self, tag: u64) -> Result<&'a [u8], ProtobufFault> {
        match tag & 7 {
            _ if tag >> 3 == 0 => return Err(ProtobufFault::BadTag { at: self.at(), tag }),
            0 => _ = self.varint()?,
            1 => _ = self.fixed::<8>()?,
            2 => _ = self.bytes()?,
            5 => _ = self.fixed::<4>()?,
            _ => return Err(ProtobufFault::BadTag { at: self.at(), tag }),
        }
        Ok(self.rest)
    }
}

/// Reads a varint of more than two bytes, which begins at offset `at`; returns it and its length.
#[inline(never)]
fn long_varint(bytes: &[u8], at: usize) -> Result<(u64, usize), ProtobufFault> {
    let Some((word, rest)) = bytes.split_first_chunk::<8>() else { return varint_by_bytes(bytes, at) };
    let word = u64::from_le_bytes(*word);
    let ends = !word & 0x8080_8080_8080_8080;
    if ends != 0 {
        let len = ends.trailing_zeros() / 8 + 1;
        return Ok((squeezed(word & (u64::MAX >> (64 - 8 * len))), len as usize));
    }
    // Times have nine bytes, negative numbers ten.
    match *rest {
        [ninth @ 0..0x80, ..] => Ok((squeezed(word) | (u64::from(ninth) << 56), 9)),
        [ninth, tenth @ 0..0x80, ..] => {
            let high = (u64::from(ninth & 0x7f) << 56) | (u64::from(tenth) << 63);
            Ok((squeezed(word) | high, 10))
        }
        _ => varint_by_bytes(bytes, at),
    }
}

/// Puts the lower seven bits of eight bytes together.
#[inline]
fn squeezed(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

#[cold]
fn varint_by_bytes(bytes: &[u8], at: usize) -> Result<(u64, usize), ProtobufFault> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(match bytes.len() {
        0..10 => ProtobufFault::TruncatedVarint { at },
        _ => ProtobufFault::LongVarint { at },
    })
}

#[cold]
fn beyond_end(at: usize, length: u64, left: usize) -> ProtobufFault {
    ProtobufFault::LengthBeyondEnd { at, length, left }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_of_every_length_are_read_alike(value: u64, shift in 0u32..64, behind: Vec<u8>) {
            let (value, mut rest, mut bytes) = (value >> shift, value >> shift, Vec::new());
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            let len = bytes.len();
            bytes.extend(behind);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint(), Ok(value));
            prop_assert_eq!(cursor.at(), len);
            prop_assert_eq!(long_varint(&bytes, 0), varint_by_bytes(&bytes, 0));
        }

        #[test]
        fn any_bytes_are_read_alike(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80u8..], 0..12)) {
            prop_assert_eq!(long_varint(&bytes, 0), varint_by_bytes(&bytes, 0));
        }
    }
}
