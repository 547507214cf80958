//! What the whole-system tests share: directories, a running daemon, waiting for a state.

mod directory;
mod host;
mod plugin_file;
mod router;
mod wait;

pub use directory::{Directory, plugin_dir, repository};
pub use host::{Ended, Host};
pub use plugin_file::plugin_file;
pub use router::{Started, start};
pub use wait::{wait_for, wait_until};
