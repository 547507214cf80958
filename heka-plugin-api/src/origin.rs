//! Where a message came from, and the UUID that follows from it.

/// Stream, position in it, and index of the message among those made from that position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Random id of the stream; 0 when the message came from none.
    pub stream: u64,
    /// Position in the stream: a byte offset in files, a count elsewhere.
    pub position: u64,
    /// Index among the messages made from that position.
    pub index: u32,
}

impl Origin {
    /// Returns the version 8 UUID of this origin: the same line read twice has the same one.
    ///
    /// Each step is a bijection, so that within one stream no two origins below 2⁴⁸ and 2¹⁶ share the first half.
    #[inline]
    pub fn uuid(self) -> [u8; 16] {
        let place = mix(self.position ^ u64::from(self.index).rotate_left(48));
        let high = mix(self.stream ^ place);
        let low = mix(place.wrapping_add(high.rotate_left(23)) ^ self.stream);
        stamp(high, low, 8)
    }
}

/// Returns a random version 4 UUID.
#[inline]
pub fn random_uuid() -> [u8; 16] {
    stamp(fastrand::u64(..), fastrand::u64(..), 4)
}

/// The finalizer of MurmurHash3: spreads every bit over all 64.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// Joins the halves as numbers: bytes set one by one would have to reach memory before the whole can be copied.
#[inline]
fn stamp(high: u64, low: u64, version: u64) -> [u8; 16] {
    let high = high & !0xf000 | version << 12;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn uuids_of_neighbours_differ() {
        let mut seen = HashSet::new();
        for stream in [1, 2, 0x8000_0000_0000_0000] {
            for position in 0..20_000 {
                for index in 0..3 {
                    assert!(seen.insert(Origin { stream, position, index }.uuid()));
                }
            }
        }
    }

    #[test]
    fn version_and_variant_are_marked() {
        let uuid = Origin { stream: 7, position: 9, index: 0 }.uuid();
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 2));
        let uuid = random_uuid();
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2));
    }
}
