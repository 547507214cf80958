//! The file `commits` of an output's state directory: how far each of its files is written with whole records.
//!
//! All numbers are little-endian. The file is a head and then places of 256 bytes, one for each path:
//!
//! ```text
//! head, 256 bytes     0   8  "HEKACMT" and a newline
//!                     8   4  version of the format, 1
//!                    12 244  zeros
//! place, 256 bytes    0 128  a commit, or anything that is none
//!                   128 128  a commit, or anything that is none; the one with the greater generation holds
//! commit, 128 bytes   0   4  CRC-32C of the bytes from 4 to 128
//!                     4   4  flags: 1 the file was closed in order, 2 the queue asks for syncs
//!                     8   8  generation: grows with each commit of the whole file
//!                    16  16  the path: the first 16 bytes of its SHA-256
//!                    32   8  the file's device
//!                    40   8  its inode
//!                    48  16  id of the durable queue that the messages came from, or zeros
//!                    64   8  the machine's run: the first 8 bytes of its boot id, or zero where there is none
//!                    72  24  what is written: a mark
//!                    96  24  what was synced: a mark, which holds with flag 2
//!                   120   8  zeros
//! mark, 24 bytes      0   8  the file's length in whole records
//!                     8   8  messages of the queue with numbers below this one are written
//!                    16   4  CRC-32C of the bytes before the length
//!                    20   4  how many bytes that is of: the length, at most 1024; less where they can't be read
//! ```
//!
//! A commit is one write over the older half of its place, without a sync: the page cache outlives the process. What
//! a crash tears is the older half, so that the newer one holds. A place whose file is closed is given to another path
//! when more than `PLACES_MAX` (or twice the files that may be open) are taken: that of the oldest commit first.

use super::commit::{COMMIT_BYTES, Commit};
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"HEKACMT\n";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 256;
const PLACE_BYTES: usize = 2 * COMMIT_BYTES;
/// Messages that come again after a crash are those of a few batches of 256: so many paths at most.
const PLACES_MAX: usize = 4096;

/// The commits of all paths of an output.
pub struct Commits {
    /// `None` where nothing can be kept.
    file: Option<File>,
    places: Vec<Place>,
    by_key: HashMap<[u8; 16], usize>,
    generation: u64,
    boot: u64,
    max: usize,
    is_synced: bool,
}

/// One path's place in the file.
#[derive(Default)]
struct Place {
    commit: Commit,
    generation: u64,
    /// Whether the newer commit is the second one.
    second: bool,
    is_open: bool,
}

impl Commits {
    /// Keeps nothing: for an output that was not started.
    pub fn none() -> Commits {
        Commits {
            file: None,
            places: Vec::new(),
            by_key: HashMap::new(),
            generation: 0,
            boot: 0,
            max: 0,
            is_synced: false,
        }
    }

