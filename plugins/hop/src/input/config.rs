//! The options of input `hop`.

use crate::exposure::{EXPOSED, is_local};
use crate::secret;
use heka_link::TlsOptions;
use heka_plugin_api::{ByteSize, Faults, Interval, Schema};
use heka_socket::{Address, check_mode};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Bounds of `batch_bytes_max`.
const BATCH_BYTES_MIN: u64 = 64 << 10;
const BATCH_BYTES_MAX: u64 = 1 << 30;
/// The longest time that an option takes.
const TIME_MAX: Duration = Duration::from_secs(86_400);

/// Takes messages from other hosts and acknowledges them once they are safe.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `host:port` (port 0 takes a free one), `unix:/path` or `unix:@name`.
    #[schema(default = "127.0.0.1:5566")]
    pub address: Address,
    /// What both sides must know; without it and without `tls` only loopback is allowed.
    pub secret: Option<String>,
    /// File that holds the secret, instead of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Files of TLS: `certificate`, `key`, and `ca` where agents must have certificates too.
    pub tls: Option<TlsOptions>,
    /// How many connections may be open at once; further ones are closed at once.
    #[schema(default = "4096", unit = "connections")]
    pub connections_max: usize,
    /// After how long without any sign of life a connection is closed.
    #[schema(default = "30 s", unit = "s")]
    pub timeout: Interval,
    /// How long a new connection may take to say who it is.
    #[schema(default = "10 s", unit = "s")]
    pub handshake_timeout: Interval,
    /// The largest batch that is taken, uncompressed; a message must fit into one.
    #[schema(default = "16 MiB")]
    pub batch_bytes_max: ByteSize,
    /// How many connections may wait in the kernel to be taken.
    #[schema(default = "1024", unit = "connections")]
    pub backlog: u32,
    /// Permissions of a unix socket's file, in octal.
    #[schema(default = "0660")]
    pub mode: String,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            address: Address::Network("127.0.0.1:5566".to_owned()),
            secret: None,
            secret_file: None,
            tls: None,
            connections_max: 4096,
            timeout: Interval(Duration::from_secs(30)),
            handshake_timeout: Interval(Duration::from_secs(10)),
            batch_bytes_max: ByteSize(16 << 20),
            backlog: 1024,
            mode: "0660".to_owned(),
        }
    }
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        if !self.is_guarded() && !is_local(&self.address) {
            faults.add("address", EXPOSED);
        }
        secret::check(self.secret.as_deref(), self.secret_file.as_deref(), faults);
        if let Some(tls) = &self.tls {
            tls.check_server(faults);
        }
        if self.connections_max == 0 {
            faults.add("connections_max", "at least 1");
        }
        check_time("timeout", self.timeout, faults);
        check_time("handshake_timeout", self.handshake_timeout, faults);
        check_batch_bytes(self.batch_bytes_max, faults);
        if self.backlog == 0 {
            faults.add("backlog", "at least 1");
        }
        check_mode(&self.mode, faults);
    }

    /// Tells whether peers have to show who they are, or are at least told who this is.
    pub fn is_guarded(&self) -> bool {
        self.tls.is_some() || self.secret.is_some() || self.secret_file.is_some()
    }
}

/// Finds a fault of a time.
pub fn check_time(option: &str, time: Interval, faults: &mut Faults) {
    if time.0 < Duration::from_millis(10) || time.0 > TIME_MAX {
        faults.add(option, "from 10 ms to 1 d");
    }
}

/// Finds a fault of `batch_bytes_max`.
pub fn check_batch_bytes(size: ByteSize, faults: &mut Faults) {
    if !(BATCH_BYTES_MIN..=BATCH_BYTES_MAX).contains(&size.0) {
        faults.add("batch_bytes_max", "from 64 KiB to 1 GiB");
    }
}
