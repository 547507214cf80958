//! The file system below a queue: the real one, and for tests a simulated one that loses what was not synced.

mod directory;
#[cfg(test)]
pub(crate) mod simulated;

pub use directory::Directory;
pub use directory::DirectoryFile;
pub(crate) use directory::{is_live, lock_pid};

use std::io;
use std::path::Path;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeBytes {
    /// How many this user may still write.
    pub available: u64,
    /// How many there are.
    pub total: u64,
}

/// One directory of files, held by one queue.
///
/// Names are relative to it; only `quarantine` is a directory in it.
pub trait Storage {
    /// A file in it.
    type File: StorageFile;

    /// Returns the directory's path, for error texts.
    fn path(&self) -> &Path;
    /// Lists the files directly in it, in any order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes a file that isn't there yet, to read and write.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Gives a file another name, replacing one that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes a directory in it if there is none.
    fn make_directory(&self, name: &str) -> io::Result<()>;
    /// Makes names durable: what was created, renamed and removed.
    fn sync_names(&self) -> io::Result<()>;
    /// Returns how much room there is.
    fn free_bytes(&self) -> io::Result<FreeBytes>;
}

/// A file of a [`Storage`].
#[expect(clippy::len_without_is_empty, reason = "a length on disk, asked for once")]
pub trait StorageFile {
    /// Reads at an offset; returns how many bytes, 0 at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset; returns how many bytes, perhaps fewer than given.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the file off.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Returns its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Makes its content and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all bytes at an offset.
pub(crate) fn write_all_at(file: &impl StorageFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads until the bytes are full or the file ends; returns how many were read.
pub(crate) fn read_full_at(file: &impl StorageFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Bytes that are taken as zeros together where a disk can't read them.
const UNREADABLE_STEP: usize = 4096;

/// Reads as [`read_full_at`], but takes what can't be read as zeros.
pub(crate) fn read_what_is_readable_at(file: &impl StorageFile, bytes: &mut [u8], offset: u64) -> usize {
    let mut filled = 0;
    while filled < bytes.len() {
        match read_full_at(file, &mut bytes[filled..], offset + filled as u64) {
            Ok(read) => return filled + read,
            Err(_) => {
                // Piece by piece up to the place that can't be read, which is passed over.
                let end = bytes.len().min(filled + UNREADABLE_STEP);
                let piece = &mut bytes[filled..end];
                match read_full_at(file, piece, offset + filled as u64) {
                    Ok(read) if read < piece.len() => return filled + read,
                    Ok(_) => {}
                    Err(_) => piece.fill(0),
                }
                filled = end;
            }
        }
    }
    filled
}
