//! What every instance's table has, whatever its kind.

use std::path::PathBuf;
use std::time::Duration;

use super::decoder::DecoderSettings;
use super::document::{Entry, Node};
use super::faults::Faults;
use super::position::{Located, Position};
use super::section::{Section, name_fault};

/// The longest time between two ticks, and the longest wait between two tries.
pub(super) const INTERVAL_MAX: Duration = Duration::from_secs(86_400);

/// Holds one instance's table: the plugin's options, and apart from them what the host owns.
///
/// `S` is what the host owns for this kind, for example [`InputSettings`](super::InputSettings). Two are
/// equal when running one instead of the other would make no difference.
#[derive(Clone, Debug)]
pub struct InstanceConfig<S> {
    /// The instance's name.
    pub name: String,
    /// Where the name is written.
    pub position: Position,
    /// Which plugin it is.
    pub plugin: PluginName,
    /// The plugin's options: the table without the host's keys. Serializes into what the plugin gets.
    pub options: Node,
    /// The host's keys.
    pub settings: S,
    /// What the host's keys are called, for the one who reports a plugin's unknown key: it may be one of
    /// these, mistyped.
    pub host_keys: Vec<&'static str>,
}

impl<S: PartialEq> PartialEq for InstanceConfig<S> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.plugin == other.plugin
            && self.options == other.options
            && self.settings == other.settings
    }
}

/// A decoder's table.
pub type DecoderConfig = InstanceConfig<DecoderSettings>;
/// An encoder's table.
pub type EncoderConfig = InstanceConfig<()>;
/// A filter's table.
pub type FilterConfig = InstanceConfig<FilterSettings>;

/// Names a plugin, and the file that it is in if the configuration says so.
#[derive(Clone, Debug)]
pub struct PluginName {
    /// The plugin file; `None`: whichever in the plugin directories has a plugin of this name.
    pub file: Option<PathBuf>,
    /// The plugin's name.
    pub name: String,
    /// Where it is written: the value of `plugin`, or the instance's name.
    pub position: Position,
}

impl PartialEq for PluginName {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.name == other.name
    }
}

/// What the host owns of a filter's table.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterSettings {
    /// How often the filter is called without a message; 1 ms to 1 day. Never by default.
    pub ticker_interval: Option<Duration>,
    /// Where emitted messages go. Default [`EmitTo::Chain`].
    pub emit_to: EmitTo,
    /// What becomes of the instance after a panic. Default [`OnPanic::Restart`].
    pub on_panic: OnPanic,
    /// Whether messages that the filter absorbs are acknowledged only at its next flush. Default `false`.
    pub hold_until_flush: bool,
}

/// Where the messages go that a filter emits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitTo {
    /// On through the rest of its chain.
    Chain,
    /// Through the injection lane to all chains.
    Router,
}

/// What becomes of an instance that panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// It is opened anew, after a growing delay.
    Restart,
    /// It stays stopped.
    Stop,
}

/// Reads one entry of a section: `read` takes the host's keys, and what it leaves over is the plugin's.
pub(super) fn read_instance<S>(
    kind: &str,
    entry: &Entry,
    faults: &mut Faults,
    read: impl FnOnce(&mut Section<'_, '_>) -> S,
) -> InstanceConfig<S> {
    let who = format!("{kind} `{}`", entry.key);
    if let Some(why) = name_fault(&entry.key) {
        faults.add(&entry.key_position, format!("{who}: {why}"));
    }
    let mut section = Section::new(who, &entry.value, faults);
    let own_name =
        || PluginName { file: None, name: entry.key.clone(), position: entry.key_position.clone() };
    let plugin = section.string("plugin").and_then(|plugin| plugin_name(plugin, &mut section));
    let settings = read(&mut section);
    let (options, host_keys) = section.rest();
    InstanceConfig {
        name: entry.key.clone(),
        position: entry.key_position.clone(),
        plugin: plugin.unwrap_or_else(own_name),
        options,
        settings,
        host_keys,
    }
}

/// Reads `NAME` or `path/to/file.so:NAME`.
fn plugin_name(written: Located<String>, section: &mut Section<'_, '_>) -> Option<PluginName> {
    let Located { value, position } = written;
    let is_path = |text: &str| text.contains('/') || text.ends_with(".so");
    let (file, name) = match value.rsplit_once(':') {
        Some((file, name)) if is_path(file) => (Some(PathBuf::from(file)), name),
        _ => (None, value.as_str()),
    };
    let why = match name_fault(name) {
        _ if is_path(name) => format!("`{value}` names no plugin of that file; write `{value}:NAME`"),
        Some(why) => format!("`{name}`: {why}"),
        None => return Some(PluginName { file, name: name.to_owned(), position }),
    };
    section.faults.add(&position, format!("{}: `plugin`: {why}", section.who));
    None
}

impl FilterSettings {
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let emit_to = [("chain", EmitTo::Chain), ("router", EmitTo::Router)];
        let on_panic = [("restart", OnPanic::Restart), ("stop", OnPanic::Stop)];
        FilterSettings {
            ticker_interval: ticker_interval(section),
            emit_to: section.keyword("emit_to", &emit_to).unwrap_or(EmitTo::Chain),
            on_panic: section.keyword("on_panic", &on_panic).unwrap_or(OnPanic::Restart),
            hold_until_flush: section.bool("hold_until_flush").unwrap_or(false),
        }
    }
}

/// Takes `ticker_interval`, which inputs, filters and outputs have.
pub(super) fn ticker_interval(section: &mut Section<'_, '_>) -> Option<Duration> {
    section.duration("ticker_interval", Duration::from_millis(1)..=INTERVAL_MAX)
}
