//! What the whole-system tests share: directories, a running daemon, waiting for a state.

mod clients;
mod directory;
mod host;
mod peer;
mod plugin_file;
pub mod probe;
mod router;
mod wait;

pub use clients::{Client, install_npm, install_npm_with, install_python, install_python2, say_skipped};
pub use directory::{Directory, plugin_dir, repository};
pub use host::{Ended, Host};
pub use peer::{Peer, address_of, send_tcp, send_udp};
pub use plugin_file::plugin_file;
pub use probe::{Capture, Captured};
pub use router::{Started, assert_balanced, run_to_end, start};
pub use wait::{wait_for, wait_until};
