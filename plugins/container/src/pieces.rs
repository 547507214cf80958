//! Pieces of lines become whole lines, for each of a container's two streams.

use crate::place::Place;
use heka_plugin_api::{MessageWriter, PluginError};

/// One piece, as a runtime wrote it.
pub struct Piece<'p> {
    /// When it was written, ns since the epoch.
    pub time: i64,
    /// Whether it was printed to standard error.
    pub is_stderr: bool,
    /// Whether the container's line ends with it.
    pub is_last: bool,
    /// What was printed, without the line break.
    pub content: &'p [u8],
}

/// What waits for the next piece of a line.
#[derive(Default)]
struct Open {
    content: Vec<u8>,
    /// Time of the first piece.
    time: Option<i64>,
}

/// Joins pieces. Nothing waits beyond one frame: what was cut by a timeout or limit is two messages.
pub struct Joiner {
    path_fields: bool,
    stdout: Open,
    stderr: Open,
}

impl Joiner {
    /// Makes a joiner that adds the names in a log file's path, or doesn't.
    pub fn new(path_fields: bool) -> Joiner {
        Joiner { path_fields, stdout: Open::default(), stderr: Open::default() }
    }

    /// Forgets what was left of a frame that was refused.
    pub fn begin(&mut self) {
        self.stdout.time = None;
        self.stderr.time = None;
    }

    /// Takes a piece; writes a message if a line ends with it.
    pub fn take(&mut self, piece: &Piece<'_>, messages: &mut MessageWriter<'_>) -> Result<(), PluginError> {
        let open = if piece.is_stderr { &mut self.stderr } else { &mut self.stdout };
        if open.time.is_none() && piece.is_last {
            return write(self.path_fields, piece, messages, false);
        }
        if open.time.is_none() {
            open.content.clear();
        }
        let time = *open.time.get_or_insert(piece.time);
        open.content.extend_from_slice(piece.content);
        if !piece.is_last {
            return Ok(());
        }
        open.time = None;
        let whole = Piece { time, content: &open.content, ..*piece };
        write(self.path_fields, &whole, messages, false)
    }

    /// Writes what is left of lines whose last piece has not come.
    pub fn finish(&mut self, messages: &mut MessageWriter<'_>) -> Result<(), PluginError> {
        for (is_stderr, open) in [(false, &mut self.stdout), (true, &mut self.stderr)] {
            let Some(time) = open.time.take() else { continue };
            let piece = Piece { time, is_stderr, is_last: false, content: &open.content };
            write(self.path_fields, &piece, messages, true)?;
        }
        Ok(())
    }
}

fn write(
    path_fields: bool,
    piece: &Piece<'_>,
    messages: &mut MessageWriter<'_>,
    is_partial: bool,
) -> Result<(), PluginError> {
    let path = messages.logger();
    let mut message = messages.message();
    message.timestamp(piece.time).payload(piece.content);
    message.field("stream", if piece.is_stderr { "stderr" } else { "stdout" });
    if path_fields {
        Place::of(path).write(&mut message);
    }
    if is_partial {
        message.field("partial", true);
    }
    message.finish()
}
