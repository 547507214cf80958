//! Entries of the journal's export format: fields, a line each or with a length, up to an empty line.

use memchr::memchr;

use super::delimiter::{Cut, Delimiter};

/// A field's name is no longer; what is longer and has no `=` is no name.
const NAME_BYTES_MAX: usize = 256;
/// The length in front of a field's bytes.
const LENGTH_BYTES: usize = 8;
/// A greater length is none, but text of another format.
const FIELD_BYTES_MAX: u64 = 1 << 30;

/// Finds the empty lines between entries, not those inside of a field's bytes.
///
/// Source: systemd, Journal Export Formats.
#[derive(Default)]
pub(super) struct JournalDelimiter {
    /// Bytes of a field, and the line break behind it, that are still to come.
    skip: usize,
    /// Whether the line at hand is text, of which only the end matters.
    is_text: bool,
}

impl JournalDelimiter {
    /// Returns the field's length that stands behind the name's line break, or that it has not come yet.
    fn length(buffer: &[u8], at: usize) -> Option<u64> {
        let bytes = buffer.get(at..at + LENGTH_BYTES)?;
        Some(bytes.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte)))
    }
}

impl Delimiter for JournalDelimiter {
    fn find(&mut self, buffer: &[u8], from: usize, ended: bool) -> Result<Cut, usize> {
        let mut at = from;
        loop {
            let skipped = self.skip.min(buffer.len() - at);
            at += skipped;
            self.skip -= skipped;
            let line = &buffer[at..];
            let Some(len) = memchr(b'\n', line) else {
                self.is_text |= line.len() > NAME_BYTES_MAX || memchr(b'=', line).is_some();
                return Err(if self.is_text || ended { buffer.len() } else { at });
            };
            let next = at + len + 1;
            if std::mem::take(&mut self.is_text)
                || len > NAME_BYTES_MAX
                || memchr(b'=', &line[..len]).is_some()
            {
                at = next;
            } else if len == 0 {
                return Ok(Cut { frame_end: at, next_start: next, search_on: next });
            } else {
                match JournalDelimiter::length(buffer, next) {
                    None if ended => return Err(buffer.len()),
                    None => return Err(at),
                    Some(length) if length > FIELD_BYTES_MAX => at = next,
                    Some(length) => {
                        self.skip = length as usize + 1;
                        at = next + LENGTH_BYTES;
                    }
                }
            }
        }
    }

    fn pending_bytes_max(&self) -> usize {
        NAME_BYTES_MAX + 1 + LENGTH_BYTES
    }

    fn reset(&mut self) {
        *self = JournalDelimiter::default();
    }
}
