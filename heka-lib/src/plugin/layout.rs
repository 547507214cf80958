//! Compares the layout of a Rust plugin's tables with this host's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use heka_plugin_api::abi::{Layout, LayoutFunction};
use heka_plugin_api::export::LAYOUT_CHECKER;

use super::metadata::Metadata;

const REBUILD: &str = "rebuild it with the heka-plugin-api of this host";

/// Checks that the layout tables are of the version that this host can read at all.
pub(super) fn check_version(metadata: &Metadata) -> Result<(), String> {
    match metadata.layout.as_deref() {
        Some(LAYOUT_CHECKER) => Ok(()),
        Some(other) => Err(format!(
            "its layout tables are of version {other}, this host's of {LAYOUT_CHECKER}; {REBUILD}"
        )),
        None => Err(format!("it says nothing about its layout; {REBUILD}")),
    }
}

/// Checks that the plugin's tables are what this host takes them for.
pub(super) fn check(plugin_layout: LayoutFunction) -> Result<(), String> {
    let compare = || Layout::current().check(plugin_layout());
    match catch_unwind(AssertUnwindSafe(compare)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(difference)) => Err(format!("its layout differs from this host's: {difference}; {REBUILD}")),
        Err(panic) => {
            // Dropping what was thrown could panic again.
            std::mem::forget(panic);
            Err(format!("comparing its layout with this host's panicked; {REBUILD}"))
        }
    }
}
