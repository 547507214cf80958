//! A fixed byte string as delimiter.

use memchr::memmem::Finder;

use super::delimiter::{Cut, Delimiter};

/// Longest token in bytes; what is longer is content, not a delimiter.
pub(super) const TOKEN_BYTES_MAX: usize = 16;

/// Finds a byte string of 1 to 16 bytes.
pub(super) struct TokenDelimiter {
    finder: Finder<'static>,
    keep: bool,
}

impl TokenDelimiter {
    pub(super) fn new(token: &[u8], keep: bool) -> Self {
        TokenDelimiter { finder: Finder::new(token).into_owned(), keep }
    }
}

impl Delimiter for TokenDelimiter {
    fn find(&mut self, buffer: &[u8], from: usize, _ended: bool) -> Result<Cut, usize> {
        let Some(found) = self.finder.find(&buffer[from..]) else {
            return Err(from.max((buffer.len() + 1).saturating_sub(self.finder.needle().len())));
        };
        let start = from + found;
        let end = start + self.finder.needle().len();
        let frame_end = if self.keep { end } else { start };
        Ok(Cut { frame_end, next_start: end, search_on: end })
    }

    fn pending_bytes_max(&self) -> usize {
        self.finder.needle().len() - 1
    }
}
