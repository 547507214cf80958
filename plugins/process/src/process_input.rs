//! Input `process`: what the host calls.

use crate::config::{Config, ReportOf};
use crate::exit::Exit;
use crate::group::Group;
use crate::launch::{Account, Launch};
use crate::run::{Limits, Run};
use crate::schedule::{Plan, Schedule};
use heka_plugin_api::{Context, Counter, Faults, Input, PluginError, Read, Reader, StopSignal};
use heka_socket::{Complaints, Wake};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that what was asked to end may take at a stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long one call waits at a stop.
const STOP_WAIT: Duration = Duration::from_millis(20);

/// Runs a command, or a pipeline, and reads what it writes.
pub struct ProcessInput {
    shown: String,
    launch: Launch,
    limits: Limits,
    report: ReportOf,
    schedule: Schedule,
    group: Group,
    wake: Wake,
    run: Option<Run>,
    /// Whether the host takes the run's streams for those of an instance that this one took over from.
    has_inherited: bool,
    failing: bool,
    complaints: Complaints,
    stop: StopSignal,
    runs: Counter,
    failures: Counter,
    timeouts: Counter,
    bytes: Counter,
    dropped_bytes: Counter,
}

impl Input for ProcessInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let plan = match config.keep_running {
            true => Plan::Again { delay: config.restart_delay.0, max: config.restart_delay_max.0 },
            false => Plan::Every(config.interval.0),
        };
        Ok(ProcessInput {
            shown: config.shown(),
            limits: Limits {
                timeout: config.run_timeout(),
                kill_after: config.kill_after.0,
                output_bytes_max: config.run_bytes_max(),
            },
            report: config.report,
            schedule: Schedule::new(plan, Instant::now()),
            group: Group::default(),
            wake: Wake::of_instance(context)?,
            run: None,
            has_inherited: false,
            failing: false,
            complaints: Complaints::default(),
            stop: context.stop_signal(),
            runs: context.counter("runs"),
            failures: context.counter("failures"),
            timeouts: context.counter("timeouts"),
            bytes: context.counter("bytes"),
            dropped_bytes: context.counter("dropped_bytes"),
            launch: Launch {
                programs: config.programs(),
                working_dir: config.working_dir,
                environment: config.environment,
                clear_environment: config.clear_environment,
                user: config.user.as_deref().map(Account::find).transpose()?,
                stdout: config.stdout,
                stderr: config.stderr,
            },
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        let (group, grace) = (self.group.clone(), self.limits.kill_after.min(STOP_GRACE));
        self.stop.on_stop(move || end_soon(&group, grace));
        // What runs as it should goes on; anything else is killed with the predecessor.
        if let Some(old) = predecessor.filter(|old| old.launch == self.launch) {
            self.run = old.run.take();
            if let Some(run) = &mut self.run {
                run.hand_over(&self.group, self.limits);
                self.has_inherited = true;
            } else {
                self.schedule = self.schedule.following(&old.schedule, Instant::now());
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let is_stopping = self.stop.is_raised();
        if self.run.is_none() {
            if is_stopping {
                return Ok(Read::End);
            }
            let wait = self.schedule.wait(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait.min(timeout));
            }
            if wait > timeout {
                return Ok(Read::Idle);
            }
            self.begin(reader, context)?;
            return Ok(Read::Some);
        }
        let (timeout, wake) = if is_stopping { (STOP_WAIT, None) } else { (timeout, Some(&self.wake)) };
        let Some(run) = &mut self.run else { return Ok(Read::Idle) };
        if std::mem::take(&mut self.has_inherited) {
            run.keep_streams(reader);
        }
        if is_stopping {
            run.ask_to_end(self.limits.kill_after.min(STOP_GRACE));
        }
        let found = run.read(reader, timeout, wake, &self.bytes)?;
        if run.is_over() {
            self.end(reader, context)?;
            return Ok(Read::Some);
        }
        // Programs that run are not idle, so that `--once` waits for their end.
        Ok(if found || is_stopping || self.schedule.awaits_ends() { Read::Some } else { Read::Idle })
    }
}

impl ProcessInput {
    fn begin(&mut self, reader: &mut Reader<'_>, context: &Context) -> Result<(), PluginError> {
        self.runs.add(1);
        match self.launch.start(&self.group) {
            Ok(launched) => {
                self.run = Some(Run::new(launched, self.group.clone(), context.instance(), self.limits));
                // Who asked in between found nobody.
                if self.stop.is_raised() {
                    self.group.ask_to_end();
                }
                Ok(())
            }
            Err(why) => {
                let now = Instant::now();
                let exit = Exit { command: self.shown.clone(), failure: Some(why), ..Exit::default() };
                self.conclude(&exit, now, reader, context)
            }
        }
    }

    fn end(&mut self, reader: &mut Reader<'_>, context: &Context) -> Result<(), PluginError> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let began = run.began();
        let exit = Exit { stopped: self.stop.is_raised(), ..run.finish(&self.shown, reader) };
        self.conclude(&exit, began, reader, context)
    }

    /// Counts a run that has ended, tells of it, and plans the next.
    fn conclude(
        &mut self,
        exit: &Exit,
        began: Instant,
        reader: &mut Reader<'_>,
        context: &Context,
    ) -> Result<(), PluginError> {
        let wait = self.schedule.ended(began, Instant::now());
        self.timeouts.add(exit.timed_out.into());
        self.dropped_bytes.add(exit.dropped_bytes);
        let has_failed = !exit.is_success() && !exit.stopped;
        self.failures.add(has_failed.into());
        // Once for each time that it begins to fail: how often it does is counted and told by messages.
        if has_failed && !self.failing {
            let instance = context.instance();
            self.complaints.warn(|| format!("input `{instance}`: {}; next run in {wait:.1?}", exit.text()));
        }
        self.failing = has_failed;
        exit.report(self.report, reader)
    }
}

/// Asks a group to end, and kills it a moment later; also when the input's thread is stuck in a full pipeline.
fn end_soon(group: &Group, grace: Duration) {
    group.ask_to_end();
    let to_kill = group.clone();
    let body = move || {
        thread::sleep(grace);
        to_kill.kill();
    };
    if thread::Builder::new().name("process stop".to_owned()).spawn(body).is_err() {
        group.kill();
    }
}

#[cfg(test)]
mod tests;
