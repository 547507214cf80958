//! How each instance is doing: told by its own calls, read out of band.
//!
//! An instance that works never touches this: only the first failure of a row, another reason, and the first success
//! behind it do.

use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How an instance is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// Its last call went well, or it has not been called yet.
    Ok,
    /// Its last call failed and is tried again, or it panicked and is restarted.
    Retrying,
    /// It is not called any more; its messages become dead letters.
    Stopped,
}

impl State {
    /// Its name: `ok`, `retrying` or `stopped`.
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Retrying => "retrying",
            State::Stopped => "stopped",
        }
    }
}

/// How one instance is doing.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct InstanceHealth {
    /// `input`, `decoder`, `filter`, `encoder` or `output`.
    pub kind: &'static str,
    /// Its name in the config.
    pub name: String,
    /// The input, chain or output that it works for, if it is not that itself.
    pub of: Option<String>,
    /// How it is doing.
    pub state: State,
    /// Why, if it is not ok.
    pub reason: Option<String>,
    /// How long it has been in this state, in seconds.
    pub seconds: f64,
}

/// The states of the instances of one stage.
#[derive(Default, Debug)]
pub(crate) struct HealthCells {
    cells: Mutex<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    kind: &'static str,
    name: String,
    state: State,
    reason: Option<String>,
    since: Instant,
}

impl HealthCells {
    fn lock(&self) -> MutexGuard<'_, Vec<Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an instance was opened; one that was stopped by a panic is now one that is tried again. Returns its
    /// state.
    pub(crate) fn opened(&self, kind: &'static str, name: &str) -> State {
        let mut cells = self.lock();
        match cells.iter_mut().find(|cell| cell.kind == kind && cell.name == name) {
            Some(cell) if cell.state == State::Stopped => {
                cell.state = State::Retrying;
                cell.since = Instant::now();
                State::Retrying
            }
            Some(cell) => cell.state,
            None => {
                let (name, since) = (name.to_owned(), Instant::now());
                cells.push(Cell { kind, name, state: State::Ok, reason: None, since });
                State::Ok
            }
        }
    }

    /// Notes how an instance is doing.
    pub(crate) fn set(&self, kind: &'static str, name: &str, state: State, reason: Option<&str>) {
        let mut cells = self.lock();
        let Some(cell) = cells.iter_mut().find(|cell| cell.kind == kind && cell.name == name) else { return };
        if cell.state != state {
            cell.state = state;
            cell.since = Instant::now();
        }
        if cell.reason.as_deref() != reason {
            cell.reason = reason.map(str::to_owned);
        }
    }

    /// Returns what is known of each instance; `stage` is the name of the input, chain or output that they work for,
    /// `own` the kind that is the stage itself.
    pub(crate) fn snapshot(&self, stage: &str, own: &str) -> Vec<InstanceHealth> {
        let health = |cell: &Cell| InstanceHealth {
            kind: cell.kind,
            name: cell.name.clone(),
            of: (cell.kind != own).then(|| stage.to_owned()),
            state: cell.state,
            reason: cell.reason.clone(),
            seconds: cell.since.elapsed().as_secs_f64(),
        };
        self.lock().iter().map(health).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_what_is_told() {
        let cells = HealthCells::default();
        let check = |state: State, reason: Option<&str>| {
            let found = cells.snapshot("web", "input").remove(0);
            assert_eq!((found.state, found.reason.as_deref()), (state, reason));
        };
        assert_eq!(cells.opened("input", "web"), State::Ok);
        check(State::Ok, None);
        cells.set("input", "web", State::Retrying, Some("connection refused"));
        check(State::Retrying, Some("connection refused"));
        cells.set("input", "web", State::Ok, None);
        check(State::Ok, None);
        cells.set("input", "web", State::Stopped, Some("panicked in read"));
        assert_eq!(cells.opened("input", "web"), State::Retrying);
        check(State::Retrying, Some("panicked in read"));
    }

    #[test]
    fn an_instance_that_is_not_its_stage_says_whose_it_is() {
        let cells = HealthCells::default();
        cells.opened("input", "web");
        cells.opened("decoder", "json");
        let of: Vec<_> = cells.snapshot("web", "input").into_iter().map(|health| health.of).collect();
        assert_eq!(of, [None, Some("web".to_owned())]);
    }
}
