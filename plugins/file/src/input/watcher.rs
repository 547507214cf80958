//! Tells which files and directories changed, by inotify, and waits for it.

use super::patterns::here;
use heka_plugin_api::StopSignal;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Room for a few hundred changes at a time.
const BUFFER_BYTES: usize = 16 << 10;

/// Something that changed.
pub enum Change {
    /// A file was written to, or cut.
    Content {
        /// Its slot.
        slot: usize,
    },
    /// A file was renamed, deleted, or given other permissions.
    Place {
        /// Its slot.
        slot: usize,
    },
    /// A file or symlink appeared.
    Appeared {
        /// Where.
        path: PathBuf,
    },
    /// A directory appeared, or changes were lost: look at everything.
    Anything,
}

/// Watches files and directories by inotify; without it, it only waits.
pub struct Watcher {
    inotify: Option<OwnedFd>,
    wake: Arc<OwnedFd>,
    buffer: Box<[MaybeUninit<u8>]>,
    watched: HashMap<i32, Watched>,
}

enum Watched {
    File(usize),
    Directory(PathBuf),
}

impl Watcher {
    /// Makes a watcher that is woken when stop is asked for; `with_inotify` false makes one that only waits.
    pub fn new(with_inotify: bool, stop: &StopSignal) -> io::Result<Watcher> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = if with_inotify { Some(inotify::init(flags)?) } else { None };
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let waker = Arc::clone(&wake);
        stop.on_stop(move || {
            // Fails only when the count is full, and then the waiting thread is awake.
            let _ = rustix::io::write(&waker, &1_u64.to_ne_bytes());
        });
        let buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES].into_boxed_slice();
        Ok(Watcher { inotify, wake, buffer, watched: HashMap::new() })
    }

    /// Tells whether changes are told.
    pub fn is_watching(&self) -> bool {
        self.inotify.is_some()
    }

    /// Watches an open file; returns the number of the watch.
    pub fn watch_file(&mut self, file: &File, path: &Path, slot: usize) -> io::Result<i32> {
        let Some(inotify) = &self.inotify else { return Err(io::ErrorKind::Unsupported.into()) };
        let flags = WatchFlags::MODIFY | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF | WatchFlags::ATTRIB;
        // By its descriptor it is surely the file that was opened, whatever has its name now.
        let exact = format!("/proc/self/fd/{}", file.as_raw_fd());
        let watch = inotify::add_watch(inotify, exact, flags)
            .or_else(|_| inotify::add_watch(inotify, path, flags))?;
        self.watched.insert(watch, Watched::File(slot));
        Ok(watch)
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, watch: i32) {
        self.watched.remove(&watch);
        if let Some(inotify) = &self.inotify {
            // Fails when the inode is gone, which ended the watch too.
            let _ = inotify::remove_watch(inotify, watch);
        }
    }

    /// Watches exactly these directories; returns those that can't be.
    pub fn watch_directories(&mut self, directories: BTreeSet<PathBuf>) -> Vec<(PathBuf, io::Error)> {
        let mut failed = Vec::new();
        let Some(inotify) = &self.inotify else { return failed };
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let mut current = BTreeSet::new();
        for directory in directories {
            // Again at each look: a directory may be another one by now, and a repeated watch changes nothing.
            match inotify::add_watch(inotify, here(&directory), flags) {
                Ok(watch) => {
                    current.insert(watch);
                    self.watched.insert(watch, Watched::Directory(directory));
                }
                Err(error) => failed.push((directory, error.into())),
            }
        }
        let is_stale = |(watch, watched): (&i32, &Watched)| {
            (matches!(watched, Watched::Directory(_)) && !current.contains(watch)).then_some(*watch)
        };
        let stale: Vec<i32> = self.watched.iter().filter_map(is_stale).collect();
        stale.into_iter().for_each(|watch| self.unwatch(watch));
        failed
    }

    /// Hands out what changed since the last call, without waiting; returns whether anything did.
    pub fn take(&mut self, mut each: impl FnMut(Change)) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut reader = inotify::Reader::new(inotify, &mut self.buffer);
        let mut any = false;
        // Ends with `WOULDBLOCK`; after any other failure the next look at everything finds what was missed.
        while let Ok(event) = reader.next() {
            any = true;
            let what = event.events();
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                each(Change::Anything);
                continue;
            }
            match self.watched.get(&event.wd()) {
                Some(&Watched::File(slot)) if what.contains(ReadFlags::MODIFY) => {
                    each(Change::Content { slot })
                }
                Some(&Watched::File(slot)) => each(Change::Place { slot }),
                Some(Watched::Directory(_)) if what.contains(ReadFlags::ISDIR) => each(Change::Anything),
                Some(Watched::Directory(directory)) => {
                    if let Some(name) = event.file_name() {
                        each(Change::Appeared { path: directory.join(OsStr::from_bytes(name.to_bytes())) });
                    }
                }
                None => {}
            }
            if what.contains(ReadFlags::IGNORED) {
                self.watched.remove(&event.wd());
            }
        }
        any
    }

    /// Waits until something changes (unless `changes` is false), `also` is readable, stop is asked for, or the time is
    /// over.
    pub fn wait(&self, changes: bool, also: Option<&OwnedFd>, timeout: Duration) {
        let mut fds = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        fds.extend(also.map(|fd| PollFd::new(fd, PollFlags::IN)));
        if let Some(inotify) = self.inotify.as_ref().filter(|_| changes) {
            fds.push(PollFd::new(inotify, PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // Interrupted or not: the caller looks at everything anew.
        let _ = poll(&mut fds, Some(&timeout));
    }
}
