//! Builds a router back to front: outputs, chains, the injection stage, inputs.

mod blueprint;
mod decoding;
mod splitter;
mod threads;

use crate::arena::ArenaPool;
use crate::batch::BatchLimits;
use crate::config::{Config, Faults, HostConfig, InputConfig, Located, QueueKind};
use crate::dead_letter::{DeadLetterPlan, DeadLetters};
use crate::dead_letter_store::DeadLetterStore;
use crate::instance::{FailureKind, Instance, InstanceSpec, Stopper};
use crate::outlet::{ChainSender, Outlet, ToChain};
use crate::plugin::Registry;
use crate::queue::{Keeper, Queue, QueueReceiver, QueueSender};
use crate::routes::{ChainRoute, RoutePlan, Routes, chain_tag};
use crate::stage::chain::{ChainPlan, ChainStage, FilterPlan};
use crate::stage::injection::{InjectionStage, Lane};
use crate::stage::input::{InputPlan, InputStage, StopSlot};
use crate::stage::output::{OutputPlan, OutputStage};
use crate::stats::{InjectionStats, Stats};
use crate::stop::StopFlags;
use crate::token::Abandon;
use blueprint::{Blueprint, ChainBlueprint, Draft, InputBlueprint, OutputBlueprint, dead_letters_dir};
use crossbeam_channel::bounded;
use heka_matcher::{Matcher, MatcherSet};
use heka_queue::DiskQueue;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

pub(crate) use threads::{Threads, Tier};

/// Batches that a channel holds.
const CHANNEL_BATCHES: usize = 8;
/// Room in a record beyond the payload that `message_bytes_max` allows: header, names, fields.
const RECORD_OVERHEAD_BYTES: usize = 64 << 10;

/// What a router runs with, beside its config.
pub(crate) struct Surroundings {
    pub(crate) hostname: String,
    pub(crate) once: bool,
    pub(crate) stop: StopFlags,
}

/// A router that has been built and runs.
pub(crate) struct Built {
    pub(crate) threads: Threads,
    pub(crate) stats: Arc<Stats>,
    pub(crate) lane: Lane,
    pub(crate) pool: ArenaPool,
    pub(crate) store: DeadLetterStore,
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) chains: Vec<ChainSender>,
    pub(crate) outputs: Vec<QueueSender>,
    pub(crate) input_stops: Vec<StopSlot>,
    pub(crate) abandons: Vec<Abandon>,
    pub(crate) output_stops: Vec<StopSlot>,
}

/// Checks everything that can be checked without starting anything.
///
/// # Errors
/// All faults.
pub(crate) fn check(config: &Config, registry: &Registry, hostname: &str) -> Result<(), Faults> {
    Draft::new(config, registry, hostname).blueprint().map(|_| ())
}

/// Builds and starts a router.
///
/// # Errors
/// All faults of the config; or the first instance that can't be opened or started.
pub(crate) fn build(config: &Config, registry: &Registry, around: &Surroundings) -> Result<Built, Faults> {
    let blueprint = Draft::new(config, registry, &around.hostname).blueprint()?;
    let (pool, faults) = (ArenaPool::default(), Faults::new());
    let store =
        DeadLetterStore::new(dead_letters_dir(&config.host.state_dir), config.host.dead_letters_bytes_max);
    Builder { host: &config.host, last_resorts: last_resorts(config), around, pool, store, faults }
        .build(blueprint)
}

struct Builder<'b> {
    host: &'b HostConfig,
    last_resorts: Vec<String>,
    around: &'b Surroundings,
    pool: ArenaPool,
    store: DeadLetterStore,
    faults: Faults,
}

/// A stage that is ready to run.
type Ready = (Tier, String, Box<dyn FnOnce() + Send>);

