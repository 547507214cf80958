//! The whole configuration, typed and checked.

use super::chain::ChainConfig;
use super::decoder::DecoderSettings;
use super::document::{Document, Entry, NodeValue};
use super::faults::{Fault, Faults, suggestion};
use super::host::HostConfig;
use super::input::{InputConfig, InputSettings};
use super::instance::{DecoderConfig, EncoderConfig, FilterConfig, FilterSettings, read_instance};
use super::output::{OutputConfig, OutputSettings};
use super::wiring;

const TABLES: [&str; 7] = ["heka", "inputs", "decoders", "filters", "encoders", "outputs", "chains"];

/// Holds a configuration in which everything that needs no plugin is known to be right.
///
/// Instances are in the order of their files. Names of decoders and encoders may be those of plugins instead
/// of sections; whoever knows the plugins resolves them, and parses matchers and plugins' options.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[heka]`.
    pub host: HostConfig,
    /// `[inputs.NAME]`.
    pub inputs: Vec<InputConfig>,
    /// `[decoders.NAME]`.
    pub decoders: Vec<DecoderConfig>,
    /// `[filters.NAME]`.
    pub filters: Vec<FilterConfig>,
    /// `[encoders.NAME]`.
    pub encoders: Vec<EncoderConfig>,
    /// `[outputs.NAME]`.
    pub outputs: Vec<OutputConfig>,
    /// `[chains.NAME]`.
    pub chains: Vec<ChainConfig>,
    /// What is probably not meant, such as a filter that no chain uses.
    pub warnings: Vec<Fault>,
}

/// What an embedder decides about configurations.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConfigOptions {
    /// Accepts a configuration without inputs, for a program that injects all messages itself.
    pub allow_no_inputs: bool,
}

impl Config {
    /// Checks a document and makes it a configuration.
    ///
    /// # Errors
    /// All faults together: those found while reading the document, and those found here.
    pub fn from_document(document: &Document) -> Result<Config, Faults> {
        Self::from_document_with(document, ConfigOptions::default())
    }

    /// Checks a document as [`from_document`](Self::from_document) does, by an embedder's options.
    ///
    /// # Errors
    /// All faults together.
    pub fn from_document_with(document: &Document, options: ConfigOptions) -> Result<Config, Faults> {
        let (config, faults) = Self::with_faults(document, options);
        faults.into_result(config)
    }

    /// Checks a document and gives both, all faults and what could be read in spite of them.
    ///
    /// Such a configuration can't be run; but `Router::check` finds what else is wrong with it, for a program that
    /// wants to say everything at once.
    pub fn with_faults(document: &Document, options: ConfigOptions) -> (Config, Faults) {
        let mut found = Faults::new();
        check_tables(document, &mut found);
        let mut config = Self::read(document, &mut found);
        wiring::check(&config, document, options, &mut found);
        config.warnings = wiring::warnings(&config);

        let mut faults = document.faults.clone();
        // A value that already has a fault from reading, such as a reference to the environment that could
        // not be replaced, is not worth a second one.
        faults.extend_elsewhere(found);
        (config, faults)
    }

    fn read(document: &Document, faults: &mut Faults) -> Config {
        let mut host = HostConfig::default();
        if let Some(node) = document.root.get("heka") {
            host = HostConfig::read(node, faults);
        }
        let section = |name: &str| document.root.get(name).map_or(&[][..], |node| node.entries());
        let mut read_inputs = |e: &Entry| read_instance("input", e, faults, InputSettings::read);
        let inputs = section("inputs").iter().map(&mut read_inputs).collect();
        let decoders = section("decoders")
            .iter()
            .map(|e| read_instance("decoder", e, faults, DecoderSettings::read))
            .collect();
        let mut read_filters = |e: &Entry| read_instance("filter", e, faults, FilterSettings::read);
        let filters = section("filters").iter().map(&mut read_filters).collect();
        let encoders =
            section("encoders").iter().map(|e| read_instance("encoder", e, faults, |_| ())).collect();
        let mut read_outputs = |e: &Entry| read_instance("output", e, faults, OutputSettings::read);
        let outputs = section("outputs").iter().map(&mut read_outputs).collect();
        let chains = section("chains").iter().map(|e| ChainConfig::read(e, faults)).collect();
        Config { host, inputs, decoders, filters, encoders, outputs, chains, warnings: Vec::new() }
    }

    /// The section of a decoder, if it has one.
    pub fn decoder(&self, name: &str) -> Option<&DecoderConfig> {
        self.decoders.iter().find(|decoder| decoder.name == name)
    }

    /// The section of a filter.
    pub fn filter(&self, name: &str) -> Option<&FilterConfig> {
        self.filters.iter().find(|filter| filter.name == name)
    }

    /// The section of an encoder, if it has one.
    pub fn encoder(&self, name: &str) -> Option<&EncoderConfig> {
        self.encoders.iter().find(|encoder| encoder.name == name)
    }

    /// The section of an output.
    pub fn output(&self, name: &str) -> Option<&OutputConfig> {
        self.outputs.iter().find(|output| output.name == name)
    }
}

/// Checks that the top level has only known tables, and that sections are tables.
fn check_tables(document: &Document, faults: &mut Faults) {
    for entry in document.root.entries() {
        let key = &entry.key;
        let is_table = matches!(entry.value.value, NodeValue::Table(_));
        if !TABLES.contains(&key.as_str()) {
            let what = if is_table { "table" } else { "key" };
            let suggestion = suggestion(key, TABLES.into_iter());
            faults.add(&entry.key_position, format!("unknown {what} `{key}`; {suggestion}"));
        } else if !is_table && key != "heka" {
            let kind = entry.value.kind();
            faults.add(&entry.value.position, format!("`{key}` is {kind}; expected tables [{key}.NAME]"));
        }
    }
}
