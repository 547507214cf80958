//! A place of known size for protobuf bytes, filled from front to back.

/// What is left of the place. What does not fit is left out.
///
/// Handed on by value: then it stays in registers, and no byte waits for the one before to reach memory.
pub(crate) struct Slot<'a> {
    rest: &'a mut [u8],
}

impl<'a> Slot<'a> {
    #[inline]
    pub(crate) fn new(place: &'a mut [u8]) -> Slot<'a> {
        Slot { rest: place }
    }

    #[inline]
    pub(crate) fn byte(self, byte: u8) -> Self {
        self.array([byte])
    }

    #[inline]
    pub(crate) fn array<const N: usize>(self, bytes: [u8; N]) -> Self {
        if self.rest.len() < N {
            return self;
        }
        let (place, rest) = self.rest.split_at_mut(N);
        place.copy_from_slice(&bytes);
        Slot { rest }
    }

    #[inline]
    pub(crate) fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self = self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// Puts a tag of one byte, the length of `bytes`, and `bytes`.
    #[inline]
    pub(crate) fn text(self, tag: u8, bytes: &[u8]) -> Self {
        let slot = match bytes.len() {
            len @ 0..0x80 => self.array([tag, len as u8]),
            len => self.byte(tag).varint(len as u64),
        };
        slot.bytes(bytes)
    }

    #[inline]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        if self.rest.len() < bytes.len() {
            return self;
        }
        let (place, rest) = self.rest.split_at_mut(bytes.len());
        copy(bytes, place);
        Slot { rest }
    }

    /// Returns how many bytes are left.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}

/// Copies to a place of the same length; most texts are short, and a call for each costs more than its bytes.
#[inline]
fn copy(source: &[u8], place: &mut [u8]) {
    match source.len() {
        1..4 => source.iter().zip(place).for_each(|(byte, place)| *place = *byte),
        4..8 => copy_ends::<4>(source, place),
        8..16 => copy_ends::<8>(source, place),
        16..=32 => copy_ends::<16>(source, place),
        _ => place.copy_from_slice(source),
    }
}

/// Copies the first and the last `N` of at most `2 * N` bytes.
#[inline]
fn copy_ends<const N: usize>(source: &[u8], place: &mut [u8]) {
    if let (Some(first), Some(place)) = (source.first_chunk::<N>(), place.first_chunk_mut()) {
        *place = *first;
    }
    if let (Some(last), Some(place)) = (source.last_chunk::<N>(), place.last_chunk_mut()) {
        *place = *last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_put_whole() {
        let text: Vec<u8> = (1..=200).collect();
        for len in 0..=200 {
            let mut bytes = [0; 210];
            let left = Slot::new(&mut bytes).text(0x0a, &text[..len]).left();
            let head = if len < 0x80 { 2 } else { 3 };
            assert_eq!(left, 210 - head - len);
            assert_eq!(bytes[head..head + len], text[..len]);
            assert!(bytes[head + len..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut bytes = [0; 3];
        let slot = Slot::new(&mut bytes).bytes(b"abcd").array([1, 2]).text(3, b"abc").byte(4).byte(5);
        assert_eq!(slot.left(), 0);
        assert_eq!(bytes, [1, 2, 4]);
    }
}
