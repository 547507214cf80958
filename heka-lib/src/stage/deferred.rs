//! Batches that an output took for later: what their answers do, and how they are given again.

use super::output::OutputStage;
use crate::queue::Taken;
use std::time::Duration;

/// Batches that an output may hold for later.
const DEFERRED_MAX: usize = 64;
/// How often an output with deferred batches looks for answers.
pub(super) const ANSWER_INTERVAL: Duration = Duration::from_millis(2);

/// A batch that the output took for later.
pub(super) struct Deferred {
    pub(super) ticket: u64,
    pub(super) taken: Taken,
}

impl OutputStage {
    /// Puts what is left, and before it what the output took for later, in front of everything else.
    pub(super) fn give_again(&mut self, mut taken: Taken, done: usize) {
        taken.skip(done);
        self.plan.queue.done_partly(taken.sequence, done, taken.numbers.first().copied());
        self.waiting.push_front(taken);
        self.give_deferred_again();
    }

    pub(super) fn give_deferred_again(&mut self) {
        while let Some(deferred) = self.deferred.pop_back() {
            self.waiting.push_front(deferred.taken);
        }
    }

    pub(super) fn defer(&mut self, deferred: Deferred) {
        self.deferred.push_back(deferred);
        while self.deferred.len() >= DEFERRED_MAX && !self.is_called() {
            self.collect(ANSWER_INTERVAL);
            self.tick();
        }
    }

    /// Takes answers to deferred batches, waiting for one at most `time`.
    pub(super) fn collect(&mut self, time: Duration) {
        if self.deferred.is_empty() {
            return;
        }
        for (ticket, count) in self.answers.wait(time) {
            let Some(index) = self.deferred.iter().position(|deferred| deferred.ticket == ticket) else {
                let name = &self.plan.name;
                self.log.warn(|| {
                    format!("output `{name}`: acknowledged a batch that it doesn't hold (ticket {ticket})")
                });
                continue;
            };
            let taken = &mut self.deferred[index].taken;
            let count = (count as usize).min(taken.batch.len());
            self.plan.stats.delivered.add(count);
            taken.skip(count);
            let below = taken.numbers.first().copied();
            self.plan.queue.done_partly(taken.sequence, count, below);
            if taken.batch.is_empty() {
                let sequence = taken.sequence;
                self.deferred.remove(index);
                self.finish(sequence);
            }
            self.back_off.reset();
            self.note_failing(false);
        }
    }
}
