//! What runs: each stage with what it was made from, so that a reload can tell what changed.

use super::blueprint::{ChainBlueprint, InputBlueprint, OutputBlueprint};
use crate::config::HostConfig;
use crate::control::Control;
use crate::dead_letter::DeadLetterWay;
use crate::outlet::ChainSender;
use crate::queue::{QueueSender, QueueWaker};
use crate::routes::RoutePlan;
use crate::stage::chain::ChainChange;
use crate::stage::input::{InputCommand, StopSlot};
use crate::stage::replacement::OutputChange;
use crate::stats::StageStats;
use crate::token::Abandon;
use std::collections::HashMap;
use std::sync::PoisonError;

/// The stages of a router, in the order of the config.
pub(crate) struct Running {
    pub(crate) host: HostConfig,
    pub(crate) inputs: Vec<RunningInput>,
    pub(crate) chains: Vec<RunningChain>,
    pub(crate) outputs: Vec<RunningOutput>,
    /// By which messages find their chains.
    pub(crate) plan: RoutePlan,
    pub(crate) ways: DeadLetterWays,
    /// Stages that a reload removed and that may still be at work.
    pub(crate) leaving: Leaving,
}

/// An input's stage.
pub(crate) struct RunningInput {
    pub(crate) blueprint: InputBlueprint,
    pub(crate) control: Control<InputCommand>,
    pub(crate) stop_slot: StopSlot,
    pub(crate) abandon: Abandon,
}

/// A chain, with its stage if it has filters.
pub(crate) struct RunningChain {
    pub(crate) blueprint: ChainBlueprint,
    pub(crate) stage: Option<RunningChainStage>,
}

/// A chain's stage.
#[derive(Clone)]
pub(crate) struct RunningChainStage {
    pub(crate) sender: ChainSender,
    pub(crate) control: Control<ChainChange>,
}

/// An output's stage.
pub(crate) struct RunningOutput {
    pub(crate) blueprint: OutputBlueprint,
    pub(crate) queue: QueueSender,
    pub(crate) control: Control<OutputChange>,
    pub(crate) stop_slot: StopSlot,
}

/// The ways of dead letters, by who sends them, such as ``filter `dedupe` ``.
pub(crate) type DeadLetterWays = HashMap<String, DeadLetterWay>;

/// How to end stages that were removed, should they not end by themselves.
#[derive(Default)]
pub(crate) struct Leaving {
    pub(crate) inputs: Vec<(StopSlot, Abandon)>,
    pub(crate) outputs: Vec<(StopSlot, QueueWaker)>,
}

impl Leaving {
    /// Forgets those that have ended.
    pub(crate) fn forget_ended(&mut self) {
        let lives = |slot: &StopSlot| slot.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        self.inputs.retain(|(slot, _)| lives(slot));
        self.outputs.retain(|(slot, _)| lives(slot));
    }
}

impl Running {
    pub(crate) fn stats(&self) -> StageStats {
        StageStats {
            inputs: self.inputs.iter().map(|input| input.blueprint.stats.clone()).collect(),
            chains: self.chains.iter().map(|chain| chain.blueprint.stats.clone()).collect(),
            outputs: self.outputs.iter().map(|output| output.blueprint.stats.clone()).collect(),
        }
    }

    pub(crate) fn input_stops(&self) -> impl Iterator<Item = &StopSlot> {
        let leaving = self.leaving.inputs.iter().map(|(slot, _)| slot);
        self.inputs.iter().map(|input| &input.stop_slot).chain(leaving)
    }

    pub(crate) fn output_stops(&self) -> impl Iterator<Item = &StopSlot> {
        let leaving = self.leaving.outputs.iter().map(|(slot, _)| slot);
        self.outputs.iter().map(|output| &output.stop_slot).chain(leaving)
    }

    pub(crate) fn abandons(&self) -> impl Iterator<Item = &Abandon> {
        let leaving = self.leaving.inputs.iter().map(|(_, abandon)| abandon);
        self.inputs.iter().map(|input| &input.abandon).chain(leaving)
    }

    /// The ways into the chains that have a stage.
    pub(crate) fn chain_senders(&self) -> impl Iterator<Item = &ChainSender> {
        self.chains.iter().filter_map(|chain| chain.stage.as_ref()).map(|stage| &stage.sender)
    }

    /// What wakes the queues of all outputs, also of those that were removed.
    pub(crate) fn queue_wakers(&self) -> Vec<QueueWaker> {
        let leaving = self.leaving.outputs.iter().map(|(_, waker)| waker.clone());
        self.outputs.iter().map(|output| output.queue.waker()).chain(leaving).collect()
    }
}
