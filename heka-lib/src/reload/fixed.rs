//! What can't change while a router runs.

use crate::build::{OutputBlueprint, RunningOutput};
use crate::config::{Faults, HostConfig};

/// Adds a fault for each key of `[heka]` that differs and can't change while the router runs.
pub(super) fn check_host(old: &HostConfig, new: &HostConfig, faults: &mut Faults) {
    let HostConfig {
        state_dir,
        hostname,
        message_bytes_max,
        batch_linger,
        batch_messages_max,
        batch_bytes_max,
        hops_max,
        inject_lane_bytes_max,
        dead_letters_bytes_max,
        admin,
        // These can: whoever reads configs and finds plugins has used them already.
        plugin_dirs: _,
        plugin_owners: _,
        allow_env: _,
        // These are looked at when they are needed.
        shutdown_deadline: _,
        dead_letter: _,
    } = old;
    let mut fixed = Fixed { faults };
    fixed.check("state_dir", state_dir, &new.state_dir);
    fixed.check("hostname", hostname, &new.hostname);
    fixed.check("message_bytes_max", message_bytes_max, &new.message_bytes_max);
    fixed.check("batch_linger", batch_linger, &new.batch_linger);
    fixed.check("batch_messages_max", batch_messages_max, &new.batch_messages_max);
    fixed.check("batch_bytes_max", batch_bytes_max, &new.batch_bytes_max);
    fixed.check("hops_max", hops_max, &new.hops_max);
    fixed.check("inject_lane_bytes_max", inject_lane_bytes_max, &new.inject_lane_bytes_max);
    fixed.check("dead_letters_bytes_max", dead_letters_bytes_max, &new.dead_letters_bytes_max);
    fixed.check("admin", admin, &new.admin);
}

struct Fixed<'f> {
    faults: &'f mut Faults,
}

impl Fixed<'_> {
    fn check<T: PartialEq>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.faults.add_unplaced(format!(
                "[heka]: `{key}` can't change while the host runs; take the change back, or restart the host"
            ));
        }
    }
}

/// Adds a fault for an output whose queue is to be another one.
pub(super) fn check_queue(old: &RunningOutput, new: &OutputBlueprint, faults: &mut Faults) {
    if old.blueprint.config.settings.queue != new.config.settings.queue {
        let name = &new.config.name;
        let text = format!(
            "output `{name}`: `queue` can't change while the host runs; restart it, or give the output another name"
        );
        faults.add(&new.config.position, text);
    }
}
