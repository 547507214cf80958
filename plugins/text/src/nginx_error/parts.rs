//! What nginx appends to a message about the request.

use std::ops::Range;

/// Beginnings of the parts, in the order in which nginx writes them, and the names of their fields.
const PARTS: [(&str, &str); 11] = [
    (", client: ", "client"),
    (", server: ", "server"),
    (", login: \"", "login"),
    (", upstream: ", "upstream"),
    (", request: \"", "request"),
    (", subrequest: \"", "subrequest"),
    (", upstream: \"", "upstream"),
    (", bytes from/to client:", "client_bytes"),
    (", bytes from/to upstream:", "upstream_bytes"),
    (", host: \"", "host"),
    (", referrer: \"", "referrer"),
];
const REQUEST: &str = ", request: \"";

/// One part of a line.
pub struct Part {
    pub name: &'static str,
    /// Where its value is, without quotes.
    pub value: Range<usize>,
}

/// Finds the parts; returns the length of the message before them.
///
/// Paths in a message and request lines are what clients make them, and nginx quotes nothing inside. So the client
/// is the last one before the request, and each part ends where the next one that can follow begins.
pub fn parts(text: &[u8]) -> (usize, [Option<Part>; PARTS.len()]) {
    let mut found = [const { None }; PARTS.len()];
    let before_request = memchr::memmem::find(text, REQUEST.as_bytes()).unwrap_or(text.len());
    let Some(message_len) = memchr::memmem::rfind(&text[..before_request], PARTS[0].0.as_bytes()) else {
        return (text.len(), found);
    };
    let (mut index, mut at) = (0, message_len);
    loop {
        let start = at + PARTS[index].0.len();
        let next = next_part(text, start, index + 1);
        let end = next.map_or(text.len(), |(_, at)| at);
        let quoted = PARTS[index].0.ends_with('"') && text[start..end].ends_with(b"\"");
        let value = start..end - usize::from(quoted);
        found[index] = Some(Part { name: PARTS[index].1, value });
        let Some(next) = next else { return (message_len, found) };
        (index, at) = next;
    }
}

/// Finds the first beginning of a part from `from` on: its index and where it is.
fn next_part(text: &[u8], at: usize, from: usize) -> Option<(usize, usize)> {
    let mut search = at;
    while let Some(found) = memchr::memmem::find(&text[search..], b", ") {
        let place = search + found;
        let is_here = |index: &usize| text[place..].starts_with(PARTS[*index].0.as_bytes());
        if let Some(index) = (from..PARTS.len()).rev().find(is_here) {
            return Some((index, place));
        }
        search = place + 2;
    }
    None
}
