//! The 64 bytes in front of each block's body.

use crate::format::{BLOCK_VERSION, is_sealed, put, seal, u32_at, u64_at};

/// Length of a header, in bytes.
pub(crate) const HEADER_BYTES: u64 = 64;
const MAGIC: [u8; 8] = *b"HEKABLK\n";

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Messages = 1,
    Head = 2,
    Void = 3,
}

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: BlockKind,
    pub(crate) body_bytes: u64,
    pub(crate) body_crc: u32,
    pub(crate) count: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) offset: u64,
    pub(crate) salt: u64,
}

/// What 64 bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A header.
    Header(BlockHeader),
    /// The header of a later version's block, or of a kind not known here.
    Later { body_bytes: u64 },
    /// Nothing, or damaged.
    Broken,
}

impl BlockHeader {
    /// Returns the offset behind the block.
    pub(crate) fn end(&self) -> u64 {
        self.offset + HEADER_BYTES + self.body_bytes
    }

    pub(crate) fn encode(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &BLOCK_VERSION.to_le_bytes());
        bytes[10] = self.kind as u8;
        put(&mut bytes, 16, &self.body_bytes.to_le_bytes());
        put(&mut bytes, 24, &self.body_crc.to_le_bytes());
        put(&mut bytes, 28, &self.count.to_le_bytes());
        put(&mut bytes, 32, &self.first.to_le_bytes());
        put(&mut bytes, 40, &self.last.to_le_bytes());
        put(&mut bytes, 48, &self.offset.to_le_bytes());
        put(&mut bytes, 56, &self.salt.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Reads a header that lies at `offset`; `salt` is the queue's where it is known.
    pub(crate) fn decode(bytes: &[u8; 64], offset: u64, salt: Option<u64>) -> Decoded {
        let body_bytes = u64_at(bytes, 16);
        // No sum of offsets below overflows.
        let is_sound = is_header(bytes) && is_sealed(bytes) && body_bytes < 1 << 60;
        if !is_sound {
            return Decoded::Broken;
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        let kind = match bytes[10] {
            _ if version > BLOCK_VERSION => return Decoded::Later { body_bytes },
            1 => BlockKind::Messages,
            2 => BlockKind::Head,
            3 => BlockKind::Void,
            _ => return Decoded::Later { body_bytes },
        };
        let header = BlockHeader {
            kind,
            body_bytes,
            body_crc: u32_at(bytes, 24),
            count: u32_at(bytes, 28),
            first: u64_at(bytes, 32),
            last: u64_at(bytes, 40),
            offset: u64_at(bytes, 48),
            salt: u64_at(bytes, 56),
        };
        let is_ours = header.offset == offset && salt.is_none_or(|salt| salt == header.salt);
        let is_whole = version == BLOCK_VERSION && body_bytes.is_multiple_of(8);
        if is_ours && is_whole { Decoded::Header(header) } else { Decoded::Broken }
    }
}

/// Tells whether bytes begin like a header.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> BlockHeader {
        BlockHeader {
            kind: BlockKind::Messages,
            body_bytes: 160,
            body_crc: 7,
            count: 3,
            first: 10,
            last: 14,
            offset: 4096,
            salt: 99,
        }
    }

    #[test]
    fn a_header_is_read_back_where_it_belongs_only() {
        let bytes = header().encode();
        let check = |offset, salt, expected| assert_eq!(BlockHeader::decode(&bytes, offset, salt), expected);
        check(4096, Some(99), Decoded::Header(header()));
        check(4096, None, Decoded::Header(header()));
        check(4104, Some(99), Decoded::Broken);
        check(4096, Some(98), Decoded::Broken);
    }

    #[test]
    fn every_flipped_bit_breaks_a_header() {
        for bit in 0..512 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BlockHeader::decode(&bytes, 4096, Some(99)), Decoded::Broken, "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_and_an_unknown_kind_say_how_long_they_are() {
        for (place, value) in [(8, 2), (9, 1), (10, 9)] {
            let mut bytes = header().encode();
            bytes[place] = value;
            seal(&mut bytes);
            assert_eq!(BlockHeader::decode(&bytes, 4096, Some(99)), Decoded::Later { body_bytes: 160 });
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: [u8; 64], magic: bool, sealed: bool) {
            let mut bytes = bytes;
            if magic {
                bytes[..8].copy_from_slice(&MAGIC);
            }
            if sealed {
                seal(&mut bytes);
            }
            if let Decoded::Header(header) = BlockHeader::decode(&bytes, 0, None) {
                header.end();
            }
        }
    }
}
