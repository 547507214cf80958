//! Objects of keys and values as messages: what the JSON and the MessagePack plugins share.
//!
//! [`ObjectReader`] takes an object from any serde format and writes it into a message without building a tree.
//! At the top of the object `type`, `logger`, `severity`, `payload`, `timestamp`, `hostname`, `pid`, `uuid` and
//! `env_version` belong to the message's header, as do `metlog_pid`, `metlog_hostname`, `heka_pid` and
//! `heka_hostname`, the names of the Metlog envelope; the members of `fields` and all other keys become fields.

mod array;
mod clock;
mod duplicates;
mod header;
mod json_text;
mod reader;
mod timestamp;
mod uuid_text;
mod value;

pub use clock::Clock;
pub use duplicates::DuplicateNames;
pub use header::{Found, HeaderKey};
pub use json_text::{
    ByteSink, is_all_plain, put_base64, put_double, put_integer, put_string, put_string_between,
};
pub use reader::{ObjectOptions, ObjectReader};
pub use timestamp::{parse_timestamp, scaled_timestamp};
pub use uuid_text::{fill_uuid, parse_uuid, uuid_text};
