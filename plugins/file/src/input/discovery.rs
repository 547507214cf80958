//! Finds the files to follow, and learns where those followed have gone.

use super::config::{From, Watch};
use super::copies::{self, Copy, holds_compressed, is_sibling};
use super::fingerprint::Fingerprint;
use super::followed_file::FollowedFile;
use super::follower::{Follower, SCAN_PAUSE};
use super::gzip::{Gunzip, is_gzip};
use super::patterns::here;
use super::position_text::{Kept, State};
use super::positions::Resume;
use crate::identity::Identity;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Magic numbers of file systems whose changes are made elsewhere, and so are not told: NFS, SMB, CIFS, SMB2, 9P,
/// FUSE, AFS, Ceph.
const REMOTE: [u32; 8] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x5346_414f, 0x00c3_6400];

/// A compressed file is read when nobody has written to it for so long.
const COMPRESSED_WAIT: Duration = Duration::from_secs(2);

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
        self.positions.forget_done(|path| self.patterns.may_name_compressed(path));
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
                    None if self.is_skipped(identity, &metadata) => Ok(()),
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
        if is_gzip(&file)? {
            return self.attach_gzip(path, file, &metadata, from_end);
        }
        let (id, offset) = match self.positions.resume(identity, &file, path)? {
            Resume::At { id, position } => (id, position),
            resume => {
                if let Resume::Replaced { id } = resume {
                    self.find_copy(id);
                }
                let start = if from_end && resume == Resume::Unknown { metadata.len() } else { 0 };
                (self.positions.begin(identity, &file, path, start)?, start)
            }
        };
        self.detach_from(path);
        self.follow(FollowedFile::new(path, id, offset, file, &metadata)?);
        Ok(())
    }

    /// Begins to read a compressed file, unless what it holds is read already.
    pub(super) fn attach_gzip(
        &mut self,
        path: &Path,
        file: Arc<File>,
        metadata: &Metadata,
        from_end: bool,
    ) -> io::Result<()> {
        let identity = Identity::of(metadata);
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if self.config.follow && age.is_some_and(|age| age < COMPRESSED_WAIT) {
            self.next_scan = self.next_scan.min(Instant::now() + SCAN_PAUSE);
            return Ok(());
        }
        let head = Gunzip::head(&file)?;
        let (id, gunzip) = match self.positions.resume_gzip(identity, &head) {
            Some((_, State::Done, _)) => {
                self.skip(metadata);
                return Ok(());
            }
            Some((id, _, position)) => {
                let mut gunzip = Gunzip::new(&file);
                gunzip.skip_to(position, Fingerprint::EMPTY)?;
                (id, gunzip)
            }
            None => match self.find_compressed(path, &file, identity, &head)? {
                Some((_, None)) => {
                    self.skip(metadata);
                    return Ok(());
                }
                Some((id, Some(gunzip))) => (id, gunzip),
                None => {
                    let id = self.positions.begin_gzip(identity, &file, path, &head, from_end);
                    if from_end {
                        self.skip(metadata);
                        return Ok(());
                    }
                    (id, Gunzip::new(&file))
                }
            },
        };
        self.detach_from(path);
        self.follow(FollowedFile::new_gzip(path, id, file, metadata, gunzip)?);
        Ok(())
    }

    /// Finds the stream whose file was compressed to this one, with the place of its rest; `None` where all is read, or
    /// still is being read.
    fn find_compressed(
        &mut self,
        path: &Path,
        file: &Arc<File>,
        identity: Identity,
        head: &[u8],
    ) -> io::Result<Option<(u64, Option<Gunzip>)>> {
        let streams = self.positions.beginning_with(head);
        // A file that is still there was not compressed to this one.
        let is_gone = |kept: &&Kept| is_sibling(kept, path) && !leads_to(&kept.path, kept.identity);
        let found = streams.into_iter().filter(is_gone).find_map(|kept| {
            let gunzip = holds_compressed(kept, kept.position, kept.tail, file, head).ok()??;
            Some((kept.id, kept.state, gunzip))
        });
        let Some((id, state, gunzip)) = found else { return Ok(None) };
        if self.positions.is_read(id) {
            return Ok(Some((id, None)));
        }
        if state == State::Done {
            self.positions.go_on(id, identity, State::Done, path, file);
            return Ok(Some((id, None)));
        }
        self.positions.go_on(id, identity, State::Gzip, path, file);
        Ok(Some((id, Some(gunzip))))
    }

    /// Leaves a file out, as long as it is as it is now.
    pub(super) fn skip(&mut self, metadata: &Metadata) {
        self.skipped.insert(Identity::of(metadata), (metadata.len(), metadata.mtime()));
    }

    fn is_skipped(&mut self, identity: Identity, metadata: &Metadata) -> bool {
        let is_same = self.skipped.get(&identity).map(|seen| *seen == (metadata.len(), metadata.mtime()));
        if is_same == Some(false) {
            self.skipped.remove(&identity);
        }
        is_same == Some(true)
    }

    /// Adds an open file, watches it, and gives it a turn.
    fn follow(&mut self, file: FollowedFile) -> usize {
        let (path, open) = (file.path.clone(), file.file.clone());
        let (slot, scan) = (self.files.insert(file), self.scans);
        if let Some(file) = self.files.at(slot) {
            file.scan = scan;
        }
        if let Some(open) = open {
            self.watch(slot, &open, &path);
        }
        self.files.queue(slot);
        slot
    }

    pub(super) fn watch(&mut self, slot: usize, open: &File, path: &Path) {
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
        let Some(id) = self.files.at(slot).map(|file| file.id) else { return };
        let kept = self.positions.kept(id).filter(|kept| kept.path == path);
        let moved = kept.and_then(|kept| inodes_beside(kept).remove(&identity.inode));
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

    /// Finds files that were renamed, copied or compressed while nobody looked: beside where they were, by their inode or
    /// by what they hold.
    fn find_rotated(&mut self) {
        let mut directories: HashMap<PathBuf, HashMap<u64, PathBuf>> = HashMap::new();
        for kept in self.positions.missing() {
            let is_there = leads_to(&kept.path, kept.identity);
            if is_there {
                // It may be another file with the same inode: that is seen when it is opened.
                continue;
            }
            let directory = kept.target.parent().unwrap_or(Path::new("")).to_owned();
            let inodes = directories.entry(directory).or_insert_with(|| inodes_beside(&kept));
            let moved = inodes.get(&kept.identity.inode).cloned();
            let found = match moved {
                Some(moved) => self.attach_rotated(&moved, &kept).unwrap_or_else(|error| {
                    self.complaints.failed(&moved, "read", &error);
                    true
                }),
                None => false,
            };
            if !found {
                self.find_copy(kept.id);
            }
        }
    }

    /// Reads what is left of a renamed file, in the stream it had; tells whether it is that file.
    fn attach_rotated(&mut self, moved: &Path, kept: &Kept) -> io::Result<bool> {
        let file = Arc::new(self.open_file(moved)?);
        let metadata = file.metadata()?;
        if Identity::of(&metadata) != kept.identity || self.files.with_identity(kept.identity).is_some() {
            return Ok(false);
        }
        if kept.state == State::Gzip {
            // Where its new name is one to read, it is found by that.
            return Ok(true);
        }
        let Resume::At { id, position } = self.positions.resume(kept.identity, &file, &kept.path)? else {
            return Ok(false);
        };
        self.follow_rotated(FollowedFile::new(moved, id, position, file, &metadata)?, &kept.path);
        Ok(true)
    }

    /// Follows a file that no path leads to, until it is silent.
    fn follow_rotated(&mut self, mut file: FollowedFile, name: &Path) {
        name.clone_into(&mut file.name);
        let slot = self.follow(file);
        self.detach(slot);
    }

    /// Reads what is left of a stream from a copy of what its file held.
    fn find_copy(&mut self, id: u64) {
        let Some(kept) = self.positions.kept(id).filter(|_| !self.positions.is_read(id)).cloned() else {
            return;
        };
        let is_followed = |identity| self.files.with_identity(identity).is_some();
        if let Some(copy) = copies::find(&kept, kept.position, kept.tail, 0, is_followed)
            && let Err(error) = self.attach_copy(&kept, kept.position, copy)
        {
            self.complaints.failed(&kept.path, "read the copy of", &error);
        }
    }

    fn attach_copy(&mut self, kept: &Kept, position: u64, copy: Copy) -> io::Result<()> {
        let file = self.copy(kept, position, copy)?;
        self.follow_rotated(file, &kept.path);
        Ok(())
    }

    /// Makes a stream go on in a copy.
    fn copy(&mut self, kept: &Kept, position: u64, copy: Copy) -> io::Result<FollowedFile> {
        let Copy { path, file, metadata, gunzip } = copy;
        self.complaints.note(format_args!(
            "the rest of `{}` is read from its copy `{}`",
            kept.path.display(),
            path.display()
        ));
        let identity = Identity::of(&metadata);
        let state = if gunzip.is_some() { State::Gzip } else { State::File };
        let followed = match gunzip {
            Some(gunzip) => FollowedFile::new_gzip(&path, kept.id, Arc::clone(&file), &metadata, gunzip)?,
            None => FollowedFile::new(&path, kept.id, position, Arc::clone(&file), &metadata)?,
        };
        self.positions.go_on(kept.id, identity, state, &kept.path, &file);
        Ok(followed)
    }

    /// Goes on with the stream of a file that was cut, in a copy of what it held; tells whether there is one.
    pub(super) fn go_on_in_copy(&mut self, slot: usize) -> bool {
        let Some(file) = self.files.at(slot) else { return false };
        let (id, offset, tail, stream, name) =
            (file.id, file.offset, file.tail(), file.stream, file.name.clone());
        let Some(kept) = self.positions.kept(id).cloned() else { return false };
        let is_followed = |identity| self.files.with_identity(identity).is_some();
        let newer = i64::try_from(kept.seen).unwrap_or(i64::MAX);
        let Some(copy) = copies::find(&kept, offset, tail, newer, is_followed) else { return false };
        match self.copy(&kept, offset, copy) {
            Ok(mut followed) => {
                followed.stream = stream;
                self.follow_rotated(followed, &name);
                true
            }
            Err(error) => {
                self.complaints.failed(&kept.path, "read the copy of", &error);
                false
            }
        }
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

/// Lists the directories that a file was in, with and without symlinks, by inode.
fn inodes_beside(kept: &Kept) -> HashMap<u64, PathBuf> {
    let directories: HashSet<&Path> =
        [&kept.path, &kept.target].into_iter().map(|path| path.parent().unwrap_or(Path::new(""))).collect();
    let entries = directories.iter().filter_map(|directory| fs::read_dir(here(directory)).ok()).flatten();
    entries.flatten().map(|entry| (entry.ino(), entry.path())).collect()
}
