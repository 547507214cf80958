//! What Raven clients send, back to JSON: base64 of zlib of JSON, also JSON that is not compressed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use std::io::Read;

/// Returns the JSON, at most `bytes_max` of it.
///
/// # Errors
/// Why it can't be had: which of the layers is broken, or that it would be longer.
pub fn unpack(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    let payload = payload.trim_ascii();
    let json = if payload.first() == Some(&b'{') {
        payload.to_vec()
    } else {
        let packed =
            STANDARD.decode(payload).map_err(|error| format!("not base64: {error}").to_lowercase())?;
        inflate(&packed, bytes_max)?
    };
    if json.len() > bytes_max {
        return Err(format!("longer than `json_bytes_max` ({bytes_max} bytes)"));
    }
    Ok(json)
}

/// Takes one byte more than allowed at most, so that too much can be told from just enough.
fn inflate(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut json = Vec::new();
    let limit = bytes_max as u64 + 1;
    match ZlibDecoder::new(packed).take(limit).read_to_end(&mut json) {
        Ok(_) => Ok(json),
        Err(error) => Err(format!("not zlib: {error}")),
    }
}

/// Packs JSON as Raven clients do, for tests and senders.
///
/// # Errors
/// If it can't be compressed.
pub fn pack(json: &[u8]) -> std::io::Result<String> {
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(payload: &[u8], bytes_max: usize) -> String {
        unpack(payload, bytes_max).unwrap_err()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let packed = pack(b"{\"a\":1}").unwrap();
        assert_eq!(unpack(packed.as_bytes(), 7).unwrap(), b"{\"a\":1}");
        assert_eq!(unpack(format!(" {packed}\n").as_bytes(), 7).unwrap(), b"{\"a\":1}");
        assert_eq!(unpack(b"{\"a\":1}", 7).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn what_is_broken_says_where() {
        assert_eq!(refused(b"!", 9), "not base64: invalid symbol 33, offset 0.");
        assert!(refused(b"aGVsbG8=", 9).starts_with("not zlib: "), "{}", refused(b"aGVsbG8=", 9));
        let packed = pack(&[b'x'; 1_000]).unwrap();
        let cut = STANDARD.encode(&STANDARD.decode(packed).unwrap()[..8]);
        assert!(refused(cut.as_bytes(), 2_000).starts_with("not zlib: "));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let packed = pack(&vec![b' '; 10 << 20]).unwrap();
        assert!(packed.len() < 20_000);
        assert_eq!(refused(packed.as_bytes(), 1_000), "longer than `json_bytes_max` (1000 bytes)");
        assert_eq!(refused(b"{\"a\":1}", 6), "longer than `json_bytes_max` (6 bytes)");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(payload: Vec<u8>) {
            let _ = unpack(&payload, 1_000);
            let _ = unpack(STANDARD.encode(&payload).as_bytes(), 1_000);
        }
    }
}
