//! The last bytes of a file, as far as they were read or written.

/// The last `N` bytes before a place in a file, or all when there are fewer.
pub struct Tail<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Tail<N> {
    /// Makes the tail of nothing.
    pub fn new() -> Tail<N> {
        Tail { bytes: [0; N], len: 0 }
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Goes on behind more bytes.
    pub fn push(&mut self, more: &[u8]) {
        if more.len() >= N {
            self.bytes.copy_from_slice(&more[more.len() - N..]);
            self.len = N;
            return;
        }
        let kept = self.len.min(N - more.len());
        self.bytes.copy_within(self.len - kept..self.len, 0);
        self.bytes[kept..kept + more.len()].copy_from_slice(more);
        self.len = kept + more.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tail_is_the_last_bytes(pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..400), 0..6,
        )) {
            let mut tail = Tail::<256>::new();
            let mut all = Vec::new();
            for piece in pieces {
                tail.push(&piece);
                all.extend(piece);
                prop_assert_eq!(tail.bytes(), &all[all.len().saturating_sub(256)..]);
            }
        }
    }
}
