//! Checks that what the sections say about each other holds.

use std::path::Path;

use super::document::Document;
use super::faults::{Fault, Faults};
use super::model::{Config, ConfigOptions};
use super::position::{Located, Position};

/// Checks names between sections, and that there is something to run.
pub(super) fn check(config: &Config, document: &Document, options: ConfigOptions, faults: &mut Faults) {
    check_chains(config, faults);
    check_dead_letters(config, faults);
    check_decoders(config, faults);
    let name = &document.name;
    if config.inputs.is_empty() && !options.allow_no_inputs {
        missing(document, name, "inputs", "add a table [inputs.NAME]", faults);
    }
    if config.outputs.is_empty() {
        missing(document, name, "outputs", "add a table [outputs.NAME]", faults);
    }
    if config.chains.is_empty() {
        missing(document, name, "chains", "add a table [chains.default] with `outputs = [\"NAME\"]`", faults);
    }
}

fn missing(document: &Document, name: &Path, section: &str, what_to_do: &str, faults: &mut Faults) {
    // A section of the wrong type has its fault already.
    let is_wrong = document.root.get(section).is_some_and(|node| node.kind() != "a table");
    if !is_wrong {
        faults.add_unplaced(format!("{}: no {section}; {what_to_do}", name.display()));
    }
}

fn check_chains(config: &Config, faults: &mut Faults) {
    for chain in &config.chains {
        let who = format!("chain `{}`", chain.name);
        for filter in chain.filters.iter().filter(|filter| config.filter(&filter.value).is_none()) {
            let known = config.filters.iter().map(|filter| filter.name.as_str());
            faults.add_unknown_name(&filter.position, &who, "filter", &filter.value, known);
        }
        chain.outputs.iter().for_each(|output| check_output(config, &who, output, faults));
    }
}

fn check_output(config: &Config, who: &str, output: &Located<String>, faults: &mut Faults) {
    if config.output(&output.value).is_none() {
        let known = config.outputs.iter().map(|output| output.name.as_str());
        faults.add_unknown_name(&output.position, who, "output", &output.value, known);
    }
}

/// Checks that no decoder gets back what it made.
fn check_decoders(config: &Config, faults: &mut Faults) {
    for decoder in &config.decoders {
        for then in &decoder.settings.then {
            let mut seen = Vec::new();
            if leads_to(config, &then.decoder.value, &decoder.name, &mut seen) {
                let name = &decoder.name;
                let text = format!("decoder `{name}`: `then`: what `{name}` makes would come back to it");
                faults.add(&then.decoder.position, text);
            }
        }
    }
}

fn leads_to<'c>(config: &'c Config, from: &'c str, to: &str, seen: &mut Vec<&'c str>) -> bool {
    if from == to {
        return true;
    }
    if seen.contains(&from) {
        return false;
    }
    seen.push(from);
    let then = config.decoder(from).map_or(&[][..], |decoder| &decoder.settings.then);
    then.iter().any(|then| leads_to(config, &then.decoder.value, to, seen))
}

/// Checks that dead letters go to outputs that exist, and never come back to where they came from.
fn check_dead_letters(config: &Config, faults: &mut Faults) {
    if let Some(output) = &config.host.dead_letter {
        check_output(config, "[heka]: `dead_letter`", output, faults);
    }
    for output in &config.outputs {
        let Some(target) = &output.settings.dead_letter else { continue };
        let who = format!("output `{}`: `dead_letter`", output.name);
        check_output(config, &who, target, faults);
        if comes_back(config, &output.name, &target.value) {
            faults.add(
                &target.position,
                format!("{who}: what `{}` refuses would come back to it", output.name),
            );
        }
    }
}

fn comes_back(config: &Config, start: &str, target: &str) -> bool {
    let next = |name: &str| config.output(name).and_then(|output| output.settings.dead_letter.as_ref());
    let way = std::iter::successors(Some(target), |name| next(name).map(|target| target.value.as_str()));
    // A cycle that doesn't pass through `start` never ends, so no more steps than there are outputs.
    way.take(config.outputs.len()).any(|name| name == start)
}

/// Finds what is defined and not used.
pub(super) fn warnings(config: &Config) -> Vec<Fault> {
    let mut warnings = Faults::new();
    let uses = |names: &[Located<String>], name: &str| names.iter().any(|used| used.value == name);
    for filter in &config.filters {
        if !config.chains.iter().any(|chain| uses(&chain.filters, &filter.name)) {
            unused(&mut warnings, &filter.position, format!("filter `{}`: no chain uses it", filter.name));
        }
    }
    for output in &config.outputs {
        let takes_dead_letters = config
            .outputs
            .iter()
            .map(|output| &output.settings.dead_letter)
            .chain([&config.host.dead_letter])
            .any(|target| target.as_ref().is_some_and(|target| target.value == output.name));
        let in_chain = config.chains.iter().any(|chain| uses(&chain.outputs, &output.name));
        // Filters may mark outputs that their chain doesn't name; which ones, they say somewhere in their
        // options.
        let marked = config.filters.iter().any(|filter| filter.options.mentions(&output.name));
        if !in_chain && !takes_dead_letters && !marked {
            unused(&mut warnings, &output.position, format!("output `{}`: nothing uses it", output.name));
        }
    }
    for chain in &config.chains {
        if chain.filters.is_empty() && chain.outputs.is_empty() {
            let text = format!("chain `{}`: no filters and no outputs: its messages go nowhere", chain.name);
            unused(&mut warnings, &chain.position, text);
        }
    }
    warnings.iter().cloned().collect()
}

fn unused(warnings: &mut Faults, position: &Position, text: String) {
    warnings.add(position, text);
}
