//! Output `zeromq`: publishes messages, or pushes them.

use crate::endpoint::{self, Endpoint};
use crate::wire::{Wire, failure, places};
use heka_plugin_api::{
    Context, Counter, Delivered, Delivery, Faults, Interval, Message, OptionType, Output, Part, Piece,
    PluginError, Schema, Template,
};
use heka_socket::{Wake, write_address};
use serde::Deserialize;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};
use zmq::{DONTWAIT, Error, POLLIN, POLLOUT, PollItem, SNDMORE};

/// Sends messages over ZeroMQ.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether to publish to all subscribers (`pub`) or to push each message to one of the pullers (`push`).
    #[schema(default = "pub")]
    socket: Kind,
    /// Endpoints where peers connect: `tcp://host:port`, port `*` takes a free one, or `ipc:///path`.
    #[schema(default = "[]")]
    bind: Vec<Endpoint>,
    /// Endpoints of peers to connect to, again and again when they have gone.
    #[schema(default = "[]")]
    connect: Vec<Endpoint>,
    /// How many messages may wait for each peer; then a publisher drops further ones for it, and a pusher waits.
    #[schema(default = "1000", unit = "messages")]
    high_water_mark: i32,
    /// Text that is sent as a first part of its own, to be subscribed to, with parts of the message in braces: `{Type}`.
    topic: Option<String>,
    /// How long nobody may take anything from a pusher before sending starts anew.
    #[schema(default = "30 s", unit = "s")]
    write_timeout: Interval,
    /// How long the end waits for peers to take what was sent.
    #[schema(default = "1 s", unit = "s")]
    linger: Interval,
}

/// Kind of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// PUB.
    Pub,
    /// PUSH.
    Push,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            socket: Kind::Pub,
            bind: Vec::new(),
            connect: Vec::new(),
            high_water_mark: 1_000,
            topic: None,
            write_timeout: Interval(Duration::from_secs(30)),
            linger: Interval(Duration::from_secs(1)),
        }
    }
}

/// Sends messages over ZeroMQ.
pub struct ZeromqOutput {
    config: Config,
    topic: Option<Topic>,
    wire: Option<Wire>,
    wake: Wake,
    messages: Counter,
    bytes: Counter,
}

/// What comes before a message, and the memory that it is written to.
struct Topic {
    template: Template<Part>,
    text: Vec<u8>,
}

