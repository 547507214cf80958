//! What a plugin file says about itself, read without running its code.
//!
//! The `.heka_plugin` section of a plugin file holds texts `key=value`, each ended by a NUL, in this order:
//!
//! ```text
//! heka_plugin_api=0        the version of the border; begins a crate
//! language=rust            or `c`
//! layout=0.11.3            Rust only: version of the layout tables
//! name=heka_grep           the crate: its entry is the symbol `heka_plugin_entry_heka_grep`
//! version=0.1.0
//! kind=filter              for each plugin: input, decoder, filter, encoder or output
//! plugin=grep
//! doc=Keeps the messages whose payload contains a given text.
//! option=contains          for each of its options
//! type=string
//! unit=bytes               left out when there is none
//! default=                 left out when the option is required
//! doc=Text to look for; must not be empty.
//! ```
//!
//! Unknown keys are skipped. A file into which several crates with plugins were linked has one such list after
//! the other.

use std::ops::Range;

use heka_plugin_api::abi::API_VERSION;

use super::kind::Kind;

/// As many plugins may be in one file; more is a broken file.
pub(super) const PLUGINS_MAX: usize = 1000;

/// The languages that a plugin file can be written in, as far as loading it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// Rust: the layout of its tables is checked.
    Rust,
    /// C, or anything else that speaks C's border.
    C,
}

/// What one crate (or C library) in a plugin file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Version of the border that it was built for; always this host's.
    pub api_version: u32,
    /// What it is written in.
    pub language: Language,
    /// Version of its layout tables, if it has any.
    pub layout: Option<String>,
    /// Name of the crate; letters, digits and `_`.
    pub name: String,
    /// Version of the crate.
    pub version: String,
    /// Its plugins, at most 1,000, no kind and name twice.
    pub plugins: Vec<PluginMetadata>,
}

/// What a file says about one of its plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginMetadata {
    /// What it is.
    pub kind: Kind,
    /// Its name in a configuration.
    pub name: String,
    /// What it does, in a sentence.
    pub doc: String,
    /// Its options, in the order of their declaration.
    pub options: Vec<OptionMetadata>,
}

/// What a file says about one option.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct OptionMetadata {
    /// Its key in a configuration.
    pub name: String,
    /// Its type: `string`, `integer`, `number`, `bool`, `size`, `duration`, `array`, `table`, `any`, or
    /// `one of: a, b`.
    pub type_name: String,
    /// Unit of a bare number; empty when it has none.
    pub unit: String,
    /// What holds when it is left out, as a user would write it; `None` when it is required.
    pub default: Option<String>,
    /// What it means.
    pub doc: String,
}

impl Metadata {
    /// Reads the bytes of a `.heka_plugin` section: one for each crate that was linked into the file.
    ///
    /// # Errors
    /// What is wrong with the section, and what to do.
    pub fn parse(section: &[u8]) -> Result<Vec<Metadata>, String> {
        Ok(parse(section)?.into_iter().map(|(metadata, _)| metadata).collect())
    }

    /// The plugin of a kind and name.
    pub fn plugin(&self, kind: Kind, name: &str) -> Option<&PluginMetadata> {
        self.plugins.iter().find(|plugin| plugin.kind == kind && plugin.name == name)
    }
}

/// Reads a section, and says which of its bytes belong to which crate.
pub(super) fn parse(section: &[u8]) -> Result<Vec<(Metadata, Range<usize>)>, String> {
    let mut crates = Vec::new();
    let mut starts = starts(section).peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(section.len());
        crates.push((parse_crate(&section[start..end])?, start..end));
    }
    if crates.is_empty() {
        return Err("its metadata is empty; rebuild the plugin".to_owned());
    }
    Ok(crates)
}

const FIRST_KEY: &[u8] = b"heka_plugin_api=";

/// Where the list of each crate begins.
fn starts(section: &[u8]) -> impl Iterator<Item = usize> {
    let begins_text = |at: usize| at == 0 || section[at - 1] == 0;
    memchr::memmem::find_iter(section, FIRST_KEY).filter(move |&at| begins_text(at))
}

