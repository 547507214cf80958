//! Payloads as they were sent: plain, or compressed by zlib or gzip.

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// Returns the text of a payload, unpacked into `unpacked` if need be.
///
/// # Errors
/// If it is more than `bytes_max` bytes, or broken.
pub fn text<'t>(payload: &'t [u8], bytes_max: usize, unpacked: &'t mut Vec<u8>) -> Result<&'t [u8], String> {
    match payload {
        [0x1f, 0x8b, ..] => unpack(MultiGzDecoder::new(payload), "gzip", bytes_max, unpacked)?,
        [head, second, ..] if is_zlib(*head, *second) => {
            unpack(ZlibDecoder::new(payload), "zlib", bytes_max, unpacked)?;
        }
        _ if payload.len() > bytes_max => return Err(too_long(bytes_max)),
        _ => return Ok(payload),
    }
    Ok(unpacked)
}

/// Source: RFC 1950, section 2.2: method 8, and both bytes together a multiple of 31.
fn is_zlib(head: u8, second: u8) -> bool {
    head & 0x0f == 8 && (u16::from(head) << 8 | u16::from(second)).is_multiple_of(31)
}

fn unpack(source: impl Read, what: &str, bytes_max: usize, unpacked: &mut Vec<u8>) -> Result<(), String> {
    unpacked.clear();
    let read = source.take(bytes_max as u64 + 1).read_to_end(unpacked);
    read.map_err(|error| format!("broken {what}: {error}"))?;
    if unpacked.len() > bytes_max { Err(too_long(bytes_max)) } else { Ok(()) }
}

fn too_long(bytes_max: usize) -> String {
    format!("longer than {bytes_max} bytes when unpacked")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use std::io::Write;

    pub(crate) fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn check(payload: &[u8], bytes_max: usize, expected: Result<&[u8], &str>) {
        let mut unpacked = Vec::new();
        let found = text(payload, bytes_max, &mut unpacked);
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        let long = vec![b'x'; 1_000_000];
        for packed in [zlib(&long), gzip(&long), long.clone()] {
            check(&packed, 1_000_000, Ok(&long));
            check(&packed, 999_999, Err("longer than 999999 bytes when unpacked"));
        }
        check(b"", 1, Ok(b""));
        let broken = zlib(&long);
        let mut unpacked = Vec::new();
        assert!(text(&broken[..50], 1 << 20, &mut unpacked).unwrap_err().starts_with("broken zlib: "));
    }
}
