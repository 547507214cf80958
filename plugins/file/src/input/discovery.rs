//! Finds the files to follow, and learns where those followed have gone.

use super::config::{From, Watch};
use super::fingerprint::Identity;
use super::followed_file::FollowedFile;
use super::follower::Follower;
use super::patterns::here;
use super::positions::Resume;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Magic numbers of file systems whose changes are made elsewhere, and so are not told: NFS, SMB, CIFS, SMB2, 9P,
/// FUSE, AFS, Ceph.
const REMOTE: [u32; 8] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x5346_414f, 0x00c3_6400];

impl Follower {
    /// Looks at everything: new files, files that have gone, and sizes, since not every change is told.
    pub(super) fn scan(&mut self) {
        let is_first = self.scanned_at.is_none();
        self.scans += 1;
        // Before the files are looked for, so that none appears unseen.
        if self.watcher.is_watching() {
            for (path, error) in self.watcher.watch_directories(self.patterns.directories()) {
                self.complaints.failed(&path, "watch", &error);
            }
        }
        if is_first {
            // Before their successors, for the order of the lines.
            self.find_rotated();
        }
        for found in self.patterns.find().map(owned).collect::<Vec<_>>() {
            match found {
                Ok((pattern, path)) => {
                    let from_end =
                        is_first && self.config.from == From::End && !self.positions.knows_pattern(&pattern);
                    self.found(&path, from_end);
                }
                Err(error) => self.complaints.failed(error.path(), "look into", error.error()),
            }
        }
        self.check_unseen();
        if is_first {
            self.positions.set_patterns(self.patterns.texts());
            self.positions.save(&mut self.complaints);
        }
        self.look_at_sizes(true);
        self.scanned_at = Some(Instant::now());
        self.next_scan = Instant::now() + self.config.rescan_interval.0;
    }

    /// A file or symlink has appeared in a directory that is watched.
    pub(super) fn appeared(&mut self, path: &Path) {
        if self.patterns.naming(path).is_some() {
            self.found(path, false);
        }
    }

