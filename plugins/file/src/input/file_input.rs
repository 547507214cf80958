//! The input's life.

use super::config::Config;
use super::follower::Follower;
use heka_plugin_api::{Context, Faults, Input, PluginError, Read, Reader};
use std::path::Path;
use std::time::Duration;

/// Reads files.
pub struct FileInput {
    config: Config,
    follower: Option<Follower>,
}

impl FileInput {
    /// As `start`, with the directory to keep positions in.
    pub fn start_in(
        &mut self,
        state_dir: &Path,
        predecessor: Option<&mut FileInput>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        let mut follower = Follower::new(&self.config, state_dir, context)?;
        if let Some(old) = predecessor.and_then(|old| old.follower.as_mut()) {
            follower.take_over(old);
        }
        self.follower = Some(follower);
        Ok(())
    }

    /// As `acknowledged`.
    pub fn acknowledge(&mut self, stream_id: u64, position: u64) {
        if let Some(follower) = &mut self.follower {
            follower.acknowledge(stream_id, position);
        }
    }
}

impl Input for FileInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, _: &mut Context) -> Result<Self, PluginError> {
        Ok(FileInput { config, follower: None })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, context: &mut Context) -> Result<(), PluginError> {
        let state_dir = context.state_dir().to_owned();
        self.start_in(&state_dir, predecessor, context)
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        _: &mut Context,
    ) -> Result<Read, PluginError> {
        match &mut self.follower {
            Some(follower) => Ok(follower.read(reader, timeout)),
            None => Err(PluginError::fatal("was not started")),
        }
    }

    fn acknowledged(&mut self, stream_id: u64, position: u64, _: &mut Context) {
        self.acknowledge(stream_id, position);
    }
}
