//! The input and the output against each other, over loopback.

mod agent;
mod bad_peers;
mod delivery;
mod grater;
mod options;
mod secrets;
mod several;
