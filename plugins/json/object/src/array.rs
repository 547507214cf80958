//! Arrays: several values of one type, or JSON text.

use crate::header::Scalar;
use crate::json_text::{put_base64, put_double, put_integer, put_string};
use crate::reader::{State, take_any, value_with};
use crate::value::{ExtensionVisitor, Name, extension_scalar, unsigned};
use heka_plugin_api::{Text, TextValue};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

const INTEGER: u8 = 1;
const DOUBLE: u8 = 2;
const TEXT: u8 = 4;
const BYTES: u8 = 8;
const BOOL: u8 = 16;
/// An object, an array or null.
const OTHER: u8 = 32;

/// Which types an array held; its values and its JSON text are in the scratch memory.
pub(crate) struct ArrayField {
    types: u8,
}

/// Reads an array.
pub(crate) fn read_array<'de, A: SeqAccess<'de>>(
    state: &mut State<'_, '_>,
    mut seq: A,
) -> Result<ArrayField, A::Error> {
    state.enter()?;
    state.scratch.values.clear();
    state.scratch.json.clear();
    state.scratch.json.push(b'[');
    let mut types = 0;
    while let Some(found) = seq.next_element_seed(ElementSeed { state })? {
        types |= found;
    }
    state.scratch.json.push(b']');
    state.leave();
    Ok(ArrayField { types })
}

impl ArrayField {
    /// Adds the array as a field; an empty one adds nothing.
    pub(crate) fn add(self, state: &mut State<'_, '_>, name: &Name) {
        if self.types == 0 {
            return;
        }
        let name = state.name_text(name);
        if self.types == INTEGER | DOUBLE {
            state.scratch.values.iter_mut().for_each(widen);
        }
        if matches!(self.types, INTEGER | DOUBLE | TEXT | BYTES | BOOL) || self.types == INTEGER | DOUBLE {
            state.builder.field_text_values(name, Text::default(), &state.scratch.values);
        } else {
            let (representation, text) =
                (state.builder.text(b"json"), state.builder.text(&state.scratch.json));
            state.builder.field_text(name, representation, TextValue::String(text));
        }
    }
}

fn widen(value: &mut TextValue) {
    if let TextValue::Integer(number) = value {
        *value = TextValue::Double(*number as f64);
    }
}

/// Reads an element: keeps it if it is a scalar, and writes it as JSON in any case; returns its type.
struct ElementSeed<'v, 's, 'w> {
    state: &'v mut State<'s, 'w>,
}

/// Writes a value as JSON text to the scratch memory.
pub(crate) struct JsonSeed<'v, 's, 'w> {
    pub(crate) state: &'v mut State<'s, 'w>,
}

take_any! { ElementSeed u8, JsonSeed (), JsonKeySeed () }

