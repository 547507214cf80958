//! Messages that are held back until their turn.

use crate::buckets::{Buckets, Holder, cut};
use heka_plugin_api::{Context, Counter, Marks, MessageMut, OwnedMessage, PluginError};
use std::collections::VecDeque;

/// How much is held back, and what happens then.
pub struct Bounds {
    /// How many messages.
    pub messages_max: usize,
    /// How much memory they take.
    pub bytes_max: u64,
    /// Whether the oldest passes early; otherwise the newest is dropped.
    pub passes_early: bool,
}

#[derive(Clone)]
struct Held {
    key: Box<[u8]>,
    holder: Holder,
    marks: Marks,
    message: OwnedMessage,
}

impl Held {
    fn bytes(&self) -> u64 {
        (size_of::<Held>() + self.key.len() + self.message.view().record_bytes().len()) as u64
    }
}

/// Messages that are held back, the oldest first.
pub struct Waiting {
    bounds: Bounds,
    messages: VecDeque<Held>,
    bytes: u64,
    held: Counter,
    passed_early: Counter,
}

impl Waiting {
    pub fn new(bounds: Bounds, context: &mut Context) -> Waiting {
        let (held, passed_early) = (context.counter("held"), context.counter("passed_early"));
        Waiting { bounds, messages: VecDeque::new(), bytes: 0, held, passed_early }
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Holds a message back that its bucket has refused; tells whether there was room.
    pub fn hold(
        &mut self,
        message: &MessageMut<'_>,
        key: &[u8],
        holder: Holder,
        buckets: &mut Buckets,
        context: &mut Context,
    ) -> Result<bool, PluginError> {
        let (marks, message) = (message.marks(), OwnedMessage::copy(&message.view()));
        let held = Held { key: cut(key).into(), holder, marks, message };
        let bytes = held.bytes();
        let fits = |waiting: &Waiting| {
            waiting.messages.len() < waiting.bounds.messages_max
                && waiting.bytes + bytes <= waiting.bounds.bytes_max
        };
        while !fits(self) && self.bounds.passes_early && !self.messages.is_empty() {
            self.pass_oldest(buckets, context)?;
        }
        let has_room = fits(self) || self.bounds.passes_early;
        if has_room {
            self.bytes += bytes;
            self.messages.push_back(held);
            self.held.set(self.messages.len() as u64);
        } else {
            buckets.let_go(key, holder, false);
        }
        Ok(has_room)
    }

    fn pass_oldest(&mut self, buckets: &mut Buckets, context: &mut Context) -> Result<(), PluginError> {
        let Some(oldest) = self.messages.pop_front() else { return Ok(()) };
        self.bytes -= oldest.bytes();
        self.passed_early.add(1);
        buckets.let_go(&oldest.key, oldest.holder, true);
        context.emit_copy(&oldest.message.view(), oldest.marks)
    }

    /// Emits what may pass now. Where keys are limited apart, one that waits doesn't stop the others.
    pub fn release(
        &mut self,
        buckets: &mut Buckets,
        by_key: bool,
        now_ns: u64,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        let (mut result, mut bytes, mut is_over) = (Ok(()), 0, false);
        self.messages.retain(|held| {
            if is_over || !buckets.release(&held.key, held.holder, now_ns) {
                is_over = !by_key;
                return true;
            }
            bytes += held.bytes();
            let emitted = context.emit_copy(&held.message.view(), held.marks);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
            false
        });
        self.bytes -= bytes;
        self.held.set(self.messages.len() as u64);
        result
    }

    /// Emits everything.
    pub fn release_all(&mut self, buckets: &mut Buckets, context: &mut Context) -> Result<(), PluginError> {
        let mut result = Ok(());
        for held in self.messages.drain(..) {
            buckets.let_go(&held.key, held.holder, true);
            let emitted = context.emit_copy(&held.message.view(), held.marks);
            result = result.and(emitted);
        }
        self.bytes = 0;
        self.held.set(0);
        result
    }

    /// Takes over what another instance holds back, which may yet go on in this one's place: it keeps its own.
    pub fn take_over(&mut self, other: &Waiting, buckets: &mut Buckets) {
        for held in &other.messages {
            let holder = buckets.hold(&held.key);
            self.messages.push_back(Held { holder, ..held.clone() });
        }
        self.bytes += other.bytes;
        self.held.set(self.messages.len() as u64);
    }
}
