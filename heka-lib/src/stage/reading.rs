//! What an input's plugin reaches while it reads: its streams, which are cut into frames as it fills them.

use super::cuts::Cuts;
use super::decode::GROUP_FRAMES_MAX;
use super::intake::{Intake, Source};
use super::silence::Silence;
use super::stream::{ReadRoom, StreamState};
use crate::splitter::{FrameSink, SplitCounts, Splitter, SplitterConfig};
use heka_plugin_api::abi::Frame;
use std::path::Path;

/// What the plugin reaches through its reader.
pub(super) struct Reading {
    pub(super) streams: Vec<Option<StreamState>>,
    counted: Vec<SplitCounts>,
    pub(super) room: ReadRoom,
    pub(super) sink: FrameSink,
    pub(super) silence: Silence,
    pub(super) cuts: Cuts,
    splitter: SplitterConfig,
    whole_datagrams: bool,
    /// Whether some streams are those of an instance that another one has taken over from …
    inherits: bool,
    /// … and whether that one has not read yet.
    is_first_read: bool,
    pub(super) intake: Intake,
}

impl Reading {
    /// `state_dir` is the input's own directory.
    pub(super) fn new(splitter: SplitterConfig, is_named: bool, intake: Intake, state_dir: &Path) -> Reading {
        Reading {
            streams: Vec::new(),
            counted: Vec::new(),
            room: ReadRoom::default(),
            sink: FrameSink::new(GROUP_FRAMES_MAX),
            silence: Silence::default(),
            cuts: Cuts::load(state_dir),
            whole_datagrams: are_whole(is_named, &splitter),
            splitter,
            inherits: false,
            is_first_read: false,
            intake,
        }
    }

    pub(super) fn open(&mut self, name: &[u8], id: u64, position: u64) -> u64 {
        if let Some(index) = self.reopened(name, id, position) {
            return index as u64;
        }
        let (id, is_named) = if id == 0 { (fastrand::u64(1..), false) } else { (id, true) };
        let splitter = fresh_splitter(&self.splitter, &mut self.cuts, id, position);
        let mut state = StreamState::new(id, name, position, splitter);
        state.is_named = is_named;
        match self.streams.iter().position(Option::is_none) {
            Some(free) => {
                self.streams[free] = Some(state);
                self.counted[free] = SplitCounts::default();
                free as u64
            }
            None => {
                self.streams.push(Some(state));
                self.counted.push(SplitCounts::default());
                self.streams.len() as u64 - 1
            }
        }
    }

    pub(super) fn filled(&mut self, index: usize, len: usize) {
        let Some(stream) = taken_up(&mut self.streams, index) else { return };
        self.intake.stats().bytes.add(len);
        let (buffer, filled) = stream.take_filled(&mut self.room, len);
        let consumed = cut(stream, &buffer[..filled], &mut self.sink, &mut self.intake);
        stream.give_back(&mut self.room, buffer, consumed, filled);
        self.listen(index);
        self.count(index);
    }

    /// Splits anew what a stream holds, which another splitter left.
    fn split_rest(&mut self, index: usize) {
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let rest = stream.take_rest();
        let consumed = cut(stream, &rest, &mut self.sink, &mut self.intake);
        stream.put_rest(rest, consumed);
        self.listen(index);
        self.count(index);
    }

    /// Waits for a stream to be silent, if it holds something that then is to be handed on.
    fn listen(&mut self, index: usize) {
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let timeout = stream.splitter.timeout().filter(|_| !stream.rest().is_empty());
        stream.due = timeout.map(|timeout| self.silence.due(timeout));
    }

    pub(super) fn stream(&self, index: usize) -> Option<&StreamState> {
        self.streams.get(index)?.as_ref()
    }

    pub(super) fn datagrams(&mut self, index: usize, datagrams: &[Frame]) {
        let Some(stream) = taken_up(&mut self.streams, index) else { return };
        let limit = self.splitter.limit;
        if self.whole_datagrams && !stream.is_whole {
            stream.is_whole = true;
            stream.splitter = SplitterConfig::none().with_limit(limit).splitter();
        }
        for datagram in datagrams {
            self.intake.stats().bytes.add(datagram.bytes.len);
            let base = stream.position;
            stream.position += datagram.bytes.len as u64 + 1;
            let source = Source { id: stream.id, name: &stream.name, end: stream.position };
            if self.whole_datagrams && datagram.bytes.len <= limit.bytes_max() {
                self.intake.gather_whole(datagram.bytes, base);
            } else {
                // SAFETY: the plugin's datagrams are valid during the call.
                let bytes = unsafe { datagram.bytes.bytes() };
                split_whole(&mut stream.splitter, bytes, base, &mut self.sink, &mut self.intake, source);
            }
            if self.intake.is_full() {
                self.intake.take_group(source);
            }
        }
        let source = Source { id: stream.id, name: &stream.name, end: stream.position };
        self.intake.take_group(source);
        self.count(index);
    }

