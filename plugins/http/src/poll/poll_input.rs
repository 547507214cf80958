//! Input `http_poll`: what the host calls.

use super::config::Config;
use super::fetched::Fetched;
use super::fetcher::{End, Fetcher};
use heka_plugin_api::{
    Context, Counter, Faults, Input, PluginError, Read, Reader, StopSignal, Stream, cause,
};
use heka_socket::Complaints;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What one call hands on, in bytes.
const CALL_BYTES: usize = 256 << 10;

/// Fetches URLs at an interval and reads what they answer.
pub struct HttpPollInput {
    config: Config,
    fetcher: Arc<Fetcher>,
    end: Arc<End>,
    results: Option<Receiver<Fetched>>,
    urls: Vec<UrlState>,
    complaints: Complaints,
    stop: StopSignal,
    fetches: Counter,
    failures: Counter,
    bytes: Counter,
}

/// What is known of a URL.
#[derive(Clone, Default)]
struct UrlState {
    stream: Option<Stream>,
    was_fetched: bool,
    is_failing: bool,
}

impl Input for HttpPollInput {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        config.check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(HttpPollInput {
            fetcher: Arc::new(Fetcher::new(&config)?),
            end: Arc::default(),
            results: None,
            urls: vec![UrlState::default(); config.urls.len()],
            config,
            complaints: Complaints::default(),
            stop: context.stop_signal(),
            fetches: context.counter("fetches"),
            failures: context.counter("failures"),
            bytes: context.counter("bytes"),
        })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        // A fetcher that has one result to tell waits, so that memory is bounded by the URLs.
        let (told, results) = sync_channel(1);
        for (index, url) in self.config.urls.iter().enumerate() {
            let (fetcher, end, told, url) =
                (self.fetcher.clone(), self.end.clone(), told.clone(), url.clone());
            let body = move || fetcher.run(index, &url, &end, &told);
            let spawned = thread::Builder::new().name("http_poll".to_owned()).spawn(body);
            if let Err(why) = spawned {
                self.end.ask();
                self.end = Arc::default();
                return Err(PluginError::retry(format!("failed to start a thread: {}", cause(&why))));
            }
        }
        self.results = Some(results);
        let end = self.end.clone();
        self.stop.on_stop(move || end.ask());
        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        timeout: Duration,
        context: &mut Context,
    ) -> Result<Read, PluginError> {
        let is_stopping = self.stop.is_raised();
        let deadline = Instant::now() + if is_stopping { Duration::ZERO } else { timeout };
        let (mut left, mut found) = (CALL_BYTES, false);
        while left > 0 {
            let Some(results) = &self.results else { return Err(PluginError::fatal("was not started")) };
            let wait =
                if found { Duration::ZERO } else { deadline.saturating_duration_since(Instant::now()) };
            let Ok(fetched) = results.recv_timeout(wait) else { break };
            found = true;
            left = left.saturating_sub(fetched.body.len().max(1));
            self.hand_on(&fetched, reader, context)?;
        }
        match found {
            true => Ok(Read::Some),
            false if is_stopping => Ok(Read::End),
            // `--once` waits until each was fetched.
            false if self.urls.iter().any(|url| !url.was_fetched) => Ok(Read::Some),
            false => Ok(Read::Idle),
        }
    }
}

impl HttpPollInput {
    fn hand_on(
        &mut self,
        fetched: &Fetched,
        reader: &mut Reader<'_>,
        context: &Context,
    ) -> Result<(), PluginError> {
        let (url, method) = (&self.config.urls[fetched.index], &self.config.method);
        let state = &mut self.urls[fetched.index];
        state.was_fetched = true;
        self.fetches.add(1);
        let is_success = fetched.is_success();
        if is_success && !fetched.body.is_empty() {
            let stream = *state.stream.get_or_insert_with(|| reader.open_stream(url, 0, 0));
            self.bytes.add(fetched.body.len() as u64);
            reader.datagrams(stream, [&fetched.body[..]]);
        }
        self.failures.add((!is_success).into());
        // Once for each time that it begins to fail: how often it does is counted and told by messages.
        if !is_success && !state.is_failing {
            let instance = context.instance();
            self.complaints.warn(|| format!("input `{instance}`: {}", fetched.text(method, url)));
        }
        state.is_failing = !is_success;
        fetched.report(self.config.report, method, url, reader)
    }
}

impl Drop for HttpPollInput {
    fn drop(&mut self) {
        // Who is in the middle of a fetch ends after it, at most `timeout` later; it has nothing of this instance's.
        self.end.ask();
    }
}
