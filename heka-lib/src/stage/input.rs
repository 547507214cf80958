//! The input stage: reads, splits, decodes and routes on one thread; with `decode_threads` it reads and splits only.

use super::decode::GROUP_FRAMES_MAX;
use super::intake::{Intake, Source};
use super::retry::BackOff;
use super::stream::{ReadRoom, StreamState};
use super::takeover::InputChange;
use crate::config::RetryConfig;
use crate::control::Attention;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec, Stopper};
use crate::splitter::{FrameSink, SplitCounts, Splitter, SplitterConfig};
use crate::stop::StopFlags;
use heka_plugin_api::abi::{self, Frame, Slice, status};
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a read may wait when nothing is pending.
const IDLE_WAIT: Duration = Duration::from_millis(250);
/// How often acknowledgements are collected at least, while the input reads.
const COLLECT_INTERVAL: Duration = Duration::from_millis(2);
/// How long an input that was asked to stop may go on reading what has arrived already.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How often an ended input looks whether everything it read is acknowledged.
const SETTLE_INTERVAL: Duration = Duration::from_millis(2);

/// What an input stage is made from.
pub(crate) struct InputPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) splitter: SplitterConfig,
    /// Whether the config names the splitter; otherwise each datagram is one frame.
    pub(crate) splitter_named: bool,
    pub(crate) ticker: Option<Duration>,
    pub(crate) linger: Duration,
    /// End at the first idle moment, with everything read.
    pub(crate) once: bool,
    pub(crate) stop: StopFlags,
    pub(crate) attention: Attention<InputCommand>,
}

/// What a reload says to an input stage.
pub(crate) enum InputCommand {
    /// The input was removed: it ends as at a stop.
    End,
    /// It goes on in another way.
    Change(Box<InputChange>),
}

/// Where other threads find how to stop a stage's instance, as long as there is one.
pub(crate) type StopSlot = Arc<Mutex<Option<Stopper>>>;

/// The input stage.
pub(crate) struct InputStage {
    pub(super) plan: InputPlan,
    pub(super) instance: Instance,
    pub(super) started: bool,
    /// The instance that this one takes over from, until it has started.
    pub(super) predecessor: Option<Instance>,
    pub(super) reading: Box<Reading>,
    pub(super) stop_slot: StopSlot,
    pub(super) back_off: BackOff,
    next_tick: Option<Instant>,
    /// Whether the input is to end, without the others.
    ends: bool,
}

/// What the plugin reaches through its reader.
pub(super) struct Reading {
    pub(super) streams: Vec<Option<StreamState>>,
    counted: Vec<SplitCounts>,
    room: ReadRoom,
    sink: FrameSink,
    splitter: SplitterConfig,
    whole_datagrams: bool,
    /// Whether some streams are those of an instance that another one has taken over from …
    inherits: bool,
    /// … and whether that one has not read yet.
    is_first_read: bool,
    pub(super) intake: Intake,
}

impl InputStage {
    pub(crate) fn new(
        plan: InputPlan,
        instance: Instance,
        started: bool,
        intake: Intake,
        stop_slot: StopSlot,
    ) -> InputStage {
        let reading = Box::new(Reading {
            streams: Vec::new(),
            counted: Vec::new(),
            room: ReadRoom::default(),
            sink: FrameSink::new(GROUP_FRAMES_MAX),
            splitter: plan.splitter.clone(),
            whole_datagrams: are_whole(plan.splitter_named, &plan.splitter),
            inherits: false,
            is_first_read: false,
            intake,
        });
        let back_off = BackOff::new(&RetryConfig::default());
        let mut stage = InputStage {
            plan,
            instance,
            started,
            predecessor: None,
            reading,
            stop_slot,
            back_off,
            next_tick: None,
            ends: false,
        };
        stage.schedule();
        stage
    }

