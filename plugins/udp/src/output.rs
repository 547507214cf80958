//! Output `udp`: sends each message as a datagram.

use heka_datagram::{SEND_MAX, send};
use heka_plugin_api::{
    Context, Counter, Delivered, Delivery, Faults, Interval, Message, Output, PluginError, Schema,
};
use heka_socket::{Address, Waited, Wake, cause, open_socket};
use rustix::event::PollFlags;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::SocketType;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// Longest payload that UDP over IPv4 can carry, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Sends each message as a datagram.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to send: `host:port`, `unix:/path` or `unix:@name`.
    address: Address,
    /// Longer messages are refused, since they can't be cut.
    #[serde(default = "default_datagram_bytes_max")]
    #[schema(default = "65507", unit = "bytes")]
    datagram_bytes_max: usize,
    /// How long the receiver of a unix socket, or the network, may take nothing before sending starts anew.
    #[serde(default = "default_write_timeout")]
    #[schema(default = "30 s", unit = "s")]
    write_timeout: Interval,
}

fn default_datagram_bytes_max() -> usize {
    DATAGRAM_BYTES_MAX
}

fn default_write_timeout() -> Interval {
    Interval(Duration::from_secs(30))
}

/// Sends each message as a datagram.
pub struct UdpOutput {
    config: Config,
    wake: Wake,
    socket: Option<OwnedFd>,
    datagrams: Counter,
    bytes: Counter,
    refused: Counter,
}

/// Datagrams to send together, and what comes behind them.
struct Packet<'a> {
    datagrams: [&'a [u8]; SEND_MAX],
    count: usize,
    next: Next,
}

enum Next {
    /// More messages.
    More,
    /// A message of so many bytes, which is too long.
    TooLong(usize),
    /// A message that the encoder made nothing of.
    Nothing,
    /// No more messages.
    End,
}

impl Output for UdpOutput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.address.is_port_zero() {
            faults.add("address", "port 0 is for receiving only");
        }
        if config.datagram_bytes_max == 0 {
            faults.add("datagram_bytes_max", "at least 1");
        } else if config.datagram_bytes_max > DATAGRAM_BYTES_MAX
            && matches!(config.address, Address::Network(_))
        {
            faults.add("datagram_bytes_max", "UDP carries at most 65507 bytes");
        }
        if config.write_timeout.0.is_zero() || config.write_timeout.0 > Duration::from_secs(86_400) {
            faults.add("write_timeout", "more than 0 and at most 1 d");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(UdpOutput {
            config,
            wake: Wake::of_instance(context)?,
            socket: None,
            datagrams: context.counter("datagrams"),
            bytes: context.counter("bytes"),
            refused: context.counter("refused"),
        })
    }

    fn deliver(
        &mut self,
        delivery: &mut Delivery<'_>,
        context: &mut Context,
    ) -> Result<Delivered, PluginError> {
        let as_payload = delivery.bytes().is_empty();
        let mut messages = delivery.messages();
        loop {
            let packet = Packet::next(&mut messages, as_payload, self.config.datagram_bytes_max);
            self.send_all(&packet.datagrams[..packet.count], delivery, context)?;
            match packet.next {
                Next::More => {}
                Next::TooLong(len) => {
                    let max = self.config.datagram_bytes_max;
                    delivery.refuse(&format!("{len} bytes are more than the {max} of a datagram"), context);
                }
                Next::Nothing => delivery.complete(1),
                Next::End => return Ok(Delivered::Now),
            }
        }
    }
}

impl<'a> Packet<'a> {
    fn next(
        messages: &mut impl Iterator<Item = (Message<'a>, &'a [u8])>,
        as_payload: bool,
        bytes_max: usize,
    ) -> Packet<'a> {
        let mut packet = Packet { datagrams: [&[]; SEND_MAX], count: 0, next: Next::More };
        while packet.count < SEND_MAX {
            let Some((message, encoded)) = messages.next() else {
                packet.next = Next::End;
                break;
            };
            let datagram = if as_payload { message.payload() } else { encoded };
            if datagram.len() > bytes_max {
                packet.next = Next::TooLong(datagram.len());
                break;
            }
            if datagram.is_empty() && !as_payload {
                packet.next = Next::Nothing;
                break;
            }
            packet.datagrams[packet.count] = datagram;
            packet.count += 1;
        }
        packet
    }
}

impl UdpOutput {
    fn send_all(
        &mut self,
        datagrams: &[&[u8]],
        delivery: &mut Delivery<'_>,
        context: &Context,
    ) -> Result<(), PluginError> {
        let is_network = matches!(self.config.address, Address::Network(_));
        let (mut left, mut refused, mut cut_short) = (datagrams, false, false);
        while !left.is_empty() {
            let socket = match self.socket.take() {
                Some(socket) => socket,
                None => self.connect()?,
            };
            match send(socket.as_fd(), left) {
                Ok(count) => {
                    // The kernel sends fewer, and says why only if the next call meets the same.
                    self.refused.add(u64::from(cut_short));
                    cut_short = is_network && count < left.len();
                    self.datagrams.add(count as u64);
                    self.bytes.add(left[..count].iter().map(|datagram| datagram.len() as u64).sum());
                    delivery.complete(count);
                    (left, refused) = (&left[count..], false);
                }
                Err(Errno::MSGSIZE) => {
                    let text = format!("{} bytes are more than the system sends at once", left[0].len());
                    delivery.refuse(&text, context);
                    (left, cut_short) = (&left[1..], false);
                }
                Err(Errno::AGAIN) => {
                    cut_short = false;
                    self.wait(&socket)?;
                }
                Err(Errno::INTR) => {}
                // This answers an earlier datagram, or says that a unix socket's receiver has gone.
                Err(Errno::CONNREFUSED | Errno::CONNRESET | Errno::NOTCONN) if !refused => {
                    self.refused.add(1);
                    (refused, cut_short) = (true, false);
                    if !is_network {
                        continue;
                    }
                }
                Err(errno) => return Err(self.failure(&cause(errno))),
            }
            self.socket = Some(socket);
        }
        Ok(())
    }

    fn connect(&self) -> Result<OwnedFd, PluginError> {
        let addresses = self.config.address.resolve().map_err(PluginError::retry)?;
        let mut failure = Errno::ADDRNOTAVAIL;
        for address in addresses {
            let connected = open_socket(address.address_family(), SocketType::DGRAM)
                .and_then(|socket| rustix::net::connect(&socket, &address).map(|()| socket));
            match connected {
                Ok(socket) => return Ok(socket),
                Err(errno) => failure = errno,
            }
        }
        Err(self.failure(&cause(failure)))
    }

    fn wait(&self, socket: &OwnedFd) -> Result<(), PluginError> {
        let deadline = Instant::now() + self.config.write_timeout.0;
        match self.wake.wait(socket.as_fd(), PollFlags::OUT, Some(deadline)) {
            Ok(Waited::Ready) => Ok(()),
            Ok(Waited::TimedOut) => Err(self.failure("nothing was taken within `write_timeout`")),
            Ok(Waited::Stopped) => Err(self.failure("stopped while nothing was taken")),
            Err(errno) => Err(self.failure(&cause(errno))),
        }
    }

    fn failure(&self, why: &str) -> PluginError {
        PluginError::retry(format!("failed to send to `{}`: {why}", self.config.address))
    }
}

#[cfg(test)]
mod tests;
