//! Counts heap allocations.
fn main() {}
