//! Options of the `file` input.

use super::patterns::Patterns;
use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use serde::Deserialize;
use std::time::Duration;

/// Bounds of `read_bytes`.
const READ_BYTES: std::ops::RangeInclusive<u64> = 512..=16 << 20;

/// Reads files line by line, follows them as they grow, and keeps its place through rotations and restarts.
#[derive(Clone, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Files to read: paths with `*`, `?`, `[a-z]`, and `**` for directories of any depth.
    pub paths: Vec<String>,
    /// Files to leave out: patterns of the whole path, or, without a `/`, of the file's name.
    #[serde(default)]
    #[schema(default = "[]")]
    pub exclude: Vec<String>,
    /// Where to begin with files found at the first start; files that appear later are read from the beginning.
    #[serde(default)]
    #[schema(default = "end")]
    pub from: From,
    /// Whether to wait for more at the end of the files; `false` ends the input there.
    #[serde(default = "default_follow")]
    #[schema(default = "true")]
    pub follow: bool,
    /// How to learn of changes; `auto` takes inotify, and polling on network file systems.
    #[serde(default)]
    #[schema(default = "auto")]
    pub watch: Watch,
    /// How often to look for new files and lost changes, besides being told of them.
    #[serde(default = "default_rescan_interval")]
    #[schema(default = "10 s", unit = "s")]
    pub rescan_interval: Interval,
    /// How often to look at files that are polled.
    #[serde(default = "default_poll_interval")]
    #[schema(default = "1 s", unit = "s")]
    pub poll_interval: Interval,
    /// How long a renamed or deleted file must be silent before it is closed.
    #[serde(default = "default_rotated_wait")]
    #[schema(default = "10 s", unit = "s")]
    pub rotated_wait: Interval,
    /// The most to read from one file in its turn.
    #[serde(default = "default_read_bytes")]
    #[schema(default = "256 KiB", unit = "bytes")]
    pub read_bytes: ByteSize,
    /// How many files to keep open; of more, those silent for longest are closed until they change.
    #[serde(default = "default_open_files_max")]
    #[schema(default = "10000", unit = "files")]
    pub open_files_max: usize,
}

/// Where to begin with a file found at the first start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// With the first byte.
    Beginning,
    /// With what is written from then on.
    #[default]
    End,
}

/// How to learn of changes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// By inotify where it works, by polling elsewhere.
    #[default]
    Auto,
    /// By inotify only.
    Inotify,
    /// By polling only.
    Poll,
}

fn default_follow() -> bool {
    true
}

fn default_rescan_interval() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_poll_interval() -> Interval {
    Interval(Duration::from_secs(1))
}

fn default_rotated_wait() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_read_bytes() -> ByteSize {
    ByteSize(256 << 10)
}

fn default_open_files_max() -> usize {
    10_000
}

impl Config {
    /// Finds everything wrong with the options.
    pub fn check(&self, faults: &mut Faults) {
        if self.paths.is_empty() {
            faults.add("paths", "names no file; write for example [\"/var/log/*.log\"]");
        }
        for (key, patterns) in [("paths", &self.paths), ("exclude", &self.exclude)] {
            for (index, pattern) in patterns.iter().enumerate() {
                if let Err(reason) = Patterns::check(pattern) {
                    faults.add(format!("{key}[{index}]"), reason);
                }
            }
        }
        let intervals = [("rescan_interval", self.rescan_interval), ("poll_interval", self.poll_interval)];
        for (key, interval) in intervals {
            if interval.0 < Duration::from_millis(10) {
                faults.add(key, "at least 10 ms");
            }
        }
        if !READ_BYTES.contains(&self.read_bytes.0) {
            faults.add("read_bytes", "from 512 B to 16 MiB");
        }
        if self.open_files_max == 0 {
            faults.add("open_files_max", "at least 1");
        }
    }
}
