//! Follows files: gives each that has data its turn, and waits when none has.

use super::complaints::Complaints;
use super::config::{Config, Watch};
use super::file_set::FileSet;
use super::fingerprint::Identity;
use super::followed_file::{FollowedFile, Turn};
use super::patterns::Patterns;
use super::positions::Positions;
use super::watcher::{Change, Watcher};
use crate::reason::reason;
use heka_plugin_api::{Context, Counter, PluginError, Read, Reader, StopSignal};
use rustix::process::{Resource, getrlimit};
use std::collections::HashSet;
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
const SCAN_PAUSE: Duration = Duration::from_secs(1);

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
    /// Files that are not read, such as compressed ones.
    pub(super) skipped: HashSet<Identity>,
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
            skipped: HashSet::new(),
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

    /// Goes on where a stopped follower was.
    pub fn take_over(&mut self, predecessor: &mut Follower) {
        self.positions.take_over(&mut predecessor.positions);
    }

    /// Returns the open streams with their ids.
    #[cfg(test)]
    pub fn streams(&mut self) -> Vec<(u64, heka_plugin_api::Stream)> {
        let slots = self.files.slots();
        slots
            .into_iter()
            .filter_map(|slot| self.files.at(slot).and_then(|file| Some((file.id, file.stream?))))
            .collect()
    }

    /// Takes what the host acknowledged.
    pub fn acknowledge(&mut self, stream_id: u64, position: u64) {
        self.positions.acknowledge(stream_id, position);
        if self.ended {
            self.positions.save_if_due(&mut self.complaints);
        }
    }

    /// Reads what is there; waits for it at most `timeout`.
    pub fn read(&mut self, reader: &mut Reader<'_>, timeout: Duration) -> Read {
        let deadline = Instant::now() + timeout;
        loop {
            if self.ended || self.stop.is_raised() {
                return self.end(reader);
            }
            self.maintain(reader);
            if self.files.has_ready() {
                if self.give_turns(reader) > 0 {
                    return Read::Some;
                }
                if self.files.has_ready() {
                    continue;
                }
            }
            if !self.config.follow {
                return self.end(reader);
            }
            let now = Instant::now();
            if now >= deadline {
                return Read::Idle;
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
        self.positions.save_if_due(&mut self.complaints);
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
            if self.positions.has_new_ids() {
                self.positions.save(&mut self.complaints);
            }
            handed_on += self.give_turn(slot, reader);
        }
        self.bytes.add(handed_on as u64);
        handed_on
    }

    /// Gives one file a turn; returns how many bytes were handed on.
    pub(super) fn give_turn(&mut self, slot: usize, reader: &mut Reader<'_>) -> usize {
        let turn = self.open_again(slot).and_then(|open| {
            let file = self.files.at(slot).ok_or(io::ErrorKind::NotFound)?;
            file.turn(&open, reader, self.config.read_bytes.0 as usize)
        });
        let Some(file) = self.files.at(slot) else { return 0 };
        file.is_failed = turn.is_err();
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
            Ok(Turn::Compressed) => self.skip_compressed(slot),
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
        let Some(open) = file.file.clone() else { return };
        match self.positions.begin(file.identity, &open, &file.path, 0) {
            Ok(id) => {
                self.complaints.note(format_args!(
                    "`{}` was truncated: reading from its beginning",
                    file.path.display()
                ));
                let (old, stream) = (file.id, file.stream);
                file.restart(id);
                if let Some(stream) = stream {
                    reader.close_stream(stream, true);
                }
                self.positions.forget(old);
                self.files.queue(slot);
            }
            Err(error) => {
                file.is_failed = true;
                self.complaints.failed(&file.path, "read", &error);
            }
        }
    }

    fn skip_compressed(&mut self, slot: usize) {
        let Some(file) = self.remove(slot) else { return };
        self.skipped.insert(file.identity);
        self.positions.forget(file.id);
        let path = file.path.display();
        self.complaints.about(&file.path, format_args!("`{path}` is compressed by gzip: left out"));
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
                || self.files.at(slot).is_some_and(|file| file.is_queued)
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
        self.watcher.wait(!gathers, until.saturating_duration_since(now));
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
            reason(error)
        ))
    };
    match Watcher::new(with_inotify, stop) {
        Err(error) if config.watch == Watch::Auto => {
            complaints.note(format_args!("failed to set up inotify: {}; polling instead", reason(&error)));
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
