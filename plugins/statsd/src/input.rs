//! Input `statsd`: receives metrics from clients and tells what they add up to.

mod counters;
mod taking;

use crate::accumulator::Accumulator;
use crate::clock::FlushClock;
use crate::line::parse_packet;
use crate::receiving::Receiving;
use crate::settings::{config_defaults, config_with_settings};
use counters::Counters;
use heka_datagram::{Options, SOCKETS_MAX, Sockets, announce};
use heka_plugin_api::{ByteSize, Context, Faults, Input, PluginError, Read, Reader, StopSignal, now};
use heka_socket::{
    Address, ListenOptions, Listener, Notice, Wake, cause, check_mode, parse_mode, write_address_as,
};
use std::time::{Duration, Instant};
use taking::{Malformed, Taking};

/// How long a flush goes on before what has arrived is received.
const SLICE: Duration = Duration::from_millis(1);
/// How often the kernel is asked for its drops.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);
/// How long what arrives is still read when the input is asked to stop; then the last interval is told.
const DRAIN_MAX: Duration = Duration::from_millis(500);
/// Connections that may wait in the kernel to be taken.
const BACKLOG: u32 = 1024;
/// Name of the file in the state directory that holds the address for connections.
const STREAM_ADDRESS_FILE: &str = "stream_address";

config_with_settings! {
    /// Receives metrics from statsd clients and tells at an interval what they add up to.
    struct Config {
        /// Where to receive datagrams: `host:port` (port 0 takes a free one), `unix:/path` or `unix:@name`.
        #[schema(default = "127.0.0.1:8125")]
        address: Address,
        /// Whether datagrams are received at all.
        #[schema(default = "true")]
        datagrams: bool,
        /// Where to listen for connections that bring lines: `host:port`, `unix:/path` or `unix:@name`; nowhere when left out.
        stream_address: Option<Address>,
        /// Size of each socket's buffer in the kernel, in which datagrams wait during a burst.
        #[schema(default = "8 MiB")]
        receive_buffer: ByteSize,
        /// How many sockets share the port, each with a buffer of its own; other processes may share it too when over 1.
        #[schema(default = "1", unit = "sockets")]
        sockets: usize,
        /// How many datagrams one system call takes at most.
        #[schema(default = "64", unit = "datagrams")]
        datagrams_per_read: usize,
        /// How many connections may be open at once; further ones are closed at once.
        #[schema(default = "1000", unit = "connections")]
        connections_max: usize,
        /// Permissions of a unix socket's file, in octal.
        #[schema(default = "0660")]
        mode: String,
    }
}

config_defaults! {
    address: Address::Network("127.0.0.1:8125".to_owned()),
    datagrams: true,
    stream_address: None,
    receive_buffer: ByteSize(8 << 20),
    sockets: 1,
    datagrams_per_read: 64,
    connections_max: 1_000,
    mode: "0660".to_owned(),
}

/// Receives metrics.
pub struct StatsdInput {
    datagrams: Option<Options>,
    stream: Option<ListenOptions>,
    reads_max: usize,
    connections_max: usize,
    receiving: Option<Receiving>,
    accumulator: Accumulator,
    clock: FlushClock,
    counters: Counters,
    malformed: Malformed,
    refused: Notice,
    drops_look: Instant,
    stop: StopSignal,
    ending: Ending,
}

/// How far the end has come.
enum Ending {
    No,
    /// What has arrived is still read.
    Draining(Instant),
    /// The last interval is told.
    Flushing,
}

