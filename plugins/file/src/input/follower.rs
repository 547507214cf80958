//! Follows files: gives each that has data its turn, and waits when none has.

use super::complaints::Complaints;
use super::config::{Config, Watch};
use super::file_set::FileSet;
use super::followed_file::{FollowedFile, Turn};
use super::patterns::Patterns;
use super::positions::Positions;
use super::watcher::{Change, Watcher};
use crate::identity::Identity;
use heka_plugin_api::cause;
use heka_plugin_api::{Context, Counter, PluginError, Read, Reader, StopSignal};
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After a change was told, further ones are gathered for so long: many small writes cost few wake-ups.
const GATHER_INTERVAL: Duration = Duration::from_millis(50);
/// A call hands on no more than this and one read.
const CALL_BYTES: usize = 512 << 10;
/// A call gives no more turns than this, so that acknowledgements are not kept waiting by thousands of small files.
const CALL_TURNS: usize = 1_000;
/// Directories that come and go cause a look at everything at most this often.
pub(super) const SCAN_PAUSE: Duration = Duration::from_secs(1);

/// Follows files.
pub struct Follower {
    pub(super) config: Config,
    pub(super) patterns: Patterns,
    pub(super) watcher: Watcher,
    pub(super) files: FileSet,
    pub(super) positions: Positions,
    pub(super) complaints: Complaints,
    /// Slots of files that no path leads to any more.
    pub(super) detached: Vec<usize>,
    /// Compressed files that are read already, with size and time of change.
    pub(super) skipped: HashMap<Identity, (u64, i64)>,
    /// Slots of files that wait until their place is saved.
    unsaved: Vec<usize>,
    /// Whether files of a predecessor were taken over, and not looked at since.
    taken_over: bool,
    /// How many looks at everything there were.
    pub(super) scans: u64,
    pub(super) next_scan: Instant,
    pub(super) scanned_at: Option<Instant>,
    /// Whether some file is polled.
    pub(super) polls: bool,
    next_poll: Option<Instant>,
    changes: Vec<Change>,
    /// Until then changes are gathered.
    gather_at: Instant,
    /// Whether it was said that there are more files than may be open.
    told_of_limit: bool,
    stop: StopSignal,
    ended: bool,
    bytes: Counter,
    file_count: Counter,
}

impl Follower {
    /// Loads the positions and gets ready; files are looked for by the first read.
    pub fn new(config: &Config, state_dir: &Path, context: &mut Context) -> Result<Follower, PluginError> {
        let mut complaints = Complaints::new(context.instance());
        let stop = context.stop_signal();
        let watcher = watcher(config, &stop, &complaints)?;
        let positions = Positions::load(state_dir, &mut complaints);
        let now = Instant::now();
        Ok(Follower {
            config: config.clone(),
            patterns: Patterns::new(&config.paths, &config.exclude),
            watcher,
            files: FileSet::new(open_files_max(config)),
            positions,
            complaints,
            detached: Vec::new(),
            skipped: HashMap::new(),
            unsaved: Vec::new(),
            taken_over: false,
            scans: 0,
            next_scan: now,
            scanned_at: None,
            polls: false,
            next_poll: None,
            changes: Vec::new(),
            gather_at: now,
            told_of_limit: false,
            stop,
            ended: false,
            bytes: context.counter("bytes"),
            file_count: context.counter("files"),
        })
    }

    /// Goes on where another follower is: with its files and streams, or, when it has ended, with its positions.
    pub fn take_over(&mut self, predecessor: &mut Follower) {
        self.positions.take_over(&mut predecessor.positions, &mut self.complaints);
        if predecessor.ended {
            self.positions.miss_all();
            return;
        }
        self.files = std::mem::replace(&mut predecessor.files, FileSet::new(1));
        self.files.set_open_max(open_files_max(&self.config));
        self.detached = std::mem::take(&mut predecessor.detached);
        self.skipped = std::mem::take(&mut predecessor.skipped);
        self.unsaved = std::mem::take(&mut predecessor.unsaved);
        self.taken_over = true;
        for slot in self.files.slots() {
            let Some(file) = self.files.at(slot) else { continue };
            file.watch = None;
            let (path, open) = (file.path.clone(), file.file.clone());
            match open.map_or_else(|| File::open(&path).map(Arc::new), Ok) {
                Ok(open) => self.watch(slot, &open, &path),
                Err(_) => self.polls = true,
            }
            self.files.queue(slot);
        }
    }

