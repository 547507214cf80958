//! What a queue looks like on disk, to the byte. Directory version 1, block version 1.
//!
//! Numbers are little-endian. Offsets and lengths are bytes. CRC is CRC-32C (Castagnoli).
//!
//! ```text
//! DIR/                        mode 0700, owned by the user of the process; files have mode 0600
//!   lock                      held by flock(2) while a process has the queue; its pid as text, for people
//!   queue                     identity
//!   position                  what is done
//!   00000000000000000001.segment   messages; named by a number that is greater than every one in the segments
//!   00000000000000420713.segment   before it, and not greater than its own first; 20 digits
//!   quarantine/               damaged bytes as they were found: SEGMENT-OFFSET.bytes, and other damaged files
//!   *.new                     a file being written that is renamed when it is whole; removed at opening
//! ```
//!
//! **Identity**, file `queue`, 64 bytes. Written once, to `queue.new`, synced, renamed.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | `HEKAQDIR` |
//! | 8 | 4 | directory version, 1; a later one is refused |
//! | 12 | 4 | CRC of the other 60 bytes |
//! | 16 | 16 | id of the queue, random |
//! | 32 | 8 | salt, random: in every block header, so that no block of another queue is taken for one of this |
//! | 40 | 24 | zeros |
//!
//! **Position**, file `position`: two slots at 0 and 512, of 64 bytes, written in turn. The valid one with the higher
//! serial counts; with none, everything in the segments waits.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | `HEKAQPOS` |
//! | 8 | 2 | version, 1 |
//! | 10 | 2 | 1: the queue was closed properly, and `next` is exact; 0: it is in use |
//! | 12 | 4 | CRC of the other 60 bytes |
//! | 16 | 8 | serial, one more at each writing; slot number is serial modulo 2 |
//! | 24 | 8 | `below`: every message with a lower number is done |
//! | 32 | 8 | `next`: lower numbers may have been used |
//! | 40 | 8 | salt of the queue |
//! | 48 | 16 | zeros |
//!
//! After an improper end, numbers go on 2³⁶ above the highest known, since what was appended but not synced may have
//! been delivered, and numbers are never used twice; without a valid slot, 2⁵² above.
//!
//! **Segment**: blocks behind each other, each an 8-aligned header and body. The first one is a *head*.
//!
//! | offset | size | block header |
//! |---|---|---|
//! | 0 | 8 | `HEKABLK\n` |
//! | 8 | 2 | block version, 1; a later one is quarantined |
//! | 10 | 1 | kind: 1 messages, 2 head, 3 void |
//! | 11 | 1 | zero |
//! | 12 | 4 | CRC of the other 60 bytes; the same in every version, as are magic, version and body length |
//! | 16 | 8 | body length, a multiple of 8 |
//! | 24 | 4 | CRC of the body; not checked in a void |
//! | 28 | 4 | count of messages; in a head, of streams |
//! | 32 | 8 | number of the first message; in a head, the number that names the segment |
//! | 40 | 8 | number of the last message |
//! | 48 | 8 | offset of this header in the segment |
//! | 56 | 8 | salt of the queue |
//!
//! *Messages*: the body is, `count` times, an entry:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 8 | source: the tag of the chain that the message came from; 0 for none |
//! | 8 | 8 | number; ascending within a queue |
//! | 16 | … | the record as in memory (`heka_plugin_api::abi::Record`), whose first 4 bytes are its length, and zeros up to a multiple of 8 |
//!
//! *Head*: the body is 96 bytes, then a stream table.
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 16 | id of the queue |
//! | 16 | 8 | salt of the queue |
//! | 24 | 8 | number that names the segment before; 0 when there was none |
//! | 32 | 8 | that segment's length |
//! | 40 | 8 | how many messages are in it |
//! | 48 | 8 | number of its last message; 0 for none |
//! | 56 | 36 | zeros |
//! | 92 | 4 | CRC of the 92 bytes before |
//! | 96 | 32 each | stream table, longest untouched first: tag, stream, position (8 bytes each), index (4), zeros (4) |
//!
//! The stream table says how far each stream's messages were appended before this segment. Together with the origins of
//! the messages behind it, it makes the table that duplicates are recognised by. It is trusted up to the first damage
//! only: what lies behind may have reached the disk before what was lost.
//!
//! *Void*: stands over damaged bytes that were copied to `quarantine/`; the body is what was there.
//!
//! **Reading.** A block is valid if its header's CRC, offset and salt, and its body's CRC are right. Behind a damaged
//! header, reading goes on at the next valid one at a multiple of 8. A block of the last segment that ends behind the
//! file's end is torn and cut off, and so are zeros up to the end. A block whose numbers are not below those of the next
//! segment was written again there and is cut off.

/// Lock file.
pub(crate) const LOCK: &str = "lock";
/// Identity file.
pub(crate) const IDENTITY: &str = "queue";
/// Position file.
pub(crate) const POSITION: &str = "position";
/// Directory of damaged bytes.
pub(crate) const QUARANTINE: &str = "quarantine";
/// Ending of files that are being written.
pub(crate) const NEW_SUFFIX: &str = ".new";
const SEGMENT_SUFFIX: &str = ".segment";

/// How far numbers jump after an improper end: more than can be under way unsynced.
pub(crate) const SEQUENCE_JUMP: u64 = 1 << 36;
/// How far they jump where no position tells how many such ends there were.
pub(crate) const SEQUENCE_LEAP: u64 = 1 << 52;

/// Version of the directory.
pub const DIRECTORY_VERSION: u32 = 1;
/// Version of a block.
pub const BLOCK_VERSION: u16 = 1;

/// Returns the name of the segment whose messages have this number or a higher one.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}{SEGMENT_SUFFIX}")
}

/// Reads a segment's name.
pub(crate) fn segment_first(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

/// Reads eight little-endian bytes; 0 where there are fewer.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

/// Reads four little-endian bytes; 0 where there are fewer.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

/// Writes bytes at an offset.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// Returns the CRC of 64 bytes without the four at 12, where it is kept.
pub(crate) fn crc_around(bytes: &[u8; 64]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

/// Puts the CRC of [`crc_around`] in its place.
pub(crate) fn seal(bytes: &mut [u8; 64]) {
    let crc = crc_around(bytes);
    put(bytes, 12, &crc.to_le_bytes());
}

/// Tells whether the CRC of [`crc_around`] is right.
pub(crate) fn is_sealed(bytes: &[u8; 64]) -> bool {
    u32_at(bytes, 12) == crc_around(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_sort_as_their_numbers_and_are_read_back() {
        for first in [0, 1, 420_713, u64::MAX] {
            assert_eq!(segment_first(&segment_name(first)), Some(first));
        }
        assert!(segment_name(9) < segment_name(10));
        for name in ["1.segment", "0000000000000000000x.segment", "99999999999999999999.segment", "position"]
        {
            assert_eq!(segment_first(name), None, "{name}");
        }
    }
}
