//! Messages that travel together: items, and the arenas that keep their records alive.

use crate::arena::ArenaRef;
use heka_plugin_api::Message;
use heka_plugin_api::abi::Item;
use std::sync::Arc;

/// How large a batch may get, and how long it may wait to become so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) messages_max: usize,
    pub(crate) bytes_max: usize,
}

/// Messages that travel together. Sharing one with another output shares its arenas, not its items.
#[derive(Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    arenas: Vec<ArenaRef>,
    bytes: usize,
}

// SAFETY: items point into arenas that the batch holds, and records are immutable.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn items_mut(&mut self) -> &mut Vec<Item> {
        &mut self.items
    }

    pub(crate) fn arenas(&self) -> &[ArenaRef] {
        &self.arenas
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

    /// Holds arenas that messages to be pushed live in.
    pub(crate) fn hold(&mut self, arenas: &[ArenaRef]) {
        for arena in arenas {
            if !self.arenas.iter().rev().take(4).any(|held| Arc::ptr_eq(held, arena)) {
                self.arenas.push(arena.clone());
            }
        }
    }

    #[inline]
    pub(crate) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.items.len() >= limits.messages_max || self.bytes >= limits.bytes_max
    }

    /// Takes what was gathered, leaving room for as much again.
    pub(crate) fn take(&mut self, limits: &BatchLimits) -> Batch {
        let room = Vec::with_capacity(limits.messages_max.min(self.items.len().next_power_of_two().max(16)));
        let items = std::mem::replace(&mut self.items, room);
        Batch { items, arenas: std::mem::take(&mut self.arenas), bytes: std::mem::take(&mut self.bytes) }
    }

    /// Keeps the first messages out: they are done with.
    pub(crate) fn skip(&mut self, count: usize) {
        self.items.drain(..count.min(self.items.len()));
    }
}
