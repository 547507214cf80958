//! Compression of bodies.

use std::io;

/// Level of Zstandard: the fastest of those that compress well.
const ZSTD_LEVEL: i32 = 1;

/// How a body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// Not at all.
    None,
    /// One LZ4 block.
    Lz4,
    /// One Zstandard frame.
    Zstd,
}

impl Codec {
    /// Returns its number in a batch's header.
    pub fn number(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Lz4 => 1,
            Codec::Zstd => 2,
        }
    }

    /// Returns the codec with this number.
    pub fn of(number: u8) -> Option<Codec> {
        [Codec::None, Codec::Lz4, Codec::Zstd].into_iter().find(|codec| codec.number() == number)
    }
}

/// Compresses bodies into memory that is used again.
pub struct Packer {
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    /// Makes a packer that uses `codec`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(codec: Codec) -> io::Result<Packer> {
        let zstd = (codec == Codec::Zstd).then(|| zstd::bulk::Compressor::new(ZSTD_LEVEL)).transpose()?;
        Ok(Packer { codec, zstd, packed: Vec::new() })
    }

    /// Returns the body as it is sent: compressed, unless that makes it no shorter.
    pub fn pack<'p>(&'p mut self, body: &'p [u8]) -> (Codec, &'p [u8]) {
        let len = match (self.codec, &mut self.zstd) {
            (Codec::Lz4, _) => {
                make_room(&mut self.packed, lz4_flex::block::get_maximum_output_size(body.len()));
                lz4_flex::block::compress_into(body, &mut self.packed).ok()
            }
            (Codec::Zstd, Some(zstd)) => {
                make_room(&mut self.packed, zstd::zstd_safe::compress_bound(body.len()));
                zstd.compress_to_buffer(body, &mut self.packed[..]).ok()
            }
            _ => None,
        };
        match len.filter(|&len| len < body.len()) {
            Some(len) => (self.codec, &self.packed[..len]),
            None => (Codec::None, body),
        }
    }
}

fn make_room(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
}

/// Decompresses into exactly `out`; tells whether that is what was there.
pub(super) fn unpack(
    codec: Codec,
    packed: &[u8],
    out: &mut [u8],
    zstd: &mut Option<zstd::bulk::Decompressor<'static>>,
) -> bool {
    let len = match codec {
        Codec::None if packed.len() == out.len() => {
            out.copy_from_slice(packed);
            Some(packed.len())
        }
        Codec::None => None,
        Codec::Lz4 => lz4_flex::block::decompress_into(packed, out).ok(),
        Codec::Zstd => {
            if zstd.is_none() {
                *zstd = zstd::bulk::Decompressor::new().ok();
            }
            zstd.as_mut().and_then(|zstd| zstd.decompress_to_buffer(packed, out).ok())
        }
    };
    len == Some(out.len())
}
