//! The Graylog Extended Log Format (GELF): decoder `gelf`.
//!
//! Chunked messages are put together in the decoder, not in an input of its own: every input of datagrams can carry them, the
//! sockets and their buffers are `udp`'s already, and all datagrams of a socket come to the same instance.

mod chunks;
mod decoder;
mod inflate;
mod object;

pub use decoder::GelfDecoder;

use heka_plugin_api::export_plugin;

export_plugin! { decoder "gelf" => GelfDecoder }
