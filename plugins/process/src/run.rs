//! A run, from its start until nothing of it is left.

use crate::exit::Exit;
use crate::group::Group;
use crate::launch::Launched;
use crate::output::{Allowance, Output};
use heka_plugin_api::{Counter, PluginError, Reader};
use heka_socket::{Wake, cause};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::process::Child;
use std::time::{Duration, Instant};

/// How long pipes may stay open after the last program's end: something that it left behind holds them.
const LINGER: Duration = Duration::from_secs(1);
/// How often is looked for ends where the kernel can't tell of them.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// What one call reads, in bytes.
const CALL_BYTES: usize = 256 << 10;
/// How long a killed process may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(1);

/// How long a run may take.
#[derive(Clone, Copy)]
pub struct Limits {
    pub timeout: Option<Duration>,
    pub kill_after: Duration,
    pub output_bytes_max: u64,
}

/// Programs that run.
pub struct Run {
    group: Group,
    children: Vec<Child>,
    /// One for each program, as far as the kernel has such.
    pidfds: Vec<OwnedFd>,
    stdout: Output,
    stderr: Output,
    allowance: Allowance,
    limits: Limits,
    began: Instant,
    /// When the last program had ended.
    ended: Option<Instant>,
    /// When what was asked to end is killed.
    kill_at: Option<Instant>,
    timed_out: bool,
    was_killed: bool,
}

impl Run {
    /// Takes charge of programs that were just started.
    pub fn new(launched: Launched, group: Group, instance: &str, limits: Limits) -> Run {
        let open = |child: &Child| pidfd_open(pid(child)?, PidfdFlags::empty()).ok();
        Run {
            group,
            pidfds: launched.children.iter().filter_map(open).collect(),
            children: launched.children,
            stdout: Output::new(launched.stdout, instance, "stdout"),
            stderr: Output::new(launched.stderr, instance, "stderr"),
            allowance: Allowance { left: limits.output_bytes_max, dropped: 0 },
            limits,
            began: Instant::now(),
            ended: None,
            kill_at: None,
            timed_out: false,
            was_killed: false,
        }
    }

    /// Goes on for another instance.
    pub fn hand_over(&mut self, group: &Group, limits: Limits) {
        group.take_over(&self.group);
        self.group = group.clone();
        self.limits = limits;
    }

    /// Goes on with the streams for an instance that took them over.
    pub fn keep_streams(&self, reader: &Reader<'_>) {
        self.stdout.keep(reader);
        self.stderr.keep(reader);
    }

    /// Returns when it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Asks it to end, and kills it after so long.
    pub fn ask_to_end(&mut self, kill_after: Duration) {
        self.group.ask_to_end();
        let kill_at = Instant::now() + kill_after;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |earlier| earlier.min(kill_at)));
    }

    /// Reads what comes within the time; tells whether anything did.
    pub fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        wake: Option<&Wake>,
        taken: &Counter,
    ) -> Result<bool, PluginError> {
        self.wait(timeout, wake)?;
        let mut left = CALL_BYTES;
        let mut found = 0;
        for output in [&mut self.stdout, &mut self.stderr] {
            while left > 0 {
                let len = output.read(reader, &mut self.allowance, taken)?;
                left = left.saturating_sub(len);
                found += len;
                if len == 0 {
                    break;
                }
            }
        }
        self.keep_time(found);
        Ok(found > 0)
    }

    /// Tells whether all programs have ended, and all of their output was read.
    pub fn is_over(&self) -> bool {
        self.ended.is_some() && self.stdout.has_ended() && self.stderr.has_ended()
    }

    /// Ends the streams and reaps the programs; what they left behind in their group is killed.
    pub fn finish(mut self, command: &str, reader: &mut Reader<'_>) -> Exit {
        self.stdout.close(reader);
        self.stderr.close(reader);
        self.group.kill();
        self.group.end();
        let statuses = self.children.iter_mut().filter_map(|child| child.wait().ok()).collect();
        let ended = self.ended.unwrap_or_else(Instant::now);
        Exit {
            command: command.to_owned(),
            pid: self.children.first().map(Child::id),
            statuses,
            duration: ended.saturating_duration_since(self.began),
            timed_out: self.timed_out,
            stopped: false,
            stdout_bytes: self.stdout.bytes,
            stderr_bytes: self.stderr.bytes,
            dropped_bytes: self.allowance.dropped,
            failure: None,
        }
    }

    /// Waits for output, for an end, or for a time at which something is to be done.
    fn wait(&self, timeout: Duration, wake: Option<&Wake>) -> Result<(), PluginError> {
        let now = Instant::now();
        let due = [self.due(), self.kill_at.filter(|_| !self.was_killed)].into_iter().flatten().min();
        let mut timeout = due.map_or(timeout, |due| timeout.min(due.saturating_duration_since(now)));
        if self.pidfds.len() < self.children.len() || self.was_killed {
            timeout = timeout.min(LOOK_INTERVAL);
        }
        let mut files: Vec<PollFd<'_>> = wake.into_iter().map(|wake| readable(wake)).collect();
        files.extend([&self.stdout, &self.stderr].into_iter().filter_map(Output::as_fd).map(readable_fd));
        if self.ended.is_none() {
            files.extend(
                self.pidfds
                    .iter()
                    .zip(&self.children)
                    .filter(|(_, child)| !has_ended(child))
                    .map(|(pidfd, _)| readable(pidfd)),
            );
        }
        match poll(&mut files, Timespec::try_from(timeout).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(PluginError::retry(format!("failed to wait for a program: {}", cause(errno)))),
        }
    }

    /// Until when it may run, or hold its pipes open.
    fn due(&self) -> Option<Instant> {
        match self.ended {
            Some(ended) => Some(ended + LINGER),
            None if self.kill_at.is_none() => self.limits.timeout.map(|timeout| self.began + timeout),
            None => None,
        }
    }

    /// Notes ends, and does what is due.
    fn keep_time(&mut self, found: usize) {
        let now = Instant::now();
        if self.ended.is_none() && self.children.iter().all(has_ended) {
            self.ended = Some(now);
        }
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due && self.ended.is_none() {
            self.timed_out = true;
            self.ask_to_end(self.limits.kill_after);
        }
        let lingers = is_due && self.ended.is_some();
        if !self.was_killed && (lingers || self.kill_at.is_some_and(|at| at <= now)) {
            self.group.kill();
            self.was_killed = true;
        } else if self.was_killed && self.ended.is_some() && found == 0 {
            // Whoever holds the pipes now has left the group.
            self.stdout.end();
            self.stderr.end();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.group.kill();
        self.group.end();
        let deadline = Instant::now() + GONE_MAX;
        for child in &mut self.children {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn readable<F: AsFd>(file: &F) -> PollFd<'_> {
    PollFd::new(file, PollFlags::IN)
}

fn readable_fd(file: rustix::fd::BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(file, PollFlags::IN)
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}

/// Tells whether a program has ended, without reaping it.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    pid(child).is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), options), Ok(None)))
}
