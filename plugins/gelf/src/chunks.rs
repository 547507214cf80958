//! Messages that came in several datagrams.
//!
//! A chunk: `1e 0f`, eight bytes that name the message, its number from 0, the count of chunks (at most 128), its part.
//!
//! Source: Graylog documentation, GELF via UDP, chunking.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A chunk's head.
const HEAD_BYTES: usize = 12;
/// Most chunks of a message.
const CHUNKS_MAX: u8 = 128;

/// What becomes of messages whose chunks have not all come.
pub struct Limits {
    /// How long a message waits for its last chunk.
    pub timeout: Duration,
    /// Messages that wait at most; the oldest makes room.
    pub messages_max: usize,
    /// Bytes of one message.
    pub bytes_max: usize,
}

/// Puts chunks together.
pub struct Chunks {
    limits: Limits,
    pending: HashMap<[u8; 8], Pending>,
    /// Messages that were given up because chunks were missing.
    pub given_up: u64,
    swept: Instant,
}

struct Pending {
    parts: Vec<Option<Vec<u8>>>,
    missing: usize,
    bytes: usize,
    since: Instant,
}

/// Tells whether a datagram is a chunk.
pub fn is_chunk(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0x1e, 0x0f])
}

impl Chunks {
    /// Makes room for chunks.
    pub fn new(limits: Limits) -> Chunks {
        Chunks { limits, pending: HashMap::new(), given_up: 0, swept: Instant::now() }
    }

    /// Takes a chunk; returns the whole message when it was the last one to come. One that came before counts once.
    ///
    /// # Errors
    /// If it is no chunk, or one of a message that is too long.
    pub fn take(&mut self, chunk: &[u8], now: Instant) -> Result<Option<Vec<u8>>, String> {
        let (head, part) = chunk.split_at_checked(HEAD_BYTES).ok_or("a chunk without its head")?;
        let (number, count) = (head[10], head[11]);
        if count == 0 || count > CHUNKS_MAX || number >= count {
            return Err(format!("chunk {number} of {count}: a message has 1 to {CHUNKS_MAX}"));
        }
        let mut id = [0; 8];
        id.copy_from_slice(&head[2..10]);
        self.give_up_old(now);
        if !self.pending.contains_key(&id) && self.pending.len() >= self.limits.messages_max {
            self.give_up_oldest();
        }
        let pending = self.pending.entry(id).or_insert_with(|| Pending {
            parts: vec![None; count.into()],
            missing: count.into(),
            bytes: 0,
            since: now,
        });
        if pending.parts.len() != usize::from(count) {
            return Err(format!("chunk {number} of {count}: another one says {}", pending.parts.len()));
        }
        let place = &mut pending.parts[usize::from(number)];
        if place.is_some() {
            return Ok(None);
        }
        pending.bytes += part.len();
        if pending.bytes > self.limits.bytes_max {
            self.pending.remove(&id);
            return Err(format!(
                "a message of {count} chunks is longer than {} bytes",
                self.limits.bytes_max
            ));
        }
        *place = Some(part.to_vec());
        pending.missing -= 1;
        if pending.missing > 0 {
            return Ok(None);
        }
        let whole =
            self.pending.remove(&id).map(|pending| pending.parts.into_iter().flatten().flatten().collect());
        Ok(whole)
    }

    /// Gives up messages whose time is over; looked for at most four times in a timeout.
    fn give_up_old(&mut self, now: Instant) {
        if now.duration_since(self.swept) < self.limits.timeout / 4 {
            return;
        }
        self.swept = now;
        let before = self.pending.len();
        let timeout = self.limits.timeout;
        self.pending.retain(|_, pending| now.duration_since(pending.since) < timeout);
        self.given_up += (before - self.pending.len()) as u64;
    }

    fn give_up_oldest(&mut self) {
        let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.since).map(|(id, _)| *id);
        if oldest.and_then(|id| self.pending.remove(&id)).is_some() {
            self.given_up += 1;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn chunk(id: u8, number: u8, count: u8, part: &[u8]) -> Vec<u8> {
        [&[0x1e, 0x0f][..], &[id; 8], &[number, count], part].concat()
    }

    fn chunks(messages_max: usize, bytes_max: usize) -> Chunks {
        Chunks::new(Limits { timeout: Duration::from_secs(5), messages_max, bytes_max })
    }

    proptest! {
        #[test]
        fn chunks_in_any_order_and_doubled_are_the_message(
            order in Just((0..7_u8).collect::<Vec<_>>()).prop_shuffle(),
            text in prop::collection::vec(any::<u8>(), 7..100),
        ) {
            let parts: Vec<&[u8]> = text.chunks(text.len().div_ceil(7)).collect();
            let count = parts.len() as u8;
            let order: Vec<u8> = order.into_iter().filter(|number| *number < count).collect();
            let (mut chunks, now) = (chunks(10, 1000), Instant::now());
            for (at, number) in order.iter().enumerate() {
                let chunk = chunk(1, *number, count, parts[usize::from(*number)]);
                let whole = chunks.take(&chunk, now).unwrap();
                prop_assert_eq!(whole.is_some(), at + 1 == order.len());
                if let Some(whole) = whole {
                    prop_assert_eq!(&whole, &text);
                } else {
                    prop_assert_eq!(chunks.take(&chunk, now).unwrap(), None);
                }
            }
            prop_assert!(chunks.pending.is_empty());
        }

        #[test]
        fn any_bytes_are_survived(datagrams: Vec<Vec<u8>>) {
            let mut chunks = chunks(2, 100);
            for datagram in datagrams {
                let _ = chunks.take(&[&[0x1e, 0x0f][..], &datagram].concat(), Instant::now());
                prop_assert!(chunks.pending.len() <= 2);
            }
        }
    }

    #[test]
    fn what_stays_incomplete_is_given_up() {
        let (mut chunks, now) = (chunks(3, 10), Instant::now());
        for id in 0..5 {
            assert_eq!(chunks.take(&chunk(id, 0, 2, b"x"), now + Duration::from_millis(id.into())), Ok(None));
        }
        assert_eq!((chunks.pending.len(), chunks.given_up), (3, 2));
        assert_eq!(
            chunks.take(&chunk(9, 0, 1, b"alone"), now + Duration::from_secs(6)),
            Ok(Some(b"alone".to_vec()))
        );
        assert_eq!((chunks.pending.len(), chunks.given_up), (0, 5));
    }

    #[test]
    fn wrong_chunks_are_refused() {
        let (mut chunks, now) = (chunks(3, 10), Instant::now());
        let mut check = |chunk: &[u8], expected: &str| {
            assert_eq!(chunks.take(chunk, now).unwrap_err(), expected);
        };
        check(&[0x1e, 0x0f, 1], "a chunk without its head");
        check(&chunk(1, 0, 0, b""), "chunk 0 of 0: a message has 1 to 128");
        check(&chunk(1, 2, 2, b""), "chunk 2 of 2: a message has 1 to 128");
        check(&chunk(1, 0, 129, b""), "chunk 0 of 129: a message has 1 to 128");
        check(&chunk(1, 0, 2, &[0; 11]), "a message of 2 chunks is longer than 10 bytes");
        assert_eq!(chunks.take(&chunk(1, 0, 2, b"x"), now), Ok(None));
        assert_eq!(chunks.take(&chunk(1, 1, 3, b"x"), now).unwrap_err(), "chunk 1 of 3: another one says 2");
    }
}
