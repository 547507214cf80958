//! Reads what files hold that are compressed by gzip.

use super::fingerprint::{EDGE_BYTES, Fingerprint, fnv1a, read_at};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes read from the disk at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes decompressed at a time where they are only passed over.
const SKIP_BYTES: usize = 64 << 10;

/// Tells whether a file begins as gzip does.
pub fn is_gzip(file: &File) -> io::Result<bool> {
    let mut magic = [0; 2];
    Ok(read_at(file, &mut magic, 0)? == 2 && magic == [0x1f, 0x8b])
}

/// A compressed file that is read from its beginning to its end.
pub struct Gunzip {
    decoder: MultiGzDecoder<BufReader<Positioned>>,
    position: u64,
}

/// Reads a file without moving the position that others see.
struct Positioned {
    file: Arc<File>,
    offset: u64,
}

impl Read for Positioned {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(room, self.offset)?;
        self.offset += len as u64;
        Ok(len)
    }
}

impl Gunzip {
    /// Begins to read a file.
    pub fn new(file: &Arc<File>) -> Gunzip {
        let source = Positioned { file: Arc::clone(file), offset: 0 };
        Gunzip { decoder: MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, source)), position: 0 }
    }

    /// Returns how much was read or passed over.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads until the room is full or there is no more; returns the count of bytes.
    ///
    /// # Errors
    /// What is compressed is damaged, or not whole.
    pub fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        while len < room.len() {
            match self.decoder.read(&mut room[len..]) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What comes before the damage is good.
                Err(error) if len == 0 => return Err(error),
                Err(_) => break,
            }
        }
        self.position += len as u64;
        Ok(len)
    }

    /// Returns the first ≤ 1 KiB of what a file holds.
    pub fn head(file: &Arc<File>) -> io::Result<Vec<u8>> {
        let mut head = vec![0; EDGE_BYTES as usize];
        let len = Gunzip::new(file).read(&mut head)?;
        head.truncate(len);
        Ok(head)
    }

    /// Passes over what is before a position; tells whether it is there, with this fingerprint at its end.
    pub fn skip_to(&mut self, position: u64, tail: Fingerprint) -> io::Result<bool> {
        let Some(tail_at) = position.checked_sub(tail.len.min(EDGE_BYTES)) else { return Ok(false) };
        if !self.skip(tail_at)? {
            return Ok(false);
        }
        let mut bytes = vec![0; (position - tail_at) as usize];
        let len = self.read(&mut bytes)?;
        Ok(len == bytes.len() && fnv1a(&bytes) == tail.hash)
    }

    fn skip(&mut self, position: u64) -> io::Result<bool> {
        let mut room = vec![0; SKIP_BYTES];
        while self.position < position {
            let len = room.len().min((position - self.position) as usize);
            if self.read(&mut room[..len])? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tells whether these first bytes begin with those that were hashed.
pub fn begins_with(head: &[u8], print: Fingerprint) -> bool {
    head.get(..print.len as usize).is_some_and(|head| fnv1a(head) == print.hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn compressed(pieces: &[&[u8]]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        for piece in pieces {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(piece).unwrap();
            file.write_all(&encoder.finish().unwrap()).unwrap();
        }
        Arc::new(file)
    }

    #[test]
    fn all_members_are_read_from_any_position() {
        let whole: Vec<u8> = (0..50_000).flat_map(|number: u32| number.to_le_bytes()).collect();
        let file = compressed(&[&whole[..120_000], &whole[120_000..]]);
        assert!(is_gzip(&file).unwrap());
        assert_eq!(Gunzip::head(&file).unwrap(), &whole[..1024]);
        for position in [0_usize, 1, 5000, 130_000, 200_000] {
            let start = position.saturating_sub(1024);
            let tail = Fingerprint { len: (position - start) as u64, hash: fnv1a(&whole[start..position]) };
            let mut gunzip = Gunzip::new(&file);
            assert!(gunzip.skip_to(position as u64, tail).unwrap());
            let mut rest = vec![0; 300_000];
            let len = gunzip.read(&mut rest).unwrap();
            assert!(rest[..len] == whole[position..]);
        }
        let other = Fingerprint { len: 10, hash: 1 };
        assert!(!Gunzip::new(&file).skip_to(5000, other).unwrap());
        assert!(!Gunzip::new(&file).skip_to(200_001, other).unwrap());
    }

    #[test]
    fn damage_is_told() {
        let file = compressed(&[b"hello"]);
        file.set_len(file.metadata().unwrap().len() - 9).unwrap();
        let (mut gunzip, mut room) = (Gunzip::new(&file), [0; 100]);
        let read = std::iter::repeat_with(|| gunzip.read(&mut room)).take(10).collect::<io::Result<Vec<_>>>();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut garbage = tempfile::tempfile().unwrap();
        garbage.write_all(b"\x1f\x8bgarbage").unwrap();
        assert!(Gunzip::head(&Arc::new(garbage)).is_err());
    }
}
