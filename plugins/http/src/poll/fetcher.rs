//! Fetches one URL again and again, on a thread of its own: a slow server makes no other wait.

use super::config::Config;
use super::fetched::Fetched;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use heka_link::{TlsOptions, tls_reason};
use heka_plugin_api::{PluginError, cause, now};
use std::io::Read;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, Proxy};

/// Tells fetchers to end.
#[derive(Default)]
pub struct End {
    is_asked: Mutex<bool>,
    asked: Condvar,
}

impl End {
    /// Asks all fetchers to end.
    pub fn ask(&self) {
        *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.asked.notify_all();
    }

    /// Waits until a time; tells whether fetchers are to go on.
    fn wait_until(&self, due: Instant) -> bool {
        let wait = due.saturating_duration_since(Instant::now());
        let is_asked = self.is_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.asked.wait_timeout_while(is_asked, wait, |is_asked| !*is_asked);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What all fetchers of an instance share.
pub struct Fetcher {
    agent: Agent,
    method: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_bytes_max: usize,
    interval: Duration,
}

impl Fetcher {
    /// Takes what a config says, and reads its files.
    ///
    /// # Errors
    /// [`PluginError::Config`] names the file and what is wrong with it.
    pub fn new(config: &Config) -> Result<Fetcher, PluginError> {
        let proxy = config.proxy.as_deref().map(Proxy::new).transpose();
        let proxy = proxy.map_err(|why| PluginError::config(format!("proxy: {why}")))?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(config.timeout.0))
            .max_redirects(config.redirects_max)
            .user_agent(concat!("heka/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .tls_config(tls(config.tls.as_ref())?)
            .build();
        let mut headers: Vec<(String, String)> = config.headers.clone().into_iter().collect();
        let basic = config.user.as_ref().map(|user| {
            let password = config.password.as_deref().unwrap_or_default();
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        let bearer = config.token.as_ref().map(|token| format!("Bearer {token}"));
        headers.extend(basic.or(bearer).map(|value| ("Authorization".to_owned(), value)));
        Ok(Fetcher {
            agent: agent.new_agent(),
            method: config.method.clone(),
            headers,
            body: config.body.clone(),
            body_bytes_max: config.body_bytes_max.0 as usize,
            interval: config.interval.0,
        })
    }

    /// Fetches a URL at the interval until it is told to end, or nobody wants to know any more.
    pub fn run(&self, index: usize, url: &str, end: &End, told: &SyncSender<Fetched>) {
        let mut due = Instant::now();
        while end.wait_until(due) {
            if told.send(self.fetch(index, url)).is_err() {
                return;
            }
            // What was missed while the pipeline was full is not made up for.
            due = (due + self.interval).max(Instant::now());
        }
    }

    fn fetch(&self, index: usize, url: &str) -> Fetched {
        let (began, started) = (now(), Instant::now());
        let mut fetched =
            Fetched { index, began, duration: Duration::ZERO, status: None, body: Vec::new(), failure: None };
        match self.ask(url) {
            Ok(response) => {
                fetched.status = Some(response.status().as_u16());
                match self.read(response.into_body()) {
                    Ok(body) => fetched.body = body,
                    Err(why) => fetched.failure = Some(why),
                }
            }
            Err(why) => fetched.failure = Some(reason(&why)),
        }
        fetched.duration = started.elapsed();
        fetched
    }

    fn ask(&self, url: &str) -> Result<Response<Body>, Error> {
        let mut request = Request::builder().method(self.method.as_str()).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match &self.body {
            Some(body) => self.agent.run(request.body(body.as_str())?),
            None => self.agent.run(request.body(())?),
        }
    }

    fn read(&self, body: Body) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let reader = body.into_with_config().limit(u64::MAX).reader();
        let read = reader.take(self.body_bytes_max as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|why| match Error::from(why) {
            Error::Io(why) => format!("the body broke off: {}", cause(&why)),
            other => reason(&other),
        })?;
        match bytes.len() > self.body_bytes_max {
            true => {
                Err(format!("the body is longer than {} bytes; raise `body_bytes_max`", self.body_bytes_max))
            }
            false => Ok(bytes),
        }
    }
}

/// Says what went wrong.
fn reason(why: &Error) -> String {
    match why {
        Error::Timeout(_) => "no whole answer within `timeout`".to_owned(),
        Error::HostNotFound => "there is no such host".to_owned(),
        Error::TooManyRedirects => "more redirects than `redirects_max`".to_owned(),
        Error::Rustls(why) => tls_reason(why, true),
        Error::Io(why) => match why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(why) => tls_reason(why, true),
            None => cause(why),
        },
        other => other.to_string(),
    }
}

fn tls(options: Option<&TlsOptions>) -> Result<TlsConfig, PluginError> {
    let mut builder = TlsConfig::builder();
    let Some(options) = options else { return Ok(builder.build()) };
    if let Some(authorities) = options.authorities()? {
        let authorities: Vec<_> =
            authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        builder = builder.root_certs(RootCerts::Specific(Arc::new(authorities)));
    }
    // Read once to tell what is wrong with it, and once in the way that the client wants it.
    if let (Some((chain, _)), Some(path)) = (options.identity()?, &options.key) {
        let unusable = |why: &str| PluginError::config(format!("tls.key: `{}`: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|why| unusable(&cause(&why)))?;
        let key = PrivateKey::from_pem(&pem).map_err(|why| unusable(&why.to_string()))?;
        let chain: Vec<_> = chain.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(builder.build())
}
