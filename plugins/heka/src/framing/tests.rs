use super::*;
use proptest::prelude::*;

fn frame(header: &[u8], message: &[u8]) -> Vec<u8> {
    [&[RECORD_SEPARATOR, header.len() as u8], header, &[UNIT_SEPARATOR], message].concat()
}

#[test]
fn a_plain_frame_is_read_and_written() {
    let bytes = frame(&[0x08, 3], b"abc");
    let header = FrameHeader { message_length: 3, ..FrameHeader::default() };
    assert_eq!(parse_frame(&bytes), Ok(Frame { header, message: b"abc", len: 8 }));
    let mut back = Vec::new();
    write_frame(b"abc", None, &mut back);
    assert_eq!(back, bytes);
}

#[test]
fn headers_of_early_clients_are_read() {
    let bytes = frame(&[0x08, 1, 0x10, 0, 0x18, 0], b"x");
    assert_eq!(
        parse_frame(&bytes).unwrap().header,
        FrameHeader { message_length: 1, ..FrameHeader::default() }
    );
    let bytes = frame(&[0x08, 1, 0x10, 1], b"{");
    assert_eq!(parse_frame(&bytes).unwrap().header.message_encoding, 1);
}

#[test]
fn signed_headers_have_the_length_of_the_clients_ones() {
    for (hash, len) in [(HashFunction::Sha1, 33), (HashFunction::Md5, 29)] {
        let digest = crate::signing::SigningKey::new(b"key").unwrap().sign(hash, &[b'm'; 72]);
        let mut bytes = Vec::new();
        write_frame(&[b'm'; 72], Some(&FrameSignature::new(b"vic", 1, &digest)), &mut bytes);
        assert_eq!(bytes[..9], [0x1e, len, 0x08, 0x48, 0x18, hash.number(), 0x22, 3, b'v']);
        let parsed = parse_frame(&bytes).unwrap();
        assert_eq!((parsed.len, parsed.message.len()), (bytes.len(), 72));
        assert_eq!(parsed.header.signature, Some(FrameSignature::new(b"vic", 1, &digest)));
    }
}

#[test]
fn what_is_no_frame_says_why() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "broken Heka frame: the header is cut off"),
        (b"\x1e\x02\x08", "broken Heka frame: the header is cut off"),
        (b"x", "no Heka frame: does not begin with 0x1e"),
        (b"\x1e\x02\x08\x01\x1e", "broken Heka frame: no 0x1f behind the header"),
        (b"\x1e\x00\x1f", "broken Heka frame: the header says no message length"),
        (b"\x1e\x07\x08\xff\xff\xff\xff\xff\x0f\x1f", "broken Heka frame: the header says no message length"),
        (b"\x1e\x02\x08\x80\x1f", "broken Heka frame: header: not protobuf: the number at byte 1 has no end"),
        (b"\x1e\x02\x08\x05\x1fab", "broken Heka frame: a message of 5 bytes is announced, 2 are there"),
    ];
    for (bytes, reason) in cases {
        assert_eq!(parse_frame(bytes).unwrap_err().to_string(), *reason);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        message: Vec<u8>,
        signer in prop::collection::vec(any::<u8>(), 0..SIGNER_BYTES_MAX),
        version: u32,
        is_signed: bool,
    ) {
        let digest = crate::signing::SigningKey::new(b"key").unwrap().sign(HashFunction::Sha1, &message);
        let signature = FrameSignature::new(&signer, version, &digest);
        let mut bytes = Vec::new();
        write_frame(&message, is_signed.then_some(&signature), &mut bytes);
        let parsed = parse_frame(&bytes).unwrap();
        prop_assert_eq!((parsed.message, parsed.len), (&message[..], bytes.len()));
        prop_assert_eq!(parsed.header.signature, is_signed.then_some(signature));
    }

    #[test]
    fn any_bytes_are_survived(header in prop::collection::vec(any::<u8>(), 0..256), rest: Vec<u8>) {
        let _ = parse_frame(&rest);
        let _ = parse_frame(&frame(&header, &rest));
    }
}

proptest! {
    #[test]
    fn the_short_way_reads_what_the_long_way_does(
        header in proptest::collection::vec(any::<u8>(), 0..8),
        message in proptest::collection::vec(any::<u8>(), 0..300),
        tagged in any::<bool>(),
    ) {
        let length = message.len();
        let own = if length < 128 { vec![0x08, length as u8] } else { vec![0x08, length as u8 | 0x80, (length >> 7) as u8] };
        let bytes = frame(if tagged { &own } else { &header }, &message);
        prop_assert!(!tagged || plain_message(&bytes).is_some());
        if let Some(message) = plain_message(&bytes) {
            let header = FrameHeader { message_length: message.len() as u32, ..FrameHeader::default() };
            prop_assert_eq!(parse_frame(&bytes), Ok(Frame { header, message, len: bytes.len() }));
        }
    }
}
