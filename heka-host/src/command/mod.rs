//! The sub-commands, one file each.

pub(crate) mod admin;
pub(crate) mod cat;
pub(crate) mod check;
mod config;
pub(crate) mod flood;
pub(crate) mod inject;
mod peer;
pub(crate) mod plugins;
pub(crate) mod queue;
pub(crate) mod run;
mod size;
