//! Output `tcp`: writes messages into a connection.

use crate::address::Address;
use crate::cause::cause;
use crate::peer::{Options, Peer};
use crate::wake::Wake;
use heka_plugin_api::{Context, Counter, Delivered, Delivery, Faults, Interval, Output, PluginError, Schema};
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
    lines: Vec<u8>,
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
        let failed =
            |errno| PluginError::retry(format!("failed to make an event descriptor: {}", cause(errno)));
        Ok(TcpOutput {
            options: Options {
                address: config.address,
                connect_timeout: config.connect_timeout.0,
                write_timeout: config.write_timeout.0,
                keep_alive: config.keep_alive,
                nodelay: config.nodelay,
            },
            wake: Wake::watching(&context.stop_signal()).map_err(failed)?,
            peer: None,
            lines: Vec::new(),
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
        let encoded = delivery.bytes();
        let bytes = if encoded.is_empty() { write_lines(&mut self.lines, delivery) } else { encoded };
        match peer.write(bytes, self.options.write_timeout, &self.wake) {
            Ok(()) => {
                self.bytes.add(bytes.len() as u64);
                self.peer = Some(peer);
                Ok(Delivered::Now)
            }
            Err((written, why)) => {
                self.bytes.add(written as u64);
                let (whole, all) = (whole_messages(delivery, encoded.is_empty(), written), delivery.len());
                delivery.complete(whole);
                let address = &self.options.address;
                Err(PluginError::retry(format!(
                    "failed to write to `{address}`: {why}; {whole} of {all} messages are written"
                )))
            }
        }
    }
}

/// Writes each payload and a newline; returns all of them.
fn write_lines<'l>(lines: &'l mut Vec<u8>, delivery: &Delivery<'_>) -> &'l [u8] {
    lines.clear();
    for (message, _) in delivery.messages() {
        lines.extend_from_slice(message.payload());
        lines.push(b'\n');
    }
    lines
}

/// Counts the messages that are whole in the first `written` bytes.
fn whole_messages(delivery: &Delivery<'_>, as_lines: bool, written: usize) -> usize {
    let mut left = written;
    let lengths = delivery.messages().map(
        |(message, encoded)| {
            if as_lines { message.payload().len() + 1 } else { encoded.len() }
        },
    );
    let whole = lengths.take_while(|len| {
        let fits = *len <= left;
        left = left.saturating_sub(*len);
        fits
    });
    whole.count()
}

#[cfg(test)]
mod tests;
