//! The text in which positions are kept between runs.
//!
//! ```text
//! heka file positions 1
//! pattern <path>                    one line for each pattern of that run
//! file <id> <device> <inode> <position> <head length> <head hash> <tail length> <tail hash> <seen> <path>
//! sum <FNV-1a of all bytes before this line>
//! ```
//!
//! `id`, hashes and the sum are hexadecimal, the other numbers decimal. The head is the file's first ≤ 1 KiB, the
//! tail the ≤ 1 KiB before the position. `seen` is when the file was last followed, in seconds since 1970. In
//! paths `%`, blanks, control characters and bytes that are not ASCII are written `%XX`.

use super::fingerprint::{Fingerprint, Identity, fnv1a};
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "heka file positions 1\n";

/// What is kept of one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Id of the stream.
    pub id: u64,
    /// The file's device and inode.
    pub identity: Identity,
    /// Everything before it was acknowledged.
    pub position: u64,
    /// Fingerprint of the file's first bytes.
    pub head: Fingerprint,
    /// Fingerprint of the bytes before the position.
    pub tail: Fingerprint,
    /// When the file was last followed, in seconds since 1970.
    pub seen: u64,
    /// Where the file was.
    pub path: PathBuf,
}

/// Writes patterns and streams.
pub fn write<'a>(patterns: impl Iterator<Item = &'a str>, streams: impl Iterator<Item = &'a Kept>) -> String {
    let mut text = FIRST_LINE.to_owned();
    for pattern in patterns {
        text.push_str("pattern ");
        escape(&mut text, Path::new(pattern));
        text.push('\n');
    }
    for Kept { id, identity, position, head, tail, seen, path } in streams {
        let Identity { device, inode } = identity;
        let _ = write!(text, "file {id:016x} {device} {inode} {position} {} {:016x}", head.len, head.hash);
        let _ = write!(text, " {} {:016x} {seen} ", tail.len, tail.hash);
        escape(&mut text, path);
        text.push('\n');
    }
    let sum = fnv1a(text.as_bytes());
    let _ = writeln!(text, "sum {sum:016x}");
    text
}

/// Reads what [`write`] wrote: patterns and streams.
///
/// # Errors
/// What is wrong with the text, with the number of the line.
pub fn read(text: &[u8]) -> Result<(Vec<String>, Vec<Kept>), String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    if !text.starts_with(FIRST_LINE) {
        return Err("its first line is not `heka file positions 1`".to_owned());
    }
    let sum_at = text.rfind("sum ").ok_or("it is cut off: its last line is no sum")?;
    let sum = text[sum_at + 4..].strip_suffix('\n').and_then(|sum| u64::from_str_radix(sum, 16).ok());
    if sum != Some(fnv1a(&text.as_bytes()[..sum_at])) {
        return Err("its sum does not fit its content".to_owned());
    }
    let (mut patterns, mut streams) = (Vec::new(), Vec::new());
    for (index, line) in text[..sum_at].lines().enumerate().skip(1) {
        let bad = || format!("line {} can't be read", index + 1);
        match line.split_once(' ') {
            Some(("pattern", path)) => {
                patterns.push(unescape(path).ok_or_else(bad)?.to_string_lossy().into_owned());
            }
            Some(("file", rest)) => streams.push(stream(rest).ok_or_else(bad)?),
            _ => return Err(bad()),
        }
    }
    Ok((patterns, streams))
}

fn stream(rest: &str) -> Option<Kept> {
    let mut words = rest.split(' ');
    let id = hexadecimal(words.next()?)?;
    let mut decimal = || words.next()?.parse::<u64>().ok();
    let identity = Identity { device: decimal()?, inode: decimal()? };
    let (position, head_len) = (decimal()?, decimal()?);
    let head = Fingerprint { len: head_len, hash: hexadecimal(words.next()?)? };
    let tail_len = words.next()?.parse().ok()?;
    let tail = Fingerprint { len: tail_len, hash: hexadecimal(words.next()?)? };
    let seen = words.next()?.parse().ok()?;
    let path = PathBuf::from(unescape(words.next()?)?);
    words.next().is_none().then_some(Kept { id, identity, position, head, tail, seen, path })
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word, 16).ok()
}

fn escape(text: &mut String, path: &Path) {
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn unescape(text: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    Some(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(id: u64, number: u64, path: Vec<u8>) -> Kept {
        let print = Fingerprint { len: number % 1025, hash: id.rotate_left(7) };
        let identity = Identity { device: number, inode: id };
        let path = PathBuf::from(OsString::from_vec(path));
        Kept { id, identity, position: number, head: print, tail: print, seen: number / 2, path }
    }

    #[test]
    fn damaged_texts_are_refused_with_a_reason() {
        let good = write(["/a*"].into_iter(), [kept(1, 2, b"/a".to_vec())].iter());
        assert!(read(good.as_bytes()).is_ok());
        let check = |text: &[u8], reason: &str| assert_eq!(read(text), Err(reason.to_owned()));
        check(b"", "its first line is not `heka file positions 1`");
        check(b"\xff", "it is not text");
        check(FIRST_LINE.as_bytes(), "it is cut off: its last line is no sum");
        check(&good.as_bytes()[..good.len() - 3], "its sum does not fit its content");
        check(good.replace("/a", "/b").as_bytes(), "its sum does not fit its content");
        let body = format!("{FIRST_LINE}file 1 2\n");
        let text = format!("{body}sum {:x}\n", fnv1a(body.as_bytes()));
        check(text.as_bytes(), "line 2 can't be read");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            streams in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<Vec<u8>>()), 0..5),
            patterns in proptest::collection::vec(any::<String>(), 0..3),
        ) {
            let streams: Vec<_> = streams.into_iter().map(|(id, number, path)| kept(id, number, path)).collect();
            let text = write(patterns.iter().map(String::as_str), streams.iter());
            prop_assert_eq!(read(text.as_bytes()), Ok((patterns, streams)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
            let mut text = FIRST_LINE.as_bytes().to_vec();
            text.extend(bytes);
            let sum = fnv1a(&text);
            text.extend(format!("sum {sum:016x}\n").bytes());
            let _ = read(&text);
        }
    }
}
