//! Tells whether a file is still the one that was read: its inode, and hashes of its edges.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes hashed at the beginning of a file, and before a position.
pub const EDGE_BYTES: u64 = 1024;

/// Hash of a piece of a file, with the piece's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    /// Count of bytes hashed, at most [`EDGE_BYTES`].
    pub len: u64,
    /// FNV-1a of the bytes.
    pub hash: u64,
}

impl Fingerprint {
    /// Of nothing: every file has it.
    pub const EMPTY: Fingerprint = Fingerprint { len: 0, hash: FNV_OFFSET };

    /// Takes the fingerprint of bytes, at most [`EDGE_BYTES`].
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint { len: bytes.len() as u64, hash: fnv1a(bytes) }
    }

    /// Takes the fingerprint of a file's first bytes.
    pub fn of_head(file: &File) -> io::Result<Fingerprint> {
        of_range(file, 0, EDGE_BYTES)
    }

    /// Takes the fingerprint of the bytes before a position.
    pub fn before(file: &File, position: u64) -> io::Result<Fingerprint> {
        let start = position.saturating_sub(EDGE_BYTES);
        of_range(file, start, position - start)
    }

    /// Tells whether a file begins with the bytes that were hashed.
    pub fn is_head_of(&self, file: &File) -> io::Result<bool> {
        self.is_at(file, 0)
    }

    /// Tells whether the bytes that were hashed lie before this position of a file.
    pub fn is_before(&self, file: &File, position: u64) -> io::Result<bool> {
        let Some(start) = position.checked_sub(self.len) else { return Ok(false) };
        self.is_at(file, start)
    }

    fn is_at(&self, file: &File, start: u64) -> io::Result<bool> {
        if self.len > EDGE_BYTES {
            return Ok(false);
        }
        Ok(of_range(file, start, self.len)? == *self)
    }
}

/// Hashes at most `len` bytes, at most [`EDGE_BYTES`].
fn of_range(file: &File, start: u64, len: u64) -> io::Result<Fingerprint> {
    let mut edge = [0; EDGE_BYTES as usize];
    let edge = &mut edge[..len.min(EDGE_BYTES) as usize];
    let len = read_at(file, edge, start)?;
    Ok(Fingerprint::of(&edge[..len]))
}

/// Reads until the room is full or the file ends; returns the count of bytes.
pub fn read_at(file: &File, room: &mut [u8], start: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < room.len() {
        match file.read_at(&mut room[len..], start + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// Hashes bytes by FNV-1a.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), FNV_OFFSET);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_file_that_grew_keeps_its_fingerprints() {
        let (short, long) = (file(b"one\ntwo\n"), file(b"one\ntwo\nthree\n"));
        let head = Fingerprint::of_head(&short).unwrap();
        assert_eq!(head.len, 8);
        assert!(head.is_head_of(&long).unwrap());
        assert!(Fingerprint::before(&short, 4).unwrap().is_before(&long, 4).unwrap());
        assert!(!Fingerprint::before(&short, 4).unwrap().is_before(&long, 8).unwrap());
        assert!(!head.is_head_of(&file(b"one\nTwo\nthree\n")).unwrap());
        assert!(!head.is_head_of(&file(b"one\n")).unwrap());
        assert!(Fingerprint::EMPTY.is_head_of(&short).unwrap());
    }

    #[test]
    fn only_the_edges_are_hashed() {
        let mut content = vec![b'x'; 5000];
        let one = Fingerprint::before(&file(&content), 5000).unwrap();
        content[5000 - EDGE_BYTES as usize - 1] = b'y';
        assert!(one.is_before(&file(&content), 5000).unwrap());
        content[5000 - EDGE_BYTES as usize] = b'y';
        assert!(!one.is_before(&file(&content), 5000).unwrap());
        assert!(!Fingerprint { len: 2000, hash: 0 }.is_head_of(&file(&content)).unwrap());
    }
}
