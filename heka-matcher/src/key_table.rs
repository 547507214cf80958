//! A hash table of byte strings that never changes: one hash, one or two slots, one comparison a look-up.

use super::bytes_test::same_bytes;

/// Odd, with its bits well spread.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Marks a slot without a key; longer than any key can be.
const VACANT: u32 = u32::MAX;

/// Byte strings, numbered from 0 in the order that they were given in.
///
/// The keys come from a matcher's text, never from a message: who sends messages can't fill the table with
/// keys that collide, so that a fast hash without a secret is safe.
#[derive(Debug, Clone)]
pub(super) struct KeyTable {
    /// A power of two, at least four times the number of keys: few keys share a way.
    slots: Box<[Slot]>,
    /// How far right the hash goes until only the bits that number a slot are left.
    shift: u32,
    bytes: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    start: u32,
    length: u32,
    index: u32,
}

impl KeyTable {
    /// Makes a table of distinct keys; a repeated key keeps its first number, and takes one up.
    pub(super) fn new<K: AsRef<[u8]>>(keys: &[K]) -> KeyTable {
        let slots_count = (keys.len() * 4).next_power_of_two().max(2);
        let vacant = Slot { hash: 0, start: 0, length: VACANT, index: 0 };
        let mut table = KeyTable {
            slots: vec![vacant; slots_count].into(),
            shift: u64::BITS - slots_count.trailing_zeros(),
            bytes: Box::default(),
        };
        let mut bytes = Vec::new();
        for (index, key) in (0..).zip(keys) {
            let key = key.as_ref();
            let (mut at, hash) = table.place(key);
            while let Some(slot) = table.slots.get(at).filter(|slot| slot.length != VACANT) {
                if slot.key(&bytes) == key {
                    break;
                }
                at = table.next(at);
            }
            if table.slots[at].length == VACANT {
                table.slots[at] = Slot { hash, start: bytes.len() as u32, length: key.len() as u32, index };
                bytes.extend_from_slice(key);
            }
        }
        table.bytes = bytes.into();
        table
    }

    /// Returns the number of `key`.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let (mut at, hash) = self.place(key);
        loop {
            let slot = self.slots.get(at)?;
            if slot.length == VACANT {
                return None;
            }
            if slot.hash == hash && same_bytes(slot.key(&self.bytes), key) {
                return Some(slot.index);
            }
            at = self.next(at);
        }
    }

    /// Returns the keys in no particular order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.slots.iter().filter(|slot| slot.length != VACANT).map(|slot| slot.key(&self.bytes))
    }

    #[inline]
    fn place(&self, key: &[u8]) -> (usize, u32) {
        let hash = hash(key);
        ((hash >> self.shift) as usize, hash as u32)
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }
}

impl Slot {
    #[inline]
    fn key<'k>(&self, bytes: &'k [u8]) -> &'k [u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.length as usize).unwrap_or_default()
    }
}

/// Hashes eight bytes at a time; the last eight may overlap those before.
#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut state = key.len() as u64;
    let mut rest = key;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        if after.is_empty() {
            break;
        }
        state = mix(state, u64::from_le_bytes(*chunk));
        rest = after;
    }
    let last = match key.last_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => short_word(key),
    };
    mix(state, last)
}

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    // Folding the product's halves lets every bit of the word reach both ends of the hash.
    let product = u128::from(state.rotate_left(5) ^ word) * u128::from(MULTIPLIER);
    (product >> 64) as u64 ^ product as u64
}

/// Packs fewer than eight bytes into a word.
#[inline]
fn short_word(key: &[u8]) -> u64 {
    match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_table_finds_nothing() {
        let table = KeyTable::new::<&[u8]>(&[]);
        assert_eq!((table.find(b""), table.find(b"a")), (None, None));
    }

    #[test]
    fn many_similar_keys_are_all_found() {
        let keys: Vec<String> = (0..10_000).map(|number| format!("app.type.{number}")).collect();
        let table = KeyTable::new(&keys);
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(table.find(key.as_bytes()), Some(index as u32));
        }
        assert_eq!(table.find(b"app.type.10000"), None);
        assert_eq!(table.keys().count(), keys.len());
    }

    /// Checks that a look-up of a key visits few slots; with well spread hashes 1.1 of them.
    #[track_caller]
    fn check_spread(keys: &[String]) {
        let table = KeyTable::new(keys);
        let visited: usize = keys
            .iter()
            .map(|key| {
                let (mut at, mut count) = (table.place(key.as_bytes()).0, 1);
                while table.slots[at].key(&table.bytes) != key.as_bytes() {
                    (at, count) = (table.next(at), count + 1);
                }
                count
            })
            .sum();
        assert!(visited * 4 < keys.len() * 5, "{visited} slots for {} keys like {}", keys.len(), keys[0]);
    }

    #[test]
    fn similar_keys_spread_over_the_table() {
        check_spread(&(0..1_000).map(|number| format!("app.type.{number}")).collect::<Vec<_>>());
        check_spread(&(0..1_000).map(|number| format!("{number}.application.access")).collect::<Vec<_>>());
        check_spread(&(0..1_000).map(|number| format!("{number:08}")).collect::<Vec<_>>());
        check_spread(&(0..1_000).map(|number| format!("{number}")).collect::<Vec<_>>());
        check_spread(&(1..100).map(|length| "a".repeat(length)).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn finds_exactly_its_keys(keys in prop::collection::vec(prop::collection::vec(0u8..3, 0..20), 0..40),
                                  other in prop::collection::vec(0u8..3, 0..20)) {
            let table = KeyTable::new(&keys);
            for key in keys.iter().chain([&other]) {
                let expected = keys.iter().position(|known| known == key).map(|index| index as u32);
                prop_assert_eq!(table.find(key), expected);
            }
        }
    }
}
