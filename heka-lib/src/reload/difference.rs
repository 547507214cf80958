//! Finds what a new blueprint changes of what runs.

use crate::build::{
    Blueprint, ChainBlueprint, InputBlueprint, OutputBlueprint, Running, RunningChain, RunningInput,
    RunningOutput,
};
use crate::config::FilterConfig;
use crate::instance::InstanceSpec;
use crate::stage::decoder::DecoderPlan;

/// What changes of an output that stays.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct OutputDifference {
    pub(super) plugin: bool,
    pub(super) encoder: bool,
    pub(super) settings: bool,
}

/// What changes of an input that stays.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct InputDifference {
    pub(super) plugin: bool,
    pub(super) decoder: bool,
    /// What messages get that the decoder doesn't set, and what becomes of undecodable ones.
    pub(super) intake: bool,
    pub(super) splitter: bool,
    pub(super) ticker: bool,
}

/// What a filter of a chain was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FilterDifference {
    /// The same, at this place.
    Kept(usize),
    /// Another one of the same name, at this place.
    Replaced(usize),
    Added,
}

impl OutputDifference {
    pub(super) fn between(old: &RunningOutput, new: &OutputBlueprint) -> OutputDifference {
        let old = &old.blueprint;
        let (was, is) = (&old.config.settings, &new.config.settings);
        OutputDifference {
            plugin: !old.spec.is_same(&new.spec),
            encoder: !is_same(old.encoder.as_ref(), new.encoder.as_ref()),
            settings: was.retry != is.retry || was.ticker_interval != is.ticker_interval,
        }
    }

    pub(super) fn is_none(self) -> bool {
        self == OutputDifference::default()
    }
}

impl InputDifference {
    pub(super) fn between(old: &RunningInput, new: &InputBlueprint) -> InputDifference {
        let old = &old.blueprint;
        let (was, is) = (&old.config.settings, &new.config.settings);
        let splits = |one: &crate::config::InputSettings| (one.frame_bytes_max, one.frame_overflow);
        let fills = |one: &crate::config::InputSettings| {
            (one.message_type.clone(), one.hostname.clone(), one.on_decode_error, one.decode_threads)
        };
        InputDifference {
            plugin: !old.spec.is_same(&new.spec),
            decoder: !are_same(&old.decoders, &new.decoders),
            intake: fills(was) != fills(is) || old.config.plugin.name != new.config.plugin.name,
            splitter: was.splitter != is.splitter || splits(was) != splits(is),
            ticker: was.ticker_interval != is.ticker_interval,
        }
    }

    pub(super) fn is_none(self) -> bool {
        self == InputDifference::default()
    }

    /// Whether it decodes in another way.
    pub(super) fn is_intake(self) -> bool {
        self.decoder || self.intake
    }
}

fn is_same(old: Option<&InstanceSpec>, new: Option<&InstanceSpec>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => old.name == new.name && old.is_same(new),
        (None, None) => true,
        _ => false,
    }
}

fn are_same(old: &[DecoderPlan], new: &[DecoderPlan]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.is_same(new))
}

/// Finds for each new filter of a chain what it was before.
pub(super) fn filters(
    old: &[(FilterConfig, InstanceSpec)],
    new: &[(FilterConfig, InstanceSpec)],
) -> Vec<FilterDifference> {
    let mut free = vec![true; old.len()];
    let mut difference = |(config, spec): &(FilterConfig, InstanceSpec)| {
        let is_it = |&index: &usize| free[index] && old[index].0.name == config.name;
        let Some(index) = (0..old.len()).find(is_it) else { return FilterDifference::Added };
        free[index] = false;
        match old[index].1.is_same(spec) {
            true => FilterDifference::Kept(index),
            false => FilterDifference::Replaced(index),
        }
    };
    new.iter().map(&mut difference).collect()
}

/// Tells whether a chain with a stage needs to know something new.
pub(super) fn is_chain_changed(old: &RunningChain, new: &ChainBlueprint) -> bool {
    let old = &old.blueprint;
    let kept = (0..old.filters.len()).map(FilterDifference::Kept);
    let settings = |(config, _): &(FilterConfig, InstanceSpec)| config.settings.clone();
    !filters(&old.filters, &new.filters).into_iter().eq(kept)
        || !old.filters.iter().map(settings).eq(new.filters.iter().map(settings))
        || old.marks.names != new.marks.names
        || old.marks.start != new.marks.start
}

/// Tells whether messages find their ways by another plan.
pub(super) fn are_routes_changed(old: &Running, new: &Blueprint) -> bool {
    let outputs = |name: &str| new.outputs.iter().any(|output| output.config.name == name);
    let is_chain = |(old, new): (&RunningChain, &ChainBlueprint)| old.blueprint.config == new.config;
    old.outputs.len() != new.outputs.len()
        || !old.outputs.iter().all(|output| outputs(&output.blueprint.config.name))
        || old.chains.len() != new.chains.len()
        || !old.chains.iter().zip(&new.chains).all(is_chain)
}
