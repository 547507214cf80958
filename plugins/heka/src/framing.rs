//! Heka's stream framing: `0x1E | header length | header | 0x1F | message`.
//!
//! The header is at most 255 bytes of protobuf: 1 message_length, 2 message_encoding (early clients only: 0
//! protobuf, 1 JSON), 3 hmac_hash_function, 4 hmac_signer, 5 hmac_key_version, 6 hmac. Unknown fields are skipped.
//! Frames follow one another without anything between them.
//!
//! Source: mozilla-services/heka, message/message.proto and its documents on stream framing.

use crate::protobuf::{ByteSink, Cursor, ProtobufFault, Slot};
use crate::signing::{Digest, HashFunction};
use std::fmt;

/// First byte of a frame. No protobuf message begins with it.
pub const RECORD_SEPARATOR: u8 = 0x1e;
/// Byte between header and message.
pub const UNIT_SEPARATOR: u8 = 0x1f;
/// Longest name of a signer, in bytes, that leaves room for the rest of a header.
pub const SIGNER_BYTES_MAX: usize = 200;

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameHeader<'a> {
    /// Length of the message in bytes.
    pub message_length: u32,
    /// Form of the message: 0 protobuf, 1 JSON.
    pub message_encoding: u32,
    /// The signature, if there is one.
    pub signature: Option<FrameSignature<'a>>,
}

/// A signature as the header carries it; not verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameSignature<'a> {
    /// The hash function; `None` when the header names one that does not exist.
    pub hash: Option<HashFunction>,
    /// Name of the signer.
    pub signer: &'a [u8],
    /// Version of the signer's key.
    pub key_version: u32,
    /// The raw digest.
    pub digest: &'a [u8],
}

/// One frame at the front of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// What the header says.
    pub header: FrameHeader<'a>,
    /// The message.
    pub message: &'a [u8],
    /// Length of the whole frame in bytes.
    pub len: usize,
}

/// Says why bytes don't begin with a whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FrameFault {
    /// The first byte is not [`RECORD_SEPARATOR`].
    NoStart,
    /// The header is cut off.
    TruncatedHeader,
    /// The header is not ended by [`UNIT_SEPARATOR`].
    NoSeparator,
    /// The header says no message length.
    NoLength,
    /// The header is not protobuf.
    Header(ProtobufFault),
    /// The message is cut off.
    TruncatedMessage {
        /// Length of the message in bytes, as the header says.
        length: u32,
        /// How many bytes of it are there.
        left: usize,
    },
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::NoStart => f.write_str("no Heka frame: does not begin with 0x1e"),
            FrameFault::TruncatedHeader => f.write_str("broken Heka frame: the header is cut off"),
            FrameFault::NoSeparator => f.write_str("broken Heka frame: no 0x1f behind the header"),
            FrameFault::NoLength => f.write_str("broken Heka frame: the header says no message length"),
            FrameFault::Header(fault) => write!(f, "broken Heka frame: header: {fault}"),
            FrameFault::TruncatedMessage { length, left } => {
                write!(f, "broken Heka frame: a message of {length} bytes is announced, {left} are there")
            }
        }
    }
}

impl std::error::Error for FrameFault {}

/// Reads the frame at the front of `bytes`; others may follow.
///
/// # Errors
/// If `bytes` don't begin with a whole frame.
#[inline]
pub fn parse_frame(bytes: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let header_end = match bytes {
        [RECORD_SEPARATOR, length, ..] => 2 + usize::from(*length),
        [RECORD_SEPARATOR] | [] => return Err(FrameFault::TruncatedHeader),
        _ => return Err(FrameFault::NoStart),
    };
    match bytes.get(header_end) {
        Some(&UNIT_SEPARATOR) => {}
        Some(_) => return Err(FrameFault::NoSeparator),
        None => return Err(FrameFault::TruncatedHeader),
    }
    let header = parse_header(&bytes[2..header_end])?;
    let rest = &bytes[header_end + 1..];
    let Some(message) = rest.get(..header.message_length as usize) else {
        let (length, left) = (header.message_length, rest.len());
        return Err(FrameFault::TruncatedMessage { length, left });
    };
    Ok(Frame { header, message, len: header_end + 1 + message.len() })
}

