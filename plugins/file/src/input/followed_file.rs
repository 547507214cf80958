//! One file that is followed: reads it on from where it was read to, and notices when it was cut or rewritten.

use super::fingerprint::{Fingerprint, read_at};
use super::gzip::{Gunzip, is_gzip};
use crate::identity::Identity;
use crate::tail::Tail;
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
    /// More may be handed on once more of the stream's place is saved.
    Uncovered,
    /// The file is compressed by gzip, and was not when it was found.
    Compressed,
    /// What is compressed is read to its end.
    Finished,
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
    /// Whether its next turn comes when its place is saved.
    pub is_unsaved: bool,
    /// Whether its last turn failed.
    pub is_failed: bool,
    /// Since when it is silent, when its path no longer leads to it.
    pub detached: Option<Instant>,
    /// Number of the look at everything that saw it last.
    pub scan: u64,
    /// Size and time of change when it was last looked at.
    seen: (u64, i64, i64),
    /// The bytes before the offset.
    tail: Tail<TAIL_BYTES>,
    /// Whether it is compressed.
    pub is_gzip: bool,
    /// The place in what is compressed; `None` after a failure.
    gunzip: Option<Gunzip>,
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
        let mut bytes = [0; TAIL_BYTES];
        let len = offset.min(TAIL_BYTES as u64) as usize;
        let len = read_at(&file, &mut bytes[..len], offset - len as u64)?;
        let mut tail = Tail::new();
        tail.push(&bytes[..len]);
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
            is_unsaved: false,
            is_failed: false,
            detached: None,
            scan: 0,
            seen: (0, 0, 0),
            tail,
            is_gzip: false,
            gunzip: None,
        })
    }

    /// Follows a compressed file from a place in it on.
    pub fn new_gzip(
        path: &Path,
        id: u64,
        file: Arc<File>,
        metadata: &Metadata,
        gunzip: Gunzip,
    ) -> io::Result<FollowedFile> {
        let file = FollowedFile::new(path, id, 0, file, metadata)?;
        Ok(FollowedFile { offset: gunzip.position(), is_gzip: true, gunzip: Some(gunzip), ..file })
    }

    /// Reads once, at most `read_bytes`, and hands on what was read, not beyond `covered`.
    pub fn turn(
        &mut self,
        file: &Arc<File>,
        reader: &mut Reader<'_>,
        read_bytes: usize,
        covered: u64,
    ) -> io::Result<Turn> {
        if self.is_gzip {
            return self.turn_gzip(file, reader, read_bytes, covered);
        }
        let size = file.metadata()?.len();
        if size < self.offset {
            return Ok(Turn::Truncated);
        }
        if size == self.offset || covered <= self.offset {
            let is_same = read_behind(file, &self.tail, &mut [], self.offset)?.is_some();
            return Ok(match is_same {
                false => Turn::Truncated,
                true if size == self.offset => Turn::End,
                true => Turn::Uncovered,
            });
        }
        if self.stream.is_none() && self.offset == 0 && is_gzip(file)? {
            return Ok(Turn::Compressed);
        }
        let stream = self.stream(reader);
        let wanted = (size.min(covered) - self.offset).min(read_bytes as u64) as usize;
        let buffer = reader.buffer(stream, wanted);
        let room = buffer.len().min(read_bytes).min((covered - self.offset).min(usize::MAX as u64) as usize);
        let buffer = &mut buffer[..room];
        let Some(len) = read_behind(file, &self.tail, buffer, self.offset)? else {
            return Ok(Turn::Truncated);
        };
        if len == 0 {
            return Ok(Turn::End);
        }
        self.tail.push(&buffer[..len]);
        self.offset += len as u64;
        reader.filled(stream, len);
        Ok(Turn::Data { len, more: self.offset < size })
    }

    fn turn_gzip(
        &mut self,
        file: &Arc<File>,
        reader: &mut Reader<'_>,
        read_bytes: usize,
        covered: u64,
    ) -> io::Result<Turn> {
        if covered <= self.offset {
            return Ok(Turn::Uncovered);
        }
        let mut gunzip = match self.gunzip.take() {
            Some(gunzip) => gunzip,
            None => {
                let mut gunzip = Gunzip::new(file);
                gunzip.skip_to(self.offset, Fingerprint::EMPTY)?;
                gunzip
            }
        };
        let stream = self.stream(reader);
        let buffer = reader.buffer(stream, read_bytes);
        let room = buffer.len().min(read_bytes);
        let len = gunzip.read(&mut buffer[..room])?;
        self.gunzip = Some(gunzip);
        if len == 0 {
            return Ok(Turn::Finished);
        }
        self.offset += len as u64;
        reader.filled(stream, len);
        Ok(Turn::Data { len, more: true })
    }

    fn stream(&mut self, reader: &mut Reader<'_>) -> Stream {
        let name = self.name.as_os_str().as_bytes();
        *self.stream.get_or_insert_with(|| reader.open_stream(name, self.id, self.offset))
    }

    /// Takes the fingerprint of the bytes before the offset, as they were read.
    pub fn tail(&self) -> Fingerprint {
        Fingerprint::of(self.tail.bytes())
    }

    /// Begins anew, as another stream, with the first byte.
    pub fn restart(&mut self, id: u64) {
        (self.id, self.offset, self.tail, self.stream) = (id, 0, Tail::new(), None);
    }

    /// Tells whether everything was read that is there now.
    pub fn is_at_end(&self) -> bool {
        !self.is_gzip && self.metadata().map_or(true, |metadata| metadata.len() <= self.offset)
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

/// Reads into `buffer` from `offset` on, and in the same call compares what lies before; `None` if it differs.
fn read_behind(
    file: &File,
    tail: &Tail<TAIL_BYTES>,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<Option<usize>> {
    let (mut found, expected) = ([0; TAIL_BYTES], tail.bytes());
    let found = &mut found[..expected.len()];
    let start = offset - expected.len() as u64;
    let read = loop {
        let rooms = &mut [IoSliceMut::new(found), IoSliceMut::new(buffer)];
        match rustix::io::preadv(file, rooms, start) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    Ok(if found == expected { read.checked_sub(expected.len()) } else { None })
}
