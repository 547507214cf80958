//! UUIDs as text.

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
    let mut text = [0; 36];
    fill_uuid(uuid, &mut text);
    text
}

/// As [`uuid_text`], in place.
#[inline]
pub fn fill_uuid(uuid: [u8; 16], text: &mut [u8; 36]) {
    let bits = u128::from_be_bytes(uuid);
    let digits = |shift: u32| hex_digits((bits >> shift) as u32);
    let (second, third) = (digits(64), digits(32));
    text[..8].copy_from_slice(&digits(96));
    text[9..13].copy_from_slice(&second[..4]);
    text[14..18].copy_from_slice(&second[4..]);
    text[19..23].copy_from_slice(&third[..4]);
    text[24..28].copy_from_slice(&third[4..]);
    text[28..].copy_from_slice(&digits(0));
    [8, 13, 18, 23].iter().for_each(|&at| text[at] = b'-');
}

/// Eight hexadecimal digits at once: each half byte in a byte of its own, then made a digit or a letter.
#[inline]
fn hex_digits(bits: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut spread = u64::from(bits);
    spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff;
    spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff;
    spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (spread + 6 * ONES) >> 4 & ONES;
    let to_letter = u64::from(b'a' - b'0' - 10);
    (spread + u64::from(b'0') * ONES + to_letter * letters).to_be_bytes()
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
