//! Filter `http_status`: how many answers of each class there are.

use crate::metric::Kind;
use crate::rollup::{Options, Rollup, default_interval, emit_figures, integer, rate, variable};
use crate::table::{Table, Tally};
use heka_key::Variable;
use heka_plugin_api::{
    Context, Counter, Faults, Filter, Interval, MessageMut, PluginError, Schema, Value, Verdict,
};
use serde::Deserialize;

/// The classes of answers; what is no status from 100 to 599 is of the last one.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
/// The fields with their rates.
const RATES: [&str; 6] = ["1xx_rate", "2xx_rate", "3xx_rate", "4xx_rate", "5xx_rate", "other_rate"];

/// Counts the HTTP answers of each class, 1xx to 5xx, per interval.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Field or header with the status: a number, or a text of three digits.
    #[serde(default = "default_status")]
    #[schema(default = "Fields[status]")]
    status: String,
    /// Counts by this header or field, such as `Hostname` or `Fields[host]`; all together when left out.
    by: Option<String>,
    /// How often the counts are emitted.
    #[serde(default = "default_interval")]
    #[schema(default = "10 s", unit = "s")]
    interval: Interval,
    /// Takes the counted messages out of the chain; otherwise they pass.
    #[serde(default)]
    #[schema(default = "false")]
    absorb: bool,
    /// Type of the messages that are emitted.
    #[serde(default = "default_emit_type")]
    #[schema(default = "heka.http_status")]
    emit_type: String,
    /// Emits `heka.statmetric` messages for Graphite instead, with names that begin so.
    stat_prefix: Option<String>,
    /// How many different keys are counted apart in one interval; further ones are counted together.
    #[serde(default = "default_keys_max")]
    #[schema(default = "10000", unit = "keys")]
    keys_max: usize,
}

fn default_status() -> String {
    "Fields[status]".to_owned()
}

fn default_emit_type() -> String {
    "heka.http_status".to_owned()
}

fn default_keys_max() -> usize {
    10_000
}

impl Config {
    fn options(&self) -> Options<'_> {
        Options {
            by: self.by.as_deref(),
            interval: self.interval,
            absorb: self.absorb,
            emit_type: &self.emit_type,
            stat_prefix: self.stat_prefix.as_deref(),
            keys_max: self.keys_max,
        }
    }
}

/// How many there were of each class.
#[derive(Default)]
struct Classes([u64; CLASSES.len()]);

impl Tally for Classes {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}

/// Counts the HTTP answers of each class per interval.
pub struct HttpStatusFilter {
    rollup: Rollup,
    status: Variable,
    text: Vec<u8>,
    table: Table<Classes>,
    without_status: Counter,
}

impl Filter for HttpStatusFilter {
    type Config = Config;

    fn check(config: &Config, faults: &mut Faults) {
        if let Err(reason) = Variable::parse(&config.status) {
            faults.add("status", reason);
        }
        config.options().check(faults);
    }

    fn open(config: Config, context: &mut Context) -> Result<Self, PluginError> {
        Ok(HttpStatusFilter {
            rollup: Rollup::open(&config.options(), context)?,
            status: variable("status", &config.status)?,
            text: Vec::new(),
            table: Table::new(config.keys_max),
            without_status: context.counter("without_status"),
        })
    }

    fn start(&mut self, _: Option<&mut Self>, _: &mut Context) -> Result<(), PluginError> {
        self.rollup.start();
        Ok(())
    }

    fn process_message(
        &mut self,
        message: &mut MessageMut<'_>,
        _: &mut Context,
    ) -> Result<Verdict, PluginError> {
        let view = message.view();
        self.text.clear();
        self.status.write(&view, &mut self.text);
        if self.text.is_empty() {
            self.without_status.add(1);
            return Ok(Verdict::Pass);
        }
        let class = class(&self.text);
        if !self.table.count(self.rollup.key(&view), |classes| classes.0[class] += 1) {
            self.rollup.note_overflow();
        }
        Ok(self.rollup.verdict)
    }

    fn tick(&mut self, context: &mut Context) -> Result<(), PluginError> {
        let seconds = self.rollup.end_interval();
        let (rollup, mut result) = (&self.rollup, Ok(()));
        self.table.take(!rollup.is_keyed(), |key, classes| {
            let emitted = emit(rollup, key, classes, seconds, context);
            result = std::mem::replace(&mut result, Ok(())).and(emitted);
        });
        result
    }
}

