//! A durable queue of messages: append-only segments on disk, for what waits for an output.

mod options;
mod queue;

pub use options::{BYTES_MIN, FREE_BYTES_MIN, QueueOptions};
pub use queue::*;
