//! What the pipeline has acknowledged, by source, kept over a restart: the file `acknowledged` in the state directory.
//!
//! Numbers are little-endian. Version 1:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic, `HEKAHOPA` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | CRC-32C of bytes 0 to 11 |
//! | 16 | 240 | zeros |
//! | 256 + 512 n | 256 | place n, one copy |
//! | 512 + 512 n | 256 | place n, the other copy |
//!
//! A place belongs to one source. Its copies are written in turn, each with one `pwrite`, before the agent is told; the
//! valid one with the higher generation counts.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | source |
//! | 16 | 8 | generation, from 1 |
//! | 24 | 8 | settled: the lowest sequence that the agent still waited for |
//! | 32 | 8 | when it was written, seconds since 1970 |
//! | 40 | 4 | count of ranges, at most 12 |
//! | 44 | 4 | zero |
//! | 48 | 192 | the ranges: first and last sequence, 8 bytes each |
//! | 240 | 12 | zeros |
//! | 252 | 4 | CRC-32C of bytes 0 to 251 |
//!
//! Nothing is synced: after a loss of power an agent sends more again than it must, and what the queues behind hold
//! durably is known there by its origin. Of more than 12 ranges the highest are kept; what is not known to be
//! acknowledged is only taken once more.

use crate::protocol::{Range, SourceId};
use heka_plugin_api::fault_point;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"HEKAHOPA";
const VERSION: u32 = 1;
const COPY_BYTES: usize = 256;
const RANGES_MAX: usize = 12;
const CRC_AT: usize = COPY_BYTES - 4;
/// Sources that the file has places for.
pub const SOURCES_MAX: usize = 16_384;
const FILE_BYTES_MAX: usize = COPY_BYTES * (1 + 2 * SOURCES_MAX);

type Copy = [u8; COPY_BYTES];

/// What is known of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub source: SourceId,
    /// Which of the file's places it has.
    pub index: usize,
    pub generation: u64,
    pub settled: u64,
    /// Seconds since 1970.
    pub written: u64,
    /// Ascending.
    pub ranges: Vec<Range>,
}

/// The open file.
pub struct AcknowledgedFile {
    file: File,
    path: PathBuf,
}

/// What opening the file found.
pub struct Opened {
    pub file: AcknowledgedFile,
    pub places: Vec<Place>,
    /// Something to tell the operator.
    pub complaint: Option<String>,
}

impl AcknowledgedFile {
    /// Opens or makes the file. One that can't be read as such is set aside.
    pub fn open(directory: &Path) -> io::Result<Opened> {
        let path = directory.join("acknowledged");
        let bytes = match std::fs::metadata(&path) {
            Ok(found) if found.len() as usize > FILE_BYTES_MAX => Some(Vec::new()),
            Ok(_) => Some(std::fs::read(&path)?),
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(why),
        };
        let mut complaint = None;
        let places = match &bytes {
            Some(bytes) if is_ours(bytes) => places(bytes),
            None => Vec::new(),
            Some(_) => {
                let aside = directory.join("acknowledged.damaged");
                std::fs::rename(&path, &aside)?;
                complaint = Some(format!(
                    "`{}` is damaged or of another version; it is now `{}`, agents may send again what was acknowledged last",
                    path.display(),
                    aside.display()
                ));
                Vec::new()
            }
        };
        let options = &mut File::options();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if places.is_empty() {
            file.write_all_at(&header(), 0)?;
        }
        Ok(Opened { file: AcknowledgedFile { file, path }, places, complaint })
    }

