//! Where to listen, to receive, to connect or to send: `host:port`, `unix:/path` or `unix:@name`.

use crate::cause::cause;
use heka_plugin_api::OptionType;
use rustix::net::{SocketAddrAny, SocketAddrUnix};
use serde::Deserialize;
use std::fmt;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

/// Longest path of a unix socket that the kernel takes, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// An address as the config has it; host names are looked up when it is used.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// `host:port`; IPv6 hosts in brackets.
    Network(String),
    /// A socket in the file system.
    Path(PathBuf),
    /// A name in Linux's own space of unix sockets, without file.
    Abstract(String),
}

impl OptionType for Address {
    const TYPE_NAME: &'static str = "string";
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        let fault = |why: &str| Err(format!("`{text}` is not an address: {why}"));
        let Some(name) = text.strip_prefix("unix:") else {
            return match network_fault(&text) {
                Some(why) => fault(why),
                None => Ok(Address::Network(text)),
            };
        };
        match name.strip_prefix('@') {
            _ if name.len() > PATH_BYTES_MAX => fault("a unix socket's path has at most 107 bytes"),
            _ if name.contains('\0') => fault("it holds a NUL byte"),
            Some("") => fault("`unix:@` needs a name behind it"),
            Some(name) => Ok(Address::Abstract(name.to_owned())),
            None if name.is_empty() => fault("`unix:` needs a path behind it"),
            None => Ok(Address::Path(PathBuf::from(name))),
        }
    }
}

/// Says what is wrong with `host:port`.
fn network_fault(text: &str) -> Option<&'static str> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Some("write `host:port` or `unix:/path`");
    };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    match port.parse::<u16>() {
        _ if host.is_empty() => Some("the host is missing; `0.0.0.0` or `[::]` takes all of this machine's"),
        _ if host.contains(':') && !bracketed => Some("an IPv6 host stands in brackets"),
        Err(_) => Some("the port is a number from 0 to 65535"),
        Ok(_) => None,
    }
}

impl Address {
    /// Returns the socket addresses; a host name may have several, at least one.
    ///
    /// # Errors
    /// Says in one line what could not be looked up, and why.
    pub fn resolve(&self) -> Result<Vec<SocketAddrAny>, String> {
        let found = match self {
            Address::Network(text) => {
                let found =
                    text.to_socket_addrs().map_err(|why| format!("failed to look up `{text}`: {why}"))?;
                found.map(SocketAddrAny::from).collect()
            }
            Address::Path(path) => vec![SocketAddrUnix::new(path).map_err(cause)?.into()],
            Address::Abstract(name) => {
                vec![SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(cause)?.into()]
            }
        };
        if found.is_empty() {
            Err(format!("failed to look up `{self}`: it has no address"))
        } else {
            Ok(found)
        }
    }

    /// Returns the path of a socket in the file system.
    pub fn path(&self) -> Option<&Path> {
        if let Address::Path(path) = self { Some(path) } else { None }
    }

    /// Tells whether this is port 0, which only what is bound can use: the kernel chooses a free one.
    pub fn is_port_zero(&self) -> bool {
        matches!(self, Address::Network(text) if text.rsplit(':').next().and_then(|port| port.parse().ok()) == Some(0_u16))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Network(text) => f.write_str(text),
            Address::Path(path) => write!(f, "unix:{}", path.display()),
            Address::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in [
            "127.0.0.1:5565",
            "localhost:0",
            "[::1]:80",
            "[::]:65535",
            "unix:/run/x.sock",
            "unix:a",
            "unix:@x",
        ] {
            let address = Address::try_from(text.to_owned()).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.is_port_zero(), text.ends_with(":0"));
            assert!(!address.resolve().unwrap().is_empty());
        }
    }

    #[test]
    fn other_texts_are_faults() {
        let check = |text: &str, why: &str| {
            assert_eq!(Address::try_from(text.to_owned()), Err(format!("`{text}` is not an address: {why}")));
        };
        check("", "write `host:port` or `unix:/path`");
        check("localhost", "write `host:port` or `unix:/path`");
        check(":5565", "the host is missing; `0.0.0.0` or `[::]` takes all of this machine's");
        check("::1:5565", "an IPv6 host stands in brackets");
        check("localhost:", "the port is a number from 0 to 65535");
        check("localhost:65536", "the port is a number from 0 to 65535");
        check("unix:", "`unix:` needs a path behind it");
        check("unix:@", "`unix:@` needs a name behind it");
        check("unix:a\0b", "it holds a NUL byte");
        check(&format!("unix:/{}", "x".repeat(107)), "a unix socket's path has at most 107 bytes");
    }
}