    /// Runs until the input ends or is asked to stop, and then until everything read is acknowledged.
    pub(crate) fn run(mut self) {
        self.read_all();
        self.plan.attention.end();
        self.reading.intake.routes().flush();
        self.settle();
        *self.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn read_all(&mut self) {
        let mut collected = Instant::now();
        while !self.is_stopping() && self.reading.intake.fatal().is_none() {
            if self.plan.attention.is_called() {
                self.obey();
                continue;
            }
            let pending = self.reading.intake.routes().flush_due();
            let asked = Instant::now();
            let found = self.read(pending.unwrap_or(IDLE_WAIT));
            // A stage that had nothing to do for so long passes on at once what comes then.
            let was_idle = asked.elapsed() >= self.plan.linger;
            match found {
                Ok(status::OK) => self.back_off.reset(),
                Ok(status::IDLE) if !self.plan.once => {}
                Err(failure) if self.recover(&failure) => {}
                Ok(_) | Err(_) => break,
            }
            if was_idle {
                self.reading.intake.routes().flush();
            }
            if was_idle || collected.elapsed() >= COLLECT_INTERVAL {
                self.collect();
                collected = Instant::now();
            }
            self.tick();
        }
        self.finish();
    }

    fn read(&mut self, wait: Duration) -> Result<i32, Failure> {
        if !self.started {
            self.instance.start(self.predecessor.as_mut())?;
            self.started = true;
            self.predecessor = None;
        }
        let mut reader = reader(&mut self.reading);
        let result = self.instance.read(&mut reader, wait);
        self.reading.intake.route_ready();
        if self.reading.is_first_read && result.is_ok() {
            self.reading.close_inherited(false);
        }
        result
    }

    fn is_stopping(&self) -> bool {
        self.ends || self.plan.stop.is_stopping()
    }

    /// Does what a reload says.
    fn obey(&mut self) {
        match self.plan.attention.take() {
            Some(InputCommand::End) => self.ends = true,
            Some(InputCommand::Change(change)) => self.change(*change),
            None => {}
        }
    }

    /// Deals with a failed read; tells whether the input goes on.
    fn recover(&mut self, failure: &Failure) -> bool {
        let delay = self.back_off.next(failure.after);
        let (name, reason) = (self.plan.name.clone(), &failure.reason);
        match failure.kind {
            FailureKind::Retry | FailureKind::Message => {
                self.reading.intake.warn(|| format!("{reason}; next try in {delay:.1?}"));
            }
            FailureKind::Panic => {
                log::error!("input `{name}`: {reason}; restarted in {delay:.1?}");
                if let Err(failure) = self.restart() {
                    log::error!("input `{name}`: failed to restart: {}; stopped", failure.reason);
                    return false;
                }
            }
            FailureKind::Fatal | FailureKind::Config => {
                log::error!("input `{name}`: {reason}; stopped");
                return false;
            }
        }
        self.plan.stop.wait_unless_stopping(delay, || self.plan.attention.is_called());
        true
    }

    fn restart(&mut self) -> Result<(), Failure> {
        let fresh = self.plan.spec.open()?;
        self.install(fresh);
        self.started = false;
        self.reading.streams.iter_mut().for_each(|stream| *stream = None);
        Ok(())
    }

    /// Puts another instance in the place of the stage's, and returns that.
    pub(super) fn install(&mut self, fresh: Instance) -> Instance {
        *self.stop_slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.stopper());
        std::mem::replace(&mut self.instance, fresh)
    }

    /// Lets the plugin read what has arrived already and close its streams.
    fn finish(&mut self) {
        if let Some(reason) = self.reading.intake.fatal() {
            log::error!("input `{}`: decoder: {reason}; stopped", self.plan.name);
        }
        if self.plan.once && !self.is_stopping() {
            (0..self.reading.streams.len()).for_each(|stream| self.reading.finish(stream));
        }
        self.drain();
    }

