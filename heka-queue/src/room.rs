//! Whether there is room for more: in the queue and on the disk.

use crate::block::ENTRY_BYTES;
use crate::header::HEADER_BYTES;
use crate::queue::DiskQueue;
use crate::storage::Storage;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long an answer of the file system counts.
const ASKED_INTERVAL: Duration = Duration::from_secs(1);
/// Bytes written after which it counts no longer.
const ASKED_BYTES: u64 = 16 << 20;
/// The part of a file system that is kept free at most: 1 of this.
const FREE_PART: u64 = 20;

/// What the file system answered, and when.
#[derive(Default)]
pub(crate) struct Room {
    answer: Cell<Option<Answer>>,
    written: u64,
}

#[derive(Clone, Copy)]
struct Answer {
    /// Bytes above the floor.
    spare: u64,
    /// What was written before.
    written: u64,
    at: Instant,
}

impl Room {
    /// Notes that bytes were written.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// Forgets what the file system answered, after it had no room or was given some.
    pub(crate) fn forget(&mut self) {
        self.answer.set(None);
    }

    /// Returns how many bytes may be written before the floor is reached.
    fn spare<S: Storage>(&self, storage: &S, free_bytes_min: u64) -> u64 {
        let since = |answer: Answer| self.written - answer.written;
        if let Some(answer) = self.answer.get()
            && since(answer) < ASKED_BYTES
            && answer.at.elapsed() < ASKED_INTERVAL
        {
            return answer.spare.saturating_sub(since(answer));
        }
        // What can't be asked is found out by writing.
        let Ok(free) = storage.free_bytes() else { return u64::MAX };
        let spare = free.available.saturating_sub(free_bytes_min.min(free.total / FREE_PART));
        self.answer.set(Some(Answer { spare, written: self.written, at: Instant::now() }));
        spare
    }
}

impl<S: Storage> DiskQueue<S> {
    /// Tells whether `messages` whose records have `bytes` in all may be appended, by the limits of bytes and messages
    /// and by what is free on the disk.
    ///
    /// A queue in which nothing waits has room for everything that the disk has room for, so that nothing is too large
    /// for ever.
    pub fn has_room(&self, bytes: u64, messages: u64) -> bool {
        // Each entry is padded to a multiple of 8; a block more for what is cut.
        let appended = bytes + messages * (ENTRY_BYTES as u64 + 7) + 2 * HEADER_BYTES;
        let appended = if self.must_roll(appended) { appended + self.head_bytes() } else { appended };
        if appended > self.room.spare(&self.storage, self.options.free_bytes_min) {
            return false;
        }
        let waiting = self.messages();
        let fits_count = self.options.messages_max.is_none_or(|most| waiting + messages <= most);
        waiting == 0 || fits_count && self.bytes() + appended <= self.options.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{Tester, append_at, message};

    #[test]
    fn the_free_space_floor_counts_as_no_room() {
        let check = |room: u64, has_room: bool| {
            let tester = Tester::new();
            let mut options = tester.options();
            options.free_bytes_min = 1 << 30;
            let queue = tester.open_with(&options);
            tester.disk.set_room(room);
            assert_eq!(queue.has_room(1000, 1), has_room, "{room}");
        };
        check((1 << 30) + (1 << 20), true);
        check((1 << 30) + 1000, false);
        check(1000, false);
    }

    #[test]
    fn what_is_done_is_given_back_when_nothing_waits() {
        let tester = Tester::new();
        let mut queue = tester.open_with(&tester.options());
        tester.append(&mut queue, &[message(1, 1, 100), message(1, 2, 100)]);
        let before = queue.bytes();
        queue.reclaim().unwrap();
        assert_eq!(queue.bytes(), before, "something waits");
        let mut block = crate::Block::default();
        while queue.read(&mut block).unwrap() {}
        queue.acknowledge(3).unwrap();
        queue.reserve(1000).unwrap();
        queue.reclaim().unwrap();
        assert!(queue.bytes() < before, "{} of {before}", queue.bytes());
        // A reserved number: it is not behind what was given back.
        append_at(&mut queue, 3, &[message(1, 3, 100)]).unwrap();
        assert_eq!(queue.messages(), 1);
        let mut block = crate::Block::default();
        assert!(queue.read(&mut block).unwrap(), "the reader goes on behind what was given back");
        assert_eq!(block.messages().map(|message| message.sequence).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn limits_count_what_waits_and_an_empty_queue_takes_anything() {
        let tester = Tester::new();
        let mut options = tester.options();
        options.messages_max = Some(3);
        let mut queue = tester.open_with(&options);
        assert!(queue.has_room(u64::from(u32::MAX), 1), "nothing waits");
        tester.append(&mut queue, &[message(1, 1, 100), message(1, 2, 100)]);
        assert!(queue.has_room(100, 1));
        assert!(!queue.has_room(100, 2), "a fourth message");
        assert!(!queue.has_room(options.bytes_max, 1), "too many bytes");
        queue.acknowledge(queue.next_sequence()).unwrap();
        assert!(queue.has_room(options.bytes_max, 3));
    }
}
