//! Messages that travel together: items, the arenas that keep their records alive, and the acknowledgement tokens
//! of the reads that they come from.

use crate::arena::ArenaRef;
use crate::token::TokenRef;
use heka_plugin_api::Message;
use heka_plugin_api::abi::Item;
use std::sync::Arc;

/// How large a batch may get, and how long it may wait to become so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
}

/// Messages that travel together. Dropping a batch says that its messages are done with: its tokens are let go.
#[derive(Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    tokens: Vec<TokenRef>,
    bytes: usize,
}

impl Batch {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn arenas(&self) -> &[ArenaRef] {
        &self.arenas
    }

    pub(crate) fn tokens(&self) -> &[TokenRef] {
        &self.tokens
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all records.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        // SAFETY: the arenas keep the records.
        unsafe { Message::from_items(&self.items) }
    }

    /// Adds a message; its arena must be among those that are [`held`](Batch::hold).
    #[inline]
    pub(crate) fn push(&mut self, item: Item, bytes: usize) {
        self.items.push(item);
        self.bytes += bytes;
    }

    /// Holds arenas and tokens of messages to be pushed.
    pub(crate) fn hold(&mut self, arenas: &[ArenaRef], tokens: &[TokenRef]) {
        hold_new(&mut self.arenas, arenas);
        hold_new(&mut self.tokens, tokens);
    }

    #[inline]
    pub(crate) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.items.len() >= limits.messages_max || self.bytes >= limits.bytes_max
    }

    /// Takes what was gathered, leaving room for as much again.
    pub(crate) fn take(&mut self, limits: &BatchLimits) -> Batch {
        let room = Vec::with_capacity(limits.messages_max.min(self.items.len().next_power_of_two().max(16)));
        let items = std::mem::replace(&mut self.items, room);
        let (arenas, tokens) = (std::mem::take(&mut self.arenas), std::mem::take(&mut self.tokens));
        Batch { items, arenas, tokens, bytes: std::mem::take(&mut self.bytes) }
    }

    /// Copies the messages and what keeps them, without the tokens.
    pub(crate) fn untracked(&self) -> Batch {
        let (items, arenas) = (self.items.clone(), self.arenas.clone());
        Batch { items, arenas, tokens: Vec::new(), bytes: self.bytes }
    }

    /// Takes the messages out; the tokens stay.
    pub(crate) fn take_untracked(&mut self) -> Batch {
        let (items, arenas) = (std::mem::take(&mut self.items), std::mem::take(&mut self.arenas));
        Batch { items, arenas, tokens: Vec::new(), bytes: self.bytes }
    }

    /// Takes the tokens out.
    pub(crate) fn take_tokens(&mut self) -> Vec<TokenRef> {
        std::mem::take(&mut self.tokens)
    }

    /// Keeps the messages that `keep` says, in order.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Item) -> bool) {
        let mut bytes = 0;
        self.items.retain(|item| {
            let stays = keep(item);
            // SAFETY: the arenas keep the record.
            bytes += if stays { unsafe { (*item.record).size as usize } } else { 0 };
            stays
        });
        self.bytes = bytes;
    }

    /// Keeps only the first messages.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    /// Keeps the first messages out: they are done with.
    pub(crate) fn skip(&mut self, count: usize) {
        self.items.drain(..count.min(self.items.len()));
    }
}

/// Adds what isn't among the last few held already.
fn hold_new<T>(held: &mut Vec<Arc<T>>, more: &[Arc<T>]) {
    for new in more {
        if !held.iter().rev().take(4).any(|known| Arc::ptr_eq(known, new)) {
            held.push(new.clone());
        }
    }
}
