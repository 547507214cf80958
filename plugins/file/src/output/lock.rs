//! Keeps two writers from one file.

use heka_plugin_api::cause;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;

/// Locks a file for this writer alone.
///
/// # Errors
/// Why it can't, naming the process that holds the lock where the system tells.
pub fn lock(file: &File, metadata: &Metadata) -> Result<(), String> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Some network file systems have no locks: writing there is the operator's decision.
        Ok(()) | Err(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(match holder(metadata) {
            Some(pid) if pid == std::process::id() => {
                "another output of this process writes to it".to_owned()
            }
            Some(pid) => format!("process {pid}{} writes to it", name(pid)),
            None => "another process writes to it".to_owned(),
        }),
        Err(error) => Err(cause(&error.into())),
    }
}

/// Finds who holds a lock, in lines such as `1: FLOCK  ADVISORY  WRITE 123 fe:00:456 0 EOF`.
fn holder(metadata: &Metadata) -> Option<u32> {
    let inode = format!(":{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_flock = words.nth(1) == Some("FLOCK");
        let pid = words.nth(2)?.parse().ok()?;
        (is_flock && words.next()?.ends_with(&inode)).then_some(pid)
    })
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.is_empty() { String::new() } else { format!(" (`{}`)", name.trim_end()) }
}
