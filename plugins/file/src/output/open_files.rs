//! The files that are open: found by path, few enough, rotated when due.

use super::config::{Config, Sync, octal};
use super::directory::Modes;
use super::open_file::{Failure, OpenFile};
use super::rotation::{prune, rotate};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The files that are open.
pub struct OpenFiles {
    files: HashMap<Vec<u8>, OpenFile>,
    /// The directory that paths are relative to and can't leave; `None` takes paths as they are.
    base: Option<PathBuf>,
    modes: Modes,
    rotate_bytes: u64,
    /// In ns; 0 for none.
    rotate_interval: i64,
    keep: usize,
    max: usize,
    syncs: bool,
}

impl OpenFiles {
    /// Makes an empty set as the options say.
    pub fn new(config: &Config, base: Option<PathBuf>) -> OpenFiles {
        let interval = config.rotate_interval.map_or(Duration::ZERO, |interval| interval.0);
        OpenFiles {
            files: HashMap::new(),
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
        }
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
            let file = OpenFile::open(self.base.as_deref(), path, self.modes, wall)?;
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
        if let Some(file) = self.files.get_mut(path) {
            file.sync()?;
            rotate(&file.spot, wall)?;
            prune(&file.spot, self.keep);
            self.files.remove(path);
        }
        Ok(())
    }

    fn close(&mut self, path: &[u8]) -> Result<(), Failure> {
        self.files.remove(path).map_or(Ok(()), |mut file| file.sync())
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

    /// Forces what was written to the disk.
    pub fn sync(&mut self) -> Result<(), Failure> {
        if !self.syncs {
            return Ok(());
        }
        // Each is tried: what one file refuses, another may have taken.
        let results: Vec<_> = self.files.values_mut().map(OpenFile::sync).collect();
        results.into_iter().collect()
    }

    /// Closes the files that were not used for `idle`.
    pub fn close_idle(&mut self, idle: Duration) {
        let now = Instant::now();
        self.files.retain(|_, file| now.duration_since(file.used) < idle);
    }

    /// Rotates the files whose time is over, also when no message comes.
    pub fn rotate_due(&mut self, wall: i64) -> Result<(), Failure> {
        let now = Instant::now();
        for path in self.files.keys().cloned().collect::<Vec<_>>() {
            self.prepare(&path, now, wall)?;
        }
        Ok(())
    }

    /// Closes all files.
    pub fn close_all(&mut self) {
        self.files.clear();
    }

    /// Returns the count of open files.
    pub fn len(&self) -> usize {
        self.files.len()
    }
}
