//! Input `http_listen`: a server thread ([`server`]) reads requests and writes answers, the input's own thread
//! ([`listen_input`]) hands the bodies on; between the two lies the [`desk`].

mod access;
mod answer;
mod body;
mod coding;
mod config;
mod connection;
mod desk;
mod head;
mod listen_input;
mod memory;
mod server;

pub use listen_input::HttpListenInput;

#[cfg(test)]
mod tests;
