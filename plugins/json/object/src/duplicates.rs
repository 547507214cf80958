//! Finds fields with the same name, for formats whose objects can't hold a key twice.

use heka_plugin_api::{Field, Message};

/// Tells whether the fields of a message have names of their own.
pub struct DuplicateNames;

impl DuplicateNames {
    /// Tells whether two fields of the message have the same name.
    #[inline]
    pub fn exist(message: &Message<'_>) -> bool {
        let mut seen = [0_u64; 8];
        for (index, field) in message.fields().enumerate() {
            let print = fingerprint(field.name());
            let (seen, bit) = (&mut seen[print >> 6], 1 << (print & 63));
            if *seen & bit != 0 && Self::is_repeated(message, &field, index) {
                return true;
            }
            *seen |= bit;
        }
        false
    }

    /// Tells whether a field before number `index` has the same name as `field`.
    pub fn is_repeated(message: &Message<'_>, field: &Field<'_>, index: usize) -> bool {
        message.fields().take(index).any(|earlier| earlier.name() == field.name())
    }
}

/// A number below 512 that seldom is the same for two names of one message.
#[inline]
fn fingerprint(name: &[u8]) -> usize {
    let byte = |at: Option<&u8>| at.copied().map_or(0, u64::from);
    let (first, middle, last) = (byte(name.first()), byte(name.get(name.len() / 2)), byte(name.last()));
    let mixed =
        (first | middle << 8 | last << 16 | (name.len() as u64) << 24).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 55) as usize
}
