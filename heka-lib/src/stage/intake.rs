//! What an input's thread does with everything that is read: it gathers frames to groups, makes their tokens, and
//! decodes and routes them, or hands them to the input's decode stages.

use super::decode::{Decoding, GROUP_FRAMES_MAX, Read};
use super::decode_group::DecodeThreads;
use crate::arena::RecordWriter;
use crate::routes::{RoutePlan, Routes};
use crate::splitter::{FrameSink, FrameSpan};
use crate::stats::InputStats;
use crate::token::Ledger;
use heka_plugin_api::abi::{Frame, Slice};
use heka_plugin_api::now;

/// A group that has so many bytes is handed on, however few frames it has.
const GROUP_BYTES_MAX: usize = 256 << 10;

/// Takes what an input reads.
pub(crate) struct Intake {
    /// The thread's own: of ready messages, and, without decode stages, of frames.
    decoding: Decoding,
    threads: Option<DecodeThreads>,
    ledger: Ledger,
    frames: Vec<Frame>,
    bytes: usize,
}

/// The stream that frames come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) id: u64,
    pub(super) name: &'s [u8],
    /// Position behind the frames, for acknowledgement.
    pub(super) end: u64,
}

impl Source<'_> {
    fn read(&self, ledger: &mut Ledger) -> Read<'_> {
        let token = ledger.token(self.id, self.end);
        Read { stream: self.id, name: self.name, time: now(), token }
    }
}

impl Intake {
    /// With `threads`, `decoding` has no decoder.
    pub(crate) fn new(decoding: Decoding, threads: Option<DecodeThreads>) -> Intake {
        let frames = Vec::with_capacity(GROUP_FRAMES_MAX);
        Intake { decoding, threads, ledger: Ledger::default(), frames, bytes: 0 }
    }

    /// Goes on as another intake does, after everything gathered was routed; what is under way stays in the books.
    pub(crate) fn change(&mut self, new: Intake) {
        self.routes().flush();
        let old = std::mem::replace(self, new);
        self.ledger = old.ledger;
        if let Some(threads) = old.threads {
            threads.finish();
        }
    }

    /// Routes in another way from now on, on all threads.
    pub(crate) fn change_routes(&mut self, plan: &RoutePlan) {
        self.routes().change(plan.clone());
        if let Some(threads) = &self.threads {
            threads.change_routes(plan);
        }
    }

    pub(crate) fn writer(&mut self) -> &mut RecordWriter {
        self.decoding.writer()
    }

    pub(crate) fn routes(&mut self) -> &mut Routes {
        self.decoding.routes()
    }

    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub(super) fn stats(&self) -> &InputStats {
        self.decoding.stats()
    }

    pub(super) fn warn(&mut self, text: impl FnOnce() -> String) {
        self.decoding.warn(text);
    }

    /// Why a decoder can't go on, if so.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.decoding.fatal()
    }

    /// Adds the frames of a splitter to the group; `base` is the position of the first byte of `buffer`.
    pub(super) fn gather(&mut self, sink: &FrameSink, buffer: &[u8], base: u64, source: Source<'_>) {
        for span in sink.frames() {
            let frame = Frame {
                bytes: Slice::new(span.bytes(buffer)),
                position: base + u64::from(span.start),
                flags: span.flags,
                reserved: 0,
            };
            if span.flags & FrameSpan::DEAD_LETTER == 0 {
                self.bytes += frame.bytes.len;
                self.frames.push(frame);
            } else {
                let reason = "the frame is longer than `frame_bytes_max`";
                self.decoding.bury(&frame, reason, &source.read(&mut self.ledger));
            }
        }
    }

    /// Adds one whole frame to the group.
    pub(super) fn gather_whole(&mut self, bytes: Slice, position: u64) {
        self.bytes += bytes.len;
        self.frames.push(Frame { bytes, position, flags: 0, reserved: 0 });
    }

    /// Tells whether the group should be handed on before more is gathered.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= GROUP_FRAMES_MAX || self.bytes >= GROUP_BYTES_MAX
    }

    /// Notes that nothing was made of the bytes up to here.
    pub(super) fn pass(&mut self, source: Source<'_>) {
        drop(self.ledger.token(source.id, source.end));
    }

    /// Decodes and routes the group, or hands it to the decode stage of its stream.
    pub(super) fn take_group(&mut self, source: Source<'_>) {
        if self.frames.is_empty() {
            return;
        }
        self.decoding.stats().frames.add(self.frames.len());
        let read = source.read(&mut self.ledger);
        match &mut self.threads {
            Some(threads) => threads.send(&self.frames, self.bytes, read),
            None => self.decoding.take(&self.frames, &read),
        }
        self.frames.clear();
        self.bytes = 0;
    }

    /// Routes ready messages that the plugin made from a stream; of a stream that is decoded on another thread they would
    /// overtake frames, but no stream is both.
    pub(super) fn take_ready(&mut self, source: Source<'_>) {
        let token = self.ledger.token(source.id, source.end);
        self.decoding.route_ready(&[token]);
    }

    /// Routes what else the plugin wrote as ready messages.
    pub(crate) fn route_ready(&mut self) {
        self.decoding.route_ready(&[]);
    }
}
