//! Steps 2 and 3 of a reload: whatever may fail.

use super::asking::{Asked, Outcome};
use super::difference::{
    FilterDifference, InputDifference, OutputDifference, are_routes_changed, filters, is_chain_changed,
};
use crate::build::{
    Blueprint, Builder, ChainBlueprint, Common, DeadLetterWays, InputBlueprint, Outlets, OutputBlueprint,
    Received, Running, RunningChain, RunningChainStage, RunningInput, RunningOutput, route_plan, spawn,
};
use crate::config::{Config, Faults, Position};
use crate::control::{Answer, Answered};
use crate::instance::{Instance, InstanceSpec};
use crate::outlet::{ChainSender, Outlet};
use crate::routes::RoutePlan;
use crate::stage::chain::{ChainChange, FilterChange};
use crate::stage::input::InputCommand;
use crate::stage::replacement::OutputChange;
use crate::stage::takeover::{InputChange, InputSettings};
use std::time::{Duration, Instant};

/// How long a stage that was removed is waited for, when another of its name is to start.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Where a part of the new config comes from.
pub(super) enum Fate<R, D> {
    /// It runs already, at this place; what changes.
    Stays(usize, D),
    Added(R),
}

/// What the stages have gone over to; by part of the new blueprint.
pub(super) struct Exchanged {
    pub(super) outlets: Outlets,
    pub(super) plan: RoutePlan,
    pub(super) routes_changed: bool,
    pub(super) outputs: Vec<Fate<RunningOutput, OutputDifference>>,
    pub(super) inputs: Vec<Fate<RunningInput, InputDifference>>,
    /// With whether the stage changed.
    pub(super) chains: Vec<Fate<RunningChain, bool>>,
}

/// # Errors
/// Why everything goes on as before.
pub(super) fn exchange(
    common: &Common,
    running: &Running,
    config: &Config,
    blueprint: &Blueprint,
    ways: &mut DeadLetterWays,
) -> Result<Exchanged, Faults> {
    let builder = Builder::new(common, config, ways, Vec::new());
    let mut steps = Steps { common, running, blueprint, builder };
    let mut exchanged = steps.build();
    let commands = steps.commands(&exchanged);
    let (ready, inputs) = steps.builder.take_ready()?;
    spawn(&common.threads, ready)?;
    let mut done = Vec::new();
    let result = steps.ask_all(commands, &mut done).and_then(|()| spawn(&common.threads, inputs));
    match result {
        Ok(()) => {
            exchanged.routes_changed |= are_routes_changed(running, blueprint);
            Ok(exchanged)
        }
        Err(faults) => Err(steps.take_back(&done, &exchanged, faults)),
    }
}

struct Steps<'s> {
    common: &'s Common,
    running: &'s Running,
    blueprint: &'s Blueprint,
    builder: Builder<'s>,
}

/// A stage that changes, by its place in the new blueprint.
#[derive(Clone, Copy)]
enum Changing {
    Output(usize, usize),
    Input(usize, usize),
    Chain(usize, usize),
}

/// What the stages that change are told.
struct Commands {
    /// Outputs and inputs: they may acquire something outside, and so fail.
    first: Vec<(Changing, Command)>,
    chains: Vec<(Changing, Command)>,
}

struct Command {
    told: Told,
    answered: Answered,
}

enum Told {
    Output(Box<OutputChange>),
    Input(InputCommand),
    Chain(ChainChange),
}

