//! MessagePack, one map for each message: decoder and encoder `msgpack`.

mod decoder;
mod encoder;
mod extent;

pub use decoder::MsgpackDecoder;
pub use encoder::MsgpackEncoder;
use heka_plugin_api::export_plugin;

export_plugin! {
    decoder "msgpack" => MsgpackDecoder,
    encoder "msgpack" => MsgpackEncoder,
}
