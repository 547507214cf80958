//! The keys of an object that belong to the message's header.

use crate::timestamp::{parse_timestamp, scaled_double, scaled_timestamp};
use crate::uuid_text::parse_uuid;
use heka_plugin_api::{MessageBuilder, Text};

/// What a key at the top of an object means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderKey {
    /// `type`
    Type,
    /// `logger`
    Logger,
    /// `severity`
    Severity,
    /// `payload`
    Payload,
    /// `timestamp`, or the key that the options name instead.
    Timestamp,
    /// `hostname`, `metlog_hostname`, `heka_hostname`
    Hostname,
    /// `pid`, `metlog_pid`, `heka_pid`
    Pid,
    /// `uuid`
    Uuid,
    /// `env_version`
    EnvVersion,
    /// `fields`
    Fields,
    /// Any other key.
    None,
}

/// What an object told about itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Found {
    /// It has a payload.
    pub payload: bool,
    /// It has a key that only an envelope has: `uuid`, `env_version`, `fields` or a name of the Metlog envelope.
    pub envelope: bool,
    /// It has a time that can't be read, which has become a field.
    pub odd_timestamp: bool,
}

impl HeaderKey {
    #[inline]
    pub(crate) fn of(key: &[u8], timestamp_key: Option<&str>, found: &mut Found) -> HeaderKey {
        if let Some(timestamp_key) = timestamp_key {
            match key == timestamp_key.as_bytes() {
                true => return HeaderKey::Timestamp,
                false if key == b"timestamp" => return HeaderKey::None,
                false => {}
            }
        }
        match key {
            b"type" => HeaderKey::Type,
            b"logger" => HeaderKey::Logger,
            b"severity" => HeaderKey::Severity,
            b"payload" => HeaderKey::Payload,
            b"timestamp" => HeaderKey::Timestamp,
            b"hostname" => HeaderKey::Hostname,
            b"pid" => HeaderKey::Pid,
            b"uuid" => HeaderKey::Uuid,
            b"env_version" => {
                found.envelope = true;
                HeaderKey::EnvVersion
            }
            b"fields" => HeaderKey::Fields,
            b"metlog_pid" | b"heka_pid" => {
                found.envelope = true;
                HeaderKey::Pid
            }
            b"metlog_hostname" | b"heka_hostname" => {
                found.envelope = true;
                HeaderKey::Hostname
            }
            _ => HeaderKey::None,
        }
    }
}

/// A value that is neither an object nor an array; `bytes` are those of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'v> {
    Text(&'v [u8]),
    Bytes(&'v [u8]),
    Integer(i64),
    Double(f64),
    Bool(bool),
    /// Nanoseconds since the epoch, of a format that has times.
    Time(i64),
}

/// Sets a part of the header; `text` is where the bytes are in the message. `false` if the value doesn't fit.
#[inline]
pub(crate) fn set(
    key: HeaderKey,
    value: Scalar<'_>,
    text: Text,
    builder: &mut MessageBuilder<'_>,
    found: &mut Found,
) -> bool {
    match (key, value) {
        (HeaderKey::Type, Scalar::Text(_) | Scalar::Bytes(_)) => _ = builder.message_type_text(text),
        (HeaderKey::Logger, Scalar::Text(_) | Scalar::Bytes(_)) => _ = builder.logger_text(text),
        (HeaderKey::Hostname, Scalar::Text(_) | Scalar::Bytes(_)) => _ = builder.hostname_text(text),
        (HeaderKey::EnvVersion, Scalar::Text(_) | Scalar::Bytes(_)) => _ = builder.env_version_text(text),
        (HeaderKey::Payload, value) => {
            set_payload(value, text, builder);
            found.payload = true;
        }
        (HeaderKey::Severity | HeaderKey::Pid, Scalar::Integer(number)) => {
            let Ok(number) = i32::try_from(number) else { return false };
            if key == HeaderKey::Pid {
                builder.pid(number)
            } else {
                builder.severity(number)
            };
        }
        (HeaderKey::Uuid, Scalar::Text(bytes)) => match parse_uuid(bytes) {
            Some(uuid) => {
                builder.uuid(uuid);
                found.envelope = true;
            }
            None => return false,
        },
        (HeaderKey::Timestamp, value) => match timestamp(value) {
            Some(ns) => _ = builder.timestamp(ns),
            None => {
                found.odd_timestamp = true;
                return false;
            }
        },
        _ => return false,
    }
    true
}

fn timestamp(value: Scalar<'_>) -> Option<i64> {
    match value {
        Scalar::Text(text) => parse_timestamp(text),
        Scalar::Integer(number) => scaled_timestamp(number),
        Scalar::Double(number) => scaled_double(number),
        Scalar::Time(ns) => Some(ns),
        Scalar::Bytes(_) | Scalar::Bool(_) => None,
    }
}

fn set_payload(value: Scalar<'_>, text: Text, builder: &mut MessageBuilder<'_>) {
    match value {
        Scalar::Text(_) | Scalar::Bytes(_) => builder.payload_text(text),
        Scalar::Integer(number) | Scalar::Time(number) => builder.payload(itoa::Buffer::new().format(number)),
        Scalar::Double(number) => builder.payload(zmij::Buffer::new().format(number)),
        Scalar::Bool(value) => builder.payload(if value { "true" } else { "false" }),
    };
}
