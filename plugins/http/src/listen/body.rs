//! Reads a body as it arrives: with a length, or in chunks.

use super::answer::Answer;
use super::coding::{BodyLimits, too_long};
use super::head::BodyLength;
use super::memory::Hold;

/// The longest line that says a chunk's size, with its extensions.
const SIZE_LINE_BYTES_MAX: usize = 1 << 10;
/// The longest trailer, all its lines.
const TRAILER_BYTES_MAX: usize = 8 << 10;

/// Takes the bytes of one body.
pub struct Body {
    state: State,
    /// What has arrived.
    pub bytes: Vec<u8>,
    /// The memory that it takes.
    pub hold: Hold,
    limits: BodyLimits,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// So many bytes are still to come.
    Exact(usize),
    Size,
    Chunk(usize),
    ChunkEnd,
    Trailer,
    Whole,
}

impl Body {
    /// Begins a body.
    ///
    /// # Errors
    /// What is answered when it is too long, or too much is under way.
    pub fn begin(length: BodyLength, limits: BodyLimits, hold: Hold) -> Result<Body, Answer> {
        let mut body = Body { state: State::Whole, bytes: Vec::new(), hold, limits, trailer_bytes: 0 };
        match length {
            BodyLength::Absent | BodyLength::Exact(0) => {}
            BodyLength::Chunked => body.state = State::Size,
            BodyLength::Exact(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > limits.body_bytes_max {
                    return Err(too_long(limits.body_bytes_max));
                }
                // Held is only what has arrived: who says much and sends nothing takes nothing from others.
                if !body.hold.could_reach(length, limits.memory_max) {
                    return Err(too_much());
                }
                body.state = State::Exact(length);
            }
        }
        Ok(body)
    }

    /// Tells whether all of it has arrived.
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Takes what belongs to it from the beginning of `incoming`; returns how many bytes that was.
    ///
    /// # Errors
    /// What is answered when it is too long, or its chunks are none.
    pub fn feed(&mut self, incoming: &[u8]) -> Result<usize, Answer> {
        let mut taken = 0;
        loop {
            let rest = &incoming[taken..];
            let (used, next) = match self.state {
                State::Whole => return Ok(taken),
                _ if rest.is_empty() => return Ok(taken),
                State::Exact(left) => {
                    let len = self.take(rest, left)?;
                    (len, if len == left { State::Whole } else { State::Exact(left - len) })
                }
                State::Chunk(left) => {
                    let len = self.take(rest, left)?;
                    (len, if len == left { State::ChunkEnd } else { State::Chunk(left - len) })
                }
                State::Size => match self.size(rest)? {
                    Some((used, 0)) => (used, State::Trailer),
                    Some((used, size)) => (used, State::Chunk(size)),
                    None => return Ok(taken),
                },
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => (2, State::Size),
                    [b'\r'] => return Ok(taken),
                    _ => return Err(bad_chunks()),
                },
                State::Trailer => match self.trailer_line(rest)? {
                    Some(2) => (2, State::Whole),
                    Some(len) => (len, State::Trailer),
                    None => return Ok(taken),
                },
            };
            taken += used;
            self.state = next;
        }
    }

    fn take(&mut self, rest: &[u8], left: usize) -> Result<usize, Answer> {
        let len = rest.len().min(left);
        if !self.hold.reach(self.bytes.len() + len, self.limits.memory_max) {
            return Err(too_much());
        }
        self.bytes.extend_from_slice(&rest[..len]);
        Ok(len)
    }

    /// Reads the size of the next chunk; returns it with the length of its line.
    fn size(&mut self, rest: &[u8]) -> Result<Option<(usize, usize)>, Answer> {
        match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((used, size))) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                if self.bytes.len().saturating_add(size) > self.limits.body_bytes_max {
                    return Err(too_long(self.limits.body_bytes_max));
                }
                Ok(Some((used, size)))
            }
            Ok(httparse::Status::Partial) if rest.len() <= SIZE_LINE_BYTES_MAX => Ok(None),
            _ => Err(bad_chunks()),
        }
    }

    /// Finds the end of a trailer's line; an empty line is the last.
    fn trailer_line(&mut self, rest: &[u8]) -> Result<Option<usize>, Answer> {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2);
        let len = end.unwrap_or(rest.len());
        if self.trailer_bytes + len > TRAILER_BYTES_MAX {
            return Err(Answer::refusal(431, "the trailer is too long"));
        }
        self.trailer_bytes += end.unwrap_or(0);
        Ok(end)
    }
}

