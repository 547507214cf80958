//! Walks over a segment's blocks, past whatever is damaged.

use crate::format::{put, u32_at};
use crate::header::{BlockHeader, BlockKind, Decoded, HEADER_BYTES, is_header};
use crate::storage::{StorageFile, read_what_is_readable_at};

/// How much is read at once where bodies are checked, in bytes.
const CHECKED_WINDOW: usize = 256 << 10;
/// How much is read at once where only headers are looked at, in bytes.
const HEADER_WINDOW: usize = 512;

/// What comes next in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A block.
    Block(BlockHeader),
    /// Bytes that are no block, or a damaged one; another block or the end follows.
    Damage(Damage),
    /// The beginning of a last block, or zeros, from this offset on.
    Torn(u64),
    /// Nothing.
    End,
}

/// Damaged bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The block's header, where that is sound.
    pub(crate) header: Option<BlockHeader>,
}

impl Damage {
    /// Returns the header of a void that covers it; `None` where it is too short for one.
    pub(crate) fn void(&self, salt: u64) -> Option<[u8; 64]> {
        let body_bytes = (self.to - self.from).checked_sub(HEADER_BYTES)?;
        let known = self.header.filter(|header| header.kind == BlockKind::Messages);
        let void = BlockHeader {
            kind: BlockKind::Void,
            body_bytes,
            body_crc: 0,
            count: known.map_or(0, |header| header.count),
            first: known.map_or(0, |header| header.first),
            last: known.map_or(0, |header| header.last),
            offset: self.from,
            salt,
        };
        Some(void.encode())
    }
}

/// A walk over one segment.
pub(crate) struct Scan<'f, F> {
    file: &'f F,
    len: u64,
    salt: Option<u64>,
    checks_bodies: bool,
    offset: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl<'f, F: StorageFile> Scan<'f, F> {
    /// Begins at `offset`; `len` is the segment's length, `salt` the queue's where it is known.
    pub(crate) fn new(file: &'f F, offset: u64, len: u64, salt: Option<u64>, checks_bodies: bool) -> Self {
        Scan { file, len, salt, checks_bodies, offset, window: Vec::new(), window_start: 0 }
    }

    /// Returns what comes next and goes on behind it.
    pub(crate) fn next(&mut self) -> Found {
        let found = self.look();
        self.offset = match found {
            Found::Block(header) => header.end(),
            Found::Damage(damage) => damage.to,
            Found::Torn(_) | Found::End => self.len,
        };
        found
    }

    fn look(&mut self) -> Found {
        let from = self.offset;
        if from >= self.len {
            return Found::End;
        }
        let Some(bytes) = self.header_at(from) else { return Found::Torn(from) };
        match BlockHeader::decode(&bytes, from, self.salt) {
            Decoded::Header(header) if header.end() > self.len => Found::Torn(from),
            Decoded::Header(header) if self.is_sound(&header) => Found::Block(header),
            Decoded::Header(header) => Found::Damage(Damage { from, to: header.end(), header: Some(header) }),
            Decoded::Later { body_bytes } => {
                let to = (from + HEADER_BYTES + body_bytes).next_multiple_of(8).min(self.len);
                Found::Damage(Damage { from, to, header: None })
            }
            Decoded::Broken => match self.next_header(from + 8) {
                None if self.is_zero(from) => Found::Torn(from),
                to => Found::Damage(Damage { from, to: to.unwrap_or(self.len), header: None }),
            },
        }
    }

    fn header_at(&mut self, offset: u64) -> Option<[u8; 64]> {
        self.bytes(offset, HEADER_BYTES as usize).first_chunk().copied()
    }

    /// Returns up to `len` bytes; fewer at the end.
    fn bytes(&mut self, offset: u64, len: usize) -> &[u8] {
        let len = len.min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let window_end = self.window_start + self.window.len() as u64;
        if offset < self.window_start || offset + len as u64 > window_end {
            let window = if self.checks_bodies { CHECKED_WINDOW } else { HEADER_WINDOW };
            let rest = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
            self.window.resize(window.max(len).min(rest), 0);
            let read = read_what_is_readable_at(self.file, &mut self.window, offset);
            self.window.truncate(read);
            self.window_start = offset;
        }
        let start = (offset - self.window_start) as usize;
        let end = self.window.len().min(start + len);
        self.window.get(start..end).unwrap_or_default()
    }

    fn is_sound(&mut self, header: &BlockHeader) -> bool {
        if !self.checks_bodies || header.kind == BlockKind::Void {
            return true;
        }
        let (mut crc, mut at) = (0, header.offset + HEADER_BYTES);
        while at < header.end() {
            let len = usize::try_from(header.end() - at).unwrap_or(usize::MAX).min(CHECKED_WINDOW);
            let bytes = self.bytes(at, len);
            if bytes.is_empty() {
                return false;
            }
            crc = crc32c::crc32c_append(crc, bytes);
            at += bytes.len() as u64;
        }
        crc == header.body_crc
    }

    /// Returns where the next block begins.
    fn next_header(&mut self, mut offset: u64) -> Option<u64> {
        let salt = self.salt;
        while offset + HEADER_BYTES <= self.len {
            let bytes = self.bytes(offset, CHECKED_WINDOW);
            let last = bytes.len().checked_sub(HEADER_BYTES as usize)?;
            for place in (0..=last).step_by(8) {
                let Some(header) = bytes[place..].first_chunk::<64>() else { break };
                let at = offset + place as u64;
                if is_header(header) && BlockHeader::decode(header, at, salt) != Decoded::Broken {
                    return Some(at);
                }
            }
            offset += last as u64 / 8 * 8 + 8;
        }
        None
    }

    fn is_zero(&mut self, mut offset: u64) -> bool {
        while offset < self.len {
            let bytes = self.bytes(offset, CHECKED_WINDOW);
            if bytes.is_empty() || bytes.iter().any(|&byte| byte != 0) {
                return false;
            }
            offset += bytes.len() as u64;
        }
        true
    }

    /// Returns the body of a block that was just found.
    pub(crate) fn body(&mut self, header: &BlockHeader) -> &[u8] {
        let len = usize::try_from(header.body_bytes).unwrap_or(usize::MAX);
        self.bytes(header.offset + HEADER_BYTES, len)
    }
}

