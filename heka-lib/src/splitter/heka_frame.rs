//! Looks into one Heka frame: header, signature, message.
//!
//! ```text
//! 0x1E | header length, 1 byte | header, protobuf | 0x1F | message, as long as the header says
//! ```
//!
//! The header's fields: 1 message_length (required), 2 message_encoding (old clients only),
//! 3 hmac_hash_function, 4 hmac_signer, 5 hmac_key_version, 6 hmac; unknown ones are skipped. What is signed
//! are exactly the message's bytes.
//!
//! Source: mozilla-services/heka, message/message.proto and its documents on stream framing.

use std::fmt;

/// First byte of a frame.
pub const RECORD_SEPARATOR: u8 = 0x1e;
/// Byte between header and message.
pub const UNIT_SEPARATOR: u8 = 0x1f;
/// Greatest number of bytes in front of a frame's message.
pub const HEAD_BYTES_MAX: usize = 3 + 255;

/// One frame, looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HekaFrame<'a> {
    /// What the header says.
    pub header: HekaHeader<'a>,
    /// The message's bytes: what a signature covers.
    pub message: &'a [u8],
    /// Offset of `message` in the frame.
    pub message_start: usize,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HekaHeader<'a> {
    /// Length of the message in bytes.
    pub message_length: u32,
    /// Form of the message's bytes.
    pub encoding: MessageEncoding,
    /// Who signed the message, if someone did.
    pub signature: Option<HekaSignature<'a>>,
}

/// A message's signature; not verified here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HekaSignature<'a> {
    /// How `digest` was made.
    pub function: HmacFunction,
    /// Name of the signer; usually UTF-8, empty if the header has none.
    pub signer: &'a [u8],
    /// Version of the signer's key; 0 if the header has none.
    pub key_version: u32,
    /// The raw digest of the message's bytes.
    pub digest: &'a [u8],
}

/// Form of a message's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageEncoding {
    /// Protobuf, also when the header says nothing.
    #[default]
    Protobuf,
    /// JSON, as early clients could send it.
    Json,
    /// A number that no client is known to send.
    Other(u32),
}

/// Hash function of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HmacFunction {
    /// HMAC-MD5, also when the header says nothing.
    #[default]
    Md5,
    /// HMAC-SHA1.
    Sha1,
    /// A number that no client is known to send; can't be verified.
    Other(u32),
}

/// Says why bytes are not one whole Heka frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HekaFrameFault {
    /// The first byte is not 0x1E.
    NoStart,
    /// The header is not protobuf, has no message length or does not end with 0x1F.
    BrokenHeader,
    /// More bytes are needed; a truncated frame stays so.
    Incomplete,
    /// Bytes follow the message.
    TrailingBytes,
}

impl fmt::Display for HekaFrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HekaFrameFault::NoStart => "no Heka frame: does not begin with 0x1e",
            HekaFrameFault::BrokenHeader => "Heka frame with a broken header",
            HekaFrameFault::Incomplete => "incomplete Heka frame",
            HekaFrameFault::TrailingBytes => "Heka frame with bytes behind its message",
        })
    }
}

impl std::error::Error for HekaFrameFault {}

/// Looks into `frame`, which holds exactly one frame.
///
/// # Errors
/// If it does not.
pub fn parse(frame: &[u8]) -> Result<HekaFrame<'_>, HekaFrameFault> {
    let (header, message_start) = parse_head(frame)?;
    let message = &frame[message_start..];
    let length = header.message_length as usize;
    match message.len() {
        bytes if bytes < length => Err(HekaFrameFault::Incomplete),
        bytes if bytes > length => Err(HekaFrameFault::TrailingBytes),
        _ => Ok(HekaFrame { header, message, message_start }),
    }
}

/// Reads the header of the frame that `bytes` begin with; returns it and where the message begins.
///
/// # Errors
/// If `bytes` don't begin with a frame's header, or not with all of it.
pub fn parse_head(bytes: &[u8]) -> Result<(HekaHeader<'_>, usize), HekaFrameFault> {
    match bytes.first() {
        None => return Err(HekaFrameFault::Incomplete),
        Some(&RECORD_SEPARATOR) => {}
        Some(_) => return Err(HekaFrameFault::NoStart),
    }
    let header_end = 2 + usize::from(*bytes.get(1).ok_or(HekaFrameFault::Incomplete)?);
    let separator = *bytes.get(header_end).ok_or(HekaFrameFault::Incomplete)?;
    if separator != UNIT_SEPARATOR {
        return Err(HekaFrameFault::BrokenHeader);
    }
    let header = parse_header(&bytes[2..header_end]).ok_or(HekaFrameFault::BrokenHeader)?;
    Ok((header, header_end + 1))
}

