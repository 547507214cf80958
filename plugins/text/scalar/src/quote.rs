//! Pieces of lines inside the texts of failures.

/// Most bytes of a line that a text quotes.
const QUOTED_BYTES_MAX: usize = 40;

/// Returns the beginning of a text without control characters.
pub fn quote(text: &[u8]) -> String {
    let shown = &text[..text.len().min(QUOTED_BYTES_MAX)];
    let mut quoted = String::from_utf8_lossy(shown).replace(|c: char| c.is_control(), "\u{fffd}");
    if shown.len() < text.len() {
        quoted.push('…');
    }
    quoted
}