    /// Asks the instance to stop, and reads what has arrived until it ends.
    pub(super) fn drain(&mut self) {
        // An instance that never got to take over leaves it to its predecessor to end well.
        if let (false, Some(predecessor)) = (self.started, self.predecessor.take()) {
            self.install(predecessor);
            self.started = true;
        }
        // SAFETY: the instance is alive.
        unsafe { self.instance.stopper().stop() };
        let asked = Instant::now();
        while self.started && asked.elapsed() < DRAIN_MAX && !self.plan.stop.is_aborting() {
            if !matches!(self.read(Duration::ZERO), Ok(status::OK)) {
                break;
            }
        }
    }

    /// Waits until everything read is acknowledged, so that the plugin can keep its positions.
    fn settle(&mut self) {
        let stop = self.plan.stop.clone();
        self.settle_unless(|| stop.is_aborting());
    }

    /// Waits until everything read is acknowledged, or `is_over` says that it was long enough; tells which.
    pub(super) fn settle_unless(&mut self, is_over: impl Fn() -> bool) -> bool {
        self.collect();
        while !self.reading.intake.ledger().is_settled() {
            if is_over() {
                return false;
            }
            self.plan.stop.wait_unless_aborting(SETTLE_INTERVAL);
            self.collect();
        }
        true
    }

    fn collect(&mut self) {
        let InputStage { instance, reading, .. } = self;
        reading.intake.ledger().collect(|stream, position| instance.acknowledged(stream, position));
        let streams = &reading.streams;
        reading.intake.ledger().forget(|id| streams.iter().flatten().any(|stream| stream.id == id));
    }

    fn tick(&mut self) {
        let Some(due) = self.next_tick else { return };
        if Instant::now() < due {
            return;
        }
        self.schedule();
        if let Err(failure) = self.instance.tick(std::ptr::null_mut()) {
            log::warn!("input `{}`: tick: {}", self.plan.name, failure.reason);
        }
    }

    pub(super) fn schedule(&mut self) {
        let interval = self.plan.ticker.or(self.instance.ticker());
        self.next_tick = interval.map(|interval| Instant::now() + interval);
    }
}

/// Tells whether each datagram is one frame.
fn are_whole(splitter_named: bool, splitter: &SplitterConfig) -> bool {
    !splitter_named || splitter.kind() == "none"
}

