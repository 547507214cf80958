//! Opens a plugin file and looks into it without running its code.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::elf;
use super::memory_file::{FILE_BYTES_MAX, MemoryFile, same_bytes};
use super::metadata::{self, Metadata};
use super::permission;
use super::problem::PluginProblem;
use heka_plugin_api::cause;

/// Says what is in a plugin file, once it is known to be loadable as far as that can be seen from outside.
///
/// `owners` are the users beside root and ourselves that may own it. Reads the headers and one section.
pub(super) fn inspect(path: &Path, owners: &[u32]) -> Result<Vec<Metadata>, PluginProblem> {
    let look = || {
        let (file, size) = open(path, owners)?;
        Metadata::parse(&elf::read_metadata(&file, size)?)
    };
    look().map_err(|reason| PluginProblem::of_file(path, reason))
}

/// A checked copy of a plugin file, ready to be loaded.
pub(super) struct CheckedCopy {
    /// The copy.
    pub(super) memory: MemoryFile,
    /// For each crate in it: what it says, and those bytes of the metadata section.
    pub(super) crates: Vec<(Metadata, Vec<u8>)>,
}

/// Copies a plugin file and checks the copy, which nobody can change meanwhile.
pub(super) fn checked_copy(path: &Path, owners: &[u32]) -> Result<CheckedCopy, String> {
    let (file, _) = open(path, owners)?;
    let memory = MemoryFile::copy_of(&file, path)?;
    let section = elf::read_metadata(memory.file(), memory.size())?;
    let crates = metadata::parse(&section)?;
    let crates = crates.into_iter().map(|(metadata, range)| (metadata, section[range].to_vec())).collect();
    Ok(CheckedCopy { memory, crates })
}

/// Opens a plugin file, following symlinks, if nobody but those whom we trust may write it; gives its size too.
fn open(path: &Path, owners: &[u32]) -> Result<(File, u64), String> {
    // A named pipe must not block us.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(opened.map_err(|error| format!("failed to open: {}", cause(&error.into())))?);
    let metadata = file.metadata().map_err(|error| format!("failed to read: {}", cause(&error)))?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    permission::check(path, &metadata, owners)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {FILE_BYTES_MAX} are allowed", metadata.len()));
    }
    Ok((file, metadata.len()))
}

/// Tells whether two paths lead to the same bytes.
pub(super) fn is_same(left: &Path, right: &Path) -> bool {
    let compare = || same_bytes(&File::open(left)?, &File::open(right)?);
    compare().unwrap_or(false)
}
