//! Limits of a queue.

/// Smallest [`QueueOptions::bytes_max`], in bytes.
pub const BYTES_MIN: u64 = 1 << 20;
/// Default of [`QueueOptions::free_bytes_min`], in bytes.
pub const FREE_BYTES_MIN: u64 = 64 << 20;
/// Smallest and largest segment, in bytes, where its size is not said.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 256 << 10..=64 << 20;

/// Limits of a queue, all in one place.
#[derive(Clone, Debug)]
pub struct QueueOptions {
    /// Most bytes that the segments may have in all; at least [`BYTES_MIN`].
    pub bytes_max: u64,
    /// Most messages that may wait; `None` for no limit.
    pub messages_max: Option<u64>,
    /// Bytes of the file system that stay free; at most 5 % of the file system are kept so.
    pub free_bytes_min: u64,
    /// Size from which on a new segment is begun, in bytes.
    pub segment_bytes: u64,
    /// Whether a segment is synced before the next one is begun.
    ///
    /// Needed where a producer is answered only after [`sync`](crate::DiskQueue::sync): otherwise a power failure could
    /// keep the later segment alone, whose stream table then suppresses what the producer gives again. Where the
    /// producer is answered after [`append`](crate::DiskQueue::append), `false` spares the waiting.
    pub roll_syncs: bool,
}

impl QueueOptions {
    /// Makes the options of a queue of at most `bytes_max` bytes, less than [`BYTES_MIN`] counting as that; all else is
    /// at its default.
    pub fn new(bytes_max: u64) -> QueueOptions {
        let bytes_max = bytes_max.max(BYTES_MIN);
        QueueOptions {
            bytes_max,
            messages_max: None,
            free_bytes_min: FREE_BYTES_MIN,
            segment_bytes: (bytes_max / 8).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end()),
            roll_syncs: true,
        }
    }
}