impl Steps<'_> {
    /// Opens and starts what is new.
    fn build(&mut self) -> Exchanged {
        let (outputs, outlets) = self.outputs();
        let outlets_changed = outputs.iter().any(|fate| matches!(fate, Fate::Added(_)));
        let ways = self.chain_ways();
        let stages: Vec<_> = ways.iter().map(|(outlet, _)| outlet.clone()).collect();
        let plan = route_plan(&self.blueprint.chains, &stages, &outlets, self.builder.host());
        let mut stages_changed = false;
        let mut chains = Vec::new();
        for (chain, (outlet, receiver)) in self.blueprint.chains.iter().zip(ways) {
            let old = self.old_chain(&chain.config.name);
            let fate = match old {
                Some(old) if receiver.is_none() => {
                    let was = &self.running.chains[old];
                    let is_stage = was.stage.is_some() && outlet.is_some();
                    stages_changed |= was.stage.is_some() != outlet.is_some();
                    let changed = outlets_changed || is_chain_changed(was, chain);
                    Some(Fate::Stays(old, is_stage && changed))
                }
                _ => {
                    stages_changed = true;
                    self.leave(&format!("chain {}", chain.config.name), &chain.config.position);
                    self.builder.chain(chain.clone(), outlet.zip(receiver)).map(Fate::Added)
                }
            };
            chains.extend(fate);
        }
        let mut inputs = Vec::new();
        for input in &self.blueprint.inputs {
            let is_it = |old: &RunningInput| {
                old.blueprint.config.name == input.config.name && !old.control.has_ended()
            };
            inputs.extend(match self.running.inputs.iter().position(is_it) {
                Some(old) => {
                    Some(Fate::Stays(old, InputDifference::between(&self.running.inputs[old], input)))
                }
                None => {
                    self.leave(&format!("in {}", input.config.name), &input.config.position);
                    self.builder.input(input.clone(), &plan).map(Fate::Added)
                }
            });
        }
        let routes_changed = outlets_changed || stages_changed;
        Exchanged { outlets, plan, routes_changed, outputs, inputs, chains }
    }

    fn outputs(&mut self) -> (Vec<Fate<RunningOutput, OutputDifference>>, Outlets) {
        let (mut outlets, mut queues) = (Vec::new(), Vec::new());
        for output in &self.blueprint.outputs {
            let old = self.old_output(output);
            let queue = match old {
                Some(old) => Some((self.running.outputs[old].queue.clone(), None)),
                None => {
                    self.leave(&format!("out {}", output.config.name), &output.config.position);
                    self.leave(&format!("queue {}", output.config.name), &output.config.position);
                    let made = if self.builder.faults.is_empty() { self.builder.queue(output) } else { None };
                    made.map(|(sender, receiver)| (sender, Some(receiver)))
                }
            };
            let (sender, receiver) = queue.unzip();
            outlets.extend(sender.map(|sender| (output.config.name.clone(), sender)));
            queues.push((old, receiver.flatten()));
        }
        self.builder.set_outlets(outlets.clone());
        let mut fates = Vec::new();
        for ((output, (old, receiver)), (_, sender)) in
            self.blueprint.outputs.iter().zip(queues).zip(&outlets)
        {
            fates.extend(match (old, receiver) {
                (Some(old), _) => {
                    Some(Fate::Stays(old, OutputDifference::between(&self.running.outputs[old], output)))
                }
                (None, Some(receiver)) => {
                    self.builder.output(output.clone(), (sender.clone(), receiver)).map(Fate::Added)
                }
                (None, None) => None,
            });
        }
        (fates, outlets)
    }

    fn old_output(&self, new: &OutputBlueprint) -> Option<usize> {
        let is_it =
            |old: &RunningOutput| old.blueprint.config.name == new.config.name && !old.control.has_ended();
        self.running.outputs.iter().position(is_it)
    }

    fn old_chain(&self, name: &str) -> Option<usize> {
        self.running.chains.iter().position(|old| old.blueprint.config.name == name)
    }

    /// The ways into the chains that have stages; of new stages with both ends.
    fn chain_ways(&self) -> Vec<(Option<ChainSender>, Option<Received>)> {
        let way = |chain: &ChainBlueprint| {
            if chain.filters.is_empty() {
                return (None, None);
            }
            let old =
                self.old_chain(&chain.config.name).and_then(|old| self.running.chains[old].stage.as_ref());
            match old.filter(|stage| !stage.control.has_ended()) {
                Some(stage) => (Some(stage.sender.clone()), None),
                None => {
                    let (outlet, receiver) = self.builder.chain_way(chain);
                    (Some(outlet), Some(receiver))
                }
            }
        };
        self.blueprint.chains.iter().map(way).collect()
    }

    /// Waits for a stage that was removed before one of the same name takes over its files.
    fn leave(&mut self, thread: &str, position: &Position) {
        if !self.common.threads.wait_for(thread, Instant::now() + LEAVE_MAX) {
            let (kind, name) = thread.split_once(' ').unwrap_or((thread, ""));
            let kind = match kind {
                "in" => "input",
                "out" | "queue" => "output",
                kind => kind,
            };
            let text =
                format!("{kind} `{name}`: was removed and still delivers what it has; reload again later");
            self.builder.faults.add(position, text);
        }
    }

    /// Opens the instances that take the places of others.
    fn commands(&mut self, exchanged: &Exchanged) -> Commands {
        let (mut first, mut chains) = (Vec::new(), Vec::new());
        let (running, blueprint) = (self.running, self.blueprint);
        for (index, fate) in exchanged.outputs.iter().enumerate() {
            if let Fate::Stays(old, difference) = fate
                && !difference.is_none()
            {
                let command = self.output_command(&blueprint.outputs[index], *difference);
                first.extend(command.map(|command| (Changing::Output(*old, index), command)));
            }
        }
        for (index, fate) in exchanged.inputs.iter().enumerate() {
            if let Fate::Stays(old, difference) = fate
                && !difference.is_none()
            {
                let command = self.input_command(&blueprint.inputs[index], *difference, &exchanged.plan);
                first.extend(command.map(|command| (Changing::Input(*old, index), command)));
            }
        }
        for (index, fate) in exchanged.chains.iter().enumerate() {
            if let Fate::Stays(old, true) = fate {
                let (was, is) = (&running.chains[*old].blueprint, &blueprint.chains[index]);
                let outlets = self.builder.marked_outlets(is);
                let command = self.chain_command(was, is, outlets);
                chains.extend(command.map(|command| (Changing::Chain(*old, index), command)));
            }
        }
        Commands { first, chains }
    }

    fn output_command(&mut self, to: &OutputBlueprint, difference: OutputDifference) -> Option<Command> {
        let (who, position) = (format!("output `{}`", to.config.name), &to.config.position);
        let plugin = self.opened(difference.plugin, &who, &to.spec, position)?;
        let encoder = match (&to.encoder, difference.encoder) {
            (_, false) => None,
            (None, true) => Some(None),
            (Some(spec), true) => {
                Some(self.opened(true, &format!("{who}: encoder `{}`", spec.name), spec, position)?)
            }
        };
        let (retry, ticker) = (to.config.settings.retry.clone(), to.config.settings.ticker_interval);
        let (answer, answered) = Answer::new();
        let told = Told::Output(Box::new(OutputChange { plugin, encoder, retry, ticker, answer }));
        Some(Command { told, answered })
    }

    fn input_command(
        &mut self,
        to: &InputBlueprint,
        difference: InputDifference,
        plan: &RoutePlan,
    ) -> Option<Command> {
        let (who, settings) = (format!("input `{}`", to.config.name), &to.config.settings);
        let plugin = self.opened(difference.plugin, &who, &to.spec, &to.config.position)?;
        let intake = match difference.is_intake() {
            true => Some(self.builder.intake(to, plan)?),
            false => None,
        };
        let settings = InputSettings {
            splitter: to.splitter.clone(),
            splitter_named: settings.splitter.is_some(),
            splits_anew: difference.splitter,
            ticker: settings.ticker_interval,
        };
        let (answer, answered) = Answer::new();
        let change = InputChange { plugin, intake, routes: None, settings: Some(settings), answer };
        Some(Command { told: Told::Input(InputCommand::Change(Box::new(change))), answered })
    }

    fn chain_command(
        &mut self,
        from: &ChainBlueprint,
        to: &ChainBlueprint,
        outlets: Vec<Option<Outlet>>,
    ) -> Option<Command> {
        let mut changes = Vec::new();
        for ((config, spec), was) in to.filters.iter().zip(filters(&from.filters, &to.filters)) {
            let old = match was {
                FilterDifference::Kept(index) => {
                    changes.push(FilterChange::Keep(index, config.settings.clone()));
                    continue;
                }
                FilterDifference::Replaced(index) => Some(index),
                FilterDifference::Added => None,
            };
            let instance = self.builder.open(&format!("filter `{}`", config.name), spec, &config.position)?;
            let plan = self.builder.filter(config, spec.clone(), instance);
            changes.push(FilterChange::New(Box::new(plan), old));
        }
        let (answer, answered) = Answer::new();
        let change = ChainChange { filters: changes, outlets, marks: to.marks.start, is_last: false, answer };
        Some(Command { told: Told::Chain(change), answered })
    }

    /// Opens an instance if one is wanted; `None` if that failed.
    fn opened(
        &mut self,
        is_wanted: bool,
        who: &str,
        spec: &InstanceSpec,
        position: &Position,
    ) -> Option<Option<(InstanceSpec, Instance)>> {
        match is_wanted {
            true => Some(Some((spec.clone(), self.builder.open(who, spec, position)?))),
            false => Some(None),
        }
    }

    /// Asks the stages that change: outputs and inputs at once, then chains. `done` are those that have gone over.
    fn ask_all(&self, commands: Commands, done: &mut Vec<Changing>) -> Result<(), Faults> {
        for commands in [commands.first, commands.chains] {
            let mut faults = Faults::new();
            for (changing, outcome) in self.ask(commands) {
                match outcome {
                    Outcome::Done => done.push(changing),
                    Outcome::Refused(reason) => {
                        let (who, position) = self.named(changing);
                        faults.add(position, format!("{who}: {reason}"));
                    }
                }
            }
            faults.into_result(())?;
        }
        Ok(())
    }

    fn ask(&self, commands: Vec<(Changing, Command)>) -> Vec<(Changing, Outcome)> {
        let put = |(changing, command): (Changing, Command)| {
            let (told, answered) = (command.told, command.answered);
            let running = self.running;
            let asked = match (changing, told) {
                (Changing::Output(old, _), Told::Output(change)) => {
                    let asked = Asked::new(&running.outputs[old].control, *change, answered);
                    running.outputs[old].queue.call();
                    Some(asked)
                }
                (Changing::Input(old, _), Told::Input(change)) => {
                    Some(Asked::new(&running.inputs[old].control, change, answered))
                }
                (Changing::Chain(old, _), Told::Chain(change)) => {
                    running.chains[old].stage.as_ref().map(|RunningChainStage { sender, control }| {
                        let asked = Asked::new(control, change, answered);
                        sender.call();
                        asked
                    })
                }
                _ => None,
            };
            asked.map(|asked| (changing, asked))
        };
        let asked: Vec<_> = commands.into_iter().filter_map(put).collect();
        let stop = &self.common.around.stop;
        stop.call();
        asked.into_iter().map(|(changing, asked)| (changing, asked.outcome(stop))).collect()
    }

    fn named(&self, changing: Changing) -> (String, &Position) {
        let (kind, name, position) = match changing {
            Changing::Output(_, new) => {
                let config = &self.blueprint.outputs[new].config;
                ("output", &config.name, &config.position)
            }
            Changing::Input(_, new) => {
                let config = &self.blueprint.inputs[new].config;
                ("input", &config.name, &config.position)
            }
            Changing::Chain(_, new) => {
                let config = &self.blueprint.chains[new].config;
                ("chain", &config.name, &config.position)
            }
        };
        (format!("{kind} `{name}`"), position)
    }

    /// Lets those that have gone over go back; adds to the faults what could not.
    fn take_back(&mut self, done: &[Changing], exchanged: &Exchanged, mut faults: Faults) -> Faults {
        let mut commands = Vec::new();
        for &changing in done.iter().rev() {
            let command = self.back_command(changing, exchanged);
            commands.extend(command.map(|command| (changing, command)));
        }
        let ready = self.builder.take_ready();
        // Decode stages that are made anew run before anything is handed to them.
        if let Err(failed) = ready.and_then(|(ready, _)| spawn(&self.common.threads, ready)) {
            faults.extend(failed);
        }
        for (changing, outcome) in self.ask(commands) {
            if let Outcome::Refused(reason) = outcome {
                let (who, position) = self.named(changing);
                faults.add(
                    position,
                    format!("{who}: could not go back to what it was: {reason}; restart the host"),
                );
            }
        }
        faults
    }

    fn back_command(&mut self, changing: Changing, exchanged: &Exchanged) -> Option<Command> {
        let running = self.running;
        match changing {
            Changing::Output(old, new) => match exchanged.outputs.get(new)? {
                Fate::Stays(_, difference) => {
                    self.output_command(&running.outputs[old].blueprint, *difference)
                }
                Fate::Added(_) => None,
            },
            Changing::Input(old, new) => match exchanged.inputs.get(new)? {
                Fate::Stays(_, difference) => {
                    self.input_command(&running.inputs[old].blueprint, *difference, &running.plan)
                }
                Fate::Added(_) => None,
            },
            Changing::Chain(old, new) => {
                let (is, was) = (&self.blueprint.chains[new], &running.chains[old].blueprint);
                let outlet = |name: &String| {
                    let is_it = |output: &&RunningOutput| output.blueprint.config.name == *name;
                    running.outputs.iter().find(is_it).map(|output| Outlet::Output(output.queue.clone()))
                };
                let outlets = was.marks.names.iter().map(outlet).collect();
                self.chain_command(is, was, outlets)
            }
        }
    }
}
