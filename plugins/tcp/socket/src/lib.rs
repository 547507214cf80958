//! Addresses, sockets and waiting: what the plugins `tcp`, `udp`, `statsd`, `hop`, `http` and `stdio` share.
//!
//! An [`Address`] is what a config names; [`bind`] makes sockets of it for an input, takes care of the file that a
//! unix socket has, and says why it could not; a [`Listener`] takes connections. A [`Wake`] ends the wait for a socket or
//! another file when the instance is asked to stop; a [`Poller`] waits for many. A [`Notice`] keeps warnings rare, and
//! [`Complaints`] those about peers.
//! [`PayloadLines`] is what an output writes to a stream where no encoder is named.

mod address;
mod address_file;
mod bind;
mod cause;
mod complaints;
mod file_mode;
mod listener;
mod notice;
mod payload_lines;
mod poller;
mod socket;
mod socket_file;
mod wake;

pub use address::Address;
pub use address_file::{ADDRESS_FILE, write_address, write_address_as};
pub use bind::{Role, bind, refusal};
pub use cause::cause;
pub use complaints::Complaints;
pub use file_mode::{check_mode, parse_mode};
pub use listener::{ListenOptions, Listener};
pub use notice::Notice;
pub use payload_lines::{PayloadLines, whole_messages};
pub use poller::{Interest, Poller};
pub use socket::{bound_name, open_socket, set_receive_buffer};
pub use socket_file::SocketFile;
pub use wake::{Waited, Wake};
