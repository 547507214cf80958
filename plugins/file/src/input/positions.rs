//! How far each file was read and acknowledged, kept durably.

use super::complaints::Complaints;
use super::fingerprint::{EDGE_BYTES, Fingerprint, Identity};
use super::position_text::{self, Kept};
use heka_plugin_api::now;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Positions are saved at most this often.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// A file not seen for so long is forgotten: a disk may be mounted late, but not a week late.
const FORGET_SECONDS: u64 = 7 * 24 * 3600;

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
    /// Its inode is known, but it is another file, or was written anew: read it from the beginning.
    Replaced,
    /// Nothing is known of it.
    Unknown,
}

/// A stream's durable place, and what has happened since it was saved.
struct Place {
    kept: Kept,
    /// What the host acknowledged last; the position of the next save.
    acknowledged: u64,
    /// Up to where a stopped instance had handed on.
    handed_on: u64,
    /// Where the stream ended for good, with the fingerprint before it.
    end: Option<(u64, Fingerprint)>,
    /// The file while it is open.
    file: Weak<File>,
    /// The file of a stream that a stop has ended: what is acknowledged afterwards is still to be saved.
    held: Option<Arc<File>>,
    followed: bool,
}

/// The positions of all streams of an input, in one file of its state directory.
pub struct Positions {
    path: PathBuf,
    places: HashMap<u64, Place>,
    by_identity: HashMap<Identity, u64>,
    /// Patterns of the run before; empty at the first start.
    known_patterns: Vec<String>,
    changed: bool,
    new_ids: bool,
    saved_at: Option<Instant>,
}

impl Positions {
    /// Loads the positions kept in a directory. A file that can't be read is moved aside.
    pub fn load(directory: &Path, complaints: &mut Complaints) -> Positions {
        let path = directory.join("positions");
        let mut positions = Positions {
            path: path.clone(),
            places: HashMap::new(),
            by_identity: HashMap::new(),
            known_patterns: Vec::new(),
            changed: false,
            new_ids: false,
            saved_at: None,
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return positions,
            Err(error) => {
                complaints.failed(&path, "read the positions in", &error);
                return positions;
            }
        };
        match position_text::read(&text) {
            Ok((patterns, streams)) => {
                positions.known_patterns = patterns;
                streams.into_iter().for_each(|kept| positions.insert(kept));
            }
            Err(reason) => move_aside(&path, &reason, complaints),
        }
        positions
    }

    /// Takes over what a stopped instance knows, so that nothing is read twice.
    pub fn take_over(&mut self, predecessor: &mut Positions) {
        if predecessor.path == self.path {
            self.places = std::mem::take(&mut predecessor.places);
            self.by_identity = std::mem::take(&mut predecessor.by_identity);
            self.known_patterns = std::mem::take(&mut predecessor.known_patterns);
            (self.changed, predecessor.changed, predecessor.new_ids) = (true, false, false);
            self.places.values_mut().for_each(|place| place.followed = false);
        }
    }

    fn insert(&mut self, kept: Kept) {
        self.by_identity.insert(kept.identity, kept.id);
        let (acknowledged, id) = (kept.position, kept.id);
        let place = Place {
            kept,
            acknowledged,
            handed_on: 0,
            end: None,
            file: Weak::new(),
            held: None,
            followed: false,
        };
        self.places.insert(id, place);
    }

    /// Tells whether an earlier run had this pattern too.
    pub fn knows_pattern(&self, pattern: &str) -> bool {
        self.known_patterns.iter().any(|known| known == pattern)
    }

