//! Names of fields as JSON, kept between messages: those of one kind have the same fields in the same order, so that
//! comparing the names with the last ones takes the place of escaping them and looking for repeated ones.

use super::LineOptions;
use heka_object::{DuplicateNames, put_string};
use heka_plugin_api::Message;

/// Room for a field's key with everything around it; a message with a longer one is written without a shape.
pub(super) const KEY_BYTES_MAX: usize = 48;
/// Shapes that are kept. A message is only compared with one of them.
const SHAPES: usize = 8;

/// The names of a message's fields, in order.
#[derive(Default)]
pub(super) struct Shape {
    keys: Vec<Key>,
    /// Whether a name is there twice.
    pub(super) has_duplicates: bool,
    /// Whether any field is shown.
    pub(super) has_shown: bool,
}

/// One field's name, and how it is written.
pub(super) struct Key {
    name: Box<[u8]>,
    /// What goes before a text: `,"name":"`; before the first one that is shown `,"fields":{"name":"`.
    pub(super) text: [u8; KEY_BYTES_MAX],
    /// Bytes of `text`; 0 for a field that is not shown.
    pub(super) len: usize,
}

/// The shapes of the messages that came last.
#[derive(Default)]
pub(super) struct Shapes {
    shapes: [Shape; SHAPES],
}

impl Shapes {
    /// Returns the shape of a message; `None` for one without fields, or with names that are too long.
    #[inline]
    pub(super) fn shape(&mut self, message: &Message<'_>, options: &LineOptions) -> Option<&Shape> {
        let first = message.fields().next()?;
        let shape = &mut self.shapes[(message.fields().len() + first.name().len()) % SHAPES];
        if shape.fits(message) || shape.learn(message, options) { Some(shape) } else { None }
    }
}

impl Shape {
    #[inline]
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    #[inline]
    fn fits(&self, message: &Message<'_>) -> bool {
        let fields = message.fields();
        fields.len() == self.keys.len()
            && fields.zip(&self.keys).all(|(field, key)| is_same(field.name(), &key.name))
    }

    /// Becomes the shape of a message; tells whether it could.
    #[cold]
    fn learn(&mut self, message: &Message<'_>, options: &LineOptions) -> bool {
        *self = Shape { has_duplicates: DuplicateNames::exist(message), ..Shape::default() };
        let mut text = Vec::new();
        for field in message.fields() {
            let mut key = Key { name: field.name().into(), text: [0; KEY_BYTES_MAX], len: 0 };
            if options.shows(field.name()) {
                text.clear();
                text.extend_from_slice(if self.has_shown { b"," } else { b",\"fields\":{" });
                put_string(field.name(), &mut text);
                text.extend_from_slice(b":\"");
                let Some(place) = key.text.get_mut(..text.len()) else {
                    *self = Shape::default();
                    return false;
                };
                place.copy_from_slice(&text);
                (key.len, self.has_shown) = (text.len(), true);
            }
            self.keys.push(key);
        }
        true
    }
}

/// Compares names without a call: most are short.
#[inline]
fn is_same(one: &[u8], two: &[u8]) -> bool {
    if one.len() != two.len() {
        return false;
    }
    match one.len() {
        8..=16 => one.first_chunk::<8>() == two.first_chunk() && one.last_chunk::<8>() == two.last_chunk(),
        4..8 => one.first_chunk::<4>() == two.first_chunk() && one.last_chunk::<4>() == two.last_chunk(),
        0..4 => one.iter().eq(two),
        _ => one == two,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_names_are_compared_whole(name in prop::collection::vec(0u8..3, 0..40), at: prop::sample::Index) {
            prop_assert!(is_same(&name, &name.clone()));
            if !name.is_empty() {
                let mut other = name.clone();
                *at.get_mut(&mut other) ^= 0x80;
                prop_assert!(!is_same(&name, &other));
                prop_assert!(!is_same(&name, &name[1..]));
            }
        }
    }
}
