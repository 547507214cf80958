//! Translates the JSON shape of the seed era into today's.
//!
//! There, `inputs`, `decoders`, `filters`, `encoders` and `outputs` are arrays of objects with a `type` and
//! an optional `name` (by default the type), `chains` is an object of objects, the decoder with `"default":
//! true` serves every input that names none, and keys are in any case.

use super::document::{Entry, Node, NodeValue};
use super::faults::Faults;
use super::position::{Located, Position};

/// The sections that were arrays, with the word for one of their members.
const SECTIONS: [(&str, &str); 5] = [
    ("decoders", "decoder"),
    ("inputs", "input"),
    ("filters", "filter"),
    ("encoders", "encoder"),
    ("outputs", "output"),
];

/// What the old types are called today; others keep their names.
const PLUGINS: [(&str, &str); 23] = [
    ("UdpInput", "udp"),
    ("TcpInput", "tcp"),
    ("LogfileInput", "file"),
    ("MessageGeneratorInput", "generate"),
    ("StatsdInput", "statsd"),
    ("StatsdUdpInput", "statsd"),
    ("UdpStatInput", "statsd"),
    ("JsonDecoder", "json"),
    ("MsgPackDecoder", "msgpack"),
    ("ProtobufDecoder", "heka"),
    ("TextParserDecoder", "regex"),
    ("NamedOutputFilter", "mark"),
    ("LogOutput", "log"),
    ("FileOutput", "file"),
    ("LogFileOutput", "file"),
    ("CounterOutput", "null"),
    ("TcpOutput", "tcp"),
    ("GraphiteOutput", "graphite"),
    ("CassandraOutput", "cassandra"),
    ("NagiosOutput", "nagios"),
    ("CefOutput", "cef"),
    ("StatsdOutput", "statsd"),
    ("SentryOutput", "sentry"),
];

/// Inputs that made messages themselves, so that the default decoder never applied to them.
const INPUTS_WITHOUT_DECODER: [&str; 5] =
    ["MessageGeneratorInput", "StatsdInput", "StatsdUdpInput", "UdpStatInput", "LogfileInput"];

/// Keys of a chain that have other names today.
const CHAIN_KEYS: [(&str, &str); 3] =
    [("type", "message_type"), ("message_filter", "matcher"), ("message_matcher", "matcher")];

/// Translates the top-level table if one of its sections is an array, and leaves it as it is otherwise.
pub(super) fn translate(root: Node, faults: &mut Faults) -> Node {
    let is_section = |key: &str| SECTIONS.iter().any(|(section, _)| *section == key);
    let is_seed = |entry: &Entry| is_section(&entry.key) && matches!(entry.value.value, NodeValue::Array(_));
    if !root.entries().iter().any(is_seed) {
        return root;
    }
    let position = root.position.clone();
    let mut old = into_entries(root);
    let mut translation = Translation { faults, default_decoder: None, encoders: Vec::new() };
    // Decoders come first in the table of sections: the inputs need to know the default one.
    for (section, kind) in SECTIONS {
        if let Some(entry) = old.iter_mut().find(|entry| entry.key == section) {
            translation.section(kind, &mut entry.value);
        }
    }
    if let Some(chains) = old.iter_mut().find(|entry| entry.key == "chains") {
        translation.chains(&mut chains.value);
    }
    let encoders = translation.encoders;
    add_encoders(&mut old, encoders, &position);
    Node::table(old, &position)
}

fn into_entries(node: Node) -> Vec<Entry> {
    match node.value {
        NodeValue::Table(entries) => entries,
        _ => Vec::new(),
    }
}

fn add_encoders(root: &mut Vec<Entry>, encoders: Vec<Entry>, position: &Position) {
    if encoders.is_empty() {
        return;
    }
    match root.iter_mut().find(|entry| entry.key == "encoders").map(|entry| &mut entry.value.value) {
        Some(NodeValue::Table(existing)) => existing.extend(encoders),
        Some(_) => {}
        None => root.push(entry("encoders", position, Node::table(encoders, position))),
    }
}

fn entry(key: &str, position: &Position, value: Node) -> Entry {
    Entry { key: key.to_owned(), key_position: position.clone(), value }
}

