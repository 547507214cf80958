//! How far each stream's messages were appended, so that a duplicate is known when it comes.

use crate::format::{put, u32_at, u64_at};
use heka_plugin_api::Origin;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Most streams that are kept.
pub(crate) const STREAMS_MAX: usize = 65_536;
/// Length of a stream in a segment's head, in bytes.
pub(crate) const STREAM_BYTES: usize = 32;
/// The part of the streams that goes at once when there are too many: 1 of this.
const FORGOTTEN_PART: usize = 16;
const NONE: usize = usize::MAX;

/// A table of streams, changed by one append at a time, which is taken back if it fails.
pub(crate) struct Streams {
    streams: Vec<Stream>,
    places: HashMap<(u64, u64), usize, BuildHasherDefault<Mixer>>,
    /// The stream of the message before.
    current: usize,
    append_count: u64,
    undo: Vec<(usize, Option<Stream>)>,
    len_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    source: u64,
    stream: u64,
    reached: (u64, u32),
    /// When it was last touched, in appends.
    touched: u64,
}

impl Streams {
    pub(crate) fn new(len_max: usize) -> Streams {
        Streams {
            streams: Vec::new(),
            places: HashMap::default(),
            current: NONE,
            append_count: 0,
            undo: Vec::new(),
            len_max: len_max.clamp(1, STREAMS_MAX),
        }
    }

    /// Begins an append.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
        self.current = NONE;
        self.append_count += 1;
    }

    /// Notes a message; tells whether it is a new one.
    #[inline]
    pub(crate) fn admit(&mut self, source: u64, origin: Origin) -> bool {
        let at = (origin.position, origin.index);
        if let Some(stream) = self.streams.get_mut(self.current)
            && stream.stream == origin.stream
            && stream.source == source
        {
            let is_new = at > stream.reached;
            if is_new {
                stream.reached = at;
            }
            return is_new;
        }
        self.admit_other(source, origin.stream, at)
    }

    fn admit_other(&mut self, source: u64, stream: u64, at: (u64, u32)) -> bool {
        let end = self.streams.len();
        let place = *self.places.entry((source, stream)).or_insert(end);
        self.current = place;
        let Some(known) = self.streams.get_mut(place) else {
            self.undo.push((place, None));
            self.streams.push(Stream { source, stream, reached: at, touched: self.append_count });
            return true;
        };
        self.undo.push((place, Some(*known)));
        known.touched = self.append_count;
        let is_new = at > known.reached;
        if is_new {
            known.reached = at;
        }
        is_new
    }

    /// Keeps what the append noted.
    pub(crate) fn keep(&mut self) {
        self.undo.clear();
        if self.streams.len() > self.len_max {
            self.forget_oldest();
        }
    }

    /// Takes back what the append noted.
    pub(crate) fn take_back(&mut self) {
        while let Some((place, before)) = self.undo.pop() {
            match before {
                Some(stream) => self.streams[place] = stream,
                None => {
                    let stream = self.streams.swap_remove(place);
                    self.places.remove(&(stream.source, stream.stream));
                }
            }
        }
        self.current = NONE;
    }

    fn forget_oldest(&mut self) {
        self.sort();
        let excess = self.streams.len() - self.len_max + self.len_max / FORGOTTEN_PART;
        self.streams.drain(..excess.min(self.streams.len()));
        self.index();
    }

    /// Sorts, the longest untouched first.
    fn sort(&mut self) {
        self.streams.sort_by_key(|stream| stream.touched);
        self.index();
    }

    fn index(&mut self) {
        self.current = NONE;
        self.places.clear();
        let streams = self.streams.iter().enumerate();
        self.places.extend(streams.map(|(place, stream)| ((stream.source, stream.stream), place)));
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Appends the table as it stands in a segment's head.
    pub(crate) fn encode(&mut self, out: &mut Vec<u8>) {
        self.sort();
        for stream in &self.streams {
            let mut bytes = [0; STREAM_BYTES];
            put(&mut bytes, 0, &stream.source.to_le_bytes());
            put(&mut bytes, 8, &stream.stream.to_le_bytes());
            put(&mut bytes, 16, &stream.reached.0.to_le_bytes());
            put(&mut bytes, 24, &stream.reached.1.to_le_bytes());
            out.extend_from_slice(&bytes);
        }
    }

    /// Takes over a table from a segment's head.
    pub(crate) fn decode(&mut self, table: &[u8]) {
        self.streams.clear();
        let (streams, _) = table.as_chunks::<STREAM_BYTES>();
        for bytes in streams {
            self.append_count += 1;
            self.streams.push(Stream {
                source: u64_at(bytes, 0),
                stream: u64_at(bytes, 8),
                reached: (u64_at(bytes, 16), u32_at(bytes, 24)),
                touched: self.append_count,
            });
        }
        self.index();
        self.keep();
    }
}

