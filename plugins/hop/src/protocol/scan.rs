//! Reads a whole conversation, for fuzzing and for looking at what was recorded.

use super::{
    Acknowledged, AgentHello, BatchHeader, Fault, Frame, FrameKind, GraterHello, Limits, Proof, Ready,
    Refused, Rejected, Unpacker, next_frame,
};
use serde::de::IgnoredAny;

/// Reads frames up to the first that is not whole; returns the count of messages in their batches.
///
/// Pure; allocates at most twice `limits.body_bytes_max` bytes, and what the headers hold.
///
/// # Errors
/// What is wrong with the first frame that is not right.
pub fn scan(bytes: &[u8], limits: Limits) -> Result<u64, String> {
    let (mut rest, mut messages, mut unpacker) = (bytes, 0, Unpacker::default());
    while !rest.is_empty() {
        let Some(frame) = next_frame(rest, limits).map_err(|fault| fault.to_string())? else { break };
        messages += check(frame, limits, &mut unpacker)?;
        rest = &rest[frame.len()..];
    }
    Ok(messages)
}

fn check(frame: Frame<'_>, limits: Limits, unpacker: &mut Unpacker) -> Result<u64, String> {
    let checked = match frame.kind {
        FrameKind::Hello => frame.parse::<AgentHello>().map(drop),
        FrameKind::Answer => frame.parse::<GraterHello>().map(drop),
        FrameKind::Proof => frame.parse::<Proof>().map(drop),
        FrameKind::Ready => frame.parse::<Ready>().map(drop),
        FrameKind::Acknowledged => frame.parse::<Acknowledged>().map(drop),
        FrameKind::Refused => frame.parse::<Refused>().map(drop),
        FrameKind::Rejected => frame.parse::<Rejected>().map(drop),
        FrameKind::Alive => frame.parse::<IgnoredAny>().map(drop),
        FrameKind::Batch => {
            let header: BatchHeader = frame.parse().map_err(|fault: Fault| fault.to_string())?;
            let body = unpacker.unpack(&header, frame.body, limits.body_bytes_max);
            return Ok(body.map_err(|why| why.to_string())?.messages().count() as u64);
        }
    };
    checked.map(|()| 0).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{HEAD_BYTES, push_frame, push_frame_parts};
    use heka_plugin_api::testing::message;
    use proptest::prelude::*;
    use serde_bytes::ByteArray;

    const LIMITS: Limits = Limits { header_bytes_max: 4096, body_bytes_max: 1 << 16 };

    fn conversation() -> Vec<u8> {
        let (mut body, mut bytes) = (vec![0; 16], Vec::new());
        body[0] = 1;
        body.extend_from_slice(message(|m| _ = m.payload("12345678")).view().record_bytes());
        let header = BatchHeader {
            source: ByteArray::new([1; 16]),
            first: 1,
            last: 1,
            count: 1,
            codec: 0,
            uncompressed: body.len() as u32,
            crc: crc32c::crc32c(&body),
            settled: 0,
            ordered: true,
        };
        push_frame(&mut bytes, FrameKind::Alive, &()).unwrap();
        push_frame_parts(&mut bytes, FrameKind::Batch, &header, &body).unwrap();
        push_frame(&mut bytes, FrameKind::Rejected, &Rejected { reason: "x".to_owned() }).unwrap();
        bytes
    }

    #[test]
    fn a_conversation_is_read_to_its_end() {
        assert_eq!(scan(&conversation(), LIMITS), Ok(1));
        assert_eq!(scan(&conversation()[..HEAD_BYTES], LIMITS), Ok(0));
    }

    proptest! {
        #[test]
        fn damage_is_never_worse_than_an_error(at in 0_usize..400, flip in 1_u8.., cut in 0_usize..400) {
            let mut bytes = conversation();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            bytes.truncate(cut.max(at + 1));
            let _ = scan(&bytes, LIMITS);
        }
    }
}
