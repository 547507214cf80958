//! One file that is followed: reads it on from where it was read to, and notices when it was cut or rewritten.

use super::fingerprint::{Identity, read_at};
use heka_plugin_api::{Reader, Stream};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io::{self, IoSliceMut};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Bytes before the offset that are compared with each read, so that a rewritten file is not taken for a grown one.
const TAIL_BYTES: usize = 256;

/// What a turn found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Bytes were handed on.
    Data {
        /// How many.
        len: usize,
        /// Whether more were there.
        more: bool,
    },
    /// The file is read to its end.
    End,
    /// The file is shorter than it was, or was written anew: what it holds is another stream.
    Truncated,
    /// The file is compressed by gzip.
    Compressed,
}

/// A file that is followed.
pub struct FollowedFile {
    /// Where it was found last.
    pub path: PathBuf,
    /// The path as it was first matched: the stream's name.
    pub name: PathBuf,
    /// Its device and inode.
    pub identity: Identity,
    /// Id of its stream.
    pub id: u64,
    /// The next byte to read.
    pub offset: u64,
    /// The open file; `None` while it is closed to spare descriptors.
    pub file: Option<Arc<File>>,
    /// The stream at the host, once there were bytes.
    pub stream: Option<Stream>,
    /// Number of its watch; `None` when it is polled.
    pub watch: Option<i32>,
    /// Whether it waits for its turn.
    pub is_queued: bool,
    /// Whether its last turn failed.
    pub is_failed: bool,
    /// Since when it is silent, when its path no longer leads to it.
    pub detached: Option<Instant>,
    /// Number of the look at everything that saw it last.
    pub scan: u64,
    /// Size and time of change when it was last looked at.
    seen: (u64, i64, i64),
    tail: Tail,
}

/// The bytes before the offset.
struct Tail {
    bytes: [u8; TAIL_BYTES],
    len: usize,
}

impl FollowedFile {
    /// Follows a file from `offset` on.
    pub fn new(
        path: &Path,
        id: u64,
        offset: u64,
        file: Arc<File>,
        metadata: &Metadata,
    ) -> io::Result<FollowedFile> {
        let mut tail = Tail { bytes: [0; TAIL_BYTES], len: offset.min(TAIL_BYTES as u64) as usize };
        tail.len = read_at(&file, &mut tail.bytes[..tail.len], offset - tail.len as u64)?;
        Ok(FollowedFile {
            path: path.to_owned(),
            name: path.to_owned(),
            identity: Identity::of(metadata),
            id,
            offset,
            file: Some(file),
            stream: None,
            watch: None,
            is_queued: false,
            is_failed: false,
            detached: None,
            scan: 0,
            seen: (0, 0, 0),
            tail,
        })
    }

    /// Reads once, at most `read_bytes`, and hands on what was read.
    pub fn turn(&mut self, file: &File, reader: &mut Reader<'_>, read_bytes: usize) -> io::Result<Turn> {
        let size = file.metadata()?.len();
        if size < self.offset {
            return Ok(Turn::Truncated);
        }
        if size == self.offset {
            return Ok(if self.tail.is_before(file, self.offset)? { Turn::End } else { Turn::Truncated });
        }
        if self.stream.is_none() && self.offset == 0 && is_gzip(file)? {
            return Ok(Turn::Compressed);
        }
        let name = self.name.as_os_str().as_bytes();
        let stream = *self.stream.get_or_insert_with(|| reader.open_stream(name, self.id, self.offset));
        let wanted = (size - self.offset).min(read_bytes as u64) as usize;
        let buffer = reader.buffer(stream, wanted);
        let room = buffer.len().min(read_bytes);
        let buffer = &mut buffer[..room];
        let Some(len) = self.tail.read_behind(file, buffer, self.offset)? else { return Ok(Turn::Truncated) };
        if len == 0 {
            return Ok(Turn::End);
        }
        self.tail.push(&buffer[..len]);
        self.offset += len as u64;
        reader.filled(stream, len);
        Ok(Turn::Data { len, more: self.offset < size })
    }

    /// Begins anew, as another stream, with the first byte.
    pub fn restart(&mut self, id: u64) {
        (self.id, self.offset, self.tail.len, self.stream) = (id, 0, 0, None);
    }

    /// Tells whether everything was read that is there now.
    pub fn is_at_end(&self) -> bool {
        self.metadata().map_or(true, |metadata| metadata.len() <= self.offset)
    }

    /// Looks at the file; tells whether it changed since the last look.
    pub fn changed(&mut self) -> bool {
        let Ok(metadata) = self.metadata() else { return true };
        let seen = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        std::mem::replace(&mut self.seen, seen) != seen
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.file.as_ref().map_or_else(|| std::fs::metadata(&self.path), |file| file.metadata())
    }
}

impl Tail {
    /// Reads into `buffer` from `offset` on, and in the same call compares what lies before; `None` if it differs.
    fn read_behind(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        let mut found = [0; TAIL_BYTES];
        let start = offset - self.len as u64;
        let read = loop {
            let rooms = &mut [IoSliceMut::new(&mut found[..self.len]), IoSliceMut::new(buffer)];
            match rustix::io::preadv(file, rooms, start) {
                Err(Errno::INTR) => {}
                result => break result?,
            }
        };
        Ok(if found[..self.len] == self.bytes[..self.len] { read.checked_sub(self.len) } else { None })
    }

    fn is_before(&self, file: &File, offset: u64) -> io::Result<bool> {
        Ok(self.read_behind(file, &mut [], offset)?.is_some())
    }

    fn push(&mut self, read: &[u8]) {
        if read.len() >= TAIL_BYTES {
            self.bytes.copy_from_slice(&read[read.len() - TAIL_BYTES..]);
            self.len = TAIL_BYTES;
            return;
        }
        let kept = self.len.min(TAIL_BYTES - read.len());
        self.bytes.copy_within(self.len - kept..self.len, 0);
        self.bytes[kept..kept + read.len()].copy_from_slice(read);
        self.len = kept + read.len();
    }
}

fn is_gzip(file: &File) -> io::Result<bool> {
    let mut magic = [0; 2];
    Ok(read_at(file, &mut magic, 0)? == 2 && magic == [0x1f, 0x8b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tail_is_the_last_bytes(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..400), 0..6,
        )) {
            let mut tail = Tail { bytes: [0; TAIL_BYTES], len: 0 };
            let mut all = Vec::new();
            for piece in pieces {
                tail.push(&piece);
                all.extend(piece);
                prop_assert_eq!(&tail.bytes[..tail.len], &all[all.len().saturating_sub(TAIL_BYTES)..]);
            }
        }
    }
}