    /// Tells the host which streams of the predecessor's go on, and closes those that no pattern names any more.
    fn keep_streams(&mut self, reader: &mut Reader<'_>) {
        for slot in self.files.slots() {
            let Some(file) = self.files.at(slot) else { continue };
            let position = file.stream.map_or(file.offset, |stream| reader.position(stream));
            let (is_detached, path) = (file.detached.is_some(), file.path.clone());
            if is_detached || self.patterns.naming(&path).is_some() {
                continue;
            }
            let Some(file) = self.remove(slot) else { continue };
            if let Some(stream) = file.stream {
                reader.close_stream(stream, false);
            }
            self.positions.pause(file.id, position, file.file);
        }
    }

    /// Takes what the host acknowledged.
    pub fn acknowledge(&mut self, stream_id: u64, position: u64) {
        self.positions.acknowledge(stream_id, position);
        if self.ended {
            self.positions.maintain(&mut self.complaints);
        }
    }

    /// Reads what is there; waits for it at most `timeout`.
    pub fn read(&mut self, reader: &mut Reader<'_>, timeout: Duration) -> Read {
        let deadline = Instant::now() + timeout;
        if std::mem::take(&mut self.taken_over) {
            self.keep_streams(reader);
        }
        loop {
            if self.ended || self.stop.is_raised() {
                return self.end(reader);
            }
            self.maintain(reader);
            if self.files.has_ready() {
                if self.give_turns(reader) > 0 {
                    return Read::Some;
                }
                if self.positions.maintain(&mut self.complaints) {
                    self.queue_saved();
                }
                if self.files.has_ready() {
                    continue;
                }
            }
            let now = Instant::now();
            if self.unsaved.is_empty() {
                if !self.config.follow {
                    return self.end(reader);
                }
                if now >= deadline {
                    return Read::Idle;
                }
            } else if now >= deadline {
                // There is something to read, as soon as this is saved.
                self.positions.save(&mut self.complaints);
                self.queue_saved();
                continue;
            }
            self.wait(now, deadline);
        }
    }

    /// Does what is due besides reading.
    fn maintain(&mut self, reader: &mut Reader<'_>) {
        let now = Instant::now();
        if now >= self.next_scan {
            self.scan();
            self.file_count.set(self.files.len() as u64);
        }
        if now >= self.gather_at {
            self.gather();
        }
        if self.next_poll.is_some_and(|at| at <= now) {
            self.look_at_sizes(false);
            self.next_poll = None;
        }
        if self.polls && self.next_poll.is_none() {
            self.next_poll = Some(now + self.config.poll_interval.0);
        }
        self.close_detached(reader);
        if self.positions.maintain(&mut self.complaints) {
            self.queue_saved();
        }
    }

    /// Gives a turn to the files that waited for a save.
    fn queue_saved(&mut self) {
        for slot in std::mem::take(&mut self.unsaved) {
            if let Some(file) = self.files.at(slot) {
                file.is_unsaved = false;
            }
            self.files.queue(slot);
        }
    }

    /// Takes the changes that were told.
    fn gather(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        if self.watcher.take(|change| changes.push(change)) {
            self.gather_at = Instant::now() + GATHER_INTERVAL;
        }
        for change in changes.drain(..) {
            match change {
                Change::Content { slot } => self.files.queue(slot),
                Change::Place { slot } => self.check_place(slot),
                Change::Appeared { path } => self.appeared(&path),
                Change::Anything => {
                    let pause_over = self.scanned_at.map_or(self.next_scan, |at| at + SCAN_PAUSE);
                    self.next_scan = self.next_scan.min(pause_over);
                }
            }
        }
        self.changes = changes;
    }

    /// Gives turns until enough was handed on; returns how many bytes that was.
    fn give_turns(&mut self, reader: &mut Reader<'_>) -> usize {
        let mut handed_on = 0;
        for _ in 0..CALL_TURNS {
            if handed_on >= CALL_BYTES {
                break;
            }
            let Some(slot) = self.files.next() else { break };
            handed_on += self.give_turn(slot, reader);
        }
        self.bytes.add(handed_on as u64);
        handed_on
    }

