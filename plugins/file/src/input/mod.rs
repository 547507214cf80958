//! Input `file`: patterns find files, a watcher tells what changed, and the follower reads them in turn.

mod complaints;
mod config;
mod copies;
mod discovery;
mod file_input;
mod file_set;
mod fingerprint;
mod followed_file;
mod follower;
mod gzip;
mod patterns;
mod place;
mod position_file;
mod position_text;
mod positions;
#[cfg(test)]
mod tests;
mod watcher;

pub use file_input::FileInput;
