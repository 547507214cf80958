//! The segments of a queue, as far as they are kept in memory.

use crate::format::segment_name;
use crate::scan::Summary;
use crate::storage::Storage;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// One segment.
pub(crate) struct Segment<F> {
    /// Number that names it.
    pub(crate) first: u64,
    /// Bytes that count: what lies behind is none of ours.
    pub(crate) len: u64,
    /// Messages in it.
    pub(crate) messages: u64,
    /// Number of its last message; 0 for none.
    pub(crate) last: u64,
    /// Bytes that are durable.
    pub(crate) synced: u64,
    pub(crate) is_name_synced: bool,
    file: Option<Arc<F>>,
}

impl<F> Segment<F> {
    /// Makes a segment that is there already, perhaps in the page cache only.
    pub(crate) fn found(summary: Summary) -> Segment<F> {
        let Summary { first, len, messages, last } = summary;
        Segment { first, len, messages, last, synced: 0, is_name_synced: false, file: None }
    }

    /// Makes one that was just begun.
    pub(crate) fn begun(first: u64, len: u64, file: F) -> Segment<F> {
        let file = Some(Arc::new(file));
        Segment { first, len, messages: 0, last: 0, synced: 0, is_name_synced: false, file }
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary { first: self.first, len: self.len, messages: self.messages, last: self.last }
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.synced >= self.len && self.is_name_synced
    }

    pub(crate) fn name(&self) -> String {
        segment_name(self.first)
    }
}

/// All segments, oldest first.
pub(crate) struct Segments<F> {
    list: VecDeque<Segment<F>>,
    bytes: u64,
    messages: u64,
}

impl<F> Segments<F> {
    pub(crate) fn new() -> Segments<F> {
        Segments { list: VecDeque::new(), bytes: 0, messages: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the bytes of all.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the messages in all.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Segment<F>> {
        self.list.get(index)
    }

    pub(crate) fn front(&self) -> Option<&Segment<F>> {
        self.list.front()
    }

    pub(crate) fn tail(&self) -> Option<&Segment<F>> {
        self.list.back()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Segment<F>> {
        self.list.iter()
    }

    /// Returns the index of the segment with this name, or of the next one.
    pub(crate) fn index_from(&self, first: u64) -> usize {
        self.list.partition_point(|segment| segment.first < first)
    }

    pub(crate) fn insert(&mut self, index: usize, segment: Segment<F>) {
        self.bytes += segment.len;
        self.messages += segment.messages;
        self.list.insert(index, segment);
    }

    pub(crate) fn push(&mut self, segment: Segment<F>) {
        self.insert(self.list.len(), segment);
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<Segment<F>> {
        let segment = self.list.remove(index)?;
        self.bytes -= segment.len;
        self.messages -= segment.messages;
        Some(segment)
    }

    /// Changes a segment, and the sums with it.
    pub(crate) fn change(&mut self, index: usize, change: impl FnOnce(&mut Segment<F>)) {
        if let Some(segment) = self.list.get_mut(index) {
            let (len, messages) = (segment.len, segment.messages);
            change(segment);
            self.bytes = self.bytes - len + segment.len;
            self.messages = self.messages - messages + segment.messages;
        }
    }

    /// Returns a segment's file, open.
    pub(crate) fn file<S: Storage<File = F>>(&mut self, index: usize, storage: &S) -> io::Result<Arc<F>> {
        let segment = self.list.get_mut(index).ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        if let Some(file) = &segment.file {
            return Ok(file.clone());
        }
        let file = Arc::new(storage.open(&segment.name())?);
        segment.file = Some(file.clone());
        Ok(file)
    }

    /// Closes a segment's file until it is asked for again.
    pub(crate) fn close(&mut self, index: usize) {
        if let Some(segment) = self.list.get_mut(index) {
            segment.file = None;
        }
    }
}
