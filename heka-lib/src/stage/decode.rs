//! From frames to routed messages, on whichever thread decodes: an input's own, or one of its decode stages.

use super::decoder::{Around, Decoder, DecoderPlan, FatalSlot, Refused, Start};
use super::followed::{DECODER_FIELD, ERROR_FIELD};
use crate::arena::{ArenaPool, ArenaRef, RecordWriter};
use crate::config::OnDecodeError;
use crate::dead_letter::DeadLetters;
use crate::instance::Failure;
use crate::limited_log::LimitedLog;
use crate::outlet::Group;
use crate::routes::Routes;
use crate::stats::InputStats;
use crate::stop::StopFlags;
use crate::token::TokenRef;
use heka_plugin_api::abi::{FieldEntry, Frame, Item};
use heka_plugin_api::{Message, MessageWriter, Origin, OwnedMessage};
use std::sync::Arc;

/// Frames that are decoded and routed together.
pub(super) const GROUP_FRAMES_MAX: usize = 256;
/// The severity of messages that say none.
const SEVERITY_UNKNOWN: i32 = 7;
/// What decodes on one thread is made from.
pub(crate) struct DecodePlan {
    /// Tried in order. Without one a frame becomes a message's payload.
    pub(crate) decoders: Vec<DecoderPlan>,
    pub(crate) pool: ArenaPool,
    pub(crate) record_bytes_max: usize,
    pub(crate) routes: Routes,
    pub(crate) stats: Arc<InputStats>,
    pub(crate) dead_letters: DeadLetters,
    /// Type of decoded messages whose decoder sets none; by default the decoder's name.
    pub(crate) message_type: Option<String>,
    /// Type of messages that no decoder made.
    pub(crate) raw_type: String,
    pub(crate) hostname: String,
    pub(crate) on_decode_error: OnDecodeError,
    pub(crate) fatal: FatalSlot,
    pub(crate) stop: StopFlags,
}

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
    decoders: Vec<Decoder>,
    around: Around,
    writer: RecordWriter,
    routes: Routes,
    dead_letters: DeadLetters,
    raw_type: String,
    hostname: String,
    on_decode_error: OnDecodeError,
    entries: Vec<FieldEntry>,
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    refused: Vec<Refused>,
    /// Frames that a decoder refused, for the next one.
    left: Vec<Frame>,
    /// The names of all decoders, as messages say that were not decoded.
    names: String,
    /// Texts that all raw messages of a stream share: type, logger, hostname.
    shared: Vec<u8>,
}

impl Decoding {
    /// # Errors
    /// The decoder's, if it can't be opened or started.
    pub(crate) fn new(plan: DecodePlan) -> Result<Decoding, Failure> {
        let message_type = plan.message_type.as_deref();
        let open = |decoder| Decoder::open(decoder, message_type, &plan.pool, plan.record_bytes_max);
        let decoders = plan.decoders.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&str> = decoders.iter().map(Decoder::name).collect();
        let (names, who) = (names.join(", "), plan.dead_letters.who().to_owned());
        let around =
            Around { who, stats: plan.stats, fatal: plan.fatal, stop: plan.stop, log: LimitedLog::default() };
        Ok(Decoding {
            decoders,
            around,
            writer: RecordWriter::new(&plan.pool, plan.record_bytes_max),
            routes: plan.routes,
            dead_letters: plan.dead_letters,
            raw_type: plan.raw_type,
            hostname: plan.hostname,
            on_decode_error: plan.on_decode_error,
            entries: Vec::new(),
            items: Vec::with_capacity(GROUP_FRAMES_MAX),
            arenas: Vec::new(),
            refused: Vec::new(),
            left: Vec::new(),
            names,
            shared: Vec::new(),
        })
    }

    pub(super) fn writer(&mut self) -> &mut RecordWriter {
        &mut self.writer
    }

    pub(super) fn routes(&mut self) -> &mut Routes {
        &mut self.routes
    }

    pub(super) fn stats(&self) -> &InputStats {
        &self.around.stats
    }

    pub(super) fn warn(&mut self, text: impl FnOnce() -> String) {
        self.around.warn(text);
    }

    /// Why a decoder of the input can't go on, if so.
    pub(super) fn fatal(&self) -> Option<&str> {
        self.around.fatal()
    }

    /// Decodes and routes frames.
    pub(super) fn take(&mut self, frames: &[Frame], read: &Read<'_>) {
        let in_order = match self.decoders.is_empty() {
            true => {
                self.record(frames.iter(), None, read);
                true
            }
            false => self.decode(frames, read),
        };
        self.route_written(in_order, std::slice::from_ref(&read.token));
    }