/// Returns the message of a frame that fills `bytes` and whose header says nothing but its length, as nearly all do;
/// `None` for anything else, which [`parse_frame`] reads.
#[inline]
pub fn plain_message(bytes: &[u8]) -> Option<&[u8]> {
    const LENGTH_TAG: u8 = 0x08;
    let [RECORD_SEPARATOR, header_bytes, LENGTH_TAG, rest @ ..] = bytes else { return None };
    let digits = usize::from(*header_bytes).checked_sub(1).filter(|digits| (1..=4).contains(digits))?;
    let (length, rest) = rest.split_at_checked(digits)?;
    let (last, others) = length.split_last()?;
    if *last >= 0x80 || others.iter().any(|digit| *digit < 0x80) {
        return None;
    }
    let length = length.iter().rev().fold(0, |length, digit| length << 7 | usize::from(digit & 0x7f));
    let (separator, message) = rest.split_first()?;
    (*separator == UNIT_SEPARATOR && message.len() == length).then_some(message)
}

#[inline]
fn parse_header(bytes: &[u8]) -> Result<FrameHeader<'_>, FrameFault> {
    let mut message_length = None;
    let mut encoding = 0;
    let mut signature =
        FrameSignature { hash: Some(HashFunction::Md5), signer: &[], key_version: 0, digest: &[] };
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        read_header_field(&mut cursor, &mut message_length, &mut encoding, &mut signature)
            .map_err(FrameFault::Header)?;
    }
    Ok(FrameHeader {
        message_length: message_length.ok_or(FrameFault::NoLength)?,
        message_encoding: encoding,
        signature: (!signature.digest.is_empty()).then_some(signature),
    })
}

#[inline]
fn read_header_field<'a>(
    cursor: &mut Cursor<'a>,
    message_length: &mut Option<u32>,
    encoding: &mut u32,
    signature: &mut FrameSignature<'a>,
) -> Result<(), ProtobufFault> {
    match cursor.tag()? {
        0x08 => *message_length = u32::try_from(cursor.varint()?).ok(),
        0x10 => *encoding = cursor.varint()? as u32,
        0x18 => signature.hash = HashFunction::from_number(cursor.varint()?),
        0x22 => signature.signer = cursor.bytes()?,
        0x28 => signature.key_version = cursor.varint()? as u32,
        0x32 => signature.digest = cursor.bytes()?,
        tag => cursor.skip(tag)?,
    }
    Ok(())
}

/// Appends what comes before a message: separators and header.
///
/// A signature's digest takes the last bytes before the final separator.
#[inline]
pub fn write_head(message_length: u32, signature: Option<&FrameSignature<'_>>, out: &mut impl ByteSink) {
    match signature {
        None => put_head::<9>(message_length, None, out),
        Some(_) => put_head::<{ 3 + 255 }>(message_length, signature, out),
    }
}

/// Appends a head of at most `ROOM` bytes.
#[inline]
fn put_head<const ROOM: usize>(
    message_length: u32,
    signature: Option<&FrameSignature<'_>>,
    out: &mut impl ByteSink,
) {
    let mut bytes = [0; ROOM];
    let mut slot = Slot::new(&mut bytes).array([RECORD_SEPARATOR, 0, 0x08]).varint(message_length.into());
    if let Some(signature) = signature {
        let hash = signature.hash.map_or(0, HashFunction::number);
        slot = slot.array([0x18, hash]).text(0x22, signature.signer);
        slot = slot.byte(0x28).varint(signature.key_version.into()).text(0x32, signature.digest);
    }
    let len = ROOM - slot.byte(UNIT_SEPARATOR).left();
    // Without the two separators and itself.
    bytes[1] = (len - 3) as u8;
    out.put(&bytes[..len]);
}

/// Appends a whole frame around `message`.
///
/// A signer's name longer than [`SIGNER_BYTES_MAX`] makes a frame that nobody can read.
pub fn write_frame(message: &[u8], signature: Option<&FrameSignature<'_>>, out: &mut impl ByteSink) {
    write_head(message.len() as u32, signature, out);
    out.put(message);
}

impl<'a> FrameSignature<'a> {
    /// Makes a signature for a header.
    pub fn new(signer: &'a [u8], key_version: u32, digest: &'a Digest) -> FrameSignature<'a> {
        FrameSignature { hash: Some(digest.hash()), signer, key_version, digest: digest.as_ref() }
    }
}

#[cfg(test)]
mod tests;
