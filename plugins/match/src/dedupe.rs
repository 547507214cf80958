//! Filter `dedupe`: lets a message pass once in a time, and drops its repeats.

mod window;

use heka_plugin_api::{
    Context, Counter, Faults, Filter, FilterBatch, Interval, Message, MessageMut, Part, PluginError, Schema,
    Verdict,
};
use serde::Deserialize;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use window::{Window, Windows};

/// Type of the summaries.
const MESSAGE_TYPE: &str = "heka.dedupe";
/// Longest time from the end of a window to its summary.
const SUMMARY_DELAY_MAX: Duration = Duration::from_secs(1);

/// Lets the first of equal messages pass and drops its repeats for a time.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Headers and fields that make messages equal, such as `Payload` or `Fields[user]`.
    #[serde(default = "default_by")]
    #[schema(default = "Type, Logger, Hostname, Payload")]
    by: Vec<String>,
    /// How long repeats are dropped, from the first message on; then one passes again.
    #[serde(default = "default_window")]
    #[schema(default = "10 s", unit = "s")]
    window: Interval,
    /// Emits a message at the end of a window in which something was dropped: how often it was repeated.
    #[serde(default)]
    #[schema(default = "false")]
    summary: bool,
    /// How many different messages are remembered; then the oldest is forgotten early.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
}

fn default_by() -> Vec<String> {
    ["Type", "Logger", "Hostname", "Payload"].map(str::to_owned).to_vec()
}

fn default_window() -> Interval {
    Interval(Duration::from_secs(10))
}

fn default_keys_max() -> usize {
    10_000
}

/// Lets the first of equal messages pass and drops its repeats for a time.
pub struct DedupeFilter {
    parts: Vec<Part>,
    windows: Windows,
    summary: bool,
    hasher: RandomState,
    key: Vec<u8>,
    started: Instant,
    now_ns: u64,
    dropped: Counter,
    forgotten_early: Counter,
}

impl Filter for DedupeFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.by.is_empty() {
            faults.add("by", "must name something that makes messages equal");
        }
        for (index, name) in config.by.iter().enumerate() {
            if let Err(reason) = Part::parse(name) {
                faults.add(format!("by[{index}]"), reason.to_string());
            }
        }
        if config.window.0.is_zero() {
            faults.add("window", "must be longer than 0 s");
        }
        if config.keys_max == 0 {
            faults.add("keys_max", "must be at least 1");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let parse =
            |name: &String| Part::parse(name).map_err(|reason| PluginError::Config(format!("by: {reason}")));
        if config.summary {
            context.set_ticker(config.window.0.min(SUMMARY_DELAY_MAX));
        }
        let window_ns = u64::try_from(config.window.0.as_nanos()).unwrap_or(u64::MAX);
        Ok(DedupeFilter {
            parts: config.by.iter().map(parse).collect::<Result<_, _>>()?,
            windows: Windows::new(window_ns, config.keys_max),
            summary: config.summary,
            hasher: RandomState::new(),
            key: Vec::new(),
            started: Instant::now(),
            now_ns: 0,
            dropped: context.counter("dropped"),
            forgotten_early: context.counter("forgotten_early"),
        })
    }

    /// Goes on with what another instance has seen, if the same makes messages equal here.
    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        if let Some(predecessor) = predecessor.filter(|predecessor| predecessor.parts == self.parts) {
            self.hasher = predecessor.hasher.clone();
            self.started = predecessor.started;
            self.windows.take_over(&predecessor.windows);
        }
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let key = self.key_of(&message.view());
        if self.windows.is_repeat(key) {
            self.dropped.add(1);
            if self.summary {
                self.windows.describe(key, &message.view());
            }
            // A repeat lives on in the summary.
            return Ok(if self.summary { Verdict::Absorb } else { Verdict::Drop });
        }
        if let Some(ended) = self.windows.open(key, self.now_ns) {
            self.forgotten_early.add(1);
            emit(&ended, self.now_ns, context)?;
        }
        Ok(Verdict::Pass)
    }

    /// Looks at the clock once for the whole batch.
    fn process_batch(
        &mut self,
        batch: &mut FilterBatch<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        self.close_ended(false, context)?;
        while let Some(mut message) = batch.next_message() {
            let verdict = self.process_message(&mut message, context)?;
            batch.complete(message, verdict, context);
        }
        Ok(())
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        self.close_ended(context.stop_signal().is_raised(), context)
    }
}