    /// Writes a source's place anew.
    pub fn write(&self, place: &Place) -> io::Result<()> {
        let at = COPY_BYTES * (1 + 2 * place.index + (place.generation % 2) as usize);
        fault_point("hop.acknowledged.write");
        self.file.write_all_at(&encode(place), at as u64)?;
        fault_point("hop.acknowledged.written");
        Ok(())
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn header() -> Copy {
    let mut header = [0; COPY_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..16].copy_from_slice(&crc.to_le_bytes());
    header
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(&header()[..16])
}

/// Returns the valid places, one for each source.
fn places(bytes: &[u8]) -> Vec<Place> {
    let (copies, _) = bytes.as_chunks::<COPY_BYTES>();
    let mut newest: HashMap<SourceId, Place> = HashMap::new();
    for (number, copy) in copies.iter().skip(1).enumerate() {
        let Some(place) = decode(copy, number / 2) else { continue };
        let known = newest.get(&place.source).map_or(0, |known| known.generation);
        if place.generation > known {
            newest.insert(place.source, place);
        }
    }
    // Where a source gave its place to another, only one of the two copies is the newer one's.
    let mut by_index: HashMap<usize, Place> = HashMap::new();
    for place in newest.into_values() {
        let known = by_index.get(&place.index).map_or(0, |known| known.generation);
        if place.generation > known {
            by_index.insert(place.index, place);
        }
    }
    by_index.into_values().collect()
}

fn encode(place: &Place) -> Copy {
    let mut copy = [0; COPY_BYTES];
    let kept = &place.ranges[place.ranges.len().saturating_sub(RANGES_MAX)..];
    copy[..16].copy_from_slice(&place.source);
    copy[16..24].copy_from_slice(&place.generation.to_le_bytes());
    copy[24..32].copy_from_slice(&place.settled.to_le_bytes());
    copy[32..40].copy_from_slice(&place.written.to_le_bytes());
    copy[40..44].copy_from_slice(&(kept.len() as u32).to_le_bytes());
    let room = copy[48..].as_chunks_mut::<16>().0;
    for ((first, last), room) in kept.iter().zip(room) {
        room[..8].copy_from_slice(&first.to_le_bytes());
        room[8..].copy_from_slice(&last.to_le_bytes());
    }
    let crc = crc32c::crc32c(&copy[..CRC_AT]);
    copy[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    copy
}

fn decode(copy: &Copy, index: usize) -> Option<Place> {
    let number = |at: usize| copy[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let short = |at: usize| copy[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let (count, generation) = (short(40) as usize, number(16));
    if short(CRC_AT) != crc32c::crc32c(&copy[..CRC_AT]) || generation == 0 || count > RANGES_MAX {
        return None;
    }
    let ranges: Vec<Range> = (0..count).map(|n| (number(48 + 16 * n), number(56 + 16 * n))).collect();
    let ascend = ranges.is_sorted_by(|a, b| a.1 < b.0) && ranges.iter().all(|(first, last)| first <= last);
    let place = Place {
        source: *copy.first_chunk()?,
        index,
        generation,
        settled: number(24),
        written: number(32),
        ranges,
    };
    ascend.then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: u8, index: usize, generation: u64, ranges: &[Range]) -> Place {
        Place { source: [source; 16], index, generation, settled: 3, written: 77, ranges: ranges.to_vec() }
    }

    fn reopened(directory: &Path) -> Vec<Place> {
        let mut places = AcknowledgedFile::open(directory).unwrap().places;
        places.sort_by_key(|place| place.index);
        places
    }

    #[test]
    fn the_newest_valid_copy_of_each_place_counts() {
        let directory = tempfile::tempdir().unwrap();
        let opened = AcknowledgedFile::open(directory.path()).unwrap();
        assert!(opened.places.is_empty() && opened.complaint.is_none());
        let (one, two) = (place(1, 0, 1, &[(4, 9)]), place(2, 1, 1, &[(5, 5), (7, 9)]));
        opened.file.write(&one).unwrap();
        opened.file.write(&two).unwrap();
        assert_eq!(reopened(directory.path()), [one.clone(), two.clone()]);
        let newer = place(1, 0, 2, &[(4, 20)]);
        opened.file.write(&newer).unwrap();
        assert_eq!(reopened(directory.path()), [newer.clone(), two.clone()]);
        // The newer copy is torn: the older one counts.
        let path = opened.file.path().to_owned();
        let whole = std::fs::read(&path).unwrap();
        for at in 256..512 {
            let mut torn = whole.clone();
            torn[at] ^= 0x10;
            std::fs::write(&path, torn).unwrap();
            assert_eq!(reopened(directory.path()), [one.clone(), two.clone()], "byte {at}");
        }
        std::fs::write(&path, &whole[..700]).unwrap();
        assert_eq!(reopened(directory.path()), [newer]);
        // A place that another source has taken over.
        std::fs::write(&path, whole).unwrap();
        opened.file.write(&place(3, 0, 3, &[])).unwrap();
        assert_eq!(reopened(directory.path()), [place(3, 0, 3, &[]), two]);
    }

    #[test]
    fn the_highest_ranges_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let ranges: Vec<Range> = (0..20).map(|n| (n * 10, n * 10 + 5)).collect();
        let opened = AcknowledgedFile::open(directory.path()).unwrap();
        opened.file.write(&place(1, 0, 1, &ranges)).unwrap();
        assert_eq!(reopened(directory.path())[0].ranges, ranges[8..]);
    }

    #[test]
    fn a_file_that_is_not_ours_is_set_aside() {
        let check = |bytes: &[u8]| {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("acknowledged"), bytes).unwrap();
            let opened = AcknowledgedFile::open(directory.path()).unwrap();
            assert!(opened.places.is_empty() && opened.complaint.unwrap().contains("is damaged"));
            assert_eq!(std::fs::read(directory.path().join("acknowledged.damaged")).unwrap(), bytes);
            opened.file.write(&place(1, 0, 1, &[(1, 2)])).unwrap();
            assert_eq!(reopened(directory.path()).len(), 1);
        };
        check(&[0; 1024]);
        check(b"");
        check(b"text");
        let mut future = header().to_vec();
        future[8] = 2;
        check(&future);
    }
}
