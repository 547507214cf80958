//! Tells when messages stop coming, and when they come again: filter `heartbeat`.

mod alert;
mod watch;

use alert::Alerts;
use heka_key::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, FilterBatch, Interval, MessageMut, PluginError, Schema, Verdict,
    export_plugin,
};
use serde::Deserialize;
use std::time::{Duration, Instant};
use watch::{Times, Watch};

export_plugin! { filter "heartbeat" => HeartbeatFilter }

/// Bounds of the time between two looks, which is otherwise a quarter of the timeout.
const LOOK_INTERVAL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Tells when messages stop coming, and when they come again.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How long nothing comes until that is told.
    #[schema(unit = "s")]
    timeout: Interval,
    /// Watches the values of this header or field apart, such as `Hostname` or `Logger`; all together when left out.
    by: Option<String>,
    /// Values of `by` that must come, also when they never did since the start; others are watched once they came.
    #[serde(default)]
    expect: Vec<String>,
    /// How often an alert is repeated while silence lasts; never when left out.
    #[schema(unit = "s")]
    repeat_interval: Option<Interval>,
    /// Least time between two alerts that the same value has stopped, so that what flaps is told rarely.
    #[serde(default = "default_alert_interval")]
    #[schema(default = "1 m", unit = "s")]
    alert_interval: Interval,
    /// How many values are named in the alerts of one second or less; of the rest only their number is told.
    #[serde(default = "default_alerts_max")]
    #[schema(default = "100", unit = "messages")]
    alerts_max: u32,
    /// Severity of the alerts that something has stopped, 0 to 7.
    #[serde(default = "default_severity")]
    #[schema(default = "3")]
    severity: i32,
    /// How long nothing comes until a value is no longer watched, unless it is expected.
    #[serde(default = "default_forget_after")]
    #[schema(default = "1 d", unit = "s")]
    forget_after: Interval,
    /// How many different values are watched beside those expected; further ones are not.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
}

fn default_alert_interval() -> Interval {
    Interval(Duration::from_secs(60))
}

fn default_alerts_max() -> u32 {
    100
}

fn default_severity() -> i32 {
    3
}

fn default_forget_after() -> Interval {
    Interval(Duration::from_secs(24 * 60 * 60))
}

fn default_keys_max() -> usize {
    10_000
}

