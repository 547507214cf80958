//! One filter as a chain runs it: called until it is through a batch, made anew after a panic, stopped when it is of
//! no use.

use super::retry::BackOff;
use crate::arena::RecordWriter;
use crate::batch::Batch;
use crate::config::{FilterSettings, OnPanic, RetryConfig};
use crate::dead_letter::DeadLetters;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use crate::stop::StopFlags;
use crate::token::TokenRef;
use heka_plugin_api::Message;
use heka_plugin_api::abi::{self, Item};
use std::time::Instant;

/// Restarts of a filter that panicked, before it is stopped.
const RESTARTS_MAX: u32 = 5;

/// One filter of a chain.
pub(crate) struct FilterPlan {
    pub(crate) name: String,
    pub(crate) spec: InstanceSpec,
    pub(crate) instance: Instance,
    pub(crate) settings: FilterSettings,
    pub(crate) dead_letters: DeadLetters,
}

/// A filter at its place in a chain.
pub(super) struct RunningFilter {
    pub(super) plan: FilterPlan,
    stopped: Option<String>,
    restarts: u32,
    pub(super) next_tick: Option<Instant>,
    /// Most hops of a message seen since the last tick: what a tick emits may come from any of them.
    pub(super) hops_since_tick: u16,
    /// Tokens of the batches of which messages were absorbed since the last tick, with `hold_until_flush`.
    pub(super) held: Vec<TokenRef>,
}

/// One call to a filter, with what it counts.
pub(super) struct FilterCall<'c> {
    pub(super) items: &'c [Item],
    pub(super) batch: &'c Batch,
    pub(super) out: &'c mut RecordWriter,
    pub(super) emitted: &'c mut RecordWriter,
    pub(super) absorbed: u32,
    pub(super) dead: usize,
}

impl RunningFilter {
    pub(super) fn new(plan: FilterPlan) -> RunningFilter {
        let mut filter = RunningFilter {
            plan,
            stopped: None,
            restarts: 0,
            next_tick: None,
            hops_since_tick: 0,
            held: Vec::new(),
        };
        filter.schedule(Instant::now());
        filter
    }

    pub(super) fn schedule(&mut self, now: Instant) {
        let interval = self.plan.settings.ticker_interval.or(self.plan.instance.ticker());
        self.next_tick = interval.map(|interval| now + interval);
    }

    pub(super) fn process(
        &mut self,
        call: &mut FilterCall<'_>,
        failed: &mut Vec<(u32, String)>,
        stop: &StopFlags,
    ) {
        let len = call.items.len() as u32;
        let mut batch = abi::Batch { items: call.items.as_ptr(), len, completed: 0, ticket: 0 };
        let mut back_off = BackOff::new(&RetryConfig::default());
        while batch.completed < len {
            if let Some(reason) = self.stopped.clone() {
                (batch.completed..len).for_each(|index| self.bury(call, index, &reason, 1));
                return;
            }
            let (out, emitted) = (call.out.raw(), call.emitted.raw());
            let result = self.plan.instance.process(&mut batch, out, emitted, &mut call.absorbed);
            self.plan.instance.take_failed(failed);
            for (index, reason) in failed.drain(..) {
                self.bury(call, index, &reason, 1);
            }
            let Err(failure) = result else { return };
            if failure.kind == FailureKind::Retry && !stop.is_aborting() {
                stop.wait_unless_aborting(back_off.next(failure.after));
                continue;
            }
            self.bury(call, batch.completed, &failure.reason, back_off.attempts() + 1);
            batch.completed += 1;
            self.recover(&failure);
        }
    }

    pub(super) fn tick(&mut self, emitted: &mut RecordWriter) {
        if self.stopped.is_some() {
            return;
        }
        if let Err(failure) = self.plan.instance.tick(emitted.raw()) {
            log::warn!("filter `{}`: tick: {}", self.plan.name, failure.reason);
            self.recover(&failure);
        }
    }

    fn bury(&mut self, call: &mut FilterCall<'_>, index: u32, reason: &str, attempts: u32) {
        let Some(item) = call.items.get(index as usize) else { return };
        call.dead += 1;
        // SAFETY: the batch's arenas keep the record.
        let message = unsafe { Message::from_record(item.record) };
        self.plan.dead_letters.bury(&message, reason, attempts, call.batch.tokens());
    }

    /// Makes the filter anew after a panic, or notes that it is stopped.
    fn recover(&mut self, failure: &Failure) {
        let (name, reason) = (&self.plan.name, &failure.reason);
        match failure.kind {
            FailureKind::Message | FailureKind::Retry => {}
            FailureKind::Panic
                if self.plan.settings.on_panic == OnPanic::Restart && self.restarts < RESTARTS_MAX =>
            {
                self.restarts += 1;
                log::error!("filter `{name}`: {reason}; restarted ({} of {RESTARTS_MAX})", self.restarts);
                let opened =
                    self.plan.spec.open().and_then(|mut instance| instance.start(None).map(|()| instance));
                match opened {
                    Ok(instance) => self.plan.instance = instance,
                    Err(failure) => self.stop(format!("failed to restart: {}", failure.reason)),
                }
            }
            _ => self.stop(reason.clone()),
        }
    }

    fn stop(&mut self, reason: String) {
        log::error!(
            "filter `{}`: {reason}; stopped: its chain's messages become dead letters",
            self.plan.name
        );
        self.stopped = Some(format!("the filter is stopped: {reason}"));
    }
}
