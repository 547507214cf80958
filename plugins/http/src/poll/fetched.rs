//! What a fetch came to, and the message that says so.

use super::config::ReportOf;
use heka_plugin_api::{PluginError, Reader};
use std::time::Duration;

/// Severities of syslog: informational, and warning.
const INFORMATIONAL: i32 = 6;
const WARNING: i32 = 4;

/// What a fetch came to.
#[derive(Debug)]
pub struct Fetched {
    /// Which URL it was.
    pub index: usize,
    /// When it began, in nanoseconds since 1970-01-01 UTC.
    pub began: i64,
    pub duration: Duration,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    pub body: Vec<u8>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Fetched {
    /// Tells whether the server answered that all is well.
    pub fn is_success(&self) -> bool {
        self.failure.is_none() && self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Says in a line what came of it.
    pub fn text(&self, method: &str, url: &str) -> String {
        let seconds = self.duration.as_secs_f64();
        match (&self.failure, self.status) {
            (Some(why), _) => format!("failed to {method} `{url}`: {why}"),
            (None, Some(status)) => format!("{method} `{url}`: status {status} after {seconds:.3} s"),
            (None, None) => format!("{method} `{url}`: no answer after {seconds:.3} s"),
        }
    }

    /// Writes the message, if one is wanted of such a fetch.
    ///
    /// # Errors
    /// If it is larger than the host allows.
    pub fn report(
        &self,
        wanted: ReportOf,
        method: &str,
        url: &str,
        reader: &mut Reader<'_>,
    ) -> Result<(), PluginError> {
        let is_wanted = match wanted {
            ReportOf::Always => true,
            ReportOf::Failures => !self.is_success(),
            ReportOf::Never => false,
        };
        if !is_wanted {
            return Ok(());
        }
        let mut messages = reader.messages();
        let mut message = messages.message();
        message.message_type("http_poll").timestamp(self.began).payload(self.text(method, url));
        message.severity(if self.is_success() { INFORMATIONAL } else { WARNING });
        message.field("url", url).field("method", method);
        self.status.into_iter().for_each(|status| _ = message.field("status", i64::from(status)));
        message.field_as("duration", "s", self.duration.as_secs_f64());
        message.field_as("body_bytes", "B", self.body.len() as i64);
        if let Some(why) = &self.failure {
            message.field("failure", why.as_str());
        }
        message.finish()
    }
}
