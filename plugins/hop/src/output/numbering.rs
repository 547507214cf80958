//! The numbers of messages: the queue's, or, where there is no durable queue, counted here.

use heka_plugin_api::{Delivery, Message};
use std::collections::VecDeque;

/// Numbers messages.
#[derive(Default)]
pub struct Numbering {
    next: u64,
    /// What was numbered here and may be given again, in order.
    sent: VecDeque<Numbered>,
    /// What is to be given again, in order.
    again: VecDeque<Numbered>,
}

struct Numbered {
    number: u64,
    print: Print,
}

/// Tells messages apart: UUID, size, and CRC-32C of the record.
type Print = ([u8; 16], u32, u32);

impl Numbering {
    /// Writes the numbers of the messages that are left into `numbers`.
    pub fn number(&mut self, delivery: &Delivery<'_>, numbers: &mut Vec<u64>) {
        numbers.clear();
        if delivery.queue().is_some() {
            numbers.extend_from_slice(delivery.sequences());
            return;
        }
        for (message, _) in delivery.messages() {
            let print = print(&message);
            let number = self.known(&print).unwrap_or_else(|| {
                self.next += 1;
                self.next
            });
            self.sent.push_back(Numbered { number, print });
            numbers.push(number);
        }
    }

    /// Finds the number that a message was given before. What was given before comes again in order, and before all else.
    fn known(&mut self, print: &Print) -> Option<u64> {
        if self.again.is_empty() {
            return None;
        }
        match self.again.iter().position(|known| known.print == *print) {
            Some(at) => self.again.drain(..=at).next_back().map(|known| known.number),
            None => {
                self.again.clear();
                None
            }
        }
    }

    /// Forgets what is below the lowest number that is waited for.
    pub fn forget_below(&mut self, settled: u64) {
        while self.sent.front().is_some_and(|known| known.number < settled) {
            self.sent.pop_front();
        }
    }

    /// What was not answered will be given again.
    pub fn start_again(&mut self) {
        self.sent.append(&mut self.again);
        std::mem::swap(&mut self.sent, &mut self.again);
    }
}

fn print(message: &Message<'_>) -> Print {
    (message.uuid(), message.record().size, crc32c::crc32c(message.record_bytes()))
}
