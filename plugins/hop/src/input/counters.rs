//! What the input counts.

use heka_plugin_api::{Context, Counter};

/// What the input counts.
pub struct Counters {
    /// Connections that are open.
    pub connections: Counter,
    /// Connections that got as far as sending.
    pub accepted: Counter,
    /// Connections that were ended for a fault of the peer, or for want of room.
    pub rejected: Counter,
    /// Batches taken.
    pub frames: Counter,
    /// Messages handed on.
    pub messages: Counter,
    /// Bytes of bodies as they came.
    pub bytes: Counter,
    /// Bytes of bodies after decompression.
    pub bytes_uncompressed: Counter,
    /// Messages that came again and were not handed on.
    pub duplicates: Counter,
    /// Messages that were refused for good.
    pub refused: Counter,
    /// Messages acknowledged to agents that were connected.
    pub acknowledged: Counter,
}

impl Counters {
    /// Finds the counters of an instance.
    pub fn new(context: &mut Context) -> Counters {
        Counters {
            connections: context.counter("connections"),
            accepted: context.counter("accepted"),
            rejected: context.counter("rejected"),
            frames: context.counter("frames"),
            messages: context.counter("messages"),
            bytes: context.counter("bytes"),
            bytes_uncompressed: context.counter("bytes_uncompressed"),
            duplicates: context.counter("duplicates"),
            refused: context.counter("refused"),
            acknowledged: context.counter("acknowledged"),
        }
    }
}
