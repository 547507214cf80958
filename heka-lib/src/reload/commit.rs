//! Step 4 of a reload: routes are exchanged, and what was removed ends. Nothing here fails.

use super::asking;
use super::difference::{FilterDifference, InputDifference, OutputDifference, filters};
use super::exchange::{Exchanged, Fate};
use super::reloaded::{Change, Reloaded};
use crate::build::{
    Blueprint, Builder, ChainBlueprint, Common, InputBlueprint, OutputBlueprint, Running, RunningChain,
    RunningInput, RunningOutput,
};
use crate::config::Config;
use crate::control::{Answer, Answered};
use crate::outlet::Outlet;
use crate::routes::RoutePlan;
use crate::stage::chain::{ChainChange, FilterChange};
use crate::stage::input::InputCommand;
use crate::stage::takeover::InputChange;
use std::time::Duration;

/// How long stages may take to go over to their new routes before the reload goes on without waiting for them.
const ROUTES_MAX: Duration = Duration::from_secs(2);

/// With `reroute`, inputs get their routes also if those didn't change.
pub(super) fn commit(
    common: &Common,
    running: &mut Running,
    config: &Config,
    blueprint: Blueprint,
    exchanged: Exchanged,
    reroute: bool,
) -> Reloaded {
    let mut reloaded = Reloaded::default();
    let Exchanged { outlets, plan, routes_changed, outputs, inputs, chains } = exchanged;
    let routes = (routes_changed || reroute).then_some(&plan);
    let mut waiting: Vec<(String, Answered)> = Vec::new();
    if let Some(plan) = routes {
        waiting.push(("the injection stage".to_owned(), common.lane.set_routes(plan.clone())));
    }
    let old = std::mem::take(&mut running.inputs);
    let (inputs, gone) = take(old, inputs, blueprint.inputs, |stays, input, new| match stays {
        None => added(&mut reloaded, "input", &new.config.name, input),
        Some(difference) => {
            let routes = routes.filter(|_| !difference.is_intake());
            let answered = routes.and_then(|plan| reroute_input(&input, plan));
            waiting.extend(answered.map(|answered| (format!("input `{}`", new.config.name), answered)));
            note_input(&mut reloaded, difference, &new);
            RunningInput { blueprint: new, ..input }
        }
    });
    for input in gone {
        input.control.put(InputCommand::End);
        reloaded.note(format!("input `{}`", input.blueprint.config.name), Change::Removed);
        running.leaving.inputs.push((input.stop_slot, input.abandon));
    }
    let old = std::mem::take(&mut running.chains);
    let names: Vec<String> = old.iter().map(|chain| chain.blueprint.config.name.clone()).collect();
    let (chains, gone) = take(old, chains, blueprint.chains, |stays, chain, new| {
        let is_new = !names.contains(&new.config.name);
        match stays {
            None if is_new => added(&mut reloaded, "chain", &new.config.name, chain),
            None => {
                reloaded.note(format!("chain `{}`", new.config.name), Change::Adjusted);
                chain
            }
            Some(changed) => go_on_chain(&mut reloaded, chain, new, changed, &running.outputs),
        }
    });
    for chain in &gone {
        retire(chain, &running.outputs);
        let name = &chain.blueprint.config.name;
        if !config.chains.iter().any(|chain| chain.name == *name) {
            reloaded.note(format!("chain `{name}`"), Change::Removed);
        }
    }
    let old = std::mem::take(&mut running.outputs);
    let (outputs, gone) = take(old, outputs, blueprint.outputs, |stays, output, new| match stays {
        None => added(&mut reloaded, "output", &new.config.name, output),
        Some(difference) => {
            note_output(&mut reloaded, difference, &new);
            RunningOutput { blueprint: new, ..output }
        }
    });
    for output in gone {
        reloaded.note(format!("output `{}`", output.blueprint.config.name), Change::Removed);
        output.queue.retire();
        running.leaving.outputs.push((output.stop_slot, output.queue.waker()));
    }
    (running.inputs, running.chains, running.outputs) = (inputs, chains, outputs);
    (running.plan, running.host) = (plan, config.host.clone());
    let mut builder = Builder::new(common, config, &mut running.ways, outlets);
    builder.point_ways();
    running.leaving.forget_ended();
    common.stats.set_stages(running.stats());
    common.around.stop.call();
    for (who, answered) in waiting {
        if asking::wait(&answered, ROUTES_MAX, &common.around.stop).is_none() {
            reloaded.waiting.push(who);
        }
    }
    reloaded
}