/// What a segment's head says, beside its stream table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct SegmentHead {
    pub(crate) id: [u8; 16],
    pub(crate) salt: u64,
    /// The segment before, as it was when this one was begun.
    pub(crate) before: Summary,
}

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// Number that names it; 0 for none.
    pub(crate) first: u64,
    pub(crate) len: u64,
    pub(crate) messages: u64,
    /// Number of its last message; 0 for none.
    pub(crate) last: u64,
}

/// Length of a head's body before the stream table, in bytes.
pub(crate) const HEAD_BYTES: usize = 96;

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        put(&mut bytes, 0, &self.id);
        put(&mut bytes, 16, &self.salt.to_le_bytes());
        put(&mut bytes, 24, &self.before.first.to_le_bytes());
        put(&mut bytes, 32, &self.before.len.to_le_bytes());
        put(&mut bytes, 40, &self.before.messages.to_le_bytes());
        put(&mut bytes, 48, &self.before.last.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..92]);
        put(&mut bytes, 92, &crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(body: &[u8]) -> Option<SegmentHead> {
        let bytes = body.first_chunk::<HEAD_BYTES>()?;
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        let word = |offset| crate::format::u64_at(bytes, offset);
        let before = Summary { first: word(24), len: word(32), messages: word(40), last: word(48) };
        (u32_at(bytes, 92) == crc32c::crc32c(&bytes[..92])).then(|| SegmentHead {
            id,
            salt: word(16),
            before,
        })
    }

    /// Reads a segment's head without its stream table.
    pub(crate) fn read(file: &impl StorageFile, len: u64, salt: Option<u64>) -> Option<SegmentHead> {
        let mut scan = Scan::new(file, 0, len, salt, false);
        match scan.next() {
            Found::Block(header) if header.kind == BlockKind::Head => {
                SegmentHead::decode(scan.bytes(HEADER_BYTES, HEAD_BYTES))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::simulated::{Disk, SimulatedFile};
    use crate::storage::{Storage, write_all_at};
    use proptest::prelude::*;

    const SALT: u64 = 7;

    fn block(offset: usize, number: u64, body: &[u8]) -> Vec<u8> {
        let header = BlockHeader {
            kind: BlockKind::Messages,
            body_bytes: body.len() as u64,
            body_crc: crc32c::crc32c(body),
            count: 1,
            first: number,
            last: number,
            offset: offset as u64,
            salt: SALT,
        };
        [&header.encode()[..], body].concat()
    }

    /// Three blocks of 104, 64 and 72 bytes.
    fn segment() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, body_bytes) in [(1, 40), (2, 0), (3, 8)] {
            bytes.extend(block(bytes.len(), number, &vec![number as u8; body_bytes]));
        }
        bytes
    }

    fn file(bytes: &[u8]) -> SimulatedFile {
        let file = Disk::new().storage().create("segment").unwrap();
        write_all_at(&file, bytes, 0).unwrap();
        file
    }

    fn found(bytes: &[u8]) -> Vec<(char, u64, u64)> {
        let (file, mut all) = (file(bytes), Vec::new());
        let mut scan = Scan::new(&file, 0, bytes.len() as u64, Some(SALT), true);
        loop {
            all.push(match scan.next() {
                Found::Block(header) => ('b', header.offset, header.end()),
                Found::Damage(damage) => ('d', damage.from, damage.to),
                Found::Torn(from) => ('t', from, bytes.len() as u64),
                Found::End => return all,
            });
        }
    }

    #[test]
    fn blocks_are_found_past_damage() {
        let check = |change: &dyn Fn(&mut Vec<u8>), expected: &[(char, u64, u64)]| {
            let mut bytes = segment();
            change(&mut bytes);
            assert_eq!(found(&bytes), expected);
        };
        check(&|_| {}, &[('b', 0, 104), ('b', 104, 168), ('b', 168, 240)]);
        check(&|bytes| bytes[0] ^= 1, &[('d', 0, 104), ('b', 104, 168), ('b', 168, 240)]);
        check(&|bytes| bytes[70] ^= 1, &[('d', 0, 104), ('b', 104, 168), ('b', 168, 240)]);
        check(&|bytes| bytes[239] ^= 1, &[('b', 0, 104), ('b', 104, 168), ('d', 168, 240)]);
        check(&|bytes| bytes[170] ^= 1, &[('b', 0, 104), ('b', 104, 168), ('d', 168, 240)]);
        check(&|bytes| bytes.truncate(239), &[('b', 0, 104), ('b', 104, 168), ('t', 168, 239)]);
        check(&|bytes| bytes.truncate(169), &[('b', 0, 104), ('b', 104, 168), ('t', 168, 169)]);
        check(&|bytes| bytes[104..].fill(0), &[('b', 0, 104), ('t', 104, 240)]);
        check(&|bytes| bytes[..168].fill(0), &[('d', 0, 168), ('b', 168, 240)]);
        check(&|bytes| _ = bytes.drain(..8), &[('d', 0, 232)]);
    }

    #[test]
    fn a_later_version_is_passed_over_whole() {
        let mut bytes = segment();
        let header = bytes[104..].first_chunk_mut::<64>().unwrap();
        header[8] = 2;
        crate::format::seal(header);
        assert_eq!(found(&bytes), [('b', 0, 104), ('d', 104, 168), ('b', 168, 240)]);
    }

    #[test]
    fn a_block_inside_a_body_is_not_found() {
        let inner = block(64, 9, b"12345678");
        let other = block(512, 9, b"12345678");
        let mut bytes = block(0, 1, &other);
        bytes[3] ^= 1;
        assert_eq!(found(&bytes), [('d', 0, bytes.len() as u64)]);
        // One at its own place would be; its salt is not to be guessed.
        let mut bytes = block(0, 1, &inner);
        bytes[3] ^= 1;
        assert_eq!(found(&bytes).len(), 2);
    }

    #[test]
    fn a_head_is_read_back() {
        let before = Summary { first: 1, len: 2, messages: 3, last: 4 };
        let head = SegmentHead { id: [9; 16], salt: 5, before };
        assert_eq!(SegmentHead::decode(&head.encode()), Some(head));
        for byte in 0..HEAD_BYTES {
            let mut bytes = head.encode();
            bytes[byte] ^= 4;
            assert_eq!(SegmentHead::decode(&bytes), None, "byte {byte}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_over_without_a_hole(
            parts in prop::collection::vec(prop_oneof![Just(segment()), any::<Vec<u8>>()], 0..6),
        ) {
            let bytes = parts.concat();
            let mut at = 0;
            for (_, from, to) in found(&bytes) {
                prop_assert!(from == at && to > from);
                at = to;
            }
            prop_assert_eq!(at, bytes.len() as u64);
        }
    }
}
