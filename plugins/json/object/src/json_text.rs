//! Values as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use heka_plugin_api::ByteWriter;

/// Takes bytes: an encoder's [`ByteWriter`], or a vector.
pub trait ByteSink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Appends several pieces.
    #[inline]
    fn put_all<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        pieces.iter().for_each(|piece| self.put(piece));
    }

    /// Appends the first `len` bytes of a block.
    #[inline]
    fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        self.put(&block[..len.min(N)]);
    }

    /// Appends `len` bytes that `fill` sets in place; it may not be called, when nothing more is taken.
    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8]));
}

impl ByteSink for ByteWriter<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        ByteWriter::put(self, bytes);
    }

    #[inline]
    fn put_all<const N: usize>(&mut self, pieces: [&[u8]; N]) {
        ByteWriter::put_all(self, pieces);
    }

    #[inline]
    fn put_block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        ByteWriter::put_block(self, block, len);
    }

    #[inline]
    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        ByteWriter::put_with(self, len, fill);
    }
}

impl ByteSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        let start = self.len();
        self.resize(start + len, 0);
        fill(&mut self[start..]);
    }
}

/// Appends text in quotation marks; what is not UTF-8 is replaced by U+FFFD.
#[inline]
pub fn put_string(text: &[u8], out: &mut impl ByteSink) {
    put_string_between(b"", text, b"", out);
}

/// As [`put_string`], with JSON in front of and behind it, such as the punctuation of a key.
#[inline]
pub fn put_string_between(before: &[u8], text: &[u8], behind: &[u8], out: &mut impl ByteSink) {
    if is_all_plain(text) {
        return out.put_all([before, b"\"", text, b"\"", behind]);
    }
    out.put(before);
    put_escaped_string(text, out);
    out.put(behind);
}

/// Appends an integer.
#[inline]
pub fn put_integer(value: i64, out: &mut impl ByteSink) {
    if (0..100_000_000).contains(&value) {
        let (digits, len) = eight_digits(value as u64);
        return out.put_block(&digits, len);
    }
    out.put(itoa::Buffer::new().format(value).as_bytes());
}

/// Digits of a number below 100,000,000, and how many there are; all at once, in one register.
#[inline]
fn eight_digits(value: u64) -> ([u8; 8], usize) {
    // Two numbers of four digits, then four of two, then eight, the first ones in the lowest bits.
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - 10 * tens) << 8);
    let zeros = (ones.trailing_zeros() / 8).min(7);
    let text = (ones | (ONES * u64::from(b'0'))) >> (8 * zeros);
    (text.to_le_bytes(), 8 - zeros as usize)
}

/// Appends a number with a fraction or an exponent; `null` for what JSON has no number for.
#[inline]
pub fn put_double(value: f64, out: &mut impl ByteSink) {
    if value.is_finite() {
        out.put(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.put(b"null");
    }
}

/// Appends bytes as base64 text in quotation marks.
pub fn put_base64(bytes: &[u8], out: &mut impl ByteSink) {
    out.put(b"\"");
    for chunk in bytes.chunks(96) {
        let mut text = [0; 128];
        let len = STANDARD.encode_slice(chunk, &mut text).unwrap_or_default();
        out.put(&text[..len]);
    }
    out.put(b"\"");
}

fn put_escaped_string(mut text: &[u8], out: &mut impl ByteSink) {
    out.put(b"\"");
    loop {
        let (plain, rest) = text.split_at(plain_len(text));
        out.put(plain);
        match rest.first() {
            None => break,
            Some(&byte @ 0..0x80) => {
                put_escaped(byte, out);
                text = &rest[1..];
            }
            Some(_) => {
                // A run of bytes from 0x80 on holds whole characters, if it is UTF-8.
                let len = rest.iter().position(|byte| *byte < 0x80).unwrap_or(rest.len());
                put_unicode(&rest[..len], out);
                text = &rest[len..];
            }
        }
    }
    out.put(b"\"");
}

fn put_unicode(bytes: &[u8], out: &mut impl ByteSink) {
    for chunk in bytes.utf8_chunks() {
        out.put(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.put("\u{fffd}".as_bytes());
        }
    }
}

fn put_escaped(byte: u8, out: &mut impl ByteSink) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.put(b"\\\""),
        b'\\' => out.put(b"\\\\"),
        b'\n' => out.put(b"\\n"),
        b'\r' => out.put(b"\\r"),
        b'\t' => out.put(b"\\t"),
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.put(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    }
}

