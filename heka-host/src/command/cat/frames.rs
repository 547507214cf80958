//! One stream of frames: reads, cuts, and notices what lies between the frames.

use heka_lib::splitter::{FrameLimit, FrameSink, LongFrames, SplitCounts, Splitter, SplitterConfig};
use heka_plugin_api::cause;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;

/// Size of a read, and what the buffer begins with, in bytes.
const READ_BYTES: usize = 256 << 10;

/// Tells whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What comes next in a stream.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A whole frame.
    Frame {
        bytes: &'a [u8],
        /// Offset in the file.
        position: u64,
    },
    /// Bytes that were skipped.
    Gap(Gap),
}

/// Bytes between two frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    /// Offset in the file.
    pub(super) position: u64,
    pub(super) bytes: u64,
    /// How many frames over the limit were in it.
    pub(super) long_frames: u64,
    /// Whether all of it is frames over the limit.
    pub(super) is_long: bool,
}

/// Reads one file's frames, with a buffer that the longest frame bounds.
pub(super) struct FrameReader {
    name: String,
    file: File,
    can_grow: bool,
    has_ended: bool,
    config: SplitterConfig,
    splitter: Splitter,
    sink: FrameSink,
    counts: SplitCounts,
    buffer: Vec<u8>,
    /// What is in the buffer and not yet cut.
    uncut: Range<usize>,
    /// Offset in the file of the first uncut byte.
    position: u64,
    /// Offset in the file behind the last frame or gap that was handed on.
    told: u64,
    /// A frame whose gap was handed on first: where it lies in the buffer.
    waiting: Option<Range<usize>>,
}

impl FrameReader {
    /// Opens a file, or standard input, from byte `offset` on.
    ///
    /// # Errors
    /// Why it can't be read, with its name.
    pub(super) fn open(path: &Path, offset: u64, message_bytes_max: usize) -> Result<FrameReader, String> {
        let is_stdin = is_stdin(path);
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let limit = FrameLimit::new(message_bytes_max, LongFrames::Reject)?;
        let file = if is_stdin {
            io::stdin().as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::open(path)
        };
        let mut file = file.map_err(|error| format!("failed to open `{name}`: {}", cause(&error)))?;
        skip_to(&mut file, &name, offset)?;
        let config = SplitterConfig::heka().with_limit(limit);
        Ok(FrameReader {
            name,
            file,
            can_grow: !is_stdin,
            has_ended: false,
            splitter: config.splitter(),
            config,
            // One frame a call, so that the splitter's counts tell what lay before it.
            sink: FrameSink::new(1),
            counts: SplitCounts::default(),
            buffer: vec![0; READ_BYTES],
            uncut: 0..0,
            position: offset,
            told: offset,
            waiting: None,
        })
    }

    /// Returns the name for reports.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether more may come behind the end.
    pub(super) fn can_grow(&self) -> bool {
        self.can_grow
    }

    /// Reads once behind what was read; returns how many bytes, 0 at the end.
    ///
    /// # Errors
    /// Why it failed, with the file's name.
    pub(super) fn fill(&mut self) -> Result<usize, String> {
        self.make_room();
        loop {
            match self.file.read(&mut self.buffer[self.uncut.end..]) {
                Ok(bytes) => {
                    self.uncut.end += bytes;
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("failed to read `{}`: {}", self.name, cause(&error))),
            }
        }
    }

    fn make_room(&mut self) {
        self.buffer.copy_within(self.uncut.clone(), 0);
        self.uncut = 0..self.uncut.len();
        if self.uncut.end == self.buffer.len() {
            let most = self.splitter.buffer_bytes_max() + READ_BYTES;
            let len = (self.buffer.len() * 2).min(most).max(self.uncut.end + 1);
            self.buffer.resize(len, 0);
        }
    }

    /// Declares that nothing follows: half a frame at the end becomes a gap.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Returns the next frame or gap; `None` when more must be read first, or all was handed on.
    pub(super) fn next(&mut self) -> Option<Found<'_>> {
        if let Some(frame) = self.waiting.take() {
            return Some(self.frame(frame));
        }
        self.sink.clear();
        let rest = &self.buffer[self.uncut.clone()];
        let cut = if self.has_ended {
            self.splitter.finish(rest, &mut self.sink)
        } else {
            self.splitter.split(rest, &mut self.sink)
        };
        let (buffer_start, position) = (self.uncut.start, self.position);
        self.uncut.start += cut;
        self.position += cut as u64;
        let Some(span) = self.sink.frames().first() else {
            return if self.has_ended { self.gap(self.position).map(Found::Gap) } else { None };
        };
        let start = buffer_start + span.start as usize;
        let frame = start..start + span.len as usize;
        match self.gap(position + u64::from(span.start)) {
            None => Some(self.frame(frame)),
            Some(gap) => {
                self.waiting = Some(frame);
                Some(Found::Gap(gap))
            }
        }
    }

    fn frame(&mut self, frame: Range<usize>) -> Found<'_> {
        let position = self.told;
        self.told += frame.len() as u64;
        Found::Frame { bytes: &self.buffer[frame], position }
    }

    /// Returns what lies between the last frame and `position`.
    fn gap(&mut self, position: u64) -> Option<Gap> {
        let counts = self.splitter.counts();
        let before = std::mem::replace(&mut self.counts, counts);
        let bytes = position - self.told;
        let gap = Gap {
            position: self.told,
            bytes,
            long_frames: counts.rejected - before.rejected,
            is_long: counts.broken_bytes == before.broken_bytes,
        };
        self.told = position;
        (bytes > 0).then_some(gap)
    }

    /// Tells whether the file is now shorter than what was read of it.
    pub(super) fn was_truncated(&self) -> bool {
        let read = self.position + self.uncut.len() as u64;
        self.can_grow && self.file.metadata().is_ok_and(|file| file.is_file() && file.len() < read)
    }

    /// Begins anew at the file's first byte.
    ///
    /// # Errors
    /// Why it failed, with the file's name.
    pub(super) fn rewind(&mut self) -> Result<(), String> {
        let sought = self.file.rewind();
        sought.map_err(|error| format!("failed to go back in `{}`: {}", self.name, cause(&error)))?;
        self.splitter = self.config.splitter();
        self.counts = SplitCounts::default();
        (self.uncut, self.position, self.told, self.waiting) = (0..0, 0, 0, None);
        Ok(())
    }
}

fn skip_to(file: &mut File, name: &str, offset: u64) -> Result<(), String> {
    if offset == 0 {
        return Ok(());
    }
    let skipped = match file.metadata() {
        Ok(metadata) if metadata.is_file() => file.seek(SeekFrom::Start(offset)).map(|_| metadata.len()),
        Ok(_) => io::copy(&mut file.take(offset), &mut io::sink()),
        Err(error) => Err(error),
    };
    match skipped {
        Ok(bytes) if bytes < offset => {
            Err(format!("`{name}` has {bytes} bytes; the offset {offset} is behind its end"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("failed to go to byte {offset} of `{name}`: {}", cause(&error))),
    }
}
