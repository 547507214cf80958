//! What other threads may do with a router while one owns it.

use crate::arena::ArenaPool;
use crate::health::InstanceHealth;
use crate::router::InjectError;
use crate::stage::injection::Lane;
use crate::stats::{RouterStats, Stats};
use crate::stop::StopFlags;
use heka_plugin_api::Message;
use std::fmt;
use std::sync::Arc;

/// Looks at a router and injects into it, from any thread, also while another one stops it. Cheap to clone.
///
/// It keeps no stage alive: a stopped router's handle still gives the final counts.
#[derive(Clone)]
pub struct RouterHandle {
    pub(crate) stats: Arc<Stats>,
    pub(crate) lane: Lane,
    pub(crate) pool: ArenaPool,
    pub(crate) stop: StopFlags,
    pub(crate) message_bytes_max: usize,
}

impl RouterHandle {
    /// Returns what each stage has done so far. Waits for no stage. `[any thread]`
    pub fn stats(&self) -> RouterStats {
        self.stats.snapshot()
    }

    /// Returns how each instance is doing. Waits for no stage. `[any thread]`
    pub fn health(&self) -> Vec<InstanceHealth> {
        self.stats.health()
    }

    /// Tells whether the router is being stopped, or has been. `[any thread]`
    pub fn is_stopping(&self) -> bool {
        self.stop.is_stopping()
    }

    /// Puts a message into the router, as [`Router::inject`](crate::Router::inject) does. `[any thread]`
    ///
    /// # Errors
    /// If the message is larger than `message_bytes_max`, or the router is being stopped.
    pub fn inject(&self, message: &Message<'_>) -> Result<(), InjectError> {
        if self.is_stopping() {
            return Err(InjectError::new("the router is stopping"));
        }
        self.lane.inject(message, &self.pool, self.message_bytes_max).map_err(InjectError::new)
    }
}

impl fmt::Debug for RouterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterHandle").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
