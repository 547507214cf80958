//! The connections of the input.

use crate::incoming::Incoming;
use crate::protocol::{AgentHello, HEADER_BYTES_MAX, Limits};
use heka_link::Link;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A link that the thread of the signs of life uses too.
pub type SharedLink = Arc<Mutex<Link>>;

/// Locks a link.
pub fn locked(link: &SharedLink) -> MutexGuard<'_, Link> {
    link.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a connection is.
pub enum Phase {
    /// The agent has not said who it is.
    Silent,
    /// It has, and is to prove that it knows the secret.
    Proving(Box<Greeting>),
    /// It sends batches of the source with this number.
    Sending(usize),
    /// It was rejected: what it still sends is thrown away, so that it can read why.
    Rejected,
}

/// What was said so far.
pub struct Greeting {
    pub hello: AgentHello,
    /// The header of the agent's hello as it came.
    pub hello_header: Vec<u8>,
    /// The header of the answer as it went.
    pub answer_header: Vec<u8>,
}

/// One connection.
pub struct Connection {
    pub link: SharedLink,
    pub incoming: Incoming,
    pub phase: Phase,
    /// Address of the peer; behind the greeting with its name.
    pub peer: Arc<str>,
    /// When something came last.
    pub last: Instant,
    /// When the phase must be over, unless it is `Sending`.
    pub deadline: Instant,
    /// Whether the poller waits for room to write.
    pub asked_to_write: bool,
}

impl Connection {
    pub fn new(link: Link, peer: Arc<str>, now: Instant, deadline: Instant) -> Connection {
        Connection {
            link: Arc::new(Mutex::new(link)),
            incoming: Incoming::default(),
            phase: Phase::Silent,
            peer,
            last: now,
            deadline,
            asked_to_write: false,
        }
    }

    /// Returns the limits of the next frame.
    pub fn limits(&self, batch_bytes_max: usize) -> Limits {
        match self.phase {
            Phase::Sending(_) => {
                Limits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max: batch_bytes_max }
            }
            _ => Limits::GREETING,
        }
    }
}

/// Connections by number; numbers of closed ones are given again.
#[derive(Default)]
pub struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
}

impl Connections {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a connection; returns its number.
    pub fn add(&mut self, connection: Connection) -> usize {
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[number] = Some(connection);
        number
    }

    /// Returns the connection with this number.
    pub fn at(&mut self, number: usize) -> Option<&mut Connection> {
        self.slots.get_mut(number)?.as_mut()
    }

    /// Takes a connection out.
    pub fn remove(&mut self, number: usize) -> Option<Connection> {
        let connection = self.slots.get_mut(number)?.take()?;
        self.free.push(number);
        Some(connection)
    }

    /// Returns all connections with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(number, slot)| slot.as_ref().map(|connection| (number, connection)))
    }
}
