//! What lies between the server's thread and the input's: requests that have arrived, and what became of them.

use super::answer::Answer;
use super::coding::Coding;
use super::memory::{Hold, Memory};
use heka_socket::Listener;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, read, write};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A whole request.
pub struct Request {
    /// Number of its connection, never given again.
    pub connection: u64,
    pub peer: Arc<str>,
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub codings: Vec<Coding>,
    pub body: Vec<u8>,
    /// The memory that the body takes.
    pub hold: Hold,
}

/// What the input's thread is told.
pub enum Arrival {
    Request(Box<Request>),
    /// A connection is gone; nothing more comes from it, and nobody waits for its answer.
    Gone(u64),
}

/// What the server's thread is told.
pub enum Order {
    /// What a connection's request is answered.
    Answer(u64, Answer),
    /// Listen at another address.
    Listen(Box<Listener>),
    /// The setup has changed.
    LookAgain,
    /// Take no new requests.
    Refuse,
    /// Come to an end.
    End,
}

/// What the server counts; the input's thread shows it.
#[derive(Default)]
pub struct Tally {
    pub connections: AtomicU64,
    pub accepted: AtomicU64,
    pub refused_connections: AtomicU64,
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    pub overloads: AtomicU64,
    pub timeouts: AtomicU64,
    pub lost: AtomicU64,
}

impl Tally {
    /// Adds one to a count.
    pub fn count(cell: &AtomicU64) {
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where both threads meet.
pub struct Desk {
    shelf: Mutex<Shelf>,
    arrived: Condvar,
    bell: OwnedFd,
    pub memory: Memory,
    pub tally: Tally,
}

#[derive(Default)]
struct Shelf {
    arrivals: VecDeque<Arrival>,
    orders: Vec<Order>,
    server_has_ended: bool,
}

impl Desk {
    /// Makes an empty one.
    pub fn new() -> Result<Desk, Errno> {
        Ok(Desk {
            shelf: Mutex::default(),
            arrived: Condvar::new(),
            bell: eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?,
            memory: Memory::default(),
            tally: Tally::default(),
        })
    }

    /// Tells the input's thread something. There is at most one request of each connection.
    pub fn arrive(&self, arrival: Arrival) {
        self.locked().arrivals.push_back(arrival);
        self.arrived.notify_one();
    }

    /// Takes a request back that nobody has begun with; tells whether it was still there.
    pub fn withdraw(&self, connection: u64) -> bool {
        let is_it = |arrival: &Arrival| matches!(arrival, Arrival::Request(request) if request.connection == connection);
        let mut shelf = self.locked();
        let at = shelf.arrivals.iter().position(is_it);
        at.and_then(|at| shelf.arrivals.remove(at)).is_some()
    }

    /// Waits for what arrives next.
    pub fn next_arrival(&self, timeout: Duration, is_over: impl Fn() -> bool) -> Option<Arrival> {
        let is_idle = |shelf: &mut Shelf| shelf.arrivals.is_empty() && !shelf.server_has_ended && !is_over();
        let waited = self.arrived.wait_timeout_while(self.locked(), timeout, is_idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.arrivals.pop_front()
    }

    /// Ends a wait for arrivals, for who has to look at something else.
    pub fn wake_input(&self) {
        drop(self.locked());
        self.arrived.notify_all();
    }

    /// Tells the server's thread something.
    pub fn order(&self, order: Order) {
        self.locked().orders.push(order);
        // It can only fail when it rings already.
        let _ = write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Takes what the server's thread was told.
    pub fn orders(&self) -> Vec<Order> {
        let _ = read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut self.locked().orders)
    }

    /// Notes that the server's thread has ended.
    pub fn note_end(&self) {
        self.locked().server_has_ended = true;
        self.arrived.notify_all();
    }

    /// Tells whether the server's thread has ended.
    pub fn server_has_ended(&self) -> bool {
        self.locked().server_has_ended
    }

    fn locked(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bell that rings when there are orders.
impl AsFd for Desk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
