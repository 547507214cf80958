//! Dead letters: messages that were refused for good, with the reason.

use crate::arena::{ArenaPool, RecordWriter};
use crate::batch::{Batch, BatchLimits};
use crate::limited_log::LimitedLog;
use crate::outlet::{Group, Outlet};
use crate::token::TokenRef;
use heka_plugin_api::abi::record_flag;
use heka_plugin_api::{Message, MessageWriter, OwnedMessage};

/// Room for the fields that a dead letter gets on top.
const EXTRA_BYTES: usize = 64 << 10;

/// Where a stage's dead letters go.
#[derive(Clone)]
pub(crate) struct DeadLetterPlan {
    /// The output that takes them; without one they are counted and logged.
    pub(crate) outlet: Option<Outlet>,
    pub(crate) pool: ArenaPool,
    pub(crate) message_bytes_max: usize,
}

/// Sends a stage's dead letters.
pub(crate) struct DeadLetters {
    plan: DeadLetterPlan,
    who: String,
    log: LimitedLog,
}

impl DeadLetters {
    /// `who` names the instance, such as ``filter `dedupe` ``.
    pub(crate) fn new(plan: DeadLetterPlan, who: String) -> DeadLetters {
        DeadLetters { plan, who, log: LimitedLog::default() }
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// Sends nothing more: later dead letters are only counted and logged.
    pub(crate) fn close(&mut self) {
        self.plan.outlet = None;
    }

    /// Makes a dead letter of a message. Blocks while the output for dead letters is full.
    pub(crate) fn bury(&mut self, message: &Message<'_>, reason: &str, attempts: u32, tokens: &[TokenRef]) {
        let who = &self.who;
        self.log.warn(|| format!("{who}: {reason}; message {}", describe(message)));
        let Some(outlet) = &self.plan.outlet else { return };
        let marked = OwnedMessage::copy(message).edited(|letter| {
            letter.set_field("dead_letter_reason", reason);
            letter.set_field("dead_letter_instance", who.as_str());
            letter.set_field("dead_letter_attempts", i64::from(attempts));
        });
        let letter = marked.unwrap_or_else(|_| OwnedMessage::copy(message));
        if let Some(batch) = batch_of(&letter.view(), &self.plan, tokens) {
            outlet.send(batch);
        }
    }
}

/// Copies a message into a batch of its own.
fn batch_of(message: &Message<'_>, plan: &DeadLetterPlan, tokens: &[TokenRef]) -> Option<Batch> {
    let mut writer = RecordWriter::new(&plan.pool, plan.message_bytes_max + EXTRA_BYTES);
    let mut entries = Vec::new();
    // SAFETY: the writer is the host's own.
    let mut copies = unsafe { MessageWriter::from_raw(writer.raw(), &mut entries) };
    let flags = message.record().flags | record_flag::DEAD_LETTER | record_flag::UNORDERED;
    copies.copy_from(message, message.origin(), flags).ok()?;
    let (mut items, mut arenas) = (Vec::new(), Vec::new());
    writer.take(&mut items, &mut arenas);
    let mut batch = Batch::default();
    let group = Group { id: 1, arenas: &arenas, tokens };
    batch.hold(group.arenas, group.tokens);
    items.iter().for_each(|&item| batch.push(item, message.record().size as usize));
    let limits = BatchLimits { messages_max: 1, bytes_max: usize::MAX };
    Some(batch.take(&limits))
}

/// Says which message it is, in a few words.
fn describe(message: &Message<'_>) -> String {
    let start: String = String::from_utf8_lossy(message.payload()).chars().take(60).collect();
    let logger = String::from_utf8_lossy(message.logger());
    format!("of `{logger}` at {}: `{}`", message.origin().position, start.escape_debug())
}
