//! How far each file was read and acknowledged, kept durably.

use super::complaints::Complaints;
use super::fingerprint::{EDGE_BYTES, Fingerprint};
use super::gzip::begins_with;
use super::place::Place;
use super::position_file::PositionFile;
use super::position_text::{self, Kept, State};
use crate::identity::Identity;
use heka_plugin_api::now;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Positions are saved at most this often,
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// and after this many bytes were acknowledged at most this often.
const BUSY_SAVE_INTERVAL: Duration = Duration::from_millis(100);
const BUSY_BYTES: u64 = 1 << 20;
/// Making the text of a save takes at most one part in so many of the input's time.
const SAVE_TIME_PART: u32 = 20;
/// A file not seen for so long is forgotten: a disk may be mounted late, but not a week late.
const FORGET_SECONDS: u64 = 7 * 24 * 3600;
/// What was read to its end is remembered for longer, since its file may be compressed a month later.
const FORGET_DONE_SECONDS: u64 = 35 * 24 * 3600;

/// What is known of a file that was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// It is the same file: go on in the stream `id` at `position`.
    At {
        /// Id of the stream.
        id: u64,
        /// The next byte to read.
        position: u64,
    },
    /// Its inode is known, but it is another file, or was written anew: read it from the beginning. What is left of
    /// the stream `id` may be in a copy.
    Replaced {
        /// Id of the stream.
        id: u64,
    },
    /// Nothing is known of it.
    Unknown,
}

/// The positions of all streams of an input, in one file of its state directory.
pub struct Positions {
    file: PositionFile,
    places: HashMap<u64, Place>,
    by_identity: HashMap<Identity, u64>,
    /// Patterns of the run before; empty at the first start.
    known_patterns: Vec<String>,
    /// Whether something was kept that can't be read.
    is_lost: bool,
    changed: bool,
    /// Whether ids or heads wait to be saved before something can be handed on.
    is_awaited: bool,
    /// Bytes acknowledged since the last save.
    acknowledged: u64,
    saved_at: Option<Instant>,
    /// How long the input's thread took for the last save.
    save_time: Duration,
    /// How many saves were begun, and how many have ended.
    sent: u64,
    saved: u64,
}

impl Positions {
    /// Loads the positions kept in a directory.
    pub fn load(directory: &Path, complaints: &mut Complaints) -> Positions {
        let file = PositionFile::new(directory);
        let loaded = file.load(complaints);
        let mut positions = Positions {
            file,
            places: HashMap::new(),
            by_identity: HashMap::new(),
            known_patterns: loaded.patterns,
            is_lost: loaded.is_lost,
            changed: false,
            is_awaited: false,
            acknowledged: 0,
            saved_at: None,
            save_time: Duration::ZERO,
            sent: 0,
            saved: 0,
        };
        loaded.streams.into_iter().for_each(|kept| positions.insert(Place::loaded(kept)));
        positions
    }

    /// Takes over what an instance knows that this one replaces.
    pub fn take_over(&mut self, predecessor: &mut Positions, complaints: &mut Complaints) {
        if predecessor.file.path() == self.file.path() {
            predecessor.wait(complaints);
            self.places = std::mem::take(&mut predecessor.places);
            self.by_identity = std::mem::take(&mut predecessor.by_identity);
            self.known_patterns = std::mem::take(&mut predecessor.known_patterns);
            (self.is_lost, self.sent, self.saved) =
                (predecessor.is_lost, predecessor.sent, predecessor.saved);
            self.is_awaited = predecessor.is_awaited;
            (self.changed, predecessor.changed, predecessor.is_awaited) = (true, false, false);
        }
    }

    /// Says that no file is found yet.
    pub fn miss_all(&mut self) {
        self.places.values_mut().for_each(|place| place.followed = false);
    }

    fn insert(&mut self, place: Place) {
        let kept = &place.kept;
        if kept.identity != Identity::default() {
            self.by_identity.insert(kept.identity, kept.id);
        }
        self.places.insert(kept.id, place);
    }

    /// Tells whether an earlier run had this pattern too, or may have had it.
    pub fn knows_pattern(&self, pattern: &str) -> bool {
        self.is_lost || self.known_patterns.iter().any(|known| known == pattern)
    }

