//! The input itself: what the host calls.

use super::config::Config;
use super::counters::Counters;
use super::greeting::Manners;
use super::listener::{ListenOptions, Listener};
use super::server::{Limits, Server, Setup};
use super::sources::Sources;
use crate::secret;
use heka_link::TlsOptions;
use heka_plugin_api::{Context, Faults, Input, PluginError, Read, Reader, StopSignal};
use heka_socket::{Wake, cause, parse_mode, write_address};
use std::path::PathBuf;
use std::time::Duration;

/// Takes messages from other hosts.
pub struct HopInput {
    listen: ListenOptions,
    limits: Limits,
    timeout: Duration,
    batch_bytes_max: usize,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    tls: Option<TlsOptions>,
    server: Option<Server>,
    stop: StopSignal,
}

impl Input for HopInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let listen = ListenOptions {
            mode: parse_mode(&config.mode).unwrap_or(0o660),
            is_guarded: config.is_guarded(),
            address: config.address,
            backlog: config.backlog,
        };
        let limits =
            Limits { connections_max: config.connections_max, handshake_timeout: config.handshake_timeout.0 };
        Ok(HopInput {
            listen,
            limits,
            timeout: config.timeout.0,
            batch_bytes_max: config.batch_bytes_max.0 as usize,
            secret: config.secret,
            secret_file: config.secret_file,
            tls: config.tls,
            server: None,
            stop: context.stop_signal(),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let failed =
            |errno| PluginError::retry(format!("failed to watch the listening socket: {}", cause(errno)));
        let setup = self.setup(context)?;
        let running = predecessor.filter(|old| old.server.is_some());
        let same = running.as_ref().filter(|old| old.listen.address == self.listen.address);
        let bound = match same.and_then(|old| old.server.as_ref()) {
            Some(server) => {
                server.listener().adjust(&self.listen)?;
                None
            }
            None => Some(Listener::bind(&self.listen)?),
        };
        let server = match (running.and_then(|old| old.server.take()), bound) {
            (Some(mut server), bound) => {
                server.wake.watch(&self.stop);
                server.hand_over(setup);
                bound.map_or(Ok(()), |listener| server.listen_on(listener)).map_err(failed)?;
                server
            }
            (None, Some(listener)) => {
                let wake = Wake::watching(&self.stop).map_err(failed)?;
                let sources = open_sources(context)?;
                Server::new(listener, wake, sources, setup).map_err(failed)?
            }
            (None, None) => return Err(PluginError::fatal("there is nothing to take over")),
        };
        let bound = server.listener().bound();
        log::info!("input `{}`: listening on `{bound}`", context.instance());
        write_address(bound, context);
        self.server = Some(server);
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        _: &mut Context,
    ) -> Result<Read, PluginError> {
        let Some(server) = &mut self.server else { return Err(PluginError::fatal("was not started")) };
        if self.stop.is_raised() {
            // What has arrived and was not read is sent again when this host is back.
            server.end(reader);
            return Ok(Read::End);
        }
        server.serve(reader, timeout)
    }

    fn acknowledged(&mut self, stream_id: u64, position: u64, _: &mut Context) {
        if let Some(server) = &mut self.server {
            server.acknowledged(stream_id, position);
        }
    }
}

impl HopInput {
    /// Reads the files that the config names.
    fn setup(&self, context: &mut Context) -> Result<Setup, PluginError> {
        let secret = secret::load(self.secret.clone(), self.secret_file.clone())?;
        secret::warn_if_short(&format!("input `{}`", context.instance()), secret.as_deref());
        let manners = Manners {
            host: context.hostname().to_owned(),
            secret,
            timeout: self.timeout,
            batch_bytes_max: self.batch_bytes_max,
        };
        Ok(Setup {
            limits: self.limits,
            manners,
            tls: self.tls.as_ref().map(TlsOptions::server).transpose()?,
            counters: Counters::new(context),
            instance: context.instance().to_owned(),
        })
    }
}

#[cfg(test)]
impl HopInput {
    /// Returns how far each of the host's streams was handed on: id, position.
    pub fn handed_on(&self) -> Vec<(u64, u64)> {
        self.server.as_ref().map(Server::handed_on).unwrap_or_default()
    }

    /// Cuts all connections.
    pub fn cut(&mut self) {
        self.server.iter_mut().for_each(Server::cut);
    }
}

fn open_sources(context: &Context) -> Result<Sources, PluginError> {
    let directory = context.state_dir();
    let (sources, complaint) = Sources::open(directory).map_err(|why| {
        let (shown, why) = (directory.display(), heka_plugin_api::cause(&why));
        PluginError::retry(format!("failed to open `acknowledged` in `{shown}`: {why}"))
    })?;
    if let Some(complaint) = complaint {
        log::warn!("input `{}`: {complaint}", context.instance());
    }
    Ok(sources)
}
