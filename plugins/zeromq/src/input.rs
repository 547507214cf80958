//! Input `zeromq`: receives messages as a subscriber, or pulls them.

use crate::endpoint::{self, Endpoint};
use crate::handshake::Handshake;
use crate::inbox::{Cutting, Inbox, Parts};
use crate::wire::{Wire, failure, places};
use heka_plugin_api::{
    ByteSize, Context, Counter, Faults, Input, OptionType, PluginError, Read, Reader, Schema, StopSignal,
    Stream,
};
use heka_socket::{Wake, write_address};
use serde::Deserialize;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;
use zmq::{Error, POLLIN, PollItem};

/// Peers introduce themselves with messages that count too, in bytes.
const MESSAGE_BYTES_LEAST: u64 = 1 << 10;

/// Receives messages over ZeroMQ, each a frame.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether to subscribe to publishers (`sub`, which PUB sockets send to) or to pull (`pull`, from PUSH sockets).
    #[schema(default = "sub")]
    socket: Kind,
    /// Endpoints where peers connect: `tcp://host:port`, port `*` takes a free one, or `ipc:///path`.
    #[schema(default = "[]")]
    bind: Vec<Endpoint>,
    /// Endpoints of peers to connect to, again and again when they have gone.
    #[schema(default = "[]")]
    connect: Vec<Endpoint>,
    /// How messages begin that a subscriber wants; an empty text is every message.
    #[schema(default = "['']")]
    subscriptions: Vec<String>,
    /// How many messages of each peer may wait; then publishers drop further ones, and pushers wait.
    #[schema(default = "1000", unit = "messages")]
    high_water_mark: i32,
    /// What becomes of a message of several parts: one frame of all (`join`), a frame of `each`, or one of the `last`, where the first is a topic.
    #[schema(default = "join")]
    parts: Parts,
    /// Text between joined parts.
    #[schema(default = "")]
    part_separator: String,
    /// Longest message; a peer that sends a longer part is disconnected, a longer joined one is left out and counted.
    #[schema(default = "1 MiB")]
    message_bytes_max: ByteSize,
    /// Endpoint where clients ask with a REQ socket whether anybody is there, as Metlog's `ZmqHandshakePubSender` does.
    handshake: Option<Endpoint>,
}

/// Kind of the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// SUB.
    Sub,
    /// PULL.
    Pull,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            socket: Kind::Sub,
            bind: Vec::new(),
            connect: Vec::new(),
            subscriptions: vec![String::new()],
            high_water_mark: 1_000,
            parts: Parts::Join,
            part_separator: String::new(),
            message_bytes_max: ByteSize(1 << 20),
            handshake: None,
        }
    }
}

/// Receives messages over ZeroMQ.
pub struct ZeromqInput {
    config: Config,
    cutting: Cutting,
    receiver: Option<Receiver>,
    inbox: Inbox,
    stream: Option<Stream>,
    /// The stream, while the host takes it for that of an instance that this one took over from.
    inherited: Option<Stream>,
    counters: Counters,
    stop: StopSignal,
}

/// The sockets, and what ends a wait for them.
struct Receiver {
    wire: Wire,
    subscriptions: Vec<String>,
    handshake: Option<Handshake>,
    wake: Wake,
}

struct Counters {
    messages: Counter,
    bytes: Counter,
    too_long: Counter,
    handshakes: Counter,
}