/// Spreads ids, which are random, and tags, which need not be.
#[derive(Default)]
pub(crate) struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(stream: u64, position: u64, index: u32) -> Origin {
        Origin { stream, position, index }
    }

    fn append(streams: &mut Streams, messages: &[(u64, Origin)]) -> Vec<bool> {
        streams.begin();
        messages.iter().map(|&(source, origin)| streams.admit(source, origin)).collect()
    }

    fn table(streams: &mut Streams) -> Vec<u8> {
        let mut bytes = Vec::new();
        streams.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_at_or_before_the_last_of_its_stream_is_a_duplicate() {
        let mut streams = Streams::new(10);
        let first = append(&mut streams, &[(1, origin(7, 5, 0)), (1, origin(7, 5, 1)), (1, origin(7, 5, 1))]);
        assert_eq!(first, [true, true, false]);
        streams.keep();
        let again = append(&mut streams, &[(1, origin(7, 4, 9)), (2, origin(7, 4, 9)), (1, origin(7, 6, 0))]);
        assert_eq!(again, [false, true, true], "each source has streams of its own");
    }

    #[test]
    fn a_failed_append_leaves_nothing() {
        let mut streams = Streams::new(10);
        append(&mut streams, &[(1, origin(7, 5, 0)), (1, origin(8, 5, 0))]);
        streams.keep();
        let before = table(&mut streams);
        let messages =
            [(1, origin(9, 1, 0)), (1, origin(7, 9, 0)), (3, origin(9, 1, 0)), (1, origin(7, 10, 0))];
        append(&mut streams, &messages);
        streams.take_back();
        assert_eq!(table(&mut streams), before);
        assert_eq!(append(&mut streams, &messages), [true; 4]);
    }

    #[test]
    fn a_table_is_read_back() {
        let mut streams = Streams::new(10);
        append(&mut streams, &[(1, origin(7, 5, 3)), (u64::MAX, origin(8, u64::MAX, u32::MAX))]);
        streams.keep();
        let mut read = Streams::new(10);
        read.decode(&table(&mut streams));
        assert_eq!(table(&mut read), table(&mut streams));
        assert_eq!(append(&mut read, &[(1, origin(7, 5, 3)), (1, origin(7, 5, 4))]), [false, true]);
    }

    #[test]
    fn of_too_many_the_longest_untouched_go() {
        let mut streams = Streams::new(32);
        for stream in 1..=32 {
            append(&mut streams, &[(1, origin(stream, 5, 0))]);
            streams.keep();
        }
        append(&mut streams, &[(1, origin(1, 6, 0))]);
        streams.keep();
        append(&mut streams, &[(1, origin(33, 5, 0))]);
        streams.keep();
        assert_eq!(streams.len(), 30);
        let known: Vec<bool> =
            (1..=33).map(|stream| !append(&mut streams, &[(1, origin(stream, 5, 0))])[0]).collect();
        let forgotten: Vec<usize> = (1..=33).filter(|stream| !known[stream - 1]).collect();
        assert_eq!(forgotten, [2, 3, 4], "stream 1 was touched again");
    }
}