/// Reads the list of one crate.
fn parse_crate(bytes: &[u8]) -> Result<Metadata, String> {
    let mut reading = Reading::default();
    for text in bytes.split(|&byte| byte == 0) {
        if let Some(equals) = memchr::memchr(b'=', text) {
            reading.take(&text[..equals], printable(&text[equals + 1..]))?;
        }
    }
    reading.finish()
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    api_version: Option<u32>,
    language: Option<Language>,
    layout: Option<String>,
    name: Option<String>,
    version: Option<String>,
    kind: Option<Kind>,
    plugins: Vec<PluginMetadata>,
}

impl Reading {
    fn take(&mut self, key: &[u8], value: String) -> Result<(), String> {
        match key {
            b"heka_plugin_api" => self.api_version = Some(api_version(&value)?),
            b"language" => self.language = Some(language(&value)?),
            b"layout" => self.layout = Some(value),
            b"name" => self.name = Some(crate_name(value)?),
            b"version" => self.version = Some(value),
            b"kind" => self.kind = Some(Kind::from_name(&value).ok_or_else(|| unknown("kind", &value))?),
            b"plugin" => self.begin_plugin(value)?,
            b"option" => {
                let option = OptionMetadata { name: value, ..OptionMetadata::default() };
                let plugin = self.plugins.last_mut().ok_or("its metadata has an option before any plugin")?;
                plugin.options.push(option);
            }
            b"type" => self.set(|option| option.type_name = value),
            b"unit" => self.set(|option| option.unit = value),
            b"default" => self.set(|option| option.default = Some(value)),
            b"doc" => self.set_doc(value),
            _ => {}
        }
        Ok(())
    }

    fn begin_plugin(&mut self, name: String) -> Result<(), String> {
        let Some(kind) = self.kind else { return Err("its metadata has a plugin without a kind".to_owned()) };
        if self.plugins.iter().any(|other| other.kind == kind && other.name == name) {
            return Err(format!("it has two plugins {kind} `{name}`"));
        }
        if self.plugins.len() == PLUGINS_MAX {
            return Err(format!("it has more than {PLUGINS_MAX} plugins"));
        }
        self.plugins.push(PluginMetadata { kind, name, doc: String::new(), options: Vec::new() });
        Ok(())
    }

    /// Changes the option at hand; without one, does nothing.
    fn set(&mut self, change: impl FnOnce(&mut OptionMetadata)) {
        if let Some(option) = self.plugins.last_mut().and_then(|plugin| plugin.options.last_mut()) {
            change(option);
        }
    }

    fn set_doc(&mut self, doc: String) {
        let Some(plugin) = self.plugins.last_mut() else { return };
        match plugin.options.last_mut() {
            Some(option) => option.doc = doc,
            None => plugin.doc = doc,
        }
    }

    fn finish(self) -> Result<Metadata, String> {
        let missing = |key: &str| format!("its metadata has no `{key}`; rebuild the plugin");
        Ok(Metadata {
            api_version: self.api_version.ok_or_else(|| missing("heka_plugin_api"))?,
            language: self.language.ok_or_else(|| missing("language"))?,
            layout: self.layout,
            name: self.name.ok_or_else(|| missing("name"))?,
            version: self.version.unwrap_or_default(),
            plugins: self.plugins,
        })
    }
}

/// Reads the version of the border; nothing else of another version's metadata means anything here.
fn api_version(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(API_VERSION) => Ok(API_VERSION),
        _ => Err(format!("built for plugin API {text}, this host speaks {API_VERSION}; rebuild the plugin")),
    }
}

fn language(text: &str) -> Result<Language, String> {
    match text {
        "rust" => Ok(Language::Rust),
        "c" => Ok(Language::C),
        _ => Err(unknown("language", text)),
    }
}

/// The name becomes a part of symbols' names.
fn crate_name(name: String) -> Result<String, String> {
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        Ok(name)
    } else {
        Err(format!("its metadata has the name `{name}`; expected letters, digits and `_`"))
    }
}

fn unknown(what: &str, value: &str) -> String {
    format!("its metadata has an unknown {what} `{value}`; this host may be too old for it")
}