fn too_much() -> Answer {
    Answer::refusal(503, "too much is under way; send it again later")
}

fn bad_chunks() -> Answer {
    Answer::refusal(400, "the body's chunks are broken")
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use proptest::prelude::*;

    const LIMITS: BodyLimits = BodyLimits { body_bytes_max: 1_000, memory_max: 2_000 };

    /// Feeds pieces; returns the body, and what was left of the last piece.
    fn fed(length: BodyLength, pieces: &[&[u8]]) -> Result<(Option<Vec<u8>>, Vec<u8>), u16> {
        let mut body =
            Body::begin(length, LIMITS, Memory::default().hold()).map_err(|answer| answer.status)?;
        let mut incoming = Vec::new();
        for piece in pieces {
            incoming.extend_from_slice(piece);
            let taken = body.feed(&incoming).map_err(|answer| answer.status)?;
            incoming.drain(..taken);
        }
        Ok((body.is_whole().then_some(body.bytes), incoming))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let check = |length, text: &str, expected: Option<&str>, rest: &str| {
            let expected = (expected.map(|body| body.as_bytes().to_vec()), rest.as_bytes().to_vec());
            assert_eq!(fed(length, &[text.as_bytes()]), Ok(expected.clone()), "{text}");
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(fed(length, &single), Ok(expected), "{text}, byte by byte");
        };
        check(BodyLength::Absent, "", Some(""), "");
        check(BodyLength::Exact(0), "GET", Some(""), "GET");
        check(BodyLength::Exact(3), "abcGET", Some("abc"), "GET");
        check(BodyLength::Exact(4), "abc", None, "");
        check(BodyLength::Chunked, "3\r\nabc\r\n0\r\n\r\nGET", Some("abc"), "GET");
        check(
            BodyLength::Chunked,
            "3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
            Some("abc0123456789"),
            "",
        );
        check(BodyLength::Chunked, "3\r\nabc\r\n0\r\n", None, "");
    }

    #[test]
    fn broken_and_too_long_bodies_are_refused() {
        let check = |length, text: &str, status| {
            assert_eq!(fed(length, &[text.as_bytes()]).unwrap_err(), status, "{text}");
        };
        check(BodyLength::Exact(1_001), "", 413);
        check(BodyLength::Exact(u64::MAX), "", 413);
        check(BodyLength::Chunked, "3e9\r\n", 413);
        check(BodyLength::Chunked, "ffffffffffffffff\r\n", 413);
        check(BodyLength::Chunked, "fffffffffffffffff\r\n", 400);
        check(BodyLength::Chunked, "x\r\n", 400);
        check(BodyLength::Chunked, "3\r\nabcd\r\n", 400);
        check(BodyLength::Chunked, &format!("3;{}", "x".repeat(2_000)), 400);
        check(BodyLength::Chunked, &format!("0\r\n{}", "A: b\r\n".repeat(2_000)), 431);
        check(BodyLength::Chunked, &format!("0\r\n{}", "A".repeat(10_000)), 431);
    }

    #[test]
    fn memory_that_others_hold_is_not_there() {
        let memory = Memory::default();
        let begin = |sent: usize| {
            let body = Body::begin(BodyLength::Exact(900), LIMITS, memory.hold());
            let mut body = body.map_err(|answer| answer.status)?;
            body.feed(&vec![b'x'; sent]).map_err(|answer| answer.status)?;
            Ok::<Body, u16>(body)
        };
        let silent = [begin(0), begin(0), begin(0)];
        assert!(silent.iter().all(Result::is_ok));
        let held = [begin(900), begin(500)];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(begin(0).err(), Some(503), "it can be seen before it comes");
        let mut late = silent.into_iter().flatten();
        assert_eq!(late.next().unwrap().feed(&[b'x'; 700]).unwrap_err().status, 503);
        drop(held);
        assert!(begin(900).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[0-9a-f\r\n;: ]{0,200}") {
            let _ = fed(BodyLength::Chunked, &[&bytes]);
            let _ = fed(BodyLength::Chunked, &[text.as_bytes()]);
        }
    }
}
