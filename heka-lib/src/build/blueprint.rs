//! What a configuration asks for, with every plugin found and every option checked, before anything is started.

use super::splitter::splitter;
use crate::config::{
    ChainConfig, Config, Faults, FilterConfig, InputConfig, InstanceConfig, Located, Node, OutputConfig,
    Position,
};
use crate::instance::{Counters, InstanceSpec, OutputNames};
use crate::plugin::{Kind, Plugin, Registry, check_options};
use crate::splitter::SplitterConfig;
use crate::stage::decoder::DecoderPlan;
use crate::stats::{ChainStats, InputStats, OutputStats, Stats};
use heka_matcher::Matcher;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Outputs that one chain's messages can be marked for.
const MARKS_MAX: usize = 64;

/// Everything that a router is built from.
pub(crate) struct Blueprint {
    pub(crate) inputs: Vec<InputBlueprint>,
    pub(crate) chains: Vec<ChainBlueprint>,
    pub(crate) outputs: Vec<OutputBlueprint>,
}

#[derive(Clone)]
pub(crate) struct InputBlueprint {
    pub(crate) config: InputConfig,
    pub(crate) spec: InstanceSpec,
    pub(crate) splitter: SplitterConfig,
    /// Tried in order.
    pub(crate) decoders: Vec<DecoderPlan>,
    pub(crate) stats: Arc<InputStats>,
}

#[derive(Clone)]
pub(crate) struct ChainBlueprint {
    pub(crate) config: ChainConfig,
    pub(crate) matcher: Option<Matcher>,
    pub(crate) filters: Vec<(FilterConfig, InstanceSpec)>,
    /// Indexes of the outputs that the chain names.
    pub(crate) named: Vec<usize>,
    pub(crate) marks: Marks,
    pub(crate) stats: Arc<ChainStats>,
}

#[derive(Clone)]
pub(crate) struct OutputBlueprint {
    pub(crate) config: OutputConfig,
    pub(crate) spec: InstanceSpec,
    pub(crate) encoder: Option<InstanceSpec>,
    /// Where a durable queue is.
    pub(crate) queue_dir: std::path::PathBuf,
    pub(crate) stats: Arc<OutputStats>,
}

/// Which output each bit of a chain's marks stands for.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    /// Indexes of outputs by bit; none for a bit that is free.
    pub(crate) outputs: Vec<Option<usize>>,
    /// The bits that a message starts with: of the outputs that the chain names.
    pub(crate) start: u64,
    /// Names by bit, as filters know them.
    pub(crate) names: Vec<String>,
}

/// What a running router has that a new blueprint goes on with.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) stats: Arc<Stats>,
    /// Names of outputs by bit, of each chain: filters that go on have looked them up.
    pub(crate) marks: HashMap<String, Vec<String>>,
}

/// Finds everything and collects the faults.
pub(crate) struct Draft<'d> {
    known: &'d Known,
    pub(super) config: &'d Config,
    registry: &'d Registry,
    hostname: &'d str,
    pub(super) faults: Faults,
}

