//! The text in which positions are kept between runs.
//!
//! ```text
//! heka file positions 2
//! pattern <path>                    one line for each pattern of that run
//! <state> <id> <device> <inode> <position> <head length> <head hash> <tail length> <tail hash> <seen> <path> <target>
//! sum <FNV-1a of all bytes before this line>
//! ```
//!
//! `state` is one of
//!
//! * `file`: the stream is read from this file;
//! * `gzip`: it is read from this file, decompressed; position, head and tail are of what that gives;
//! * `cut`: what was in the file is no longer there; the rest may be found in a copy of it (no device and inode);
//! * `done`: everything up to the position is read and acknowledged, and there is no more.
//!
//! `id`, hashes and the sum are hexadecimal, the other numbers decimal. The head is the file's first ≤ 1 KiB, the
//! tail the ≤ 1 KiB before the position. `seen` is when the file was last followed, in seconds since 1970. `path` is
//! where the file was found, and `target` the same without symlinks on the way; version 1 has no target, and no other
//! state than `file`. In paths `%`, blanks, control characters and bytes that are not ASCII are written `%XX`.

use super::fingerprint::{Fingerprint, fnv1a};
use crate::identity::Identity;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "heka file positions 2\n";
const FIRST_LINE_1: &str = "heka file positions 1\n";

/// What is left of a stream to read, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is in the file.
    File,
    /// It is in the file, compressed by gzip.
    Gzip,
    /// It is no longer in the file, and may be in a copy.
    Cut,
    /// There is nothing left.
    Done,
}

const STATES: [(State, &str); 4] =
    [(State::File, "file"), (State::Gzip, "gzip"), (State::Cut, "cut"), (State::Done, "done")];

/// What is kept of one stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// What is left to read, and where.
    pub state: State,
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
    /// The same without symlinks.
    pub target: PathBuf,
}

/// Writes patterns and streams.
pub fn write<'a>(patterns: impl Iterator<Item = &'a str>, streams: impl Iterator<Item = &'a Kept>) -> String {
    let mut text = FIRST_LINE.to_owned();
    for pattern in patterns {
        text.push_str("pattern ");
        escape(&mut text, Path::new(pattern));
        text.push('\n');
    }
    for Kept { state, id, identity, position, head, tail, seen, path, target } in streams {
        let name = STATES.iter().find(|(known, _)| known == state).map_or("", |(_, name)| name);
        let Identity { device, inode } = identity;
        let _ = write!(text, "{name} {id:016x} {device} {inode} {position} {} {:016x}", head.len, head.hash);
        let _ = write!(text, " {} {:016x} {seen} ", tail.len, tail.hash);
        escape(&mut text, path);
        text.push(' ');
        escape(&mut text, target);
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
    if ![FIRST_LINE, FIRST_LINE_1].iter().any(|first| text.starts_with(first)) {
        return Err(match text.strip_prefix("heka file positions ").and_then(|rest| rest.lines().next()) {
            Some(version) => format!("they are of version {version}, and this is version 2"),
            None => "its first line is not `heka file positions 2`".to_owned(),
        });
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
            Some((state, rest)) => streams.push(stream(state, rest).ok_or_else(bad)?),
            None => return Err(bad()),
        }
    }
    Ok((patterns, streams))
}

fn stream(state: &str, rest: &str) -> Option<Kept> {
    let state = STATES.iter().find(|(_, name)| *name == state)?.0;
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
    let target = words.next().map_or(Some(path.clone()), |word| unescape(word).map(PathBuf::from))?;
    let kept = Kept { state, id, identity, position, head, tail, seen, path, target };
    words.next().is_none().then_some(kept)
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
        let (state, target) = (STATES[(number % 4) as usize].0, path.join("x"));
        Kept {
            state,
            id,
            identity,
            position: number,
            head: print,
            tail: print,
            seen: number / 2,
            path,
            target,
        }
    }

    #[test]
    fn damaged_texts_are_refused_with_a_reason() {
        let good = write(["/a*"].into_iter(), [kept(1, 2, b"/a".to_vec())].iter());
        assert!(read(good.as_bytes()).is_ok());
        let check = |text: &[u8], reason: &str| assert_eq!(read(text), Err(reason.to_owned()));
        check(b"", "its first line is not `heka file positions 2`");
        check(b"heka file positions 3\nmore", "they are of version 3, and this is version 2");
        check(&[0; 100], "its first line is not `heka file positions 2`");
        check(b"\xff", "it is not text");
        check(FIRST_LINE.as_bytes(), "it is cut off: its last line is no sum");
        check(&good.as_bytes()[..good.len() - 3], "its sum does not fit its content");
        check(good.replace("/a", "/b").as_bytes(), "its sum does not fit its content");
        let body = format!("{FIRST_LINE}file 1 2\n");
        let text = format!("{body}sum {:x}\n", fnv1a(body.as_bytes()));
        check(text.as_bytes(), "line 2 can't be read");
    }

    #[test]
    fn the_first_version_is_read() {
        let body = "heka file positions 1\npattern /a*\nfile 1 2 3 4 5 6 7 8 9 /a\n";
        let text = format!("{body}sum {:x}\n", fnv1a(body.as_bytes()));
        let (patterns, streams) = read(text.as_bytes()).unwrap();
        assert_eq!(patterns, ["/a*"]);
        assert_eq!(
            (streams[0].state, streams[0].position, &streams[0].target),
            (State::File, 4, &"/a".into())
        );
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
