//! What is wrong with a plugin file, a plugin directory or a plugin's name.

use std::fmt;
use std::path::Path;

/// Says in one line what is wrong with a plugin file, a plugin directory or the name of a plugin.
///
/// Prints as ``plugin file `libheka_x.so`: why; what to do``; one about a name has no such beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginProblem {
    subject: Option<String>,
    reason: String,
}

impl PluginProblem {
    pub(super) fn of_file(path: &Path, reason: impl Into<String>) -> Self {
        let subject = Some(format!("plugin file `{}`", file_name(path)));
        PluginProblem { subject, reason: reason.into() }
    }

    pub(super) fn of_static(reason: impl Into<String>) -> Self {
        PluginProblem { subject: Some("static plugin".to_owned()), reason: reason.into() }
    }

    pub(super) fn of_directory(path: &Path, reason: impl Into<String>) -> Self {
        PluginProblem {
            subject: Some(format!("plugin directory `{}`", path.display())),
            reason: reason.into(),
        }
    }

    pub(super) fn of_name(reason: impl Into<String>) -> Self {
        PluginProblem { subject: None, reason: reason.into() }
    }

    /// Says why, and what to do, without naming the file or directory.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for PluginProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PluginProblem {}

/// The last part of a path, as lines about a plugin file name it.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
