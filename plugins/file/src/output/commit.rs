//! What is kept of one file, and what it says about the file as it is found again.

use crate::identity::Identity;

/// Bytes that a commit takes on the disk.
pub const COMMIT_BYTES: usize = 128;
/// Bytes before the committed length that are compared.
pub const TAIL_BYTES: usize = 1024;

const CLOSED: u32 = 1;
const SYNCED: u32 = 2;

/// How far a file is written with whole records.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mark {
    /// Bytes of the file that are whole records.
    pub length: u64,
    /// The queue's messages with numbers below this one are in the file, or were in one that had its path.
    pub below: u64,
    /// CRC-32C of the bytes before the length.
    pub tail: u32,
    /// How many bytes that is of, at most [`TAIL_BYTES`].
    pub tail_len: u32,
}

/// What is kept of the file at one path.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Commit {
    /// Names the path.
    pub key: [u8; 16],
    /// Names the file that had the path.
    pub identity: Identity,
    /// The queue that the messages came from; zeros when it was not a durable one.
    pub queue: [u8; 16],
    /// The run of the machine in which this was written.
    pub boot: u64,
    /// What survives the end of the process.
    pub written: Mark,
    /// What survives the end of the machine, when `is_synced`.
    pub synced: Mark,
    /// Whether the file was closed in order: nothing torn is behind the length.
    pub is_closed: bool,
    /// Whether the queue asks for syncs, so that `synced` holds.
    pub is_synced: bool,
}

/// How to go on with a file that was found again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Cut the file to this length: what is behind it was never completed.
    pub cut: Option<u64>,
    /// Messages of the queue with numbers below this one need not be written again.
    pub below: u64,
}

impl Commit {
    /// Judges a file of `identity` and `len` bytes that is found at the path; `tail` gives the CRC-32C of as many bytes
    /// before a length as it is asked for, if they can be read.
    ///
    /// In the machine's same run everything written is there. In another one only what was synced surely is; without
    /// syncs nothing is cut or left out then, since each file on the disk may be of another moment.
    pub fn resume(
        &self,
        identity: Identity,
        len: u64,
        boot: u64,
        tail: impl FnOnce(u64, u32) -> Option<u32>,
    ) -> Resume {
        let same_boot = boot != 0 && self.boot == boot;
        let is_sure = same_boot || self.is_synced;
        let mark = if same_boot || !self.is_synced { self.written } else { self.synced };
        let is_complete = u64::from(mark.tail_len) == mark.length.min(TAIL_BYTES as u64);
        let is_same = identity == self.identity
            && len >= mark.length
            && is_complete
            && tail(mark.length, mark.tail_len) == Some(mark.tail);
        let cut = is_same && is_sure && !self.is_closed && len > mark.length;
        Resume { cut: cut.then_some(mark.length), below: if is_sure { mark.below } else { 0 } }
    }

    /// Writes the commit as it stands on the disk.
    pub fn encode(&self, generation: u64) -> [u8; COMMIT_BYTES] {
        let mut bytes = [0; COMMIT_BYTES];
        let flags = if self.is_closed { CLOSED } else { 0 } | if self.is_synced { SYNCED } else { 0 };
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&generation.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.key);
        bytes[32..40].copy_from_slice(&self.identity.device.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.identity.inode.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.queue);
        bytes[64..72].copy_from_slice(&self.boot.to_le_bytes());
        self.written.encode(&mut bytes[72..96]);
        self.synced.encode(&mut bytes[96..120]);
        let sum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a commit and its generation; `None` if the bytes are not one.
    pub fn decode(bytes: &[u8; COMMIT_BYTES]) -> Option<(Commit, u64)> {
        if u32_at(bytes, 0) != crc32c::crc32c(&bytes[4..]) {
            return None;
        }
        let flags = u32_at(bytes, 4);
        let commit = Commit {
            key: array_at(bytes, 16),
            identity: Identity { device: u64_at(bytes, 32), inode: u64_at(bytes, 40) },
            queue: array_at(bytes, 48),
            boot: u64_at(bytes, 64),
            written: Mark::decode(&bytes[72..96]),
            synced: Mark::decode(&bytes[96..120]),
            is_closed: flags & CLOSED != 0,
            is_synced: flags & SYNCED != 0,
        };
        Some((commit, u64_at(bytes, 8)))
    }
}

