//! The options of input `http_poll`.

use heka_link::TlsOptions;
use heka_plugin_api::{ByteSize, Faults, Interval, OptionType, Schema};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Method, Uri};

/// The longest and the shortest time that an option takes.
const TIME_MAX: Duration = Duration::from_secs(86_400);
const TIME_MIN: Duration = Duration::from_millis(10);
/// Most URLs: each has a thread.
const URLS_MAX: usize = 256;
/// Bounds of `body_bytes_max`.
const BODY_BYTES_MAX: u64 = 1 << 30;
/// Most redirects that are followed.
const REDIRECTS_MAX: u32 = 50;

/// Of which fetches there is a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, OptionType)]
#[serde(rename_all = "snake_case")]
pub enum ReportOf {
    /// Of all.
    Always,
    /// Of those that failed, or were not answered with a status of 200 to 299.
    #[default]
    Failures,
    /// Of none.
    Never,
}

/// Fetches URLs at an interval and reads what they answer.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is fetched: `http://` or `https://`, at most 256.
    pub urls: Vec<String>,
    /// How often each is fetched, counted from one start to the next.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    pub interval: Interval,
    /// How long a fetch may take, from looking up the name to the last byte.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    pub timeout: Interval,
    /// Method of the requests.
    #[serde(default = "default_method")]
    #[schema(default = "GET")]
    pub method: String,
    /// Headers of the requests.
    #[serde(default)]
    #[schema(default = "")]
    pub headers: BTreeMap<String, String>,
    /// Body of the requests.
    pub body: Option<String>,
    /// Name for basic authentication.
    pub user: Option<String>,
    /// Password for basic authentication.
    pub password: Option<String>,
    /// Token for `Authorization: Bearer TOKEN`.
    pub token: Option<String>,
    /// Files of TLS: `ca` (left out, the authorities that browsers know), `certificate` and `key`.
    pub tls: Option<TlsOptions>,
    /// URL of a proxy, such as `http://proxy:3128`; the environment's is not used.
    pub proxy: Option<String>,
    /// How many redirects are followed.
    #[serde(default = "default_redirects_max")]
    #[schema(default = "5", unit = "redirects")]
    pub redirects_max: u32,
    /// The longest body that is taken, after decompression too; a longer one fails.
    #[serde(default = "default_body_bytes_max")]
    #[schema(default = "16 MiB")]
    pub body_bytes_max: ByteSize,
    /// Of which fetches there is a message `http_poll` with status and duration.
    #[serde(default)]
    #[schema(default = "failures")]
    pub report: ReportOf,
}

fn default_interval() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_method() -> String {
    "GET".to_owned()
}

fn default_redirects_max() -> u32 {
    5
}

fn default_body_bytes_max() -> ByteSize {
    ByteSize(16 << 20)
}

impl Config {
    /// Finds all faults that the types let through.
    pub fn check(&self, faults: &mut Faults) {
        if self.urls.is_empty() || self.urls.len() > URLS_MAX {
            faults.add("urls", format!("from 1 to {URLS_MAX}"));
        }
        for url in &self.urls {
            url_fault(url).into_iter().for_each(|why| faults.add("urls", format!("`{url}`: {why}")));
        }
        for (option, time) in [("interval", self.interval), ("timeout", self.timeout)] {
            if time.0 < TIME_MIN || time.0 > TIME_MAX {
                faults.add(option, "from 10 ms to 1 d");
            }
        }
        self.check_request(faults);
        if let Some(tls) = &self.tls {
            if tls.certificate.is_some() != tls.key.is_some() {
                faults.add("tls", "`certificate` and `key` need each other");
            }
            if tls.server_name.is_some() {
                faults.add("tls.server_name", "is always the URL's host here");
            }
        }
        if self.proxy.as_deref().is_some_and(|proxy| ureq::Proxy::new(proxy).is_err()) {
            faults.add("proxy", "is no URL of a proxy");
        }
        if self.redirects_max > REDIRECTS_MAX {
            faults.add("redirects_max", format!("at most {REDIRECTS_MAX}"));
        }
        if !(1..=BODY_BYTES_MAX).contains(&self.body_bytes_max.0) {
            faults.add("body_bytes_max", "from 1 B to 1 GiB");
        }
    }

    fn check_request(&self, faults: &mut Faults) {
        if Method::from_bytes(self.method.as_bytes()).is_err() {
            faults.add("method", format!("`{}` is no method", self.method));
        }
        if self.body.is_some() && ["GET", "HEAD"].contains(&self.method.as_str()) {
            faults.add("body", format!("a {} has none; set `method`", self.method));
        }
        for (name, value) in &self.headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(value).is_err() {
                faults.add(format!("headers.{name}"), "is no header");
            }
        }
        if self.password.is_some() && self.user.is_none() {
            faults.add("user", "is needed with `password`");
        }
        if self.user.as_ref().is_some_and(|user| user.contains(':')) {
            faults.add("user", "must not hold a colon");
        }
        let has_header = self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
        if [self.user.is_some(), self.token.is_some(), has_header].iter().filter(|&&given| given).count() > 1
        {
            faults.add("token", "name one of `user`, `token` and a header `Authorization`");
        }
        if self.token.as_ref().is_some_and(|token| HeaderValue::from_str(token).is_err()) {
            faults.add("token", "can't stand in a header");
        }
    }
}

/// Says what is wrong with a URL.
fn url_fault(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<Uri>() else { return Some("not a URL") };
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Some("it is shown in messages: put name and password into `user` and `password`")
        }
        (Some("http" | "https"), Some(authority)) if !authority.host().is_empty() => None,
        _ => Some("begin it with `http://HOST` or `https://HOST`"),
    }
}