/// Removes a key and gives its value.
fn take(entries: &mut Vec<Entry>, key: &str) -> Option<Node> {
    let at = entries.iter().position(|entry| entry.key == key)?;
    Some(entries.remove(at).value)
}

struct Translation<'f> {
    faults: &'f mut Faults,
    default_decoder: Option<Located<String>>,
    encoders: Vec<Entry>,
}

impl Translation<'_> {
    /// Makes an array of objects a table of tables.
    fn section(&mut self, kind: &str, section: &mut Node) {
        let NodeValue::Array(items) = &mut section.value else { return };
        let mut instances: Vec<Entry> = Vec::with_capacity(items.len());
        for item in std::mem::take(items) {
            let Some(instance) = self.instance(kind, item) else { continue };
            if let Some(first) = instances.iter().find(|first| first.key == instance.key) {
                let (name, first) = (&instance.key, &first.key_position);
                let text =
                    format!("{kind} `{name}` is defined a second time; first at {first}; name them apart");
                self.faults.add(&instance.key_position, text);
                continue;
            }
            instances.push(instance);
        }
        section.value = NodeValue::Table(instances);
    }

    fn instance(&mut self, kind: &str, item: Node) -> Option<Entry> {
        let position = item.position.clone();
        let NodeValue::Table(entries) = item.value else {
            let text = format!("{kind} is {}; expected an object with a `type`", item.kind());
            self.faults.add(&position, text);
            return None;
        };
        let mut entries = self.lowercase_keys(entries, &[]);
        let type_node = self.take_string(kind, &position, &mut entries, "type");
        let name = match entries.iter().any(|entry| entry.key == "name") {
            true => self.take_string(kind, &position, &mut entries, "name"),
            false => type_node.clone(),
        };
        let (type_node, name) = type_node.zip(name)?;
        let plugin = PLUGINS.iter().find(|(old, _)| *old == type_node.value);
        let plugin = plugin.map_or(type_node.value.as_str(), |(_, new)| new);
        let plugin = entry("plugin", &type_node.position, Node::string(plugin, &type_node.position));
        entries.insert(0, plugin);
        self.translate_options(kind, &type_node.value, &name, &mut entries);
        Some(entry(&name.value, &name.position, Node::table(entries, &position)))
    }

    fn translate_options(&mut self, kind: &str, old: &str, name: &Located<String>, entries: &mut Vec<Entry>) {
        match (kind, old) {
            ("decoder", _) => self.note_default(name, entries),
            ("input", "LogfileInput") => self.logfile_input(name, entries),
            ("output", "FileOutput") => self.file_output(name, entries),
            _ => {}
        }
        let decodes = kind == "input" && !INPUTS_WITHOUT_DECODER.contains(&old);
        if let Some(decoder) = self.default_decoder.as_ref().filter(|_| decodes)
            && !entries.iter().any(|entry| entry.key == "decoder")
        {
            entries.push(entry(
                "decoder",
                &decoder.position,
                Node::string(&decoder.value, &decoder.position),
            ));
        }
    }

    fn note_default(&mut self, name: &Located<String>, entries: &mut Vec<Entry>) {
        let Some(default) = take(entries, "default") else { return };
        match (&default.value, &self.default_decoder) {
            (NodeValue::Bool(false), _) => {}
            (NodeValue::Bool(true), None) => self.default_decoder = Some(name.clone()),
            (NodeValue::Bool(true), Some(first)) => {
                let text =
                    format!("decoder `{}`: `default` is set for decoder `{}` too", name.value, first.value);
                self.faults.add(&default.position, text);
            }
            _ => {
                let text = format!(
                    "decoder `{}`: `default` is {}; expected true or false",
                    name.value,
                    default.kind()
                );
                self.faults.add(&default.position, text);
            }
        }
    }

    /// Turns `[[path, decoder…], …]` into paths and the one decoder that they agree on.
    fn logfile_input(&mut self, name: &Located<String>, entries: &mut Vec<Entry>) {
        let Some(logfiles) = take(entries, "logfiles") else { return };
        let (mut paths, mut decoder): (Vec<Node>, Option<Node>) = (Vec::new(), None);
        let files = if let NodeValue::Array(files) = &logfiles.value { files.as_slice() } else { &[] };
        for file in files {
            let NodeValue::Array(parts) = &file.value else {
                paths.push(file.clone());
                continue;
            };
            paths.extend(parts.first().cloned());
            match (parts.get(1), &decoder) {
                (Some(one), Some(other)) if one != other => {
                    let text =
                        format!("input `{}`: several decoders; make it one input for each", name.value);
                    self.faults.add(&one.position, text);
                }
                (Some(one), _) => decoder = Some(one.clone()),
                (None, _) => {}
            }
        }
        let value = Node { value: NodeValue::Array(paths), position: logfiles.position.clone() };
        entries.push(entry("paths", &logfiles.position, value));
        entries.extend(decoder.map(|decoder| entry("decoder", &decoder.position.clone(), decoder)));
    }

    /// Turns `format` and `prefix_ts` into an encoder, and `perm` into `mode`.
    fn file_output(&mut self, name: &Located<String>, entries: &mut Vec<Entry>) {
        if let Some(perm) = entries.iter_mut().find(|entry| entry.key == "perm") {
            perm.key = "mode".to_owned();
        }
        let format = take(entries, "format");
        let prefix = take(entries, "prefix_ts");
        let position =
            format.as_ref().or(prefix.as_ref()).map_or(&name.position, |node| &node.position).clone();
        let wants_prefix = prefix.as_ref().is_some_and(|prefix| prefix.value != NodeValue::Bool(false));
        let encoder = match format.as_ref().map(|format| (format.as_str(), format)) {
            None | Some((Some("text"), _)) if wants_prefix => self.prefix_encoder(name, prefix),
            None | Some((Some("text"), _)) => "payload".to_owned(),
            Some((Some("json"), _)) if !wants_prefix => "json".to_owned(),
            Some((Some("json"), _)) => {
                let text = format!("output `{}`: `prefix_ts` goes with `format` text only", name.value);
                return self.faults.add(&position, text);
            }
            Some((_, node)) => {
                let text = format!("output `{}`: unknown `format`; known: text, json", name.value);
                return self.faults.add(&node.position, text);
            }
        };
        entries.push(entry("encoder", &position, Node::string(encoder, &position)));
    }

    /// Makes a section for a payload encoder that puts the time before each line.
    fn prefix_encoder(&mut self, name: &Located<String>, prefix: Option<Node>) -> String {
        let encoder = format!("{}.payload", name.value);
        let position = &name.position;
        let options = [
            Some(entry("plugin", position, Node::string("payload", position))),
            prefix.map(|prefix| entry("prefix_timestamp", &prefix.position.clone(), prefix)),
        ];
        let table = Node::table(options.into_iter().flatten().collect(), position);
        self.encoders.push(entry(&encoder, position, table));
        encoder
    }

    fn chains(&mut self, chains: &mut Node) {
        let NodeValue::Table(chains) = &mut chains.value else { return };
        for chain in chains {
            if let NodeValue::Table(keys) = &mut chain.value.value {
                let old = std::mem::take(keys);
                *keys = self.lowercase_keys(old, &CHAIN_KEYS);
            }
        }
    }

    /// Puts keys into lower case and gives some new names; two that become one are a fault.
    fn lowercase_keys(&mut self, old: Vec<Entry>, renamed: &[(&str, &str)]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(old.len());
        for mut entry in old {
            let key = entry.key.to_ascii_lowercase();
            entry.key = renamed.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| (*new).to_owned());
            match entries.iter().find(|first| first.key == entry.key) {
                Some(first) => {
                    let text =
                        format!("`{}` is defined a second time; first at {}", entry.key, first.key_position);
                    self.faults.add(&entry.key_position, text);
                }
                None => entries.push(entry),
            }
        }
        entries
    }

    fn take_string(
        &mut self,
        kind: &str,
        position: &Position,
        entries: &mut Vec<Entry>,
        key: &str,
    ) -> Option<Located<String>> {
        match take(entries, key) {
            Some(Node { value: NodeValue::String(value), position }) => Some(Located { value, position }),
            Some(node) => {
                self.faults
                    .add(&node.position, format!("{kind}: `{key}` is {}; expected a string", node.kind()));
                None
            }
            None => {
                self.faults.add(position, format!("{kind} without a `{key}`"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