impl Mark {
    fn encode(&self, bytes: &mut [u8]) {
        bytes[..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.below.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.tail.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.tail_len.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Mark {
        Mark {
            length: u64_at(bytes, 0),
            below: u64_at(bytes, 8),
            tail: u32_at(bytes, 16),
            tail_len: u32_at(bytes, 20),
        }
    }
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: Identity = Identity { device: 1, inode: 2 };
    const OTHER: Identity = Identity { device: 1, inode: 3 };
    const BOOT: u64 = 9;

    fn commit() -> Commit {
        Commit {
            identity: FILE,
            boot: BOOT,
            written: Mark { length: 100, below: 10, tail: 77, tail_len: 100 },
            synced: Mark { length: 50, below: 5, tail: 55, tail_len: 50 },
            ..Commit::default()
        }
    }

    /// Judges a file of `len` bytes whose content is as it was, in a run of the machine.
    fn check(commit: Commit, identity: Identity, len: u64, boot: u64, cut: Option<u64>, below: u64) {
        let tail = |length, tail_len| match (length, tail_len) {
            (100, 100) => Some(77),
            (50, 50) => Some(55),
            _ => None,
        };
        let found = commit.resume(identity, len, boot, tail);
        assert_eq!(found, Resume { cut, below }, "{commit:?}: {identity:?} of {len} in {boot}");
    }

    #[test]
    fn what_was_not_committed_is_cut_where_the_file_is_the_same() {
        check(commit(), FILE, 130, BOOT, Some(100), 10);
        check(commit(), FILE, 100, BOOT, None, 10);
        check(commit(), FILE, 99, BOOT, None, 10);
        check(commit(), OTHER, 130, BOOT, None, 10);
        check(Commit { is_closed: true, ..commit() }, FILE, 130, BOOT, None, 10);
        let rewritten = Mark { tail: 78, ..commit().written };
        check(Commit { written: rewritten, ..commit() }, FILE, 130, BOOT, None, 10);
        let unread = Mark { tail_len: 0, ..commit().written };
        check(Commit { written: unread, ..commit() }, FILE, 130, BOOT, None, 10);
    }

    #[test]
    fn after_the_machine_went_down_only_what_was_synced_counts() {
        let synced = Commit { is_synced: true, ..commit() };
        check(synced, FILE, 130, BOOT, Some(100), 10);
        check(synced, FILE, 130, BOOT + 1, Some(50), 5);
        check(synced, FILE, 40, BOOT + 1, None, 5);
        check(synced, OTHER, 130, BOOT + 1, None, 5);
        check(synced, FILE, 130, 0, Some(50), 5);
        check(commit(), FILE, 130, BOOT + 1, None, 0);
        check(commit(), FILE, 90, BOOT + 1, None, 0);
        check(commit(), OTHER, 130, BOOT + 1, None, 0);
        check(Commit { boot: 0, ..commit() }, FILE, 130, 0, None, 0);
    }

    proptest! {
        #[test]
        fn a_commit_is_read_as_it_was_written(
            key in any::<[u8; 16]>(), numbers in any::<[u64; 8]>(), tails in any::<[u32; 4]>(),
            flags in any::<(bool, bool)>(), flip in 0..COMMIT_BYTES * 8,
        ) {
            let [device, inode, boot, a, b, c, d, generation] = numbers;
            let commit = Commit {
                key, queue: key, boot,
                identity: Identity { device, inode },
                written: Mark { length: a, below: b, tail: tails[0], tail_len: tails[1] },
                synced: Mark { length: c, below: d, tail: tails[2], tail_len: tails[3] },
                is_closed: flags.0, is_synced: flags.1,
            };
            let mut bytes = commit.encode(generation);
            prop_assert_eq!(Commit::decode(&bytes), Some((commit, generation)));
            bytes[flip / 8] ^= 1 << (flip % 8);
            prop_assert_eq!(Commit::decode(&bytes), None);
        }
    }

    #[test]
    fn zeros_are_no_commit() {
        assert_eq!(Commit::decode(&[0; COMMIT_BYTES]), None);
    }
}