/// Makes text that can be printed on one line of a terminal.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: &[u8] = b"heka_plugin_api=0\0language=c\0name=grep\0version=1.2\0";

    fn with(more: &[u8]) -> Vec<u8> {
        [START, more].concat()
    }

    fn is_refused(section: &[u8], why: &str) {
        assert_eq!(Metadata::parse(section).unwrap_err(), why);
    }

    #[test]
    fn plugins_and_options_are_read() {
        let section = with(
            b"kind=filter\0plugin=grep\0doc=Keeps.\0option=text\0type=string\0doc=What.\0later=1\0\
              option=limit\0type=size\0unit=bytes\0default=1 KiB\0doc=How much.\0kind=output\0plugin=grep\0",
        );
        let crates = Metadata::parse(&section).unwrap();
        let [metadata] = &crates[..] else { panic!("{} crates", crates.len()) };
        assert_eq!((metadata.language, metadata.version.as_str()), (Language::C, "1.2"));
        let filter = metadata.plugin(Kind::Filter, "grep").unwrap();
        assert_eq!(filter.doc, "Keeps.");
        let [text, limit] = &filter.options[..] else { panic!("{:?}", filter.options) };
        assert_eq!((text.default.as_ref(), text.doc.as_str()), (None, "What."));
        assert_eq!((limit.default.as_deref(), limit.unit.as_str()), (Some("1 KiB"), "bytes"));
        assert!(metadata.plugin(Kind::Output, "grep").unwrap().options.is_empty());
        assert!(metadata.plugin(Kind::Input, "grep").is_none());
    }

    #[test]
    fn crates_linked_into_one_file_are_kept_apart() {
        let second = [START, b"kind=input\0plugin=x\0"].concat();
        let section = [&with(b"doc=none\0\0\0"), &second[..]].concat();
        let crates = parse(&section).unwrap();
        assert_eq!(crates.len(), 2);
        assert_eq!(section[crates[1].1.clone()], second);
        assert_eq!(crates[1].0.plugins[0].name, "x");
        // Only the beginning of a text begins a crate.
        let text = with(b"kind=input\0plugin=x\0doc=see heka_plugin_api=1\0");
        assert_eq!(parse(&text).unwrap().len(), 1);
    }

    #[test]
    fn broken_metadata_is_refused() {
        is_refused(b"", "its metadata is empty; rebuild the plugin");
        is_refused(b"\0\0\0", "its metadata is empty; rebuild the plugin");
        let why = "built for plugin API 1, this host speaks 0; rebuild the plugin";
        is_refused(b"heka_plugin_api=1\0language=zig\0", why);
        is_refused(b"heka_plugin_api=0\0language=c\0", "its metadata has no `name`; rebuild the plugin");
        let why = "its metadata has the name `a b`; expected letters, digits and `_`";
        is_refused(b"heka_plugin_api=0\0language=c\0name=a b\0", why);
        is_refused(&with(b"plugin=x\0"), "its metadata has a plugin without a kind");
        is_refused(&with(b"option=x\0"), "its metadata has an option before any plugin");
        is_refused(&with(b"kind=filter\0plugin=x\0plugin=x\0"), "it has two plugins filter `x`");
        let many: Vec<u8> = (0..1001).flat_map(|number| format!("plugin=x{number}\0").into_bytes()).collect();
        is_refused(&[&with(b"kind=filter\0"), &many[..]].concat(), "it has more than 1000 plugins");
    }

    #[test]
    fn texts_can_be_printed_on_one_line() {
        let section = with(b"kind=filter\0plugin=x\0doc=a\x1b[31m\nb\xff\0");
        assert_eq!(Metadata::parse(&section).unwrap()[0].plugins[0].doc, "a\u{fffd}[31m\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Metadata::parse(&bytes);
            let _ = Metadata::parse(&with(&bytes));
        }

        #[test]
        fn any_keys_and_values_are_read_or_refused(
            texts in proptest::collection::vec(("(kind|plugin|option|type|default|doc|name|layout|x)", "[a-z=\n]{0,6}|filter"), 0..20)
        ) {
            let more: String = texts.iter().map(|(key, value)| format!("{key}={value}\0")).collect();
            if let Ok(crates) = Metadata::parse(&with(more.as_bytes())) {
                let named = texts.iter().filter(|(key, _)| key == "plugin").count();
                prop_assert_eq!(crates[0].plugins.len(), named);
            }
        }
    }
}
