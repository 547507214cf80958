//! Answers clients that ask, before they send, whether anybody is there.

use crate::endpoint::Endpoint;
use crate::wire::{Role, Wire};
use heka_plugin_api::PluginError;
use zmq::{DONTWAIT, Message, Socket};

/// Requests answered in one go, so that they can't keep messages waiting.
const ANSWERS_MAX: usize = 64;

/// A REP socket that answers every request with an empty message.
pub struct Handshake {
    wire: Wire,
}

impl Handshake {
    /// Waits for requests at an endpoint.
    ///
    /// # Errors
    /// Why it can't be bound.
    pub fn bind(endpoint: &Endpoint) -> Result<Handshake, PluginError> {
        let mut wire = Wire::open(zmq::REP)?;
        wire.go_to(&[(Role::Bind, endpoint)])?;
        Ok(Handshake { wire })
    }

    /// Tells whether this is its endpoint.
    pub fn is_at(&self, endpoint: &Endpoint) -> bool {
        self.wire.is_at(Role::Bind, endpoint)
    }

    /// Returns the socket, to wait for.
    pub fn socket(&self) -> &Socket {
        self.wire.socket()
    }

    /// Returns where it is bound.
    pub fn bound(&self) -> impl Iterator<Item = &str> {
        self.wire.bound()
    }

    /// Answers what has come; returns how many requests. A client that has gone meanwhile misses nothing.
    pub fn answer(&self, request: &mut Message) -> u64 {
        let socket = self.wire.socket();
        let mut count = 0;
        while count < ANSWERS_MAX && socket.recv(request, DONTWAIT).is_ok() {
            while request.get_more() && socket.recv(request, DONTWAIT).is_ok() {}
            // The answer of a request whose client has gone is dropped.
            let _ = socket.send("", DONTWAIT);
            count += 1;
        }
        count as u64
    }
}
