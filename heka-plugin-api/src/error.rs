//! What a plugin answers when something went wrong: each kind tells the host what to do.

use crate::abi::status;
use std::fmt;
use std::time::Duration;

/// A failure of a plugin; its kind decides what the host does.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PluginError {
    /// The configuration is wrong: the host refuses to start.
    Config(String),
    /// The message or frame at hand failed: the host counts it, dead-letters it and goes on.
    Message(String),
    /// What is left of the batch could not be handled now: the host calls again, later and with back-off.
    Retry {
        /// Why, and of what.
        reason: String,
        /// Not before this time has passed; `None` leaves it to the host's back-off.
        after: Option<Duration>,
    },
    /// The instance can't go on: the host stops it.
    Fatal(String),
}

impl PluginError {
    /// Makes a `Config` failure.
    pub fn config(reason: impl Into<String>) -> PluginError {
        PluginError::Config(reason.into())
    }

    /// Makes a `Message` failure.
    pub fn message(reason: impl Into<String>) -> PluginError {
        PluginError::Message(reason.into())
    }

    /// Makes a `Retry` failure that leaves the delay to the host.
    pub fn retry(reason: impl Into<String>) -> PluginError {
        PluginError::Retry { reason: reason.into(), after: None }
    }

    /// Makes a `Fatal` failure.
    pub fn fatal(reason: impl Into<String>) -> PluginError {
        PluginError::Fatal(reason.into())
    }

    /// Returns the text.
    pub fn reason(&self) -> &str {
        match self {
            PluginError::Config(reason)
            | PluginError::Message(reason)
            | PluginError::Retry { reason, .. }
            | PluginError::Fatal(reason) => reason,
        }
    }

    pub(crate) fn status(&self) -> i32 {
        match self {
            PluginError::Config(_) => status::CONFIG,
            PluginError::Message(_) => status::MESSAGE,
            PluginError::Retry { .. } => status::RETRY,
            PluginError::Fatal(_) => status::FATAL,
        }
    }

    pub(crate) fn retry_after(&self) -> Duration {
        if let PluginError::Retry { after: Some(after), .. } = self { *after } else { Duration::ZERO }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for PluginError {}
