//! The options of output `hop`.

use crate::exposure::{EXPOSED, is_local};
use crate::input::{check_batch_bytes, check_time};
use crate::protocol::Codec;
use crate::secret;
use heka_link::TlsOptions;
use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use heka_socket::Address;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The most addresses of one output.
const ADDRESSES_MAX: usize = 64;

/// How several graters share the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The first that answers gets everything.
    #[default]
    Failover,
    /// All of them get a part.
    LoadBalance,
}

/// How batches are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast.
    #[default]
    Lz4,
    /// Small.
    Zstd,
}

impl Compression {
    /// Returns it as the protocol names it.
    pub fn codec(self) -> Codec {
        match self {
            Compression::None => Codec::None,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        }
    }
}

/// Sends messages to another host, which acknowledges them once they are safe there.
#[derive(Clone, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the grater listens: `host:port`, `unix:/path` or `unix:@name`.
    pub address: Option<Address>,
    /// Where several graters listen, instead of `address`.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// How several graters share the work: in the order of the list, or all of them at once.
    #[serde(default)]
    #[schema(default = "failover")]
    pub mode: Mode,
    /// How batches are compressed.
    #[serde(default)]
    #[schema(default = "lz4")]
    pub compression: Compression,
    /// What both sides must know; without it and without `tls` only loopback is allowed.
    pub secret: Option<String>,
    /// File that holds the secret, instead of `secret`.
    pub secret_file: Option<PathBuf>,
    /// Files and names of TLS: `ca`, where demanded `certificate` and `key`, and `server_name`.
    pub tls: Option<TlsOptions>,
    /// How long a grater may take to answer when connecting, greeting included.
    #[serde(default = "default_connect_timeout")]
    #[schema(default = "10 s", unit = "s")]
    pub connect_timeout: Interval,
    /// After how long without any sign of life a connection is given up.
    #[serde(default = "default_timeout")]
    #[schema(default = "30 s", unit = "s")]
    pub timeout: Interval,
    /// How often a grater that did not answer is tried again while another one serves.
    #[serde(default = "default_retry_interval")]
    #[schema(default = "5 s", unit = "s")]
    pub retry_interval: Interval,
    /// The largest batch that is sent, uncompressed; larger messages are refused.
    #[serde(default = "default_batch_bytes_max")]
    #[schema(default = "16 MiB")]
    pub batch_bytes_max: ByteSize,
}

fn default_connect_timeout() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_timeout() -> Interval {
    Interval(Duration::from_secs(30))
}

fn default_retry_interval() -> Interval {
    Interval(Duration::from_secs(5))
}

fn default_batch_bytes_max() -> ByteSize {
    ByteSize(16 << 20)
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        match (&self.address, self.addresses.len()) {
            (None, 0) => faults.add("address", "is needed, or a list of `addresses`"),
            (Some(_), 1..) => faults.add("addresses", "`address` is there too: name one of them"),
            (_, count) if count > ADDRESSES_MAX => faults.add("addresses", "at most 64"),
            _ => {}
        }
        if let Some(address) = &self.address {
            self.check_address("address", address, faults);
        }
        for (index, address) in self.addresses.iter().enumerate() {
            let option = format!("addresses[{index}]");
            self.check_address(&option, address, faults);
            if self.addresses[..index].contains(address) {
                faults.add(option, format!("`{address}` is there twice"));
            }
        }
        secret::check(self.secret.as_deref(), self.secret_file.as_deref(), faults);
        if let Some(tls) = &self.tls {
            tls.check_client(faults);
        }
        check_time("connect_timeout", self.connect_timeout, faults);
        check_time("timeout", self.timeout, faults);
        check_time("retry_interval", self.retry_interval, faults);
        check_batch_bytes(self.batch_bytes_max, faults);
    }

    fn check_address(&self, option: &str, address: &Address, faults: &mut Faults) {
        if !self.is_guarded() && !is_local(address) {
            faults.add(option, EXPOSED);
        }
        if address.is_port_zero() {
            faults.add(option, "port 0 is for listening only");
        }
        let named = self.tls.as_ref().is_none_or(|tls| tls.server_name.is_some());
        if !named && !matches!(address, Address::Network(_)) {
            faults.add("tls.server_name", "is needed: a unix socket has no host name");
        }
    }

    /// Tells whether the peer has to show who it is.
    pub fn is_guarded(&self) -> bool {
        self.tls.is_some() || self.secret.is_some() || self.secret_file.is_some()
    }

    /// Returns the addresses in the order of the config.
    pub fn all_addresses(&self) -> Vec<Address> {
        self.address.iter().chain(&self.addresses).cloned().collect()
    }
}
