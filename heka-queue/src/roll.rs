//! Beginning a segment.

use crate::error::QueueError;
use crate::format::segment_name;
use crate::header::{BlockHeader, BlockKind, HEADER_BYTES};
use crate::queue::DiskQueue;
use crate::scan::{HEAD_BYTES, SegmentHead, Summary};
use crate::segment::Segment;
use crate::storage::{Storage, write_all_at};
use crate::streams::{STREAM_BYTES, Streams};
use heka_plugin_api::fault_point;
use std::io;

/// Returns a head block for a segment.
pub(crate) fn head_block(head: &SegmentHead, first: u64, streams: Option<&mut Streams>) -> Vec<u8> {
    let mut block = vec![0; HEADER_BYTES as usize];
    block.extend_from_slice(&head.encode());
    if let Some(streams) = streams {
        streams.encode(&mut block);
    }
    let body = &block[HEADER_BYTES as usize..];
    let header = BlockHeader {
        kind: BlockKind::Head,
        body_bytes: body.len() as u64,
        body_crc: crc32c::crc32c(body),
        count: ((body.len() - HEAD_BYTES) / STREAM_BYTES) as u32,
        first,
        last: first,
        offset: 0,
        salt: head.salt,
    };
    crate::format::put(&mut block, 0, &header.encode());
    block
}

impl<S: Storage> DiskQueue<S> {
    /// Tells whether a segment must be begun before `bytes` are appended.
    pub(crate) fn must_roll(&self, bytes: u64) -> bool {
        let fits =
            |tail: &Segment<S::File>| tail.messages == 0 || tail.len + bytes <= self.options.segment_bytes;
        self.is_tail_closed || !self.segments.tail().is_some_and(fits)
    }

    /// Returns the length of the head that a new segment would have.
    pub(crate) fn head_bytes(&self) -> u64 {
        HEADER_BYTES + (HEAD_BYTES + self.streams.len() * STREAM_BYTES) as u64
    }

    /// Begins a segment for messages from number `first` on.
    pub(crate) fn roll(&mut self, first: u64) -> Result<(), QueueError> {
        let is_needed = self.options.roll_syncs && self.messages() > 0;
        if is_needed {
            // What the new segment's head knows must not outlive what it stands for.
            self.sync()?;
        }
        // A tail without messages has the name that the new one needs.
        self.remove_empty_tail(first)?;
        let name = segment_name(first);
        let begun = self.begin_segment(first, &name);
        let segment = begun.map_err(|error| {
            self.room.forget();
            self.failed("begin", &name, &error)
        })?;
        self.room.wrote(segment.len);
        self.segments.push(segment);
        self.is_tail_closed = false;
        self.trail.clear();
        fault_point("queue.roll.done");
        self.remove_done_segments();
        Ok(())
    }

    fn begin_segment(&mut self, first: u64, name: &str) -> io::Result<Segment<S::File>> {
        let before = self.segments.tail().map_or(Summary::default(), Segment::summary);
        let head = SegmentHead { id: self.identity.id, salt: self.identity.salt, before };
        let block = head_block(&head, first, Some(&mut self.streams));
        let file = self.storage.create(name)?;
        fault_point("queue.roll.created");
        if let Err(error) = write_all_at(&file, &block, 0) {
            // One that stays is empty or torn, and goes at the next opening.
            let _ = self.storage.remove(name);
            return Err(error);
        }
        fault_point("queue.snapshot.written");
        Ok(Segment::begun(first, block.len() as u64, file))
    }

    fn remove_empty_tail(&mut self, first: u64) -> Result<(), QueueError> {
        let name = segment_name(first);
        if let Some(tail) = self.segments.tail().filter(|tail| tail.first >= first).map(|tail| tail.first) {
            self.segments.remove(self.segments.len() - 1);
            self.leave(tail);
        }
        match self.storage.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("remove", &name, &error))
            }
            _ => Ok(()),
        }
    }
}
