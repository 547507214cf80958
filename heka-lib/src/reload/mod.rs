//! Goes over to another config while the router runs.
//!
//! The stages' threads are what stays. In this order:
//!
//! 1. the new config is checked, and compared with what runs;
//! 2. new instances are opened, and what is new is started: nothing that runs has changed yet;
//! 3. outputs and inputs that changed are asked to go over to their new instances, then chains. When one refuses,
//!    those that had gone over go back;
//! 4. routes are exchanged, and what was removed is told to end once it has done what it has.

mod asking;
mod commit;
mod difference;
mod exchange;
mod fixed;
mod reloaded;

use crate::build::{Blueprint, Common, Draft, Known, Running};
use crate::config::{Config, Faults};
use crate::control::Answer;
use crate::plugin::Registry;
use crate::stage::input::InputCommand;
use crate::stage::takeover::InputChange;
use std::collections::HashSet;

pub use reloaded::{Change, Reloaded};

/// # Errors
/// Why everything goes on as before.
pub(crate) fn reload(
    common: &Common,
    running: &mut Running,
    config: &Config,
    registry: &Registry,
) -> Result<Reloaded, Faults> {
    let blueprint = draft(common, running, config, registry)?;
    let mut ways = std::mem::take(&mut running.ways);
    let known: HashSet<String> = ways.keys().cloned().collect();
    let waiting = take_waiting(running);
    let exchanged = exchange::exchange(common, running, config, &blueprint, &mut ways);
    running.ways = ways;
    match exchanged {
        Ok(exchanged) => {
            Ok(commit::commit(common, running, config, blueprint, exchanged, !waiting.is_empty()))
        }
        Err(faults) => {
            // Ways of what was not added after all would keep outputs alive.
            running.ways.retain(|who, _| known.contains(who));
            waiting.into_iter().for_each(|input| route_again(running, input));
            Err(faults)
        }
    }
}

fn draft(
    common: &Common,
    running: &Running,
    config: &Config,
    registry: &Registry,
) -> Result<Blueprint, Faults> {
    let mut faults = Faults::new();
    fixed::check_host(&running.host, &config.host, &mut faults);
    let with_stage = running.chains.iter().filter(|chain| chain.stage.is_some());
    let marks =
        with_stage.map(|chain| (chain.blueprint.config.name.clone(), chain.blueprint.marks.names.clone()));
    let known = Known { stats: common.stats.clone(), marks: marks.collect() };
    let blueprint = match Draft::new(config, registry, &common.around.hostname, &known).blueprint() {
        Ok(blueprint) => blueprint,
        Err(more) => {
            faults.extend(more);
            return Err(faults);
        }
    };
    for new in &blueprint.outputs {
        let is_it = |old: &&crate::build::RunningOutput| old.blueprint.config.name == new.config.name;
        if let Some(old) = running.outputs.iter().find(is_it) {
            fixed::check_queue(old, new, &mut faults);
        }
    }
    faults.into_result(blueprint)
}

/// Takes back what inputs were told before and have not looked at yet: only routes may be left at a stage.
fn take_waiting(running: &Running) -> Vec<usize> {
    let waits = |&index: &usize| running.inputs[index].control.take_back().is_some();
    (0..running.inputs.len()).filter(waits).collect()
}

/// Leaves the routes that hold with an input once more.
fn route_again(running: &Running, input: usize) {
    let (answer, _) = Answer::new();
    let routes = Some(running.plan.clone());
    let change = InputChange { plugin: None, intake: None, routes, settings: None, answer };
    running.inputs[input].control.put(InputCommand::Change(Box::new(change)));
}
