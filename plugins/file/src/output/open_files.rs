//! The files that are open: found by path, few enough, rotated when due, committed after each write.

use super::commits::Commits;
use super::config::{Config, Sync, octal};
use super::directory::Modes;
use super::open_file::{Delivered, Failure, OpenFile};
use super::rotation::{prune, rotate};
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use rustix::fs::syncfs;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The files that are open.
pub struct OpenFiles {
    files: HashMap<Vec<u8>, OpenFile>,
    commits: Commits,
    instance: String,
    /// The directory that paths are relative to and can't leave; `None` takes paths as they are.
    base: Option<PathBuf>,
    modes: Modes,
    rotate_bytes: u64,
    /// In ns; 0 for none.
    rotate_interval: i64,
    keep: usize,
    max: usize,
    syncs: bool,
    /// Whether the queue asks for syncs.
    queue_syncs: bool,
    /// Whether files were closed, with messages of a queue, before it asked for the first sync.
    closed_unsynced: bool,
    /// What a failed sync lost, until it is written again.
    lost: Option<Lost>,
}

/// Messages that must be given again.
#[derive(Clone, Copy)]
struct Lost {
    /// Their numbers are below this one.
    below: u64,
    /// Whether the queue has begun to give them again.
    is_given: bool,
}

impl OpenFiles {
    /// Makes an empty set as the options say.
    pub fn new(config: &Config, base: Option<PathBuf>, instance: &str) -> OpenFiles {
        let interval = config.rotate_interval.map_or(Duration::ZERO, |interval| interval.0);
        OpenFiles {
            files: HashMap::new(),
            commits: Commits::none(),
            instance: instance.to_owned(),
            base,
            modes: Modes {
                file: octal(&config.mode).unwrap_or(0o644),
                directory: octal(&config.directory_mode).unwrap_or(0o755),
            },
            rotate_bytes: config.rotate_bytes.map_or(u64::MAX, |size| size.0),
            rotate_interval: i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX),
            keep: config.keep,
            max: config.open_files_max,
            syncs: config.sync == Sync::Batch,
            queue_syncs: false,
            closed_unsynced: false,
            lost: None,
        }
    }

    /// Loads what is kept of files in a directory.
    ///
    /// # Errors
    /// As [`Commits::load`].
    pub fn load(&mut self, state_dir: &Path) -> Result<(), String> {
        self.commits = Commits::load(state_dir, self.max, &self.instance)?;
        Ok(())
    }

    /// Takes over what a predecessor keeps of its files, which it closes.
    pub fn take_over(&mut self, predecessor: &mut OpenFiles) {
        predecessor.close_all();
        self.commits = std::mem::replace(&mut predecessor.commits, Commits::none());
        self.queue_syncs = predecessor.queue_syncs;
        self.closed_unsynced = predecessor.closed_unsynced;
        self.lost = predecessor.lost;
    }

    /// Returns the file at a path, opened and rotated as needed. `wall` is ns since 1970.
    pub fn at(&mut self, path: &[u8], now: Instant, wall: i64) -> Result<&mut OpenFile, Failure> {
        // Twice, since what is found may be due to be rotated.
        for _ in 0..2 {
            self.prepare(path, now, wall)?;
            if self.files.contains_key(path) {
                break;
            }
            self.make_room()?;
            let file = self.open(path, wall)?;
            self.files.insert(path.to_vec(), file);
        }
        let file =
            self.files.get_mut(path).ok_or_else(|| Failure::Later("failed to open a file".to_owned()))?;
        file.used = now;
        if self.syncs {
            file.expect_sync();
        }
        Ok(file)
    }

    fn open(&mut self, path: &[u8], wall: i64) -> Result<OpenFile, Failure> {
        let mut file = OpenFile::open(self.base.as_deref(), path, self.modes, wall)?;
        let cut = file.resume(&mut self.commits)?;
        if cut > 0 {
            let (instance, path) = (&self.instance, file.spot.path.display());
            log::info!("output `{instance}`: cut {cut} bytes off `{path}` that a crash had left behind");
        }
        Ok(file)
    }

    /// Appends records to a file that [`at`](OpenFiles::at) has returned, and commits them.
    ///
    /// # Errors
    /// How many bytes were written, which then must be taken back or committed, and why no more.
    pub fn append(
        &mut self,
        path: &[u8],
        records: &[u8],
        delivered: Option<Delivered>,
        wall: i64,
    ) -> Result<(), (usize, Failure)> {
        let Some(file) = self.files.get_mut(path) else { return Ok(()) };
        let failed = |(written, error): (usize, io::Error)| (written, cause(&error));
        match file.append(records).map_err(failed) {
            Ok(()) => {
                file.written_at = wall;
                file.commit(records, delivered, &mut self.commits).map_err(|failure| (0, failure))
            }
            Err((written, why)) => Err((written, Failure::later("write", &file.spot.path, &why))),
        }
    }

    /// Keeps the whole records of a write that failed, and takes back the `torn` bytes behind them.
    ///
    /// # Errors
    /// They could not be committed, and are taken back too.
    pub fn keep_whole(
        &mut self,
        path: &[u8],
        whole: &[u8],
        torn: usize,
        delivered: Option<Delivered>,
    ) -> Result<(), Failure> {
        let Some(file) = self.files.get_mut(path) else { return Ok(()) };
        file.take_back(torn as u64);
        if whole.is_empty() { Ok(()) } else { file.commit(whole, delivered, &mut self.commits) }
    }

    /// Closes a file that was moved away by others, and rotates one whose time is over.
    fn prepare(&mut self, path: &[u8], now: Instant, wall: i64) -> Result<(), Failure> {
        let Some(file) = self.files.get_mut(path) else { return Ok(()) };
        if !file.is_in_place(now) {
            return self.close(path);
        }
        let is_due = file.len > 0 && self.period(wall) != self.period(self.files[path].written_at);
        if is_due { self.rotate(path, wall) } else { Ok(()) }
    }

    fn period(&self, wall: i64) -> i64 {
        wall.checked_div_euclid(self.rotate_interval).unwrap_or(0)
    }

    /// Returns how many bytes more a file may take before it is rotated.
    pub fn room(&self, file_len: u64) -> u64 {
        self.rotate_bytes.saturating_sub(file_len)
    }

    /// Renames a file away and closes it.
    pub fn rotate(&mut self, path: &[u8], wall: i64) -> Result<(), Failure> {
        self.finish(path)?;
        if let Some(file) = self.files.get_mut(path) {
            file.close(&mut self.commits);
            rotate(&file.spot, wall)?;
            fault_point("file.output.rotated");
            prune(&file.spot, self.keep);
            self.files.remove(path);
        }
        Ok(())
    }

    fn close(&mut self, path: &[u8]) -> Result<(), Failure> {
        let result = self.finish(path);
        if let Some(mut file) = self.files.remove(path) {
            file.close(&mut self.commits);
        }
        result
    }

    /// Syncs a file before it is closed, as far as that is asked for.
    fn finish(&mut self, path: &[u8]) -> Result<(), Failure> {
        let Some(file) = self.files.get_mut(path) else { return Ok(()) };
        file.sync(&mut self.commits)?;
        if !self.queue_syncs {
            self.closed_unsynced |= file.is_dirty();
            return Ok(());
        }
        match file.sync_for_queue(&mut self.commits) {
            Ok(()) => Ok(()),
            Err((failure, below)) => {
                lose(&mut self.lost, below);
                Err(failure)
            }
        }
    }

    fn make_room(&mut self) -> Result<(), Failure> {
        while self.files.len() >= self.max {
            let oldest = self.files.iter().min_by_key(|(_, file)| file.used).map(|(path, _)| path.clone());
            match oldest {
                Some(path) => self.close(&path)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Forces what was written to the disk, where messages are completed only then.
    pub fn sync(&mut self) -> Result<(), Failure> {
        if !self.syncs {
            return Ok(());
        }
        // Each is tried: what one file refuses, another may have taken.
        let commits = &mut self.commits;
        let results: Vec<_> = self.files.values_mut().map(|file| file.sync(commits)).collect();
        results.into_iter().collect()
    }

    /// Makes everything written so far durable, before the queue forgets it.
    ///
    /// # Errors
    /// Something is not. What a sync has lost is taken back, so that all later calls fail until the queue has given it
    /// again.
    pub fn sync_for_queue(&mut self, state_dir: &Path) -> Result<(), Failure> {
        self.queue_syncs = true;
        self.sync_closed()?;
        let mut result = Ok(());
        for file in self.files.values_mut() {
            if let Err((failure, below)) = file.sync_for_queue(&mut self.commits) {
                lose(&mut self.lost, below);
                result = Err(failure);
            }
        }
        result?;
        let synced = self.commits.sync(state_dir);
        synced.map_err(|error| Failure::later("sync", &state_dir.join("commits"), &cause(&error)))?;
        match &self.lost {
            Some(_) => Err(Failure::Later(
                "what a failed sync lost is not written again yet; a restart does it".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Syncs the files that were closed before the queue asked for the first sync.
    fn sync_closed(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.closed_unsynced) {
            // Those of one output are mostly on one file system.
            let spot = self.files.values().next().map(|file| &file.spot);
            let synced = match (spot, &self.base) {
                (Some(spot), _) => spot.parent().and_then(|directory| Ok(syncfs(directory)?)),
                (None, Some(base)) => File::open(base).and_then(|directory| Ok(syncfs(directory)?)),
                (None, None) => {
                    rustix::fs::sync();
                    Ok(())
                }
            };
            if let Err(error) = synced.and_then(|()| self.commits.mark_closed_synced()) {
                self.closed_unsynced = true;
                return Err(Failure::Later(format!("failed to sync closed files: {}", cause(&error))));
            }
        }
        Ok(())
    }

    /// Notes the numbers of messages that were written now: what was lost may be among them.
    pub fn given(&mut self, numbers: &[u64]) {
        let (Some(lost), Some(first), Some(last)) = (&mut self.lost, numbers.first(), numbers.last()) else {
            return;
        };
        // Numbers ascend, unless the queue gives everything again that it has not forgotten.
        lost.is_given |= *first < lost.below;
        if lost.is_given && last + 1 >= lost.below {
            self.lost = None;
        }
    }

    /// Closes the files that were not used for `idle`.
    pub fn close_idle(&mut self, idle: Duration) -> Result<(), Failure> {
        let now = Instant::now();
        let is_idle = |file: &OpenFile| now.duration_since(file.used) >= idle;
        let idle: Vec<Vec<u8>> =
            self.files.iter().filter(|(_, file)| is_idle(file)).map(|(path, _)| path.clone()).collect();
        idle.iter().map(|path| self.close(path)).collect::<Vec<_>>().into_iter().collect()
    }

    /// Rotates the files whose time is over, also when no message comes.
    pub fn rotate_due(&mut self, wall: i64) -> Result<(), Failure> {
        let now = Instant::now();
        for path in self.files.keys().cloned().collect::<Vec<_>>() {
            self.prepare(&path, now, wall)?;
        }
        Ok(())
    }

    /// Closes all files. What a sync loses is known by the next one for the queue.
    pub fn close_all(&mut self) {
        for path in self.files.keys().cloned().collect::<Vec<_>>() {
            if let Err(Failure::Later(why) | Failure::Never(why)) = self.close(&path) {
                log::warn!("output `{}`: {why}", self.instance);
            }
        }
    }

    /// Returns the count of open files.
    pub fn len(&self) -> usize {
        self.files.len()
    }
}

/// Notes that messages with numbers below this one are lost.
fn lose(lost: &mut Option<Lost>, below: u64) {
    if below > 0 {
        let below = lost.map_or(below, |lost| lost.below.max(below));
        *lost = Some(Lost { below, is_given: false });
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        self.close_all();
    }
}
