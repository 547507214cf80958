//! Connections in the clear or inside TLS: what the plugins `hop` and `http` share.
//!
//! [`TlsOptions`] is what a config names; a [`Link`] is both directions of a connection, with or without TLS, and never
//! blocks.

mod link;
mod tls;

pub use link::{Broken, Link, Received};
pub use tls::{Identity, TlsOptions, reason as tls_reason};
