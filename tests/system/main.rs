//! Whole-system tests: one file for each behaviour.

mod accounting;
mod chain;
mod injection;
mod routing;