    /// Sets the patterns of this run.
    pub fn set_patterns<'a>(&mut self, patterns: impl Iterator<Item = &'a str>) {
        let patterns: Vec<String> = patterns.map(str::to_owned).collect();
        if patterns != self.known_patterns {
            (self.known_patterns, self.is_awaited) = (patterns, true);
        }
    }

    /// Returns what is kept of a stream.
    pub fn kept(&self, id: u64) -> Option<&Kept> {
        self.places.get(&id).map(|place| &place.kept)
    }

    /// Looks up a file that was found and opened, and is not compressed.
    pub fn resume(&mut self, identity: Identity, file: &Arc<File>, path: &Path) -> io::Result<Resume> {
        let known = self.by_identity.get(&identity).and_then(|id| self.places.get_mut(id));
        let Some(place) = known else { return Ok(Resume::Unknown) };
        let (id, state) = (place.kept.id, place.kept.state);
        if state == State::Gzip || !place.is_in(file)? {
            match state {
                State::File => self.cut(id, None),
                _ => self.forget(id),
            }
            return Ok(Resume::Replaced { id });
        }
        place.kept.state = State::File;
        place.end = None;
        let position = place.kept.position.max(place.handed_on);
        self.found(id, path, file);
        Ok(Resume::At { id, position })
    }

    /// Looks up the compressed file that a stream is read from, or was; what it holds begins with `head`. Returns the
    /// stream's id, what is left of it, and the position.
    pub fn resume_gzip(&mut self, identity: Identity, head: &[u8]) -> Option<(u64, State, u64)> {
        let &id = self.by_identity.get(&identity)?;
        let place = self.places.get_mut(&id)?;
        let state = place.kept.state;
        if matches!(state, State::Gzip | State::Done) && begins_with(head, place.kept.head) {
            place.followed = true;
            return Some((id, state, place.kept.position.max(place.handed_on)));
        }
        match state {
            State::File => self.cut(id, None),
            _ => self.forget(id),
        }
        None
    }

    /// Returns the streams whose rest may be in a file that begins with these bytes.
    pub fn beginning_with(&self, head: &[u8]) -> Vec<&Kept> {
        let places = self.places.values().map(|place| &place.kept);
        places.filter(|kept| kept.head.len > 0 && begins_with(head, kept.head)).collect()
    }

    /// Tells whether a stream's own file is open, or was read to its end in this run.
    pub fn is_read(&self, id: u64) -> bool {
        let is_read = |place: &Place| place.followed && place.file.strong_count() > 0 || place.end.is_some();
        self.places.get(&id).is_some_and(is_read)
    }

    /// Goes on with a stream in another file that holds what its own did.
    pub fn go_on(&mut self, id: u64, identity: Identity, state: State, path: &Path, file: &Arc<File>) {
        let Some(place) = self.places.get_mut(&id) else { return };
        let before = place.kept.identity;
        (place.kept.identity, place.kept.state, place.end) = (identity, state, None);
        if self.by_identity.get(&before) == Some(&id) {
            self.by_identity.remove(&before);
        }
        self.by_identity.insert(identity, id);
        self.found(id, path, file);
        self.is_awaited = true;
    }

    /// Begins a stream in a file at a position; returns its new id.
    pub fn begin(
        &mut self,
        identity: Identity,
        file: &Arc<File>,
        path: &Path,
        position: u64,
    ) -> io::Result<u64> {
        let (head, tail) = (Fingerprint::of_head(file)?, Fingerprint::before(file, position)?);
        Ok(self.begin_as(State::File, identity, path, file, (head, position, tail)))
    }

    /// Begins a stream of what a compressed file holds, which begins with `head`; `is_done` says that it is not wanted.
    pub fn begin_gzip(
        &mut self,
        identity: Identity,
        file: &Arc<File>,
        path: &Path,
        head: &[u8],
        is_done: bool,
    ) -> u64 {
        let state = if is_done { State::Done } else { State::Gzip };
        self.begin_as(state, identity, path, file, (Fingerprint::of(head), 0, Fingerprint::EMPTY))
    }

    fn begin_as(
        &mut self,
        state: State,
        identity: Identity,
        path: &Path,
        file: &Arc<File>,
        (head, position, tail): (Fingerprint, u64, Fingerprint),
    ) -> u64 {
        let (id, target) = (fastrand::u64(1..), target(path));
        let path = path.to_owned();
        let kept = Kept { state, id, identity, position, head, tail, seen: seconds(), path, target };
        self.insert(Place::new(kept));
        self.set_file(id, file);
        self.is_awaited = true;
        id
    }

    fn found(&mut self, id: u64, path: &Path, file: &Arc<File>) {
        if let Some(place) = self.places.get_mut(&id) {
            path.clone_into(&mut place.kept.path);
            place.kept.target = target(path);
            (place.followed, place.held, place.file) = (true, None, Arc::downgrade(file));
        }
    }

    /// Tells of the open file of a stream.
    pub fn set_file(&mut self, id: u64, file: &Arc<File>) {
        if let Some(place) = self.places.get_mut(&id) {
            (place.file, place.followed) = (Arc::downgrade(file), true);
        }
    }

    /// Tells of a stream's file's new name.
    pub fn set_path(&mut self, id: u64, path: &Path) {
        if let Some(place) = self.places.get_mut(&id) {
            path.clone_into(&mut place.kept.path);
            place.kept.target = target(path);
            self.changed = true;
        }
    }

    /// Returns up to where a stream may be handed on.
    pub fn covered(&mut self, id: u64) -> u64 {
        let saved = self.saved;
        self.places.get_mut(&id).map_or(0, |place| place.covered(saved))
    }

    /// Asks for a save after which more of a stream may be handed on.
    pub fn cover(&mut self, id: u64, file: &File) -> io::Result<()> {
        let saved = self.saved;
        let Some(place) = self.places.get_mut(&id) else { return Ok(()) };
        if place.kept.state == State::File && place.kept.head.len < EDGE_BYTES {
            place.kept.head = Fingerprint::of_head(file)?;
        }
        self.is_awaited |= place.is_uncovered(saved);
        Ok(())
    }

    /// Takes what the host acknowledged.
    pub fn acknowledge(&mut self, id: u64, position: u64) {
        let Some(place) = self.places.get_mut(&id) else { return };
        if position > place.acknowledged {
            self.acknowledged += position - place.acknowledged;
            (place.acknowledged, self.changed) = (position, true);
        }
    }

    /// Ends a stream at a position, after which nothing will be read: it is done once acknowledged to there.
    pub fn end(&mut self, id: u64, position: u64, file: Option<&File>) {
        let Some(place) = self.places.get_mut(&id) else { return };
        let print = file.and_then(|file| Fingerprint::before(file, position).ok());
        place.end = Some((position, print.unwrap_or(Fingerprint::EMPTY)));
        (place.followed, self.changed) = (place.kept.state == State::Gzip, true);
    }

    /// Says that what a stream's file held is gone from it; `end` is where it was read to, with the fingerprint before.
    pub fn cut(&mut self, id: u64, end: Option<(u64, Fingerprint)>) {
        let Some(place) = self.places.get_mut(&id) else { return };
        // One that was read to its end stays so, when its inode is used again.
        let end = end.or(place.end);
        (place.kept.state, place.end, place.followed) = (State::Cut, end, false);
        place.file = Weak::new();
        // The inode is another file's now.
        let identity = std::mem::take(&mut place.kept.identity);
        if self.by_identity.get(&identity) == Some(&id) {
            self.by_identity.remove(&identity);
        }
        self.changed = true;
    }

    /// Tells up to where a stream was handed on when it was closed at a stop.
    pub fn pause(&mut self, id: u64, handed_on: u64, file: Option<Arc<File>>) {
        if let Some(place) = self.places.get_mut(&id) {
            (place.handed_on, place.held) = (handed_on, file);
        }
    }

    /// Forgets a stream: its bytes are gone, or were never wanted.
    pub fn forget(&mut self, id: u64) {
        if let Some(place) = self.places.remove(&id) {
            if self.by_identity.get(&place.kept.identity) == Some(&id) {
                self.by_identity.remove(&place.kept.identity);
            }
            self.changed = true;
        }
    }

    /// Returns what is kept of the streams that were read before and whose files are not found yet.
    pub fn missing(&self) -> Vec<Kept> {
        let is_missing = |place: &&Place| !place.followed && place.kept.state != State::Done;
        self.places.values().filter(is_missing).map(|place| place.kept.clone()).collect()
    }

    /// Returns when the next save is due; `None` when nothing changed.
    pub fn save_at(&self) -> Option<Instant> {
        if !self.changed || self.file.is_saving() {
            return None;
        }
        let is_busy = self.acknowledged >= BUSY_BYTES;
        let interval = if is_busy { BUSY_SAVE_INTERVAL } else { SAVE_INTERVAL };
        let interval = interval.max(self.save_time * SAVE_TIME_PART);
        Some(self.saved_at.map_or_else(Instant::now, |saved| saved + interval))
    }

    /// Begins to save what is awaited, or, if that is due, what changed. Tells whether a save has ended.
    pub fn maintain(&mut self, complaints: &mut Complaints) -> bool {
        let result = self.file.poll();
        let ended = self.ended(result, complaints);
        if !self.file.is_saving()
            && (self.is_awaited || self.save_at().is_some_and(|at| at <= Instant::now()))
        {
            self.send();
        }
        ended
    }

    /// Saves what changed and waits until it is durable; what fails is tried again later.
    pub fn save(&mut self, complaints: &mut Complaints) {
        self.wait(complaints);
        if self.changed || self.is_awaited {
            self.send();
            self.wait(complaints);
        }
    }

    /// Waits for the end of a save that is under way.
    pub fn wait(&mut self, complaints: &mut Complaints) {
        let result = self.file.wait();
        self.ended(result, complaints);
    }

    /// Returns what becomes readable when a save has ended.
    pub fn done(&self) -> Option<&OwnedFd> {
        self.file.done()
    }

    fn send(&mut self) {
        let started = Instant::now();
        self.advance();
        self.sent += 1;
        for place in self.places.values_mut() {
            place.send(self.sent, self.saved);
        }
        let streams = self.places.values().map(|place| &place.kept);
        let text = position_text::write(self.known_patterns.iter().map(String::as_str), streams);
        self.file.save(text);
        (self.changed, self.is_awaited, self.acknowledged) = (false, false, 0);
        self.saved_at = Some(Instant::now());
        self.save_time = started.elapsed();
        if !self.file.is_saving() {
            // There is no thread to be had: reading goes on all the same.
            (self.saved, self.changed) = (self.sent, true);
        }
    }

    fn ended(&mut self, result: Option<io::Result<()>>, complaints: &mut Complaints) -> bool {
        let Some(result) = result else { return false };
        // A save that failed keeps nobody waiting: reading must go on.
        self.saved = self.sent;
        match result {
            Ok(()) => complaints.settle(self.file.path()),
            Err(error) => {
                self.changed = true;
                complaints.failed(self.file.path(), "save the positions in", &error);
            }
        }
        true
    }

    /// Moves each kept position to what was acknowledged.
    fn advance(&mut self) {
        let now = seconds();
        for place in self.places.values_mut() {
            if place.followed {
                place.kept.seen = now;
            }
            if place.end.is_some_and(|(end, _)| place.acknowledged >= end) {
                place.finish();
            } else if place.acknowledged > place.kept.position {
                let _ = place.advance();
            }
        }
        let by_identity = &mut self.by_identity;
        self.places.retain(|id, place| {
            let is_done = place.kept.state == State::Done;
            let wait = if is_done { FORGET_DONE_SECONDS } else { FORGET_SECONDS };
            let is_kept = place.followed || place.kept.seen + wait >= now;
            if !is_kept && by_identity.get(&place.kept.identity) == Some(id) {
                by_identity.remove(&place.kept.identity);
            }
            is_kept
        });
    }

    /// Forgets the streams that are done and that no compressed file can be of.
    pub fn forget_done(&mut self, is_wanted: impl Fn(&Path) -> bool) {
        let done: Vec<u64> = self
            .places
            .values()
            .filter(|place| {
                place.kept.state == State::Done && !place.followed && !is_wanted(&place.kept.path)
            })
            .map(|place| place.kept.id)
            .collect();
        done.into_iter().for_each(|id| self.forget(id));
    }
}

/// Returns where a path leads.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn seconds() -> u64 {
    u64::try_from(now() / 1_000_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests;
