//! The sub-commands, one file each.

pub(crate) mod check;
mod config;
pub(crate) mod plugins;
pub(crate) mod run;
