//! Encoder `msgpack`: messages → MessagePack maps.
//!
//! Keys as in the `json` encoder's objects. The UUID is text, the time a MessagePack timestamp of 96 bits. Text
//! that is not UTF-8 is written as bytes.

use heka_object::{DuplicateNames, uuid_text};
use heka_plugin_api::{ByteWriter, Context, Encoder, Field, Message, PluginError, Schema, Value};
use rmp::encode::{self, ByteBuf, RmpWrite, ValueWriteError};
use serde::Deserialize;

/// Kind of MessagePack's timestamp extension.
const TIMESTAMP: i8 = -1;

/// Writes each message as a MessagePack map.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Put the length of each map in front of it: 4 bytes, big-endian.
    #[serde(default)]
    #[schema(default = "false")]
    length_prefix: bool,
}

/// Writes MessagePack maps.
pub struct MsgpackEncoder {
    length_prefix: bool,
    map: ByteBuf,
}

type Written = Result<(), ValueWriteError<std::convert::Infallible>>;

impl Encoder for MsgpackEncoder {
    type Config = Config;

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(MsgpackEncoder { length_prefix: config.length_prefix, map: ByteBuf::new() })
    }

    fn encode_message(
        &mut self,
        message: &Message<'_>,
        bytes: &mut ByteWriter<'_>,
        _: &mut Context,
    ) -> Result<(), PluginError> {
        self.map.as_mut_vec().clear();
        let failed = |error| PluginError::message(format!("can't be written as MessagePack: {error}"));
        put_message(message, &mut self.map).map_err(failed)?;
        let map = self.map.as_slice();
        if self.length_prefix {
            let length = u32::try_from(map.len());
            let length = length.map_err(|_| PluginError::message("too long for a length of 4 bytes"))?;
            bytes.put(length.to_be_bytes());
        }
        bytes.put(map);
        Ok(())
    }
}

/// The parts of a message that are text, with their keys.
fn texts<'a>(message: &Message<'a>) -> [(&'static str, &'a [u8]); 5] {
    [
        ("type", message.message_type()),
        ("logger", message.logger()),
        ("payload", message.payload()),
        ("env_version", message.env_version()),
        ("hostname", message.hostname()),
    ]
}

fn put_message(message: &Message<'_>, out: &mut ByteBuf) -> Written {
    let texts = texts(message);
    let is_there = |text: &&(&str, &[u8])| !text.1.is_empty();
    let (has_pid, has_fields) = (message.pid() != 0, message.fields().len() > 0);
    let count = 3 + texts.iter().filter(is_there).count() + usize::from(has_pid) + usize::from(has_fields);
    encode::write_map_len(out, count as u32)?;
    encode::write_str(out, "uuid")?;
    put_text(&uuid_text(message.uuid()), out)?;
    encode::write_str(out, "timestamp")?;
    put_timestamp(message.timestamp(), out)?;
    encode::write_str(out, "severity")?;
    encode::write_sint(out, message.severity().into())?;
    for (key, text) in texts.iter().filter(is_there) {
        encode::write_str(out, key)?;
        put_text(text, out)?;
    }
    if has_pid {
        encode::write_str(out, "pid")?;
        encode::write_sint(out, message.pid().into())?;
    }
    if has_fields {
        encode::write_str(out, "fields")?;
        put_fields(message, out)?;
    }
    Ok(())
}

/// The timestamp extension of 96 bits: nanoseconds, seconds.
fn put_timestamp(ns: i64, out: &mut ByteBuf) -> Written {
    encode::write_ext_meta(out, 12, TIMESTAMP)?;
    let fraction = ns.rem_euclid(1_000_000_000) as u32;
    put_bytes(&fraction.to_be_bytes(), out)?;
    put_bytes(&ns.div_euclid(1_000_000_000).to_be_bytes(), out)
}

fn put_bytes(bytes: &[u8], out: &mut ByteBuf) -> Written {
    out.write_bytes(bytes).map_err(ValueWriteError::InvalidDataWrite)
}

fn put_fields(message: &Message<'_>, out: &mut ByteBuf) -> Written {
    let fields = || message.fields();
    if !DuplicateNames::exist(message) {
        encode::write_map_len(out, fields().len() as u32)?;
        return fields().try_for_each(|field| {
            put_text(field.name(), out)?;
            put_values(field.len(), field.values(), out)
        });
    }
    let is_first = |(index, field): &(usize, Field<'_>)| !DuplicateNames::is_repeated(message, field, *index);
    encode::write_map_len(out, fields().enumerate().filter(is_first).count() as u32)?;
    for (_, field) in fields().enumerate().filter(is_first) {
        let same = || fields().filter(|other| other.name() == field.name());
        put_text(field.name(), out)?;
        put_values(same().map(|field| field.len()).sum(), same().flat_map(|field| field.values()), out)?;
    }
    Ok(())
}

/// One value as it is, several as an array.
fn put_values<'v>(count: usize, mut values: impl Iterator<Item = Value<'v>>, out: &mut ByteBuf) -> Written {
    if count != 1 {
        encode::write_array_len(out, count as u32)?;
    }
    // A record written wrongly may hold fewer values than it says.
    (0..count).try_for_each(|_| match values.next() {
        Some(value) => put_value(value, out),
        None => encode::write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite),
    })
}

fn put_value(value: Value<'_>, out: &mut ByteBuf) -> Written {
    match value {
        Value::String(text) => put_text(text, out),
        Value::Bytes(bytes) => encode::write_bin(out, bytes),
        Value::Integer(number) => encode::write_sint(out, number).map(drop),
        Value::Double(number) => encode::write_f64(out, number),
        Value::Bool(value) => encode::write_bool(out, value).map_err(ValueWriteError::InvalidMarkerWrite),
    }
}

fn put_text(text: &[u8], out: &mut ByteBuf) -> Written {
    match std::str::from_utf8(text) {
        Ok(text) => encode::write_str(out, text),
        Err(_) => encode::write_bin(out, text),
    }
}

#[cfg(test)]
mod tests;