    /// Hands on the ready messages written so far, as made from the stream up to `position`.
    pub(super) fn messages(&mut self, index: usize, position: u64) {
        let Some(stream) = taken_up(&mut self.streams, index) else { return };
        stream.position = position;
        self.intake.take_ready(Source { id: stream.id, name: &stream.name, end: position });
    }

    /// Hands on an incomplete last frame.
    fn finish(&mut self, index: usize) {
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let rest = stream.take_rest();
        let base = stream.position;
        stream.position += rest.len() as u64;
        let source = Source { id: stream.id, name: &stream.name, end: stream.position };
        finish(&mut stream.splitter, &rest, base, &mut self.sink, &mut self.intake, source);
        self.intake.take_group(source);
        self.count(index);
    }

    pub(super) fn close(&mut self, index: usize, flush: bool) {
        if flush {
            self.finish(index);
        }
        if let Some(stream) = self.streams.get_mut(index) {
            *stream = None;
        }
    }

    /// Hands on the incomplete last frames of all streams.
    pub(super) fn finish_all(&mut self) {
        (0..self.streams.len()).for_each(|index| self.finish(index));
    }

    /// Drops all streams, of which the instance to come knows nothing.
    pub(super) fn forget_streams(&mut self) {
        self.streams.iter_mut().for_each(|stream| *stream = None);
    }

    /// Lets the ledger forget closed streams that are settled.
    fn forget_settled(&mut self) {
        let streams = &self.streams;
        self.intake.ledger().forget(|id| streams.iter().flatten().any(|stream| stream.id == id));
    }

    /// Goes on with a stream of the predecessor's that its successor opens again by its id.
    fn reopened(&mut self, name: &[u8], id: u64, position: u64) -> Option<usize> {
        if !self.inherits || id == 0 {
            return None;
        }
        let is_it = |stream: &Option<StreamState>| stream.as_ref().is_some_and(|stream| stream.id == id);
        let index = self.streams.iter().position(is_it)?;
        let stream = taken_up(&mut self.streams, index)?;
        stream.name = name.to_vec();
        if !stream.go_on_at(position) {
            stream.splitter = fresh_splitter(&self.splitter, &mut self.cuts, id, stream.position);
            self.counted[index] = SplitCounts::default();
            self.split_rest(index);
        }
        Some(index)
    }

    /// Marks all streams as those of an instance that another one takes over from.
    pub(super) fn leave_streams(&mut self) {
        self.streams.iter_mut().flatten().for_each(|stream| stream.is_inherited = true);
        (self.inherits, self.is_first_read) = (true, true);
    }

    /// Notes that the successor has read: what it did not go on with till then is closed.
    pub(super) fn end_takeover(&mut self) {
        if self.is_first_read {
            self.close_inherited(false);
        }
    }

    /// Closes the streams that the successor did not go on with, and hands on their incomplete last frames. Those that
    /// can be read again it may open later; with `all` they are closed too, and nothing of them is handed on.
    pub(super) fn close_inherited(&mut self, all: bool) {
        (self.inherits, self.is_first_read) = (false, false);
        for index in 0..self.streams.len() {
            let left = self.streams[index].as_ref().filter(|stream| stream.is_inherited);
            match left.map(|stream| stream.is_named) {
                Some(true) if !all => self.inherits = true,
                Some(is_named) => self.close(index, !is_named),
                None => {}
            }
        }
    }

    /// Splits all streams by another splitter from now on.
    pub(super) fn set_splitter(&mut self, splitter: SplitterConfig, is_named: bool) {
        self.whole_datagrams = are_whole(is_named, &splitter);
        for (stream, counted) in self.streams.iter_mut().zip(&mut self.counted) {
            let Some(stream) = stream else { continue };
            let fresh = fresh_splitter(&splitter, &mut self.cuts, stream.id, stream.position);
            (stream.splitter, stream.is_whole) = (fresh, false);
            *counted = SplitCounts::default();
        }
        self.splitter = splitter;
        (0..self.streams.len()).for_each(|index| self.split_rest(index));
    }

