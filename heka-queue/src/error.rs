//! What a failure of a queue tells its user.

use heka_plugin_api::cause;
use std::fmt;
use std::io;
use std::path::Path;

/// What kind of failure a [`QueueError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueErrorKind {
    /// The disk is full, or the user's part of it.
    Full,
    /// The system failed to read or write.
    Io,
    /// Another process has the queue open.
    Locked,
    /// The directory was made by a later version.
    Version,
    /// The path is not a directory, or one that this user may not use.
    Directory,
    /// The caller broke a rule of this crate.
    Misuse,
}

/// Why an operation on a queue failed; its text names the path and says what can be done.
#[derive(Debug)]
pub struct QueueError {
    kind: QueueErrorKind,
    text: String,
}

impl QueueError {
    /// Returns its kind.
    pub fn kind(&self) -> QueueErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: QueueErrorKind, directory: &Path, text: impl fmt::Display) -> QueueError {
        QueueError { kind, text: format!("queue `{}`: {text}", directory.display()) }
    }

    /// Says that the system failed to do something (`write`) to a file of a queue.
    pub(crate) fn io(directory: &Path, verb: &str, name: &str, error: &io::Error) -> QueueError {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                QueueErrorKind::Full
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => QueueErrorKind::Directory,
            _ => QueueErrorKind::Io,
        };
        QueueError::new(kind, directory, format_args!("failed to {verb} `{name}`: {}", cause(error)))
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for QueueError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_queue_the_file_and_the_cause() {
        let check = |number, kind, text: &str| {
            let error =
                QueueError::io(Path::new("/q"), "write", "position", &io::Error::from_raw_os_error(number));
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        };
        check(28, QueueErrorKind::Full, "queue `/q`: failed to write `position`: no space left on device");
        check(5, QueueErrorKind::Io, "queue `/q`: failed to write `position`: input/output error");
        check(30, QueueErrorKind::Directory, "queue `/q`: failed to write `position`: read-only file system");
    }
}
