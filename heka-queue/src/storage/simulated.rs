//! A disk in memory for tests: counts operations, fails on demand, and loses what was not synced.

use super::{FreeBytes, Storage, StorageFile};
use fastrand::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;

/// What can be torn apart: half of an unsynced write may stay, in pieces of this size.
const TORN_BYTES: u64 = 512;

/// A disk, which outlives the queues on it.
#[derive(Clone)]
pub(crate) struct Disk {
    state: Rc<RefCell<State>>,
}

struct State {
    inodes: Vec<Inode>,
    /// Names as processes see them.
    names: BTreeMap<String, usize>,
    /// Names as a power failure leaves them at least, and changes since then.
    durable_names: BTreeMap<String, usize>,
    /// Which process' handles still work.
    process: u64,
    operations: u64,
    /// Operation at which the process dies.
    dies_at: Option<u64>,
    /// Operation that fails, and with which number.
    fails_at: Option<(u64, i32)>,
    /// Bytes that may be written before the disk is full.
    room: u64,
    rng: Rng,
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges written since the last sync.
    unsynced: Vec<(u64, u64)>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The machine goes on: all that was written is there.
    Kill,
    /// What was not synced is there or not, in parts, in any order.
    Power,
}

impl Disk {
    pub(crate) fn new() -> Disk {
        Disk::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Disk {
        let state = State {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            process: 0,
            operations: 0,
            dies_at: None,
            fails_at: None,
            room: u64::MAX,
            rng: Rng::with_seed(seed),
        };
        Disk { state: Rc::new(RefCell::new(state)) }
    }

    /// Begins a process on it.
    pub(crate) fn storage(&self) -> SimulatedStorage {
        SimulatedStorage { state: self.state.clone(), process: self.state.borrow().process }
    }

    /// Ends the process: its handles fail from now on.
    pub(crate) fn crash(&self, how: Crash) {
        let mut state = self.state.borrow_mut();
        state.process += 1;
        (state.dies_at, state.fails_at) = (None, None);
        if how == Crash::Power {
            state.lose();
        }
    }

    /// Lets the process die `after` more operations that change something, in the middle of a write.
    pub(crate) fn die_after(&self, after: u64) {
        let mut state = self.state.borrow_mut();
        state.dies_at = Some(state.operations + after);
    }

    /// Tells whether it has died so.
    pub(crate) fn has_died(&self) -> bool {
        let state = self.state.borrow();
        state.dies_at.is_some_and(|at| state.operations > at)
    }

    /// Lets one operation fail, `after` more that change something.
    pub(crate) fn fail_after(&self, after: u64, number: i32) {
        let mut state = self.state.borrow_mut();
        state.fails_at = Some((state.operations + after, number));
    }

    pub(crate) fn heal(&self) {
        let mut state = self.state.borrow_mut();
        (state.fails_at, state.dies_at) = (None, None);
    }

    /// Sets how many bytes may still be written.
    pub(crate) fn set_room(&self, room: u64) {
        self.state.borrow_mut().room = room;
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state.borrow().operations
    }

    /// Lists names with the lengths of their files.
    pub(crate) fn files(&self) -> Vec<(String, usize)> {
        let state = self.state.borrow();
        state.names.iter().map(|(name, &inode)| (name.clone(), state.inodes[inode].bytes.len())).collect()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let state = self.state.borrow();
        state.names.get(name).map(|&inode| state.inodes[inode].bytes.clone()).unwrap_or_default()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        let inode = Inode { bytes: bytes.to_vec(), durable: bytes.to_vec(), unsynced: Vec::new() };
        state.inodes.push(inode);
        let number = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), number);
        state.durable_names.insert(name.to_owned(), number);
    }

    /// Changes a file's bytes under whoever has it open.
    pub(crate) fn write_in_place(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        if let Some(&inode) = state.names.get(name) {
            state.inodes[inode].bytes = bytes.to_vec();
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.state.borrow_mut();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// Copies it as it is.
    pub(crate) fn fork(&self) -> Disk {
        let copy = Disk::with_seed(self.state.borrow_mut().rng.u64(..));
        for (name, _) in self.files() {
            copy.write(&name, &self.read(&name));
        }
        copy
    }
}

impl State {
    fn lose(&mut self) {
        let State { inodes, names, durable_names, rng, .. } = self;
        for inode in inodes.iter_mut() {
            inode.lose(rng);
        }
        let all: Vec<String> = names.keys().chain(durable_names.keys()).cloned().collect();
        for name in all {
            if rng.bool() {
                match names.get(&name) {
                    Some(&inode) => _ = durable_names.insert(name, inode),
                    None => _ = durable_names.remove(&name),
                }
            }
        }
        *names = durable_names.clone();
    }

    /// Counts an operation that changes something; `Err` if it is not to be.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.dies_at.is_some_and(|at| self.operations > at) {
            return Err(io::Error::from_raw_os_error(125));
        }
        if let Some((at, number)) = self.fails_at
            && self.operations > at
        {
            self.fails_at = None;
            return Err(io::Error::from_raw_os_error(number));
        }
        Ok(())
    }
}

