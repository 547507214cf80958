//! Numbers with a meaning that both sides of the border know.

/// The kinds of plugins, as numbers in [`Plugin::kind`](super::Plugin::kind).
pub mod kind {
    /// Reads streams or makes messages.
    pub const INPUT: u32 = 1;
    /// Turns frames into messages.
    pub const DECODER: u32 = 2;
    /// Passes, changes, drops or emits messages.
    pub const FILTER: u32 = 3;
    /// Turns messages into bytes.
    pub const ENCODER: u32 = 4;
    /// Delivers messages.
    pub const OUTPUT: u32 = 5;
}

/// What a call answers. Negative ones are failures whose text was left with `Host::fail`.
pub mod status {
    /// Done.
    pub const OK: i32 = 0;
    /// An input had nothing to read within its time.
    pub const IDLE: i32 = 1;
    /// An input has reached its end for good.
    pub const END: i32 = 2;
    /// An output took the batch and will acknowledge its ticket later.
    pub const DEFERRED: i32 = 3;
    /// The configuration is wrong: the host refuses to start.
    pub const CONFIG: i32 = -1;
    /// One message failed: the host counts it and dead-letters it.
    pub const MESSAGE: i32 = -2;
    /// Call again later with what is left.
    pub const RETRY: i32 = -3;
    /// Stop this instance.
    pub const FATAL: i32 = -4;
    /// The plugin panicked; the instance must not be called again except for `destroy`.
    pub const PANIC: i32 = -5;
}

/// Bits of [`Host::flags`](super::Host::flags).
pub mod host_flag {
    /// The plugin is linked into the host's own program: the host's logger and panic hook are its own.
    pub const STATIC: u32 = 1;
}

/// Bits of [`Record::flags`](super::Record::flags).
pub mod record_flag {
    /// The frame was longer than its limit and was cut.
    pub const TRUNCATED: u16 = 1;
    /// The message is a dead letter.
    pub const DEAD_LETTER: u16 = 2;
    /// Messages of this origin don't come in the order of their positions: it tells nothing about duplicates.
    pub const UNORDERED: u16 = 4;
}

/// Value types of a field, as in Heka's protobuf.
pub mod value_type {
    /// Text, usually UTF-8.
    pub const STRING: u8 = 0;
    /// Bytes.
    pub const BYTES: u8 = 1;
    /// Signed 64-bit integer.
    pub const INTEGER: u8 = 2;
    /// IEEE 754 double.
    pub const DOUBLE: u8 = 3;
    /// 0 or 1.
    pub const BOOL: u8 = 4;
}
