//! Makes frames of messages.

use crate::protocol::{
    BATCH_PREFIX_BYTES, BatchHeader, Codec, FrameKind, Packer, Range, SourceId, push_frame_parts,
};
use heka_plugin_api::{Delivery, Message};
use serde_bytes::ByteArray;

/// A frame is closed once its body has so many bytes.
const BODY_BYTES: usize = 1 << 20;
/// Memory that is kept from one batch to the next.
const KEPT_BYTES: usize = 4 << 20;

/// Makes frames, in memory that is used again.
pub struct Batching {
    packer: Packer,
    body: Vec<u8>,
    frames: Vec<u8>,
}

/// What all frames of a batch have in common.
#[derive(Clone, Copy)]
pub struct Batch {
    pub source: SourceId,
    pub settled: u64,
    pub ordered: bool,
    /// The largest body.
    pub bytes_max: usize,
}

/// What was made.
#[derive(Clone, Copy, Default)]
pub struct Made {
    pub frames: u64,
    pub messages: u64,
    pub bytes: u64,
    pub bytes_uncompressed: u64,
}

/// Returns how many bytes a message takes in a body.
pub fn body_bytes(message: &Message<'_>) -> usize {
    BATCH_PREFIX_BYTES + message.record_room()
}

impl Batching {
    pub fn new(codec: Codec) -> std::io::Result<Batching> {
        Ok(Batching { packer: Packer::new(codec)?, body: Vec::new(), frames: Vec::new() })
    }

    /// Makes frames of those messages whose numbers are in `to_send`; none is larger than `bytes_max` in itself.
    pub fn make(
        &mut self,
        batch: Batch,
        delivery: &Delivery<'_>,
        numbers: &[u64],
        to_send: &[Range],
    ) -> Result<(&[u8], Made), String> {
        self.shrink();
        let (mut made, mut left) = (Made::default(), to_send);
        let (mut count, mut first, mut last) = (0, 0, 0);
        for (((message, _), chain), &number) in delivery.messages().zip(delivery.chains()).zip(numbers) {
            let Some(&run) = left.first() else { break };
            if number < run.0 {
                continue;
            }
            let bytes = self.body.len() + body_bytes(&message);
            if count > 0 && (bytes > batch.bytes_max || self.body.len() >= BODY_BYTES) {
                self.close(batch, (first, last), count, &mut made)?;
                count = 0;
            }
            if count == 0 {
                first = number;
            }
            self.push(number, chain, &message);
            (count, last) = (count + 1, number);
            if number == run.1 {
                // A frame holds one range, so that an acknowledgement of it covers nothing else.
                self.close(batch, (first, last), count, &mut made)?;
                (count, left) = (0, &left[1..]);
            }
        }
        Ok((&self.frames, made))
    }

    fn push(&mut self, number: u64, chain: u64, message: &Message<'_>) {
        let record = message.record_bytes();
        let padding = record.len().wrapping_neg() % 8;
        self.body.extend_from_slice(&number.to_le_bytes());
        self.body.extend_from_slice(&chain.to_le_bytes());
        self.body.extend_from_slice(record);
        self.body.extend_from_slice(&[0; 8][..padding]);
    }

    /// Ends a frame.
    fn close(
        &mut self,
        batch: Batch,
        (first, last): Range,
        count: u32,
        made: &mut Made,
    ) -> Result<(), String> {
        let uncompressed = self.body.len();
        let (codec, body) = self.packer.pack(&self.body);
        let header = BatchHeader {
            source: ByteArray::new(batch.source),
            first,
            last,
            count,
            codec: codec.number(),
            uncompressed: uncompressed as u32,
            crc: crc32c::crc32c(body),
            settled: batch.settled,
            ordered: batch.ordered,
        };
        push_frame_parts(&mut self.frames, FrameKind::Batch, &header, body)
            .map_err(|fault| fault.to_string())?;
        made.frames += 1;
        made.messages += u64::from(count);
        made.bytes += body.len() as u64;
        made.bytes_uncompressed += uncompressed as u64;
        self.body.clear();
        Ok(())
    }

    fn shrink(&mut self) {
        for bytes in [&mut self.body, &mut self.frames] {
            bytes.clear();
            if bytes.capacity() > KEPT_BYTES {
                *bytes = Vec::new();
            }
        }
    }
}
