//! Tells what has stopped and what is back, at most so many at a time.

use crate::watch::Change;
use heka_plugin_api::{Context, PluginError, now};

/// Type of the messages.
const MESSAGE_TYPE: &str = "heka.heartbeat";
/// Severity of the news that something is back: notice.
const SEVERITY_BACK: i32 = 5;

/// Emits the messages.
pub struct Alerts {
    /// The option `by`, if there is one.
    pub by: Option<String>,
    /// Severity of the news that something has stopped.
    pub severity: i32,
    /// How many keys are named between two ticks.
    pub named_max: u32,
    named: u32,
    /// Keys that were not named since the last tick: stopped, and back.
    unnamed: [u64; 2],
}

impl Alerts {
    pub fn new(by: Option<String>, severity: i32, named_max: u32) -> Alerts {
        Alerts { by, severity, named_max, named: 0, unnamed: [0; 2] }
    }

    /// Tells about a key.
    pub fn tell(&mut self, key: &[u8], change: &Change, context: &mut Context) -> Result<(), PluginError> {
        if self.named >= self.named_max {
            self.unnamed[usize::from(change.is_back)] += 1;
            return Ok(());
        }
        self.named += 1;
        let seconds = change.silent_ns as f64 / 1e9;
        let mut payload = self.by.as_deref().unwrap_or("messages").as_bytes().to_vec();
        if self.by.is_some() {
            payload.push(b' ');
            payload.extend_from_slice(key);
        }
        let what = if change.is_back { "came again after" } else { "nothing came for" };
        payload.extend_from_slice(format!(": {what} {seconds:.1} s").as_bytes());
        let last_seen = now().saturating_sub(i64::try_from(change.silent_ns).unwrap_or(i64::MAX));
        context.emit(|message| {
            message.message_type(MESSAGE_TYPE).payload(&payload).severity(self.severity_of(change.is_back));
            message.field("state", state(change.is_back)).field_as("silent", "s", seconds);
            message.field("alerts", change.alerts);
            if change.was_seen {
                message.field_as("last_seen", "ns", last_seen);
            }
            if let Some(by) = &self.by {
                message.field("by", by).field("key", key);
            }
        })
    }

    /// Tells how many were not named since the last call.
    pub fn tell_rest(&mut self, context: &mut Context) -> Result<(), PluginError> {
        self.named = 0;
        let mut result = Ok(());
        for (is_back, count) in [false, true].into_iter().zip(std::mem::take(&mut self.unnamed)) {
            if count == 0 {
                continue;
            }
            let by = self.by.as_deref().unwrap_or("messages");
            let what = if is_back { "came again" } else { "have stopped" };
            let told = context.emit(|message| {
                message.message_type(MESSAGE_TYPE).severity(self.severity_of(is_back));
                message.payload(format!("{by}: {count} more {what}"));
                message.field("state", state(is_back)).field("overflow", true);
                message.field("count", i64::try_from(count).unwrap_or(i64::MAX)).field("by", by);
            });
            result = result.and(told);
        }
        result
    }

    fn severity_of(&self, is_back: bool) -> i32 {
        if is_back { SEVERITY_BACK } else { self.severity }
    }
}

fn state(is_back: bool) -> &'static str {
    if is_back { "back" } else { "stopped" }
}
