//! From frames to routed messages, on whichever thread decodes: an input's own, or one of its decode stages.

use crate::arena::{ArenaRef, RecordWriter};
use crate::config::OnDecodeError;
use crate::dead_letter::DeadLetters;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use crate::limited_log::LimitedLog;
use crate::outlet::Group;
use crate::routes::Routes;
use crate::stats::InputStats;
use crate::stop::StopFlags;
use crate::token::TokenRef;
use heka_plugin_api::abi::{FieldEntry, Frame, Frames, Item, Slice};
use heka_plugin_api::{Message, MessageWriter, Origin, OwnedMessage};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Frames that are decoded and routed together.
pub(super) const GROUP_FRAMES_MAX: usize = 256;
/// Delay before a decoder that failed is made anew or called again.
const DECODER_DELAY: Duration = Duration::from_millis(100);

/// What decodes on one thread is made from.
pub(crate) struct DecodePlan {
    /// Without one a frame becomes a message's payload.
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
    pub(crate) fatal: FatalSlot,
    pub(crate) stop: StopFlags,
}

/// Why a decoder of an input can't go on, once one can't; all threads of the input share it.
pub(crate) type FatalSlot = Arc<OnceLock<String>>;

/// Where a group of frames comes from, and what it answers to.
pub(super) struct Read<'r> {
    /// The stream's id.
    pub(super) stream: u64,
    /// The stream's name.
    pub(super) name: &'r [u8],
    /// When it was read, ns since the epoch.
    pub(super) time: i64,
    pub(super) token: TokenRef,
}

/// Decodes and routes frames.
pub(crate) struct Decoding {
    plan: DecodePlan,
    decoder: Option<Instance>,
    entries: Vec<FieldEntry>,
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    failed: Vec<(u32, String)>,
    /// Texts that all raw messages of a stream share: type, logger, hostname.
    shared: Vec<u8>,
    log: LimitedLog,
}

impl Decoding {
    /// # Errors
    /// The decoder's, if it can't be opened or started.
    pub(crate) fn new(plan: DecodePlan) -> Result<Decoding, Failure> {
        let decoder = plan.decoder.as_ref().map(open_decoder).transpose()?;
        Ok(Decoding {
            plan,
            decoder,
            entries: Vec::new(),
            items: Vec::with_capacity(GROUP_FRAMES_MAX),
            arenas: Vec::new(),
            failed: Vec::new(),
            shared: Vec::new(),
            log: LimitedLog::default(),
        })
    }

    pub(super) fn writer(&mut self) -> &mut RecordWriter {
        &mut self.plan.writer
    }

    pub(super) fn routes(&mut self) -> &mut Routes {
        &mut self.plan.routes
    }

    pub(super) fn stats(&self) -> &InputStats {
        &self.plan.stats
    }

    pub(super) fn warn(&mut self, text: impl FnOnce() -> String) {
        let who = self.plan.dead_letters.who();
        self.log.warn(|| format!("{who}: {}", text()));
    }

    /// Why a decoder of the input can't go on, if so.
    pub(super) fn fatal(&self) -> Option<&str> {
        self.plan.fatal.get().map(String::as_str)
    }

    /// Decodes and routes frames.
    pub(super) fn take(&mut self, frames: &[Frame], read: &Read<'_>) {
        match self.decoder.take() {
            Some(decoder) => self.decode(decoder, frames, read),
            None if self.plan.decoder.is_none() => self.record(frames.iter(), None, read),
            None => {
                let reason = self.fatal().unwrap_or("the decoder is stopped").to_owned();
                self.failed.extend((0..frames.len() as u32).map(|index| (index, reason.clone())));
            }
        }
        self.refuse_failed(frames, read);
        let in_order = self.failed.is_empty();
        self.route_written(in_order, std::slice::from_ref(&read.token));
        self.failed.clear();
    }

    /// Routes what was written as ready messages.
    pub(super) fn route_ready(&mut self, tokens: &[TokenRef]) {
        if !self.plan.writer.is_empty() {
            self.route_written(true, tokens);
        }
    }

