//! Builds a router back to front: outputs, chains, the injection stage, inputs.

mod blueprint;
mod builder;
mod decoders;
mod decoding;
mod routing;
mod running;
mod splitter;
mod threads;

use crate::arena::ArenaPool;
use crate::config::{Config, Faults};
use crate::dead_letter_store::DeadLetterStore;
use crate::plugin::Registry;
use crate::routes::Routes;
use crate::stage::injection::{InjectionStage, Lane};
use crate::stats::Stats;
use crate::stop::StopFlags;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub(crate) use blueprint::{Blueprint, ChainBlueprint, Draft, InputBlueprint, Known, OutputBlueprint};
pub(crate) use builder::{Builder, Outlets, Ready, Received};
pub(crate) use routing::route_plan;
pub(crate) use running::{
    DeadLetterWays, Leaving, Running, RunningChain, RunningChainStage, RunningInput, RunningOutput,
};
pub(crate) use threads::{Threads, Tier};

/// What a router runs with, beside its config.
pub(crate) struct Surroundings {
    pub(crate) hostname: String,
    pub(crate) once: bool,
    pub(crate) stop: StopFlags,
}

/// What all stages of a router share, as long as it runs.
pub(crate) struct Common {
    pub(crate) around: Surroundings,
    pub(crate) threads: Threads,
    pub(crate) stats: Arc<Stats>,
    pub(crate) lane: Lane,
    pub(crate) pool: ArenaPool,
    pub(crate) store: DeadLetterStore,
    /// Batches that are inside chains and the injection lane.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// Checks everything that can be checked without starting anything.
///
/// # Errors
/// All faults.
pub(crate) fn check(config: &Config, registry: &Registry, hostname: &str) -> Result<(), Faults> {
    Draft::new(config, registry, hostname, &Known::default()).blueprint().map(|_| ())
}

/// Builds and starts a router.
///
/// # Errors
/// All faults of the config; or the first instance that can't be opened or started.
pub(crate) fn build(
    config: &Config,
    registry: &Registry,
    around: Surroundings,
) -> Result<(Common, Running), Faults> {
    let blueprint = Draft::new(config, registry, &around.hostname, &Known::default()).blueprint()?;
    let (stats, in_flight) = (Arc::new(Stats::default()), Arc::new(AtomicUsize::new(0)));
    let mut ways = DeadLetterWays::new();
    let way = ways.entry(builder::LANE.to_owned()).or_default().clone();
    let (pool, threads) = (ArenaPool::default(), Threads::default());
    let host = &config.host;
    let store =
        DeadLetterStore::new(blueprint::dead_letters_dir(&host.state_dir), host.dead_letters_bytes_max);
    let (lane, lane_receiver) = Lane::new(
        host.inject_lane_bytes_max,
        u16::from(host.hops_max),
        stats.injection.clone(),
        builder::dead_letters(builder::LANE.to_owned(), way, &store, &pool, host),
        in_flight.clone(),
    );
    let common = Common { around, threads, stats, lane, pool, store, in_flight };

    let mut builder = Builder::new(&common, config, &mut ways, Vec::new());
    let queues: Vec<_> = blueprint.outputs.iter().filter_map(|output| builder.queue(output)).collect();
    let names = blueprint.outputs.iter().map(|output| output.config.name.clone());
    builder.set_outlets(names.zip(queues.iter().map(|(sender, _)| sender.clone())).collect());
    // Without its queue no output is made.
    std::mem::take(&mut builder.faults).into_result(())?;
    let outputs: Vec<_> = blueprint
        .outputs
        .into_iter()
        .zip(queues)
        .filter_map(|(output, way)| builder.output(output, way))
        .collect();
    let (plan, chains) = builder.chains(blueprint.chains);
    let routes = Routes::new(plan.clone());
    let stage = InjectionStage { receiver: lane_receiver, lane: common.lane.clone(), routes };
    builder.ready.push((Tier::Injection, "inject".to_owned(), Box::new(move || stage.run())));
    let inputs: Vec<_> =
        blueprint.inputs.into_iter().filter_map(|input| builder.input(input, &plan)).collect();
    builder.point_ways();
    let (ready, ready_inputs) = builder.take_ready()?;
    spawn(&common.threads, ready)?;
    spawn(&common.threads, ready_inputs)?;
    let host = config.host.clone();
    let running = Running { host, inputs, chains, outputs, plan, ways, leaving: Leaving::default() };
    common.stats.set_stages(running.stats());
    Ok((common, running))
}

/// Starts the threads of stages.
///
/// # Errors
/// The first one that the system doesn't start; those before it end by themselves.
pub(crate) fn spawn(threads: &Threads, ready: Vec<Ready>) -> Result<(), Faults> {
    for (tier, name, run) in ready {
        if let Err(error) = threads.spawn(tier, &name, run) {
            let mut faults = Faults::new();
            faults.add_unplaced(format!("failed to start a thread for `{name}`: {error}"));
            return Err(faults);
        }
    }
    Ok(())
}