impl ElementSeed<'_, '_, '_> {
    fn scalar(self, found: u8, value: Scalar<'_>) -> u8 {
        separate(&mut self.state.scratch.json);
        put_scalar(value, &mut self.state.scratch.json);
        let text = match value {
            Scalar::Text(bytes) | Scalar::Bytes(bytes) => self.state.text_of(bytes),
            _ => Text::default(),
        };
        self.state.scratch.values.push(value_with(value, text));
        found
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_, '_, '_> {
    type Value = u8;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u8, E> {
        Ok(self.scalar(TEXT, Scalar::Text(text.as_bytes())))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<u8, E> {
        Ok(self.scalar(BYTES, Scalar::Bytes(bytes)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u8, E> {
        Ok(self.scalar(INTEGER, Scalar::Integer(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u8, E> {
        let value = unsigned(number);
        if let Scalar::Double(_) = value {
            // The text keeps all digits.
            separate(&mut self.state.scratch.json);
            self.state.scratch.json.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            self.state.scratch.values.push(value_with(value, Text::default()));
            return Ok(DOUBLE);
        }
        Ok(self.scalar(INTEGER, value))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u8, E> {
        Ok(self.scalar(DOUBLE, Scalar::Double(number)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<u8, E> {
        Ok(self.scalar(BOOL, Scalar::Bool(value)))
    }

    fn visit_unit<E: Error>(self) -> Result<u8, E> {
        separate(&mut self.state.scratch.json);
        self.state.scratch.json.extend_from_slice(b"null");
        Ok(OTHER)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<u8, A::Error> {
        separate(&mut self.state.scratch.json);
        JsonSeed { state: self.state }.visit_map(map)?;
        Ok(OTHER)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<u8, A::Error> {
        separate(&mut self.state.scratch.json);
        JsonSeed { state: self.state }.visit_seq(seq)?;
        Ok(OTHER)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, extension: D) -> Result<u8, D::Error> {
        let (kind, bytes) = extension.deserialize_any(ExtensionVisitor)?;
        let value = extension_scalar(kind, bytes);
        let found = if matches!(value, Scalar::Time(_)) { INTEGER } else { BYTES };
        Ok(self.scalar(found, value))
    }
}

impl<'de> Visitor<'de> for JsonSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        put_string(text.as_bytes(), &mut self.state.scratch.json);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        put_base64(bytes, &mut self.state.scratch.json);
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        put_integer(number, &mut self.state.scratch.json);
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.state.scratch.json.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        put_double(number, &mut self.state.scratch.json);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        put_scalar(Scalar::Bool(value), &mut self.state.scratch.json);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.state.scratch.json.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let state = self.state;
        state.enter()?;
        state.scratch.json.push(b'{');
        while map.next_key_seed(JsonKeySeed { state })?.is_some() {
            map.next_value_seed(JsonSeed { state })?;
        }
        state.scratch.json.push(b'}');
        state.leave();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let state = self.state;
        state.enter()?;
        state.scratch.json.push(b'[');
        while seq.next_element_seed(NextJsonSeed { state })?.is_some() {}
        state.scratch.json.push(b']');
        state.leave();
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, extension: D) -> Result<(), D::Error> {
        let (kind, bytes) = extension.deserialize_any(ExtensionVisitor)?;
        put_scalar(extension_scalar(kind, bytes), &mut self.state.scratch.json);
        Ok(())
    }
}

/// As `JsonSeed`, behind a comma where one is needed.
struct NextJsonSeed<'v, 's, 'w> {
    state: &'v mut State<'s, 'w>,
}

impl<'de> DeserializeSeed<'de> for NextJsonSeed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        separate(&mut self.state.scratch.json);
        JsonSeed { state: self.state }.deserialize(deserializer)
    }
}

/// Writes a key with what comes before and behind it.
struct JsonKeySeed<'v, 's, 'w> {
    state: &'v mut State<'s, 'w>,
}

impl Visitor<'_> for JsonKeySeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.visit_bytes(key.as_bytes())
    }

    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<(), E> {
        let json = &mut self.state.scratch.json;
        separate(json);
        put_string(key, json);
        json.push(b':');
        Ok(())
    }

    fn visit_i64<E: Error>(self, key: i64) -> Result<(), E> {
        self.visit_str(itoa::Buffer::new().format(key))
    }

    fn visit_u64<E: Error>(self, key: u64) -> Result<(), E> {
        self.visit_str(itoa::Buffer::new().format(key))
    }
}

/// Puts a comma, unless the object or array has just begun.
fn separate(json: &mut Vec<u8>) {
    if !matches!(json.last(), Some(b'[' | b'{') | None) {
        json.push(b',');
    }
}

fn put_scalar(value: Scalar<'_>, json: &mut Vec<u8>) {
    match value {
        Scalar::Text(text) => put_string(text, json),
        Scalar::Bytes(bytes) => put_base64(bytes, json),
        Scalar::Integer(number) | Scalar::Time(number) => put_integer(number, json),
        Scalar::Double(number) => put_double(number, json),
        Scalar::Bool(value) => json.extend_from_slice(if value { b"true" } else { b"false" }),
    }
}
