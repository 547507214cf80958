//! Whole-system tests: one file for each behaviour.

mod accounting;
mod c_plugin;
mod cases;
mod chain;
mod config_errors;
mod examples;
mod first_plugin;
mod frames;
mod header;
mod injection;
mod isolation;
mod loading;
mod outputs;
mod panics;
mod reload;
mod rotation;
mod routing;
mod samples;
mod seed_config;
mod shutdown;
mod statics;
mod tidy;
mod tools;
