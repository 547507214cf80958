//! What the input counts.

use heka_plugin_api::{Context, Counter};

/// What the input counts.
pub struct Counters {
    pub datagrams: Counter,
    pub bytes: Counter,
    pub truncated: Counter,
    pub kernel_drops: Counter,
    pub connections: Counter,
    pub connections_refused: Counter,
    pub metrics: Counter,
    pub malformed: Counter,
    pub events: Counter,
    pub names: Counter,
    pub names_refused: Counter,
    pub members_refused: Counter,
    pub flushes: Counter,
    pub too_large: Counter,
}

impl Counters {
    pub fn new(context: &mut Context) -> Counters {
        let mut counter = |name| context.counter(name);
        Counters {
            datagrams: counter("datagrams"),
            bytes: counter("bytes"),
            truncated: counter("truncated"),
            kernel_drops: counter("kernel_drops"),
            connections: counter("connections"),
            connections_refused: counter("connections_refused"),
            metrics: counter("metrics"),
            malformed: counter("malformed"),
            events: counter("events"),
            names: counter("names"),
            names_refused: counter("names_refused"),
            members_refused: counter("members_refused"),
            flushes: counter("flushes"),
            too_large: counter("too_large"),
        }
    }
}
