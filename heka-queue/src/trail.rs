//! The headers of the last blocks that were appended, so that who follows closely need not read them back.

use crate::header::BlockHeader;
use std::collections::VecDeque;

/// How many are kept.
const TRAIL_LEN: usize = 1024;

/// The last blocks of the tail segment.
#[derive(Default)]
pub(crate) struct Trail {
    segment: u64,
    headers: VecDeque<BlockHeader>,
}

impl Trail {
    pub(crate) fn push(&mut self, segment: u64, header: BlockHeader) {
        if self.segment != segment {
            self.headers.clear();
            self.segment = segment;
        } else if self.headers.len() == TRAIL_LEN {
            self.headers.pop_front();
        }
        self.headers.push_back(header);
    }

    pub(crate) fn clear(&mut self) {
        self.headers.clear();
    }

    /// Returns the block at an offset.
    pub(crate) fn at(&self, segment: u64, offset: u64) -> Option<BlockHeader> {
        let header = self.headers.get(self.headers.partition_point(|header| header.offset < offset))?;
        (self.segment == segment && header.offset == offset).then_some(*header)
    }

    /// Returns where the first block with a message that is not below `sequence` begins.
    pub(crate) fn offset_of(&self, segment: u64, sequence: u64) -> Option<u64> {
        let index = self.headers.partition_point(|header| header.last < sequence);
        let is_known = self.segment == segment && index > 0;
        is_known.then(|| self.headers.get(index)).flatten().map(|header| header.offset)
    }
}
