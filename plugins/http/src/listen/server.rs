//! The server's thread: accepts, reads requests, and writes answers, of all connections in turn. It never waits for the
//! pipeline, so it can say so when too much is under way.

use super::access::Access;
use super::answer::Answer;
use super::connection::{Connection, Manners, Step};
use super::desk::{Arrival, Desk, Order, Tally};
use heka_link::Link;
use heka_socket::{Complaints, Interest, Listener, Poller, cause};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt;
use rustls::{ServerConfig, ServerConnection};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens that are not connections.
const LISTENER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;
/// What is read from a connection before others get their turn.
const TURN_BYTES: usize = 64 << 10;
/// Connections that are taken before others are read again.
const ROUND_ACCEPTS: usize = 64;
/// How long nothing is accepted after the process or the machine ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often is looked for connections whose time is up.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long connections may take to read their last answers when the server ends.
const END_MAX: Duration = Duration::from_secs(1);

/// What an instance brings to a server.
pub struct Setup {
    pub instance: String,
    pub manners: Manners,
    pub access: Access,
    /// Lowercase names of headers to keep.
    pub headers: Vec<String>,
    pub connections_max: usize,
    pub tls: Option<Arc<ServerConfig>>,
}

/// The setup, which a reload replaces.
pub type SharedSetup = Arc<Mutex<Arc<Setup>>>;

/// A listener and its connections.
pub struct Server {
    desk: Arc<Desk>,
    shared: SharedSetup,
    setup: Arc<Setup>,
    poller: Poller,
    listener: Listener,
    connections: HashMap<u64, Connection>,
    next_number: u64,
    room: Vec<u8>,
    paused_until: Option<Instant>,
    next_look: Instant,
    now: Instant,
    /// Whether no new requests are taken.
    refuses: bool,
    ends_at: Option<Instant>,
    complaints: Complaints,
}

impl Server {
    /// # Errors
    /// The system's.
    pub fn new(listener: Listener, desk: Arc<Desk>, shared: SharedSetup) -> Result<Server, Errno> {
        let poller = Poller::new()?;
        poller.add(&*desk, BELL)?;
        poller.add(&listener, LISTENER)?;
        let now = Instant::now();
        let setup = current(&shared);
        Ok(Server {
            desk,
            shared,
            setup,
            poller,
            listener,
            connections: HashMap::new(),
            next_number: 0,
            room: vec![0; TURN_BYTES],
            paused_until: None,
            next_look: now,
            now,
            refuses: false,
            ends_at: None,
            complaints: Complaints::default(),
        })
    }

    /// Serves until it is told to end.
    pub fn run(mut self) {
        while self.ends_at.is_none_or(|at| self.now < at && !self.connections.is_empty()) {
            self.now = Instant::now();
            if self.next_look <= self.now {
                self.look();
            }
            if let Err(errno) = self.poller.wait(self.next_look.saturating_duration_since(self.now)) {
                let instance = self.setup.instance.clone();
                log::error!("input `{instance}`: failed to wait for connections: {}", cause(errno));
                break;
            }
            self.now = Instant::now();
            while let Some(token) = self.poller.next_ready() {
                match token {
                    BELL => self.obey(),
                    LISTENER => self.accept(),
                    number => self.turn(number),
                }
            }
        }
    }

    fn obey(&mut self) {
        for order in self.desk.orders() {
            match order {
                Order::Answer(number, answer) => self.answer(number, &answer),
                Order::Listen(listener) => match self.poller.add(&*listener, LISTENER) {
                    Ok(()) => (self.listener, self.paused_until) = (*listener, None),
                    Err(errno) => {
                        let instance = &self.setup.instance;
                        log::error!("input `{instance}`: failed to watch the new address: {}", cause(errno));
                    }
                },
                Order::LookAgain => (self.setup, self.refuses) = (current(&self.shared), false),
                Order::Refuse => {
                    self.refuses = true;
                    self.poller.remove(&self.listener);
                }
                Order::End => {
                    self.refuses = true;
                    self.ends_at = Some(self.now + END_MAX);
                    self.end_all();
                }
            }
        }
    }

    /// Ends what waits for nothing but the end; answers to the others are not to come any more.
    fn end_all(&mut self) {
        let numbers: Vec<u64> = self.connections.keys().copied().collect();
        for number in numbers {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            if connection.is_serving() {
                let answer = Answer::refusal(503, "the server ends before it knows; send it again");
                connection.answer(&answer, &self.setup.manners, false, self.now);
                self.settle(number);
            } else {
                self.close(number);
            }
        }
    }

    fn answer(&mut self, number: u64, answer: &Answer) {
        if !answer.is_success() {
            self.refused(number, answer.status);
        }
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let goes_on = connection.answer(answer, &self.setup.manners, !self.refuses, self.now);
        if goes_on {
            // The next request may have arrived already.
            self.step(number);
        } else {
            self.settle(number);
        }
    }

    /// Reads once from a connection, and goes on with what is there.
    fn turn(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let flushed = !connection.asked_to_write || connection.link.flush().is_ok();
        let received = match flushed {
            true => connection.receive(&mut self.room, &self.setup.manners, self.now),
            false => Ok(false),
        };
        match received {
            Ok(true) => return self.step(number),
            Ok(false) => {}
            Err(why) => {
                let (instance, peer) = (&self.setup.instance, &connection.peer);
                self.complaints.warn(|| format!("input `{instance}`: lost `{peer}`: {why}"));
            }
        }
        self.leave(number);
    }

    /// Closes a connection whose peer has gone, perhaps in the middle of a request.
    fn leave(&mut self, number: u64) {
        if self.connections.get(&number).is_some_and(Connection::is_amid_request) {
            Tally::count(&self.desk.tally.lost);
        }
        self.close(number);
    }

