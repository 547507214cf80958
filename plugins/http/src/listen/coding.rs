//! Compressed bodies.

use super::answer::Answer;
use super::memory::Hold;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{ErrorKind, Read};

/// What is decompressed at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Compressions of one body.
pub const CODINGS_MAX: usize = 3;
/// The largest window of zstd that is taken, as a power of two: 8 MiB, as RFC 9659 says.
const WINDOW_LOG_MAX: u32 = 23;

/// A compression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

impl Coding {
    /// Returns the compression that a header calls so.
    pub fn named(name: &[u8]) -> Option<Coding> {
        match name.to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Some(Coding::Gzip),
            b"deflate" => Some(Coding::Deflate),
            b"zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    fn reader<'b>(self, bytes: &'b [u8]) -> std::io::Result<Box<dyn Read + 'b>> {
        Ok(match self {
            Coding::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            // Meant is zlib's format; some leave its header out.
            Coding::Deflate if is_zlib(bytes) => Box::new(ZlibDecoder::new(bytes)),
            Coding::Deflate => Box::new(DeflateDecoder::new(bytes)),
            Coding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
                decoder.window_log_max(WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

/// Limits of a body.
#[derive(Clone, Copy)]
pub struct BodyLimits {
    pub body_bytes_max: usize,
    pub memory_max: usize,
}

/// Decompresses a body, the last compression first.
///
/// # Errors
/// What is answered when it is broken, or becomes too long.
pub fn plain(
    body: Vec<u8>,
    codings: &[Coding],
    limits: BodyLimits,
    hold: &mut Hold,
) -> Result<Vec<u8>, Answer> {
    if codings.len() > CODINGS_MAX {
        return Err(Answer::refusal(415, "compressed too many times"));
    }
    let mut body = body;
    for coding in codings.iter().rev() {
        body = decompress(&body, *coding, limits, hold)?;
    }
    Ok(body)
}

fn decompress(bytes: &[u8], coding: Coding, limits: BodyLimits, hold: &mut Hold) -> Result<Vec<u8>, Answer> {
    let broken = |why: std::io::Error| Answer::refusal(400, format!("the body can't be decompressed: {why}"));
    let mut reader = coding.reader(bytes).map_err(broken)?;
    let mut plain = Vec::new();
    loop {
        let from = plain.len();
        let to = from + PIECE_BYTES.min(limits.body_bytes_max + 1 - from);
        if !hold.reach(bytes.len() + to, limits.memory_max.saturating_add(PIECE_BYTES)) {
            return Err(Answer::refusal(503, "too much is under way; send it again later"));
        }
        plain.resize(to, 0);
        match reader.read(&mut plain[from..]) {
            Ok(0) => {
                plain.truncate(from);
                return Ok(plain);
            }
            Ok(len) => plain.truncate(from + len),
            Err(why) if why.kind() == ErrorKind::Interrupted => plain.truncate(from),
            Err(why) => return Err(broken(why)),
        }
        if plain.len() > limits.body_bytes_max {
            return Err(too_long(limits.body_bytes_max));
        }
    }
}

/// Refuses a body that is too long.
pub fn too_long(max: usize) -> Answer {
    Answer::refusal(413, format!("the body is longer than {max} bytes; send it in parts"))
}

/// Zlib's header: method 8, and a multiple of 31.
fn is_zlib(bytes: &[u8]) -> bool {
    match bytes {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    const LIMITS: BodyLimits = BodyLimits { body_bytes_max: 1 << 20, memory_max: 4 << 20 };

    fn compressed(bytes: &[u8]) -> [(Coding, Vec<u8>); 4] {
        let level = Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        gzip.write_all(bytes).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        zlib.write_all(bytes).unwrap();
        let mut deflate = DeflateEncoder::new(Vec::new(), level);
        deflate.write_all(bytes).unwrap();
        [
            (Coding::Gzip, gzip.finish().unwrap()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, deflate.finish().unwrap()),
            (Coding::Zstd, zstd::encode_all(bytes, 3).unwrap()),
        ]
    }

    fn unpacked(bytes: Vec<u8>, codings: &[Coding], limits: BodyLimits) -> Result<Vec<u8>, u16> {
        let memory = Memory::default();
        let plain = plain(bytes, codings, limits, &mut memory.hold()).map_err(|answer| answer.status);
        assert_eq!(memory.held(), 0);
        plain
    }

    #[test]
    fn each_coding_is_undone_and_cut_or_torn_ones_are_refused() {
        let text = "a line of text, and then some more\n".repeat(5_000).into_bytes();
        for (coding, bytes) in compressed(&text) {
            assert!(unpacked(bytes.clone(), &[coding], LIMITS).unwrap() == text);
            let small = BodyLimits { body_bytes_max: text.len() - 1, ..LIMITS };
            assert_eq!(unpacked(bytes.clone(), &[coding], small), Err(413));
            let exact = BodyLimits { body_bytes_max: text.len(), ..LIMITS };
            assert!(unpacked(bytes.clone(), &[coding], exact).is_ok());
            let poor = BodyLimits { memory_max: 1_000, ..LIMITS };
            assert_eq!(unpacked(bytes.clone(), &[coding], poor), Err(503));
            assert_eq!(
                unpacked(bytes[..bytes.len() / 2].to_vec(), &[coding], LIMITS),
                Err(400),
                "{coding:?}"
            );
        }
        let [(_, gzip), .., _] = compressed(&text);
        let twice = zstd::encode_all(&gzip[..], 3).unwrap();
        assert!(unpacked(twice, &[Coding::Gzip, Coding::Zstd], LIMITS).unwrap() == text);
        assert_eq!(unpacked(Vec::new(), &[Coding::Gzip; 4], LIMITS), Err(415));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let zeros = vec![0; 100 << 20];
        let bomb = zstd::encode_all(&zeros[..], 3).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(unpacked(bomb, &[Coding::Zstd], LIMITS), Err(413));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
                let _ = unpacked(bytes.clone(), &[coding], LIMITS);
            }
        }

        #[test]
        fn what_was_compressed_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            for (coding, packed) in compressed(&bytes) {
                prop_assert_eq!(unpacked(packed, &[coding], LIMITS), Ok(bytes.clone()));
            }
        }
    }
}