impl<'d> Draft<'d> {
    pub(crate) fn new(
        config: &'d Config,
        registry: &'d Registry,
        hostname: &'d str,
        known: &'d Known,
    ) -> Draft<'d> {
        Draft { known, config, registry, hostname, faults: Faults::new() }
    }

    /// # Errors
    /// All faults.
    pub(crate) fn blueprint(mut self) -> Result<Blueprint, Faults> {
        let config = self.config;
        let inputs: Vec<_> = config.inputs.iter().map(|input| self.input(input)).collect();
        let outputs: Vec<_> = config.outputs.iter().map(|output| self.output(output)).collect();
        let chains: Vec<_> = config.chains.iter().map(|chain| self.chain(chain)).collect();
        self.unused_filters();
        let blueprint = Blueprint {
            inputs: inputs.into_iter().flatten().collect(),
            chains: chains.into_iter().flatten().collect(),
            outputs: outputs.into_iter().flatten().collect(),
        };
        self.faults.into_result(blueprint)
    }

    fn input(&mut self, input: &'d InputConfig) -> Option<InputBlueprint> {
        let stats = self.known.stats.input(&input.name);
        let counters = Counters { stats: stats.clone(), prefix: String::new() };
        if input.settings.decode_threads > 0 && input.settings.decoders.is_empty() {
            let text = format!("input `{}`: `decode_threads` without a `decoder`; name one", input.name);
            self.faults.add(&input.position, text);
        }
        let splitter = splitter(input, self.config.host.message_bytes_max, &mut self.faults);
        let spec = self.instance(Kind::Input, input, counters, &OutputNames::default());
        let decoders = self.decoders(input, &stats);
        Some(InputBlueprint {
            config: input.clone(),
            spec: spec?,
            splitter: splitter?,
            decoders: decoders?,
            stats,
        })
    }

    fn output(&mut self, output: &OutputConfig) -> Option<OutputBlueprint> {
        let stats = self.known.stats.output(&output.name);
        let counters = Counters { stats: stats.clone(), prefix: String::new() };
        let spec = self.instance(Kind::Output, output, counters, &OutputNames::default());
        let encoder = output.settings.encoder.as_ref();
        let encoder = encoder.map(|name| self.encoder(name, output, stats.clone()));
        let queue_dir = state_dir(&self.config.host.state_dir, "queue", &output.name);
        Some(OutputBlueprint {
            config: output.clone(),
            spec: spec?,
            encoder: lift(encoder)?,
            queue_dir,
            stats,
        })
    }

    /// An encoder: a section, or a plugin that needs none.
    fn encoder(
        &mut self,
        name: &Located<String>,
        output: &OutputConfig,
        stats: Arc<OutputStats>,
    ) -> Option<InstanceSpec> {
        let counters = Counters { stats, prefix: name.value.clone() };
        match self.config.encoder(&name.value) {
            Some(section) => self.instance(Kind::Encoder, section, counters, &OutputNames::default()),
            None => self.bare(Kind::Encoder, name, &format!("output `{}`", output.name), counters),
        }
    }

    /// A decoder or encoder without a section.
    pub(super) fn bare(
        &mut self,
        kind: Kind,
        name: &Located<String>,
        user: &str,
        counters: Counters,
    ) -> Option<InstanceSpec> {
        let found = match self.registry.find(kind, &name.value) {
            Ok(plugin) => plugin,
            Err(problem) => {
                self.faults.add(&name.position, format!("{user}: {problem}"));
                return None;
            }
        };
        let options = Node::table(Vec::new(), &name.position);
        let who = format!("{user}: {} `{}`", kind.name(), name.value);
        self.spec(&found, &name.value, &options, &name.position, &[], &who, counters, &OutputNames::default())
    }

    fn chain(&mut self, chain: &ChainConfig) -> Option<ChainBlueprint> {
        let stats = self.known.stats.chain(&chain.name);
        let matcher = self.matcher(chain);
        let index = |name: &str| self.config.outputs.iter().position(|output| output.name == name);
        let named: Vec<usize> = chain.outputs.iter().filter_map(|output| index(&output.value)).collect();
        if named.len() > MARKS_MAX {
            let text = format!("chain `{}`: at most {MARKS_MAX} outputs", chain.name);
            self.faults.add(&chain.position, text);
        }
        let marks = self.marks(chain, &named);
        if named.len() <= MARKS_MAX && (marks.start.count_ones() as usize) < named.len() {
            let text = format!("chain `{}`: too many outputs came and went; restart the host", chain.name);
            self.faults.add(&chain.position, text);
        }
        let names = OutputNames::new(marks.names.clone());
        let mut filters = Vec::new();
        for filter in chain.filters.iter().filter_map(|name| self.config.filter(&name.value)) {
            let counters = Counters { stats: stats.clone(), prefix: filter.name.clone() };
            filters.push((filter.clone(), self.instance(Kind::Filter, filter, counters, &names)?));
        }
        Some(ChainBlueprint { config: chain.clone(), matcher, filters, named, marks, stats })
    }

    /// Gives each output that the chain's filters may mark a bit, and those that had one the same as before.
    fn marks(&self, chain: &ChainConfig, named: &[usize]) -> Marks {
        let outputs = &self.config.outputs;
        let index = |name: &String| outputs.iter().position(|output| output.name == *name);
        let known = self.known.marks.get(&chain.name);
        let bits = known.into_iter().flatten().map(index).collect();
        let mut marks = Marks { outputs: bits, ..Marks::default() };
        for &output in named {
            let is_its = |&bit: &usize| marks.outputs[bit] == Some(output) && marks.start & 1 << bit == 0;
            let bit = (0..marks.outputs.len()).find(is_its).or_else(|| marks.add(output));
            marks.start |= bit.map_or(0, |bit| 1 << bit);
        }
        for output in 0..outputs.len() {
            if !marks.outputs.contains(&Some(output)) {
                marks.add(output);
            }
        }
        let name = |output: &Option<usize>| output.map_or(String::new(), |index| outputs[index].name.clone());
        marks.names = marks.outputs.iter().map(name).collect();
        marks
    }

    fn matcher(&mut self, chain: &ChainConfig) -> Option<Matcher> {
        if let Some(text) = &chain.matcher {
            return self.parsed(text, &format!("chain `{}`", chain.name));
        }
        let types: Vec<String> = chain.message_type.iter().map(|name| quoted(&name.value)).collect();
        if types.is_empty() {
            return Matcher::parse("TRUE").ok();
        }
        Matcher::parse(&format!("Type IN ({})", types.join(", "))).ok()
    }

    /// Parses a matcher; what is wrong with it becomes a fault.
    pub(super) fn parsed(&mut self, text: &Located<String>, who: &str) -> Option<Matcher> {
        let error = match Matcher::parse(&text.value) {
            Ok(matcher) => return Some(matcher),
            Err(error) => error,
        };
        let (text_line, column) = (error.line(), error.column());
        let place = if text_line == 1 { String::new() } else { format!("line {text_line}, ") };
        let (what, hint) = error.message().split_once("; ").unwrap_or((error.message(), ""));
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        let reason = format!("{what} at {place}column {column}{}", hint.trim_end_matches('?'));
        let shown = error.to_string();
        let excerpt = shown.split_once('\n').map_or("", |(_, excerpt)| excerpt);
        self.faults.add_with_excerpt(&text.position, format!("{who}: matcher: {reason}"), excerpt);
        None
    }

    /// Filters that no chain uses are checked as well.
    fn unused_filters(&mut self) {
        let used = |name: &str| {
            self.config.chains.iter().any(|chain| chain.filters.iter().any(|filter| filter.value == name))
        };
        let unused: Vec<_> = self.config.filters.iter().filter(|filter| !used(&filter.name)).collect();
        let names = self.config.outputs.iter().map(|output| output.name.clone()).collect();
        let names = OutputNames::new(names);
        for filter in unused {
            let counters = Counters { stats: ChainStats::new(""), prefix: String::new() };
            self.instance(Kind::Filter, filter, counters, &names);
        }
    }

    pub(super) fn instance<S>(
        &mut self,
        kind: Kind,
        instance: &InstanceConfig<S>,
        counters: Counters,
        outputs: &OutputNames,
    ) -> Option<InstanceSpec> {
        let who = format!("{} `{}`", kind.name(), instance.name);
        let name = &instance.plugin;
        let found = match &name.file {
            Some(file) => self.registry.find_in_file(file, kind, &name.name),
            None => self.registry.find(kind, &name.name),
        };
        match found {
            Ok(found) => {
                let keys = &instance.host_keys;
                self.spec(
                    &found,
                    &instance.name,
                    &instance.options,
                    &instance.position,
                    keys,
                    &who,
                    counters,
                    outputs,
                )
            }
            Err(problem) => {
                self.faults.add(&name.position, format!("{who}: {problem}"));
                None
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what an instance is made of")]
    fn spec(
        &mut self,
        plugin: &Plugin,
        name: &str,
        options: &Node,
        position: &Position,
        host_keys: &[&str],
        who: &str,
        counters: Counters,
        outputs: &OutputNames,
    ) -> Option<InstanceSpec> {
        if !check_options(options, &plugin.metadata, host_keys, who, &mut self.faults) {
            return None;
        }
        let section = match rmp_serde::to_vec_named(options) {
            Ok(section) => section,
            Err(error) => {
                self.faults.add(position, format!("{who}: {error}"));
                return None;
            }
        };
        let kind = plugin.metadata.kind.name();
        let spec = InstanceSpec {
            table: plugin.table,
            is_static: plugin.is_static(),
            name: name.to_owned(),
            hostname: self.hostname.to_owned(),
            state_dir: state_dir(&self.config.host.state_dir, kind, name),
            section,
            counters,
            outputs: outputs.clone(),
        };
        let found = spec.check();
        for (key, reason) in &found {
            let (place, text) = match key.as_str() {
                "" => (position, format!("{who}: {reason}")),
                key => (&options.at_path(key).position, format!("{who}: `{key}`: {reason}")),
            };
            self.faults.add(place, text);
        }
        found.is_empty().then_some(spec)
    }
}

impl Marks {
    /// Gives an output a bit that no output had; when there is none left, one whose output is gone.
    fn add(&mut self, output: usize) -> Option<usize> {
        let bit = match self.outputs.len() {
            len if len < MARKS_MAX => len,
            _ => self.outputs.iter().position(Option::is_none)?,
        };
        self.outputs.resize(self.outputs.len().max(bit + 1), None);
        self.outputs[bit] = Some(output);
        Some(bit)
    }
}

/// Where the built-in queue of dead letters is.
pub(crate) fn dead_letters_dir(state_dir: &Path) -> std::path::PathBuf {
    std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned()).join("dead_letters")
}

/// Where an instance keeps its files.
fn state_dir(state_dir: &Path, kind: &str, name: &str) -> std::path::PathBuf {
    let absolute = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    absolute.join(format!("{kind}s")).join(name)
}

/// A part that was asked for but is at fault makes the whole faulty; one that wasn't asked for doesn't.
fn lift<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(None) => None,
        Some(Some(part)) => Some(Some(part)),
        None => Some(None),
    }
}

/// A text literal of the matcher.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\""))
}
