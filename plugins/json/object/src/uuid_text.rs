//! UUIDs as text.

/// Two digits for each byte.
static HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

/// Reads 32 hexadecimal digits, in five groups with hyphens or without.
pub fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    let hyphens = match text.len() {
        36 => [8, 13, 18, 23],
        32 => [usize::MAX; 4],
        _ => return None,
    };
    let mut count = 0;
    for (at, &byte) in text.iter().enumerate() {
        if hyphens.contains(&at) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = (byte as char).to_digit(16)? as u8;
        *uuid.get_mut(count / 2)? |= if count % 2 == 0 { digit << 4 } else { digit };
        count += 1;
    }
    Some(uuid)
}

/// Returns a UUID as five groups of lowercase digits with hyphens.
#[inline]
pub fn uuid_text(uuid: [u8; 16]) -> [u8; 36] {
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; 36];
    for (byte, place) in uuid.into_iter().zip(PLACES) {
        text[place..place + 2].copy_from_slice(&HEX[usize::from(byte)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        let uuid = core::array::from_fn(|index| index as u8 * 17);
        assert_eq!(parse_uuid(b"00112233-4455-6677-8899-AABBCCDDEEFF"), Some(uuid));
        assert_eq!(parse_uuid(b"00112233445566778899aabbccddeeff"), Some(uuid));
        assert_eq!(&uuid_text(uuid), b"00112233-4455-6677-8899-aabbccddeeff");
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        let cases: [&[u8]; 5] = [
            b"",
            b"00112233-4455-6677-8899-AABBCCDDEEF",
            b"00112233-4455-6677-8899-AABBCCDDEEFG",
            b"0011223304455-6677-8899-AABBCCDDEEFF",
            b"-0112233445566778899aabbccddeeff",
        ];
        for text in cases {
            assert_eq!(parse_uuid(text), None);
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_back(uuid: [u8; 16]) {
            prop_assert_eq!(parse_uuid(&uuid_text(uuid)), Some(uuid));
        }
    }
}
