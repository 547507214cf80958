//! A ZeroMQ socket, and what it is bound and connected to.

use crate::endpoint::Endpoint;
use heka_plugin_api::PluginError;
use zmq::{Context, Error, Socket, SocketType};

/// How long a connection may be silent before the kernel asks whether the peer still lives, in seconds.
const KEEPALIVE_IDLE_S: i32 = 60;
/// Then it asks this often, this many seconds apart, before it gives the connection up.
const KEEPALIVE_COUNT: i32 = 6;
const KEEPALIVE_INTERVAL_S: i32 = 10;
/// Attempts to connect again are at least and at most this far apart, in milliseconds.
const RECONNECT_MS: i32 = 100;
const RECONNECT_MS_MAX: i32 = 5_000;

/// On which side of a connection the socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It waits for peers.
    Bind,
    /// It goes to a peer, and again when that has gone.
    Connect,
}

/// What a socket is bound or connected to.
struct Place {
    role: Role,
    endpoint: Endpoint,
    /// With the port that was taken.
    actual: String,
}

/// A socket with its endpoints.
pub struct Wire {
    socket: Socket,
    places: Vec<Place>,
}

/// What the endpoints of a socket shall be.
pub type Places<'a> = Vec<(Role, &'a Endpoint)>;

/// Returns both lists as one.
pub fn places<'a>(bind: &'a [Endpoint], connect: &'a [Endpoint]) -> Places<'a> {
    let bound = bind.iter().map(|endpoint| (Role::Bind, endpoint));
    bound.chain(connect.iter().map(|endpoint| (Role::Connect, endpoint))).collect()
}

impl Wire {
    /// Makes a socket without endpoints; nothing is kept for peers when it is closed, unless linger is set.
    ///
    /// # Errors
    /// [`PluginError::Retry`] if the system has no room for one.
    pub fn open(kind: SocketType) -> Result<Wire, PluginError> {
        let open = || {
            let socket = Context::new().socket(kind)?;
            socket.set_linger(0)?;
            socket.set_tcp_keepalive(1)?;
            socket.set_tcp_keepalive_idle(KEEPALIVE_IDLE_S)?;
            socket.set_tcp_keepalive_cnt(KEEPALIVE_COUNT)?;
            socket.set_tcp_keepalive_intvl(KEEPALIVE_INTERVAL_S)?;
            socket.set_reconnect_ivl(RECONNECT_MS)?;
            socket.set_reconnect_ivl_max(RECONNECT_MS_MAX)?;
            Ok(socket)
        };
        let socket = open().map_err(|error| failure("failed to make a socket", error))?;
        Ok(Wire { socket, places: Vec::new() })
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Tells whether it is bound or connected to an endpoint.
    pub fn is_at(&self, role: Role, endpoint: &Endpoint) -> bool {
        self.places.iter().any(|place| place.is(role, endpoint))
    }

    /// Returns where it is bound, with the ports that were taken, in the order of binding.
    pub fn bound(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter(|place| place.role == Role::Bind).map(|place| place.actual.as_str())
    }

    /// Binds and connects to these endpoints, and to no others any more; those that it has already are not touched.
    ///
    /// # Errors
    /// Why one failed: then everything is as it was.
    pub fn go_to(&mut self, wanted: &[(Role, &Endpoint)]) -> Result<(), PluginError> {
        let before = self.places.len();
        for &(role, endpoint) in wanted {
            if self.places[..before].iter().any(|place| place.is(role, endpoint)) {
                continue;
            }
            match self.attach(role, endpoint) {
                Ok(place) => self.places.push(place),
                Err(error) => {
                    self.places.drain(before..).for_each(|place| place.detach(&self.socket));
                    return Err(error);
                }
            }
        }
        let is_unwanted =
            |place: &mut Place| !wanted.iter().any(|(role, endpoint)| place.is(*role, endpoint));
        for place in self.places.extract_if(.., is_unwanted) {
            place.detach(&self.socket);
        }
        Ok(())
    }

    fn attach(&self, role: Role, endpoint: &Endpoint) -> Result<Place, PluginError> {
        let socket = &self.socket;
        let attach = || {
            socket.set_ipv6(endpoint.is_ipv6())?;
            match role {
                Role::Bind => socket.bind(endpoint.as_str())?,
                Role::Connect => socket.connect(endpoint.as_str())?,
            }
            socket.get_last_endpoint()
        };
        let actual = attach().map_err(|error| refusal(role, endpoint, error))?;
        let actual = actual.ok().filter(|text| !text.is_empty() && role == Role::Bind);
        Ok(Place {
            role,
            endpoint: endpoint.clone(),
            actual: actual.unwrap_or_else(|| endpoint.as_str().to_owned()),
        })
    }
}

impl Place {
    fn is(&self, role: Role, endpoint: &Endpoint) -> bool {
        self.role == role && self.endpoint == *endpoint
    }

    /// Unbinds or disconnects; an endpoint that is gone already is no loss.
    fn detach(&self, socket: &Socket) {
        let _ = match self.role {
            Role::Bind => socket.unbind(&self.actual),
            Role::Connect => socket.disconnect(&self.actual),
        };
    }
}

fn refusal(role: Role, endpoint: &Endpoint, error: Error) -> PluginError {
    let verb = if role == Role::Bind { "bind" } else { "connect" };
    let what = format!("failed to {verb} to `{endpoint}`");
    match error {
        Error::EACCES | Error::EINVAL | Error::ENOENT | Error::EPROTONOSUPPORT => {
            PluginError::Config(format!("{what}: {}", cause(error)))
        }
        _ => failure(&what, error),
    }
}

/// A failure that may pass.
pub fn failure(what: &str, error: Error) -> PluginError {
    PluginError::retry(format!("{what}: {}", cause(error)))
}

/// Says a failure of libzmq in the words of an error line.
fn cause(error: Error) -> String {
    heka_plugin_api::cause(&std::io::Error::from(error))
}

#[cfg(test)]
mod tests;