/// Returns the class of a status, as an index in [`CLASSES`].
fn class(status: &[u8]) -> usize {
    match status {
        [first @ b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => usize::from(first - b'1'),
        _ => CLASSES.len() - 1,
    }
}

fn emit(
    rollup: &Rollup,
    key: Option<&[u8]>,
    classes: &Classes,
    seconds: f64,
    context: &mut Context,
) -> Result<(), PluginError> {
    let counts = || CLASSES.into_iter().zip(classes.0.map(integer));
    if let Some(metric) = rollup.metric(key) {
        let figure = |(class, count): (&'static str, i64)| (class, Kind::Counter, Value::from(count));
        let figures: Vec<_> = counts().map(figure).collect();
        return emit_figures(context, &metric, &figures, seconds);
    }
    let total: u64 = classes.0.iter().sum();
    let shown = counts().filter(|(_, count)| *count > 0).map(|(class, count)| format!("{class} {count}, "));
    let what = format!("{}{total} in {seconds:.1} s", shown.collect::<String>());
    rollup.emit(context, key, seconds, &what, |message| {
        message.field("count", integer(total));
        counts().for_each(|(class, count)| _ = message.field(class, count));
        RATES
            .iter()
            .zip(classes.0)
            .for_each(|(name, count)| _ = message.field_as(name, "1/s", rate(count, seconds)));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::OwnedMessage;
    use heka_plugin_api::testing::{FilterTest, message};

    /// Messages `host:status`.
    fn messages(texts: &str) -> Vec<OwnedMessage> {
        let build = |text: &str| {
            let (host, status) = text.split_once(':').unwrap();
            message(|m| match status.parse::<i64>() {
                _ if status.is_empty() => _ = m.hostname(host),
                Ok(status) if host != "text" => _ = m.hostname(host).field("status", status),
                _ => _ = m.hostname(host).field("status", status),
            })
        };
        texts.split_whitespace().map(build).collect()
    }

    /// Compares what a tick emits after these messages: the payloads without their times.
    fn check(
        toml: &str,
        given: &str,
        expected: &[&str],
    ) -> (FilterTest<HttpStatusFilter>, Vec<OwnedMessage>) {
        let mut filter = FilterTest::<HttpStatusFilter>::open(toml).unwrap();
        let seen = filter.process(&messages(given));
        assert_eq!(seen.failure, None);
        let emitted = filter.tick().unwrap();
        let payload = |message: &OwnedMessage| {
            let text = String::from_utf8_lossy(message.view().payload()).into_owned();
            text.split(" in ").next().unwrap().to_owned()
        };
        assert_eq!(emitted.iter().map(payload).collect::<Vec<_>>(), expected, "{toml}");
        (filter, emitted)
    }

    #[test]
    fn answers_are_counted_by_class() {
        let given = "a:200 a:204 a:100 a:301 a:404 a:599 a:600 a:99 text:200 text:2000 text:abc a:-1";
        let (_, emitted) = check("", given, &["messages: 1xx 1, 2xx 3, 3xx 1, 4xx 1, 5xx 1, other 5, 12"]);
        let view = emitted[0].view();
        assert_eq!(view.message_type(), b"heka.http_status");
        assert_eq!((view.value("count"), view.value("2xx")), (Some(12.into()), Some(3i64.into())));
        let number = |name: &str| view.value(name).unwrap().as_number().unwrap();
        assert!((number("2xx_rate") * number("interval") - 3.0).abs() < 1e-6);
    }

    #[test]
    fn hosts_are_counted_apart() {
        let toml = "by = 'Hostname'\nkeys_max = 2";
        let expected = ["Hostname a: 2xx 1, 5xx 1, 2", "Hostname b: 4xx 1, 1", "Hostname (others): 2xx 1, 1"];
        let (filter, _) = check(toml, "a:200 b:404 a:500 c:200 c:", &expected);
        assert_eq!((filter.host().counter("overflow"), filter.host().counter("without_status")), (1, 1));
    }

    #[test]
    fn classes_become_metrics() {
        let mut filter =
            FilterTest::<HttpStatusFilter>::open("stat_prefix = 'web'\nby = 'Hostname'").unwrap();
        filter.process(&messages("a.b:200 a.b:200"));
        let emitted = filter.tick().unwrap();
        let lines: Vec<_> =
            emitted.iter().map(|m| String::from_utf8_lossy(m.view().payload()).into_owned()).collect();
        assert_eq!(lines.len(), 6);
        assert!(
            lines[1].starts_with("web.a_b.2xx 2 ") && lines[5].starts_with("web.a_b.other 0 "),
            "{lines:?}"
        );
    }

    #[test]
    fn nothing_counted_is_told_without_by() {
        check("", "", &["messages: 0"]);
        check("by = 'Hostname'", "", &[]);
    }

    #[test]
    fn all_faults_are_found() {
        let faults = FilterTest::<HttpStatusFilter>::faults("status = 'x'\nby = 'y'\ninterval = 0");
        let keys: Vec<_> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["status", "by", "interval"], "{faults:?}");
    }
}
