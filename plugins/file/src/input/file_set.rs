//! The files that are followed: by inode, by path, in the order of their turns, and which of them are open.

use super::fingerprint::Identity;
use super::followed_file::FollowedFile;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

/// All files that are followed, each in a slot.
pub struct FileSet {
    slots: Vec<Option<FollowedFile>>,
    free: Vec<usize>,
    by_identity: HashMap<Identity, usize>,
    by_path: HashMap<PathBuf, usize>,
    ready: VecDeque<usize>,
    /// Files in the order in which they were opened or had a turn; may name files that were closed since.
    used: VecDeque<usize>,
    open: usize,
    open_max: usize,
}

impl FileSet {
    /// Makes an empty set that keeps at most `open_max` files open.
    pub fn new(open_max: usize) -> FileSet {
        FileSet {
            slots: Vec::new(),
            free: Vec::new(),
            by_identity: HashMap::new(),
            by_path: HashMap::new(),
            ready: VecDeque::new(),
            used: VecDeque::new(),
            open: 0,
            open_max,
        }
    }

    /// Returns the count of files.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a file that is open.
    pub fn insert(&mut self, file: FollowedFile) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.by_identity.insert(file.identity, slot);
        self.by_path.insert(file.path.clone(), slot);
        if slot == self.slots.len() {
            self.slots.push(Some(file));
        } else {
            self.slots[slot] = Some(file);
        }
        self.opened(slot);
        slot
    }

    /// Removes a file.
    pub fn remove(&mut self, slot: usize) -> Option<FollowedFile> {
        let file = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        self.by_identity.remove(&file.identity);
        self.unlink(&file.path, slot);
        if file.file.is_some() {
            self.open -= 1;
        }
        Some(file)
    }

    /// Returns a file.
    pub fn at(&mut self, slot: usize) -> Option<&mut FollowedFile> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Returns the slots in use.
    pub fn slots(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|slot| self.slots[*slot].is_some()).collect()
    }

    /// Finds a file by its inode.
    pub fn with_identity(&self, identity: Identity) -> Option<usize> {
        self.by_identity.get(&identity).copied()
    }

    /// Finds the file that a path leads to, as far as is known.
    pub fn at_path(&self, path: &Path) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// Says that a path leads to this file.
    pub fn link(&mut self, slot: usize, path: &Path) {
        let Some(file) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        let before = std::mem::replace(&mut file.path, path.to_owned());
        self.unlink(&before, slot);
        self.by_path.insert(path.to_owned(), slot);
    }

    /// Says that a path no longer leads to this file.
    pub fn unlink(&mut self, path: &Path, slot: usize) {
        if self.by_path.get(path) == Some(&slot) {
            self.by_path.remove(path);
        }
    }

    /// Gives a file a turn, behind those that wait already.
    pub fn queue(&mut self, slot: usize) {
        if let Some(file) = self.slots.get_mut(slot).and_then(Option::as_mut)
            && !file.is_queued
        {
            file.is_queued = true;
            self.ready.push_back(slot);
        }
    }

    /// Tells whether a file waits for its turn.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns the file whose turn it is.
    pub fn next(&mut self) -> Option<usize> {
        while let Some(slot) = self.ready.pop_front() {
            if let Some(file) = self.at(slot)
                && file.is_queued
            {
                file.is_queued = false;
                return Some(slot);
            }
        }
        None
    }

    /// Tells whether one more file may be opened.
    pub fn has_room(&self) -> bool {
        self.open < self.open_max
    }

    /// Counts a file that was opened.
    pub fn opened(&mut self, slot: usize) {
        self.open += 1;
        self.used.push_back(slot);
    }

    /// Closes the file that was used first of those open; one whose name is gone could not be opened again.
    pub fn close_one(&mut self) -> bool {
        for round in 0..2 {
            for _ in 0..self.used.len() {
                let Some(slot) = self.used.pop_front() else { return false };
                let Some(file) = self.at(slot) else { continue };
                if file.file.is_none() {
                    continue;
                }
                // Those that wait for their turn are spared in the first round.
                if file.detached.is_some() || round == 0 && file.is_queued {
                    self.used.push_back(slot);
                    continue;
                }
                file.file = None;
                self.open -= 1;
                return true;
            }
        }
        false
    }

    /// Runs `open` with room for one more file, closing others as needed; tells whether others were closed.
    pub fn make_room<T>(&mut self, mut open: impl FnMut() -> io::Result<T>) -> (io::Result<T>, bool) {
        let mut closed = false;
        while !self.has_room() && self.close_one() {
            closed = true;
        }
        loop {
            match open() {
                Err(error) if is_out_of_descriptors(&error) && self.close_one() => closed = true,
                result => return (result, closed),
            }
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error();
    number == Some(Errno::MFILE.raw_os_error()) || number == Some(Errno::NFILE.raw_os_error())
}
