//! The lines of an entry.

use memchr::memmem;
use std::ops::Range;

const TIME: &[u8] = b"# Time: ";
const USER: &[u8] = b"# User@Host: ";

/// One line before the statement; ranges are those of what stands behind its beginning.
pub enum Line {
    Time(Range<usize>),
    User(Range<usize>),
    Explain(Range<usize>),
    Values(Range<usize>),
    /// The database, without quotes.
    Use(Range<usize>),
    Set(Range<usize>),
    /// The statement begins here.
    Statement(usize),
}

/// Reads the lines of an entry up to its statement.
pub struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Whether what comes is the statement.
    is_set: bool,
}

impl<'b> Lines<'b> {
    pub fn new(bytes: &'b [u8], at: usize) -> Lines<'b> {
        Lines { bytes, at, is_set: false }
    }

    /// Where the next line begins.
    pub fn at(&self) -> usize {
        self.at
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let start = self.at;
        if start >= self.bytes.len() {
            return None;
        }
        let len = memchr::memchr(b'\n', &self.bytes[start..]);
        let end = len.map_or(self.bytes.len(), |len| start + len);
        let line = self.bytes[start..end].trim_ascii_end();
        let end_of_text = start + line.len();
        let behind = |prefix: &[u8]| start + prefix.len()..end_of_text;
        self.at = (end + 1).min(self.bytes.len());
        const COMMAND: &[u8] = b"# administrator command: ";
        const EXPLAIN: &[u8] = b"# explain: ";
        Some(match line {
            line if line.starts_with(COMMAND) => Line::Statement(start + 2),
            _ if self.is_set => Line::Statement(start),
            line if line.starts_with(TIME) => Line::Time(behind(TIME)),
            line if line.starts_with(USER) => Line::User(behind(USER)),
            line if line.starts_with(EXPLAIN) => Line::Explain(behind(EXPLAIN)),
            line if line.starts_with(b"#") => Line::Values(behind(b"#")),
            [b'u' | b'U', b's' | b'S', b'e' | b'E', b' ', name @ .., b';'] if !name.contains(&b';') => {
                let quotes = usize::from(name.starts_with(b"`") && name.ends_with(b"`") && name.len() > 1);
                Line::Use(start + 4 + quotes..end_of_text - 1 - quotes)
            }
            line if line.starts_with(b"SET ") && memmem::find(line, b"timestamp=").is_some() => {
                self.is_set = true;
                Line::Set(behind(b"SET "))
            }
            _ => Line::Statement(start),
        })
    }
}

/// Returns where an entry begins: at its `# Time:` or `# User@Host:`, behind what a server writes into a new log.
pub fn start(bytes: &[u8]) -> Option<usize> {
    let at_line = |prefix: &[u8]| {
        let is_first = |at: &usize| *at == 0 || bytes[*at - 1] == b'\n';
        memmem::find_iter(bytes, prefix).find(is_first)
    };
    match (at_line(TIME), at_line(USER)) {
        (Some(time), Some(user)) => Some(time.min(user)),
        (time, user) => time.or(user),
    }
}

/// Whether this is what a server writes into a new log, or nothing.
pub fn is_server_header(bytes: &[u8]) -> bool {
    bytes.trim_ascii().is_empty() || header_at(bytes) == Some(0)
}

/// Finds where the server's own lines begin: `…, Version: … started with:`, `Tcp port: …`, `Time … Command Argument`.
fn header_at(bytes: &[u8]) -> Option<usize> {
    let port = memmem::rfind(bytes, b"\nTcp port: ").or_else(|| memmem::rfind(bytes, b"\nTCP Port: "))?;
    let first = memchr::memrchr(b'\n', &bytes[..port]).map_or(0, |at| at + 1);
    memmem::find(&bytes[first..port], b", Version: ").map(|_| first)
}

/// Returns where the statement ends that begins at `start`: before its last `;`, and before a `# Time:` or the
/// server's own lines, which belong to the next entry.
pub fn statement_end(bytes: &[u8], start: usize) -> usize {
    let mut text = &bytes[start..];
    if let Some(at) = header_at(text) {
        text = &text[..at];
    }
    text = text.trim_ascii_end();
    let last = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    if text[last..].starts_with(TIME) {
        text = text[..last].trim_ascii_end();
    }
    text = text.strip_suffix(b";").unwrap_or(text).trim_ascii_end();
    start + text.len()
}

/// Parts of `app[app] @ web1 [192.0.2.7]`, and where the rest begins.
pub struct User {
    pub user: Range<usize>,
    pub host: Range<usize>,
    pub ip: Range<usize>,
    pub len: usize,
}

/// Reads who ran the statement. A name may have spaces; the address ends with the bracket.
pub fn user(line: &[u8]) -> Option<User> {
    let at = memmem::find(line, b"] @ ")?;
    let open = memchr::memrchr(b'[', &line[..at])?;
    // Before the bracket stands whose rights are used; inside, who logged in.
    let user = if open + 1 < at { open + 1..at } else { 0..open };
    let host_at = at + b"] @ ".len();
    let ip_open = host_at + memchr::memchr(b'[', &line[host_at..])?;
    let ip_end = ip_open + memchr::memchr(b']', &line[ip_open..])?;
    let host = host_at..host_at + line[host_at..ip_open].trim_ascii_end().len();
    Some(User { user, host, ip: ip_open + 1..ip_end, len: ip_end + 1 })
}

/// Finds the next `Key: value` from `at` on: where key and value are, and where the rest begins.
///
/// A value ends where the next key begins, or at the line's end; it may be missing.
pub fn value(line: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>, usize)> {
    let key = next_key(line, at)?;
    let end = next_key(line, key.end + 1).map_or(line.len(), |next| next.start);
    let text = &line[key.end + 1..end];
    let start = key.end + 1 + (text.len() - text.trim_ascii_start().len());
    let value = start..start + line[start..end].trim_ascii_end().len();
    Some((key, value, end))
}

/// Finds the next word that a colon and a space, or the line's end, follows.
fn next_key(line: &[u8], mut at: usize) -> Option<Range<usize>> {
    loop {
        let rest = line.get(at..)?;
        let start = at + rest.iter().position(|byte| *byte > b' ')?;
        let len = line[start..].iter().position(|byte| *byte <= b' ').unwrap_or(line.len() - start);
        if len > 1 && line[start + len - 1] == b':' {
            return Some(start..start + len - 1);
        }
        at = start + len;
    }
}
