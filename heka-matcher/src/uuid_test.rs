//! Tests of a message's UUID.

use super::bytes_test::BytesTest;

/// Characters of a UUID's canonical text.
const TEXT_LENGTH: usize = 36;

/// Where the hyphens are in the canonical text.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// What is asked of a UUID.
#[derive(Debug, Clone)]
pub(super) enum UuidTest {
    Equal([u8; 16]),
    /// Sorted.
    OneOf(Box<[[u8; 16]]>),
    /// Asks the canonical text, in lower case, empty for the nil UUID.
    Text(BytesTest),
}

impl UuidTest {
    #[inline]
    pub(super) fn holds(&self, uuid: &[u8; 16]) -> bool {
        match self {
            UuidTest::Equal(literal) => uuid == literal,
            UuidTest::OneOf(list) => list.binary_search(uuid).is_ok(),
            UuidTest::Text(test) => text_holds(test, uuid),
        }
    }
}

#[inline(never)]
fn text_holds(test: &BytesTest, uuid: &[u8; 16]) -> bool {
    if *uuid == [0; 16] { test.holds(b"") } else { test.holds(&canonical(uuid)) }
}

/// Parses the canonical text, in any case; the empty text is the nil UUID.
pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
    if text.is_empty() {
        return Some([0; 16]);
    }
    let bytes = text.as_bytes();
    if bytes.len() != TEXT_LENGTH || HYPHENS.iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let mut digits =
        bytes.iter().enumerate().filter(|(at, _)| !HYPHENS.contains(at)).map(|(_, digit)| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(uuid)
}

/// Writes the canonical text, in lower case.
pub(super) fn canonical(uuid: &[u8; 16]) -> [u8; TEXT_LENGTH] {
    let mut text = [b'-'; TEXT_LENGTH];
    let mut places = (0..TEXT_LENGTH).filter(|at| !HYPHENS.contains(at));
    for digit in uuid.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        if let Some(at) = places.next() {
            text[at] = b"0123456789abcdef"[usize::from(digit)];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_round_trips() {
        let text = "87cf1ac2-e810-4ddf-a02d-a5ce44d13a85";
        let uuid = parse(text).unwrap();
        assert_eq!(canonical(&uuid), text.as_bytes());
        assert_eq!(parse(&text.to_uppercase()), Some(uuid));
        assert_eq!(parse(""), Some([0; 16]));
    }

    #[test]
    fn other_texts_are_no_uuid() {
        for text in [
            "x",
            "87cf1ac2e8104ddfa02da5ce44d13a85",
            "87cf1ac2-e810-4ddf-a02d-a5ce44d13a8g",
            "87cf1ac2-e810-4ddf-a02d0a5ce44d13a85",
            "87cf1ac2-e810-4ddf-a02d-a5ce44d13aü",
            "-7cf1ac2-e810-4ddf-a02d-a5ce44d13a85",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
