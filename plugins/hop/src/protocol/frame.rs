//! Frames: a fixed head, a MessagePack header, a body.

use serde::Serialize;
use serde::de::Deserialize;
use std::fmt;

/// First four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"HHOP";
/// Length of a frame's head.
pub const HEAD_BYTES: usize = 16;
/// The longest header, in bytes.
pub const HEADER_BYTES_MAX: usize = u16::MAX as usize;
/// A TLS record of type handshake or alert begins with this and the major version 3.
const TLS_RECORDS: [u8; 2] = [0x16, 0x15];

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FrameKind {
    /// The agent's hello.
    Hello = 1,
    /// The grater's answer.
    Answer = 2,
    /// The agent's proof.
    Proof = 3,
    /// The grater's proof, and what it has.
    Ready = 4,
    /// Messages.
    Batch = 5,
    /// Ranges of sequences that are done.
    Acknowledged = 6,
    /// One message that is refused for good.
    Refused = 7,
    /// The connection ends, with a reason.
    Rejected = 8,
    /// A sign of life.
    Alive = 9,
}

impl FrameKind {
    fn of(byte: u8) -> Option<FrameKind> {
        use FrameKind::*;
        [Hello, Answer, Proof, Ready, Batch, Acknowledged, Refused, Rejected, Alive]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The longest frame that a receiver takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a header, at most [`HEADER_BYTES_MAX`].
    pub header_bytes_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
}

impl Limits {
    /// Before a peer has proved who it is.
    pub const GREETING: Limits = Limits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max: 0 };
}

/// Why bytes are no frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// They begin as a TLS record does.
    Tls,
    /// They don't begin with the magic.
    Magic,
    /// There is no such kind.
    Kind(u8),
    /// The head or header is damaged.
    Checksum,
    /// The frame is longer than the limit: its length, the limit.
    TooLong(usize, usize),
    /// The header is not what its kind demands.
    Header(FrameKind),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Tls => f.write_str("it speaks TLS, this side doesn't: set `tls` on both sides or on none"),
            Fault::Magic => f.write_str("it doesn't speak the hop's protocol"),
            Fault::Kind(kind) => write!(f, "it sent a frame of the unknown kind {kind}"),
            Fault::Checksum => f.write_str("it sent a frame whose checksum is wrong"),
            Fault::TooLong(len, max) => write!(f, "it sent a frame of {len} bytes, at most {max} are taken"),
            Fault::Header(kind) => write!(f, "it sent a frame of kind {} with a broken header", *kind as u8),
        }
    }
}

/// One frame inside a receiver's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'b> {
    /// What it is.
    pub kind: FrameKind,
    /// One MessagePack value.
    pub header: &'b [u8],
    /// The rest.
    pub body: &'b [u8],
}

impl<'b> Frame<'b> {
    /// Parses the header.
    ///
    /// # Errors
    /// [`Fault::Header`].
    pub fn parse<H: Deserialize<'b>>(&self) -> Result<H, Fault> {
        rmp_serde::from_slice(self.header).map_err(|_| Fault::Header(self.kind))
    }

    /// Returns the length of the whole frame.
    #[expect(clippy::len_without_is_empty, reason = "a frame has a head")]
    pub fn len(&self) -> usize {
        HEAD_BYTES + self.header.len() + self.body.len()
    }
}

/// Finds the frame at the start of `bytes`; `None` if it is not whole yet. Allocates nothing.
///
/// # Errors
/// What is wrong, as early as it can be seen: lengths are judged before the bytes are there.
pub fn next_frame(bytes: &[u8], limits: Limits) -> Result<Option<Frame<'_>>, Fault> {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if *magic != MAGIC[..magic.len()] {
        let is_tls = TLS_RECORDS.contains(&magic[0]) && magic.get(1).is_none_or(|&major| major == 3);
        return Err(if is_tls { Fault::Tls } else { Fault::Magic });
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let header_len = usize::from(u16::from_le_bytes([head[6], head[7]]));
    let body_len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
    let (len, max) = (header_len + body_len, limits.header_bytes_max + limits.body_bytes_max);
    if header_len > limits.header_bytes_max || body_len > limits.body_bytes_max {
        return Err(Fault::TooLong(HEAD_BYTES + len, HEAD_BYTES + max));
    }
    let Some((header, rest)) = rest.split_at_checked(header_len) else { return Ok(None) };
    let stored = u32::from_le_bytes([head[12], head[13], head[14], head[15]]);
    if checksum(head, header) != stored {
        return Err(Fault::Checksum);
    }
    let kind = FrameKind::of(head[4]).ok_or(Fault::Kind(head[4]))?;
    let Some(body) = rest.get(..body_len) else { return Ok(None) };
    Ok(Some(Frame { kind, header, body }))
}

fn checksum(head: &[u8; HEAD_BYTES], header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&head[..12]), header)
}

/// Appends a frame without body, its header as a MessagePack map.
///
/// # Errors
/// [`Fault::TooLong`] if the header is too long; then nothing is appended.
pub fn push_frame(out: &mut Vec<u8>, kind: FrameKind, header: &impl Serialize) -> Result<(), Fault> {
    push_with(out, kind, &[], |out| header.serialize(&mut rmp_serde::Serializer::new(out).with_struct_map()))
}

/// Appends a frame with its header as a MessagePack array, and a body.
///
/// # Errors
/// As [`push_frame`].
pub fn push_frame_parts(
    out: &mut Vec<u8>,
    kind: FrameKind,
    header: &impl Serialize,
    body: &[u8],
) -> Result<(), Fault> {
    push_with(out, kind, body, |out| header.serialize(&mut rmp_serde::Serializer::new(out)))
}

fn push_with<E>(
    out: &mut Vec<u8>,
    kind: FrameKind,
    body: &[u8],
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    let written = write(out);
    let header_len = out.len() - start - HEAD_BYTES;
    let (header_bytes, body_bytes) = (u16::try_from(header_len), u32::try_from(body.len()));
    let (Ok(()), Ok(header_bytes), Ok(body_bytes)) = (written, header_bytes, body_bytes) else {
        out.truncate(start);
        return Err(Fault::TooLong(HEAD_BYTES + header_len + body.len(), HEAD_BYTES + HEADER_BYTES_MAX));
    };
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = kind as u8;
    head[6..8].copy_from_slice(&header_bytes.to_le_bytes());
    head[8..12].copy_from_slice(&body_bytes.to_le_bytes());
    let sum = checksum(&head, &out[start + HEAD_BYTES..]);
    head[12..].copy_from_slice(&sum.to_le_bytes());
    out[start..start + HEAD_BYTES].copy_from_slice(&head);
    out.extend_from_slice(body);
    Ok(())
}

#[cfg(test)]
mod tests;