    /// Sets the patterns of this run.
    pub fn set_patterns<'a>(&mut self, patterns: impl Iterator<Item = &'a str>) {
        let patterns: Vec<String> = patterns.map(str::to_owned).collect();
        if patterns != self.known_patterns {
            (self.known_patterns, self.new_ids) = (patterns, true);
        }
    }

    /// Looks up a file that was found and opened.
    pub fn resume(&mut self, identity: Identity, file: &Arc<File>, path: &Path) -> io::Result<Resume> {
        let known = self.by_identity.get(&identity).and_then(|id| self.places.get_mut(id));
        let Some(place) = known else { return Ok(Resume::Unknown) };
        let (id, kept) = (place.kept.id, &mut place.kept);
        let is_same = kept.head.is_head_of(file)? && kept.tail.is_before(file, kept.position)?;
        if !is_same || file.metadata()?.len() < kept.position {
            self.forget(id);
            return Ok(Resume::Replaced);
        }
        path.clone_into(&mut kept.path);
        (place.followed, place.end, place.held) = (true, None, None);
        place.file = Arc::downgrade(file);
        Ok(Resume::At { id, position: kept.position.max(place.handed_on) })
    }

    /// Begins a stream in a file at a position; returns its new id.
    pub fn begin(
        &mut self,
        identity: Identity,
        file: &Arc<File>,
        path: &Path,
        position: u64,
    ) -> io::Result<u64> {
        let head = Fingerprint::of_head(file)?;
        let tail = Fingerprint::before(file, position)?;
        let id = fastrand::u64(1..);
        self.insert(Kept { id, identity, position, head, tail, seen: seconds(), path: path.to_owned() });
        self.set_file(id, file);
        self.new_ids = true;
        Ok(id)
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
            self.changed = true;
        }
    }

    /// Takes what the host acknowledged.
    pub fn acknowledge(&mut self, id: u64, position: u64) {
        let Some(place) = self.places.get_mut(&id) else { return };
        if position > place.acknowledged {
            (place.acknowledged, self.changed) = (position, true);
        }
    }

    /// Ends a stream at a position, after which nothing will be read: it is forgotten once acknowledged to there.
    pub fn end(&mut self, id: u64, position: u64, file: Option<&File>) {
        let Some(place) = self.places.get_mut(&id) else { return };
        let print = file.and_then(|file| Fingerprint::before(file, position).ok());
        place.end = Some((position, print.unwrap_or(Fingerprint::EMPTY)));
        (place.followed, self.changed) = (false, true);
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

    /// Returns the files that were followed before and are not found yet: where each was.
    pub fn missing(&self) -> HashMap<Identity, PathBuf> {
        let missing = self.places.values().filter(|place| !place.followed);
        missing.map(|place| (place.kept.identity, place.kept.path.clone())).collect()
    }

    /// Tells whether ids wait to be saved, which must happen before their first bytes are handed on.
    pub fn has_new_ids(&self) -> bool {
        self.new_ids
    }

    /// Returns when the next save is due; `None` when nothing changed.
    pub fn save_at(&self) -> Option<Instant> {
        self.changed.then(|| self.saved_at.map_or_else(Instant::now, |saved| saved + SAVE_INTERVAL))
    }

    /// Saves if something changed and the last save is a second ago.
    pub fn save_if_due(&mut self, complaints: &mut Complaints) {
        if self.save_at().is_some_and(|at| at <= Instant::now()) {
            self.save(complaints);
        }
    }

    /// Saves what changed, durably; what fails is tried again later.
    pub fn save(&mut self, complaints: &mut Complaints) {
        if !self.changed && !self.new_ids {
            return;
        }
        self.advance();
        let streams = self.places.values().map(|place| &place.kept);
        let text = position_text::write(self.known_patterns.iter().map(String::as_str), streams);
        let result = replace(&self.path, text.as_bytes());
        (self.new_ids, self.saved_at) = (false, Some(Instant::now()));
        self.changed = result.is_err();
        match result {
            Ok(()) => complaints.settle(&self.path),
            Err(error) => complaints.failed(&self.path, "save the positions in", &error),
        }
    }

    /// Moves each kept position to what was acknowledged, with the fingerprints that belong to it.
    fn advance(&mut self) {
        let now = seconds();
        self.places.retain(|id, place| {
            if place.followed {
                place.kept.seen = now;
            }
            let is_done = place.end.is_some_and(|(end, _)| place.acknowledged >= end);
            let is_old = !place.followed && place.kept.seen + FORGET_SECONDS < now;
            let identity = place.kept.identity;
            if (is_done || is_old) && self.by_identity.get(&identity) == Some(id) {
                self.by_identity.remove(&identity);
            }
            !is_done && !is_old
        });
        for place in self.places.values_mut().filter(|place| place.acknowledged > place.kept.position) {
            // Where the fingerprints can't be taken the older position stays, which repeats lines but loses none.
            let _ = place.advance();
        }
    }
}

impl Place {
    fn advance(&mut self) -> io::Result<()> {
        let Some(file) = self.file.upgrade().or_else(|| self.opened()) else { return Ok(()) };
        let tail = Fingerprint::before(&file, self.acknowledged)?;
        if tail.len < self.acknowledged.min(EDGE_BYTES) {
            return Ok(());
        }
        if self.kept.head.len < EDGE_BYTES {
            self.kept.head = Fingerprint::of_head(&file)?;
        }
        (self.kept.tail, self.kept.position) = (tail, self.acknowledged);
        Ok(())
    }

    /// Opens the file for a moment, while it is not held open.
    fn opened(&self) -> Option<Arc<File>> {
        let file = File::open(&self.kept.path).ok()?;
        let metadata = file.metadata().ok()?;
        (Identity::of(&metadata) == self.kept.identity).then(|| Arc::new(file))
    }
}

/// Replaces a file's content so that after a crash it has either the old or the new one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn move_aside(path: &Path, reason: &str, complaints: &mut Complaints) {
    let aside = path.with_extension("bad");
    match fs::rename(path, &aside) {
        Ok(()) => complaints.about(
            path,
            format_args!(
                "the positions in `{}` can't be used: {reason}; moved to `{}`, starting as for the first time",
                path.display(),
                aside.display(),
            ),
        ),
        Err(error) => complaints.failed(path, "move aside the damaged positions in", &error),
    }
}

