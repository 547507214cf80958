//! Serves many agents on one thread.

mod admission;
mod batches;

use super::beat::Beat;
use super::connection::{Connection, Connections, Phase, locked};
use super::counters::Counters;
use super::greeting::Manners;
use super::listener::Listener;
use super::sources::Sources;
use crate::protocol::{
    Fault, Frame, FrameKind, HEADER_BYTES_MAX, Limits as FrameLimits, Rejected, Unpacker, push_frame,
};
use heka_link::Received;
use heka_plugin_api::{PluginError, Read, Reader};
use heka_socket::Complaints;
use heka_socket::{Interest, Poller, Wake, cause};
use rustix::io::Errno;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tokens that are not connections.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// What is read from one connection before others get their turn.
const TURN_BYTES: usize = 256 << 10;
/// What one call reads before it returns, so that the host gets its turn.
const CALL_BYTES: usize = 256 << 10;
/// Connections that are taken before others are read again.
const ROUND_ACCEPTS: usize = 64;
/// How long nothing is accepted after the process or the machine ran out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a rejected agent may take to read why.
const REJECTED_LINGER: Duration = Duration::from_secs(2);
/// The longest time between two looks for connections that are silent for too long.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// The shortest wait while something waits to be acknowledged, which the host can only say between two reads …
const PATIENCE_MIN: Duration = Duration::from_millis(1);
/// … and the longest, once nothing was acknowledged for a while.
const PATIENCE_MAX: Duration = Duration::from_millis(20);
/// Ranges of one frame of acknowledgements.
const RANGES_MAX: usize = 1_000;

/// The limits of a server.
#[derive(Clone, Copy)]
pub struct Limits {
    pub connections_max: usize,
    pub handshake_timeout: Duration,
}

/// What an instance brings to a server.
pub struct Setup {
    pub limits: Limits,
    pub manners: Manners,
    pub tls: Option<Arc<ServerConfig>>,
    pub counters: Counters,
    pub instance: String,
}

/// A listener, its connections, and the sources behind them.
pub struct Server {
    /// Ends a wait.
    pub wake: Wake,
    setup: Setup,
    poller: Poller,
    listener: Listener,
    connections: Connections,
    sources: Sources,
    beat: Beat,
    unpacker: Unpacker,
    room: Vec<u8>,
    frame: Vec<u8>,
    paused_until: Option<Instant>,
    next_look: Instant,
    /// Up to here the thread stood still; before it nobody could be heard.
    deaf_until: Instant,
    now: Instant,
    patience: Duration,
    complaints: Complaints,
}

