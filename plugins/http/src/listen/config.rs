//! The options of input `http_listen`.

use heka_link::TlsOptions;
use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use heka_socket::{Address, check_mode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest and the shortest time that an option takes.
const TIME_MAX: Duration = Duration::from_secs(86_400);
const TIME_MIN: Duration = Duration::from_millis(10);
/// Bounds of `head_bytes_max`.
const HEAD_BYTES_MIN: u64 = 1 << 10;
const HEAD_BYTES_MAX: u64 = 1 << 20;
/// Bounds of `body_bytes_max`.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// What becomes messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum Messages {
    /// The frames of a body, split and decoded by the host.
    #[default]
    Frames,
    /// Each request as a whole.
    Requests,
}

/// Listens for HTTP requests and reads their bodies.
#[derive(Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `host:port` (port 0 takes a free one), `unix:/path` or `unix:@name`.
    #[schema(default = "127.0.0.1:5580")]
    pub address: Address,
    /// Files of TLS: `certificate`, `key`, and `ca` where clients must have certificates too.
    pub tls: Option<TlsOptions>,
    /// Names and passwords of those who may send (basic authentication).
    #[schema(default = "")]
    pub users: BTreeMap<String, String>,
    /// Tokens of those who may send (`Authorization: Bearer TOKEN`).
    #[schema(default = "")]
    pub tokens: Vec<String>,
    /// Methods that are taken.
    #[schema(default = "[\"POST\", \"PUT\"]")]
    pub methods: Vec<String>,
    /// Paths that are taken, those that end in `*` with everything that begins so; empty for all.
    #[schema(default = "[]")]
    pub paths: Vec<String>,
    /// What becomes messages: `frames` of the body, split and decoded, or whole `requests` with fields about them.
    #[schema(default = "frames")]
    pub messages: Messages,
    /// With `messages = "requests"`: headers that become fields.
    #[schema(default = "[]")]
    pub headers: Vec<String>,
    /// Whether a request is answered only when everything with its messages has happened, instead of once they are handed on.
    #[schema(default = "false")]
    pub acknowledge: bool,
    /// How long a request may wait for that; then it is answered 503, to be sent again.
    #[schema(default = "60 s", unit = "s")]
    pub answer_timeout: Interval,
    /// Status of the answer to a request that was taken: 200, 201, 202 or 204.
    #[schema(default = "200")]
    pub status: u16,
    /// The longest body that is taken, after decompression too.
    #[schema(default = "16 MiB")]
    pub body_bytes_max: ByteSize,
    /// The longest request line with its headers.
    #[schema(default = "32 KiB")]
    pub head_bytes_max: ByteSize,
    /// The most that all bodies may take at once; further requests are answered 503.
    #[schema(default = "64 MiB")]
    pub memory_max: ByteSize,
    /// How many connections may be open at once; further ones are closed at once.
    #[schema(default = "1000", unit = "connections")]
    pub connections_max: usize,
    /// How long a request may take to arrive.
    #[schema(default = "30 s", unit = "s")]
    pub request_timeout: Interval,
    /// How long a connection may be silent between two requests.
    #[schema(default = "60 s", unit = "s")]
    pub idle_timeout: Interval,
    /// How many connections may wait in the kernel to be taken.
    #[schema(default = "1024", unit = "connections")]
    pub backlog: u32,
    /// Permissions of a unix socket's file, in octal.
    #[schema(default = "0660")]
    pub mode: String,
}

impl Default for Config {
    fn default() -> Config {
        let seconds = |seconds| Interval(Duration::from_secs(seconds));
        Config {
            address: Address::Network("127.0.0.1:5580".to_owned()),
            tls: None,
            users: BTreeMap::new(),
            tokens: Vec::new(),
            methods: vec!["POST".to_owned(), "PUT".to_owned()],
            paths: Vec::new(),
            messages: Messages::Frames,
            headers: Vec::new(),
            acknowledge: false,
            answer_timeout: seconds(60),
            status: 200,
            body_bytes_max: ByteSize(16 << 20),
            head_bytes_max: ByteSize(32 << 10),
            memory_max: ByteSize(64 << 20),
            connections_max: 1_000,
            request_timeout: seconds(30),
            idle_timeout: seconds(60),
            backlog: 1024,
            mode: "0660".to_owned(),
        }
    }
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        if let Some(tls) = &self.tls {
            tls.check_server(faults);
        }
        self.check_access(faults);
        if !self.headers.is_empty() && self.messages != Messages::Requests {
            faults.add("headers", "only with `messages = \"requests\"`: frames have no room for them");
        }
        if ![200, 201, 202, 204].contains(&self.status) {
            faults.add("status", "one of 200, 201, 202, 204");
        }
        if !(1..=BODY_BYTES_MAX).contains(&self.body_bytes_max.0) {
            faults.add("body_bytes_max", "from 1 B to 1 GiB");
        }
        if !(HEAD_BYTES_MIN..=HEAD_BYTES_MAX).contains(&self.head_bytes_max.0) {
            faults.add("head_bytes_max", "from 1 KiB to 1 MiB");
        }
        if self.memory_max < self.body_bytes_max {
            faults.add("memory_max", "at least `body_bytes_max`");
        }
        for (option, time) in [
            ("answer_timeout", self.answer_timeout),
            ("request_timeout", self.request_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            if time.0 < TIME_MIN || time.0 > TIME_MAX {
                faults.add(option, "from 10 ms to 1 d");
            }
        }
        for (option, number) in
            [("connections_max", self.connections_max), ("backlog", self.backlog as usize)]
        {
            if number == 0 {
                faults.add(option, "at least 1");
            }
        }
        check_mode(&self.mode, faults);
    }

    fn check_access(&self, faults: &mut Faults) {
        if self.users.keys().any(|name| name.is_empty() || name.contains(':')) {
            faults.add("users", "a name must not be empty, nor hold a colon");
        }
        let is_token =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.tokens.iter().all(is_token) {
            faults.add("tokens", "a token is of visible ASCII letters, at least one");
        }
        if self.methods.is_empty() {
            faults.add("methods", "name at least one");
        }
        if self.paths.iter().any(|path| !path.starts_with('/')) {
            faults.add("paths", "a path begins with `/`");
        }
    }
}
