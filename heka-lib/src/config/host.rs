//! The host's own table, `[heka]`.

use std::path::PathBuf;
use std::time::Duration;

use super::admin::AdminConfig;
use super::document::{Node, NodeValue};
use super::faults::Faults;
use super::position::Located;
use super::section::Section;

/// Holds what `[heka]` says; what is left out has its default.
#[derive(Clone, Debug, PartialEq)]
pub struct HostConfig {
    /// Where everything durable is kept; relative to the working directory. Default `state`.
    pub state_dir: PathBuf,
    /// The hostname that messages get; by default the machine's.
    pub hostname: Option<String>,
    /// Directories with plugin files, searched in order.
    pub plugin_dirs: Vec<PathBuf>,
    /// Users beside root and ourselves that may own plugin files.
    pub plugin_owners: Vec<PluginOwner>,
    /// Whether values may refer to the environment and to files. Default `false`.
    pub allow_env: bool,
    /// The longest message, in bytes, 1 KiB to 256 MiB. Default 1 MiB.
    pub message_bytes_max: usize,
    /// How long a message may wait for its batch to fill up, at most 10 s. Default 1 ms.
    pub batch_linger: Duration,
    /// The most messages in a batch, 1 to 4096. Default 256: bigger batches leave the L2 cache.
    pub batch_messages_max: usize,
    /// The most bytes in a batch, 1 KiB to 16 MiB; a longer message travels alone. Default 128 KiB.
    pub batch_bytes_max: usize,
    /// How long stopping may take, at most 1 h; then what is still queued stays there. Default 30 s.
    pub shutdown_deadline: Duration,
    /// How many times a message may go through the router again, 0 to 64. Default 4.
    pub hops_max: u8,
    /// The most bytes that wait in the injection lane, 64 KiB to 1 TiB. Default 64 MiB.
    pub inject_lane_bytes_max: u64,
    /// The output that gets the dead letters of everything that names none; by default a built-in queue.
    pub dead_letter: Option<Located<String>>,
    /// Bytes of dead letters that the built-in queue keeps, 1 MiB to 1 TiB; then the oldest make room. Default 256 MiB.
    pub dead_letters_bytes_max: u64,
    /// `[heka.admin]`: where a daemon answers questions about itself. The library itself listens nowhere.
    pub admin: AdminConfig,
}

/// Names a user that may own plugin files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginOwner {
    /// By name.
    Name(String),
    /// By number.
    Uid(u32),
}

impl Default for HostConfig {
    fn default() -> Self {
        HostConfig {
            state_dir: PathBuf::from("state"),
            hostname: None,
            plugin_dirs: Vec::new(),
            plugin_owners: Vec::new(),
            allow_env: false,
            message_bytes_max: 1 << 20,
            batch_linger: Duration::from_millis(1),
            batch_messages_max: 256,
            batch_bytes_max: 128 << 10,
            shutdown_deadline: Duration::from_secs(30),
            hops_max: 4,
            inject_lane_bytes_max: 64 << 20,
            dead_letter: None,
            dead_letters_bytes_max: 256 << 20,
            admin: AdminConfig::default(),
        }
    }
}

impl HostConfig {
    pub(super) fn read(node: &Node, faults: &mut Faults) -> Self {
        let default = HostConfig::default();
        let mut section = Section::new("[heka]".to_owned(), node, faults);
        let seconds = |from, to| Duration::from_secs(from)..=Duration::from_secs(to);
        let host = HostConfig {
            state_dir: section.string("state_dir").map_or(default.state_dir, |dir| dir.value.into()),
            hostname: section.string("hostname").map(|hostname| hostname.value),
            plugin_dirs: section
                .strings("plugin_dirs", true)
                .into_iter()
                .map(|dir| dir.value.into())
                .collect(),
            plugin_owners: plugin_owners(&mut section),
            allow_env: section.bool("allow_env").unwrap_or(default.allow_env),
            message_bytes_max: size(&mut section, "message_bytes_max", 256 << 20, default.message_bytes_max),
            batch_linger: section.duration("batch_linger", seconds(0, 10)).unwrap_or(default.batch_linger),
            batch_messages_max: section
                .integer("batch_messages_max", 1..=4096_u16)
                .map_or(default.batch_messages_max, usize::from),
            batch_bytes_max: size(&mut section, "batch_bytes_max", 16 << 20, default.batch_bytes_max),
            shutdown_deadline: section
                .duration("shutdown_deadline", seconds(0, 3600))
                .unwrap_or(default.shutdown_deadline),
            hops_max: section.integer("hops_max", 0..=64).unwrap_or(default.hops_max),
            inject_lane_bytes_max: section
                .bytes("inject_lane_bytes_max", 64 << 10..=1 << 40)
                .unwrap_or(default.inject_lane_bytes_max),
            dead_letter: section.string("dead_letter"),
            dead_letters_bytes_max: section
                .bytes("dead_letters_bytes_max", heka_queue::BYTES_MIN..=1 << 40)
                .unwrap_or(default.dead_letters_bytes_max),
            admin: section.table("admin").map_or(default.admin, AdminConfig::read),
        };
        section.finish();
        host
    }
}

fn size(section: &mut Section<'_, '_>, key: &'static str, most: u64, default: usize) -> usize {
    section.bytes(key, 1 << 10..=most).map_or(default, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn plugin_owners(section: &mut Section<'_, '_>) -> Vec<PluginOwner> {
    const EXPECTED: &str = "expected an array of user names and numbers";
    let Some(node) = section.value("plugin_owners") else { return Vec::new() };
    let NodeValue::Array(items) = &node.value else {
        section.fail::<()>("plugin_owners", node, EXPECTED);
        return Vec::new();
    };
    let owner = |item: &Node| match &item.value {
        NodeValue::String(name) => Some(PluginOwner::Name(name.clone())),
        NodeValue::Integer(uid) => u32::try_from(*uid).ok().map(PluginOwner::Uid),
        _ => None,
    };
    items
        .iter()
        .filter_map(|item| owner(item).or_else(|| section.fail("plugin_owners", item, EXPECTED)))
        .collect()
}
