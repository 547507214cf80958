//! Takes damaged bytes out of the way, so that nobody reads them twice and a person can look at them.

use crate::format::{QUARANTINE, segment_name};
use crate::scan::Damage;
use crate::storage::{Storage, StorageFile, read_what_is_readable_at, write_all_at};
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use std::io;

const COPY_BYTES: usize = 256 << 10;
/// Most ranges of lost numbers that are named.
const LOST_MAX: usize = 100;

/// What was found damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damages {
    /// Places, each a block or what was one.
    pub blocks: u64,
    /// Bytes there, copied to `quarantine/` where that was possible.
    pub bytes: u64,
    /// Bytes cut off as the beginning of a last block that was never finished.
    pub bytes_torn: u64,
    /// First and last of numbers among which messages were lost, oldest first; at most 100 such ranges.
    pub lost: Vec<(u64, u64)>,
}

impl Damages {
    pub(crate) fn add(&mut self, other: Damages) {
        self.blocks += other.blocks;
        self.bytes += other.bytes;
        self.bytes_torn += other.bytes_torn;
        for (first, last) in other.lost {
            self.lose(first, last);
        }
    }

    /// Notes that messages with these numbers may be lost.
    pub(crate) fn lose(&mut self, first: u64, last: u64) {
        if first <= last && self.lost.len() < LOST_MAX && !self.lost.contains(&(first, last)) {
            self.lost.push((first, last));
        }
    }

    /// Tells whether nothing is.
    pub fn is_empty(&self) -> bool {
        *self == Damages::default()
    }
}

/// Copies damaged bytes of a segment to `quarantine/` and puts a void over them, or cuts them off at the end; tells
/// whether they were cut off.
///
/// Where there is no room for a copy they stay under the void.
pub(crate) fn set_aside<S: Storage>(
    storage: &S,
    file: &S::File,
    segment: u64,
    damage: &Damage,
    len: u64,
    salt: u64,
) -> bool {
    let name = segment_name(segment);
    let copied = copy(storage, file, &name, damage);
    fault_point("queue.quarantine.copied");
    let is_cut_off = copied.is_ok() && damage.to >= len && file.truncate(damage.from).is_ok();
    let voided = match damage.void(salt) {
        Some(void) if !is_cut_off => write_all_at(file, &void, damage.from),
        _ => Ok(()),
    };
    fault_point("queue.quarantine.voided");
    if let Err(error) = copied.and(voided) {
        let directory = storage.path().display();
        log::warn!("queue `{directory}`: failed to quarantine a part of `{name}`: {}", cause(&error));
    }
    is_cut_off
}

fn copy<S: Storage>(storage: &S, file: &S::File, name: &str, damage: &Damage) -> io::Result<()> {
    storage.make_directory(QUARANTINE)?;
    let copy_name = format!("{QUARANTINE}/{}-{}.bytes", name.trim_end_matches(".segment"), damage.from);
    let copy = match storage.create(&copy_name) {
        // Of an attempt that was broken off.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => storage.open(&copy_name)?,
        created => created?,
    };
    let mut bytes = vec![0; COPY_BYTES.min((damage.to - damage.from) as usize)];
    let mut at = damage.from;
    while at < damage.to {
        let wanted = bytes.len().min((damage.to - at) as usize);
        let read = read_what_is_readable_at(file, &mut bytes[..wanted], at);
        if read == 0 {
            break;
        }
        write_all_at(&copy, &bytes[..read], at - damage.from)?;
        at += read as u64;
    }
    copy.sync()
}

/// Moves a whole file to `quarantine/`.
pub(crate) fn set_file_aside<S: Storage>(storage: &S, name: &str) -> io::Result<()> {
    storage.make_directory(QUARANTINE)?;
    storage.rename(name, &format!("{QUARANTINE}/{name}"))?;
    fault_point("queue.quarantine.moved");
    Ok(())
}
