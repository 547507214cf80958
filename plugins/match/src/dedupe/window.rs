//! What has passed within the last time: a table with a limit.

use heka_plugin_api::{Message, OwnedMessage};
use std::collections::{HashMap, VecDeque};

/// Most bytes of a payload that a summary repeats.
const PAYLOAD_BYTES_MAX: usize = 512;
/// Most bytes of another text of the header.
const TEXT_BYTES_MAX: usize = 256;

/// The time in which a message's repeats are dropped.
#[derive(Clone)]
pub struct Window {
    /// When the first came, in nanoseconds from any start.
    pub since_ns: u64,
    /// How many came after it.
    pub repeats: u64,
    /// The message, cut: its header and payload.
    pub description: Option<OwnedMessage>,
}

/// The open windows. All are equally long, so the oldest ends first.
pub struct Windows {
    length_ns: u64,
    keys_max: usize,
    table: HashMap<u64, Window>,
    oldest_first: VecDeque<u64>,
}

impl Windows {
    pub fn new(length_ns: u64, keys_max: usize) -> Windows {
        Windows { length_ns, keys_max, table: HashMap::new(), oldest_first: VecDeque::new() }
    }

    /// Counts a repeat, if this key's window is open.
    pub fn is_repeat(&mut self, key: u64) -> bool {
        let window = self.table.get_mut(&key);
        window.map(|window| window.repeats += 1).is_some()
    }

    /// Keeps what a summary needs, unless it is there already.
    pub fn describe(&mut self, key: u64, message: &Message<'_>) {
        if let Some(window) = self.table.get_mut(&key).filter(|window| window.description.is_none()) {
            // Texts of this size are not too large for a message.
            window.description = description(message).ok();
        }
    }

    /// Opens a window. When there are too many, it returns the oldest, which closes early.
    pub fn open(&mut self, key: u64, now_ns: u64) -> Option<Window> {
        let early = if self.table.len() >= self.keys_max { self.close_oldest() } else { None };
        self.table.insert(key, Window { since_ns: now_ns, repeats: 0, description: None });
        self.oldest_first.push_back(key);
        early
    }

    /// Closes the oldest window, if its time is over or `any` may be closed.
    pub fn close(&mut self, now_ns: u64, any: bool) -> Option<Window> {
        let oldest = self.table.get(self.oldest_first.front()?)?;
        let is_over = now_ns.saturating_sub(oldest.since_ns) >= self.length_ns;
        if is_over || any { self.close_oldest() } else { None }
    }

    /// Takes over what another one has open; windows are as long as here.
    pub fn take_over(&mut self, other: &Windows) {
        let kept = other.oldest_first.len().min(self.keys_max);
        self.oldest_first = other.oldest_first.range(other.oldest_first.len() - kept..).copied().collect();
        let window = |key: &u64| Some((*key, other.table.get(key)?.clone()));
        self.table = self.oldest_first.iter().filter_map(window).collect();
    }

    fn close_oldest(&mut self) -> Option<Window> {
        self.table.remove(&self.oldest_first.pop_front()?)
    }
}

fn description(message: &Message<'_>) -> Result<OwnedMessage, heka_plugin_api::PluginError> {
    OwnedMessage::build(|kept| {
        let text = |bytes: &'_ [u8]| bytes[..bytes.len().min(TEXT_BYTES_MAX)].to_vec();
        kept.message_type(text(message.message_type())).logger(text(message.logger()));
        kept.hostname(text(message.hostname())).severity(message.severity()).pid(message.pid());
        let payload = message.payload();
        kept.payload(&payload[..payload.len().min(PAYLOAD_BYTES_MAX)]);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_close_in_order_when_their_time_is_over() {
        let mut windows = Windows::new(10, 10);
        assert!(windows.open(1, 0).is_none() && windows.open(2, 5).is_none());
        assert!(windows.is_repeat(1) && windows.is_repeat(1) && !windows.is_repeat(3));
        assert!(windows.close(9, false).is_none());
        assert_eq!(windows.close(10, false).map(|window| window.repeats), Some(2));
        assert!(windows.close(14, false).is_none() && !windows.is_repeat(1) && windows.is_repeat(2));
        assert_eq!(windows.close(14, true).map(|window| window.since_ns), Some(5));
        assert!(windows.close(14, true).is_none());
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let mut windows = Windows::new(10, 2);
        let early: Vec<_> = (0..5).map(|key| windows.open(key, key).map(|window| window.since_ns)).collect();
        assert_eq!(early, [None, None, Some(0), Some(1), Some(2)]);
        assert_eq!((windows.table.len(), windows.oldest_first.len()), (2, 2));
        let mut smaller = Windows::new(10, 1);
        smaller.take_over(&windows);
        assert_eq!((smaller.table.len(), smaller.is_repeat(4)), (1, true));
    }
}
