//! Options of the `file` output.

use super::path_template::PathTemplate;
use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Appends messages to files, whole records only, and rotates the files.
#[derive(Clone, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// File to append to; may hold `%Y-%m-%d` and the like, and `{type}`, `{logger}`, `{hostname}`, `{severity}`, `{pid}`, `{Fields[name]}`.
    pub path: String,
    /// Directory that a path with placeholders can't leave; left out, what stands before the first of them.
    pub base_dir: Option<PathBuf>,
    /// Whether times in the path are local instead of UTC.
    #[serde(default)]
    #[schema(default = "false")]
    pub local_time: bool,
    /// Permissions of new files, in octal; the umask takes away from them.
    #[serde(default = "default_mode")]
    #[schema(default = "0644")]
    pub mode: String,
    /// Permissions of new directories, in octal; the umask takes away from them.
    #[serde(default = "default_directory_mode")]
    #[schema(default = "0755")]
    pub directory_mode: String,
    /// Size at which a file is rotated; left out, size does not matter.
    #[schema(unit = "bytes")]
    pub rotate_bytes: Option<ByteSize>,
    /// Time after which a file is rotated, counted in whole intervals since 1970 in UTC; left out, never.
    #[schema(unit = "s")]
    pub rotate_interval: Option<Interval>,
    /// How many rotated files to keep of each path; 0 keeps all.
    #[serde(default)]
    #[schema(default = "0", unit = "files")]
    pub keep: usize,
    /// How many files to hold open; of more, those written to least lately are closed.
    #[serde(default = "default_open_files_max")]
    #[schema(default = "64", unit = "files")]
    pub open_files_max: usize,
    /// After how long without a message a file of a path with placeholders is closed.
    #[serde(default = "default_idle_close")]
    #[schema(default = "60 s", unit = "s")]
    pub idle_close: Interval,
    /// Whether messages count as delivered only when they are on the disk: `batch` syncs after each batch.
    #[serde(default)]
    #[schema(default = "never")]
    pub sync: Sync,
}

/// When to force what was written to the disk.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// Leave it to the system: survives the end of the process, not that of the machine.
    #[default]
    Never,
    /// After each batch.
    Batch,
}

fn default_mode() -> String {
    "0644".to_owned()
}

fn default_directory_mode() -> String {
    "0755".to_owned()
}

fn default_open_files_max() -> usize {
    64
}

fn default_idle_close() -> Interval {
    Interval(Duration::from_secs(60))
}

impl Config {
    /// Finds everything wrong with the options.
    pub fn check(&self, faults: &mut Faults) {
        if let Err((key, reason)) = PathTemplate::new(&self.path, self.base_dir.as_deref(), self.local_time) {
            faults.add(key, reason);
        }
        for (key, text) in [("mode", &self.mode), ("directory_mode", &self.directory_mode)] {
            if octal(text).is_none() {
                faults.add(key, format!("`{text}` is no mode; write octal digits, for example \"0644\""));
            }
        }
        if self.rotate_bytes.is_some_and(|size| size.0 == 0) {
            faults.add("rotate_bytes", "at least 1 B");
        }
        for (key, interval) in
            [("rotate_interval", self.rotate_interval), ("idle_close", Some(self.idle_close))]
        {
            if interval.is_some_and(|interval| interval.0 < Duration::from_secs(1)) {
                faults.add(key, "at least 1 s");
            }
        }
        if self.open_files_max == 0 {
            faults.add("open_files_max", "at least 1");
        }
        if self.keep > 0 && self.rotate_bytes.is_none() && self.rotate_interval.is_none() {
            faults.add("keep", "needs rotate_bytes or rotate_interval");
        }
    }
}

/// Reads permissions in octal, such as `0644`.
pub fn octal(text: &str) -> Option<u32> {
    let is_octal = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o7777)
}
