//! Times, numbers and severities as logs write them: what decoders of text share.

pub mod number;
mod quote;
pub mod severity;
pub mod timestamp;

pub use quote::quote;