fn seconds() -> u64 {
    u64::try_from(now() / 1_000_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        directory: tempfile::TempDir,
        complaints: Complaints,
    }

    impl Case {
        fn new() -> Case {
            Case { directory: tempfile::tempdir().unwrap(), complaints: Complaints::new("test") }
        }

        fn load(&mut self) -> Positions {
            Positions::load(self.directory.path(), &mut self.complaints)
        }

        fn file(&self, content: &str) -> (PathBuf, Arc<File>, Identity) {
            let path = self.directory.path().join("log");
            if let Ok(mut file) = File::options().write(true).truncate(true).open(&path) {
                file.write_all(content.as_bytes()).unwrap();
            } else {
                fs::write(&path, content).unwrap();
            }
            let file = File::open(&path).unwrap();
            let identity = Identity::of(&file.metadata().unwrap());
            (path, Arc::new(file), identity)
        }
    }

    /// Begins a stream in a file with `before`, acknowledges `position` bytes, and finds the file with `after`.
    fn resumed(before: &str, position: u64, after: &str) -> (u64, Resume) {
        let mut case = Case::new();
        let (path, file, identity) = case.file(before);
        let mut positions = case.load();
        let id = positions.begin(identity, &file, &path, 0).unwrap();
        positions.acknowledge(id, position);
        positions.save(&mut case.complaints);
        let (path, file, same) = case.file(after);
        assert_eq!(identity, same);
        (id, case.load().resume(identity, &file, &path).unwrap())
    }

    #[test]
    fn a_file_is_resumed_where_it_was_acknowledged_unless_it_was_rewritten() {
        let long = "line\n".repeat(1000);
        let check = |before: &str, position: u64, after: &str, is_same: bool| {
            let (id, resume) = resumed(before, position, after);
            let expected = if is_same { Resume::At { id, position } } else { Resume::Replaced };
            assert_eq!(resume, expected, "{before:?} at {position}, then {after:?}");
        };
        check("one\ntwo\n", 4, "one\ntwo\n", true);
        check("one\ntwo\n", 8, "one\ntwo\nthree\n", true);
        check("", 0, "one\n", true);
        check("one\ntwo\n", 8, "one\n", false);
        check("one\ntwo\n", 8, "one\nTwo\n", false);
        check("one\ntwo\n", 8, "xxx\nyyy\nthree\n", false);
        check("one\ntwo\n", 0, "xxx\n", false);
        check(&long, 5000, &long, true);
        check(&long, 5000, &long.replacen("line", "LINE", 1), false);
        check(&long, 5000, &format!("{}{}", "line\n".repeat(900), "LINE\n".repeat(200)), false);
    }

    #[test]
    fn an_ended_stream_is_forgotten_when_all_of_it_is_acknowledged() {
        let mut case = Case::new();
        let (path, file, identity) = case.file("one\ntwo\n");
        let mut positions = case.load();
        let id = positions.begin(identity, &file, &path, 0).unwrap();
        positions.end(id, 8, Some(&file));
        positions.acknowledge(id, 4);
        positions.save(&mut case.complaints);
        assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::At { id, position: 4 });
        positions.acknowledge(id, 8);
        positions.save(&mut case.complaints);
        assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::Unknown);
    }

    #[test]
    fn what_is_acknowledged_after_a_stop_is_saved() {
        let mut case = Case::new();
        let (path, file, identity) = case.file("one\ntwo\n");
        let mut positions = case.load();
        let id = positions.begin(identity, &file, &path, 0).unwrap();
        fs::rename(&path, path.with_extension("1")).unwrap();
        positions.pause(id, 8, Some(file));
        positions.acknowledge(id, 8);
        positions.save(&mut case.complaints);
        let file = Arc::new(File::open(path.with_extension("1")).unwrap());
        assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::At { id, position: 8 });
    }

    #[test]
    fn garbage_is_moved_aside() {
        let mut case = Case::new();
        fs::write(case.directory.path().join("positions"), "garbage").unwrap();
        let (path, file, identity) = case.file("one\n");
        assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::Unknown);
        assert_eq!(fs::read(case.directory.path().join("positions.bad")).unwrap(), b"garbage");
        assert!(!case.directory.path().join("positions").exists());
    }

    #[test]
    fn a_successor_goes_on_where_its_predecessor_stopped() {
        let mut case = Case::new();
        let (path, file, identity) = case.file("one\ntwo\n");
        let mut old = case.load();
        let id = old.begin(identity, &file, &path, 0).unwrap();
        old.pause(id, 8, None);
        let mut new = case.load();
        new.take_over(&mut old);
        assert_eq!(new.resume(identity, &file, &path).unwrap(), Resume::At { id, position: 8 });
    }
}