impl Input for StatsdInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.settings().check(faults);
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
        if config.connections_max == 0 {
            faults.add("connections_max", "at least 1");
        }
        if !config.datagrams && config.stream_address.is_none() {
            faults.add("datagrams", "nothing is left to receive at; name a `stream_address`");
        }
        check_mode(&config.mode, faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let mode = parse_mode(&config.mode).unwrap_or(0o660);
        let settings = config.settings();
        let datagrams = config.datagrams.then_some(Options {
            mode,
            address: config.address,
            sockets: config.sockets,
            receive_buffer: config.receive_buffer.0 as usize,
        });
        let stream = config.stream_address.map(|address| ListenOptions {
            address,
            keep_alive: true,
            receive_buffer: None,
            backlog: BACKLOG,
            mode,
        });
        Ok(StatsdInput {
            datagrams,
            stream,
            reads_max: config.datagrams_per_read,
            connections_max: config.connections_max,
            receiving: None,
            clock: FlushClock::new(settings.flush_interval, settings.align),
            accumulator: Accumulator::new(settings),
            counters: Counters::new(context),
            malformed: Malformed::default(),
            refused: Notice::default(),
            drops_look: Instant::now(),
            stop: context.stop_signal(),
            ending: Ending::No,
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let failed = |errno| PluginError::retry(format!("failed to watch its sockets: {}", cause(errno)));
        let mut running = predecessor.filter(|old| old.receiving.is_some());
        let sockets = self.bind_sockets(running.as_deref_mut())?;
        let listener = self.bind_listener(running.as_deref_mut())?;
        let mut receiving = match running {
            Some(old) => {
                let settings = self.accumulator.settings.clone();
                std::mem::swap(&mut self.accumulator, &mut old.accumulator);
                self.clock = old.clock.clone();
                self.clock.set(settings.flush_interval, settings.align);
                self.accumulator.set_settings(settings);
                let mut receiving =
                    old.receiving.take().ok_or_else(|| PluginError::fatal("has no sockets"))?;
                receiving.hand_over(&self.stop, self.reads_max, self.connections_max);
                receiving
            }
            None => {
                let wake = Wake::watching(&self.stop).map_err(failed)?;
                self.clock = FlushClock::new(
                    self.accumulator.settings.flush_interval,
                    self.accumulator.settings.align,
                );
                Receiving::new(wake, self.reads_max, self.connections_max).map_err(failed)?
            }
        };
        sockets.into_iter().for_each(|sockets| receiving.sockets = sockets);
        listener.into_iter().for_each(|listener| receiving.listener = listener);
        receiving.watch().map_err(failed)?;
        self.announce(&receiving, context);
        self.receiving = Some(receiving);
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let Some(mut receiving) = self.receiving.take() else {
            return Err(PluginError::fatal("was not started"));
        };
        let received = self.receive(&mut receiving, reader, timeout, context);
        self.count(&mut receiving, context);
        self.receiving = Some(receiving);
        let failed = |errno| PluginError::retry(format!("failed to receive: {}", cause(errno)));
        let has_received = received.map_err(failed)?;
        if self.stop.is_raised() && self.is_ended(has_received, reader, context) {
            return Ok(Read::End);
        }
        if !self.accumulator.is_flushing() && Instant::now() >= self.clock.due() {
            self.begin_flush();
        }
        if self.accumulator.is_flushing() {
            let failed = self.accumulator.flush_slice(reader, Some(Instant::now() + SLICE));
            self.counters.too_large.add(failed as u64);
            return Ok(Read::Some);
        }
        Ok(if has_received { Read::Some } else { Read::Idle })
    }
}

impl StatsdInput {
    /// Binds the sockets for datagrams; `None` if those of the predecessor go on.
    fn bind_sockets(&self, old: Option<&mut Self>) -> Result<Option<Option<Sockets>>, PluginError> {
        let Some(options) = &self.datagrams else { return Ok(Some(None)) };
        let is_same =
            |old: &&mut Self| old.datagrams.as_ref().is_some_and(|one| one.address == options.address);
        let running = old.filter(is_same).and_then(|old| old.receiving.as_mut()?.sockets.as_mut());
        match running {
            Some(sockets) => sockets.adjust(options).map(|()| None),
            None => Sockets::bind(options).map(|sockets| Some(Some(sockets))),
        }
    }

    /// As `bind_sockets`, for connections.
    fn bind_listener(&self, old: Option<&mut Self>) -> Result<Option<Option<Listener>>, PluginError> {
        let Some(options) = &self.stream else { return Ok(Some(None)) };
        let is_same = |old: &&mut Self| old.stream.as_ref().is_some_and(|one| one.address == options.address);
        let running = old.filter(is_same).and_then(|old| old.receiving.as_ref()?.listener.as_ref());
        match running {
            Some(listener) => listener.adjust(options).map(|()| None),
            None => Listener::bind(options).map(|listener| Some(Some(listener))),
        }
    }

    /// Says where the input receives, in the log and in files that other programs can read.
    fn announce(&self, receiving: &Receiving, context: &Context) {
        if let (Some(sockets), Some(options)) = (&receiving.sockets, &self.datagrams) {
            announce(sockets, options.receive_buffer, context);
        }
        if let Some(listener) = &receiving.listener {
            log::info!("input `{}`: listening on `{}`", context.instance(), listener.bound());
            write_address_as(STREAM_ADDRESS_FILE, listener.bound(), context);
        }
    }

    /// Receives what is there, and waits until the next flush at most.
    fn receive(
        &mut self,
        receiving: &mut Receiving,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &Context,
    ) -> Result<bool, rustix::io::Errno> {
        let is_busy = self.accumulator.is_flushing() || self.stop.is_raised();
        let until_flush = self.clock.due().saturating_duration_since(Instant::now());
        let timeout = if is_busy { Duration::ZERO } else { timeout.min(until_flush) };
        let mut taking = Taking {
            accumulator: &mut self.accumulator,
            malformed: &mut self.malformed,
            events: 0,
            reader,
            instance: context.instance(),
        };
        let found = receiving.receive(timeout, |packet| parse_packet(packet, &mut taking));
        self.counters.events.add(taking.events);
        found
    }

    fn begin_flush(&mut self) {
        self.accumulator.begin_flush(self.clock.flush(now()));
        self.counters.flushes.add(1);
    }

    /// Goes on to the end; tells whether it is reached.
    fn is_ended(&mut self, has_received: bool, reader: &mut Reader<'_>, context: &Context) -> bool {
        match self.ending {
            Ending::No => self.ending = Ending::Draining(Instant::now()),
            Ending::Draining(since) => {
                let is_drained = !has_received || since.elapsed() > DRAIN_MAX;
                if is_drained && !self.accumulator.is_flushing() {
                    self.close_connections(reader, context);
                    self.begin_flush();
                    self.ending = Ending::Flushing;
                }
            }
            Ending::Flushing => return !self.accumulator.is_flushing(),
        }
        // What follows is another call.
        false
    }

    fn close_connections(&mut self, reader: &mut Reader<'_>, context: &Context) {
        let Some(receiving) = &mut self.receiving else { return };
        let mut taking = Taking {
            accumulator: &mut self.accumulator,
            malformed: &mut self.malformed,
            events: 0,
            reader,
            instance: context.instance(),
        };
        receiving.close_connections(|lines| parse_packet(lines, &mut taking));
    }

    fn count(&mut self, receiving: &mut Receiving, context: &Context) {
        let (counters, sockets) = (&self.counters, std::mem::take(&mut receiving.tally));
        counters.datagrams.add(sockets.datagrams);
        counters.bytes.add(sockets.bytes);
        counters.truncated.add(sockets.truncated);
        counters.connections_refused.add(sockets.connections_refused);
        counters.malformed.add(std::mem::take(&mut self.malformed.count));
        let tally = std::mem::take(&mut self.accumulator.tally);
        counters.metrics.add(tally.metrics);
        counters.names_refused.add(tally.names_refused);
        counters.members_refused.add(tally.members_refused);
        if tally.names_refused > 0 && self.refused.is_due() {
            log::warn!("input `{}`: {}", context.instance(), self.accumulator.refusal());
        }
        let now = Instant::now();
        if now >= self.drops_look || sockets.datagrams == 0 {
            counters.kernel_drops.add(receiving.new_drops());
            counters.connections.set(receiving.connections() as u64);
            counters.names.set(self.accumulator.len() as u64);
            self.drops_look = now + DROPS_INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests;
