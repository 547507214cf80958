//! The file `positions` of an input's state directory: loaded at the start, and replaced by a thread of its own, so that
//! no read waits for the disk.

use super::complaints::Complaints;
use super::position_text::{self, Kept};
use heka_plugin_api::cause;
use heka_plugin_api::fault_point;
use rustix::event::{EventfdFlags, eventfd};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// What was kept between runs.
#[derive(Default)]
pub struct Loaded {
    /// The patterns of the run before; empty at the first start.
    pub patterns: Vec<String>,
    /// The streams.
    pub streams: Vec<Kept>,
    /// Whether something was kept that can't be read.
    pub is_lost: bool,
}

/// The file of positions.
pub struct PositionFile {
    path: PathBuf,
    writer: Option<Writer>,
    is_saving: bool,
    done: Option<Arc<OwnedFd>>,
}

/// The thread that writes.
struct Writer {
    texts: Option<Sender<String>>,
    results: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PositionFile {
    /// Finds the file in a directory.
    pub fn new(directory: &Path) -> PositionFile {
        // Without one a save is noticed at the next moment that something else happens.
        let done = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok().map(Arc::new);
        PositionFile { path: directory.join("positions"), writer: None, is_saving: false, done }
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what was kept. A file that can't be read is moved aside, and the one saved before it taken.
    pub fn load(&self, complaints: &mut Complaints) -> Loaded {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // One that could not be read was moved aside, and nothing saved since.
                let (patterns, streams) = self.read_old().unwrap_or_default();
                return Loaded { patterns, streams, is_lost: false };
            }
            Err(error) => {
                let why = cause(&error);
                return self.load_old(&why, complaints);
            }
        };
        match position_text::read(&text) {
            Ok((patterns, streams)) => Loaded { patterns, streams, is_lost: false },
            Err(why) => self.load_old(&why, complaints),
        }
    }

    fn load_old(&self, why: &str, complaints: &mut Complaints) -> Loaded {
        let aside = self.path.with_extension("bad");
        let moved = match fs::rename(&self.path, &aside) {
            Ok(()) => format!("moved to `{}`", aside.display()),
            Err(error) => format!("and can't be moved to `{}`: {}", aside.display(), cause(&error)),
        };
        let old = self.read_old();
        let what = match old {
            Some(_) => "going on from those saved before, so that lines may come again",
            None => "reading all files from their beginning, so that lines may come again",
        };
        let path = self.path.display();
        complaints
            .about(&aside, format_args!("the positions in `{path}` can't be used: {why}; {moved}; {what}"));
        match old {
            Some((patterns, streams)) => Loaded { patterns, streams, is_lost: false },
            None => Loaded { is_lost: true, ..Loaded::default() },
        }
    }

    fn read_old(&self) -> Option<(Vec<String>, Vec<Kept>)> {
        fs::read(old(&self.path)).ok().and_then(|text| position_text::read(&text).ok())
    }

    /// Tells whether a save is under way.
    pub fn is_saving(&self) -> bool {
        self.is_saving
    }

    /// Returns what becomes readable when a save has ended.
    pub fn done(&self) -> Option<&OwnedFd> {
        self.done.as_deref()
    }

    /// Begins to replace the file; not while that is under way.
    pub fn save(&mut self, text: String) {
        if self.writer.is_none() {
            self.writer = Writer::start(&self.path, self.done.clone());
        }
        let sent =
            self.writer.as_ref().and_then(|writer| writer.texts.as_ref()).map(|texts| texts.send(text));
        self.is_saving = matches!(sent, Some(Ok(())));
    }

    /// Returns how a save ended that did since the last call.
    pub fn poll(&mut self) -> Option<io::Result<()>> {
        if !self.is_saving {
            return None;
        }
        let ended = self.writer.as_ref()?.results.try_recv().ok();
        self.ended(ended)
    }

    /// Waits for the end of the save that is under way.
    pub fn wait(&mut self) -> Option<io::Result<()>> {
        if !self.is_saving {
            return None;
        }
        let failed = || io::Error::other("its thread has ended");
        let ended = self.writer.as_ref()?.results.recv().unwrap_or_else(|_| Err(failed()));
        self.ended(Some(ended))
    }

    fn ended(&mut self, ended: Option<io::Result<()>>) -> Option<io::Result<()>> {
        if ended.is_some() {
            self.is_saving = false;
            if let Some(done) = &self.done {
                let _ = rustix::io::read(done, &mut [0; 8]);
            }
        }
        ended
    }
}

impl Writer {
    fn start(path: &Path, done: Option<Arc<OwnedFd>>) -> Option<Writer> {
        let (texts, received) = channel::<String>();
        let (ended, results) = channel();
        let path = path.to_owned();
        let write = move || {
            for text in received {
                let result = replace(&path, text.as_bytes());
                if ended.send(result).is_err() {
                    break;
                }
                if let Some(done) = &done {
                    let _ = rustix::io::write(done, &1_u64.to_ne_bytes());
                }
            }
        };
        let thread = thread::Builder::new().name("positions".to_owned()).spawn(write).ok()?;
        Some(Writer { texts: Some(texts), results, thread: Some(thread) })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.texts = None;
        // The code that it runs must not go before it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Replaces a file's content so that after a crash it has either the old or the new one; the old one stays beside it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let (new, old) = (path.with_extension("new"), old(path));
    let mut file = File::create(&new)?;
    file.write_all(content)?;
    fault_point("file.positions.written");
    file.sync_data()?;
    fault_point("file.positions.synced");
    if let Err(error) = fs::remove_file(&old)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    // At the first time there is none.
    let _ = fs::hard_link(path, &old);
    fault_point("file.positions.linked");
    fs::rename(&new, path)?;
    fault_point("file.positions.renamed");
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Where the file saved before is.
fn old(path: &Path) -> PathBuf {
    path.with_extension("old")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(file: &mut PositionFile, pattern: &str) {
        file.save(position_text::write([pattern].into_iter(), [].iter()));
        file.wait().unwrap().unwrap();
    }

    #[test]
    fn what_is_saved_is_loaded_and_damage_costs_one_save() {
        let directory = tempfile::tempdir().unwrap();
        let mut complaints = Complaints::new("test");
        let mut file = PositionFile::new(directory.path());
        let loaded = file.load(&mut complaints);
        assert!(loaded.patterns.is_empty() && !loaded.is_lost);
        saved(&mut file, "/1");
        saved(&mut file, "/2");
        let mut check = |patterns: &[&str], is_lost: bool| {
            let loaded = PositionFile::new(directory.path()).load(&mut complaints);
            assert_eq!(
                (loaded.patterns, loaded.is_lost),
                (patterns.iter().map(|p| (*p).to_owned()).collect(), is_lost)
            );
        };
        check(&["/2"], false);
        let path = directory.path().join("positions");
        fs::write(&path, [0; 100]).unwrap();
        check(&["/1"], false);
        assert_eq!(fs::read(path.with_extension("bad")).unwrap(), [0; 100]);
        check(&["/1"], false);
        fs::write(&path, "heka file positions 3\n").unwrap();
        fs::write(path.with_extension("old"), "").unwrap();
        check(&[], true);
    }

    #[test]
    fn a_failed_save_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = PositionFile::new(&directory.path().join("none"));
        file.save(String::new());
        assert_eq!(file.wait().unwrap().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!file.is_saving());
    }
}
