//! Binds the sockets of an input to its address.

use crate::address::Address;
use crate::cause::cause;
use crate::socket_file::{SocketFile, clear_stale};
use heka_plugin_api::PluginError;
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketType};

/// What an input does at its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It listens for connections.
    Listen,
    /// It receives datagrams.
    Receive,
}

impl Role {
    /// Returns the verb of an error line.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Role::Listen => "listen",
            Role::Receive => "receive",
        }
    }

    pub(crate) fn socket_type(self) -> SocketType {
        match self {
            Role::Listen => SocketType::STREAM,
            Role::Receive => SocketType::DGRAM,
        }
    }
}

/// Binds, with `open`, to the first of the address's socket addresses that allows it.
///
/// Returns what `open` made; for a socket in the file system also its file, to be kept as long as the socket. A file
/// that a dead process left is removed before.
///
/// # Errors
/// [`PluginError::Config`] for what no waiting heals, [`PluginError::Retry`] for the rest, such as an address in use.
pub fn bind<T>(
    address: &Address,
    role: Role,
    mut open: impl FnMut(&SocketAddrAny) -> Result<T, Errno>,
) -> Result<(T, Option<SocketFile>), PluginError> {
    let candidates = address.resolve().map_err(PluginError::retry)?;
    if let Some(path) = address.path() {
        clear_stale(path, role)?;
    }
    let mut failure = Errno::ADDRNOTAVAIL;
    for candidate in &candidates {
        match open(candidate) {
            Ok(made) => return Ok((made, address.path().map(SocketFile::at))),
            Err(errno) => failure = errno,
        }
    }
    Err(refusal(address, role, failure))
}

/// Says that an input can't be bound to its address: what no waiting heals refuses to start.
pub fn refusal(address: &Address, role: Role, errno: Errno) -> PluginError {
    let text = format!("failed to {} on `{address}`: {}", role.verb(), cause(errno));
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::AFNOSUPPORT | Errno::NOENT | Errno::NOTDIR => {
            PluginError::config(text)
        }
        _ => PluginError::retry(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_waiting_heals_refuses_to_start() {
        let address = Address::Network("h:1".to_owned());
        let check = |role, errno, expected: PluginError| {
            assert_eq!(format!("{:?}", refusal(&address, role, errno)), format!("{expected:?}"));
        };
        let text = "failed to listen on `h:1`: permission denied";
        check(Role::Listen, Errno::ACCESS, PluginError::config(text));
        let text = "failed to receive on `h:1`: address already in use";
        check(Role::Receive, Errno::ADDRINUSE, PluginError::retry(text));
    }

    #[test]
    fn the_last_failure_is_told() {
        let failed = bind(&Address::Network("127.0.0.1:1".to_owned()), Role::Listen, |_| {
            Err::<(), _>(Errno::ADDRINUSE)
        });
        let told = failed.map(|_| ()).unwrap_err().to_string();
        assert_eq!(told, "failed to listen on `127.0.0.1:1`: address already in use");
    }
}
