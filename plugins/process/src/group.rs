//! The processes of a run as one group, which any thread may signal as long as its leader was not reaped.

use rustix::process::{Pid, Signal, kill_process_group};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A process group, or none. Clones are of the same one.
///
/// **Invariant:** it is forgotten before its leader is reaped. Until then nobody else can have its number.
#[derive(Clone, Default)]
pub struct Group {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Default)]
struct State {
    leader: Option<Pid>,
    was_asked_to_end: bool,
}

impl Group {
    /// Notes the group that this process leads.
    pub fn begin(&self, leader: Pid) {
        *self.locked() = State { leader: Some(leader), was_asked_to_end: false };
    }

    /// Forgets the group.
    pub fn end(&self) {
        *self.locked() = State::default();
    }

    /// Takes the group over from another holder, which forgets it.
    pub fn take_over(&self, other: &Group) {
        let state = std::mem::take(&mut *other.locked());
        *self.locked() = state;
    }

    /// Asks all of the group's processes to end (SIGTERM), once.
    pub fn ask_to_end(&self) {
        let mut state = self.locked();
        if let Some(leader) = state.leader.filter(|_| !state.was_asked_to_end) {
            state.was_asked_to_end = true;
            // None may be left.
            let _ = kill_process_group(leader, Signal::TERM);
        }
    }

    /// Kills all of the group's processes.
    pub fn kill(&self) {
        if let Some(leader) = self.locked().leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
