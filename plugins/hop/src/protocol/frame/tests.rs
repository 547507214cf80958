use super::*;
use crate::protocol::Rejected;
use proptest::prelude::*;

const LIMITS: Limits = Limits { header_bytes_max: 1_000, body_bytes_max: 1_000 };

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_frame_parts(&mut bytes, FrameKind::Batch, &(1, "two"), body).unwrap();
    bytes
}

#[test]
fn a_frame_is_found_once_it_is_whole() {
    let bytes = frame(b"the body");
    for len in 0..bytes.len() {
        assert_eq!(next_frame(&bytes[..len], LIMITS), Ok(None), "{len} bytes");
    }
    let found = next_frame(&bytes, LIMITS).unwrap().unwrap();
    assert_eq!((found.kind, found.body, found.len()), (FrameKind::Batch, &b"the body"[..], bytes.len()));
    assert_eq!(found.parse::<(i32, String)>(), Ok((1, "two".to_owned())));
    assert_eq!(found.parse::<Rejected>(), Err(Fault::Header(FrameKind::Batch)));
}

#[test]
fn every_flipped_bit_of_head_and_header_is_seen() {
    let bytes = frame(b"the body");
    let checked = bytes.len() - b"the body".len();
    for bit in 0..checked * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // A changed length may ask for more bytes than there are: then more are waited for, up to the limits.
        let found = next_frame(&flipped, LIMITS);
        assert!(matches!(found, Err(_) | Ok(None)), "bit {bit}: {found:?}");
        flipped.resize(4_000, 0);
        assert!(next_frame(&flipped, LIMITS).is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_no_frame_is_told_apart() {
    let check = |bytes: &[u8], why: &str| {
        assert_eq!(next_frame(bytes, LIMITS).unwrap_err().to_string(), why);
    };
    check(b"GET / HTTP/1.1", "it doesn't speak the hop's protocol");
    check(b"G", "it doesn't speak the hop's protocol");
    let tls = "it speaks TLS, this side doesn't: set `tls` on both sides or on none";
    check(&[0x16, 3, 1, 2], tls);
    check(&[0x15, 3, 3, 0, 2], tls);
    let mut huge = frame(b"");
    huge[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    check(&huge[..16], "it sent a frame of 4294967317 bytes, at most 2016 are taken");
    let mut unknown = frame(b"");
    unknown[4] = 77;
    let (head, header) = unknown.split_first_chunk::<HEAD_BYTES>().unwrap();
    let sum = checksum(head, header);
    unknown[12..16].copy_from_slice(&sum.to_le_bytes());
    check(&unknown, "it sent a frame of the unknown kind 77");
}

#[test]
fn a_header_that_is_too_long_is_not_written() {
    let mut bytes = vec![7];
    let rejected = Rejected { reason: "x".repeat(70_000) };
    assert!(push_frame(&mut bytes, FrameKind::Rejected, &rejected).is_err());
    assert_eq!(bytes, [7]);
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic {
            bytes.splice(0..0, MAGIC);
        }
        if let Ok(Some(frame)) = next_frame(&bytes, LIMITS) {
            prop_assert!(frame.len() <= bytes.len());
            let _ = frame.parse::<crate::protocol::BatchHeader>();
            let _ = frame.parse::<crate::protocol::AgentHello>();
        }
    }

    #[test]
    fn frames_are_read_as_written(body in prop::collection::vec(any::<u8>(), 0..300), reason in ".{0,40}") {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameKind::Rejected, &Rejected { reason: reason.clone() }).unwrap();
        let first = bytes.len();
        push_frame_parts(&mut bytes, FrameKind::Batch, &(), &body).unwrap();
        let found = next_frame(&bytes, LIMITS).unwrap().unwrap();
        prop_assert_eq!(found.parse::<Rejected>().unwrap().reason, reason);
        let found = next_frame(&bytes[first..], LIMITS).unwrap().unwrap();
        prop_assert_eq!(found.body, &body[..]);
    }
}
