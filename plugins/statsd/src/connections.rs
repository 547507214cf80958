//! Connections that bring lines.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// Longest line, in bytes; of a longer one all is skipped.
const LINE_BYTES_MAX: usize = 16 << 10;
/// What one read takes at most, in bytes.
const READ_BYTES: usize = 64 << 10;

/// One connection.
pub struct Connection {
    socket: OwnedFd,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// Whether what comes belongs to a line that is too long.
    skips: bool,
}

/// What a read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Bytes.
    Some(usize),
    /// The peer has ended the connection, or it failed.
    End,
}

impl Connection {
    pub fn new(socket: OwnedFd) -> Connection {
        Connection { socket, begun: Vec::new(), skips: false }
    }

    /// Reads once and takes the whole lines; at the end of the connection also a last one without newline.
    pub fn read(&mut self, room: &mut Vec<u8>, mut take: impl FnMut(&[u8])) -> Found {
        room.clear();
        room.append(&mut self.begun);
        let start = room.len();
        room.resize(start + READ_BYTES, 0);
        let len = match rustix::io::read(&self.socket, &mut room[start..]) {
            Ok(0) => {
                take(&room[..start]);
                return Found::End;
            }
            Ok(len) => len,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return Found::End,
        };
        let lines = &room[..start + len];
        let end = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
        let (whole, begun) = lines.split_at(end);
        take(self.without_skipped(whole));
        self.keep(begun, &mut take);
        Found::Some(len)
    }

    /// Takes a last line without newline.
    pub fn finish(self, mut take: impl FnMut(&[u8])) {
        take(&self.begun);
    }

    /// Leaves out the rest of a line that is too long.
    fn without_skipped<'l>(&mut self, whole: &'l [u8]) -> &'l [u8] {
        if whole.is_empty() || !std::mem::take(&mut self.skips) {
            return whole;
        }
        let end = memchr::memchr(b'\n', whole).map_or(whole.len(), |at| at + 1);
        &whole[end..]
    }

    fn keep(&mut self, begun: &[u8], take: &mut impl FnMut(&[u8])) {
        if self.skips {
            return;
        }
        if begun.len() <= LINE_BYTES_MAX {
            self.begun.extend_from_slice(begun);
            return;
        }
        // Its beginning alone is no metric, but is counted as one that was malformed.
        self.skips = true;
        take(b"(a line longer than 16 KiB)");
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn taken(pieces: &[&[u8]]) -> Vec<u8> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut connection, mut room, mut all) = (Connection::new(ours.into()), Vec::new(), Vec::new());
        for piece in pieces {
            theirs.write_all(piece).unwrap();
            assert_eq!(
                connection.read(&mut room, |lines| all.extend_from_slice(lines)),
                Found::Some(piece.len())
            );
        }
        drop(theirs);
        assert_eq!(connection.read(&mut room, |lines| all.extend_from_slice(lines)), Found::End);
        all
    }

    #[test]
    fn lines_are_taken_whole() {
        assert_eq!(taken(&[b"a:1|c\nb:", b"2|", b"c\nc:3|c\n", b"d:4|c"]), b"a:1|c\nb:2|c\nc:3|c\nd:4|c");
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let taken = taken(&[&long, &long, b"x:1|c\na:1|c\nb:", b"2|c\n"]);
        assert_eq!(String::from_utf8_lossy(&taken), "(a line longer than 16 KiB)a:1|c\nb:2|c\n");
    }
}