/// Puts the parts of what runs in the order of the new config; returns those that are gone, too.
fn take<R, D, B>(
    old: Vec<R>,
    fates: Vec<Fate<R, D>>,
    blueprints: Vec<B>,
    mut go_on: impl FnMut(Option<D>, R, B) -> R,
) -> (Vec<R>, Vec<R>) {
    let mut old: Vec<Option<R>> = old.into_iter().map(Some).collect();
    let mut now = Vec::new();
    for (fate, blueprint) in fates.into_iter().zip(blueprints) {
        let (stays, part) = match fate {
            Fate::Stays(index, difference) => (Some(difference), old.get_mut(index).and_then(Option::take)),
            Fate::Added(part) => (None, Some(part)),
        };
        now.extend(part.map(|part| go_on(stays, part, blueprint)));
    }
    (now, old.into_iter().flatten().collect())
}

fn added<R>(reloaded: &mut Reloaded, kind: &str, name: &str, part: R) -> R {
    reloaded.note(format!("{kind} `{name}`"), Change::Added);
    part
}

/// Leaves new routes with an input; returns where it answers, unless it has ended.
fn reroute_input(input: &RunningInput, plan: &RoutePlan) -> Option<Answered> {
    let (answer, answered) = Answer::new();
    let routes = Some(plan.clone());
    let change = InputChange { plugin: None, intake: None, routes, settings: None, answer };
    input.control.put(InputCommand::Change(Box::new(change))).then_some(answered)
}

fn note_input(reloaded: &mut Reloaded, difference: InputDifference, new: &InputBlueprint) {
    let who = format!("input `{}`", new.config.name);
    for decoder in new.decoders.iter().filter(|_| difference.decoder) {
        reloaded.note(format!("decoder `{}` of {who}", decoder.spec.name), Change::Replaced);
    }
    let change = match difference {
        InputDifference { plugin: true, .. } => Change::Replaced,
        difference if difference.is_none() => Change::Kept,
        _ => Change::Adjusted,
    };
    reloaded.note(who, change);
}

fn note_output(reloaded: &mut Reloaded, difference: OutputDifference, new: &OutputBlueprint) {
    let who = format!("output `{}`", new.config.name);
    if let (true, Some(encoder)) = (difference.encoder, &new.encoder) {
        reloaded.note(format!("encoder `{}` of {who}", encoder.name), Change::Replaced);
    }
    let change = match difference {
        OutputDifference { plugin: true, .. } => Change::Replaced,
        difference if difference.is_none() => Change::Kept,
        _ => Change::Adjusted,
    };
    reloaded.note(who, change);
}

/// Goes on with a chain that was there before. `changed` tells whether its stage has gone over to something new.
fn go_on_chain(
    reloaded: &mut Reloaded,
    old: RunningChain,
    mut new: ChainBlueprint,
    changed: bool,
    outputs: &[RunningOutput],
) -> RunningChain {
    let who = format!("chain `{}`", new.config.name);
    let stage = match &old.stage {
        Some(_) if new.filters.is_empty() => {
            retire(&old, outputs);
            None
        }
        stage => stage.clone(),
    };
    let was = &old.blueprint.filters;
    let differences = filters(was, &new.filters);
    for ((config, spec), difference) in new.filters.iter_mut().zip(&differences) {
        let change = match difference {
            FilterDifference::Kept(index) => {
                // It looks names of outputs up where it always did.
                spec.outputs = was[*index].1.outputs.clone();
                spec.outputs.set(new.marks.names.clone());
                if was[*index].0.settings == config.settings { Change::Kept } else { Change::Adjusted }
            }
            FilterDifference::Replaced(_) => Change::Replaced,
            FilterDifference::Added => Change::Added,
        };
        reloaded.note(format!("filter `{}` of {who}", config.name), change);
    }
    let stays = |index: &usize| {
        let is_it = |difference: &FilterDifference| matches!(difference, FilterDifference::Kept(kept) | FilterDifference::Replaced(kept) if kept == index);
        differences.iter().any(is_it)
    };
    for index in (0..was.len()).filter(|index| !stays(index)) {
        reloaded.note(format!("filter `{}` of {who}", was[index].0.name), Change::Removed);
    }
    let is_kept = !changed && old.blueprint.config == new.config;
    reloaded.note(who, if is_kept { Change::Kept } else { Change::Adjusted });
    RunningChain { blueprint: new, stage }
}

/// Tells the stage of a chain that was removed to let its tickers strike a last time at its end.
fn retire(chain: &RunningChain, outputs: &[RunningOutput]) {
    let Some(stage) = &chain.stage else { return };
    let filters = &chain.blueprint.filters;
    let keep = |(index, (config, _)): (usize, &(crate::config::FilterConfig, _))| {
        FilterChange::Keep(index, config.settings.clone())
    };
    let outlet = |name: &String| {
        let is_it = |output: &&RunningOutput| output.blueprint.config.name == *name;
        outputs.iter().find(is_it).map(|output| Outlet::Output(output.queue.clone()))
    };
    let (answer, _) = Answer::new();
    stage.control.put(ChainChange {
        filters: filters.iter().enumerate().map(keep).collect(),
        outlets: chain.blueprint.marks.names.iter().map(outlet).collect(),
        marks: chain.blueprint.marks.start,
        is_last: true,
        answer,
    });
    stage.sender.call();
}
