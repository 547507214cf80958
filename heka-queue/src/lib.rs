//! A durable queue of messages: append-only segments on disk, for what waits for an output.