    /// Gives one file a turn; returns how many bytes were handed on.
    pub(super) fn give_turn(&mut self, slot: usize, reader: &mut Reader<'_>) -> usize {
        let turn = self.open_again(slot).and_then(|open| {
            let file = self.files.at(slot).ok_or(io::ErrorKind::NotFound)?;
            let covered = self.positions.covered(file.id);
            let turn = file.turn(&open, reader, self.config.read_bytes.0 as usize, covered)?;
            if turn == Turn::Uncovered {
                self.positions.cover(file.id, &open)?;
            }
            Ok(turn)
        });
        let Some(file) = self.files.at(slot) else { return 0 };
        // What is compressed is tried again when it changes: that takes long.
        file.is_failed = turn.is_err() && !file.is_gzip;
        match turn {
            Ok(Turn::Data { len, more }) => {
                file.detached = file.detached.map(|_| Instant::now());
                if more {
                    self.files.queue(slot);
                }
                return len;
            }
            Ok(Turn::End) => {}
            Ok(Turn::Truncated) => self.begin_anew(slot, reader),
            Ok(Turn::Uncovered) => {
                file.is_unsaved = true;
                self.unsaved.push(slot);
            }
            Ok(Turn::Compressed) => self.attach_compressed(slot),
            Ok(Turn::Finished) => self.finish_compressed(slot, reader),
            Err(error) => self.complaints.failed(&file.path, "read", &error),
        }
        0
    }

    /// Returns the open file, opening it again if it was closed to spare descriptors.
    fn open_again(&mut self, slot: usize) -> io::Result<Arc<File>> {
        let file = self.files.at(slot).ok_or(io::ErrorKind::NotFound)?;
        if let Some(open) = &file.file {
            return Ok(Arc::clone(open));
        }
        let (path, identity, id) = (file.path.clone(), file.identity, file.id);
        let open = Arc::new(self.open_file(&path)?);
        if Identity::of(&open.metadata()?) != identity {
            self.check_place(slot);
            return Err(io::Error::other("another file has its name"));
        }
        if let Some(file) = self.files.at(slot) {
            file.file = Some(Arc::clone(&open));
            self.files.opened(slot);
        }
        self.positions.set_file(id, &open);
        Ok(open)
    }

    /// Opens a file, closing others if there are too many.
    pub(super) fn open_file(&mut self, path: &Path) -> io::Result<File> {
        let (file, closed) = self.files.make_room(|| File::open(path));
        if closed && !std::mem::replace(&mut self.told_of_limit, true) {
            let limit = open_files_max(&self.config);
            self.complaints.note(format_args!(
                "follows more than {limit} files: those silent for longest are closed until they change"
            ));
        }
        file
    }

    /// Reads a file that was cut or rewritten as another stream, from its first byte.
    fn begin_anew(&mut self, slot: usize, reader: &mut Reader<'_>) {
        let Some(file) = self.files.at(slot) else { return };
        let (id, identity, path) = (file.id, file.identity, file.path.clone());
        let (Some(open), end) = (file.file.clone(), (file.offset, file.tail())) else { return };
        self.positions.cut(id, Some(end));
        let goes_on = self.go_on_in_copy(slot);
        let begun = self.positions.begin(identity, &open, &path, 0);
        let Some(file) = self.files.at(slot) else { return };
        match begun {
            Ok(id) => {
                self.complaints
                    .note(format_args!("`{}` was truncated: reading from its beginning", path.display()));
                let stream = file.stream.filter(|_| !goes_on);
                file.restart(id);
                if let Some(stream) = stream {
                    reader.close_stream(stream, true);
                }
                self.files.queue(slot);
            }
            Err(error) => {
                if goes_on {
                    // They are the copy's.
                    (file.id, file.stream) = (0, None);
                }
                file.is_failed = true;
                self.complaints.failed(&path, "read", &error);
            }
        }
    }

    /// A file was written that is compressed.
    fn attach_compressed(&mut self, slot: usize) {
        let Some(file) = self.remove(slot) else { return };
        self.positions.forget(file.id);
        let Some(open) = file.file else { return };
        let result =
            open.metadata().and_then(|metadata| self.attach_gzip(&file.path, open, &metadata, false));
        if let Err(error) = result {
            self.complaints.failed(&file.path, "read", &error);
        }
    }

