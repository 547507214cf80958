//! Values as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use heka_plugin_api::ByteWriter;

/// Takes bytes: an encoder's [`ByteWriter`], or a vector.
pub trait ByteSink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl ByteSink for ByteWriter<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        ByteWriter::put(self, bytes);
    }
}

impl ByteSink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Appends text in quotation marks; what is not UTF-8 is replaced by U+FFFD.
#[inline]
pub fn put_string(text: &[u8], out: &mut impl ByteSink) {
    out.put(b"\"");
    let clean = plain_len(text);
    out.put(&text[..clean]);
    if clean < text.len() {
        put_rest(&text[clean..], out);
    }
    out.put(b"\"");
}

/// Appends an integer.
#[inline]
pub fn put_integer(value: i64, out: &mut impl ByteSink) {
    out.put(itoa::Buffer::new().format(value).as_bytes());
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

/// Appends text that begins with a byte which is not plain.
fn put_rest(mut text: &[u8], out: &mut impl ByteSink) {
    while let Some(&byte) = text.first() {
        let len = if byte < 0x80 {
            put_escaped(byte, out);
            1
        } else {
            // A run of bytes from 0x80 on holds whole characters, if it is UTF-8.
            let len = text.iter().position(|byte| *byte < 0x80).unwrap_or(text.len());
            put_unicode(&text[..len], out);
            len
        };
        text = &text[len..];
        let clean = plain_len(text);
        out.put(&text[..clean]);
        text = &text[clean..];
    }
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

/// Length of the text before the first byte that is a control character, `"`, `\` or not ASCII.
#[inline]
fn plain_len(text: &[u8]) -> usize {
    let mut at = 0;
    // Blocks this long are searched with vector instructions.
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        if block.iter().fold(false, |found, byte| found | !is_plain(*byte)) {
            break;
        }
        at += 32;
    }
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match first_flag(u64::from_le_bytes(*word)) {
            8 => at += 8,
            offset => return at + offset,
        }
    }
    at + tail_len(&text[at..])
}

/// As `plain_len`, for fewer than 8 bytes.
#[inline]
fn tail_len(text: &[u8]) -> usize {
    let len = text.len();
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ => text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    // The bytes behind the end are zero, which counts as found.
    first_flag(word).min(len)
}

#[inline]
fn is_plain(byte: u8) -> bool {
    (0x20..0x80).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Index of the first of 8 bytes, the lowest being the first, that is not plain; 8 if there is none.
#[inline]
fn first_flag(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES * 0x80;
    // A borrow can only set flags above a right one: the lowest is right.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslashes = below(word ^ (ONES * u64::from(b'\\')), 1);
    let flags = (word | below(word, 0x20) | quotes | backslashes) & HIGH;
    flags.trailing_zeros() as usize / 8
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

    proptest! {
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
            let expected = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
            prop_assert_eq!(plain_len(&text), expected);
        }
    }
}
