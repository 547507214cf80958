//! From frames to routed messages: what an input's thread does with everything that is read.

use crate::arena::{ArenaRef, RecordWriter};
use crate::config::OnDecodeError;
use crate::dead_letter::DeadLetters;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use crate::limited_log::LimitedLog;
use crate::outlet::Group;
use crate::routes::Routes;
use crate::splitter::{FrameSink, FrameSpan};
use crate::stats::InputStats;
use crate::stop::StopFlags;
use crate::token::{Ledger, TokenRef};
use heka_plugin_api::abi::{FieldEntry, Frame, Frames, Item, Slice};
use heka_plugin_api::{Message, MessageWriter, Origin, OwnedMessage, now};
use std::sync::Arc;
use std::time::Duration;

/// Frames that are decoded and routed together.
pub(super) const GROUP_FRAMES_MAX: usize = 256;
/// Delay before a decoder that failed is made anew or called again.
const DECODER_DELAY: Duration = Duration::from_millis(100);

/// What an intake is made from.
pub(crate) struct IntakePlan {
    pub(crate) decoder: Option<InstanceSpec>,
    pub(crate) writer: RecordWriter,
    pub(crate) routes: Routes,
    pub(crate) stats: Arc<InputStats>,
    pub(crate) dead_letters: DeadLetters,
    /// Type of decoded messages whose decoder sets none.
    pub(crate) message_type: String,
    /// Type of messages that no decoder made.
    pub(crate) raw_type: String,
    pub(crate) hostname: String,
    pub(crate) on_decode_error: OnDecodeError,
    pub(crate) stop: StopFlags,
}

/// Decodes and routes frames.
pub(crate) struct Intake {
    plan: IntakePlan,
    decoder: Option<Instance>,
    ledger: Ledger,
    frames: Vec<Frame>,
    entries: Vec<FieldEntry>,
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    tokens: Vec<TokenRef>,
    failed: Vec<(u32, String)>,
    /// Texts that all raw messages of a stream share: type, logger, hostname.
    shared: Vec<u8>,
    log: LimitedLog,
    fatal: Option<String>,
}

/// The stream that frames come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) id: u64,
    pub(super) name: &'s [u8],
    /// Position behind the frames, for acknowledgement.
    pub(super) end: u64,
}

impl Intake {
    /// # Errors
    /// The decoder's, if it can't be opened or started.
    pub(crate) fn new(plan: IntakePlan) -> Result<Intake, Failure> {
        let decoder = plan.decoder.as_ref().map(open_decoder).transpose()?;
        Ok(Intake {
            plan,
            decoder,
            ledger: Ledger::default(),
            frames: Vec::with_capacity(GROUP_FRAMES_MAX),
            entries: Vec::new(),
            items: Vec::with_capacity(GROUP_FRAMES_MAX),
            arenas: Vec::new(),
            tokens: Vec::new(),
            failed: Vec::new(),
            shared: Vec::new(),
            log: LimitedLog::default(),
            fatal: None,
        })
    }

    /// Goes on as another intake does, after everything gathered was routed; what is under way stays in the books.
    pub(crate) fn change(&mut self, new: Intake) {
        self.plan.routes.flush();
        let ledger = std::mem::take(&mut self.ledger);
        *self = Intake { ledger, ..new };
    }

    pub(crate) fn writer(&mut self) -> &mut RecordWriter {
        &mut self.plan.writer
    }

    pub(crate) fn routes(&mut self) -> &mut Routes {
        &mut self.plan.routes
    }

    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub(super) fn stats(&self) -> &InputStats {
        &self.plan.stats
    }

    pub(super) fn warn(&mut self, text: impl FnOnce() -> String) {
        let who = self.plan.dead_letters.who();
        self.log.warn(|| format!("{who}: {}", text()));
    }