    /// A compressed file is read to its end.
    fn finish_compressed(&mut self, slot: usize, reader: &mut Reader<'_>) {
        let Some(file) = self.remove(slot) else { return };
        self.detached.retain(|detached| *detached != slot);
        if let Some(stream) = file.stream {
            reader.close_stream(stream, true);
        }
        if let Some(Ok(metadata)) = file.file.map(|open| open.metadata()) {
            self.skip(&metadata);
        }
        self.positions.end(file.id, file.offset, None);
    }

    /// Stops following a file.
    pub(super) fn remove(&mut self, slot: usize) -> Option<FollowedFile> {
        let file = self.files.remove(slot)?;
        if let Some(watch) = file.watch {
            self.watcher.unwatch(watch);
        }
        Some(file)
    }

    /// Closes the files that no path leads to any more and that have been silent for long enough.
    fn close_detached(&mut self, reader: &mut Reader<'_>) {
        let mut index = 0;
        while let Some(&slot) = self.detached.get(index) {
            let since = self.files.at(slot).and_then(|file| file.detached.filter(|_| !file.is_queued));
            let is_due = since.is_some_and(|since| since.elapsed() >= self.config.rotated_wait.0);
            // The last look: a change may have been told that is not gathered yet.
            if !is_due
                || self.give_turn(slot, reader) > 0
                || self.files.at(slot).is_some_and(|file| file.is_queued || file.is_unsaved)
            {
                index += 1;
                continue;
            }
            self.detached.swap_remove(index);
            let Some(file) = self.remove(slot) else { continue };
            if let Some(stream) = file.stream {
                reader.close_stream(stream, true);
            }
            self.positions.end(file.id, file.offset, file.file.as_deref());
        }
    }

    /// Ends all streams, since stop was asked for or the files are read to their ends.
    fn end(&mut self, reader: &mut Reader<'_>) -> Read {
        self.ended = true;
        for slot in self.files.slots() {
            let Some(file) = self.remove(slot) else { continue };
            let Some(stream) = file.stream else {
                self.positions.pause(file.id, file.offset, file.file);
                continue;
            };
            // An incomplete last line of a file that is followed may still be written to: it is read after a restart.
            let is_last = !self.config.follow && file.is_at_end();
            let handed_on = if is_last { file.offset } else { reader.position(stream) };
            reader.close_stream(stream, is_last);
            self.positions.pause(file.id, handed_on, file.file);
        }
        self.detached.clear();
        self.positions.save(&mut self.complaints);
        Read::End
    }

    /// Waits for a change, for what is due next, or for the deadline.
    fn wait(&mut self, now: Instant, deadline: Instant) {
        let mut until = deadline.min(self.next_scan);
        for due in [self.next_poll, self.positions.save_at()].into_iter().flatten() {
            until = until.min(due);
        }
        for &slot in &self.detached {
            let since = self.files.at(slot).and_then(|file| file.detached);
            until = since.map_or(until, |since| until.min(since + self.config.rotated_wait.0));
        }
        let gathers = self.gather_at > now;
        if gathers {
            until = until.min(self.gather_at);
        }
        self.watcher.wait(!gathers, self.positions.done(), until.saturating_duration_since(now));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.positions.save(&mut self.complaints);
    }
}

fn watcher(config: &Config, stop: &StopSignal, complaints: &Complaints) -> Result<Watcher, PluginError> {
    let with_inotify = config.follow && config.watch != Watch::Poll;
    let failed = |error: &io::Error| {
        PluginError::retry(format!(
            "failed to set up inotify: {}; raise fs.inotify.max_user_instances, or set watch = \"poll\"",
            cause(error)
        ))
    };
    match Watcher::new(with_inotify, stop) {
        Err(error) if config.watch == Watch::Auto => {
            complaints.note(format_args!("failed to set up inotify: {}; polling instead", cause(&error)));
            Watcher::new(false, stop).map_err(|error| failed(&error))
        }
        result => result.map_err(|error| failed(&error)),
    }
}

/// As the options say, at most three quarters of what the system allows the whole program.
fn open_files_max(config: &Config) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize / 4 * 3);
    config.open_files_max.min(allowed.max(1))
}
