//! Makes single stages of what a blueprint says.

use super::blueprint::{ChainBlueprint, InputBlueprint, OutputBlueprint};
use super::routing::{limits, route_plan};
use super::running::{DeadLetterWays, RunningChain, RunningChainStage, RunningInput, RunningOutput};
use super::{Common, Tier};
use crate::arena::ArenaPool;
use crate::config::{Config, Faults, FilterConfig, HostConfig, Position, QueueKind};
use crate::control::Control;
use crate::dead_letter::{DeadLetterPlan, DeadLetterWay, DeadLetters};
use crate::dead_letter_store::DeadLetterStore;
use crate::instance::{FailureKind, Instance, InstanceSpec, Stopper};
use crate::outlet::{ChainSender, Outlet, ToChain};
use crate::queue::{Keeper, Queue, QueueReceiver, QueueSender};
use crate::routes::{RoutePlan, chain_tag};
use crate::stage::chain::{ChainPlan, ChainStage};
use crate::stage::input::{InputPlan, InputStage, StopSlot};
use crate::stage::output::{OutputPlan, OutputStage};
use crate::stage::running_filter::FilterPlan;
use crossbeam_channel::bounded;
use heka_queue::DiskQueue;
use std::sync::{Arc, Mutex};

/// Batches that a channel holds.
const CHANNEL_BATCHES: usize = 8;
/// Room in a record beyond the payload that `message_bytes_max` allows: header, names, fields.
const RECORD_OVERHEAD_BYTES: usize = 64 << 10;
/// Who sends the dead letters of the injection lane.
pub(crate) const LANE: &str = "the injection lane";

/// A stage that is ready to run.
pub(crate) type Ready = (Tier, String, Box<dyn FnOnce() + Send>);
/// The receiving end of a stage's channel.
pub(crate) type Received = crossbeam_channel::Receiver<ToChain>;

/// The ways into outputs, by name, in the order of the config.
pub(crate) type Outlets = Vec<(String, QueueSender)>;

/// Makes stages, and collects what hinders it.
pub(crate) struct Builder<'b> {
    pub(super) common: &'b Common,
    config: &'b Config,
    last_resorts: Vec<String>,
    ways: &'b mut DeadLetterWays,
    outlets: Outlets,
    pub(crate) ready: Vec<Ready>,
    /// The stages of inputs, which start last.
    inputs: Vec<Ready>,
    pub(crate) faults: Faults,
}

