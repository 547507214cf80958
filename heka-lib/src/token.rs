//! Acknowledgement tokens: one for each group of frames that an input read. Batches hold them beside their arenas;
//! when the last holder lets go, everything that had to happen to those frames has happened.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps a token alive.
pub(crate) type TokenRef = Arc<Token>;

/// Held by every batch with a message of one read.
pub(crate) struct Token {
    released: Arc<Released>,
    stream: u64,
    sequence: u64,
}

/// Where released tokens are noted, by whichever thread lets go last.
#[derive(Default)]
struct Released {
    noted: Mutex<Vec<(u64, u64)>>,
    abandoned: AtomicBool,
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.released.abandoned.load(Ordering::Acquire) {
            let mut noted = self.released.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push((self.stream, self.sequence));
        }
    }
}

/// Lets tokens be dropped without being released, when a router gives up what is in flight.
#[derive(Clone)]
pub(crate) struct Abandon(Arc<Released>);

impl Abandon {
    pub(crate) fn abandon(&self) {
        self.0.abandoned.store(true, Ordering::Release);
    }
}

/// An input's book of tokens: per stream, which reads are still under way.
#[derive(Default)]
pub(crate) struct Ledger {
    released: Arc<Released>,
    streams: HashMap<u64, Reads>,
    noted: Vec<(u64, u64)>,
}

/// The reads of one stream in order, from the first that is not released.
///
/// Neighbours that are released become one, so that the book stays as short as what is under way, however long the
/// first read is stuck.
#[derive(Default)]
struct Reads {
    next: u64,
    reads: VecDeque<ReadUnderWay>,
    /// Released reads behind a released one.
    mergeable: usize,
}

struct ReadUnderWay {
    sequence: u64,
    position: u64,
    is_released: bool,
}

/// Released reads that may be merged before they are.
const MERGEABLE_MAX: usize = 256;

impl Ledger {
    pub(crate) fn abandon(&self) -> Abandon {
        Abandon(self.released.clone())
    }

    /// Makes the token of a read that ends at `position` of a stream.
    pub(crate) fn token(&mut self, stream: u64, position: u64) -> TokenRef {
        let reads = self.streams.entry(stream).or_default();
        let sequence = reads.next;
        reads.next += 1;
        reads.reads.push_back(ReadUnderWay { sequence, position, is_released: false });
        Arc::new(Token { released: self.released.clone(), stream, sequence })
    }

    /// Calls `advanced` with each stream whose contiguous prefix of released reads has grown, and its new end.
    pub(crate) fn collect(&mut self, mut advanced: impl FnMut(u64, u64)) {
        std::mem::swap(
            &mut self.noted,
            &mut self.released.noted.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let mut touched: Vec<u64> = Vec::new();
        for (stream, sequence) in self.noted.drain(..) {
            let Some(reads) = self.streams.get_mut(&stream) else { continue };
            reads.release(sequence);
            if touched.last() != Some(&stream) {
                touched.push(stream);
            }
        }
        for stream in touched {
            if let Some(position) = self.streams.get_mut(&stream).and_then(Reads::advance) {
                advanced(stream, position);
            }
        }
    }

    /// Tells whether no read is under way.
    pub(crate) fn is_settled(&self) -> bool {
        self.streams.values().all(|reads| reads.reads.is_empty())
    }

    /// Forgets streams without reads under way that `keep` doesn't want.
    pub(crate) fn forget(&mut self, keep: impl Fn(u64) -> bool) {
        self.streams.retain(|&stream, reads| !reads.reads.is_empty() || keep(stream));
    }
}

impl Reads {
    fn release(&mut self, sequence: u64) {
        let Ok(index) = self.reads.binary_search_by_key(&sequence, |read| read.sequence) else { return };
        self.reads[index].is_released = true;
        if index > 0 && self.reads[index - 1].is_released {
            self.mergeable += 1;
        }
        if self.mergeable > MERGEABLE_MAX && self.mergeable > self.reads.len() / 2 {
            self.merge();
        }
    }

    /// Keeps only the last of released neighbours.
    fn merge(&mut self) {
        self.mergeable = 0;
        let before = std::mem::take(&mut self.reads);
        for read in before {
            match self.reads.back_mut() {
                Some(last) if last.is_released && read.is_released => *last = read,
                _ => self.reads.push_back(read),
            }
        }
    }

    fn advance(&mut self) -> Option<u64> {
        let mut end = None;
        while let Some(read) = self.reads.front()
            && read.is_released
        {
            end = Some(read.position);
            self.reads.pop_front();
            self.mergeable = self.mergeable.saturating_sub(1);
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(ledger: &mut Ledger) -> Vec<(u64, u64)> {
        let mut seen = Vec::new();
        ledger.collect(|stream, position| seen.push((stream, position)));
        seen
    }

    #[test]
    fn only_the_contiguous_prefix_advances() {
        let mut ledger = Ledger::default();
        let mut tokens: VecDeque<_> = (1..=4).map(|n| ledger.token(7, n * 10)).collect();
        let shared = tokens[0].clone();
        drop(tokens.remove(1));
        drop(tokens.pop_front());
        assert_eq!(collected(&mut ledger), [], "the first is still held by somebody");
        drop(shared);
        assert_eq!(collected(&mut ledger), [(7, 20)]);
        drop(tokens.pop_back());
        assert_eq!(collected(&mut ledger), []);
        tokens.clear();
        assert_eq!(collected(&mut ledger), [(7, 40)]);
        assert!(ledger.is_settled());
    }

    #[test]
    fn a_stuck_read_does_not_make_the_book_grow() {
        let mut ledger = Ledger::default();
        let stuck = ledger.token(7, 1);
        let mut slow = VecDeque::new();
        for position in 2..100_000 {
            slow.push_back(ledger.token(7, position));
            if slow.len() > 100 {
                // Not in order: the last but one first.
                let token = slow.remove(slow.len() - 2);
                drop(token);
            }
            assert_eq!(collected(&mut ledger), []);
        }
        assert!(ledger.streams[&7].reads.len() < 2_000, "{}", ledger.streams[&7].reads.len());
        slow.clear();
        assert_eq!(collected(&mut ledger), []);
        drop(stuck);
        assert_eq!(collected(&mut ledger), [(7, 99_999)]);
        assert!(ledger.is_settled());
    }

    #[test]
    fn abandoned_tokens_release_nothing() {
        let mut ledger = Ledger::default();
        let token = ledger.token(1, 5);
        ledger.abandon().abandon();
        drop(token);
        assert_eq!(collected(&mut ledger), []);
    }
}