impl Config {
    fn times(&self) -> Times {
        Times {
            timeout: nanoseconds(self.timeout.0),
            repeat: self.repeat_interval.map(|interval| nanoseconds(interval.0)),
            alert: nanoseconds(self.alert_interval.0),
            forget: nanoseconds(self.forget_after.0),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

struct HeartbeatFilter {
    by: Option<Variable>,
    key: Vec<u8>,
    expect: Vec<String>,
    watch: Watch,
    alerts: Alerts,
    started: Instant,
    now_ns: u64,
    without_key: Counter,
    unwatched: Counter,
    forgotten: Counter,
}

impl Filter for HeartbeatFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if config.timeout.0.is_zero() {
            faults.add("timeout", "must be longer than 0 s");
        }
        if let Some(Err(reason)) = config.by.as_deref().map(Variable::parse) {
            faults.add("by", reason);
        }
        if config.by.is_none() && !config.expect.is_empty() {
            faults.add("expect", "needs `by`: which header or field has these values");
        }
        if config.repeat_interval.is_some_and(|interval| interval.0.is_zero()) {
            faults.add("repeat_interval", "must be longer than 0 s");
        }
        if config.alerts_max == 0 {
            faults.add("alerts_max", "must be at least 1");
        }
        if !(0..=7).contains(&config.severity) {
            faults.add("severity", "must be 0 to 7");
        }
        if config.forget_after < config.timeout {
            faults.add("forget_after", "must not be shorter than `timeout`");
        }
        if config.keys_max == 0 {
            faults.add("keys_max", "must be at least 1");
        }
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        let parse =
            |name: &str| Variable::parse(name).map_err(|reason| PluginError::Config(format!("by: {reason}")));
        let (shortest, longest) = LOOK_INTERVAL;
        context.set_ticker((config.timeout.0 / 4).clamp(shortest, longest));
        Ok(HeartbeatFilter {
            by: config.by.as_deref().map(parse).transpose()?,
            key: Vec::new(),
            watch: Watch::new(config.times(), config.keys_max),
            alerts: Alerts::new(config.by, config.severity, config.alerts_max),
            expect: config.expect,
            started: Instant::now(),
            now_ns: 0,
            without_key: context.counter("without_key"),
            unwatched: context.counter("unwatched"),
            forgotten: context.counter("forgotten"),
        })
    }

    fn start(&mut self, predecessor: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        self.started = Instant::now();
        let predecessor = predecessor.filter(|predecessor| predecessor.by == self.by);
        if let Some(predecessor) = &predecessor {
            self.started = predecessor.started;
        }
        let now_ns = nanoseconds(self.started.elapsed());
        if self.by.is_none() {
            self.watch.expect(b"", now_ns);
        }
        self.expect.iter().for_each(|key| self.watch.expect(key.as_bytes(), now_ns));
        if let Some(predecessor) = predecessor {
            self.watch.take_over(&predecessor.watch);
        }
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        context: &mut Context,
    ) -> Result<Verdict, PluginError> {
        self.key.clear();
        if let Some(by) = &self.by {
            by.write(&message.view(), &mut self.key);
            if self.key.is_empty() {
                self.without_key.add(1);
                return Ok(Verdict::Pass);
            }
        }
        match self.watch.see(&self.key, self.now_ns) {
            Ok(None) => {}
            Ok(Some(change)) => self.alerts.tell(&self.key, &change, context)?,
            Err(()) => self.unwatched.add(1),
        }
        Ok(Verdict::Pass)
    }

    /// Looks at the clock once for the whole batch.
    fn process_batch(
        &mut self,
        batch: &mut FilterBatch<'_>,
        context: &mut Context,
    ) -> Result<(), PluginError> {
        self.now_ns = nanoseconds(self.started.elapsed());
        while let Some(mut message) = batch.next_message() {
            let verdict = self.process_message(&mut message, context)?;
            batch.complete(message, verdict, context);
        }
        Ok(())
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        if context.stop_signal().is_raised() {
            // What ends now is Heka, not what it watches.
            return self.alerts.tell_rest(context);
        }
        self.now_ns = nanoseconds(self.started.elapsed());
        let (alerts, mut result) = (&mut self.alerts, Ok(()));
        let forgotten = self.watch.look(self.now_ns, |key, change| {
            let told = alerts.tell(key, &change, context);
            result = std::mem::replace(&mut result, Ok(())).and(told);
        });
        self.forgotten.add(forgotten);
        result.and(self.alerts.tell_rest(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::{FilterTest, message};
    use heka_plugin_api::{OwnedMessage, Value};

    fn of(hosts: &str) -> Vec<OwnedMessage> {
        hosts.split_whitespace().map(|host| message(|m| _ = m.hostname(host))).collect()
    }

    fn open(toml: &str) -> FilterTest<HeartbeatFilter> {
        let mut filter = FilterTest::open(toml).unwrap();
        filter.start().unwrap();
        filter
    }

    fn payloads(messages: &[OwnedMessage]) -> Vec<String> {
        let payload = |message: &OwnedMessage| String::from_utf8_lossy(message.view().payload()).into_owned();
        let without_time = |text: String| match text.rfind(|c: char| c.is_alphabetic() && c != 's') {
            Some(at) if text.ends_with(" s") => text[..=at].to_owned(),
            _ => text,
        };
        messages.iter().map(payload).map(without_time).collect()
    }

    /// Ticks until something is emitted.
    fn emitted(filter: &mut FilterTest<HeartbeatFilter>) -> Vec<OwnedMessage> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let emitted = filter.tick().unwrap();
            if !emitted.is_empty() || Instant::now() > deadline {
                return emitted;
            }
        }
    }

    #[test]
    fn silence_is_told_without_any_message() {
        let mut filter = open("timeout = '20 ms'\nseverity = 1");
        assert_eq!(filter.host().ticker_ns(), 10_000_000);
        let stopped = emitted(&mut filter);
        assert_eq!(payloads(&stopped), ["messages: nothing came for"]);
        let view = stopped[0].view();
        assert_eq!((view.message_type(), view.severity()), (&b"heka.heartbeat"[..], 1));
        assert_eq!((view.value("state"), view.value("alerts")), (Some("stopped".into()), Some(1u32.into())));
        assert_eq!((view.value("last_seen"), view.value("key")), (None, None));
        assert!(view.value("silent").unwrap().as_number().unwrap() >= 0.02);
        let seen = filter.process(&of("a"));
        assert_eq!(
            (payloads(&seen.emitted), seen.passed.len()),
            (vec!["messages: came again after".into()], 1)
        );
    }

    #[test]
    fn hosts_are_watched_apart() {
        let mut filter = open("timeout = '50 ms'\nby = 'Hostname'\nexpect = ['c']\nkeys_max = 2");
        assert_eq!(filter.process(&of("b a d")).passed.len(), 3);
        filter.process(&[message(|_| {})]);
        assert_eq!((filter.host().counter("unwatched"), filter.host().counter("without_key")), (1, 1));
        let mut told = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while told.len() < 3 && Instant::now() < deadline {
            told.extend(emitted(&mut filter));
        }
        let mut shown = payloads(&told);
        shown.sort_unstable();
        let expected = ["a", "b", "c"].map(|host| format!("Hostname {host}: nothing came for"));
        assert_eq!(shown, expected);
        let seen = filter.process(&of("b b"));
        let view = seen.emitted[0].view();
        assert_eq!((seen.emitted.len(), seen.passed.len(), view.severity()), (1, 2, 5));
        assert_eq!((view.value("key"), view.value("state")), (Some("b".into()), Some("back".into())));
        assert!(matches!(view.value("last_seen"), Some(Value::Integer(_))));
    }

    #[test]
    fn many_at_once_are_told_as_a_number() {
        let mut filter = open("timeout = '50 ms'\nby = 'Hostname'\nalerts_max = 2");
        filter.process(&of("a b c d e"));
        let told = emitted(&mut filter);
        assert_eq!(payloads(&told)[2..], ["Hostname: 3 more have stopped"]);
        let rest = told[2].view();
        assert_eq!((rest.value("count"), rest.value("overflow")), (Some(3.into()), Some(true.into())));
        let seen = filter.process(&of("a b c"));
        assert_eq!(seen.emitted.len(), 2);
        assert_eq!(payloads(&emitted(&mut filter))[..1], ["Hostname: 1 more came again"]);
    }

    #[test]
    fn the_end_of_heka_is_no_silence() {
        let mut filter = open("timeout = '1 ns'");
        filter.host().stop();
        assert_eq!(filter.tick().unwrap().len(), 0);
    }

    #[test]
    fn another_one_goes_on() {
        let mut old = open("timeout = '1 ms'\nby = 'Hostname'");
        old.process(&of("a"));
        assert_eq!(emitted(&mut old).len(), 1);
        let mut new = FilterTest::<HeartbeatFilter>::open("timeout = '1 h'\nby = 'Hostname'").unwrap();
        new.start_after(&mut old).unwrap();
        assert_eq!(payloads(&new.process(&of("a")).emitted), ["Hostname a: came again after"]);
    }

    #[test]
    fn all_faults_are_found() {
        let toml =
            "timeout = 0\nexpect = ['a']\nrepeat_interval = 0\nalerts_max = 0\nseverity = 8\nkeys_max = 0";
        let faults = FilterTest::<HeartbeatFilter>::faults(toml);
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        let expected = ["timeout", "expect", "repeat_interval", "alerts_max", "severity", "keys_max"];
        assert_eq!(keys, expected, "{faults:?}");
        let faults = FilterTest::<HeartbeatFilter>::faults("timeout = '1 m'\nby = 'x'\nforget_after = '1 s'");
        assert_eq!(faults[1], "forget_after: must not be shorter than `timeout`");
    }
}