    fn step(&mut self, number: u64) {
        let (setup, refuses) = (self.setup.clone(), self.refuses);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let admit = |head: &_| {
            setup.access.check(head)?;
            match refuses {
                true => Err(Answer::refusal(503, "the server ends; send it again later")),
                false => Ok(()),
            }
        };
        match connection.step(&setup.manners, &self.desk.memory, &setup.headers, admit, self.now) {
            Step::Nothing if connection.is_over() => return self.leave(number),
            Step::Nothing => {}
            Step::Request(request) => {
                Tally::count(&self.desk.tally.requests);
                self.desk.arrive(Arrival::Request(request));
            }
            Step::Refused(status) => self.refused(number, status),
        }
        self.settle(number);
    }

    fn refused(&mut self, number: u64, status: u16) {
        self.count_refusal(status);
        let Some(connection) = self.connections.get(&number) else { return };
        let (instance, peer) = (&self.setup.instance, &connection.peer);
        self.complaints
            .warn(|| format!("input `{instance}`: refused a request of `{peer}` with status {status}"));
    }

    fn count_refusal(&self, status: u16) {
        let tally = &self.desk.tally;
        Tally::count(if status == 503 { &tally.overloads } else { &tally.refused });
    }

    /// Waits at a connection for what it needs next.
    fn settle(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (reads, writes) = (connection.wants_read(), connection.link.has_waiting());
        if (reads, writes) == (connection.asked_to_read, connection.asked_to_write) {
            return;
        }
        (connection.asked_to_read, connection.asked_to_write) = (reads, writes);
        let interest = match (reads, writes) {
            (_, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, false) => Interest::None,
        };
        if self.poller.ask(&connection.link, number, interest).is_err() {
            self.close(number);
        }
    }

    fn accept(&mut self) {
        for _ in 0..ROUND_ACCEPTS {
            match self.listener.accept() {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(Errno::AGAIN) => return,
                Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    let instance = &self.setup.instance;
                    self.complaints.warn(|| {
                        let cause = cause(errno);
                        format!("input `{instance}`: failed to accept a connection: {cause}; raise the limit (`ulimit -n`)")
                    });
                    self.paused_until = Some(self.now + ACCEPT_PAUSE);
                    // A failure only means that it is tried sooner.
                    let _ = self.poller.ask(&self.listener, LISTENER, Interest::None);
                    return;
                }
                // What remains is a connection that failed before it was taken.
                Err(_) => {}
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd, peer: Arc<str>) {
        let (setup, tally) = (&self.setup, &self.desk.tally);
        let instance = &setup.instance;
        if self.connections.len() >= setup.connections_max {
            Tally::count(&tally.refused_connections);
            let max = setup.connections_max;
            return self.complaints.warn(|| {
                format!("input `{instance}`: {max} connections are open, further ones are closed; raise `connections_max`")
            });
        }
        // An answer must not wait for more; a unix socket knows no such thing.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let tls = setup.tls.as_ref().map(|tls| ServerConnection::new(tls.clone())).transpose();
        let tls = match tls {
            Ok(tls) => tls.map(rustls::Connection::Server),
            Err(why) => {
                return self.complaints.warn(|| format!("input `{instance}`: TLS with `{peer}`: {why}"));
            }
        };
        let number = self.next_number;
        let connection = Connection::new(Link::new(socket, tls), peer, number, &setup.manners, self.now);
        if let Err(errno) = self.poller.add(&connection.link, number) {
            return self
                .complaints
                .warn(|| format!("input `{instance}`: failed to watch a connection: {}", cause(errno)));
        }
        self.next_number += 1;
        Tally::count(&tally.accepted);
        self.connections.insert(number, connection);
        self.show_connections();
    }

    fn close(&mut self, number: u64) {
        if let Some(connection) = self.connections.remove(&number) {
            self.poller.remove(&connection.link);
            self.desk.arrive(Arrival::Gone(number));
            self.show_connections();
        }
    }

    fn show_connections(&self) {
        let open = self.connections.len() as u64;
        self.desk.tally.connections.store(open, std::sync::atomic::Ordering::Relaxed);
    }

    /// Ends what took too long.
    fn look(&mut self) {
        self.next_look = self.now + LOOK_INTERVAL;
        if self.paused_until.is_some_and(|until| until <= self.now) {
            self.paused_until = None;
            if self.poller.ask(&self.listener, LISTENER, Interest::Read).is_err() {
                self.paused_until = Some(self.now + ACCEPT_PAUSE);
            }
        }
        let now = self.now;
        let late = self.connections.iter().filter(|(_, connection)| connection.is_late(now));
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        late.into_iter().for_each(|number| self.time_is_up(number));
    }

    fn time_is_up(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.is_serving() {
            Tally::count(&self.desk.tally.timeouts);
            // What was not begun with is not handed on later either.
            let text = match self.desk.withdraw(number) {
                true => "the pipeline is full; send it again later",
                false => "it was not acknowledged within `answer_timeout`; send it again",
            };
            connection.answer(&Answer::refusal(503, text), &self.setup.manners, false, self.now);
            self.desk.arrive(Arrival::Gone(number));
            self.settle(number);
        } else if connection.is_amid_request() {
            Tally::count(&self.desk.tally.timeouts);
            connection.refuse(&Answer::refusal(408, "the request did not arrive in time"), self.now);
            self.refused(number, 408);
            self.settle(number);
        } else {
            self.close(number);
        }
    }
}

fn current(shared: &SharedSetup) -> Arc<Setup> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
