//! Tells files apart.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Device and inode: the same for all names of a file, and used again after its deletion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Identity {
    /// Number of the device.
    pub device: u64,
    /// Number of the inode on it.
    pub inode: u64,
}

impl Identity {
    /// Returns the identity of the file that was looked at.
    pub fn of(metadata: &Metadata) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }
}
