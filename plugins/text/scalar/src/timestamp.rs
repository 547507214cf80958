//! Times as logs write them, read into and written from nanoseconds since 1970-01-01 UTC.

mod civil;
mod clf;
mod reader;
mod syslog;
mod usual;
mod writer;
mod zone;

pub use clf::ClfReader;
pub use reader::{TimeReader, epoch, rfc3339};
pub use syslog::{SyslogTime, SyslogTimeReader};
pub use writer::TimeWriter;
pub use zone::Zone;

/// Nanoseconds of a second.
pub const SECOND_NS: i64 = 1_000_000_000;
