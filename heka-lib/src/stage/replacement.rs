//! How an output goes on in another way, after a reload: with another instance of its plugin, or another encoder.

use super::deferred::ANSWER_INTERVAL;
use super::output::OutputStage;
use super::retry::BackOff;
use crate::config::RetryConfig;
use crate::control::Answer;
use crate::instance::{Failure, FailureKind, Instance, InstanceSpec};
use std::time::{Duration, Instant};

/// How long the answers to deferred batches are waited for before another instance gets them again.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What changes of an output at a reload.
pub(crate) struct OutputChange {
    /// Another instance of the plugin, opened.
    pub(crate) plugin: Option<(InstanceSpec, Instance)>,
    /// Another encoder, opened; or none from now on.
    pub(crate) encoder: Option<Option<(InstanceSpec, Instance)>>,
    pub(crate) retry: RetryConfig,
    pub(crate) ticker: Option<Duration>,
    pub(crate) answer: Answer,
}

impl OutputStage {
    /// Goes on in another way, or, when a new instance refuses to start, as before.
    pub(super) fn change(&mut self, change: OutputChange) {
        let OutputChange { plugin, encoder, retry, ticker, answer } = change;
        match self.replace(plugin, encoder) {
            Ok(()) => {
                self.back_off = BackOff::new(&retry);
                (self.plan.retry, self.plan.ticker) = (retry, ticker);
                self.schedule();
                answer.give(Ok(()));
            }
            Err(failure) => {
                self.plan.instance.goes_on();
                self.plan.encoder.iter_mut().for_each(|(_, encoder)| encoder.goes_on());
                answer.give(Err(failure.reason));
            }
        }
    }

    fn replace(
        &mut self,
        plugin: Option<(InstanceSpec, Instance)>,
        mut encoder: Option<Option<(InstanceSpec, Instance)>>,
    ) -> Result<(), Failure> {
        if let Some(Some((_, fresh))) = &mut encoder {
            fresh.start(self.plan.encoder.as_mut().map(|(_, old)| old))?;
        }
        if let Some((spec, fresh)) = plugin {
            self.replace_plugin(spec, fresh)?;
        }
        if let Some(encoder) = encoder {
            self.plan.encoder = encoder;
            self.stopped = None;
        }
        Ok(())
    }

    fn replace_plugin(&mut self, spec: InstanceSpec, mut fresh: Instance) -> Result<(), Failure> {
        let asked = Instant::now();
        while !self.deferred.is_empty() && asked.elapsed() < LAST_ANSWERS && !self.is_leaving() {
            self.collect(ANSWER_INTERVAL);
        }
        let predecessor = self.plan.started.then_some(&mut self.plan.instance);
        self.plan.started = match fresh.start(predecessor) {
            Ok(()) => true,
            Err(failure) if failure.kind == FailureKind::Retry => {
                log::warn!("output `{}`: {}; trying again", self.plan.name, failure.reason);
                false
            }
            Err(failure) => return Err(failure),
        };
        self.plan.spec = spec;
        self.install(fresh);
        (self.stopped, self.defers) = (None, false);
        self.give_deferred_again();
        Ok(())
    }
}