    /// Why the decoder can't go on, if so.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
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
                self.frames.push(frame);
            } else {
                self.bury(&frame, "the frame is longer than `frame_bytes_max`", source);
            }
        }
    }

    /// Adds one whole frame to the group.
    pub(super) fn gather_whole(&mut self, bytes: Slice, position: u64) {
        self.frames.push(Frame { bytes, position, flags: 0, reserved: 0 });
    }

    pub(super) fn gathered(&self) -> usize {
        self.frames.len()
    }

    /// Decodes and routes the group.
    pub(super) fn take_group(&mut self, source: Source<'_>) {
        if self.frames.is_empty() {
            return;
        }
        let frames = std::mem::take(&mut self.frames);
        self.plan.stats.frames.add(frames.len());
        match self.decoder.take() {
            Some(decoder) => self.decode(decoder, &frames, source),
            None => self.record(frames.iter(), None, source),
        }
        self.tokens.push(self.ledger.token(source.id, source.end));
        let in_order = self.failed.is_empty();
        self.route_written(in_order);
        self.frames = frames;
        self.frames.clear();
        self.failed.clear();
    }

    /// Routes ready messages that the plugin made from a stream.
    pub(super) fn take_ready(&mut self, source: Source<'_>) {
        self.tokens.push(self.ledger.token(source.id, source.end));
        self.route_written(true);
    }

    /// Routes what else the plugin wrote as ready messages.
    pub(crate) fn route_ready(&mut self) {
        if !self.plan.writer.is_empty() {
            self.route_written(true);
        }
    }

    fn route_written(&mut self, in_order: bool) {
        self.plan.writer.take(&mut self.items, &mut self.arenas);
        if !in_order {
            // SAFETY: the arenas keep the records.
            let origin = |item: &Item| unsafe { Message::from_record(item.record) }.origin();
            self.items.sort_by_key(|item| (origin(item).position, origin(item).index));
        }
        self.plan.stats.messages.add(self.items.len());
        let group = Group { id: 0, arenas: &self.arenas, tokens: &self.tokens };
        let unrouted = self.plan.routes.route(&self.items, group);
        self.plan.stats.unrouted.add(unrouted);
        self.arenas.clear();
        self.tokens.clear();
    }

    fn decode(&mut self, mut decoder: Instance, all: &[Frame], source: Source<'_>) {
        let mut frames = Frames {
            frames: all.as_ptr(),
            len: all.len() as u32,
            completed: 0,
            stream: source.id,
            timestamp: now(),
            message_type: Slice::new(self.plan.message_type.as_bytes()),
            logger: Slice::new(source.name),
            hostname: Slice::new(self.plan.hostname.as_bytes()),
        };
        while frames.completed < frames.len {
            let result = decoder.decode(&mut frames, self.plan.writer.raw());
            let mut failed = Vec::new();
            decoder.take_failed(&mut failed);
            self.failed.append(&mut failed);
            let Err(failure) = result else { break };
            match self.recover(decoder, &failure) {
                Some(ready) => decoder = ready,
                None => {
                    let rest = frames.completed..frames.len;
                    self.failed.extend(rest.map(|index| (index, failure.reason.clone())));
                    self.refuse_failed(all, source);
                    return;
                }
            }
            if failure.kind != FailureKind::Retry {
                self.failed.push((frames.completed, failure.reason));
                frames.completed += 1;
            }
        }
        self.decoder = Some(decoder);
        self.refuse_failed(all, source);
    }

    /// Returns a decoder that can be called again, or `None` when there is none.
    fn recover(&mut self, decoder: Instance, failure: &Failure) -> Option<Instance> {
        match failure.kind {
            FailureKind::Message => Some(decoder),
            FailureKind::Retry => {
                self.plan.stop.wait_unless_aborting(failure.after.max(DECODER_DELAY));
                (!self.plan.stop.is_aborting()).then_some(decoder)
            }
            FailureKind::Panic => {
                drop(decoder);
                log::error!("{}: decoder: {}; restarted", self.plan.dead_letters.who(), failure.reason);
                let opened = self.plan.decoder.as_ref().map(open_decoder);
                opened.and_then(|opened| opened.map_err(|failure| self.fatal = Some(failure.reason)).ok())
            }
            FailureKind::Fatal | FailureKind::Config => {
                self.fatal = Some(failure.reason.clone());
                None
            }
        }
    }

    /// Treats frames that were refused as the input's `on_decode_error` says.
    fn refuse_failed(&mut self, all: &[Frame], source: Source<'_>) {
        let failed = std::mem::take(&mut self.failed);
        self.plan.stats.undecoded.add(failed.len());
        for (index, reason) in &failed {
            let Some(frame) = all.get(*index as usize) else { continue };
            match self.plan.on_decode_error {
                OnDecodeError::Deliver => {
                    self.warn(|| format!("delivered undecoded: {reason}"));
                    self.record(std::iter::once(frame), Some(reason), source);
                }
                OnDecodeError::Drop => self.warn(|| format!("dropped: {reason}")),
                OnDecodeError::DeadLetter => self.bury(frame, reason, source),
            }
        }
        self.failed = failed;
    }

    /// Writes messages whose payload is the frame.
    fn record<'f>(
        &mut self,
        frames: impl Iterator<Item = &'f Frame>,
        refused: Option<&str>,
        source: Source<'_>,
    ) {
        let (raw_type, hostname) = (self.plan.raw_type.as_bytes(), self.plan.hostname.as_bytes());
        self.shared.clear();
        self.shared.extend_from_slice(raw_type);
        self.shared.extend_from_slice(source.name);
        self.shared.extend_from_slice(hostname);
        let (logger, host) = (raw_type.len(), raw_type.len() + source.name.len());
        // SAFETY: the writer is the host's own.
        let mut writer = unsafe { MessageWriter::from_raw(self.plan.writer.raw(), &mut self.entries) };
        let timestamp = now();
        for frame in frames {
            // SAFETY: frames borrow the buffer that is being split.
            let bytes = unsafe { frame.bytes.bytes() };
            let origin = Origin { stream: source.id, position: frame.position, index: 0 };
            writer.set_defaults(timestamp, &[], &[], &[], origin);
            writer.set_flags(frame.flags as u16);
            let mut message = writer.message();
            let shared = message.text(&self.shared);
            message.message_type_text(shared.slice(0..logger));
            message.logger_text(shared.slice(logger..host));
            message.hostname_text(shared.slice(host..shared.len()));
            message.payload(bytes);
            if let Some(reason) = refused {
                message.field("decode_error", reason);
            }
            if let Err(error) = message.finish() {
                self.log.warn(|| format!("{}: {error}", self.plan.dead_letters.who()));
                self.plan.stats.rejected.add(1);
            }
        }
    }

    fn bury(&mut self, frame: &Frame, reason: &str, source: Source<'_>) {
        self.plan.stats.dead_lettered.add(1);
        // SAFETY: frames borrow the buffer that is being split.
        let bytes = unsafe { frame.bytes.bytes() };
        let built = OwnedMessage::build(|message| {
            message.message_type(&self.plan.raw_type).logger(source.name).hostname(&self.plan.hostname);
            message.payload(bytes).timestamp(now());
            message.uuid(Origin { stream: source.id, position: frame.position, index: 0 }.uuid());
        });
        if let Ok(message) = built {
            let token = self.ledger.token(source.id, source.end);
            self.plan.dead_letters.bury(&message.view(), reason, 1, &[token]);
        }
    }
}

fn open_decoder(spec: &InstanceSpec) -> Result<Instance, Failure> {
    let mut decoder = spec.open()?;
    decoder.start(None)?;
    Ok(decoder)
}
