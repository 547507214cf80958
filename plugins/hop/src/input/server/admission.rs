//! How connections come: taken from the listener, greeted, put in the place of an older one.

use super::{ACCEPT_PAUSE, LISTENER, ROUND_ACCEPTS, Server, shortened, wait_failed};
use crate::input::connection::{Connection, Greeting, Phase, locked};
use crate::protocol::Frame;
use heka_link::Link;
use heka_plugin_api::PluginError;
use heka_socket::{Interest, cause};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustls::ServerConnection;
use std::sync::Arc;
use std::time::Instant;

impl Server {
    pub(super) fn accept(&mut self) -> Result<(), PluginError> {
        for _ in 0..ROUND_ACCEPTS {
            match self.listener.accept() {
                Ok((socket, peer)) => self.welcome(socket, peer),
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    return self.pause(errno);
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

    fn welcome(&mut self, socket: OwnedFd, peer: Arc<str>) {
        let (instance, max) = (&self.setup.instance, self.setup.limits.connections_max);
        if self.connections.len() >= max {
            self.setup.counters.rejected.add(1);
            self.complaints.warn(|| {
                format!("input `{instance}`: {max} connections are open, `{peer}` was closed; raise `connections_max`")
            });
            return;
        }
        let tls = match self.setup.tls.clone().map(ServerConnection::new).transpose() {
            Ok(tls) => tls.map(rustls::Connection::Server),
            Err(why) => {
                self.complaints
                    .warn(|| format!("input `{instance}`: failed to begin TLS with `{peer}`: {why}"));
                return;
            }
        };
        let deadline = self.now + self.setup.limits.handshake_timeout;
        let link = Link::new(socket, tls);
        let number = self.connections.add(Connection::new(link, peer, self.now, deadline));
        let added =
            self.connections.at(number).map(|added| self.poller.add(&*locked(&added.link), number as u64));
        if let Some(Err(errno)) = added {
            self.connections.remove(number);
            let instance = &self.setup.instance;
            let cause = cause(errno);
            self.complaints.warn(|| format!("input `{instance}`: failed to watch a connection: {cause}"));
        }
        self.setup.counters.connections.set(self.connections.len() as u64);
    }

    /// Leaves new connections in the kernel's backlog for a while.
    fn pause(&mut self, errno: Errno) -> Result<(), PluginError> {
        let (instance, cause) = (&self.setup.instance, cause(errno));
        self.complaints.warn(|| {
            format!(
                "input `{instance}`: failed to accept a connection: {cause}; raise the limit (`ulimit -n`)"
            )
        });
        self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        self.poller.ask(&self.listener, LISTENER, Interest::None).map_err(wait_failed)
    }

    pub(super) fn answer(&mut self, number: usize, frame: Frame<'_>) -> Result<(), String> {
        let (bytes, greeting) = self.setup.manners.answer(frame)?;
        let connection = self.connections.at(number).ok_or("it is gone")?;
        connection.peer = format!("{} ({})", shortened(&greeting.hello.host), connection.peer).into();
        locked(&connection.link).send(&bytes)?;
        connection.phase = Phase::Proving(Box::new(greeting));
        Ok(())
    }

    pub(super) fn admit(&mut self, number: usize, frame: Frame<'_>) -> Result<(), String> {
        let connection = self.connections.at(number).ok_or("it is gone")?;
        let Phase::Proving(greeting) = std::mem::replace(&mut connection.phase, Phase::Silent) else {
            return Err("it sent a frame that doesn't belong there".to_owned());
        };
        self.setup.manners.check_proof(frame, &greeting)?;
        let id = greeting.hello.source_id();
        let source = self.sources.number(id, &greeting.hello.host).ok_or("too many agents are known here")?;
        self.supersede(source);
        self.greet(number, source, &greeting)
    }

    /// Ends the older connection of a source, with what it may still have sent: it will come again.
    fn supersede(&mut self, source: usize) {
        let older = self.sources.at(source).and_then(|source| source.connection.take());
        if let Some(older) = older {
            self.close(older);
        }
    }

    fn greet(&mut self, number: usize, source_number: usize, greeting: &Greeting) -> Result<(), String> {
        let source = self.sources.at(source_number).ok_or("it has no source")?;
        source.settle(greeting.hello.settled);
        let bytes = self.setup.manners.ready(greeting, source)?;
        let connection = self.connections.at(number).ok_or("it is gone")?;
        locked(&connection.link).send(&bytes)?;
        source.connection = Some(number);
        connection.phase = Phase::Sending(source_number);
        self.beat.add(number, connection.link.clone(), self.setup.manners.alive_interval(greeting));
        self.setup.counters.accepted.add(1);
        log::info!("input `{}`: {} has connected", self.setup.instance, connection.peer);
        Ok(())
    }
}
