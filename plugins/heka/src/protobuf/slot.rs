//! A place of known size for protobuf bytes, filled from front to back.

/// What is put behind the end is left out.
pub(crate) struct Slot<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Slot<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a mut [u8]) -> Slot<'a> {
        Slot { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at) {
            *place = byte;
            self.at += 1;
        }
        self
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + N) {
            place.copy_from_slice(&bytes);
            self.at += N;
        }
        self
    }

    #[inline]
    pub(crate) fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    /// Puts a tag of one byte, the length of `bytes`, and `bytes`.
    #[inline]
    pub(crate) fn text(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        match bytes.len() {
            len @ 0..0x80 => self.array([tag, len as u8]),
            len => self.byte(tag).varint(len as u64),
        };
        self.bytes(bytes)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + bytes.len()) {
            copy(bytes, place);
            self.at += bytes.len();
        }
        self
    }

    /// Returns what was put so far.
    #[inline]
    pub(crate) fn filled(&self) -> &[u8] {
        self.bytes.get(..self.at).unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.at == self.bytes.len()
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
            let mut slot = Slot::new(&mut bytes);
            slot.text(0x0a, &text[..len]);
            let head = if len < 0x80 { 2 } else { 3 };
            assert_eq!(slot.filled()[head..], text[..len]);
            assert!(bytes[head + len..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn nothing_is_put_behind_the_end() {
        let mut bytes = [0; 3];
        let mut slot = Slot::new(&mut bytes);
        slot.bytes(b"abcd").array([1, 2]).text(3, b"abc").byte(4).byte(5);
        assert!(slot.is_full());
        assert_eq!(bytes, [1, 2, 3]);
    }
}