    fn route_written(&mut self, in_order: bool, tokens: &[TokenRef]) {
        self.plan.writer.take(&mut self.items, &mut self.arenas);
        if !in_order {
            // SAFETY: the arenas keep the records.
            let origin = |item: &Item| unsafe { Message::from_record(item.record) }.origin();
            self.items.sort_by_key(|item| (origin(item).position, origin(item).index));
        }
        self.plan.stats.messages.add(self.items.len());
        let group = Group { id: 0, arenas: &self.arenas, tokens };
        let unrouted = self.plan.routes.route(&self.items, group);
        self.plan.stats.unrouted.add(unrouted);
        self.arenas.clear();
    }

    fn decode(&mut self, mut decoder: Instance, all: &[Frame], read: &Read<'_>) {
        let mut frames = Frames {
            frames: all.as_ptr(),
            len: all.len() as u32,
            completed: 0,
            stream: read.stream,
            timestamp: read.time,
            message_type: Slice::new(self.plan.message_type.as_bytes()),
            logger: Slice::new(read.name),
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
                    return;
                }
            }
            if failure.kind != FailureKind::Retry {
                self.failed.push((frames.completed, failure.reason));
                frames.completed += 1;
            }
        }
        self.decoder = Some(decoder);
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
                opened.and_then(|opened| opened.map_err(|failure| self.give_up(failure.reason)).ok())
            }
            FailureKind::Fatal | FailureKind::Config => {
                self.give_up(failure.reason.clone());
                None
            }
        }
    }

    /// Notes that a decoder of the input can't go on: the input stops.
    fn give_up(&self, reason: String) {
        let _ = self.plan.fatal.set(reason);
    }

    /// Treats frames that were refused as the input's `on_decode_error` says.
    fn refuse_failed(&mut self, all: &[Frame], read: &Read<'_>) {
        if self.failed.is_empty() {
            return;
        }
        let failed = std::mem::take(&mut self.failed);
        self.plan.stats.undecoded.add(failed.len());
        for (index, reason) in &failed {
            let Some(frame) = all.get(*index as usize) else { continue };
            match self.plan.on_decode_error {
                OnDecodeError::Deliver => {
                    self.warn(|| format!("delivered undecoded: {reason}"));
                    self.record(std::iter::once(frame), Some(reason), read);
                }
                OnDecodeError::Drop => self.warn(|| format!("dropped: {reason}")),
                OnDecodeError::DeadLetter => self.bury(frame, reason, read),
            }
        }
        self.failed = failed;
    }

    /// Writes messages whose payload is the frame.
    fn record<'f>(
        &mut self,
        frames: impl Iterator<Item = &'f Frame>,
        refused: Option<&str>,
        read: &Read<'_>,
    ) {
        let (raw_type, hostname) = (self.plan.raw_type.as_bytes(), self.plan.hostname.as_bytes());
        self.shared.clear();
        self.shared.extend_from_slice(raw_type);
        self.shared.extend_from_slice(read.name);
        self.shared.extend_from_slice(hostname);
        let (logger, host) = (raw_type.len(), raw_type.len() + read.name.len());
        // SAFETY: the writer is the host's own.
        let mut writer = unsafe { MessageWriter::from_raw(self.plan.writer.raw(), &mut self.entries) };
        for frame in frames {
            // SAFETY: frames borrow bytes that stay as they are during the call.
            let bytes = unsafe { frame.bytes.bytes() };
            let origin = Origin { stream: read.stream, position: frame.position, index: 0 };
            writer.set_defaults(read.time, &[], &[], &[], origin);
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

    /// Makes a dead letter of a frame.
    pub(super) fn bury(&mut self, frame: &Frame, reason: &str, read: &Read<'_>) {
        self.plan.stats.dead_lettered.add(1);
        // SAFETY: frames borrow bytes that stay as they are during the call.
        let bytes = unsafe { frame.bytes.bytes() };
        let built = OwnedMessage::build(|message| {
            message.message_type(&self.plan.raw_type).logger(read.name).hostname(&self.plan.hostname);
            message.payload(bytes).timestamp(read.time);
            message.uuid(Origin { stream: read.stream, position: frame.position, index: 0 }.uuid());
        });
        if let Ok(message) = built {
            let tokens = std::slice::from_ref(&read.token);
            self.plan.dead_letters.bury(&message.view(), reason, 1, tokens);
        }
    }
}

fn open_decoder(spec: &InstanceSpec) -> Result<Instance, Failure> {
    let mut decoder = spec.open()?;
    decoder.start(None)?;
    Ok(decoder)
}
