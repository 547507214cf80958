//! Serves many connections on one thread.

use crate::connections::{Connection, Connections};
use heka_plugin_api::{Context, Counter, PluginError, Read, Reader};
use heka_socket::{Interest, Listener, Notice, Poller, Wake, cause};
use rustix::io::Errno;
use std::time::{Duration, Instant};

/// Tokens that are not connections.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// What one call reads before it returns, so that the host gets its turn.
const CALL_BYTES: usize = 256 << 10;
/// Connections that are taken before others are read again.
const ROUND_ACCEPTS: usize = 64;
/// How long nothing is accepted after the process or the machine ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of a server.
#[derive(Clone, Copy)]
pub struct Limits {
    pub connections_max: usize,
    /// Zero for none.
    pub idle_timeout: Duration,
    pub read_bytes: usize,
}

/// What a server counts.
pub struct Counters {
    connections: Counter,
    accepted: Counter,
    refused: Counter,
    resets: Counter,
    idle_closed: Counter,
    bytes: Counter,
}

impl Counters {
    pub fn new(context: &mut Context) -> Counters {
        Counters {
            connections: context.counter("connections"),
            accepted: context.counter("accepted"),
            refused: context.counter("refused"),
            resets: context.counter("resets"),
            idle_closed: context.counter("idle_closed"),
            bytes: context.counter("bytes"),
        }
    }
}

/// A listener and its connections.
pub struct Server {
    /// Ends a wait.
    pub wake: Wake,
    limits: Limits,
    counters: Counters,
    poller: Poller,
    listener: Listener,
    connections: Connections,
    paused_until: Option<Instant>,
    idle_look: Instant,
    now: Instant,
    full: Notice,
    exhausted: Notice,
    /// Whether the streams are still those of an instance that this one took over from.
    inherited: bool,
}

impl Server {
    pub fn new(listener: Listener, wake: Wake, limits: Limits, counters: Counters) -> Result<Server, Errno> {
        let poller = Poller::new()?;
        poller.add(&wake, WAKE)?;
        poller.add(&listener, LISTENER)?;
        let now = Instant::now();
        Ok(Server {
            limits,
            counters,
            wake,
            poller,
            listener,
            connections: Connections::default(),
            paused_until: None,
            idle_look: now,
            now,
            full: Notice::default(),
            exhausted: Notice::default(),
            inherited: false,
        })
    }

    /// Listens on another socket from now on; connections stay.
    pub fn listen_on(&mut self, listener: Listener) -> Result<(), Errno> {
        self.poller.add(&listener, LISTENER)?;
        self.listener = listener;
        self.paused_until = None;
        Ok(())
    }

    /// Returns the listening socket.
    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    /// Goes on for another instance, with limits of its own.
    pub fn hand_over(&mut self, limits: Limits, counters: Counters) {
        (self.limits, self.counters, self.inherited) = (limits, counters, true);
        self.counters.connections.set(self.connections.len() as u64);
    }

    /// Serves the sockets that are ready; waits at most `timeout` for one.
    pub fn serve(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &Context,
    ) -> Result<Read, PluginError> {
        if std::mem::take(&mut self.inherited) {
            self.connections.keep(reader, Instant::now());
        }
        if self.poller.is_round_over() {
            self.begin_round(reader, timeout)?;
        }
        let (mut left, mut found) = (CALL_BYTES, Read::Idle);
        while left > 0
            && let Some(token) = self.poller.next_ready()
        {
            match token {
                WAKE => self.wake.drain(),
                LISTENER => {
                    self.accept(context)?;
                    found = Read::Some;
                }
                number => {
                    left = left.saturating_sub(self.read_connection(number as usize, reader)?);
                    found = Read::Some;
                }
            }
        }
        Ok(found)
    }

    fn begin_round(&mut self, reader: &mut Reader<'_>, timeout: Duration) -> Result<(), PluginError> {
        let mut timeout = timeout;
        if !self.limits.idle_timeout.is_zero() {
            self.now = Instant::now();
            if self.idle_look <= self.now {
                self.close_idle(reader)?;
            }
        }
        if let Some(until) = self.paused_until {
            let left = until.saturating_duration_since(Instant::now());
            timeout = timeout.min(left);
            if left.is_zero() {
                self.paused_until = None;
                self.poller.ask(&self.listener, LISTENER, Interest::Read).map_err(wait_failed)?;
            }
        }
        self.poller.wait(timeout).map_err(wait_failed)?;
        if !self.limits.idle_timeout.is_zero() {
            self.now = Instant::now();
        }
        Ok(())
    }