impl Output for ZeromqOutput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        endpoint::check(&config.bind, &config.connect, faults);
        if !(1..=1_000_000).contains(&config.high_water_mark) {
            faults.add("high_water_mark", "from 1 to 1000000");
        }
        if let Some(Err(error)) = config.topic.as_deref().map(Topic::parse) {
            faults.add("topic", error);
        }
        let day = Duration::from_secs(86_400);
        if config.write_timeout.0.is_zero() || config.write_timeout.0 > day {
            faults.add("write_timeout", "more than 0 and at most 1 d");
        }
        if config.linger.0 > day {
            faults.add("linger", "at most 1 d");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let topic = config.topic.as_deref().map(Topic::parse).transpose().map_err(PluginError::Config)?;
        Ok(ZeromqOutput {
            config,
            topic,
            wire: None,
            wake: Wake::of_instance(context)?,
            messages: context.counter("messages sent"),
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let kind = self.config.zmq_kind();
        let same = predecessor.filter(|old| old.config.zmq_kind() == kind);
        let mut running = same.map(|old| &mut old.wire);
        let wire = match &mut running {
            Some(Some(wire)) => {
                self.config.go_over(wire)?;
                running.and_then(Option::take)
            }
            _ => None,
        };
        let wire = match wire {
            Some(wire) => wire,
            None => {
                let mut wire = Wire::open(kind)?;
                self.config.go_over(&mut wire)?;
                wire
            }
        };
        let bound: Vec<&str> = wire.bound().collect();
        if !bound.is_empty() {
            log::info!("output `{}`: sending from `{}`", context.instance(), bound.join("`, `"));
        }
        write_address(&bound.join("\n"), context);
        self.wire = Some(wire);
        Ok(())
    }

    fn deliver(&mut self, delivery: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        let is_encoded = delivery.is_encoded() && !delivery.bytes().is_empty();
        for (message, encoded) in delivery.messages() {
            let body = if is_encoded { encoded } else { message.payload() };
            if !(is_encoded && body.is_empty()) {
                self.send_message(&message, body)?;
                self.messages.add(1);
                self.bytes.add(body.len() as u64);
            }
            delivery.complete(1);
        }
        Ok(Delivered::Now)
    }
}

impl Config {
    fn zmq_kind(&self) -> zmq::SocketType {
        match self.socket {
            Kind::Pub => zmq::PUB,
            Kind::Push => zmq::PUSH,
        }
    }

    /// Gives a socket these endpoints and limits.
    fn go_over(&self, wire: &mut Wire) -> Result<(), PluginError> {
        let socket = wire.socket();
        let limits = || {
            socket.set_sndhwm(self.high_water_mark)?;
            // What is pushed waits in the host's queue, not for a peer that may never come.
            socket.set_immediate(self.socket == Kind::Push)?;
            socket.set_linger(i32::try_from(self.linger.0.as_millis()).unwrap_or(i32::MAX))
        };
        limits().map_err(|error| failure("failed to set the limits of the socket", error))?;
        wire.go_to(&places(&self.bind, &self.connect))
    }
}

impl Topic {
    fn parse(text: &str) -> Result<Topic, String> {
        let template = Template::parse(text, Part::parse).map_err(|error| error.to_string())?;
        Ok(Topic { template, text: Vec::new() })
    }

    fn write(&mut self, message: &Message<'_>) -> &[u8] {
        self.text.clear();
        for piece in self.template.pieces() {
            match piece {
                Piece::Literal(text) => self.text.extend_from_slice(text.as_bytes()),
                Piece::Placeholder(part) => {
                    if let Some(value) = part.value(message) {
                        value.write_text(&mut self.text);
                    }
                }
            }
        }
        &self.text
    }
}

impl ZeromqOutput {
    fn send_message(&mut self, message: &Message<'_>, body: &[u8]) -> Result<(), PluginError> {
        let Some(wire) = &self.wire else { return Err(PluginError::fatal("was not started")) };
        let deadline = Instant::now() + self.config.write_timeout.0;
        if let Some(topic) = &mut self.topic {
            send(wire, topic.write(message), SNDMORE, &self.wake, deadline)?;
        }
        send(wire, body, 0, &self.wake, deadline)
    }
}

/// Sends a part as soon as somebody takes it; a publisher never waits.
fn send(wire: &Wire, part: &[u8], flags: i32, wake: &Wake, deadline: Instant) -> Result<(), PluginError> {
    loop {
        match wire.socket().send(part, flags | DONTWAIT) {
            Ok(()) => return Ok(()),
            Err(Error::EINTR) => {}
            Err(Error::EAGAIN) => wait(wire, wake, deadline)?,
            Err(error) => return Err(failure("failed to send", error)),
        }
    }
}

fn wait(wire: &Wire, wake: &Wake, deadline: Instant) -> Result<(), PluginError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let event = PollItem::from_fd(wake.as_fd().as_raw_fd(), POLLIN);
    let mut items = [wire.socket().as_poll_item(POLLOUT), event];
    let timeout_ms = i64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
    match zmq::poll(&mut items, timeout_ms) {
        Err(Error::EINTR) => Ok(()),
        Err(error) => Err(failure("failed to wait for a peer", error)),
        Ok(_) if items[0].is_writable() => Ok(()),
        Ok(_) if items[1].is_readable() => Err(PluginError::retry("stopped while no peer took anything")),
        Ok(_) => Err(PluginError::retry("no peer took anything within `write_timeout`")),
    }
}

#[cfg(test)]
mod tests;
