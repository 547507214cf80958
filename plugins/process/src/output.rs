//! One of the streams that a run writes.

use heka_plugin_api::{Counter, PluginError, Reader, Stream};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use std::io::PipeReader;

/// The most that is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Standard output or standard error of a run.
pub struct Output {
    /// `None` once it has ended.
    pipe: Option<PipeReader>,
    /// Name of the stream: the instance's, and which of the two it is.
    name: String,
    stream: Option<Stream>,
    /// What was read of it, also what was not taken.
    pub bytes: u64,
}

/// What of a run's output may still be taken.
pub struct Allowance {
    pub left: u64,
    /// What was thrown away since nothing is left.
    pub dropped: u64,
}

impl Output {
    /// Reads a pipe, if there is one.
    pub fn new(pipe: Option<PipeReader>, instance: &str, which: &str) -> Output {
        Output { pipe, name: format!("{instance}.{which}"), stream: None, bytes: 0 }
    }

    /// Tells whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Returns what to wait for.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Goes on with the stream for an instance that took it over.
    pub fn keep(&self, reader: &Reader<'_>) {
        self.stream.into_iter().for_each(|stream| reader.keep_stream(stream));
    }

    /// Reads once; returns how many bytes there were.
    ///
    /// # Errors
    /// If the host gives no room.
    pub fn read(
        &mut self,
        reader: &mut Reader<'_>,
        allowance: &mut Allowance,
        taken: &Counter,
    ) -> Result<usize, PluginError> {
        let Some(pipe) = &self.pipe else { return Ok(0) };
        let mut thrown_away = [0; 4096];
        let stream = match allowance.left {
            0 => None,
            _ => Some(*self.stream.get_or_insert_with(|| reader.open_stream(&self.name, 0, 0))),
        };
        let room = match stream {
            None => &mut thrown_away[..],
            Some(stream) => {
                let room = reader.buffer(stream, READ_BYTES);
                let len =
                    usize::try_from(allowance.left).unwrap_or(usize::MAX).min(room.len()).min(READ_BYTES);
                &mut room[..len]
            }
        };
        if room.is_empty() {
            return Err(PluginError::retry("the host gave no room to read into"));
        }
        match rustix::io::read(pipe, room) {
            Ok(len @ 1..) => {
                self.bytes += len as u64;
                match stream {
                    Some(stream) => {
                        allowance.left -= len as u64;
                        taken.add(len as u64);
                        reader.filled(stream, len);
                    }
                    None => allowance.dropped += len as u64,
                }
                Ok(len)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Ok(0) | Err(_) => {
                self.pipe = None;
                Ok(0)
            }
        }
    }

    /// Stops reading; what was read stays.
    pub fn end(&mut self) {
        self.pipe = None;
    }

    /// Ends the stream, with its incomplete last frame.
    pub fn close(&mut self, reader: &mut Reader<'_>) {
        self.pipe = None;
        if let Some(stream) = self.stream.take() {
            reader.close_stream(stream, true);
        }
    }
}
