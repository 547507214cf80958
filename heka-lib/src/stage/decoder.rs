//! One decoder at work, and those that go on with the payloads of its messages.

use super::followed::Followed;
use crate::arena::{ArenaPool, RecordWriter};
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use crate::limited_log::LimitedLog;
use crate::stats::InputStats;
use crate::stop::StopFlags;
use heka_matcher::Matcher;
use heka_plugin_api::abi::{Frame, Frames, Slice};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Delay before a decoder that failed is made anew or called again.
const DECODER_DELAY: Duration = Duration::from_millis(100);

/// What a decoder is made from.
#[derive(Clone)]
pub(crate) struct DecoderPlan {
    pub(crate) spec: InstanceSpec,
    /// The first whose matcher accepts a message goes on with its payload.
    pub(crate) then: Vec<ThenPlan>,
}

/// A decoder that goes on with another one's messages.
#[derive(Clone)]
pub(crate) struct ThenPlan {
    pub(crate) matcher: Option<Matcher>,
    pub(crate) decoder: DecoderPlan,
}

impl DecoderPlan {
    /// Tells whether decoders of both plans do the same.
    pub(crate) fn is_same(&self, other: &DecoderPlan) -> bool {
        let text = |then: &ThenPlan| then.matcher.as_ref().map(|matcher| matcher.as_str().to_owned());
        let is_same = |(a, b): (&ThenPlan, &ThenPlan)| text(a) == text(b) && a.decoder.is_same(&b.decoder);
        self.spec.name == other.spec.name
            && self.spec.is_same(&other.spec)
            && self.then.len() == other.then.len()
            && self.then.iter().zip(&other.then).all(is_same)
    }
}

/// Why a decoder of an input can't go on, once one can't; all threads of the input share it.
pub(crate) type FatalSlot = Arc<OnceLock<String>>;

/// What the decoders of one thread share.
pub(super) struct Around {
    /// The input, as lines of the log begin.
    pub(super) who: String,
    pub(super) stats: Arc<InputStats>,
    pub(super) fatal: FatalSlot,
    pub(super) stop: StopFlags,
    pub(super) log: LimitedLog,
}

impl Around {
    pub(super) fn warn(&mut self, text: impl FnOnce() -> String) {
        let who = &self.who;
        self.log.warn(|| format!("{who}: {}", text()));
    }

    /// Why a decoder of the input can't go on, if so.
    pub(super) fn fatal(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }
}

/// What messages start with, and where their frames are from.
#[derive(Clone, Copy)]
pub(super) struct Start<'s> {
    pub(super) stream: u64,
    pub(super) time: i64,
    /// `None`: as the config says, or the decoder's name.
    pub(super) message_type: Option<&'s [u8]>,
    pub(super) logger: &'s [u8],
    pub(super) hostname: &'s [u8],
    pub(super) severity: i32,
    pub(super) pid: i32,
}

/// A frame that a decoder refused: its index, and why.
pub(super) type Refused = (u32, String);

/// One decoder.
pub(super) struct Decoder {
    spec: InstanceSpec,
    /// `None` once it can't go on.
    instance: Option<Instance>,
    /// Type of messages that set none.
    pub(super) message_type: String,
    /// The decoders that go on; `None` when there are none.
    followed: Option<Box<Followed>>,
}

impl Decoder {
    /// # Errors
    /// The plugin's, if it can't be opened or started.
    pub(super) fn open(
        plan: &DecoderPlan,
        message_type: Option<&str>,
        pool: &ArenaPool,
        record_bytes_max: usize,
    ) -> Result<Decoder, Failure> {
        // SAFETY: a plugin's name is a constant of its file.
        let own_name = || String::from_utf8_lossy(unsafe { plan.spec.table.name.bytes() }).into_owned();
        let open_next = |plan: &DecoderPlan| Decoder::open(plan, message_type, pool, record_bytes_max);
        let writer = || RecordWriter::new(pool, record_bytes_max);
        let followed = match plan.then.as_slice() {
            [] => None,
            then => Some(Box::new(Followed::open(then, open_next, writer)?)),
        };
        Ok(Decoder {
            instance: Some(opened(&plan.spec)?),
            spec: plan.spec.clone(),
            message_type: message_type.map_or_else(own_name, str::to_owned),
            followed,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Writes the messages of frames to `out`, and notes in `refused` those that it doesn't take.
    pub(super) fn decode(
        &mut self,
        frames: &[Frame],
        start: &Start<'_>,
        out: &mut RecordWriter,
        refused: &mut Vec<Refused>,
        around: &mut Around,
    ) {
        match self.followed.take() {
            None => self.decode_alone(frames, start, out, refused, around),
            Some(mut followed) => {
                self.decode_alone(frames, start, &mut followed.made, refused, around);
                followed.go_on(self.message_type.as_bytes(), out, around);
                self.followed = Some(followed);
            }
        }
    }

    fn decode_alone(
        &mut self,
        all: &[Frame],
        start: &Start<'_>,
        out: &mut RecordWriter,
        refused: &mut Vec<Refused>,
        around: &mut Around,
    ) {
        let Some(mut instance) = self.instance.take() else {
            let reason = around.fatal().unwrap_or("the decoder is stopped").to_owned();
            return refused.extend((0..all.len() as u32).map(|index| (index, reason.clone())));
        };
        let mut frames = Frames {
            frames: all.as_ptr(),
            len: all.len() as u32,
            completed: 0,
            stream: start.stream,
            timestamp: start.time,
            message_type: Slice::new(start.message_type.unwrap_or(self.message_type.as_bytes())),
            logger: Slice::new(start.logger),
            hostname: Slice::new(start.hostname),
            severity: start.severity,
            pid: start.pid,
        };
        let mut failed = Vec::new();
        while frames.completed < frames.len {
            let result = instance.decode(&mut frames, out.raw());
            instance.take_failed(&mut failed);
            refused.append(&mut failed);
            let Err(failure) = result else { break };
            match self.recover(instance, &failure, around) {
                Some(ready) => instance = ready,
                None => {
                    let rest = frames.completed..frames.len;
                    return refused.extend(rest.map(|index| (index, failure.reason.clone())));
                }
            }
            if failure.kind != FailureKind::Retry {
                refused.push((frames.completed, failure.reason));
                frames.completed += 1;
            }
        }
        self.instance = Some(instance);
    }

    /// Returns an instance that can be called again, or `None` when there is none.
    fn recover(&self, instance: Instance, failure: &Failure, around: &Around) -> Option<Instance> {
        let give_up = |reason: &str| _ = around.fatal.set(reason.to_owned());
        match failure.kind {
            FailureKind::Message => Some(instance),
            FailureKind::Retry => {
                around.stop.wait_unless_aborting(failure.after.max(DECODER_DELAY));
                (!around.stop.is_aborting()).then_some(instance)
            }
            FailureKind::Panic => {
                drop(instance);
                log::error!("{}: decoder: {}; restarted", around.who, failure.reason);
                opened(&self.spec).map_err(|failure| give_up(&failure.reason)).ok()
            }
            FailureKind::Fatal | FailureKind::Config => {
                give_up(&failure.reason);
                None
            }
        }
    }
}

fn opened(spec: &InstanceSpec) -> Result<Instance, Failure> {
    let mut decoder = spec.open()?;
    decoder.start(None)?;
    Ok(decoder)
}
