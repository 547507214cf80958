//! What an output writes to a stream: what an encoder made of the messages, else their payloads as lines.

use heka_plugin_api::Delivery;

/// Room for the payloads of a batch, each with a newline behind it; kept for its memory.
#[derive(Default)]
pub struct PayloadLines {
    lines: Vec<u8>,
}

impl PayloadLines {
    /// Returns the bytes to write for the messages that are left.
    pub fn bytes<'l>(&'l mut self, delivery: &Delivery<'l>) -> &'l [u8] {
        let encoded = delivery.bytes();
        if !encoded.is_empty() {
            return encoded;
        }
        self.lines.clear();
        for (message, _) in delivery.messages() {
            self.lines.extend_from_slice(message.payload());
            self.lines.push(b'\n');
        }
        &self.lines
    }
}

/// Counts the messages that are whole in the first `written` of these bytes.
pub fn whole_messages(delivery: &Delivery<'_>, written: usize) -> usize {
    let as_lines = delivery.bytes().is_empty();
    let mut left = written;
    let lengths = delivery.messages().map(
        |(message, encoded)| {
            if as_lines { message.payload().len() + 1 } else { encoded.len() }
        },
    );
    let whole = lengths.take_while(|len| {
        let fits = *len <= left;
        left = left.saturating_sub(*len);
        fits
    });
    whole.count()
}
