//! Output `stdout`: writes to the standard output of the process.

use heka_plugin_api::{Context, Counter, Delivered, Delivery, Output, PluginError, Schema};
use heka_socket::{PayloadLines, Waited, Wake, cause, whole_messages};
use rustix::event::PollFlags;
use rustix::fs::FileType;
use rustix::io::Errno;
use serde::Deserialize;
use std::os::fd::AsFd;

/// What a pipe that is ready takes without blocking, in bytes (`PIPE_BUF`): a longer write could not be ended.
const PIPE_BYTES: usize = 4096;

/// Writes messages to the standard output of the process.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// Writes messages to the standard output of the process.
pub struct StdoutOutput {
    wake: Wake,
    /// The most that is written at once.
    piece_bytes: usize,
    /// Payloads as lines, where no encoder is named.
    lines: PayloadLines,
    bytes: Counter,
}

impl Output for StdoutOutput {
    type Config = Options;

    fn open(_: Options, context: &mut Context) -> Result<Self, PluginError> {
        Ok(StdoutOutput {
            wake: Wake::of_instance(context)?,
            piece_bytes: PIPE_BYTES,
            lines: PayloadLines::default(),
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        let file = rustix::fs::fstat(std::io::stdout()).map_err(|errno| {
            PluginError::fatal(format!("failed to look at standard output: {}", cause(errno)))
        })?;
        let is_file = FileType::from_raw_mode(file.st_mode) == FileType::RegularFile;
        self.piece_bytes = if is_file { usize::MAX } else { PIPE_BYTES };
        Ok(())
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        let (written, result) = write(self.lines.bytes(delivery), &self.wake, self.piece_bytes);
        self.bytes.add(written as u64);
        if result.is_err() {
            delivery.complete(whole_messages(delivery, written));
        }
        result.map(|()| Delivered::Now)
    }
}

/// Writes all bytes, at most `piece_bytes` at once; returns how many were written, and why not all.
fn write(bytes: &[u8], wake: &Wake, piece_bytes: usize) -> (usize, Result<(), PluginError>) {
    let (stdout, mut written) = (std::io::stdout(), 0);
    while written < bytes.len() {
        let waited = wake.wait(stdout.as_fd(), PollFlags::OUT, None);
        match waited {
            Ok(Waited::Ready) => {}
            // There is no deadline.
            Ok(Waited::TimedOut) => continue,
            Ok(Waited::Stopped) => {
                let text = "failed to write to standard output: stopped while nobody read it";
                return (written, Err(PluginError::retry(text)));
            }
            Err(errno) => return (written, Err(failure(errno))),
        }
        let end = bytes.len().min(written.saturating_add(piece_bytes));
        match rustix::io::write(stdout.as_fd(), &bytes[written..end]) {
            Ok(len) => written += len,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return (written, Err(failure(errno))),
        }
    }
    (written, Ok(()))
}

fn failure(errno: Errno) -> PluginError {
    let text = format!("failed to write to standard output: {}", cause(errno));
    match errno {
        Errno::PIPE => PluginError::fatal(format!("{text}; whoever read it has gone")),
        Errno::BADF => PluginError::fatal(text),
        _ => PluginError::retry(text),
    }
}
