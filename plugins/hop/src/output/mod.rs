//! Output `hop`: the agent's side.

mod batching;
mod config;
mod counters;
mod desk;
mod dial;
mod hop_output;
mod lanes;
mod listening;
mod numbering;
mod prober;
mod session;

pub use hop_output::HopOutput;
