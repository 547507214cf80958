//! Asks stages to go on in another way, and waits for their answers.

use crate::control::{Answered, Control};
use crate::stop::StopFlags;
use crossbeam_channel::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How long a stage may take before it looks at a command; one that waits for a full output may take longer.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// How long a stage may take to do what a command says.
const DO_MAX: Duration = Duration::from_secs(30);
/// How often is looked whether the router is being stopped.
const STOP_INTERVAL: Duration = Duration::from_millis(20);

/// How it went.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The stage goes on in the new way.
    Done,
    /// It goes on as before, for this reason.
    Refused(String),
}

/// A stage that was asked.
pub(super) struct Asked<'s> {
    answered: Answered,
    /// Takes the command back; tells whether the stage had not looked at it yet.
    take_back: Box<dyn Fn() -> bool + 's>,
}

impl<'s> Asked<'s> {
    pub(super) fn new<C>(control: &'s Control<C>, command: C, answered: Answered) -> Asked<'s> {
        // A stage that has ended lets the answer go.
        control.put(command);
        Asked { answered, take_back: Box::new(|| control.take_back().is_some()) }
    }

    /// Waits for the stage to do it, or makes sure that it doesn't.
    pub(super) fn outcome(self, stop: &StopFlags) -> Outcome {
        match wait(&self.answered, LOOK_MAX, stop) {
            Some(outcome) => outcome,
            None if stop.is_stopping() && (self.take_back)() => {
                Outcome::Refused("the router is being stopped".to_owned())
            }
            None if (self.take_back)() => {
                Outcome::Refused("waits until an output behind it has room; reload again later".to_owned())
            }
            None => wait(&self.answered, DO_MAX, stop)
                .unwrap_or_else(|| Outcome::Refused("did not answer in time".to_owned())),
        }
    }
}

/// Waits at most `time` for an answer.
pub(super) fn wait(answered: &Answered, time: Duration, stop: &StopFlags) -> Option<Outcome> {
    let deadline = Instant::now() + time;
    loop {
        let next = deadline.min(Instant::now() + STOP_INTERVAL);
        match answered.recv_deadline(next) {
            Ok(Ok(())) => return Some(Outcome::Done),
            Ok(Err(reason)) => return Some(Outcome::Refused(reason)),
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Outcome::Refused("has ended meanwhile; reload again".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < deadline && !stop.is_stopping() => {}
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}
