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

/// A place in a message. Offsets count from the start of `bytes`, also inside a nested message.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    /// A cursor over a part of the bytes, with the same offsets.
    #[inline]
    pub(crate) fn part(&self, range: Range<usize>) -> Cursor<'a> {
        Cursor { bytes: self.bytes.get(..range.end).unwrap_or_default(), at: range.start }
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Reads a tag: number of the field times 8, plus the wire type of its value.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<u64, ProtobufFault> {
        self.varint()
    }

    /// Steps over a tag of one byte if it is the next.
    #[inline]
    pub(crate) fn eat(&mut self, tag: u8) -> bool {
        let is_next = self.bytes.get(self.at) == Some(&tag);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, ProtobufFault> {
        match *self.bytes.get(self.at..).unwrap_or_default() {
            [byte @ 0..0x80, ..] => {
                self.at += 1;
                Ok(byte.into())
            }
            [low, high @ 0..0x80, ..] => {
                self.at += 2;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => {
                // By value, so that the cursor can stay in registers.
                let (value, at) = long_varint(self.bytes, self.at)?;
                self.at = at;
                Ok(value)
            }
        }
    }

    /// Reads a length and steps over the bytes that it counts.
    #[inline]
    pub(crate) fn range(&mut self) -> Result<Range<usize>, ProtobufFault> {
        let length = self.varint()?;
        let left = self.bytes.len() - self.at;
        if length > left as u64 {
            return Err(beyond_end(self.at, length, left));
        }
        let start = self.at;
        self.at += length as usize;
        Ok(start..self.at)
    }

    /// Reads a length and the bytes that it counts.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ProtobufFault> {
        let range = self.range()?;
        Ok(self.bytes.get(range).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, ProtobufFault> {
        let fixed = self.fixed::<8>()?;
        Ok(u64::from_le_bytes(fixed))
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtobufFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(&fixed) = rest.first_chunk::<N>() else {
            return Err(beyond_end(self.at, N as u64, rest.len()));
        };
        self.at += N;
        Ok(fixed)
    }

    /// Steps over the value behind `tag`.
    #[inline]
    pub(crate) fn skip(&mut self, tag: u64) -> Result<(), ProtobufFault> {
        self.at = self.clone().skipped(tag)?;
        Ok(())
    }

    #[cold]
    fn skipped(mut self, tag: u64) -> Result<usize, ProtobufFault> {
        match tag & 7 {
            _ if tag >> 3 == 0 => return Err(ProtobufFault::BadTag { at: self.at, tag }),
            0 => _ = self.varint()?,
            1 => _ = self.fixed::<8>()?,
            2 => _ = self.range()?,
            5 => _ = self.fixed::<4>()?,
            _ => return Err(ProtobufFault::BadTag { at: self.at, tag }),
        }
        Ok(self.at)
    }
}

/// Reads a varint of more than two bytes; returns it and where it ends.
#[inline(never)]
fn long_varint(bytes: &[u8], start: usize) -> Result<(u64, usize), ProtobufFault> {
    let rest = bytes.get(start..).unwrap_or_default();
    let mut value = 0;
    for (index, &byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Ok((value, start + index + 1));
        }
    }
    Err(match rest.len() {
        0..10 => ProtobufFault::TruncatedVarint { at: start },
        _ => ProtobufFault::LongVarint { at: start },
    })
}

#[cold]
fn beyond_end(at: usize, length: u64, left: usize) -> ProtobufFault {
    ProtobufFault::LengthBeyondEnd { at, length, left }
}
