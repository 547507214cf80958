//! Whole-system tests: one file for each behaviour.

mod routing;
