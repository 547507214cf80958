//! Finds where a MessagePack value ends, without reading it.

use rmp::Marker;

/// Returns the length in bytes of the value at the front of `bytes`; `None` if it ends in the middle.
///
/// Takes as many steps as the value has parts, however deep they are nested.
pub(crate) fn value_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut values_left) = (0_usize, 1_u64);
    while values_left > 0 {
        let marker = Marker::from_u8(*bytes.get(at)?);
        at += 1;
        let (data, children) = part(marker, bytes.get(at..)?)?;
        at = at.checked_add(data)?;
        if at > bytes.len() {
            return None;
        }
        values_left = values_left - 1 + children;
    }
    Some(at)
}

/// How many bytes of its own, and how many values, follow a marker with `rest` behind it.
fn part(marker: Marker, rest: &[u8]) -> Option<(usize, u64)> {
    let length = |len: usize| {
        let bytes = rest.get(..len)?;
        Some(bytes.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte)))
    };
    let data = |head: usize, extra: usize| Some((head + extra + length(head)?, 0));
    let array = |head: usize| Some((head, length(head)? as u64));
    let map = |head: usize| Some((head, 2 * length(head)? as u64));
    match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => Some((0, 0)),
        Marker::Reserved => Some((0, 0)),
        Marker::U8 | Marker::I8 => Some((1, 0)),
        Marker::U16 | Marker::I16 => Some((2, 0)),
        Marker::U32 | Marker::I32 | Marker::F32 => Some((4, 0)),
        Marker::U64 | Marker::I64 | Marker::F64 => Some((8, 0)),
        Marker::FixStr(len) => Some((len.into(), 0)),
        Marker::Str8 | Marker::Bin8 => data(1, 0),
        Marker::Str16 | Marker::Bin16 => data(2, 0),
        Marker::Str32 | Marker::Bin32 => data(4, 0),
        Marker::FixExt1 => Some((2, 0)),
        Marker::FixExt2 => Some((3, 0)),
        Marker::FixExt4 => Some((5, 0)),
        Marker::FixExt8 => Some((9, 0)),
        Marker::FixExt16 => Some((17, 0)),
        Marker::Ext8 => data(1, 1),
        Marker::Ext16 => data(2, 1),
        Marker::Ext32 => data(4, 1),
        Marker::FixArray(len) => Some((0, len.into())),
        Marker::Array16 => array(2),
        Marker::Array32 => array(4),
        Marker::FixMap(len) => Some((0, 2 * u64::from(len))),
        Marker::Map16 => map(2),
        Marker::Map32 => map(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rmp::encode;

    fn check(value: &[u8]) {
        assert_eq!(value_len(value), Some(value.len()));
        assert_eq!(value_len(&[value, b"\x01"].concat()), Some(value.len()));
        for cut in 0..value.len() {
            assert_eq!(value_len(&value[..cut]), None);
        }
    }

    #[test]
    fn every_marker_has_its_length() {
        for small in [&b"\x05"[..], b"\xe0", b"\xc0", b"\xc2", b"\xc3"] {
            check(small);
        }
        let sizes = [(0xcc, 1), (0xcd, 2), (0xce, 4), (0xcf, 8), (0xd0, 1), (0xd1, 2), (0xd2, 4), (0xd3, 8)];
        let others =
            [(0xca, 4), (0xcb, 8), (0xd4, 2), (0xd5, 3), (0xd6, 5), (0xd7, 9), (0xd8, 17), (0xa3, 3)];
        for (marker, len) in sizes.into_iter().chain(others) {
            check(&[&[marker][..], &vec![0; len]].concat());
        }
        for (heads, extra) in [([0xc4, 0xc5, 0xc6], 0), ([0xd9, 0xda, 0xdb], 0), ([0xc7, 0xc8, 0xc9], 1)] {
            check(&[&[heads[0], 3][..], &vec![0; 3 + extra]].concat());
            check(&[&[heads[1], 0, 3][..], &vec![0; 3 + extra]].concat());
            check(&[&[heads[2], 0, 0, 0, 3][..], &vec![0; 3 + extra]].concat());
        }
        check(b"\x92\x01\xa1x");
        check(b"\xdc\0\x02\x01\x02");
        check(b"\xdd\0\0\0\x02\x01\x02");
        check(b"\x82\x01\x02\x03\x91\x04");
        check(b"\xde\0\x01\x01\x02");
        check(b"\xdf\0\0\0\x01\x01\x02");
        check(&[&[0x91; 10_000][..], b"\x01"].concat());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            prop_assert!(value_len(&bytes).unwrap_or_default() <= bytes.len());
        }

        #[test]
        fn written_values_have_their_length(texts: Vec<String>, numbers: Vec<i64>) {
            let mut out = encode::ByteBuf::new();
            encode::write_array_len(&mut out, (texts.len() + numbers.len()) as u32).unwrap();
            texts.iter().for_each(|text| encode::write_str(&mut out, text).unwrap());
            numbers.iter().for_each(|number| _ = encode::write_sint(&mut out, *number).unwrap());
            prop_assert_eq!(value_len(out.as_slice()), Some(out.as_slice().len()));
        }
    }
}