/// Reads a header's protobuf; `None` if it is none or lacks the message's length.
fn parse_header(mut rest: &[u8]) -> Option<HekaHeader<'_>> {
    let mut message_length = None;
    let mut encoding = MessageEncoding::default();
    let mut signature =
        HekaSignature { function: HmacFunction::default(), signer: &[], key_version: 0, digest: &[] };
    let mut is_signed = false;
    while !rest.is_empty() {
        match (varint(&mut rest)?, &mut rest) {
            (0x08, rest) => message_length = Some(u32::try_from(varint(rest)?).ok()?),
            (0x10, rest) => encoding = encoding_of(varint(rest)? as u32),
            (0x18, rest) => signature.function = function_of(varint(rest)? as u32),
            (0x22, rest) => signature.signer = bytes(rest)?,
            (0x28, rest) => signature.key_version = varint(rest)? as u32,
            (0x32, rest) => (signature.digest, is_signed) = (bytes(rest)?, true),
            (tag, rest) => skip_field(tag, rest)?,
        }
    }
    let signature = is_signed.then_some(signature);
    Some(HekaHeader { message_length: message_length?, encoding, signature })
}

fn encoding_of(number: u32) -> MessageEncoding {
    match number {
        0 => MessageEncoding::Protobuf,
        1 => MessageEncoding::Json,
        other => MessageEncoding::Other(other),
    }
}

fn function_of(number: u32) -> HmacFunction {
    match number {
        0 => HmacFunction::Md5,
        1 => HmacFunction::Sha1,
        other => HmacFunction::Other(other),
    }
}

/// Skips a field that is unknown; a known one of the wrong wire type is broken, as is field 0.
fn skip_field(tag: u64, rest: &mut &[u8]) -> Option<()> {
    if tag >> 3 <= 6 {
        return None;
    }
    match tag & 7 {
        0 => varint(rest).map(drop),
        1 => take(rest, 8).map(drop),
        2 => bytes(rest).map(drop),
        5 => take(rest, 4).map(drop),
        _ => None,
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Some(value);
        }
    }
    None
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = varint(rest)?;
    take(rest, usize::try_from(len).ok()?)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(header: &[u8], message: &[u8]) -> Vec<u8> {
        [&[RECORD_SEPARATOR, header.len() as u8], header, &[UNIT_SEPARATOR], message].concat()
    }

    #[test]
    fn a_plain_header_says_the_length() {
        let bytes = frame(&[0x08, 3], b"abc");
        let parsed = parse(&bytes).unwrap();
        assert_eq!((parsed.message, parsed.message_start), (&b"abc"[..], 5));
        let header = HekaHeader { message_length: 3, encoding: MessageEncoding::Protobuf, signature: None };
        assert_eq!(parsed.header, header);
    }

    #[test]
    fn early_clients_say_the_encoding_and_the_defaults() {
        let bytes = frame(&[0x08, 1, 0x10, 1, 0x18, 0], b"{");
        let header = parse(&bytes).unwrap().header;
        assert_eq!((header.encoding, header.signature), (MessageEncoding::Json, None));
    }

    #[test]
    fn a_signed_header_names_signer_and_digest() {
        let digest = [7; 20];
        let header = [&[0x08, 2, 0x18, 1, 0x22, 3][..], b"vic", &[0x28, 1, 0x32, 20], &digest].concat();
        assert_eq!(header.len(), 33);
        let bytes = frame(&header, b"ok");
        let signature =
            HekaSignature { function: HmacFunction::Sha1, signer: b"vic", key_version: 1, digest: &digest };
        assert_eq!(parse(&bytes).unwrap().header.signature, Some(signature));
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let header = [0x08, 0, 0x38, 0x96, 1, 0x39, 0, 0, 0, 0, 0, 0, 0, 0, 0x42, 1, 9, 0x4d, 0, 0, 0, 0];
        assert_eq!(parse(&frame(&header, b"")).unwrap().header.message_length, 0);
    }

    #[test]
    fn what_is_no_whole_frame_says_why() {
        use HekaFrameFault::*;
        let cases: &[(&[u8], HekaFrameFault)] = &[
            (b"", Incomplete),
            (b"\x1e", Incomplete),
            (b"\x1e\x02\x08\x01", Incomplete),
            (b"\x1e\x02\x08\x01\x1f", Incomplete),
            (b"x", NoStart),
            (b"\x1e\x02\x08\x01\x1fab", TrailingBytes),
            (b"\x1e\x02\x08\x01\x1e", BrokenHeader),
            (b"\x1e\x00\x1f", BrokenHeader),
            (b"\x1e\x02\x10\x01\x1f", BrokenHeader),
            (b"\x1e\x02\x08\x80\x1f", BrokenHeader),
            (b"\x1e\x03\x0a\x01\x01\x1f", BrokenHeader),
            (b"\x1e\x04\x08\x01\x32\x05\x1f", BrokenHeader),
            (b"\x1e\x07\x08\xff\xff\xff\xff\xff\x0f\x1f", BrokenHeader),
        ];
        for (bytes, fault) in cases {
            assert_eq!(parse(bytes), Err(*fault), "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(header in prop::collection::vec(any::<u8>(), 0..256), rest: Vec<u8>) {
            let _ = parse(&rest);
            let _ = parse(&frame(&header[..header.len().min(255)], &rest));
        }
    }
}
