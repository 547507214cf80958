//! A source: one queue of one agent, and what of it is known here.

use crate::intervals::IntervalSet;
use crate::protocol::{BatchBody, BatchHeader, Range, SourceId};
use heka_plugin_api::abi::record_flag;
use heka_plugin_api::{Message, Origin, Reader, Stream};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// More gaps than this in what a source sends are not remembered: the connection ends.
const RANGES_MAX: usize = 16_384;

/// One queue of one agent.
pub struct Source {
    pub id: SourceId,
    /// Its place in the file of what is acknowledged.
    pub place: usize,
    pub generation: u64,
    /// The connection that it sends on now.
    pub connection: Option<usize>,
    /// Name of its machine, and so of the host's stream.
    pub host: Arc<str>,
    /// When it was connected last.
    pub last: Instant,
    pub settled: u64,
    /// What was handed on, acknowledged or not.
    pub received: IntervalSet,
    pub acknowledged: IntervalSet,
    /// Id of the host's stream: another one after each taking over, so that no acknowledgement is mistaken.
    pub stream_id: u64,
    stream: Option<Stream>,
    /// Batches handed on to the host's stream.
    pub position: u64,
    /// What is not acknowledged, in the order in which it was handed on.
    in_flight: VecDeque<InFlight>,
}

/// Sequences that were handed on.
#[derive(Clone, Copy)]
struct InFlight {
    stream_id: u64,
    position: u64,
    range: Range,
}

/// What became of a batch.
#[derive(Default)]
pub struct Taken {
    pub handed_on: u64,
    pub duplicates: u64,
    /// Sequences that came again although they are done.
    pub done: Vec<Range>,
    /// Sequences that the host can't take, and why.
    pub refused: Vec<(u64, String)>,
}

impl Source {
    pub fn new(id: SourceId, place: usize, now: Instant) -> Source {
        Source {
            id,
            place,
            generation: 0,
            connection: None,
            host: "".into(),
            last: now,
            settled: 0,
            received: IntervalSet::default(),
            acknowledged: IntervalSet::default(),
            stream_id: 0,
            stream: None,
            position: 0,
            in_flight: VecDeque::new(),
        }
    }

    /// Counts the ranges that were handed on and are not acknowledged.
    pub fn waiting(&self) -> usize {
        self.in_flight.len()
    }

    /// Forgets what is below the lowest sequence that the agent still waits for.
    pub fn settle(&mut self, settled: u64) {
        if settled > self.settled {
            self.settled = settled;
            self.received.forget_below(settled);
            self.acknowledged.forget_below(settled);
        }
    }

