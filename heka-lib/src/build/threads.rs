//! The threads of a router, in the order in which they end.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::time::Instant;

/// Stages end in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Tier {
    Input,
    Chain,
    Injection,
    Output,
}

/// Running threads. A thread that doesn't end in time is left alone, never ended by force.
pub(crate) struct Threads {
    running: Vec<(usize, Tier, String)>,
    started: usize,
    ended: (Sender<usize>, Receiver<usize>),
}

/// Says that its thread has ended, also when it panicked.
struct Ended {
    sender: Sender<usize>,
    id: usize,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.sender.send(self.id);
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads { running: Vec::new(), started: 0, ended: unbounded() }
    }
}

impl Threads {
    pub(crate) fn spawn(
        &mut self,
        tier: Tier,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let id = self.started;
        let ended = Ended { sender: self.ended.0.clone(), id };
        // The kernel shows 15 characters of a thread's name.
        let short: String = name.chars().take(15).collect();
        std::thread::Builder::new().name(short).spawn(move || {
            let _ended = ended;
            run();
        })?;
        self.started += 1;
        self.running.push((id, tier, name.to_owned()));
        Ok(())
    }

    /// Waits until all threads of the tiers have ended, or the deadline has passed; tells whether they have.
    pub(crate) fn wait(&mut self, tiers: &[Tier], deadline: Instant) -> bool {
        while self.running.iter().any(|(_, tier, _)| tiers.contains(tier)) {
            let Ok(id) = self.ended.1.recv_deadline(deadline) else { return false };
            self.running.retain(|(running, ..)| *running != id);
        }
        true
    }

    /// Names of the threads that still run.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(|(_, _, name)| name.as_str())
    }
}
