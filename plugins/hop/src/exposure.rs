//! Keeps a hop without TLS and without a secret on this machine.

use heka_socket::Address;
use rustix::net::SocketAddrAny;
use std::net::{IpAddr, SocketAddr};

/// What to say of an address that others could reach.
pub const EXPOSED: &str = "without `tls` or `secret` only loopback addresses and unix sockets are allowed";

/// Tells whether an address, as the config has it, stays on this machine. Looks up no names.
pub fn is_local(address: &Address) -> bool {
    let Address::Network(text) = address else { return true };
    let host = text.rsplit_once(':').map_or(&**text, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// Tells whether an address that was looked up stays on this machine.
pub fn is_loopback(address: &SocketAddrAny) -> bool {
    match SocketAddr::try_from(address.clone()) {
        Ok(address) => address.ip().to_canonical().is_loopback(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        let check = |text: &str, expected| {
            let address = Address::try_from(text.to_owned()).unwrap();
            assert_eq!(is_local(&address), expected, "{text}");
        };
        check("127.0.0.1:1", true);
        check("127.8.9.1:1", true);
        check("[::1]:1", true);
        check("[::ffff:127.0.0.1]:1", true);
        check("localhost:1", true);
        check("unix:/run/x", true);
        check("unix:@x", true);
        check("0.0.0.0:1", false);
        check("[::]:1", false);
        check("10.0.0.1:1", false);
        check("grater.example.org:1", false);
        check("localhost.example.org:1", false);
        check("127.0.0.1.example.org:1", false);
    }

    #[test]
    fn looked_up_addresses_are_judged_alike() {
        let check = |text: &str, expected| {
            assert_eq!(is_loopback(&text.parse::<SocketAddr>().unwrap().into()), expected, "{text}");
        };
        check("127.0.0.1:1", true);
        check("[::1]:1", true);
        check("192.168.0.1:1", false);
    }
}