/// Tells whether no byte is a control character, `"`, `\` or not ASCII: such text needs no escaping.
#[inline(always)]
pub fn is_all_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        // No branch for each chunk: then each takes few vector instructions.
        let (chunks, _) = text.as_chunks::<16>();
        let odd = chunks.iter().fold(odd_bytes(last), |odd, chunk| odd | odd_bytes(chunk));
        return odd == 0;
    }
    let word = |bytes: &[u8; 8]| odd_flags(u64::from_le_bytes(*bytes));
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => word(first) | word(last) == 0,
        _ => odd_flags(short_word(text)) == 0,
    }
}

/// Sets all bits of bytes that are not plain.
#[inline]
fn odd_bytes(chunk: &[u8; 16]) -> u128 {
    // As signed numbers those from 0x80 on are below the space too.
    let is_odd = |byte: u8| ((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\');
    u128::from_ne_bytes(chunk.map(|byte| if is_odd(byte) { u8::MAX } else { 0 }))
}

/// Length of the text before the first byte that is not plain.
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let flags = odd_flags(u64::from_le_bytes(*word));
        if flags != 0 {
            return index * 8 + flags.trailing_zeros() as usize / 8;
        }
    }
    let odd = odd_flags(short_word(rest)).trailing_zeros() as usize / 8;
    words.len() * 8 + odd.min(rest.len())
}

/// Fewer than 8 bytes as a word, filled up with plain ones.
#[inline]
fn short_word(text: &[u8]) -> u64 {
    const SPACES: u64 = ONES * b' ' as u64;
    let filling = SPACES << (8 * text.len());
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let shift = 8 * (text.len() - 4);
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << shift
        }
        _ => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    word | filling
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Flags bytes that are not plain with their highest bit. The lowest flag, the first byte's, is right; above it there
/// may be wrong ones.
#[inline]
fn odd_flags(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit));
    let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslashes = below(word ^ (ONES * u64::from(b'\\')), 1);
    (word | below(word, 0x20) | quotes | backslashes) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &[u8], json: &str) {
        let mut out = Vec::new();
        put_string(text, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), json);
    }

    #[test]
    fn what_json_forbids_is_escaped() {
        check(b"", r#""""#);
        check(b"plain", r#""plain""#);
        check(b"a\"b\\c\nd\re\tf\0g\x1f\x7f", "\"a\\\"b\\\\c\\nd\\re\\tf\\u0000g\\u001f\x7f\"");
        check("größer 日本 🦀".as_bytes(), "\"größer 日本 🦀\"");
        check(b"\xffa\xc3\xbc\xe6\x97", "\"\u{fffd}aü\u{fffd}\"");
    }

    #[test]
    fn numbers_keep_their_kind() {
        let number = |value| {
            let mut out = Vec::new();
            put_double(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        let shown = [1.0, -2.5, 1e300, f64::NAN, f64::INFINITY].map(number);
        assert_eq!(shown, ["1.0", "-2.5", "1e+300", "null", "null"]);
    }

    #[test]
    fn long_bytes_are_one_base64_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        put_base64(&bytes, &mut out);
        let text = out.strip_prefix(b"\"").unwrap().strip_suffix(b"\"").unwrap();
        assert_eq!(STANDARD.decode(text).unwrap(), bytes);
    }

    #[test]
    fn integers_of_every_length_are_written() {
        let edges = (0..19).map(|digits| 10_i64.pow(digits)).flat_map(|power| [power - 1, power, power + 1]);
        for value in
            edges.chain([i64::MAX]).flat_map(|value| [value, -value]).chain([i64::MIN]).chain(0..20_000)
        {
            let mut out = Vec::new();
            put_integer(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    proptest! {
        #[test]
        fn integers_are_what_others_write(value: i64, shift in 0u32..64) {
            let mut out = Vec::new();
            put_integer(value >> shift, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), (value >> shift).to_string());
        }

        #[test]
        fn texts_are_what_another_reader_sees(text: Vec<u8>, padding in 0usize..70) {
            let text = [&vec![b'x'; padding][..], &text].concat();
            let mut out = Vec::new();
            put_string(&text, &mut out);
            let back: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, String::from_utf8_lossy(&text));
        }

        #[test]
        fn a_plain_length_is_the_first_other_byte(text in prop::collection::vec(0x1eu8..0x82, 0..80)) {
            let is_plain = |byte: &u8| (0x20..0x80).contains(byte) && !b"\"\\".contains(byte);
            let expected = text.iter().position(|byte| !is_plain(byte)).unwrap_or(text.len());
            prop_assert_eq!(plain_len(&text), expected);
            prop_assert_eq!(is_all_plain(&text), expected == text.len());
            prop_assert!(is_all_plain(&text[..expected]));
        }
    }
}
