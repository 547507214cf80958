//! The threads of a router, in the order in which they end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
#[derive(Clone, Default)]
pub(crate) struct Threads {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    running: Mutex<Running>,
    ended: Condvar,
}

#[derive(Default)]
struct Running {
    threads: Vec<Thread>,
    started: u64,
}

struct Thread {
    id: u64,
    tier: Tier,
    name: String,
}

/// Says that its thread has ended, also when it panicked.
struct Ended {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.shared.lock().threads.retain(|thread| thread.id != self.id);
        self.shared.ended.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    /// Starts a thread; `name` is also what [`wait_for`](Threads::wait_for) knows it by.
    pub(crate) fn spawn(
        &self,
        tier: Tier,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let id = {
            let mut running = self.shared.lock();
            running.started += 1;
            let id = running.started;
            running.threads.push(Thread { id, tier, name: name.to_owned() });
            id
        };
        let ended = Ended { shared: self.shared.clone(), id };
        // The kernel shows 15 characters of a thread's name.
        let short: String = name.chars().take(15).collect();
        // What can't be started is dropped, and so says that it has ended.
        std::thread::Builder::new().name(short).spawn(move || {
            let _ended = ended;
            run();
        })?;
        Ok(())
    }

    /// Waits until all threads of the tiers have ended, or the deadline has passed; tells whether they have.
    pub(crate) fn wait(&self, tiers: &[Tier], deadline: Instant) -> bool {
        self.wait_until_none(|thread| tiers.contains(&thread.tier), deadline)
    }

    /// Waits until no thread has this name, or the deadline has passed; tells whether none has.
    pub(crate) fn wait_for(&self, name: &str, deadline: Instant) -> bool {
        self.wait_until_none(|thread| thread.name == name, deadline)
    }

    fn wait_until_none(&self, is_meant: impl Fn(&Thread) -> bool, deadline: Instant) -> bool {
        let mut running = self.shared.lock();
        while running.threads.iter().any(&is_meant) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            let waited = self.shared.ended.wait_timeout(running, left);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Names of the threads that still run.
    pub(crate) fn names(&self) -> Vec<String> {
        self.shared.lock().threads.iter().map(|thread| thread.name.clone()).collect()
    }
}
