//! The members of one set in one interval.

use hashbrown::HashTable;
use rapidhash::v3::rapidhash_v3;

/// The members, as their hashes of 64 bits: two in 10,000 are the same by chance once in 10^11 intervals.
#[derive(Default)]
pub struct Members {
    hashes: HashTable<u64>,
}

impl Members {
    /// Adds a member, unless it would be one more than `max`; tells whether it is in.
    pub fn insert(&mut self, member: &[u8], max: usize) -> bool {
        self.insert_hash(rapidhash_v3(member), max)
    }

    fn insert_hash(&mut self, hash: u64, max: usize) -> bool {
        if self.hashes.find(hash, |known| *known == hash).is_some() {
            return true;
        }
        let fits = self.hashes.len() < max;
        if fits {
            self.hashes.insert_unique(hash, hash, |hash| *hash);
        }
        fits
    }

    /// Adds the members in the bytes of another set; returns how many were too many.
    ///
    /// # Errors
    /// If the bytes are not whole hashes.
    pub fn merge(&mut self, bytes: &[u8], max: usize) -> Result<usize, &'static str> {
        let (hashes, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err("the members are cut off");
        }
        Ok(hashes.iter().filter(|hash| !self.insert_hash(u64::from_le_bytes(**hash), max)).count())
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Returns the hashes, 8 bytes each, the lowest first, in order.
    pub fn bytes(&self) -> Vec<u8> {
        let mut hashes: Vec<u64> = self.hashes.iter().copied().collect();
        hashes.sort_unstable();
        hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        *self = Members::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_counted_once_and_no_more_than_allowed() {
        let mut members = Members::default();
        let taken: Vec<bool> =
            ["a", "b", "a", "c", "b"].iter().map(|one| members.insert(one.as_bytes(), 2)).collect();
        assert_eq!(taken, [true, true, true, false, true]);
        assert_eq!(members.len(), 2);
        members.clear();
        assert_eq!((members.len(), members.bytes().len()), (0, 0));
    }

    #[test]
    fn sets_are_merged() {
        let (mut one, mut other) = (Members::default(), Members::default());
        (0..100_u32).for_each(|number| _ = one.insert(&number.to_le_bytes(), 1_000));
        (50..150_u32).for_each(|number| _ = other.insert(&number.to_le_bytes(), 1_000));
        assert_eq!(one.merge(&other.bytes(), 1_000), Ok(0));
        assert_eq!(one.len(), 150);
        assert_eq!(one.merge(b"123", 1_000), Err("the members are cut off"));
        assert_eq!(Members::default().merge(&one.bytes(), 100), Ok(50));
    }

    #[test]
    fn hashes_are_the_same_on_every_machine() {
        let mut members = Members::default();
        members.insert(b"fred", 1);
        assert_eq!(members.bytes(), rapidhash_v3(b"fred").to_le_bytes());
    }
}