impl Input for ZeromqInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        endpoint::check(&config.bind, &config.connect, faults);
        if !(1..=1_000_000).contains(&config.high_water_mark) {
            faults.add("high_water_mark", "from 1 to 1000000");
        }
        if !(MESSAGE_BYTES_LEAST..=1 << 30).contains(&config.message_bytes_max.0) {
            faults.add("message_bytes_max", "from 1 KiB to 1 GiB");
        }
        let wants_all = config.subscriptions == [""];
        if config.socket == Kind::Pull && !wants_all {
            faults.add("subscriptions", "only for `socket = \"sub\"`");
        } else if config.subscriptions.is_empty() {
            faults.add("subscriptions", "nothing would come; `['']` is every message");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(ZeromqInput {
            cutting: Cutting {
                parts: config.parts,
                separator: config.part_separator.clone().into_bytes(),
                frame_bytes_max: config.message_bytes_max.0 as usize,
            },
            config,
            receiver: None,
            inbox: Inbox::default(),
            stream: None,
            inherited: None,
            counters: Counters {
                messages: context.counter("messages received"),
                bytes: context.counter("bytes"),
                too_long: context.counter("too_long"),
                handshakes: context.counter("handshakes"),
            },
            stop: context.stop_signal(),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let wake = Wake::of_instance(context)?;
        let kind = self.config.zmq_kind();
        let same = predecessor.filter(|old| old.config.zmq_kind() == kind);
        let stream = same.as_ref().and_then(|old| old.stream);
        let mut running = same.map(|old| &mut old.receiver);
        let receiver = match &mut running {
            Some(Some(receiver)) => {
                receiver.go_over(&self.config)?;
                running.and_then(Option::take)
            }
            _ => None,
        };
        let receiver = match receiver {
            Some(receiver) => Receiver { wake, ..receiver },
            None => Receiver::open(&self.config, wake)?,
        };
        announce(&receiver, context);
        self.receiver = Some(receiver);
        (self.stream, self.inherited) = (stream, stream);
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let Some(receiver) = &mut self.receiver else { return Err(PluginError::fatal("was not started")) };
        self.inherited.take().into_iter().for_each(|stream| reader.keep_stream(stream));
        let timeout = if self.stop.is_raised() { Duration::ZERO } else { timeout };
        let failed = |error| failure("failed to receive", error);
        self.inbox.receive(receiver.wire.socket(), &self.cutting).map_err(failed)?;
        if self.inbox.is_empty() && receiver.wait(timeout).map_err(failed)? {
            self.inbox.receive(receiver.wire.socket(), &self.cutting).map_err(failed)?;
        }
        if let Some(handshake) = &receiver.handshake {
            self.counters.handshakes.add(handshake.answer(self.inbox.scratch()));
        }
        self.counters.too_long.add(self.inbox.too_long);
        if self.inbox.is_empty() {
            return Ok(Read::Idle);
        }
        let stream = *self.stream.get_or_insert_with(|| reader.open_stream(context.instance(), 0, 0));
        reader.datagrams(stream, self.inbox.frames());
        self.counters.messages.add(self.inbox.messages);
        self.counters.bytes.add(self.inbox.bytes_len() as u64);
        Ok(Read::Some)
    }
}

impl Config {
    fn zmq_kind(&self) -> zmq::SocketType {
        match self.socket {
            Kind::Sub => zmq::SUB,
            Kind::Pull => zmq::PULL,
        }
    }
}

impl Receiver {
    fn open(config: &Config, wake: Wake) -> Result<Receiver, PluginError> {
        let wire = Wire::open(config.zmq_kind())?;
        let mut receiver = Receiver { wire, subscriptions: Vec::new(), handshake: None, wake };
        receiver.go_over(config)?;
        Ok(receiver)
    }

    /// Goes over to the endpoints and subscriptions of a config, or leaves everything as it was.
    fn go_over(&mut self, config: &Config) -> Result<(), PluginError> {
        let socket = self.wire.socket();
        let limits = || {
            socket.set_rcvhwm(config.high_water_mark)?;
            socket.set_maxmsgsize(config.message_bytes_max.0 as i64)
        };
        limits().map_err(|error| failure("failed to set the limits of the socket", error))?;
        let wanted = config.handshake.as_ref();
        let keeps = self.handshake.as_ref().zip(wanted).is_some_and(|(old, new)| old.is_at(new));
        let handshake = if keeps { None } else { wanted.map(Handshake::bind).transpose()? };
        self.wire.go_to(&places(&config.bind, &config.connect))?;
        if !keeps {
            self.handshake = handshake;
        }
        self.subscribe(config).map_err(|error| failure("failed to subscribe", error))
    }

    fn subscribe(&mut self, config: &Config) -> Result<(), Error> {
        if config.socket == Kind::Pull {
            return Ok(());
        }
        let socket = self.wire.socket();
        for text in config.subscriptions.iter().filter(|text| !self.subscriptions.contains(text)) {
            socket.set_subscribe(text.as_bytes())?;
        }
        for text in self.subscriptions.iter().filter(|text| !config.subscriptions.contains(text)) {
            socket.set_unsubscribe(text.as_bytes())?;
        }
        self.subscriptions.clone_from(&config.subscriptions);
        Ok(())
    }

    /// Waits until something comes; tells whether a message did.
    fn wait(&self, timeout: Duration) -> Result<bool, Error> {
        let message = self.wire.socket();
        let request = self.handshake.as_ref().map_or(message, Handshake::socket);
        let event = PollItem::from_fd(self.wake.as_fd().as_raw_fd(), POLLIN);
        let mut items = [message.as_poll_item(POLLIN), request.as_poll_item(POLLIN), event];
        let timeout_ms = i64::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i64::MAX);
        match zmq::poll(&mut items, timeout_ms) {
            Ok(_) | Err(Error::EINTR) => Ok(items[0].is_readable()),
            Err(error) => Err(error),
        }
    }
}

/// Says where the input receives, in the log and in a file that other programs can read.
fn announce(receiver: &Receiver, context: &Context) {
    let instance = context.instance();
    let handshake = receiver.handshake.iter().flat_map(Handshake::bound);
    let bound: Vec<&str> = receiver.wire.bound().chain(handshake).collect();
    if !bound.is_empty() {
        log::info!("input `{instance}`: receiving on `{}`", bound.join("`, `"));
    }
    write_address(&bound.join("\n"), context);
}

#[cfg(test)]
mod tests;