impl<'b> Builder<'b> {
    pub(crate) fn new(
        common: &'b Common,
        config: &'b Config,
        ways: &'b mut DeadLetterWays,
        outlets: Outlets,
    ) -> Builder<'b> {
        let last_resorts = last_resorts(config);
        let faults = Faults::new();
        Builder { common, config, last_resorts, ways, outlets, ready: Vec::new(), inputs: Vec::new(), faults }
    }

    /// Takes the stages that are ready: those that others send to, and the inputs.
    ///
    /// # Errors
    /// What hindered making the stages so far.
    pub(crate) fn take_ready(&mut self) -> Result<(Vec<Ready>, Vec<Ready>), Faults> {
        let ready = (std::mem::take(&mut self.ready), std::mem::take(&mut self.inputs));
        std::mem::take(&mut self.faults).into_result(ready)
    }

    pub(crate) fn host(&self) -> &HostConfig {
        &self.config.host
    }

    pub(crate) fn set_outlets(&mut self, outlets: Outlets) {
        self.outlets = outlets;
    }

    /// Makes an output's queue; a durable one has a thread that keeps it. All queues are made before any output, since
    /// outputs may lead to each other.
    pub(crate) fn queue(&mut self, output: &OutputBlueprint) -> Option<(QueueSender, QueueReceiver)> {
        let config = &output.config.settings.queue;
        let disk = match config.kind {
            QueueKind::Memory => None,
            _ => Some(self.disk_queue(output)?),
        };
        let (name, stop) = (&output.config.name, self.common.around.stop.clone());
        let (sender, receiver, keeper) = Queue::open(name, config, output.stats.clone(), stop, disk);
        if let Some(mut keeper) = keeper {
            if let Err(error) = keeper.prepare(&self.common.pool) {
                self.faults.add(&output.config.position, format!("output `{name}`: queue: {error}"));
                return None;
            }
            self.ready.push((Tier::Output, format!("queue {name}"), Box::new(move || Keeper::run(keeper))));
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
                // Those that an output left which was removed and comes back are counted already.
                if !self.common.stats.knows_output(name) {
                    output.stats.queued_at_start.add(recovery.messages as usize);
                }
                Some(disk)
            }
            Err(error) => {
                self.faults.add(&output.config.position, format!("output `{name}`: queue: {error}"));
                None
            }
        }
    }

    pub(crate) fn output(
        &mut self,
        output: OutputBlueprint,
        (sender, receiver): (QueueSender, QueueReceiver),
    ) -> Option<RunningOutput> {
        let blueprint = output.clone();
        let OutputBlueprint { config, spec, encoder, stats, .. } = output;
        let who = format!("output `{}`", config.name);
        let (instance, started, stop_slot) = self.start(&who, &spec, &config.position)?;
        let encoder = match encoder {
            None => None,
            Some(spec) => {
                let who = format!("{who}: encoder `{}`", spec.name);
                let (instance, ..) = self.start(&who, &spec, &config.position)?;
                Some((spec, instance))
            }
        };
        let (control, attention) = Control::new();
        let stage = OutputStage::new(OutputPlan {
            dead_letters: self.dead_letters(who),
            name: config.name.clone(),
            spec,
            instance,
            started,
            encoder,
            queue: receiver,
            retry: config.settings.retry.clone(),
            ticker: config.settings.ticker_interval,
            stats,
            stop: self.common.around.stop.clone(),
            stop_slot: stop_slot.clone(),
            attention,
        });
        self.ready.push((Tier::Output, format!("out {}", config.name), Box::new(move || stage.run())));
        Some(RunningOutput { blueprint, queue: sender, control, stop_slot })
    }

    /// Makes the chains that have filters into stages, and the plan that leads to all.
    pub(crate) fn chains(&mut self, blueprints: Vec<ChainBlueprint>) -> (RoutePlan, Vec<RunningChain>) {
        let (mut stages, mut receivers) = (Vec::new(), Vec::new());
        for chain in &blueprints {
            let (outlet, receiver) = (!chain.filters.is_empty()).then(|| self.chain_way(chain)).unzip();
            stages.push(outlet);
            receivers.push(receiver);
        }
        let plan = route_plan(&blueprints, &stages, &self.outlets, &self.config.host);
        let ways = stages.into_iter().zip(receivers);
        let chains = blueprints.into_iter().zip(ways);
        let chains = chains.filter_map(|(chain, (outlet, receiver))| self.chain(chain, outlet.zip(receiver)));
        (plan, chains.collect())
    }

    /// Makes the way into a chain's stage.
    pub(crate) fn chain_way(&self, chain: &ChainBlueprint) -> (ChainSender, Received) {
        let (sender, receiver) = bounded(CHANNEL_BATCHES);
        let in_flight = self.common.in_flight.clone();
        (ChainSender { sender, stats: chain.stats.clone(), in_flight }, receiver)
    }

    /// Makes a chain, with a stage if there is a way into it.
    pub(crate) fn chain(
        &mut self,
        chain: ChainBlueprint,
        way: Option<(ChainSender, Received)>,
    ) -> Option<RunningChain> {
        let stage = match way {
            None => None,
            Some((sender, receiver)) => Some(self.chain_stage(&chain, sender, receiver)?),
        };
        Some(RunningChain { blueprint: chain, stage })
    }

    fn chain_stage(
        &mut self,
        chain: &ChainBlueprint,
        sender: ChainSender,
        receiver: Received,
    ) -> Option<RunningChainStage> {
        let mut filters = Vec::new();
        for (config, spec) in &chain.filters {
            let who = format!("filter `{}`", config.name);
            let (instance, started, _) = self.start(&who, spec, &config.position)?;
            if !started {
                self.faults.add(&config.position, format!("{who}: is not ready; start it again later"));
                return None;
            }
            filters.push(self.filter(config, spec.clone(), instance));
        }
        let (control, attention) = Control::new();
        let host = &self.config.host;
        let stage = ChainStage::new(ChainPlan {
            filters,
            receiver,
            outlets: self.marked_outlets(chain),
            tag: chain_tag(&chain.config.name),
            marks: chain.marks.start,
            stats: chain.stats.clone(),
            lane: self.common.lane.clone(),
            pool: self.common.pool.clone(),
            message_bytes_max: record_bytes_max(host),
            limits: limits(host),
            linger: host.batch_linger,
            stop: self.common.around.stop.clone(),
            in_flight: self.common.in_flight.clone(),
            attention,
        });
        let name = format!("chain {}", chain.config.name);
        self.ready.push((Tier::Chain, name, Box::new(move || stage.run())));
        Some(RunningChainStage { sender, control })
    }

    /// The ways to the outputs that a chain may mark, by bit.
    pub(crate) fn marked_outlets(&self, chain: &ChainBlueprint) -> Vec<Option<Outlet>> {
        let outlet = |output: &Option<usize>| Some(Outlet::Output(self.outlets.get((*output)?)?.1.clone()));
        chain.marks.outputs.iter().map(outlet).collect()
    }

    pub(crate) fn filter(
        &mut self,
        config: &FilterConfig,
        spec: InstanceSpec,
        instance: Instance,
    ) -> FilterPlan {
        FilterPlan {
            name: config.name.clone(),
            spec,
            instance,
            settings: config.settings.clone(),
            dead_letters: self.dead_letters(format!("filter `{}`", config.name)),
        }
    }

    /// Makes an input; its stage is the last of those that are ready.
    pub(crate) fn input(&mut self, input: InputBlueprint, plan: &RoutePlan) -> Option<RunningInput> {
        let who = format!("input `{}`", input.config.name);
        let (instance, started, stop_slot) = self.start(&who, &input.spec, &input.config.position)?;
        let mut intake = self.intake(&input, plan)?;
        let abandon = intake.ledger().abandon();
        let (control, attention) = Control::new();
        let blueprint = input.clone();
        let InputBlueprint { config, spec, splitter, .. } = input;
        let plan = InputPlan {
            name: config.name.clone(),
            spec,
            splitter,
            splitter_named: config.settings.splitter.is_some(),
            ticker: config.settings.ticker_interval,
            linger: self.config.host.batch_linger,
            once: self.common.around.once,
            stop: self.common.around.stop.clone(),
            attention,
        };
        let stage = InputStage::new(plan, instance, started, intake, stop_slot.clone());
        self.inputs.push((Tier::Input, format!("in {}", config.name), Box::new(move || stage.run())));
        Some(RunningInput { blueprint, control, stop_slot, abandon })
    }

    /// Opens an instance.
    pub(crate) fn open(&mut self, who: &str, spec: &InstanceSpec, position: &Position) -> Option<Instance> {
        let refused = |reason: &str| format!("{who}: {reason}");
        spec.open().map_err(|failure| self.faults.add(position, refused(&failure.reason))).ok()
    }

    /// Opens and starts an instance; one that must be tried again later is not started yet.
    fn start(
        &mut self,
        who: &str,
        spec: &InstanceSpec,
        position: &Position,
    ) -> Option<(Instance, bool, StopSlot)> {
        let mut instance = self.open(who, spec, position)?;
        let started = match instance.start(None) {
            Ok(()) => true,
            Err(failure) if failure.kind == FailureKind::Retry => {
                log::warn!("{who}: {}; trying again", failure.reason);
                false
            }
            Err(failure) => {
                self.faults.add(position, format!("{who}: {}", failure.reason));
                return None;
            }
        };
        let slot: Arc<Mutex<Option<Stopper>>> = Arc::new(Mutex::new(Some(instance.stopper())));
        Some((instance, started, slot))
    }

    pub(super) fn dead_letters(&mut self, who: String) -> DeadLetters {
        let way = match self.ways.get(&who) {
            Some(way) => way.clone(),
            None => {
                let way = DeadLetterWay::default();
                way.set(self.dead_letter_outlet(&who));
                self.ways.insert(who.clone(), way.clone());
                way
            }
        };
        dead_letters(who, way, &self.common.store, &self.common.pool, &self.config.host)
    }

    /// Points all ways of dead letters to where the config says.
    pub(crate) fn point_ways(&mut self) {
        self.ways.retain(|_, way| way.is_used());
        for (who, way) in self.ways.iter() {
            way.set(self.dead_letter_outlet(who));
        }
    }

    /// Dead letters go where the output says, or else where `[heka]` does, if they don't come from there.
    fn dead_letter_outlet(&self, who: &str) -> Option<Outlet> {
        let is_who = |name: &str| who == format!("output `{name}`");
        let is_last_resort = self.last_resorts.iter().any(|output| is_who(output));
        let output = self.config.outputs.iter().find(|output| is_who(&output.name));
        let named = output.and_then(|output| output.settings.dead_letter.as_ref());
        let of_all = self.config.host.dead_letter.as_ref().filter(|_| !is_last_resort);
        let name = &named.or(of_all)?.value;
        let found = self.outlets.iter().find(|(output, _)| output == name);
        found.map(|(_, queue)| Outlet::Output(queue.clone()))
    }
}

pub(super) fn dead_letters(
    who: String,
    way: DeadLetterWay,
    store: &DeadLetterStore,
    pool: &ArenaPool,
    host: &HostConfig,
) -> DeadLetters {
    let plan = DeadLetterPlan {
        way,
        store: store.clone(),
        pool: pool.clone(),
        message_bytes_max: record_bytes_max(host),
    };
    DeadLetters::new(plan, who)
}

pub(super) fn record_bytes_max(host: &HostConfig) -> usize {
    host.message_bytes_max + RECORD_OVERHEAD_BYTES
}

/// The output that `[heka]` names for dead letters, and those that it passes its own on to: what these refuse goes
/// nowhere else, for it would come back.
fn last_resorts(config: &Config) -> Vec<String> {
    let next =
        |name: &&str| config.output(name)?.settings.dead_letter.as_ref().map(|next| next.value.as_str());
    let first = config.host.dead_letter.as_ref().map(|first| first.value.as_str());
    std::iter::successors(first, next).take(config.outputs.len()).map(str::to_owned).collect()
}
