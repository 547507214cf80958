//! JSON, one object for each message: decoder and encoder `json`.
//!
//! [`line`] and [`object`] are public and pure, for programs that read and write JSON lines themselves.

mod decoder;
mod encoder;
pub mod line;
pub mod object;

pub use decoder::JsonDecoder;
pub use encoder::JsonEncoder;

use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "json" => JsonDecoder,
    encoder "json" => JsonEncoder,
}