    /// Reads once from a connection; returns how many bytes that gave.
    fn read_connection(&mut self, number: usize, reader: &mut Reader<'_>) -> Result<usize, PluginError> {
        let max = self.limits.read_bytes;
        let Some(connection) = self.connections.at(number) else { return Ok(0) };
        let stream = connection.stream(reader);
        let room = reader.buffer(stream, connection.room(max));
        let room_bytes = room.len().min(max);
        if room_bytes == 0 {
            return Err(PluginError::retry("the host gave no room to read into"));
        }
        match rustix::io::read(&connection.socket, &mut room[..room_bytes]) {
            Ok(0) => self.close(number, reader, true),
            Ok(len) => {
                connection.learn(len, max);
                connection.last = self.now;
                self.counters.bytes.add(len as u64);
                reader.filled(stream, len);
                return Ok(len);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.counters.resets.add(1);
                self.close(number, reader, false);
            }
        }
        Ok(0)
    }

    fn close(&mut self, number: usize, reader: &mut Reader<'_>, flush: bool) {
        if let Some(stream) = self.connections.remove(number).and_then(|connection| connection.stream) {
            reader.close_stream(stream, flush);
        }
        self.counters.connections.set(self.connections.len() as u64);
    }

    /// Closes all connections, and hands on their incomplete last frames.
    pub fn close_all(&mut self, reader: &mut Reader<'_>) {
        let mut from = 0;
        while let Some(number) = self.connections.idle_since(Instant::now(), from) {
            from = number + 1;
            self.close(number, reader, true);
        }
    }

    fn accept(&mut self, context: &Context) -> Result<(), PluginError> {
        for _ in 0..ROUND_ACCEPTS {
            match self.listener.accept() {
                Ok((socket, name)) => self.admit(Connection::new(socket, name, self.now), context),
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return self.pause(errno, context);
                }
                Err(errno @ (Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)) => {
                    let text = format!("failed to accept on `{}`: {}", self.listener.bound(), cause(errno));
                    return Err(PluginError::retry(text));
                }
                // What remains is a connection that failed before it was taken.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn admit(&mut self, connection: Connection, context: &Context) {
        let max = self.limits.connections_max;
        if self.connections.len() >= max {
            self.counters.refused.add(1);
            if self.full.is_due() {
                let instance = context.instance();
                log::warn!(
                    "input `{instance}`: {max} connections are open, further ones are refused; raise `connections_max`"
                );
            }
            return;
        }
        let number = self.connections.add(connection);
        let added = self.connections.at(number).map(|added| self.poller.add(&added.socket, number as u64));
        if let Some(Err(errno)) = added {
            self.connections.remove(number);
            self.counters.refused.add(1);
            log::warn!("input `{}`: failed to watch a connection: {}", context.instance(), cause(errno));
            return;
        }
        self.counters.accepted.add(1);
        self.counters.connections.set(self.connections.len() as u64);
    }

    /// Leaves new connections in the kernel's backlog for a while.
    fn pause(&mut self, errno: Errno, context: &Context) -> Result<(), PluginError> {
        if self.exhausted.is_due() {
            let (instance, cause) = (context.instance(), cause(errno));
            log::warn!(
                "input `{instance}`: failed to accept a connection: {cause}; raise the limit (`ulimit -n`)"
            );
        }
        self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        let asked = self.poller.ask(&self.listener, LISTENER, Interest::None);
        asked.map_err(|errno| PluginError::retry(format!("failed to pause accepting: {}", cause(errno))))
    }

    /// Closes the connections that were idle too long. Only between rounds: numbers in a round stay what they were.
    fn close_idle(&mut self, reader: &mut Reader<'_>) -> Result<(), PluginError> {
        self.idle_look = self.now + self.limits.idle_timeout / 8;
        let Some(since) = self.now.checked_sub(self.limits.idle_timeout) else { return Ok(()) };
        let mut from = 0;
        while let Some(number) = self.connections.idle_since(since, from) {
            from = number + 1;
            // While the outputs were full nothing was read: something may wait in the socket.
            if self.read_connection(number, reader)? == 0 && self.connections.at(number).is_some() {
                self.close(number, reader, true);
                self.counters.idle_closed.add(1);
            }
        }
        Ok(())
    }
}

fn wait_failed(errno: Errno) -> PluginError {
    PluginError::retry(format!("failed to wait for connections: {}", cause(errno)))
}