impl Builder<'_> {
    fn build(mut self, blueprint: Blueprint) -> Result<Built, Faults> {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let injection = InjectionStats::new("");
        let mut stats = Stats { injection: injection.clone(), ..Stats::default() };
        let mut ready: Vec<Ready> = Vec::new();
        let (outputs, output_stops) = self.outputs(blueprint.outputs, &mut stats, &mut ready);
        let dead_letters = self.dead_letters("the injection lane".to_owned(), None, &outputs);
        let (lane, lane_receiver) = Lane::new(
            self.host.inject_lane_bytes_max,
            u16::from(self.host.hops_max),
            injection,
            dead_letters,
            in_flight.clone(),
        );
        let (plan, chains) =
            self.chains(blueprint.chains, &outputs, &lane, &in_flight, &mut stats, &mut ready);
        let stage =
            InjectionStage { receiver: lane_receiver, lane: lane.clone(), routes: Routes::new(plan.clone()) };
        ready.push((Tier::Injection, "inject".to_owned(), Box::new(move || stage.run())));
        let (input_stops, abandons) = self.inputs(blueprint.inputs, &plan, &outputs, &mut stats, &mut ready);
        drop(plan);
        let Builder { pool, store, faults, .. } = self;
        faults.into_result(())?;
        let mut threads = Threads::default();
        for (tier, name, run) in ready {
            if let Err(error) = threads.spawn(tier, &name, run) {
                let mut faults = Faults::new();
                faults.add_unplaced(format!("failed to start a thread for `{name}`: {error}"));
                return Err(faults);
            }
        }
        Ok(Built {
            threads,
            stats: Arc::new(stats),
            lane,
            pool,
            store,
            in_flight,
            chains,
            outputs: outputs.into_iter().map(|(_, outlet)| outlet).collect(),
            input_stops,
            abandons,
            output_stops,
        })
    }

    fn outputs(
        &mut self,
        blueprints: Vec<OutputBlueprint>,
        stats: &mut Stats,
        ready: &mut Vec<Ready>,
    ) -> (Vec<(String, QueueSender)>, Vec<StopSlot>) {
        let mut receivers = Vec::new();
        let mut outlets = Vec::new();
        for output in &blueprints {
            let Some((sender, receiver)) = self.queue(output, ready) else { continue };
            receivers.push(receiver);
            outlets.push((output.config.name.clone(), sender));
            stats.outputs.push(output.stats.clone());
        }
        if !self.faults.is_empty() {
            return (outlets, Vec::new());
        }
        let mut stops = Vec::new();
        for (output, receiver) in blueprints.into_iter().zip(receivers) {
            let who = format!("output `{}`", output.config.name);
            let Some((instance, started, slot)) = self.start(&who, &output.spec, &output.config.position)
            else {
                continue;
            };
            let encoder = match output.encoder {
                None => None,
                Some(spec) => {
                    let who = format!("{who}: encoder `{}`", spec.name);
                    let Some((instance, ..)) = self.start(&who, &spec, &output.config.position) else {
                        continue;
                    };
                    Some((spec, instance))
                }
            };
            let settings = output.config.settings;
            stops.push(slot.clone());
            let stage = OutputStage::new(OutputPlan {
                dead_letters: self.dead_letters(who, settings.dead_letter.as_ref(), &outlets),
                name: output.config.name.clone(),
                spec: output.spec,
                instance,
                started,
                encoder,
                queue: receiver,
                retry: settings.retry,
                ticker: settings.ticker_interval,
                stats: output.stats,
                stop: self.around.stop.clone(),
                stop_slot: slot,
            });
            ready.push((Tier::Output, format!("out {}", output.config.name), Box::new(move || stage.run())));
        }
        (outlets, stops)
    }

    /// Makes an output's queue; a durable one has a thread that keeps it.
    fn queue(
        &mut self,
        output: &OutputBlueprint,
        ready: &mut Vec<Ready>,
    ) -> Option<(QueueSender, QueueReceiver)> {
        let config = &output.config.settings.queue;
        let disk = match config.kind {
            QueueKind::Memory => None,
            _ => Some(self.disk_queue(output)?),
        };
        let (name, stop) = (&output.config.name, self.around.stop.clone());
        let (sender, receiver, keeper) = Queue::new(name, config, output.stats.clone(), stop, disk);
        if let Some(mut keeper) = keeper {
            if let Err(error) = keeper.prepare(&self.pool) {
                self.faults.add(&output.config.position, format!("output `{name}`: queue: {error}"));
                return None;
            }
            ready.push((Tier::Output, format!("queue {name}"), Box::new(move || Keeper::run(keeper))));
        }
        Some((sender, receiver))
    }

    /// Opens the queue's directory; damage in it is mended, moved aside and told, never a reason not to start.
    fn disk_queue(&mut self, output: &OutputBlueprint) -> Option<DiskQueue> {
        let name = &output.config.name;
        match DiskQueue::open(&output.queue_dir, &output.config.settings.queue.disk_options()) {
            Ok((disk, recovery)) => {
                if recovery.messages > 0 || recovery.blocks_quarantined > 0 || recovery.bytes_torn > 0 {
                    log::info!("output `{name}`: queue: {recovery}");
                }
                output.stats.queued_at_start.add(recovery.messages as usize);
                Some(disk)
            }
            Err(error) => {
                self.faults.add(&output.config.position, format!("output `{name}`: queue: {error}"));
                None
            }
        }
    }

    /// Makes the chains that have filters into stages, and everything that a router needs to know of all.
    fn chains(
        &mut self,
        blueprints: Vec<ChainBlueprint>,
        outputs: &[(String, QueueSender)],
        lane: &Lane,
        in_flight: &Arc<AtomicUsize>,
        stats: &mut Stats,
        ready: &mut Vec<Ready>,
    ) -> (RoutePlan, Vec<ChainSender>) {
        let mut outlets: Vec<Outlet> =
            outputs.iter().map(|(_, queue)| Outlet::Output(queue.clone())).collect();
        let mut chain_senders = Vec::new();
        let (mut matchers, mut routes, mut default) = (Vec::<Matcher>::new(), Vec::new(), None);
        for chain in blueprints {
            stats.chains.push(chain.stats.clone());
            let tag = chain_tag(&chain.name);
            let matcher = chain.matcher.clone().filter(|_| !chain.is_default);
            let route = if chain.filters.is_empty() {
                let named = chain.outputs[..chain.named_outputs].to_vec();
                ChainRoute { tag, outlets: named, stats: Some(chain.stats) }
            } else {
                let (sender, receiver) = bounded(CHANNEL_BATCHES);
                let sender = ChainSender { sender, stats: chain.stats.clone(), in_flight: in_flight.clone() };
                chain_senders.push(sender.clone());
                outlets.push(Outlet::Chain(sender));
                let name = format!("chain {}", chain.name);
                if let Some(plan) = self.chain(chain, receiver, outputs, lane, in_flight) {
                    let stage = ChainStage::new(plan);
                    ready.push((Tier::Chain, name, Box::new(move || stage.run())));
                }
                ChainRoute { tag, outlets: vec![outlets.len() - 1], stats: None }
            };
            match matcher {
                Some(matcher) => {
                    matchers.push(matcher);
                    routes.push(route);
                }
                None => default = Some(route),
            }
        }
        let matchers = MatcherSet::new(matchers);
        let (limits, linger) = (self.limits(), self.host.batch_linger);
        (RoutePlan { matchers, chains: routes, default, outlets, limits, linger }, chain_senders)
    }

    fn chain(
        &mut self,
        chain: ChainBlueprint,
        receiver: crossbeam_channel::Receiver<ToChain>,
        outputs: &[(String, QueueSender)],
        lane: &Lane,
        in_flight: &Arc<AtomicUsize>,
    ) -> Option<ChainPlan> {
        let mut filters = Vec::new();
        for (config, spec) in chain.filters {
            let who = format!("filter `{}`", config.name);
            let (instance, started, _) = self.start(&who, &spec, &config.position)?;
            if !started {
                self.faults.add(&config.position, format!("{who}: is not ready; start it again later"));
                return None;
            }
            filters.push(FilterPlan {
                name: config.name,
                spec,
                instance,
                emit_to: config.settings.emit_to,
                on_panic: config.settings.on_panic,
                ticker: config.settings.ticker_interval,
                dead_letters: self.dead_letters(who, None, outputs),
            });
        }
        let marks = (0..chain.named_outputs).fold(0, |marks, bit| marks | 1 << bit);
        Some(ChainPlan {
            filters,
            receiver,
            outlets: chain.outputs.iter().map(|&output| Outlet::Output(outputs[output].1.clone())).collect(),
            tag: chain_tag(&chain.name),
            marks,
            stats: chain.stats,
            lane: lane.clone(),
            pool: self.pool.clone(),
            message_bytes_max: self.record_bytes_max(),
            limits: self.limits(),
            linger: self.host.batch_linger,
            stop: self.around.stop.clone(),
            in_flight: in_flight.clone(),
        })
    }

    fn inputs(
        &mut self,
        blueprints: Vec<InputBlueprint>,
        plan: &RoutePlan,
        outputs: &[(String, QueueSender)],
        stats: &mut Stats,
        ready: &mut Vec<Ready>,
    ) -> (Vec<StopSlot>, Vec<Abandon>) {
        let (mut stops, mut abandons) = (Vec::new(), Vec::new());
        for input in blueprints {
            stats.inputs.push(input.stats.clone());
            let who = format!("input `{}`", input.config.name);
            let Some((instance, started, slot)) = self.start(&who, &input.spec, &input.config.position)
            else {
                continue;
            };
            let Some(mut intake) = self.intake(&input, plan, outputs, ready) else { continue };
            let name = format!("in {}", input.config.name);
            stops.push(slot.clone());
            abandons.push(intake.ledger().abandon());
            let plan = InputPlan {
                name: input.config.name,
                spec: input.spec,
                splitter: input.splitter,
                splitter_named: input.config.settings.splitter.is_some(),
                ticker: input.config.settings.ticker_interval,
                linger: self.host.batch_linger,
                once: self.around.once,
                stop: self.around.stop.clone(),
            };
            let stage = InputStage::new(plan, instance, started, intake, slot);
            ready.push((Tier::Input, name, Box::new(move || stage.run())));
        }
        (stops, abandons)
    }

    /// Opens and starts an instance; one that must be tried again later is not started yet.
    fn start(
        &mut self,
        who: &str,
        spec: &InstanceSpec,
        position: &crate::config::Position,
    ) -> Option<(Instance, bool, StopSlot)> {
        let started = spec.open().and_then(|mut instance| match instance.start() {
            Ok(()) => Ok((instance, true)),
            Err(failure) if failure.kind == FailureKind::Retry => {
                log::warn!("{who}: {}; trying again", failure.reason);
                Ok((instance, false))
            }
            Err(failure) => Err(failure),
        });
        match started {
            Ok((instance, started)) => {
                let slot: Arc<Mutex<Option<Stopper>>> = Arc::new(Mutex::new(Some(instance.stopper())));
                Some((instance, started, slot))
            }
            Err(failure) => {
                self.faults.add(position, format!("{who}: {}", failure.reason));
                None
            }
        }
    }

    /// Dead letters go where the instance says, or else where `[heka]` does, if they don't come from there.
    fn dead_letters(
        &self,
        who: String,
        named: Option<&Located<String>>,
        outputs: &[(String, QueueSender)],
    ) -> DeadLetters {
        let is_last_resort = self.last_resorts.iter().any(|output| who == format!("output `{output}`"));
        let of_all = self.host.dead_letter.as_ref().filter(|_| !is_last_resort);
        let name = named.or(of_all).map(|name| name.value.as_str());
        let outlet = outputs.iter().find(|(output, _)| Some(output.as_str()) == name);
        let plan = DeadLetterPlan {
            outlet: outlet.map(|(_, queue)| Outlet::Output(queue.clone())),
            store: self.store.clone(),
            pool: self.pool.clone(),
            message_bytes_max: self.record_bytes_max(),
        };
        DeadLetters::new(plan, who)
    }

    fn limits(&self) -> BatchLimits {
        BatchLimits { messages_max: self.host.batch_messages_max, bytes_max: self.host.batch_bytes_max }
    }

    fn record_bytes_max(&self) -> usize {
        self.host.message_bytes_max + RECORD_OVERHEAD_BYTES
    }
}

/// The output that `[heka]` names for dead letters, and those that it passes its own on to: what these refuse goes
/// nowhere else, for it would come back.
fn last_resorts(config: &Config) -> Vec<String> {
    let next =
        |name: &&str| config.output(name)?.settings.dead_letter.as_ref().map(|next| next.value.as_str());
    let first = config.host.dead_letter.as_ref().map(|first| first.value.as_str());
    std::iter::successors(first, next).take(config.outputs.len()).map(str::to_owned).collect()
}

/// The type of an input's messages that set none: the config's, or the name of the plugin that makes them.
fn type_name(input: &InputConfig, decoder: Option<&InstanceSpec>) -> String {
    let plugin = || match decoder {
        // SAFETY: a plugin's name is a constant of its file.
        Some(decoder) => String::from_utf8_lossy(unsafe { decoder.table.name.bytes() }).into_owned(),
        None => input.plugin.name.clone(),
    };
    input.settings.message_type.clone().unwrap_or_else(plugin)
}