impl DedupeFilter {
    /// A number for what makes messages equal. Two different ones have the same once in 2⁶⁴.
    fn key_of(&mut self, message: &Message<'_>) -> u64 {
        self.key.clear();
        for part in &self.parts {
            let start = self.key.len();
            let found = part.value(message).map(|value| value.write_text(&mut self.key)).is_some();
            let len = if found { self.key.len() - start } else { usize::MAX };
            // So that no part's end can be taken for the next one's start.
            self.key.extend_from_slice(&len.to_le_bytes());
        }
        self.hasher.hash_one(&self.key)
    }

    /// Looks at the clock and closes the windows whose time is over, or all.
    fn close_ended(&mut self, all: bool, context: &mut Context) -> Result<(), PluginError> {
        self.now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut result = Ok(());
        while let Some(ended) = self.windows.close(self.now_ns, all) {
            result = result.and(emit(&ended, self.now_ns, context));
        }
        result
    }
}

/// Emits how often a message was repeated, if it was described.
fn emit(ended: &Window, now_ns: u64, context: &mut Context) -> Result<(), PluginError> {
    let Some(first) = &ended.description else { return Ok(()) };
    let (first, repeated) = (first.view(), i64::try_from(ended.repeats).unwrap_or(i64::MAX));
    let seconds = now_ns.saturating_sub(ended.since_ns) as f64 / 1e9;
    let times = if repeated == 1 { "once" } else { "times" };
    let count = if repeated == 1 { String::new() } else { format!("{repeated} ") };
    let mut payload = format!("repeated {count}{times} in {seconds:.1} s: ").into_bytes();
    payload.extend_from_slice(first.payload());
    context.emit(|message| {
        message.message_type(MESSAGE_TYPE).payload(&payload).logger(first.logger());
        message.hostname(first.hostname()).severity(first.severity()).pid(first.pid());
        message.field("repeated", repeated).field_as("interval", "s", seconds);
        message.field("repeated_type", first.message_type());
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

    /// Messages `logger:payload`.
    fn messages(texts: &str) -> Vec<OwnedMessage> {
        let build = |text: &str| {
            let (logger, payload) = text.split_once(':').unwrap();
            message(|m| _ = m.message_type("app").logger(logger).payload(payload).severity(3))
        };
        texts.split_whitespace().map(build).collect()
    }

    fn texts(messages: &[OwnedMessage]) -> String {
        let text = |message: &OwnedMessage| {
            let view = message.view();
            format!("{}:{}", String::from_utf8_lossy(view.logger()), String::from_utf8_lossy(view.payload()))
        };
        messages.iter().map(text).collect::<Vec<_>>().join(" ")
    }

    /// Compares which messages pass a new filter with a window of an hour.
    fn check(toml: &str, given: &str, expected: &str) -> FilterTest<DedupeFilter> {
        let toml = format!("window = '1 h'\n{toml}");
        let mut filter = FilterTest::<DedupeFilter>::open(&toml).unwrap();
        let seen = filter.process(&messages(given));
        assert_eq!((texts(&seen.passed).as_str(), seen.failure), (expected, None), "{toml}");
        let dropped = given.split_whitespace().count() - seen.passed.len();
        assert_eq!(filter.host().counter("dropped"), dropped as u64);
        filter
    }

    #[test]
    fn the_first_passes_and_repeats_are_dropped() {
        let filter = check("", "a:x a:x b:x a:y a:x", "a:x b:x a:y");
        assert_eq!(filter.host().ticker_ns(), 0);
    }

    #[test]
    fn what_makes_messages_equal_is_named() {
        check("by = ['Payload']", "a:x b:x c:y", "a:x c:y");
        check("by = ['Logger']", "a:x a:y b:x", "a:x b:x");
        check("by = ['Logger', 'Payload']", "a:bc ab:c a:bc", "a:bc ab:c");
        check("by = ['Fields[none]']", "a:x b:y", "a:x");
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let filter = check("keys_max = 2", "a:x b:x c:x a:x c:x", "a:x b:x c:x a:x");
        assert_eq!(filter.host().counter("forgotten_early"), 2);
        let mut filter =
            FilterTest::<DedupeFilter>::open("window = '1 h'\nkeys_max = 1\nsummary = true").unwrap();
        let seen = filter.process(&messages("a:x a:x b:x"));
        assert_eq!((seen.emitted.len(), seen.absorbed), (1, 1));
    }

    #[test]
    fn a_message_passes_again_after_its_window() {
        let mut filter = FilterTest::<DedupeFilter>::open("window = '1 ns'").unwrap();
        let mut pass = || filter.process(&messages("a:x")).passed.len();
        assert_eq!((pass(), pass()), (1, 1));
    }

    #[test]
    fn a_summary_tells_how_often_it_was_repeated() {
        let mut filter = check("summary = true", "a:x a:x a:x b:y c:z c:z", "a:x b:y c:z");
        assert_eq!(filter.host().ticker_ns(), 1_000_000_000);
        assert_eq!(filter.tick().unwrap().len(), 0, "the windows are open");
        filter.host().stop();
        let emitted = filter.tick().unwrap();
        let payloads: Vec<_> =
            emitted.iter().map(|m| String::from_utf8_lossy(m.view().payload()).into_owned()).collect();
        assert_eq!(payloads, ["repeated 2 times in 0.0 s: x", "repeated once in 0.0 s: z"]);
        let first = emitted[0].view();
        assert_eq!(
            (first.message_type(), first.logger(), first.severity()),
            (&b"heka.dedupe"[..], &b"a"[..], 3)
        );
        assert_eq!(first.value("repeated"), Some(Value::Integer(2)));
        assert_eq!(first.value("repeated_type"), Some("app".into()));
        assert_eq!(filter.tick().unwrap().len(), 0);
    }

    #[test]
    fn a_summary_comes_at_the_end_of_the_window() {
        let toml = "window = '50 ms'\nsummary = true";
        let mut filter = FilterTest::<DedupeFilter>::open(toml).unwrap();
        assert_eq!(filter.process(&messages("a:x a:x")).absorbed, 1);
        let deadline = Instant::now() + Duration::from_secs(10);
        let emitted = std::iter::repeat_with(|| filter.tick().unwrap());
        let emitted = emitted.take_while(|_| Instant::now() < deadline).find(|emitted| !emitted.is_empty());
        assert_eq!(emitted.map(|emitted| emitted.len()), Some(1));
    }

    #[test]
    fn another_one_goes_on_with_what_was_seen() {
        let mut old = check("", "a:x", "a:x");
        let mut new = FilterTest::<DedupeFilter>::open("window = '2 h'\nsummary = true").unwrap();
        new.start_after(&mut old).unwrap();
        assert_eq!(new.process(&messages("a:x")).absorbed, 1);
        let mut other = FilterTest::<DedupeFilter>::open("by = ['Logger']").unwrap();
        other.start_after(&mut old).unwrap();
        assert_eq!(other.process(&messages("a:x")).passed.len(), 1);
    }

    #[test]
    fn all_faults_are_found() {
        let faults = FilterTest::<DedupeFilter>::faults("by = ['Type', 'Typ']\nwindow = 0\nkeys_max = 0");
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["by[1]", "window", "keys_max"], "{faults:?}");
        let none = FilterTest::<DedupeFilter>::faults("by = []");
        assert_eq!(none, ["by: must name something that makes messages equal"]);
    }
}