impl Reading {
    fn open(&mut self, name: &[u8], id: u64, position: u64) -> u64 {
        if let Some(index) = self.reopened(name, id, position) {
            return index as u64;
        }
        let (id, is_named) = if id == 0 { (fastrand::u64(1..), false) } else { (id, true) };
        let mut state = StreamState::new(id, name, position, self.splitter.splitter());
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

    fn filled(&mut self, index: usize, len: usize) {
        let Some(stream) = taken_up(&mut self.streams, index) else { return };
        self.intake.stats().bytes.add(len);
        let (buffer, filled) = stream.take_filled(&mut self.room, len);
        let mut consumed = 0;
        loop {
            self.sink.clear();
            let unsplit = &buffer[consumed..filled];
            let more = stream.splitter.split(unsplit, &mut self.sink);
            let base = stream.position;
            stream.position += more as u64;
            let source = Source { id: stream.id, name: &stream.name, end: stream.position };
            self.intake.gather(&self.sink, unsplit, base, source);
            self.intake.take_group(source);
            consumed += more;
            if !self.sink.is_full() {
                break;
            }
        }
        stream.give_back(&mut self.room, buffer, consumed, filled);
        self.count(index);
    }

    fn datagrams(&mut self, index: usize, datagrams: &[Frame]) {
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
    fn messages(&mut self, index: usize, position: u64) {
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

    fn close(&mut self, index: usize, flush: bool) {
        if flush {
            self.finish(index);
        }
        if let Some(stream) = self.streams.get_mut(index) {
            *stream = None;
        }
    }

    /// Goes on with a stream of the predecessor's that its successor opens again by its id.
    fn reopened(&mut self, name: &[u8], id: u64, position: u64) -> Option<usize> {
        if !self.inherits || id == 0 {
            return None;
        }
        let is_it = |stream: &Option<StreamState>| stream.as_ref().is_some_and(|stream| stream.id == id);
        let index = self.streams.iter().position(is_it)?;
        let fresh = self.splitter.splitter();
        let stream = taken_up(&mut self.streams, index)?;
        stream.name = name.to_vec();
        if !stream.go_on_at(position) {
            stream.splitter = fresh;
            self.counted[index] = SplitCounts::default();
        }
        Some(index)
    }

    /// Marks all streams as those of an instance that another one takes over from.
    pub(super) fn leave_streams(&mut self) {
        self.streams.iter_mut().flatten().for_each(|stream| stream.is_inherited = true);
        (self.inherits, self.is_first_read) = (true, true);
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
            (stream.splitter, stream.is_whole) = (splitter.splitter(), false);
            *counted = SplitCounts::default();
        }
        self.splitter = splitter;
    }

    /// Adds what the splitter counted since the last time to the stage's statistics.
    fn count(&mut self, index: usize) {
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

/// Returns an open stream that the instance names; one that it took over from its predecessor is then its own.
fn taken_up(streams: &mut [Option<StreamState>], index: usize) -> Option<&mut StreamState> {
    let stream = streams.get_mut(index)?.as_mut()?;
    stream.is_inherited = false;
    Some(stream)
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

fn reader(reading: &mut Reading) -> abi::Reader {
    let writer: *mut abi::Writer = reading.intake.writer().raw();
    abi::Reader {
        context: (&raw mut *reading).cast(),
        writer,
        open_stream,
        rename_stream,
        stream_buffer,
        stream_filled,
        datagrams,
        stream_position,
        stream_messages,
        close_stream,
    }
}

unsafe fn reading<'a>(context: *mut c_void) -> &'a mut Reading {
    // SAFETY: the context is the `Reading` of the stage that is calling the plugin's `read` on this thread.
    unsafe { &mut *context.cast::<Reading>() }
}

unsafe extern "C" fn open_stream(context: *mut c_void, name: Slice, id: u64, position: u64) -> u64 {
    // SAFETY: as said at `reading`; the plugin's slice is valid during the call.
    unsafe { reading(context).open(name.bytes(), id, position) }
}

unsafe extern "C" fn rename_stream(context: *mut c_void, stream: u64, name: Slice) {
    // SAFETY: as above.
    let (reading, name) = unsafe { (reading(context), name.bytes()) };
    if let Some(stream) = taken_up(&mut reading.streams, stream as usize) {
        stream.name = name.to_vec();
    }
}

unsafe extern "C" fn stream_buffer(
    context: *mut c_void,
    stream: u64,
    min: usize,
    len: *mut usize,
) -> *mut u8 {
    // SAFETY: as above.
    let reading = unsafe { reading(context) };
    let Some(stream) = taken_up(&mut reading.streams, stream as usize) else { return std::ptr::null_mut() };
    let room = stream.room(&mut reading.room, min);
    // SAFETY: the plugin's place for the length.
    unsafe { *len = room.len() };
    room.as_mut_ptr()
}

unsafe extern "C" fn stream_filled(context: *mut c_void, stream: u64, len: usize) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.filled(stream as usize, len);
    status::OK
}

unsafe extern "C" fn datagrams(context: *mut c_void, stream: u64, frames: *const Frame, len: usize) -> i32 {
    // SAFETY: as above; the plugin's frames are valid during the call.
    let (reading, frames) = unsafe { (reading(context), std::slice::from_raw_parts(frames, len)) };
    reading.datagrams(stream as usize, frames);
    status::OK
}

unsafe extern "C" fn stream_position(context: *mut c_void, stream: u64) -> u64 {
    // SAFETY: as above.
    let stream = taken_up(&mut unsafe { reading(context) }.streams, stream as usize);
    stream.map_or(0, |stream| stream.position)
}

unsafe extern "C" fn stream_messages(context: *mut c_void, stream: u64, position: u64) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.messages(stream as usize, position);
    status::OK
}

unsafe extern "C" fn close_stream(context: *mut c_void, stream: u64, flush: u32) -> i32 {
    // SAFETY: as above.
    unsafe { reading(context) }.close(stream as usize, flush != 0);
    status::OK
}
