//! The sockets that metrics come in at: datagrams and connections on one thread.

use crate::connections::{Connection, Found};
use heka_datagram::{Inbox, Reads, Sockets};
use heka_socket::{Interest, Listener, Poller, Wake};
use rustix::fd::AsFd;
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Tokens that are neither connections nor sockets for datagrams.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// The token of the first socket for datagrams; those of connections are below.
const DATAGRAMS: u64 = 1 << 32;
/// Connections that are taken before others are read again.
const ROUND_ACCEPTS: usize = 64;
/// How long nothing is accepted after the process or the machine ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The sockets.
pub struct Receiving {
    wake: Wake,
    poller: Poller,
    pub sockets: Option<Sockets>,
    pub listener: Option<Listener>,
    connections: Vec<Option<Connection>>,
    connections_max: usize,
    /// When connections are taken again.
    paused_until: Option<Instant>,
    inbox: Inbox,
    reads: Reads,
    /// Room for what is read from a connection.
    room: Vec<u8>,
    pub tally: SocketTally,
}

/// What came since the last look.
#[derive(Clone, Copy, Default)]
pub struct SocketTally {
    pub datagrams: u64,
    pub bytes: u64,
    pub truncated: u64,
    pub connections_refused: u64,
}

impl Receiving {
    /// Makes one without sockets.
    pub fn new(wake: Wake, reads_max: usize, connections_max: usize) -> Result<Receiving, Errno> {
        Ok(Receiving {
            wake,
            poller: Poller::new()?,
            sockets: None,
            listener: None,
            connections: Vec::new(),
            connections_max,
            paused_until: None,
            inbox: Inbox::new(reads_max),
            reads: Reads::new(reads_max),
            room: Vec::new(),
            tally: SocketTally::default(),
        })
    }

    /// Goes on for another instance, with its limits.
    pub fn hand_over(
        &mut self,
        stop: &heka_plugin_api::StopSignal,
        reads_max: usize,
        connections_max: usize,
    ) {
        self.wake.watch(stop);
        (self.inbox, self.reads) = (Inbox::new(reads_max), Reads::new(reads_max));
        self.connections_max = connections_max;
    }

    /// Watches all sockets that there are now, and no others.
    pub fn watch(&mut self) -> Result<(), Errno> {
        let poller = Poller::new()?;
        poller.add(&self.wake, WAKE)?;
        for (socket, token) in self.sockets.iter_mut().flat_map(Sockets::all).zip(DATAGRAMS..) {
            poller.add(&*socket, token)?;
        }
        if let Some(listener) = &self.listener {
            poller.add(listener, LISTENER)?;
        }
        for (connection, token) in self.connections.iter().zip(0..) {
            connection.iter().try_for_each(|connection| poller.add(connection, token))?;
        }
        (self.poller, self.paused_until) = (poller, None);
        Ok(())
    }

    /// Receives what is there, and waits at most `timeout` for something; tells whether there was any. `take` gets each
    /// datagram, and whole lines of connections.
    pub fn receive(&mut self, timeout: Duration, mut take: impl FnMut(&[u8])) -> Result<bool, Errno> {
        // What is left of a round may be nothing but a signal.
        if !self.poller.is_round_over() && self.serve_round(&mut take)? {
            return Ok(true);
        }
        let pause = self.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        if let (Some(Duration::ZERO), Some(listener)) = (pause, &self.listener) {
            self.poller.ask(listener, LISTENER, Interest::Read)?;
            self.paused_until = None;
        }
        self.poller.wait(timeout.min(pause.unwrap_or(timeout)))?;
        self.serve_round(&mut take)
    }

    /// Serves the sockets that are ready, up to one that has datagrams: then the host and a flush get their turn.
    fn serve_round(&mut self, take: &mut impl FnMut(&[u8])) -> Result<bool, Errno> {
        let mut found = false;
        while let Some(token) = self.poller.next_ready() {
            match token {
                WAKE => self.wake.drain(),
                LISTENER => found |= self.accept()?,
                token if token >= DATAGRAMS => {
                    if self.receive_datagrams((token - DATAGRAMS) as usize, take)? {
                        return Ok(true);
                    }
                }
                token => found |= self.read_connection(token as usize, take),
            }
        }
        Ok(found)
    }

    fn receive_datagrams(&mut self, number: usize, take: &mut impl FnMut(&[u8])) -> Result<bool, Errno> {
        let Some(socket) = self.sockets.as_mut().and_then(|sockets| sockets.all().get_mut(number)) else {
            return Ok(false);
        };
        let received = self.inbox.receive(socket.as_fd(), self.reads.count())?;
        let tally = &mut self.tally;
        self.inbox.datagrams().for_each(|datagram| {
            tally.datagrams += 1;
            take(datagram);
        });
        let bytes = self.inbox.bytes();
        tally.bytes += bytes as u64;
        tally.truncated += self.inbox.truncated() as u64;
        self.reads.learn(bytes);
        Ok(received > 0)
    }

    fn read_connection(&mut self, number: usize, take: &mut impl FnMut(&[u8])) -> bool {
        let Some(Some(connection)) = self.connections.get_mut(number) else { return false };
        match connection.read(&mut self.room, take) {
            Found::Some(len) => {
                self.tally.bytes += len as u64;
                len > 0
            }
            Found::End => {
                self.connections[number] = None;
                true
            }
        }
    }

    fn accept(&mut self) -> Result<bool, Errno> {
        let Some(listener) = &self.listener else { return Ok(false) };
        for _ in 0..ROUND_ACCEPTS {
            let (socket, _) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(Errno::AGAIN) => break,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    // Datagrams go on; who wants to connect waits in the kernel.
                    self.poller.ask(listener, LISTENER, Interest::None)?;
                    self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
                    return Ok(false);
                }
                Err(errno @ (Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)) => {
                    return Err(errno);
                }
                // What remains is a connection that failed before it was taken.
                Err(_) => continue,
            };
            if self.connections() >= self.connections_max {
                self.tally.connections_refused += 1;
                continue;
            }
            let free = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
            self.poller.add(&socket, free as u64)?;
            let connection = Some(Connection::new(socket));
            match self.connections.get_mut(free) {
                Some(slot) => *slot = connection,
                None => self.connections.push(connection),
            }
        }
        Ok(true)
    }

    /// Returns how many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.iter().flatten().count()
    }

    /// Returns how many datagrams the kernel has dropped since the last call.
    pub fn new_drops(&mut self) -> u64 {
        self.sockets.iter_mut().flat_map(Sockets::all).map(|socket| u64::from(socket.new_drops())).sum()
    }

    /// Closes all connections; takes their last lines without newline.
    pub fn close_connections(&mut self, mut take: impl FnMut(&[u8])) {
        for connection in std::mem::take(&mut self.connections).into_iter().flatten() {
            connection.finish(&mut take);
        }
    }
}