    /// Loads the commits kept in a directory, for an output that holds at most `open_max` files open.
    ///
    /// What can't be read is moved aside: files are then only appended to. Where there is nothing and nothing can be
    /// made, nothing is kept.
    ///
    /// # Errors
    /// There are commits but they can't be changed, so that they would come to be wrong.
    pub fn load(directory: &Path, open_max: usize, instance: &str) -> Result<Commits, String> {
        let path = directory.join("commits");
        let max = PLACES_MAX.max(open_max.saturating_mul(2));
        let mut commits = Commits { boot: boot(), max, ..Commits::none() };
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if !path.exists() => {
                log::warn!(
                    "output `{instance}`: failed to make `{}`: {}; after a crash its files may end with a torn \
                     record, and messages may be written again",
                    path.display(),
                    cause(&error)
                );
                return Ok(commits);
            }
            Err(error) => return Err(format!("failed to open `{}`: {}", path.display(), cause(&error))),
        };
        let failed = |error: io::Error| format!("failed to read `{}`: {}", path.display(), cause(&error));
        let content = fs::read(&path).map_err(failed)?;
        let file = match problem(&content) {
            None => {
                commits.take(&content);
                file
            }
            Some(_) if content.is_empty() => begin(file).map_err(failed)?,
            Some(problem) => {
                let aside = move_aside(&path).map_err(failed)?;
                log::warn!(
                    "output `{instance}`: the commits in `{}` can't be used: {problem}; moved to `{}`, appending to all \
                     files as they are",
                    path.display(),
                    aside.display()
                );
                let options = File::options().read(true).write(true).create_new(true).open(&path);
                options.and_then(begin).map_err(failed)?
            }
        };
        commits.file = Some(file);
        Ok(commits)
    }

    /// Reads all places.
    fn take(&mut self, content: &[u8]) {
        let (places, _) = content.get(HEAD_BYTES..).unwrap_or_default().as_chunks::<PLACE_BYTES>();
        for (index, bytes) in places.iter().enumerate() {
            let (halves, _) = bytes.as_chunks::<COMMIT_BYTES>();
            let newest = halves.iter().enumerate().filter_map(|(half, bytes)| {
                Commit::decode(bytes).map(|(commit, generation)| (generation, commit, half == 1))
            });
            let Some((generation, commit, second)) = newest.max_by_key(|(generation, ..)| *generation) else {
                self.places.push(Place::default());
                continue;
            };
            self.places.push(Place { commit, generation, second, is_open: false });
            self.generation = self.generation.max(generation);
            let newer =
                self.by_key.get(&commit.key).is_none_or(|&other| self.places[other].generation < generation);
            if newer {
                self.by_key.insert(commit.key, index);
            }
        }
    }

    /// Tells whether anything can be kept.
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Returns this run of the machine.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Returns the key of a path.
    pub fn key(path: &[u8]) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(path)[..16]);
        key
    }

    /// Returns what is kept of a path.
    pub fn known(&self, key: &[u8; 16]) -> Option<&Commit> {
        self.by_key.get(key).map(|&place| &self.places[place].commit)
    }

    /// Finds or makes the place of a path that is opened; it stays the path's until [`release`](Commits::release).
    ///
    /// # Errors
    /// The file can't grow.
    pub fn place(&mut self, key: [u8; 16]) -> io::Result<usize> {
        let place = match self.by_key.get(&key) {
            Some(&place) => place,
            None => self.free_place()?,
        };
        let held = &mut self.places[place];
        if held.commit.key != key {
            if self.by_key.get(&held.commit.key) == Some(&place) {
                self.by_key.remove(&held.commit.key);
            }
            held.commit = Commit { key, ..Commit::default() };
            self.by_key.insert(key, place);
        }
        self.places[place].is_open = true;
        Ok(place)
    }

    fn free_place(&mut self) -> io::Result<usize> {
        if self.places.len() >= self.max {
            let closed = self.places.iter().enumerate().filter(|(_, place)| !place.is_open);
            if let Some((oldest, _)) = closed.min_by_key(|(_, place)| place.generation) {
                return Ok(oldest);
            }
        }
        // Written now, so that later commits need no more room on the disk.
        if let Some(file) = &self.file {
            file.write_all_at(&[0; PLACE_BYTES], at(self.places.len(), false))?;
        }
        self.places.push(Place::default());
        Ok(self.places.len() - 1)
    }

    /// Says that the file of a place is closed.
    pub fn release(&mut self, place: usize) {
        if let Some(place) = self.places.get_mut(place) {
            place.is_open = false;
        }
    }

    /// Keeps a commit; what it says outlives the process.
    ///
    /// # Errors
    /// It could not be written: the commit before holds.
    pub fn write(&mut self, place: usize, commit: &Commit) -> io::Result<()> {
        let Some(held) = self.places.get_mut(place) else { return Ok(()) };
        let (second, generation) = (!held.second, self.generation + 1);
        if let Some(file) = &self.file {
            let bytes = commit.encode(generation);
            file.write_all_at(&bytes, at(place, second))?;
        }
        (held.commit, held.generation, held.second) = (*commit, generation, second);
        self.generation = generation;
        Ok(())
    }

    /// Marks the files that are closed as synced.
    pub fn mark_closed_synced(&mut self) -> io::Result<()> {
        for place in 0..self.places.len() {
            let Place { commit, is_open, .. } = &self.places[place];
            let is_synced = commit.is_synced && commit.synced == commit.written;
            if !is_open && !is_synced {
                let commit = Commit { synced: commit.written, is_synced: true, ..*commit };
                self.write(place, &commit)?;
            }
        }
        Ok(())
    }

    /// Makes all commits durable against loss of power.
    pub fn sync(&mut self, directory: &Path) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        file.sync_data()?;
        if !self.is_synced {
            // Once: the file's name too.
            File::open(directory)?.sync_all()?;
            self.is_synced = true;
        }
        fault_point("file.output.commits_synced");
        Ok(())
    }
}