impl Inode {
    fn lose(&mut self, rng: &mut Rng) {
        let (old, new) = (std::mem::take(&mut self.durable), std::mem::take(&mut self.bytes));
        let len = match rng.u8(..4) {
            0 => old.len(),
            1 => rng.usize(old.len().min(new.len())..=old.len().max(new.len())),
            _ => new.len(),
        };
        let mut kept = old;
        kept.resize(len, 0);
        for (from, to) in std::mem::take(&mut self.unsynced) {
            let mut piece = from;
            let stays = rng.u8(..3);
            while piece < to {
                let end = ((piece / TORN_BYTES + 1) * TORN_BYTES).min(to);
                let range = piece as usize..(end as usize).min(kept.len()).min(new.len());
                if (stays == 0 || stays == 1 && rng.bool()) && !range.is_empty() {
                    kept[range.clone()].copy_from_slice(&new[range]);
                }
                piece = end;
            }
        }
        (self.bytes, self.durable) = (kept.clone(), kept);
    }
}

/// What one process sees of a disk.
pub(crate) struct SimulatedStorage {
    state: Rc<RefCell<State>>,
    process: u64,
}

/// A file of a [`SimulatedStorage`].
pub(crate) struct SimulatedFile {
    state: Rc<RefCell<State>>,
    process: u64,
    inode: usize,
}

fn dead() -> io::Error {
    io::Error::from_raw_os_error(125)
}

impl SimulatedStorage {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.borrow_mut();
        if state.process != self.process {
            return Err(dead());
        }
        state.operate()?;
        change(&mut state)
    }

    fn file(&self, inode: usize) -> SimulatedFile {
        SimulatedFile { state: self.state.clone(), process: self.process, inode }
    }
}

impl Storage for SimulatedStorage {
    type File = SimulatedFile;

    fn path(&self) -> &Path {
        Path::new("/simulated")
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.state.borrow();
        let is_in_it = |name: &&String| !name.contains('/');
        if state.process != self.process {
            Err(dead())
        } else {
            Ok(state.names.keys().filter(is_in_it).cloned().collect())
        }
    }

    fn create(&self, name: &str) -> io::Result<SimulatedFile> {
        let inode = self.change(|state| {
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.names.insert(name.to_owned(), inode);
            Ok(inode)
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<SimulatedFile> {
        let state = self.state.borrow();
        if state.process != self.process {
            return Err(dead());
        }
        let inode = state.names.get(name).copied().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| {
            let inode = state.names.remove(from).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change(|state| match state.names.remove(name) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        })
    }

    fn make_directory(&self, _: &str) -> io::Result<()> {
        self.change(|_| Ok(()))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.change(|state| {
            state.durable_names = state.names.clone();
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<FreeBytes> {
        let state = self.state.borrow();
        Ok(FreeBytes { available: state.room, total: u64::MAX })
    }
}

impl SimulatedFile {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.borrow_mut();
        if state.process != self.process { Err(dead()) } else { work(&mut state) }
    }
}

impl StorageFile for SimulatedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let all = &state.inodes[self.inode].bytes;
            let rest = all.get(offset as usize..).unwrap_or_default();
            let len = rest.len().min(bytes.len());
            bytes[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let operated = state.operate();
            let died = state.dies_at.is_some_and(|at| state.operations == at + 1);
            if !died && operated.is_err() {
                return operated.map(|()| 0);
            }
            let mut len = bytes.len();
            if died {
                len = state.rng.usize(..=len);
            } else if state.rng.u8(..8) == 0 && len > 1 {
                len = state.rng.usize(1..len);
            }
            let grown_from = offset.max(state.inodes[self.inode].bytes.len() as u64);
            len = len
                .min(usize::try_from((grown_from - offset).saturating_add(state.room)).unwrap_or(usize::MAX));
            if len == 0 && !bytes.is_empty() && !died {
                return Err(io::Error::from_raw_os_error(28));
            }
            let inode = &mut state.inodes[self.inode];
            let (start, end) = (offset as usize, offset as usize + len);
            if inode.bytes.len() < end {
                inode.bytes.resize(end, 0);
            }
            inode.bytes[start..end].copy_from_slice(&bytes[..len]);
            inode.unsynced.push((start as u64, end as u64));
            if state.room != u64::MAX {
                state.room -= (end as u64).saturating_sub(grown_from);
            }
            operated.map(|()| len)
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            state.operate()?;
            state.inodes[self.inode].bytes.resize(len as usize, 0);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.inodes[self.inode].bytes.len() as u64))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state| {
            state.operate()?;
            let inode = &mut state.inodes[self.inode];
            inode.durable = inode.bytes.clone();
            inode.unsynced.clear();
            Ok(())
        })
    }
}
