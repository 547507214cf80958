//! Input `udp`: receives datagrams.

use heka_datagram::{Inbox, Options, Reads, SOCKETS_MAX, Sockets, announce};
use heka_plugin_api::{
    ByteSize, Context, Counter, Faults, Input, PluginError, Read, Reader, Schema, StopSignal, Stream,
};
use heka_socket::{Address, Wake, cause, check_mode, parse_mode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// How often the kernel is asked for its drops.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);
/// Datagrams that are handed on together.
const HAND_ON_MAX: usize = 256;

/// Receives datagrams, each a whole frame or several.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to receive: `host:port` (port 0 takes a free one), `unix:/path` or `unix:@name`.
    #[schema(default = "127.0.0.1:5565")]
    address: Address,
    /// Size of each socket's buffer in the kernel, in which datagrams wait during a burst.
    #[schema(default = "8 MiB")]
    receive_buffer: ByteSize,
    /// How many sockets share the port, each with a buffer of its own; other processes may share it too when over 1.
    #[schema(default = "1", unit = "sockets")]
    sockets: usize,
    /// How many datagrams one system call takes at most.
    #[schema(default = "64", unit = "datagrams")]
    datagrams_per_read: usize,
    /// Permissions of a unix socket's file, in octal.
    #[schema(default = "0660")]
    mode: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            address: Address::Network("127.0.0.1:5565".to_owned()),
            receive_buffer: ByteSize(8 << 20),
            sockets: 1,
            datagrams_per_read: 64,
            mode: "0660".to_owned(),
        }
    }
}

/// Receives datagrams.
pub struct UdpInput {
    options: Options,
    receiver: Option<Receiver>,
    inbox: Inbox,
    reads: Reads,
    stream: Option<Stream>,
    /// The stream, while the host takes it for that of an instance that this one took over from.
    inherited: Option<Stream>,
    counters: Counters,
    drops_look: Instant,
    stop: StopSignal,
}

/// The sockets, and what ends a wait for them.
struct Receiver {
    sockets: Sockets,
    wake: Wake,
    /// Whose turn it is.
    turn: usize,
    /// Whether more may wait in the sockets.
    more: bool,
}

struct Counters {
    datagrams: Counter,
    bytes: Counter,
    truncated: Counter,
    kernel_drops: Counter,
}

impl Input for UdpInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if !(1..=1 << 30).contains(&config.receive_buffer.0) {
            faults.add("receive_buffer", "from 1 B to 1 GiB");
        }
        if !(1..=SOCKETS_MAX).contains(&config.sockets) {
            faults.add("sockets", format!("from 1 to {SOCKETS_MAX}"));
        } else if config.sockets > 1 && !matches!(config.address, Address::Network(_)) {
            faults.add("sockets", "a unix socket can't be shared; 1");
        }
        if !(1..=256).contains(&config.datagrams_per_read) {
            faults.add("datagrams_per_read", "from 1 to 256");
        }
        check_mode(&config.mode, faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let max = config.datagrams_per_read;
        Ok(UdpInput {
            options: Options {
                mode: parse_mode(&config.mode).unwrap_or(0o660),
                address: config.address,
                sockets: config.sockets,
                receive_buffer: config.receive_buffer.0 as usize,
            },
            receiver: None,
            inbox: Inbox::new(max),
            reads: Reads::new(max),
            stream: None,
            inherited: None,
            counters: Counters {
                datagrams: context.counter("datagrams"),
                bytes: context.counter("bytes"),
                truncated: context.counter("truncated"),
                kernel_drops: context.counter("kernel_drops"),
            },
            drops_look: Instant::now(),
            stop: context.stop_signal(),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let wake = Wake::of_instance(context)?;
        let same = predecessor.filter(|old| old.options.address == self.options.address);
        let stream = same.as_ref().and_then(|old| old.stream);
        let mut running = same.map(|old| &mut old.receiver);
        if let Some(Some(receiver)) = &mut running {
            receiver.sockets.adjust(&self.options)?;
        }
        let sockets = match running.and_then(Option::take) {
            Some(receiver) => receiver.sockets,
            None => Sockets::bind(&self.options)?,
        };
        announce(&sockets, self.options.receive_buffer, context);
        self.receiver = Some(Receiver { sockets, wake, turn: 0, more: true });
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
        let failed = |errno| PluginError::retry(format!("failed to receive: {}", cause(errno)));
        let mut received = receiver.receive(&mut self.inbox, self.reads.count()).map_err(failed)?;
        if received == 0 && receiver.wait(timeout).map_err(failed)? {
            received = receiver.receive(&mut self.inbox, self.reads.count()).map_err(failed)?;
        }
        self.count_drops(received == 0);
        if received == 0 {
            return Ok(Read::Idle);
        }
        let stream = *self.stream.get_or_insert_with(|| reader.open_stream(context.instance(), 0, 0));
        self.hand_on(stream, reader);
        Ok(Read::Some)
    }
}

impl UdpInput {
    fn hand_on(&mut self, stream: Stream, reader: &mut Reader<'_>) {
        let (mut count, bytes) = (0, self.inbox.bytes());
        let mut datagrams = self.inbox.datagrams().inspect(|_| count += 1).peekable();
        while datagrams.peek().is_some() {
            reader.datagrams(stream, datagrams.by_ref().take(HAND_ON_MAX));
        }
        self.counters.datagrams.add(count);
        self.counters.bytes.add(bytes as u64);
        self.counters.truncated.add(self.inbox.truncated() as u64);
        self.reads.learn(bytes);
    }

    /// Counts the datagrams that the kernel had no room for, now and then.
    fn count_drops(&mut self, is_idle: bool) {
        let Some(receiver) = &mut self.receiver else { return };
        let now = Instant::now();
        if is_idle || now >= self.drops_look {
            let drops = receiver.sockets.all().iter_mut().map(|socket| u64::from(socket.new_drops()));
            self.counters.kernel_drops.add(drops.sum());
            self.drops_look = now + DROPS_INTERVAL;
        }
    }
}

impl Receiver {
    /// Receives from the next socket that has something, unless all are known to have nothing.
    fn receive(&mut self, inbox: &mut Inbox, reads: usize) -> Result<usize, Errno> {
        if !self.more {
            return Ok(0);
        }
        let sockets = self.sockets.all();
        for _ in 0..sockets.len() {
            let socket = &sockets[self.turn % sockets.len()];
            self.turn = (self.turn + 1) % sockets.len();
            let received = inbox.receive(socket.as_fd(), reads)?;
            if received > 0 {
                self.more = received == reads || sockets.len() > 1;
                return Ok(received);
            }
        }
        self.more = false;
        Ok(0)
    }

    /// Waits until something comes; tells whether it did.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Errno> {
        let timeout = Timespec::try_from(timeout).ok();
        let wake = &self.wake;
        let sockets = self.sockets.all();
        let mut polled: [PollFd<'_>; SOCKETS_MAX + 1] =
            std::array::from_fn(|_| PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN));
        for (polled, socket) in polled[1..].iter_mut().zip(sockets.iter()) {
            *polled = PollFd::new(socket, PollFlags::IN);
        }
        match poll(&mut polled[..=sockets.len()], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        self.more = polled[1..=sockets.len()].iter().any(|socket| !socket.revents().is_empty());
        Ok(self.more)
    }
}

#[cfg(test)]
mod tests;
