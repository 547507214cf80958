//! Output `tcp`: writes messages into a connection.

use crate::peer::{Options, Peer};
use heka_plugin_api::{Context, Counter, Delivered, Delivery, Faults, Interval, Output, PluginError, Schema};
use heka_socket::{Address, PayloadLines, Wake, whole_messages};
use serde::Deserialize;
use std::time::Duration;

/// Connects to another program and writes messages to it.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to connect: `host:port`, `unix:/path` or `unix:@name`.
    address: Address,
    /// How long the peer may take to answer when connecting.
    #[serde(default = "default_connect_timeout")]
    #[schema(default = "10 s", unit = "s")]
    connect_timeout: Interval,
    /// How long the peer may take nothing before the connection is given up.
    #[serde(default = "default_write_timeout")]
    #[schema(default = "30 s", unit = "s")]
    write_timeout: Interval,
    /// Whether the kernel asks a silent peer now and then if it is still there.
    #[serde(default = "default_true")]
    #[schema(default = "true")]
    keep_alive: bool,
    /// Whether small batches leave at once instead of waiting for more.
    #[serde(default = "default_true")]
    #[schema(default = "true")]
    nodelay: bool,
}

fn default_connect_timeout() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_write_timeout() -> Interval {
    Interval(Duration::from_secs(30))
}

fn default_true() -> bool {
    true
}

/// Writes messages into a connection.
pub struct TcpOutput {
    options: Options,
    wake: Wake,
    peer: Option<Peer>,
    /// Payloads as lines, where no encoder is named.
    lines: PayloadLines,
    connects: Counter,
    bytes: Counter,
}

impl Output for TcpOutput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.address.is_port_zero() {
            faults.add("address", "port 0 is for listening only");
        }
        for (name, interval) in
            [("connect_timeout", config.connect_timeout), ("write_timeout", config.write_timeout)]
        {
            if interval.0.is_zero() || interval.0 > Duration::from_secs(86_400) {
                faults.add(name, "more than 0 and at most 1 d");
            }
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(TcpOutput {
            options: Options {
                address: config.address,
                connect_timeout: config.connect_timeout.0,
                write_timeout: config.write_timeout.0,
                keep_alive: config.keep_alive,
                nodelay: config.nodelay,
            },
            wake: Wake::of_instance(context)?,
            peer: None,
            lines: PayloadLines::default(),
            connects: context.counter("connects"),
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        let same = predecessor.filter(|old| old.options.address == self.options.address);
        self.peer = same.and_then(|old| old.peer.take());
        Ok(())
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        let peer = match self.peer.take().filter(Peer::is_there) {
            Some(peer) => peer,
            None => {
                let peer = Peer::connect(&self.options, &self.wake).map_err(PluginError::retry)?;
                self.connects.add(1);
                peer
            }
        };
        let bytes = self.lines.bytes(delivery);
        match peer.write(bytes, self.options.write_timeout, &self.wake) {
            Ok(()) => {
                self.bytes.add(bytes.len() as u64);
                self.peer = Some(peer);
                Ok(Delivered::Now)
            }
            Err((written, why)) => {
                self.bytes.add(written as u64);
                let (whole, all) = (whole_messages(delivery, written), delivery.len());
                delivery.complete(whole);
                let address = &self.options.address;
                Err(PluginError::retry(format!(
                    "failed to write to `{address}`: {why}; {whole} of {all} messages are written"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests;