    /// Routes what was written as ready messages.
    pub(super) fn route_ready(&mut self, tokens: &[TokenRef]) {
        if !self.writer.is_empty() {
            self.route_written(true, tokens);
        }
    }

    fn route_written(&mut self, in_order: bool, tokens: &[TokenRef]) {
        self.writer.take(&mut self.items, &mut self.arenas);
        if !in_order {
            // SAFETY: the arenas keep the records.
            let origin = |item: &Item| unsafe { Message::from_record(item.record) }.origin();
            self.items.sort_by_key(|item| (origin(item).position, origin(item).index));
        }
        self.around.stats.messages.add(self.items.len());
        let group = Group { id: 0, arenas: &self.arenas, tokens };
        let unrouted = self.routes.route(&self.items, group);
        self.around.stats.unrouted.add(unrouted);
        self.arenas.clear();
    }

    /// Lets the decoders write; tells whether the messages are in the order of their frames.
    fn decode(&mut self, all: &[Frame], read: &Read<'_>) -> bool {
        let Decoding { decoders, around, writer, refused, left, .. } = self;
        let start = Start {
            stream: read.stream,
            time: read.time,
            message_type: None,
            logger: read.name,
            hostname: self.hostname.as_bytes(),
            severity: SEVERITY_UNKNOWN,
            pid: 0,
        };
        let mut decoders = decoders.iter_mut();
        if let Some(first) = decoders.next() {
            first.decode(all, &start, writer, refused, around);
        }
        if refused.is_empty() {
            return true;
        }
        for decoder in decoders {
            let before = std::mem::take(refused);
            left.clear();
            left.extend(before.iter().filter_map(|(index, _)| all.get(*index as usize)));
            decoder.decode(left, &start, writer, refused, around);
            for (index, reason) in refused.iter_mut() {
                let Some((of_all, reason_before)) = before.get(*index as usize) else { continue };
                *reason = format!("{reason_before}; {reason}");
                *index = *of_all;
            }
        }
        self.refuse(all, read);
        false
    }

    /// Treats frames that no decoder took as the input's `on_decode_error` says.
    fn refuse(&mut self, all: &[Frame], read: &Read<'_>) {
        let mut refused = std::mem::take(&mut self.refused);
        self.around.stats.undecoded.add(refused.len());
        for (index, reason) in refused.drain(..) {
            let Some(frame) = all.get(index as usize) else { continue };
            match self.on_decode_error {
                OnDecodeError::Deliver => {
                    self.warn(|| format!("delivered undecoded: {reason}"));
                    self.record(std::iter::once(frame), Some(&reason), read);
                }
                OnDecodeError::Drop => self.warn(|| format!("dropped: {reason}")),
                OnDecodeError::DeadLetter => self.bury(frame, &reason, read),
            }
        }
        self.refused = refused;
    }

    /// Writes messages whose payload is the frame.
    fn record<'f>(
        &mut self,
        frames: impl Iterator<Item = &'f Frame>,
        refused: Option<&str>,
        read: &Read<'_>,
    ) {
        let (raw_type, hostname) = (self.raw_type.as_bytes(), self.hostname.as_bytes());
        self.shared.clear();
        self.shared.extend_from_slice(raw_type);
        self.shared.extend_from_slice(read.name);
        self.shared.extend_from_slice(hostname);
        let (logger, host) = (raw_type.len(), raw_type.len() + read.name.len());
        // SAFETY: the writer is the host's own.
        let mut writer = unsafe { MessageWriter::from_raw(self.writer.raw(), &mut self.entries) };
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
                message.field(ERROR_FIELD, reason).field(DECODER_FIELD, &self.names);
            }
            if let Err(error) = message.finish() {
                self.around.warn(|| error.to_string());
                self.around.stats.rejected.add(1);
            }
        }
    }

    /// Makes a dead letter of a frame.
    pub(super) fn bury(&mut self, frame: &Frame, reason: &str, read: &Read<'_>) {
        self.around.stats.dead_lettered.add(1);
        // SAFETY: frames borrow bytes that stay as they are during the call.
        let bytes = unsafe { frame.bytes.bytes() };
        let built = OwnedMessage::build(|message| {
            message.message_type(&self.raw_type).logger(read.name).hostname(&self.hostname);
            message.payload(bytes).timestamp(read.time);
            message.uuid(Origin { stream: read.stream, position: frame.position, index: 0 }.uuid());
        });
        if let Ok(message) = built {
            let tokens = std::slice::from_ref(&read.token);
            self.dead_letters.bury(&message.view(), reason, 1, tokens);
        }
    }
}
