//! Keys and values of an object, as serde hands them out.

use crate::array::{JsonSeed, read_array};
use crate::header::{HeaderKey, Scalar};
use crate::reader::{State, read_members, take_any};
use crate::timestamp::join;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::ops::Range;

/// The name that a value would have as a field.
pub(crate) enum Name {
    /// A part of the frame.
    Frame(Range<usize>),
    /// The path.
    Path,
}

/// Reads a key; joins it with those around it.
pub(crate) struct KeySeed<'v, 's, 'w> {
    pub(crate) state: &'v mut State<'s, 'w>,
    pub(crate) is_top: bool,
    pub(crate) prefix: usize,
}

take_any! { KeySeed (HeaderKey, Name), ValueSeed () }

impl<'de> Visitor<'de> for KeySeed<'_, '_, '_> {
    type Value = (HeaderKey, Name);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, key: &str) -> Result<(HeaderKey, Name), E> {
        self.visit_bytes(key.as_bytes())
    }

    #[inline]
    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<(HeaderKey, Name), E> {
        let state = self.state;
        let meaning = match self.is_top {
            true => HeaderKey::of(key, state.options.timestamp_key.as_deref(), &mut state.found),
            false => HeaderKey::None,
        };
        if let (0, Some(place)) = (self.prefix, state.place(key)) {
            return Ok((meaning, Name::Frame(place)));
        }
        state.scratch.path.truncate(self.prefix);
        state.scratch.path.extend_from_slice(key);
        Ok((meaning, Name::Path))
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<(HeaderKey, Name), E> {
        self.visit_str(itoa::Buffer::new().format(key))
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<(HeaderKey, Name), E> {
        self.visit_str(itoa::Buffer::new().format(key))
    }
}

/// Reads a value into the message.
pub(crate) struct ValueSeed<'v, 's, 'w> {
    pub(crate) state: &'v mut State<'s, 'w>,
    pub(crate) key: HeaderKey,
    pub(crate) name: Name,
}

impl ValueSeed<'_, '_, '_> {
    #[inline]
    fn scalar<E: Error>(self, value: Scalar<'_>) -> Result<(), E> {
        self.state.scalar(self.key, &self.name, value);
        Ok(())
    }

    /// Makes the name the front of the path, to which the keys of members are joined; returns its length.
    fn open_path(&mut self) -> usize {
        if let Name::Frame(place) = &self.name {
            let mut path = std::mem::take(&mut self.state.scratch.path);
            path.clear();
            path.extend_from_slice(self.state.frame_bytes(place.clone()));
            self.state.scratch.path = path;
        }
        let separator = self.state.options.separator.as_bytes();
        self.state.scratch.path.extend_from_slice(separator);
        self.state.scratch.path.len()
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(text.as_bytes()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.scalar(Scalar::Bytes(bytes))
    }

    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(Scalar::Integer(number))
    }

    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(unsigned(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.scalar(Scalar::Double(number))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.key == HeaderKey::Payload {
            self.state.found.payload = true;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        match self.key {
            HeaderKey::Payload => {
                self.state.scratch.json.clear();
                JsonSeed { state: self.state }.visit_map(map)?;
                put_json_payload(self.state);
                Ok(())
            }
            HeaderKey::Fields => {
                self.state.found.envelope = true;
                read_members(self.state, map, false, 0)
            }
            _ => {
                let prefix = self.open_path();
                read_members(self.state, map, false, prefix)
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let field = read_array(self.state, seq)?;
        if self.key == HeaderKey::Payload {
            put_json_payload(self.state);
        } else {
            field.add(self.state, &self.name);
        }
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, extension: D) -> Result<(), D::Error> {
        let (kind, bytes) = extension.deserialize_any(ExtensionVisitor)?;
        self.scalar(extension_scalar(kind, bytes))
    }
}

fn put_json_payload(state: &mut State<'_, '_>) {
    state.builder.payload(&state.scratch.json);
    state.found.payload = true;
}

/// An integer, or a double when it needs all 64 bits.
#[inline]
pub(crate) fn unsigned(number: u64) -> Scalar<'static> {
    i64::try_from(number).map_or(Scalar::Double(number as f64), Scalar::Integer)
}

/// Reads a MessagePack extension: its kind and its bytes.
pub(crate) struct ExtensionVisitor;

impl<'de> Visitor<'de> for ExtensionVisitor {
    type Value = (i8, &'de [u8]);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an extension")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(i8, &'de [u8]), A::Error> {
        let kind = seq.next_element()?.unwrap_or_default();
        let bytes = seq.next_element()?.unwrap_or_default();
        Ok((kind, bytes))
    }
}

/// The timestamp extension is a time; others are bytes.
pub(crate) fn extension_scalar(kind: i8, bytes: &[u8]) -> Scalar<'_> {
    let time = match (kind, bytes.len()) {
        (-1, 4) => join(number(bytes) as i64, 0),
        (-1, 8) => join((number(bytes) & 0x3_ffff_ffff) as i64, (number(bytes) >> 34) as i64),
        (-1, 12) => join(number(&bytes[4..]) as i64, number(&bytes[..4]) as i64),
        _ => None,
    };
    time.map_or(Scalar::Bytes(bytes), Scalar::Time)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
