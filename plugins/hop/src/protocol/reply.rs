//! What a grater answers to batches, and how either side ends a connection.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

/// Sequences from the first to the last, both included.
pub type Range = (u64, u64);

/// Sequences of a source are done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The source.
    pub source: ByteArray<16>,
    /// At least one range.
    pub ranges: Vec<Range>,
}

/// One message is refused for good: sending it again would change nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The source.
    pub source: ByteArray<16>,
    /// The message's sequence.
    pub sequence: u64,
    /// Why.
    pub reason: String,
}

/// The connection ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rejected {
    /// Why, as the other side's log shall say it.
    pub reason: String,
}
