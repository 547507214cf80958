//! A copy of a plugin file in memory that nobody can change any more.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, SealFlags};

use super::problem::file_name;
use heka_plugin_api::cause;

/// Bigger files are refused: they would fill the memory. Plugins with all their debug information have 10 MiB.
pub(super) const FILE_BYTES_MAX: u64 = 512 << 20;

/// The kernel takes names of at most 249 bytes.
const NAME_BYTES_MAX: usize = 200;
const CHUNK_BYTES: usize = 64 << 10;

/// A sealed copy; shown in `/proc/PID/maps` under the plugin file's name.
pub(super) struct MemoryFile {
    file: File,
    size: u64,
}

impl MemoryFile {
    /// Copies the file at `path`, which is open as `source`, from its start.
    pub(super) fn copy_of(source: &File, path: &Path) -> Result<Self, String> {
        Self::copy(source, path).map_err(|error| format!("failed to copy it into memory: {}", cause(&error)))
    }

    fn copy(mut source: &File, path: &Path) -> io::Result<Self> {
        let mut name: Vec<u8> = file_name(path).into_bytes();
        name.truncate(NAME_BYTES_MAX);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(rustix::fs::memfd_create(CString::new(name)?, flags)?);
        source.rewind()?;
        let size = io::copy(&mut source.take(FILE_BYTES_MAX), &mut file)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        Ok(MemoryFile { file, size })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The path by which this process opens the copy, as long as it is kept.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }

    /// Tells whether another copy has the same bytes.
    pub(super) fn is_same(&self, other: &MemoryFile) -> bool {
        self.size == other.size && same_bytes(&self.file, &other.file).unwrap_or(false)
    }
}

/// Compares the contents of two files.
pub(super) fn same_bytes(left: &File, right: &File) -> io::Result<bool> {
    let (mut left_chunk, mut right_chunk) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut offset = 0;
    loop {
        let count = left.read_at(&mut left_chunk, offset)?;
        if count == 0 {
            return Ok(right.read_at(&mut right_chunk[..1], offset)? == 0);
        }
        match right.read_exact_at(&mut right_chunk[..count], offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if left_chunk[..count] != right_chunk[..count] {
            return Ok(false);
        }
        offset += count as u64;
    }
}
