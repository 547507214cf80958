//! Sockets for datagrams: what the plugins `udp` and `statsd` share.
//!
//! [`Sockets`] are bound to one address and have a large buffer in the kernel. An [`Inbox`] takes many datagrams with
//! one system call, and [`Reads`] says how many. [`send`] sends many with one.

mod datagrams;
mod reads;
mod sockets;

pub use datagrams::{Inbox, SEND_MAX, join_datagrams, kernel_drops, send};
pub use reads::Reads;
pub use sockets::{Options, SOCKETS_MAX, Socket, Sockets, announce};