    /// Hands on what is new in a batch. Blocks while the outputs behind are full.
    pub fn take(
        &mut self,
        header: &BatchHeader,
        body: BatchBody<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Taken, String> {
        self.settle(header.settled);
        if self.received.ranges().len() > RANGES_MAX {
            return Err(format!("its sequences have more than {RANGES_MAX} gaps"));
        }
        let mut taken = Taken::default();
        self.write(header, body, reader, &mut taken);
        if taken.handed_on > 0 {
            let stream = self.stream(reader);
            self.position += 1;
            reader.hand_on(stream, self.position);
            heka_plugin_api::fault_point("hop.batch.handed_on");
        }
        Ok(taken)
    }

    /// Writes copies of the new messages, and notes their sequences as in flight.
    fn write(
        &mut self,
        header: &BatchHeader,
        body: BatchBody<'_>,
        reader: &mut Reader<'_>,
        taken: &mut Taken,
    ) {
        let stamp = Stamp { stream: origin_stream(&self.id), ordered: header.ordered };
        let is_new = !self.received.contains_any((header.first, header.last));
        let (mut writer, mut run, before) = (reader.messages(), None::<Range>, self.in_flight.len());
        let (stream_id, position) = (self.stream_id, self.position + 1);
        let in_flight = |range| InFlight { stream_id, position, range };
        for found in body.messages() {
            let sequence = found.sequence;
            if !is_new && self.received.contains(sequence) {
                taken.duplicates += 1;
                if self.acknowledged.contains(sequence) {
                    push(&mut taken.done, (sequence, sequence));
                }
                continue;
            }
            let (origin, flags) = stamp.origin(&found.message, found.chain, sequence);
            if let Err(why) = writer.copy_from(&found.message, origin, flags) {
                taken.refused.push((sequence, why.to_string()));
                continue;
            }
            taken.handed_on += 1;
            match &mut run {
                Some((_, last)) if *last + 1 == sequence => *last = sequence,
                _ => {
                    self.in_flight.extend(run.map(in_flight));
                    run = Some((sequence, sequence));
                }
            }
        }
        self.in_flight.extend(run.map(in_flight));
        self.in_flight.iter().skip(before).for_each(|new| self.received.insert(new.range));
    }

    fn stream(&mut self, reader: &mut Reader<'_>) -> Stream {
        let (id, position) = (self.stream_id, self.position);
        *self.stream.get_or_insert_with(|| reader.open_stream(&*self.host, id, position))
    }

    /// Closes the host's stream; a later batch opens it again.
    pub fn close_stream(&mut self, reader: &mut Reader<'_>) {
        if let Some(stream) = self.stream.take() {
            reader.close_stream(stream, false);
        }
    }

    /// Goes on for another instance, whose streams are its own.
    pub fn forget_stream(&mut self) {
        self.stream = None;
    }

    /// Everything up to a position of one of the host's streams has happened; returns the sequences.
    pub fn acknowledge(&mut self, stream_id: u64, position: u64) -> Vec<Range> {
        let mut ranges = Vec::new();
        let is_done = |sent: &InFlight| sent.stream_id == stream_id && sent.position <= position;
        while let Some(sent) = self.in_flight.front().filter(|sent| is_done(sent)) {
            push(&mut ranges, sent.range);
            self.in_flight.pop_front();
        }
        if self.in_flight.front().is_some_and(|sent| sent.stream_id != stream_id) {
            // Batches of before a taking over are still under way.
            self.in_flight.retain(|sent| {
                let done = is_done(sent);
                if done {
                    push(&mut ranges, sent.range);
                }
                !done
            });
        }
        for &(first, last) in &ranges {
            if last >= self.settled {
                self.acknowledged.insert((first.max(self.settled), last));
            }
        }
        ranges
    }
}

/// Adds a range to those before it.
fn push(ranges: &mut Vec<Range>, (first, last): Range) {
    match ranges.last_mut() {
        Some(before) if before.1.checked_add(1) == Some(first) => before.1 = last,
        _ => ranges.push((first, last)),
    }
}

/// Returns the id of the stream that messages of a source come from when they name none themselves.
pub fn origin_stream(id: &SourceId) -> u64 {
    let halves = id.as_chunks::<8>().0;
    let joined = halves.iter().fold(0, |all, half| mix(all ^ u64::from_le_bytes(*half)));
    joined.max(1)
}

/// Spreads every bit over all 64 (the finalizer of SplitMix64).
pub fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// What the messages of a batch get for an origin.
struct Stamp {
    /// Of messages that have no ordered origin themselves.
    stream: u64,
    ordered: bool,
}

impl Stamp {
    /// Returns origin and flags of a message's copy here.
    ///
    /// Chains of the agent send copies of one origin, each in its own pace: only within a chain do positions ascend, so
    /// that the chain becomes part of the stream's id.
    fn origin(&self, message: &Message<'_>, chain: u64, sequence: u64) -> (Origin, u16) {
        let (origin, flags) = (message.origin(), message.record().flags);
        let numbered = Origin { stream: self.stream, position: sequence, index: 0 };
        if !self.ordered {
            let origin = if origin.stream == 0 { numbered } else { origin };
            return (origin, flags | record_flag::UNORDERED);
        }
        if message.is_ordered() {
            let stream = if chain == 0 { origin.stream } else { mix(origin.stream ^ chain).max(1) };
            return (Origin { stream, ..origin }, flags);
        }
        if flags & record_flag::DEAD_LETTER != 0 {
            return (origin, flags);
        }
        (numbered, flags & !record_flag::UNORDERED)
    }
}