/// Where a half of a place is in the file.
fn at(place: usize, second: bool) -> u64 {
    (HEAD_BYTES + place * PLACE_BYTES + if second { COMMIT_BYTES } else { 0 }) as u64
}

/// Says what is wrong with a file of commits.
fn problem(content: &[u8]) -> Option<String> {
    let Some(head) = content.get(..12) else { return Some("it is cut off".to_owned()) };
    if head[..8] != *MAGIC {
        return Some("it does not begin as one".to_owned());
    }
    let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    (version != VERSION).then(|| format!("its format is version {version}, and this is version {VERSION}"))
}

fn begin(file: File) -> io::Result<File> {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    file.write_all_at(&head, 0)?;
    Ok(file)
}

fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_extension("bad");
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Returns the machine's run, or 0 if that can't be told.
fn boot() -> u64 {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::commit::Mark;
    use super::*;

    fn commit(path: &str, length: u64) -> Commit {
        let written = Mark { length, ..Mark::default() };
        Commit { key: Commits::key(path.as_bytes()), written, ..Commit::default() }
    }

    fn keep(commits: &mut Commits, path: &str, length: u64) -> usize {
        let commit = commit(path, length);
        let place = commits.place(commit.key).unwrap();
        commits.write(place, &commit).unwrap();
        place
    }

    fn lengths(commits: &Commits, paths: &[&str]) -> Vec<Option<u64>> {
        let known =
            |path: &&str| commits.known(&Commits::key(path.as_bytes())).map(|known| known.written.length);
        paths.iter().map(known).collect()
    }

    #[test]
    fn the_last_commit_of_each_path_is_found_again_and_a_torn_one_gives_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut commits = Commits::load(directory.path(), 1, "test").unwrap();
        for length in 1..=5 {
            keep(&mut commits, "a", length);
            keep(&mut commits, "b", length + 10);
        }
        let path = directory.path().join("commits");
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), HEAD_BYTES + 2 * PLACE_BYTES);
        let load = || lengths(&Commits::load(directory.path(), 1, "test").unwrap(), &["a", "b", "c"]);
        assert_eq!(load(), [Some(5), Some(15), None]);
        // The first commit went to the second half, and so did the fifth.
        let mut torn = content.clone();
        torn[HEAD_BYTES + COMMIT_BYTES + 50] ^= 1;
        fs::write(&path, &torn).unwrap();
        assert_eq!(load(), [Some(4), Some(15), None]);
        fs::write(&path, &content[..content.len() - 1]).unwrap();
        assert_eq!(load(), [Some(5), None, None]);
    }

    #[test]
    fn what_is_no_file_of_commits_is_moved_aside() {
        let mut future = [0; HEAD_BYTES];
        future[..8].copy_from_slice(MAGIC);
        future[8] = 2;
        for content in [&b"short"[..], &[0; 4096], &future] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("commits"), content).unwrap();
            let mut commits = Commits::load(directory.path(), 1, "test").unwrap();
            assert_eq!(fs::read(directory.path().join("commits.bad")).unwrap(), content);
            keep(&mut commits, "a", 1);
            let commits = Commits::load(directory.path(), 1, "test").unwrap();
            assert_eq!(lengths(&commits, &["a"]), [Some(1)]);
        }
    }

    #[test]
    fn places_are_used_again_for_other_paths_unless_they_are_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut commits = Commits::load(directory.path(), 1, "test").unwrap();
        commits.max = 2;
        let a = keep(&mut commits, "a", 1);
        let b = keep(&mut commits, "b", 2);
        commits.release(b);
        assert_eq!(keep(&mut commits, "c", 3), b);
        assert_eq!(lengths(&commits, &["a", "b", "c"]), [Some(1), None, Some(3)]);
        commits.release(a);
        assert_eq!(keep(&mut commits, "d", 4), a);
        // With all open, there are more.
        assert_eq!(keep(&mut commits, "e", 5), 2);
        let commits = Commits::load(directory.path(), 1, "test").unwrap();
        assert_eq!(lengths(&commits, &["a", "c", "d", "e"]), [None, Some(3), Some(4), Some(5)]);
    }
}
