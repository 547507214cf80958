//! Heka's own wire format, protobuf messages in Heka's stream framing: decoder and encoder `heka`.
//!
//! The parts are public and pure, for programs that read and write Heka streams themselves: [`framing`] is the
//! frame with its header, [`protobuf`] the message, [`signing`] the signature that a header may carry.

mod decoder;
mod early_json;
mod encoder;
pub mod framing;
pub mod protobuf;
pub mod signing;

pub use decoder::HekaDecoder;
pub use encoder::HekaEncoder;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "heka" => HekaDecoder,
    encoder "heka" => HekaEncoder,
}
