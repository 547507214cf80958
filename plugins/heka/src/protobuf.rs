//! Heka's protobuf message, read and written by hand.
//!
//! ```text
//! Message: 1 uuid, 16 bytes   2 timestamp, int64 ns   3 type       4 logger    5 severity, int32, default 7
//!          6 payload          7 env_version           8 pid, int32 9 hostname 10 repeated Field
//! Field:   1 name   2 value_type {STRING 0, BYTES 1, INTEGER 2, DOUBLE 3, BOOL 4}   3 representation
//!          4 value_string*   5 value_bytes*   6 value_integer*   7 value_double*   8 value_bool*
//! ```
//!
//! Numbers are written packed and read packed or not. A field that is unknown, or known and of an unexpected wire
//! type, is skipped; the last one of a field that may occur once wins.
//!
//! Source: mozilla-services/heka, message/message.proto.

mod decode;
mod encode;
mod slot;
mod wire;

pub use decode::{MessageReader, Present};
pub use encode::{ByteSink, Layout, message_len, put_message};
pub use wire::ProtobufFault;

pub(crate) use slot::Slot;
pub(crate) use wire::Cursor;

#[cfg(test)]
mod tests;