    /// Takes a path that a pattern names.
    fn found(&mut self, path: &Path, from_end: bool) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let identity = Identity::of(&metadata);
                let result = match self.files.with_identity(identity) {
                    Some(slot) => {
                        self.found_again(slot, path);
                        Ok(())
                    }
                    None if self.skipped.contains(&identity) => Ok(()),
                    None => self.attach(path, from_end),
                };
                match result {
                    Ok(()) => self.complaints.settle(path),
                    Err(error) => self.complaints.failed(path, "read", &error),
                }
            }
            Ok(_) => {}
            // A symlink that leads nowhere, or a file that has just gone.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.complaints.failed(path, "read", &error),
        }
    }

    /// A path leads to a file that is followed: the one known, or a new one after a rename, or one more.
    fn found_again(&mut self, slot: usize, path: &Path) {
        let scan = self.scans;
        let Some(file) = self.files.at(slot) else { return };
        let is_known = file.path == path && file.detached.is_none();
        if !is_known {
            if file.detached.is_none() && leads_to(&file.path, file.identity) {
                return;
            }
            let id = file.id;
            file.detached = None;
            self.detached.retain(|detached| *detached != slot);
            self.detach_from(path);
            self.files.link(slot, path);
            self.positions.set_path(id, path);
        }
        if let Some(file) = self.files.at(slot) {
            file.scan = scan;
        }
    }

    /// Begins to follow a file.
    fn attach(&mut self, path: &Path, from_end: bool) -> io::Result<()> {
        let file = Arc::new(self.open_file(path)?);
        let metadata = file.metadata()?;
        let identity = Identity::of(&metadata);
        if !metadata.is_file() || self.files.with_identity(identity).is_some() {
            return Ok(());
        }
        let (id, offset) = match self.positions.resume(identity, &file, path)? {
            Resume::At { id, position } => (id, position),
            resume => {
                let start = if from_end && resume == Resume::Unknown { metadata.len() } else { 0 };
                (self.positions.begin(identity, &file, path, start)?, start)
            }
        };
        self.detach_from(path);
        let slot = self.follow(FollowedFile::new(path, id, offset, file, &metadata)?);
        if let Some(file) = self.files.at(slot) {
            file.scan = self.scans;
        }
        Ok(())
    }

    /// Adds an open file, watches it, and gives it a turn.
    fn follow(&mut self, file: FollowedFile) -> usize {
        let (path, open) = (file.path.clone(), file.file.clone());
        let slot = self.files.insert(file);
        if let Some(open) = open {
            self.watch(slot, &open, &path);
        }
        self.files.queue(slot);
        slot
    }

    fn watch(&mut self, slot: usize, open: &File, path: &Path) {
        if !self.watcher.is_watching() || self.config.watch == Watch::Auto && is_remote(open) {
            self.polls = true;
            return;
        }
        match self.watcher.watch_file(open, path, slot) {
            Ok(watch) => {
                if let Some(file) = self.files.at(slot) {
                    file.watch = Some(watch);
                }
            }
            Err(error) => {
                self.polls = true;
                self.complaints.failed(path, "watch (now polled)", &error);
            }
        }
    }

    /// Another file has taken this path: the one that had it was rotated.
    fn detach_from(&mut self, path: &Path) {
        if let Some(slot) = self.files.at_path(path) {
            self.detach(slot);
        }
    }

    /// No path leads to this file any more: it is read until it has been silent for a while.
    fn detach(&mut self, slot: usize) {
        let Some(file) = self.files.at(slot) else { return };
        let path = file.path.clone();
        if file.detached.is_none() {
            file.detached = Some(Instant::now());
            self.detached.push(slot);
        }
        let (is_open, identity) = (file.file.is_some(), file.identity);
        self.files.unlink(&path, slot);
        if !is_open {
            self.find_closed(slot, identity, &path);
        }
        self.files.queue(slot);
    }

    /// A file that was closed to spare descriptors has lost its name: looks for it under another one.
    fn find_closed(&mut self, slot: usize, identity: Identity, path: &Path) {
        let moved = inodes_beside(path).remove(&identity.inode);
        if let (Some(moved), Some(file)) = (moved, self.files.at(slot)) {
            file.path = moved;
        }
    }

    /// Learns whether a file's path still leads to it.
    pub(super) fn check_place(&mut self, slot: usize) {
        let Some(file) = self.files.at(slot) else { return };
        let (path, identity) = (file.path.clone(), file.identity);
        if file.detached.is_some() || leads_to(&path, identity) {
            self.files.queue(slot);
            return;
        }
        self.detach(slot);
        self.found(&path, false);
    }

    /// Looks for the files that the last look at everything did not come by.
    fn check_unseen(&mut self) {
        for slot in self.files.slots() {
            let scan = self.scans;
            if self.files.at(slot).is_some_and(|file| file.scan != scan && file.detached.is_none()) {
                self.check_place(slot);
            }
        }
    }

    /// Gives a turn to each file whose size changed, and to those that failed; `all` includes those watched.
    pub(super) fn look_at_sizes(&mut self, all: bool) {
        for slot in self.files.slots() {
            let Some(file) = self.files.at(slot) else { continue };
            if (all || file.watch.is_none()) && (file.changed() || all && file.is_failed) {
                self.files.queue(slot);
            }
        }
    }

    /// Finds files that were renamed while nobody looked: beside where they were, by their inode.
    fn find_rotated(&mut self) {
        let mut directories: HashMap<PathBuf, HashMap<u64, PathBuf>> = HashMap::new();
        for (identity, path) in self.positions.missing() {
            let directory = path.parent().unwrap_or(Path::new("")).to_owned();
            let inodes = directories.entry(directory).or_insert_with(|| inodes_beside(&path));
            if leads_to(&path, identity) {
                continue;
            }
            let Some(moved) = inodes.get(&identity.inode).cloned() else { continue };
            if let Err(error) = self.attach_rotated(&moved, &path, identity) {
                self.complaints.failed(&moved, "read", &error);
            }
        }
    }

    /// Reads what is left of a renamed file, in the stream it had.
    fn attach_rotated(&mut self, moved: &Path, name: &Path, identity: Identity) -> io::Result<()> {
        let file = Arc::new(self.open_file(moved)?);
        let metadata = file.metadata()?;
        if Identity::of(&metadata) != identity || self.files.with_identity(identity).is_some() {
            return Ok(());
        }
        let Resume::At { id, position } = self.positions.resume(identity, &file, moved)? else {
            return Ok(());
        };
        let mut file = FollowedFile::new(moved, id, position, file, &metadata)?;
        name.clone_into(&mut file.name);
        let slot = self.follow(file);
        self.detach(slot);
        Ok(())
    }
}

fn owned(found: Result<(&str, PathBuf), glob::GlobError>) -> Result<(String, PathBuf), glob::GlobError> {
    found.map(|(pattern, path)| (pattern.to_owned(), path))
}

fn leads_to(path: &Path, identity: Identity) -> bool {
    fs::metadata(path).is_ok_and(|metadata| Identity::of(&metadata) == identity)
}

fn is_remote(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| REMOTE.contains(&(stat.f_type as u32)))
}

/// Lists the directory of a path, and, where it is a symlink, that of what it leads to, by inode.
fn inodes_beside(path: &Path) -> HashMap<u64, PathBuf> {
    let mut directories = HashSet::from([path.parent().unwrap_or(Path::new("")).to_owned()]);
    if let Some(parent) = fs::canonicalize(path).ok().as_deref().and_then(Path::parent) {
        directories.insert(parent.to_owned());
    }
    let entries = directories.iter().filter_map(|directory| fs::read_dir(here(directory)).ok()).flatten();
    entries.flatten().map(|entry| (entry.ino(), entry.path())).collect()
}