    /// Tells `advanced` what is acknowledged.
    pub(super) fn collect(&mut self, mut advanced: impl FnMut(u64, u64)) {
        let Reading { intake, cuts, .. } = self;
        intake.ledger().collect(|stream, position| {
            cuts.acknowledged(stream, position);
            advanced(stream, position);
        });
        self.forget_settled();
    }

    /// Adds what the splitter counted since the last time to the stage's statistics.
    pub(super) fn count(&mut self, index: usize) {
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let counts = stream.splitter.counts();
        let before = std::mem::replace(&mut self.counted[index], counts);
        if counts != before {
            let stats = self.intake.stats();
            stats.rejected.add((counts.rejected - before.rejected) as usize);
            stats.truncated.add((counts.truncated - before.truncated) as usize);
            stats.broken_bytes.add((counts.broken_bytes - before.broken_bytes) as usize);
        }
        if let Some(problem) = stream.splitter.take_problem() {
            let name = String::from_utf8_lossy(&stream.name).into_owned();
            self.intake.warn(|| format!("stream `{name}`: {problem}"));
        }
    }
}

/// Tells whether each datagram is one frame.
fn are_whole(splitter_named: bool, splitter: &SplitterConfig) -> bool {
    !splitter_named || splitter.kind() == "none"
}

/// Returns an open stream that the instance names; one that it took over from its predecessor is then its own.
pub(super) fn taken_up(streams: &mut [Option<StreamState>], index: usize) -> Option<&mut StreamState> {
    let stream = streams.get_mut(index)?.as_mut()?;
    stream.is_inherited = false;
    Some(stream)
}

/// Makes the splitter of a stream that is read on from `position`.
fn fresh_splitter(config: &SplitterConfig, cuts: &mut Cuts, id: u64, position: u64) -> Splitter {
    let mut splitter = config.splitter();
    splitter.cut_at(cuts.behind(id, position).map(|cut| cut - position));
    splitter
}

/// Cuts what a stream holds into frames and hands them on; returns how many bytes are done with.
fn cut(stream: &mut StreamState, buffer: &[u8], sink: &mut FrameSink, intake: &mut Intake) -> usize {
    let mut consumed = 0;
    loop {
        sink.clear();
        let unsplit = &buffer[consumed..];
        let was_skipping = stream.splitter.skipped_bytes() > 0;
        let more = stream.splitter.split(unsplit, sink);
        let base = stream.position;
        stream.position += more as u64;
        // A frame over the limit is done with at its end: who reads on in its middle would find another frame there.
        let skipped = stream.splitter.skipped_bytes();
        let source = Source { id: stream.id, name: &stream.name, end: stream.position - skipped };
        intake.gather(sink, unsplit, base, source);
        if was_skipping && skipped == 0 && sink.frames().is_empty() {
            intake.pass(source);
        }
        intake.take_group(source);
        consumed += more;
        if !sink.is_full() {
            return consumed;
        }
    }
}

/// Splits bytes that are whole in themselves, and hands on groups that are full.
fn split_whole(
    splitter: &mut Splitter,
    bytes: &[u8],
    base: u64,
    sink: &mut FrameSink,
    intake: &mut Intake,
    source: Source<'_>,
) {
    let mut consumed = 0;
    loop {
        sink.clear();
        let more = splitter.split(&bytes[consumed..], sink);
        intake.gather(sink, &bytes[consumed..], base + consumed as u64, source);
        consumed += more;
        if !sink.is_full() {
            break;
        }
        intake.take_group(Source { end: base + consumed as u64, ..source });
    }
    finish(splitter, &bytes[consumed..], base + consumed as u64, sink, intake, source);
}

/// Hands on what is left at the end.
fn finish(
    splitter: &mut Splitter,
    rest: &[u8],
    base: u64,
    sink: &mut FrameSink,
    intake: &mut Intake,
    source: Source<'_>,
) {
    let mut consumed = 0;
    loop {
        sink.clear();
        let more = splitter.finish(&rest[consumed..], sink);
        intake.gather(sink, &rest[consumed..], base + consumed as u64, source);
        consumed += more;
        if consumed >= rest.len() || more == 0 {
            break;
        }
        intake.take_group(Source { end: base + consumed as u64, ..source });
    }
}
