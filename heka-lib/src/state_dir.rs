//! The state directory, and the lock that keeps a second router out of it.
//!
//! `DIR/lock` is locked with `flock` as long as the router lives; when its process ends in any way, the system gives it
//! back. The file holds the process id of the one who has it, for the message to the next. It is never removed:
//! then two routers could each lock a file of that name.

use heka_plugin_api::cause;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A state directory that this router has for itself, until it is dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    _lock: File,
}

/// Why a state directory can't be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StateDirError {
    /// Another router has it; the text names its process.
    InUse(String),
    /// It can't be made, read or written.
    Unusable(String),
}

impl StateDir {
    /// Makes the directory if it isn't there, and locks it.
    ///
    /// # Errors
    /// If another router has it, or it can't be used; one line that says what to do.
    pub(crate) fn lock(directory: &Path) -> Result<StateDir, StateDirError> {
        let shown = Shown(directory);
        fs::create_dir_all(directory).map_err(|error| shown.unmade(&error))?;
        shown.check_owner()?;
        let path = directory.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = opened.map_err(|error| shown.unwritable(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(shown.in_use(&mut file)),
            Err(error) => return Err(shown.unwritable(&error.into())),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| shown.unwritable(&error))?;
        Ok(StateDir { _lock: file })
    }
}

/// A directory as messages show it.
struct Shown<'d>(&'d Path);

impl Shown<'_> {
    fn unusable(&self, what: &str) -> StateDirError {
        StateDirError::Unusable(format!("state_dir `{}`: {what}", self.0.display()))
    }

    fn unmade(&self, error: &io::Error) -> StateDirError {
        match self.file_in_the_way() {
            Some(file) if file == self.0 => {
                self.unusable("is not a directory; remove it, or name another `state_dir`")
            }
            Some(file) => self.unusable(&format!(
                "failed to make it: `{}` is not a directory; name another `state_dir`",
                file.display()
            )),
            None => self.unusable(&format!(
                "failed to make it: {}; make it for user {}, or name another `state_dir`",
                cause(error),
                own_uid()
            )),
        }
    }

    /// The first part of the path that is something else than a directory.
    fn file_in_the_way(&self) -> Option<PathBuf> {
        let mut parts: Vec<&Path> = self.0.ancestors().collect();
        parts.reverse();
        let is_file = |part: &&&Path| part.metadata().is_ok_and(|found| !found.is_dir());
        parts.iter().find(is_file).map(|part| part.to_path_buf())
    }

    fn unwritable(&self, error: &io::Error) -> StateDirError {
        self.unusable(&format!(
            "failed to lock `lock` in it: {}; make it writable for user {}, or name another `state_dir`",
            cause(error),
            own_uid()
        ))
    }

    /// What others own, they may change under us; and what we write there as root, they can't read later.
    fn check_owner(&self) -> Result<(), StateDirError> {
        let found = self.0.metadata().map_err(|error| self.unmade(&error))?;
        let own = own_uid();
        if foreign(found.uid(), own) {
            return Err(self.unusable(&format!(
                "belongs to user {}, and this process runs as user {own}; run it as that user, or change the owner",
                found.uid()
            )));
        }
        Ok(())
    }

    fn in_use(&self, lock: &mut File) -> StateDirError {
        let mut text = String::new();
        let read = lock.take(32).read_to_string(&mut text);
        let pid = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
        let who = match pid {
            Some(pid) if pid == std::process::id() => "another router of this process".to_owned(),
            Some(pid) => format!("another process (pid {pid})"),
            None => "another process".to_owned(),
        };
        StateDirError::InUse(format!(
            "state_dir `{}`: in use by {who}; stop that one, or give this one a `state_dir` of its own",
            self.0.display()
        ))
    }
}

/// Whether a directory of `owner` is not for a process of `own` to use.
fn foreign(owner: u32, own: u32) -> bool {
    owner != own && owner != 0
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(directory: &Path) -> String {
        match StateDir::lock(directory) {
            Ok(_) => panic!("{} was taken", directory.display()),
            Err(StateDirError::InUse(text) | StateDirError::Unusable(text)) => text,
        }
    }

    #[test]
    fn a_directory_is_made_and_locked_until_it_is_given_back() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("a/b");
        let first = StateDir::lock(&directory).unwrap();
        let pid = fs::read_to_string(directory.join("lock")).unwrap();
        assert_eq!(pid, format!("{}\n", std::process::id()));
        let expected = format!(
            "state_dir `{}`: in use by another router of this process; stop that one, or give this one a \
             `state_dir` of its own",
            directory.display()
        );
        assert_eq!(StateDir::lock(&directory).unwrap_err(), StateDirError::InUse(expected));
        drop(first);
        StateDir::lock(&directory).unwrap();
    }

    #[test]
    fn the_process_that_has_the_lock_is_named_if_it_is_known() {
        for (content, who) in [("4711\n", "another process (pid 4711)"), ("", "another process")] {
            let directory = tempfile::tempdir().unwrap();
            let _first = StateDir::lock(directory.path()).unwrap();
            fs::write(directory.path().join("lock"), content).unwrap();
            let text = refusal(directory.path());
            assert!(text.contains(&format!("in use by {who}; stop that one")), "{text}");
        }
    }

    #[test]
    fn what_is_no_directory_is_said() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let shown = file.display();
        let text = refusal(&file);
        let expected =
            format!("state_dir `{shown}`: is not a directory; remove it, or name another `state_dir`");
        assert_eq!(text, expected);
        let text = refusal(&file.join("below"));
        let expected = format!(
            "state_dir `{shown}/below`: failed to make it: `{shown}` is not a directory; name another `state_dir`"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_can_not_be_written_is_said() {
        let directory = tempfile::tempdir().unwrap();
        // Also root can't open a directory for writing.
        fs::create_dir(directory.path().join("lock")).unwrap();
        let expected = format!(
            "state_dir `{}`: failed to lock `lock` in it: is a directory; make it writable for user {}, or name \
             another `state_dir`",
            directory.path().display(),
            own_uid()
        );
        assert_eq!(refusal(directory.path()), expected);
    }

    #[test]
    fn only_our_own_and_roots_directories_are_taken() {
        let found = [(1000, 1000), (0, 1000), (0, 0), (1000, 0), (1001, 1000)];
        assert_eq!(found.map(|(owner, own)| foreign(owner, own)), [false, false, false, true, true]);
    }
}
