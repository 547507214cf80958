//! The memory that all bodies may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are held, of all holders.
#[derive(Clone, Default)]
pub struct Memory {
    held: Arc<AtomicUsize>,
}

/// A part of the memory, given back when it is dropped.
pub struct Hold {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    /// Begins to hold nothing.
    pub fn hold(&self) -> Hold {
        Hold { memory: self.clone(), bytes: 0 }
    }

    /// Returns how many bytes are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Hold {
    /// Tells whether so many bytes could be held now.
    pub fn could_reach(&self, bytes: usize, max: usize) -> bool {
        self.memory.held().saturating_add(bytes.saturating_sub(self.bytes)) <= max
    }

    /// Makes sure to hold at least so many bytes; tells whether that fits into what all may hold.
    pub fn reach(&mut self, bytes: usize, max: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let fits = |held: usize| held.checked_add(more).filter(|&held| held <= max);
        let held = self.memory.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        self.bytes += if held.is_ok() { more } else { 0 };
        held.is_ok()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let memory = Memory::default();
        let (mut first, mut second) = (memory.hold(), memory.hold());
        assert!(first.reach(60, 100) && first.reach(50, 100) && second.reach(40, 100));
        assert!(!second.reach(41, 100));
        assert_eq!(memory.held(), 100);
        drop(first);
        assert!(second.reach(100, 100));
        drop(second);
        assert_eq!(memory.held(), 0);
    }
}
