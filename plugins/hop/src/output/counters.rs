//! What the output counts.

use heka_plugin_api::{Context, Counter};

/// What the output counts.
#[derive(Clone, Copy)]
pub struct Counters {
    /// Connections made.
    pub connects: Counter,
    /// Connections made after an earlier one.
    pub reconnects: Counter,
    /// Batches sent.
    pub frames: Counter,
    /// Messages sent, again or not.
    pub messages: Counter,
    /// Bytes of bodies as they were sent.
    pub bytes: Counter,
    /// Bytes of bodies before compression.
    pub bytes_uncompressed: Counter,
    /// Messages that were given again and not sent, because the grater has them.
    pub duplicates: Counter,
    /// Messages that graters refused for good.
    pub refused: Counter,
    /// Messages that graters acknowledged.
    pub acknowledged: Counter,
}

impl Counters {
    /// Finds the counters of an instance.
    pub fn new(context: &mut Context) -> Counters {
        Counters {
            connects: context.counter("connects"),
            reconnects: context.counter("reconnects"),
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
