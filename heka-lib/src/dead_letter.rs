//! Dead letters: messages that were refused for good, with the reason.

use crate::arena::{ArenaPool, RecordWriter};
use crate::batch::{Batch, BatchLimits};
use crate::dead_letter_store::DeadLetterStore;
use crate::limited_log::LimitedLog;
use crate::outlet::{Group, Outlet};
use crate::token::TokenRef;
use heka_plugin_api::abi::record_flag;
use heka_plugin_api::{Message, MessageWriter, OwnedMessage};
use std::sync::{Arc, Mutex, PoisonError};

const REASON: &str = "dead_letter_reason";
const INSTANCE: &str = "dead_letter_instance";
const ATTEMPTS: &str = "dead_letter_attempts";
/// Room for the fields that a dead letter gets on top.
const EXTRA_BYTES: usize = 64 << 10;

/// The output that takes an instance's dead letters, if one does; a reload may name another.
#[derive(Clone, Default)]
pub(crate) struct DeadLetterWay {
    outlet: Arc<Mutex<Option<Outlet>>>,
}

impl DeadLetterWay {
    pub(crate) fn set(&self, outlet: Option<Outlet>) {
        *self.outlet.lock().unwrap_or_else(PoisonError::into_inner) = outlet;
    }

    /// Returns the outlet; nobody waits for who sends.
    fn outlet(&self) -> Option<Outlet> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether an instance still sends this way.
    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.outlet) > 1
    }
}

/// Where a stage's dead letters go.
#[derive(Clone)]
pub(crate) struct DeadLetterPlan {
    /// The way to the output that takes them; without one the built-in queue does.
    pub(crate) way: DeadLetterWay,
    pub(crate) store: DeadLetterStore,
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

    /// The way that they go.
    pub(crate) fn way(&self) -> DeadLetterWay {
        self.plan.way.clone()
    }

    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// Makes a dead letter of a message. Blocks while the output for dead letters is full.
    pub(crate) fn bury(&mut self, message: &Message<'_>, reason: &str, attempts: u32, tokens: &[TokenRef]) {
        let who = &self.who;
        self.log.warn(|| format!("{who}: {reason}; message {}", describe(message)));
        let marked = OwnedMessage::copy(message).edited(|letter| {
            letter.set_field(REASON, reason);
            letter.set_field(INSTANCE, who.as_str());
            letter.set_field(ATTEMPTS, i64::from(attempts));
        });
        let letter = marked.unwrap_or_else(|_| OwnedMessage::copy(message));
        match self.plan.way.outlet() {
            Some(outlet) => {
                if let Some(batch) =
                    batch_of(&letter.view(), &self.plan.pool, self.plan.message_bytes_max, tokens)
                {
                    outlet.send(batch);
                }
            }
            None => {
                if let Err(error) = self.plan.store.put(&letter.view()) {
                    self.log.warn(|| format!("{who}: a dead letter is lost: {error}"));
                }
            }
        }
    }
}

/// A dead letter as it was before, and who refused it.
pub(crate) struct Resurrected {
    pub(crate) message: OwnedMessage,
    /// The output that refused it, if an output did.
    pub(crate) output: Option<String>,
}

/// Takes the marks of a dead letter off a message.
pub(crate) fn resurrect(letter: &Message<'_>) -> Resurrected {
    let instance = letter.value(INSTANCE).and_then(|value| value.as_bytes().map(<[u8]>::to_vec));
    let instance = instance.map(|instance| String::from_utf8_lossy(&instance).into_owned());
    let output = instance.as_deref().and_then(|instance| {
        let rest = instance.strip_prefix("output `")?;
        rest.split('`').next().map(str::to_owned)
    });
    let edited = OwnedMessage::copy(letter).edited(|message| {
        for name in [REASON, INSTANCE, ATTEMPTS] {
            message.remove_field(name);
        }
    });
    Resurrected { message: edited.unwrap_or_else(|_| OwnedMessage::copy(letter)), output }
}

/// Copies a message into a batch of its own.
pub(crate) fn batch_of(
    message: &Message<'_>,
    pool: &ArenaPool,
    message_bytes_max: usize,
    tokens: &[TokenRef],
) -> Option<Batch> {
    let mut writer = RecordWriter::new(pool, message_bytes_max + EXTRA_BYTES);
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
