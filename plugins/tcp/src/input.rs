//! Input `tcp`: reads what others send over connections.

use crate::server::{Counters, Limits, Server};
use heka_plugin_api::{
    ByteSize, Context, Faults, Input, Interval, PluginError, Read, Reader, Schema, StopSignal,
};
use heka_socket::{
    Address, ListenOptions as Options, Listener, Wake, cause, check_mode, parse_mode, write_address,
};
use serde::Deserialize;
use std::time::Duration;

/// Bounds of `read_bytes`.
const READ_BYTES_MIN: u64 = 4 << 10;
const READ_BYTES_MAX: u64 = 16 << 20;

/// Listens for connections and reads a stream from each.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `host:port` (port 0 takes a free one), `unix:/path` or `unix:@name`.
    #[schema(default = "127.0.0.1:5565")]
    address: Address,
    /// How many connections may be open at once; further ones are closed at once.
    #[schema(default = "10000", unit = "connections")]
    connections_max: usize,
    /// After how long without a byte a connection is closed; 0 for never.
    #[schema(default = "0", unit = "s")]
    idle_timeout: Interval,
    /// Whether the kernel asks silent peers every minute if they are still there.
    #[schema(default = "true")]
    keep_alive: bool,
    /// Size of each connection's buffer in the kernel; left out, the kernel adapts it.
    receive_buffer: Option<ByteSize>,
    /// How many connections may wait in the kernel to be taken.
    #[schema(default = "1024", unit = "connections")]
    backlog: u32,
    /// Permissions of a unix socket's file, in octal.
    #[schema(default = "0660")]
    mode: String,
    /// The most that is read from one connection before others get their turn.
    #[schema(default = "256 KiB")]
    read_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            address: Address::Network("127.0.0.1:5565".to_owned()),
            connections_max: 10_000,
            idle_timeout: Interval(Duration::ZERO),
            keep_alive: true,
            receive_buffer: None,
            backlog: 1024,
            mode: "0660".to_owned(),
            read_bytes: ByteSize(256 << 10),
        }
    }
}

/// Reads what others send over connections.
pub struct TcpInput {
    options: Options,
    limits: Limits,
    server: Option<Server>,
    stop: StopSignal,
}

impl Input for TcpInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.connections_max == 0 {
            faults.add("connections_max", "at least 1");
        }
        if config.receive_buffer.is_some_and(|size| size.0 == 0 || size.0 > 1 << 30) {
            faults.add("receive_buffer", "from 1 B to 1 GiB");
        }
        if config.backlog == 0 {
            faults.add("backlog", "at least 1");
        }
        if !(READ_BYTES_MIN..=READ_BYTES_MAX).contains(&config.read_bytes.0) {
            faults.add("read_bytes", "from 4 KiB to 16 MiB");
        }
        check_mode(&config.mode, faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let options = Options {
            mode: parse_mode(&config.mode).unwrap_or(0o660),
            address: config.address,
            keep_alive: config.keep_alive,
            receive_buffer: config.receive_buffer.map(|size| size.0 as usize),
            backlog: config.backlog,
        };
        let limits = Limits {
            connections_max: config.connections_max,
            idle_timeout: config.idle_timeout.0,
            read_bytes: config.read_bytes.0 as usize,
        };
        Ok(TcpInput { options, limits, server: None, stop: context.stop_signal() })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let failed =
            |errno| PluginError::retry(format!("failed to watch the listening socket: {}", cause(errno)));
        let running = predecessor.filter(|old| old.server.is_some());
        let same = running.as_ref().filter(|old| old.options.address == self.options.address);
        let bound = match same.and_then(|old| old.server.as_ref()) {
            Some(server) => {
                server.listener().adjust(&self.options)?;
                None
            }
            None => Some(Listener::bind(&self.options)?),
        };
        let counters = Counters::new(context);
        let server = match (running.and_then(|old| old.server.take()), bound) {
            (Some(mut server), bound) => {
                server.wake.watch(&self.stop);
                server.hand_over(self.limits, counters);
                bound.map_or(Ok(()), |listener| server.listen_on(listener)).map_err(failed)?;
                server
            }
            (None, Some(listener)) => {
                let wake = Wake::watching(&self.stop).map_err(failed)?;
                Server::new(listener, wake, self.limits, counters).map_err(failed)?
            }
            (None, None) => return Err(PluginError::fatal("there is nothing to take over")),
        };
        announce(server.listener().bound(), context);
        self.server = Some(server);
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let Some(server) = &mut self.server else { return Err(PluginError::fatal("was not started")) };
        if !self.stop.is_raised() {
            return server.serve(reader, timeout, context);
        }
        // What has arrived is still read; then incomplete last frames are all there will be.
        let found = server.serve(reader, Duration::ZERO, context)?;
        if found == Read::Some {
            return Ok(found);
        }
        server.close_all(reader);
        Ok(Read::End)
    }
}

/// Says where the input listens, in the log and in a file that other programs can read.
fn announce(bound: &str, context: &Context) {
    let instance = context.instance();
    log::info!("input `{instance}`: listening on `{bound}`");
    write_address(bound, context);
}

#[cfg(test)]
mod tests;