impl Server {
    pub fn new(listener: Listener, wake: Wake, sources: Sources, setup: Setup) -> Result<Server, Errno> {
        let poller = Poller::new()?;
        poller.add(&wake, WAKE)?;
        poller.add(&listener, LISTENER)?;
        let now = Instant::now();
        Ok(Server {
            wake,
            setup,
            poller,
            listener,
            connections: Connections::default(),
            sources,
            beat: Beat::start().map_err(|_| Errno::AGAIN)?,
            unpacker: Unpacker::default(),
            room: vec![0; TURN_BYTES],
            frame: Vec::new(),
            paused_until: None,
            next_look: now,
            deaf_until: now,
            now,
            patience: PATIENCE_MIN,
            complaints: Complaints::default(),
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

    /// Goes on for another instance, whose streams, limits and files are its own.
    pub fn hand_over(&mut self, setup: Setup) {
        self.setup = setup;
        self.sources.take_over();
        self.deaf_until = Instant::now();
        self.setup.counters.connections.set(self.connections.len() as u64);
    }

    /// Serves the sockets that are ready; waits at most `timeout` for one.
    pub fn serve(&mut self, reader: &mut Reader<'_>, timeout: Duration) -> Result<Read, PluginError> {
        let is_waiting = self.sources.are_waiting();
        if self.poller.is_round_over() {
            self.begin_round(reader, timeout, is_waiting)?;
        }
        let (mut left, mut found) = (CALL_BYTES, false);
        while left > 0
            && let Some(token) = self.poller.next_ready()
        {
            found = true;
            match token {
                WAKE => self.wake.drain(),
                LISTENER => self.accept()?,
                number => left = left.saturating_sub(self.turn(number as usize, reader)),
            }
        }
        self.patience = if found { PATIENCE_MIN } else { (self.patience * 2).min(PATIENCE_MAX) };
        Ok(if found || is_waiting { Read::Some } else { Read::Idle })
    }

    fn begin_round(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        is_waiting: bool,
    ) -> Result<(), PluginError> {
        let began = Instant::now();
        if began.saturating_duration_since(self.now) > LOOK_MAX {
            self.deaf_until = began;
        }
        self.now = began;
        if self.next_look <= began {
            self.look(reader);
        }
        let mut timeout = if is_waiting { timeout.min(self.patience) } else { timeout };
        timeout = timeout.min(self.next_look.saturating_duration_since(began).max(PATIENCE_MIN));
        if let Some(until) = self.paused_until {
            let left = until.saturating_duration_since(began);
            timeout = timeout.min(left);
            if left.is_zero() {
                self.paused_until = None;
                self.poller.ask(&self.listener, LISTENER, Interest::Read).map_err(wait_failed)?;
            }
        }
        self.poller.wait(timeout).map_err(wait_failed)?;
        self.now = Instant::now();
        Ok(())
    }

    /// Reads once from a connection; returns how many bytes that gave.
    fn turn(&mut self, number: usize, reader: &mut Reader<'_>) -> usize {
        let Some(connection) = self.connections.at(number) else { return 0 };
        let mut room = std::mem::take(&mut self.room);
        let received = {
            let mut link = locked(&connection.link);
            let flushed = if connection.asked_to_write { link.flush() } else { Ok(()) };
            flushed.and_then(|()| link.receive(&mut room))
        };
        let mut read = 0;
        match received {
            Ok(Received::Bytes(len)) => {
                (connection.last, read) = (self.now, len);
                self.feed(number, &room[..len], reader);
            }
            Ok(Received::Nothing) => {}
            Ok(Received::End) => self.close(number),
            Err(why) => self.broken(number, &why),
        }
        self.room = room;
        self.settle_interest(number);
        read
    }

    /// Takes the frames that are whole now.
    fn feed(&mut self, number: usize, bytes: &[u8], reader: &mut Reader<'_>) {
        let bytes_max = self.setup.manners.batch_bytes_max;
        let Some(connection) = self.connections.at(number) else { return };
        if matches!(connection.phase, Phase::Rejected) {
            return;
        }
        let limits = connection.limits(bytes_max);
        let mut incoming = std::mem::take(&mut connection.incoming);
        let fed = incoming.feed(bytes, limits, |frame| self.take(number, frame, reader));
        if let Some(connection) = self.connections.at(number) {
            connection.incoming = incoming;
        }
        if let Err(why) = fed {
            self.reject(number, &why);
        }
    }

    /// Takes one frame; returns the limits of the next.
    fn take(
        &mut self,
        number: usize,
        frame: Frame<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<FrameLimits, String> {
        let connection = self.connections.at(number).ok_or("it is gone")?;
        match (frame.kind, &connection.phase) {
            (FrameKind::Hello, Phase::Silent) => self.answer(number, frame)?,
            (FrameKind::Proof, Phase::Proving(_)) => self.admit(number, frame)?,
            (FrameKind::Batch, Phase::Sending(source)) => {
                let source = *source;
                self.take_batch(number, source, frame, reader)?;
            }
            (FrameKind::Alive, _) => {}
            (FrameKind::Rejected, _) => {
                let rejected: Rejected = frame.parse().map_err(|fault: Fault| fault.to_string())?;
                return Err(format!("it rejects this side: {}", shortened(&rejected.reason)));
            }
            _ => return Err("it sent a frame that doesn't belong there".to_owned()),
        }
        let body_bytes_max = match self.connections.at(number).map(|connection| &connection.phase) {
            Some(Phase::Sending(_)) => self.setup.manners.batch_bytes_max,
            _ => 0,
        };
        Ok(FrameLimits { header_bytes_max: HEADER_BYTES_MAX, body_bytes_max })
    }

    /// Waits for room to write where something waits to be written.
    fn settle_interest(&mut self, number: usize) {
        let Some(connection) = self.connections.at(number) else { return };
        let link = locked(&connection.link);
        if link.has_waiting() == connection.asked_to_write {
            return;
        }
        connection.asked_to_write = link.has_waiting();
        let interest = if connection.asked_to_write { Interest::Both } else { Interest::Read };
        // A failure leaves it to the next frame that is sent.
        let _ = self.poller.ask(&*link, number as u64, interest);
    }

    /// Tells an agent why it can't go on, and the operator.
    fn reject(&mut self, number: usize, why: &str) {
        self.setup.counters.rejected.add(1);
        let Some(connection) = self.connections.at(number) else { return };
        let (instance, peer) = (&self.setup.instance, &connection.peer);
        self.complaints.warn(|| format!("input `{instance}`: rejected `{peer}`: {why}"));
        self.frame.clear();
        let rejected = Rejected { reason: why.to_owned() };
        let _ = push_frame(&mut self.frame, FrameKind::Rejected, &rejected);
        connection.deadline = self.now + REJECTED_LINGER;
        let phase = std::mem::replace(&mut connection.phase, Phase::Rejected);
        {
            let mut link = locked(&connection.link);
            // It may be gone already.
            let _ = link.send(&self.frame);
            link.finish();
        }
        self.leave(number, &phase);
    }

    fn broken(&mut self, number: usize, why: &str) {
        let Some(connection) = self.connections.at(number) else { return };
        let (instance, peer) = (&self.setup.instance, &connection.peer);
        if !matches!(connection.phase, Phase::Rejected) {
            self.complaints.warn(|| format!("input `{instance}`: lost `{peer}`: {why}"));
        }
        self.close(number);
    }

    fn close(&mut self, number: usize) {
        if let Some(connection) = self.connections.remove(number) {
            self.poller.remove(&*locked(&connection.link));
            self.leave(number, &connection.phase);
        }
        self.setup.counters.connections.set(self.connections.len() as u64);
    }

    /// A connection sends no more.
    fn leave(&mut self, number: usize, phase: &Phase) {
        self.beat.remove(number);
        if let Phase::Sending(source) = phase
            && let Some(source) = self.sources.at(*source)
            && source.connection == Some(number)
        {
            source.connection = None;
        }
    }

    /// Ends the connections that were silent for too long. Only between rounds: numbers in a round stay what they were.
    fn look(&mut self, reader: &mut Reader<'_>) {
        let timeout = self.setup.manners.timeout;
        self.next_look = self.now + (timeout.min(self.setup.limits.handshake_timeout) / 8).min(LOOK_MAX);
        let (now, deaf_until) = (self.now, self.deaf_until);
        let is_over = |connection: &Connection| match connection.phase {
            Phase::Sending(_) => now.saturating_duration_since(connection.last.max(deaf_until)) > timeout,
            _ => connection.deadline <= now && deaf_until + PATIENCE_MAX <= now,
        };
        let over = self.connections.iter().filter(|(_, connection)| is_over(connection));
        let over: Vec<usize> = over.map(|(number, _)| number).collect();
        for number in over {
            match self.connections.at(number).map(|connection| &connection.phase) {
                Some(Phase::Sending(_)) => self.broken(number, "no sign of life within `timeout`"),
                Some(Phase::Rejected) => self.close(number),
                _ => self.broken(number, "it didn't say who it is within `handshake_timeout`"),
            }
        }
        self.sources.close_streams(reader, false);
    }

    #[cfg(test)]
    pub fn handed_on(&self) -> Vec<(u64, u64)> {
        self.sources.handed_on()
    }

    #[cfg(test)]
    pub fn cut(&mut self) {
        let all: Vec<usize> = self.connections.iter().map(|(number, _)| number).collect();
        all.into_iter().for_each(|number| self.close(number));
    }

    /// Takes nothing more; connections stay open for what is yet to be acknowledged.
    pub fn end(&mut self, reader: &mut Reader<'_>) {
        self.sources.close_streams(reader, true);
    }
}

/// What a peer says of itself may be long and is not to break the log's lines.
fn shortened(text: &str) -> String {
    text.chars().take(200).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn wait_failed(errno: Errno) -> PluginError {
    PluginError::retry(format!("failed to wait for connections: {}", cause(errno)))
}
