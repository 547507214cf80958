//! Input `hop`: the grater's side.

mod acknowledged_file;
mod beat;
mod config;
mod connection;
mod counters;
mod greeting;
mod hop_input;
mod listener;
mod server;
mod source;
mod sources;

pub use config::{check_batch_bytes, check_time};
pub use hop_input::HopInput;
