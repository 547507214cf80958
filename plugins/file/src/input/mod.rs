//! Input `file`: patterns find files, a watcher tells what changed, and the follower reads them in turn.

mod complaints;
mod config;
mod discovery;
mod file_input;
mod file_set;
mod fingerprint;
mod followed_file;
mod follower;
mod patterns;
mod position_text;
mod positions;
#[cfg(test)]
mod tests;
mod watcher;

pub use file_input::FileInput;
