//! Input `stdin`: reads the standard input of the process.

use heka_plugin_api::{Context, Counter, Input, PluginError, Read, Reader, Schema, Stream};
use heka_socket::{Waited, Wake, cause};
use rustix::event::PollFlags;
use rustix::io::Errno;
use serde::Deserialize;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The most that one call reads, in bytes.
const READ_BYTES: usize = 256 << 10;

/// Reads the standard input of the process, to its end.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Options {}

/// Reads the standard input of the process.
pub struct StdinInput {
    wake: Wake,
    stream: Option<Stream>,
    /// The stream, while the host takes it for that of an instance that this one took over from.
    inherited: Option<Stream>,
    has_ended: bool,
    bytes: Counter,
}

impl Input for StdinInput {
    type Config = Options;

    fn open(_: Options, context: &mut Context) -> Result<Self, PluginError> {
        let wake = Wake::of_instance(context)?;
        Ok(StdinInput {
            wake,
            stream: None,
            inherited: None,
            has_ended: false,
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        if let Some(old) = predecessor {
            (self.has_ended, self.stream, self.inherited) = (old.has_ended, old.stream, old.stream);
        }
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        self.inherited.take().into_iter().for_each(|stream| reader.keep_stream(stream));
        if self.has_ended {
            return Ok(Read::End);
        }
        let stdin = std::io::stdin();
        let failed = |errno| format!("failed to read standard input: {}", cause(errno));
        let deadline = Instant::now().checked_add(timeout);
        let waited = self.wake.wait(stdin.as_fd(), PollFlags::IN, deadline);
        if waited.map_err(|errno| PluginError::retry(failed(errno)))? != Waited::Ready {
            return Ok(Read::Idle);
        }
        let stream = *self.stream.get_or_insert_with(|| reader.open_stream(context.instance(), 0, 0));
        let room = reader.buffer(stream, READ_BYTES);
        if room.is_empty() {
            return Err(PluginError::retry("the host gave no room to read into"));
        }
        match rustix::io::read(stdin.as_fd(), room) {
            Ok(0) => {
                self.has_ended = true;
                reader.close_stream(stream, true);
                Ok(Read::End)
            }
            Ok(len) => {
                self.bytes.add(len as u64);
                reader.filled(stream, len);
                Ok(Read::Some)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Idle),
            // A terminal, while this process is in the background.
            Err(Errno::IO) => Err(PluginError::retry(failed(Errno::IO))),
            Err(errno) => Err(PluginError::fatal(failed(errno))),
        }
    }
}
