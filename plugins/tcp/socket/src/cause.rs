//! Says a failed system call in the words of an error line.

use rustix::io::Errno;

/// Returns the system's text without its number, lowercase: `connection refused`.
pub fn cause(errno: Errno) -> String {
    heka_plugin_api::cause(&errno.into())
}
