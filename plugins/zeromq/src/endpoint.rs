//! Where a socket binds or connects: `tcp://host:port` or `ipc:///path`.

use heka_plugin_api::{Faults, OptionType};
use serde::Deserialize;
use std::fmt;

/// Longest path of a unix socket that the kernel takes, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// An address in ZeroMQ's notation.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint {
    text: String,
}

impl OptionType for Endpoint {
    const TYPE_NAME: &'static str = "string";
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Endpoint, String> {
        match fault(&text) {
            Some(why) => Err(format!("`{text}` is not an endpoint: {why}")),
            None => Ok(Endpoint { text }),
        }
    }
}

fn fault(text: &str) -> Option<&'static str> {
    if text.contains('\0') {
        return Some("it holds a NUL byte");
    }
    match text.split_once("://") {
        Some(("tcp", address)) => tcp_fault(address),
        Some(("ipc", "")) => Some("`ipc://` needs a path behind it"),
        Some(("ipc", path)) if path.len() > PATH_BYTES_MAX => {
            Some("a unix socket's path has at most 107 bytes")
        }
        Some(("ipc", _)) => None,
        _ => Some("write `tcp://host:port` or `ipc:///path`"),
    }
}

fn tcp_fault(address: &str) -> Option<&'static str> {
    let Some((host, port)) = address.rsplit_once(':') else { return Some("write `tcp://host:port`") };
    let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
    match port.parse::<u16>() {
        _ if host.is_empty() => Some("the host is missing; `*` takes all of this machine's"),
        _ if host.contains(':') && !bracketed => Some("an IPv6 host stands in brackets"),
        Err(_) if port != "*" => Some("the port is a number from 0 to 65535, or `*` for a free one"),
        _ => None,
    }
}

impl Endpoint {
    /// Returns it as ZeroMQ takes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether it names an IPv6 host.
    pub fn is_ipv6(&self) -> bool {
        self.text.starts_with("tcp://[")
    }

    /// Tells whether nobody can connect to it, because a free port or any of the machine's addresses is meant.
    pub fn is_for_binding_only(&self) -> bool {
        let address = self.text.strip_prefix("tcp://");
        let parts = address.and_then(|address| address.rsplit_once(':'));
        parts.is_some_and(|(host, port)| host == "*" || port == "*" || port.parse() == Ok(0_u16))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Finds what is wrong with the options `bind` and `connect` together.
pub fn check(bind: &[Endpoint], connect: &[Endpoint], faults: &mut Faults) {
    if bind.is_empty() && connect.is_empty() {
        faults.add("", "neither `bind` nor `connect` names an endpoint; give at least one");
    }
    for endpoint in connect.iter().filter(|endpoint| endpoint.is_for_binding_only()) {
        faults.add("connect", format!("`{endpoint}` is for binding only"));
    }
    for (option, endpoints) in [("bind", bind), ("connect", connect)] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            if !endpoint.is_for_binding_only() && endpoints[..index].contains(endpoint) {
                faults.add(option, format!("`{endpoint}` stands there twice"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        let texts = [
            "tcp://127.0.0.1:5565",
            "tcp://*:5565",
            "tcp://127.0.0.1:*",
            "tcp://127.0.0.1:0",
            "tcp://[::1]:5565",
            "tcp://graters.example:1",
            "ipc:///run/heka.sock",
        ];
        for text in texts {
            assert_eq!(Endpoint::try_from(text.to_owned()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_endpoint_says_why() {
        let check = |text: &str, why: &str| {
            let expected = format!("`{text}` is not an endpoint: {why}");
            assert_eq!(Endpoint::try_from(text.to_owned()), Err(expected));
        };
        check("127.0.0.1:5565", "write `tcp://host:port` or `ipc:///path`");
        check("inproc://a", "write `tcp://host:port` or `ipc:///path`");
        check("tcp://127.0.0.1", "write `tcp://host:port`");
        check("tcp://:1", "the host is missing; `*` takes all of this machine's");
        check("tcp://::1:1", "an IPv6 host stands in brackets");
        check("tcp://a:65536", "the port is a number from 0 to 65535, or `*` for a free one");
        check("ipc://", "`ipc://` needs a path behind it");
        check(&format!("ipc://{}", "x".repeat(108)), "a unix socket's path has at most 107 bytes");
        check("tcp://a\0:1", "it holds a NUL byte");
    }

    #[test]
    fn some_are_for_binding_only() {
        let is_for_binding_only =
            |text: &str| Endpoint::try_from(text.to_owned()).unwrap().is_for_binding_only();
        for text in ["tcp://*:5565", "tcp://a:*", "tcp://a:0"] {
            assert!(is_for_binding_only(text), "{text}");
        }
        for text in ["tcp://a:5565", "ipc://*"] {
            assert!(!is_for_binding_only(text), "{text}");
        }
    }
}
