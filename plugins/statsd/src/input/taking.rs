//! Takes what packets hold: metrics into the accumulator, events to the host.

use crate::accumulator::Accumulator;
use crate::event::write_event;
use crate::line::LineSink;
use crate::metric::{Kind, Value};
use heka_plugin_api::Reader;
use heka_socket::Notice;

/// What a log line shows of a line that is malformed, in bytes.
const SHOWN_BYTES: usize = 100;

/// Lines that were no metrics, and when the last one was shown.
#[derive(Default)]
pub struct Malformed {
    pub count: u64,
    unshown: u64,
    notice: Notice,
}

/// Takes what packets hold.
pub struct Taking<'a, 'r> {
    pub accumulator: &'a mut Accumulator,
    pub malformed: &'a mut Malformed,
    pub events: u64,
    pub reader: &'a mut Reader<'r>,
    pub instance: &'a str,
}

impl LineSink for Taking<'_, '_> {
    fn metric(&mut self, name: &[u8], tags: &[u8], value: Value<'_>) {
        self.accumulator.add(name, tags, value);
    }

    #[inline(always)]
    fn integer(&mut self, name: &[u8], kind: Kind, value: i64) {
        self.accumulator.add_integer(name, kind, value);
    }

    fn notice(&mut self, line: &[u8]) {
        let mut messages = self.reader.messages();
        let mut message = messages.message();
        let too_large = |_| "it is too large for a message";
        match write_event(line, &mut message).and_then(|()| message.finish().map_err(too_large)) {
            Ok(()) => self.events += 1,
            Err(reason) => self.malformed(line, reason),
        }
    }

    #[cold]
    fn malformed(&mut self, line: &[u8], reason: &'static str) {
        let (malformed, instance) = (&mut *self.malformed, self.instance);
        malformed.count += 1;
        malformed.unshown += 1;
        if malformed.notice.is_due() {
            let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
            let count = std::mem::take(&mut malformed.unshown);
            log::warn!(
                "input `{instance}`: {count} malformed since the last such line; the latest `{}`: {reason}",
                shown.escape_debug()
            );
        }
    }
}
