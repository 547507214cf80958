//! An object → a message, without a tree in between.

use crate::header::{self, Found, HeaderKey, Scalar};
use crate::value::{KeySeed, Name, ValueSeed};
use heka_plugin_api::{MessageBuilder, Text, TextValue};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::ops::Range;

/// How objects become messages.
pub struct ObjectOptions {
    /// Key of the time, in place of `timestamp`.
    pub timestamp_key: Option<String>,
    /// What joins the keys of nested objects.
    pub separator: String,
    /// How deep objects and arrays may be nested; the object itself counts as 1.
    pub depth_max: usize,
}

/// Reads objects; keeps its scratch memory between them.
pub struct ObjectReader {
    options: ObjectOptions,
    scratch: Scratch,
}

#[derive(Default)]
pub(crate) struct Scratch {
    /// The joined keys on the way to the value at hand.
    pub(crate) path: Vec<u8>,
    pub(crate) values: Vec<TextValue>,
    pub(crate) json: Vec<u8>,
}

impl ObjectReader {
    /// Makes a reader.
    pub fn new(options: ObjectOptions) -> ObjectReader {
        ObjectReader { options, scratch: Scratch::default() }
    }

    /// Reads one object from `source` into `builder`.
    ///
    /// `frame` is what `source` reads and `text` its copy inside the message, or both are empty: texts that
    /// `source` hands out as parts of `frame` are not copied again.
    ///
    /// A header key with an unsuitable value becomes a field. Members of nested objects become fields with joined
    /// names, arrays of one type fields with several values, other arrays JSON text with the representation
    /// `json`; nothing becomes of nulls and empty arrays.
    ///
    /// # Errors
    /// Those of `source`; also if it holds something else than an object, or is nested too deep.
    pub fn read<'de, D: Deserializer<'de>>(
        &mut self,
        source: D,
        frame: &'de [u8],
        text: Text,
        builder: &mut MessageBuilder<'_>,
    ) -> Result<Found, D::Error> {
        let mut state = State {
            options: &self.options,
            scratch: &mut self.scratch,
            builder,
            frame,
            text,
            depth: 0,
            found: Found::default(),
        };
        source.deserialize_map(ObjectVisitor { state: &mut state })?;
        Ok(state.found)
    }
}

/// What is at hand while one object is read.
pub(crate) struct State<'s, 'w> {
    pub(crate) options: &'s ObjectOptions,
    pub(crate) scratch: &'s mut Scratch,
    pub(crate) builder: &'s mut MessageBuilder<'w>,
    frame: &'s [u8],
    text: Text,
    depth: usize,
    pub(crate) found: Found,
}

impl State<'_, '_> {
    /// Where `bytes` lie in the frame, if they do.
    #[inline]
    pub(crate) fn place(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = (bytes.as_ptr() as usize).wrapping_sub(self.frame.as_ptr() as usize);
        let is_inside = start < self.frame.len() && bytes.len() <= self.frame.len() - start;
        is_inside.then(|| start..start + bytes.len())
    }

    #[inline]
    pub(crate) fn frame_bytes(&self, place: Range<usize>) -> &[u8] {
        self.frame.get(place).unwrap_or_default()
    }

    /// The bytes inside the message.
    #[inline]
    pub(crate) fn text_of(&mut self, bytes: &[u8]) -> Text {
        match self.place(bytes) {
            Some(place) => self.text.slice(place),
            None => self.builder.text(bytes),
        }
    }

    #[inline]
    pub(crate) fn name_text(&mut self, name: &Name) -> Text {
        match name {
            Name::Frame(place) => self.text.slice(place.clone()),
            Name::Path => self.builder.text(&self.scratch.path),
        }
    }

    /// Sets a part of the header or adds a field.
    #[inline]
    pub(crate) fn scalar(&mut self, key: HeaderKey, name: &Name, value: Scalar<'_>) {
        let text = match value {
            Scalar::Text(bytes) | Scalar::Bytes(bytes) => self.text_of(bytes),
            _ => Text::default(),
        };
        if key != HeaderKey::None && header::set(key, value, text, self.builder, &mut self.found) {
            return;
        }
        let name = self.name_text(name);
        self.builder.field_text(name, Text::default(), value_with(value, text));
    }

    /// Goes one level deeper.
    #[inline]
    pub(crate) fn enter<E: Error>(&mut self) -> Result<(), E> {
        if self.depth >= self.options.depth_max {
            return Err(E::custom(format_args!(
                "nested deeper than `depth_max` ({})",
                self.options.depth_max
            )));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// The field's value of a scalar whose bytes are at `text`.
#[inline]
pub(crate) fn value_with(value: Scalar<'_>, text: Text) -> TextValue {
    match value {
        Scalar::Text(_) => TextValue::String(text),
        Scalar::Bytes(_) => TextValue::Bytes(text),
        Scalar::Integer(number) | Scalar::Time(number) => TextValue::Integer(number),
        Scalar::Double(number) => TextValue::Double(number),
        Scalar::Bool(value) => TextValue::Bool(value),
    }
}

struct ObjectVisitor<'v, 's, 'w> {
    state: &'v mut State<'s, 'w>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        read_members(self.state, map, true, 0)
    }
}

/// Reads the members of an object whose joined keys so far are the first `prefix` bytes of the path.
pub(crate) fn read_members<'de, A: MapAccess<'de>>(
    state: &mut State<'_, '_>,
    mut map: A,
    is_top: bool,
    prefix: usize,
) -> Result<(), A::Error> {
    state.enter()?;
    while let Some((key, name)) = map.next_key_seed(KeySeed { state, is_top, prefix })? {
        map.next_value_seed(ValueSeed { state, key, name })?;
    }
    state.leave();
    Ok(())
}

/// Lets a seed that is its own visitor take whatever comes.
macro_rules! take_any {
    ($($seed:ident $output:ty),* $(,)?) => {$(
        impl<'de> DeserializeSeed<'de> for $seed<'_, '_, '_> {
            type Value = $output;

            #[inline]
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$output, D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    )*};
}

pub(crate) use take_any;

#[cfg(test)]
mod tests;
