//! How a run ended, and the message that says so.

use crate::config::ReportOf;
use heka_plugin_api::{PluginError, Reader, Value};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// Severities of syslog: informational, and warning.
const INFORMATIONAL: i32 = 6;
const WARNING: i32 = 4;

/// How a run ended.
#[derive(Debug, Default)]
pub struct Exit {
    /// What was run, for people.
    pub command: String,
    /// The leader's.
    pub pid: Option<u32>,
    /// Of each program.
    pub statuses: Vec<ExitStatus>,
    pub duration: Duration,
    /// Whether it took longer than it may.
    pub timed_out: bool,
    /// Whether the host asked it to end because it stops.
    pub stopped: bool,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    pub dropped_bytes: u64,
    /// Why it could not be started.
    pub failure: Option<String>,
}

impl Exit {
    /// Tells whether all programs did what they should.
    pub fn is_success(&self) -> bool {
        self.failure.is_none() && !self.timed_out && self.statuses.iter().all(ExitStatus::success)
    }

    /// Says in a line how it ended.
    pub fn text(&self) -> String {
        let (command, seconds) = (&self.command, self.duration.as_secs_f64());
        if let Some(why) = &self.failure {
            return format!("`{command}`: {why}");
        }
        let how = match (self.timed_out, self.statuses.last()) {
            (true, _) => "took longer than `timeout` and was ended".to_owned(),
            (_, Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("ended with status {code}"),
                (_, Some(signal)) => format!("was ended by signal {signal}"),
                _ => "ended".to_owned(),
            },
            _ => "ended".to_owned(),
        };
        format!("`{command}` {how} after {seconds:.3} s")
    }

    /// Writes the message, if one is wanted of such a run.
    ///
    /// # Errors
    /// If it is larger than the host allows.
    pub fn report(&self, wanted: ReportOf, reader: &mut Reader<'_>) -> Result<(), PluginError> {
        let is_wanted = match wanted {
            ReportOf::Always => true,
            ReportOf::Failures => !self.is_success() && !self.stopped,
            ReportOf::Never => false,
        };
        if !is_wanted {
            return Ok(());
        }
        let mut messages = reader.messages();
        let mut message = messages.message();
        message.message_type("process.exit").payload(self.text()).field("command", &*self.command);
        message.severity(if self.is_success() || self.stopped { INFORMATIONAL } else { WARNING });
        if let Some(pid) = self.pid.and_then(|pid| i32::try_from(pid).ok()) {
            message.pid(pid).field("pid", i64::from(pid));
        }
        if let Some(status) = self.statuses.last() {
            status.code().into_iter().for_each(|code| _ = message.field("status", i64::from(code)));
            status.signal().into_iter().for_each(|signal| _ = message.field("signal", i64::from(signal)));
        }
        if self.statuses.len() > 1 {
            let statuses = self.statuses.iter().map(|status| Value::Integer(shell_status(*status)));
            message.field_values("statuses", "", statuses);
        }
        message.field_as("duration", "s", self.duration.as_secs_f64()).field("timed_out", self.timed_out);
        for (name, bytes) in [("stdout_bytes", self.stdout_bytes), ("stderr_bytes", self.stderr_bytes)] {
            message.field_as(name, "B", i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        if self.dropped_bytes > 0 {
            message.field_as("dropped_bytes", "B", i64::try_from(self.dropped_bytes).unwrap_or(i64::MAX));
        }
        if let Some(why) = &self.failure {
            message.field("failure", why.as_str());
        }
        message.finish()
    }
}

/// The number that a shell shows: the status, or 128 and the signal.
fn shell_status(status: ExitStatus) -> i64 {
    let signal = || 128 + i64::from(status.signal().unwrap_or(0));
    status.code().map_or_else(signal, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_a_line() {
        let check = |exit: Exit, text: &str, is_success: bool| {
            let exit = Exit { command: "true x".to_owned(), duration: Duration::from_millis(1_500), ..exit };
            assert_eq!((exit.text().as_str(), exit.is_success()), (text, is_success));
        };
        let ended = |raw| Exit { statuses: vec![ExitStatus::from_raw(raw)], ..Exit::default() };
        check(ended(0), "`true x` ended with status 0 after 1.500 s", true);
        check(ended(3 << 8), "`true x` ended with status 3 after 1.500 s", false);
        check(ended(9), "`true x` was ended by signal 9 after 1.500 s", false);
        let slow = Exit { timed_out: true, ..ended(0) };
        check(slow, "`true x` took longer than `timeout` and was ended after 1.500 s", false);
        let failed = Exit { failure: Some("failed to run `true`: why".to_owned()), ..Exit::default() };
        check(failed, "`true x`: failed to run `true`: why", false);
        assert_eq!([0, 7 << 8, 15].map(|raw| shell_status(ExitStatus::from_raw(raw))), [0, 7, 143]);
    }
}
