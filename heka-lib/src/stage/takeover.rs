//! How an input goes on in another way, after a reload: with another instance of its plugin, another decoder, other
//! routes.
//!
//! **Invariant:** what was read and not yet split is neither lost nor handed on twice: a successor of the same plugin
//! goes on with its predecessor's streams; one that can't take over, such as that of a newer build of the plugin,
//! starts when everything read is acknowledged and its predecessor has ended.

use super::input::InputStage;
use super::intake::Intake;
use crate::control::Answer;
use crate::instance::{FailureKind, Instance, InstanceSpec};
use crate::routes::RoutePlan;
use crate::splitter::SplitterConfig;
use std::time::{Duration, Instant};

/// How long an input waits, without reading, for everything to be acknowledged, before a newer build replaces it.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What changes of an input.
pub(crate) struct InputChange {
    /// Another instance of the plugin, opened.
    pub(crate) plugin: Option<(InstanceSpec, Instance)>,
    /// What it decodes and routes with.
    pub(crate) intake: Option<Intake>,
    pub(crate) routes: Option<RoutePlan>,
    pub(crate) settings: Option<InputSettings>,
    pub(crate) answer: Answer,
}

/// What the host owns of an input's section.
pub(crate) struct InputSettings {
    pub(crate) splitter: SplitterConfig,
    pub(crate) splitter_named: bool,
    /// Whether the splitter is another one.
    pub(crate) splits_anew: bool,
    pub(crate) ticker: Option<Duration>,
}

impl InputStage {
    /// Goes on in another way, or, when the new instance refuses, as before.
    pub(super) fn change(&mut self, change: InputChange) {
        self.reading.intake.routes().flush();
        if let Some((spec, instance)) = change.plugin
            && let Err(reason) = self.replace(spec, instance)
        {
            return change.answer.give(Err(reason));
        }
        if let Some(intake) = change.intake {
            self.reading.intake.change(intake);
        }
        if let Some(plan) = change.routes {
            self.reading.intake.change_routes(&plan);
        }
        if let Some(settings) = change.settings {
            self.plan.ticker = settings.ticker;
            if settings.splits_anew {
                self.reading.set_splitter(settings.splitter, settings.splitter_named);
            }
        }
        self.schedule();
        change.answer.give(Ok(()));
    }

    fn replace(&mut self, spec: InstanceSpec, fresh: Instance) -> Result<(), String> {
        if fresh.can_follow(&self.instance) {
            self.take_over(fresh)?;
        } else {
            self.start_anew(fresh)?;
        }
        self.plan.spec = spec;
        self.back_off.reset();
        Ok(())
    }

    /// Lets a new instance take over from the stage's.
    fn take_over(&mut self, mut fresh: Instance) -> Result<(), String> {
        let predecessor = if self.started { Some(&mut self.instance) } else { self.predecessor.as_mut() };
        let result = fresh.start(predecessor);
        let starts = self.starts(result.map_err(|failure| (failure.kind, failure.reason)));
        let starts = starts.inspect_err(|_| self.instance.goes_on())?;
        let old = self.install(fresh);
        let was_started = std::mem::replace(&mut self.started, starts);
        if starts {
            self.predecessor = None;
        } else if was_started {
            self.predecessor = Some(old);
        }
        self.reading.leave_streams();
        Ok(())
    }

    /// Ends the stage's instance and starts another one that can take nothing over.
    fn start_anew(&mut self, fresh: Instance) -> Result<(), String> {
        if !self.settles() {
            return Err(
                "what it read is not acknowledged yet, and another build of the plugin can't take it over; \
                        reload again later"
                    .to_owned(),
            );
        }
        self.drain();
        self.reading.leave_streams();
        self.reading.close_inherited(true);
        self.reading.intake.routes().flush();
        if !self.settles() {
            let name = &self.plan.name;
            log::warn!("input `{name}`: replaced before all was acknowledged: some of it may be read again");
        }
        drop(self.install(fresh));
        let result = self.instance.start(None);
        match self.starts(result.map_err(|failure| (failure.kind, failure.reason))) {
            Ok(started) => self.started = started,
            Err(reason) => {
                let again = self.plan.spec.open();
                let again =
                    again.map_err(|failure| format!("{reason}; and the old one: {}", failure.reason))?;
                self.install(again);
                self.started = false;
                return Err(reason);
            }
        }
        Ok(())
    }

    /// Tells whether an instance has started, or is to be tried again; fails when it refuses.
    fn starts(&self, result: Result<(), (FailureKind, String)>) -> Result<bool, String> {
        match result {
            Ok(()) => Ok(true),
            Err((FailureKind::Retry, reason)) => {
                log::warn!("input `{}`: {reason}; trying again", self.plan.name);
                Ok(false)
            }
            Err((_, reason)) => Err(reason),
        }
    }

    fn settles(&mut self) -> bool {
        let (asked, stop) = (Instant::now(), self.plan.stop.clone());
        self.settle_unless(|| asked.elapsed() > SETTLE_MAX || stop.is_stopping())
    }
}
