use super::*;
use heka_plugin_api::testing::{FilterTest, message};
use heka_plugin_api::{OwnedMessage, Value};

fn from(loggers: &str) -> Vec<OwnedMessage> {
    let build = |logger: &str| {
        message(|message| {
            message.logger(logger);
        })
    };
    loggers.split_whitespace().map(build).collect()
}

/// Compares the loggers of the messages that pass a new filter.
fn check(toml: &str, loggers: &str, expected: &str) -> FilterTest<ThrottleFilter> {
    let mut filter = FilterTest::<ThrottleFilter>::open(toml).unwrap();
    let seen = filter.process(&from(loggers));
    let passed =
        seen.passed.iter().map(|message| String::from_utf8_lossy(message.view().logger()).into_owned());
    assert_eq!((passed.collect::<Vec<_>>().join(" ").as_str(), seen.failure), (expected, None), "{toml}");
    filter
}

// Rates are so low that no time that a test takes makes a difference.

#[test]
fn excess_is_dropped_and_counted() {
    let filter = check("rate = 0.0001\nburst = 3", "a a b b a", "a a b");
    assert_eq!((filter.host().counter("dropped"), filter.host().ticker_ns()), (2, 0));
    check("rate = 0.0001", "a a a", "a");
    check("rate = 4", "a a a a", "a a a a");
}

#[test]
fn each_key_has_its_own_limit() {
    check("rate = 0.0001\nburst = 2\nkey = 'Logger'", "a a a b a b b", "a a b b");
    check("rate = 0.0001\nkey = 'logger'\nkeys_max = 1", "a b c a", "a b");
    check("rate = 0.0001\nkey = 'Fields[user]'", "a b", "a");
}

#[test]
fn nothing_is_emitted_unless_asked_for() {
    let mut filter = check("rate = 0.0001", "a a a", "a");
    assert_eq!(filter.tick().unwrap().len(), 0);
}

#[test]
fn reports_tell_what_each_key_lost() {
    let toml = "rate = 0.0001\nkey = 'Logger'\nkeys_max = 2\nreport_interval = '1 m'";
    let mut filter = check(toml, "a b a b a c d", "a b c");
    assert_eq!(filter.host().ticker_ns(), 60_000_000_000);
    let emitted = filter.tick().unwrap();
    let shown = emitted.iter().map(|message| {
        let payload = String::from_utf8_lossy(message.view().payload()).into_owned();
        payload.split(" in ").next().unwrap().to_owned()
    });
    let expected = [
        "Logger a: dropped 2, passed 1",
        "Logger b: dropped 1, passed 1",
        "Logger (others): dropped 1, passed 1",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let (first, last) = (emitted[0].view(), emitted[2].view());
    assert_eq!(first.message_type(), b"heka.throttle");
    assert_eq!(
        (first.value("dropped"), first.value("key")),
        (Some(Value::Integer(2)), Some(Value::String(b"a")))
    );
    assert_eq!((last.value("overflow"), last.value("key")), (Some(Value::Bool(true)), None));
    assert_eq!(filter.tick().unwrap().len(), 0);
}

#[test]
fn all_faults_are_found() {
    let toml = "rate = 0.0\nburst = 0\nkey = 'x'\nkeys_max = 0\nheld_max = 0\nreport_interval = 0";
    let found = FilterTest::<ThrottleFilter>::faults(toml);
    let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["rate", "burst", "key", "keys_max", "held_max", "report_interval"], "{found:?}");
    assert_eq!(FilterTest::<ThrottleFilter>::faults("rate = 2"), [""; 0]);
}

fn loggers(messages: &[OwnedMessage]) -> String {
    let names = messages.iter().map(|message| String::from_utf8_lossy(message.view().logger()).into_owned());
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_held_back_passes_later_in_order() {
    let mut filter = FilterTest::<ThrottleFilter>::open("rate = 200\nburst = 1\nexcess = 'pace'").unwrap();
    let messages = from("a b c d");
    let seen = filter.process(&messages);
    assert_eq!((loggers(&seen.passed).as_str(), seen.absorbed, seen.failure), ("a", 3, None));
    let mut late = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(10);
    while late.len() < 3 && Instant::now() < deadline {
        late.extend(filter.tick().unwrap());
    }
    assert_eq!((loggers(&late).as_str(), filter.host().counter("dropped")), ("b c d", 0));
    let uuids = |messages: &[OwnedMessage]| messages.iter().map(|m| m.view().uuid()).collect::<Vec<_>>();
    assert_eq!(uuids(&late), uuids(&messages[1..]), "they are the same messages");
}

#[test]
fn keys_are_paced_apart() {
    let toml = "rate = 0.0001\nexcess = 'pace'\nkey = 'Logger'";
    let mut filter = FilterTest::<ThrottleFilter>::open(toml).unwrap();
    let seen = filter.process(&from("a a b b c"));
    assert_eq!((loggers(&seen.passed).as_str(), seen.absorbed), ("a b c", 2));
    assert_eq!(filter.tick().unwrap().len(), 0);
    assert_eq!(filter.host().counter("held"), 2);
}

#[test]
fn everything_leaves_at_the_end() {
    let mut filter = FilterTest::<ThrottleFilter>::open("rate = 0.0001\nexcess = 'pace'").unwrap();
    assert_eq!(filter.process(&from("a b c")).absorbed, 2);
    filter.host().stop();
    assert_eq!(loggers(&filter.tick().unwrap()), "b c");
    assert_eq!(filter.host().counter("held"), 0);
}

#[test]
fn what_is_too_much_passes_early_or_is_dropped() {
    let paced = "rate = 0.0001\nexcess = 'pace'\nheld_max = 2\n";
    let mut filter = FilterTest::<ThrottleFilter>::open(paced).unwrap();
    let seen = filter.process(&from("a b c d e"));
    assert_eq!((loggers(&seen.passed).as_str(), loggers(&seen.emitted).as_str()), ("a", "b c"));
    assert_eq!((seen.absorbed, filter.host().counter("passed_early")), (4, 2));
    let mut filter = FilterTest::<ThrottleFilter>::open(&format!("{paced}when_full = 'drop'")).unwrap();
    let seen = filter.process(&from("a b c d e"));
    assert_eq!((seen.passed.len(), seen.emitted.len(), seen.absorbed), (1, 0, 2));
    assert_eq!((filter.host().counter("held"), filter.host().counter("dropped")), (2, 2));
    filter.host().stop();
    assert_eq!(loggers(&filter.tick().unwrap()), "b c");
    let small = "rate = 0.0001\nexcess = 'pace'\nheld_bytes_max = 1\nwhen_full = 'drop'";
    let seen = FilterTest::<ThrottleFilter>::open(small).unwrap().process(&from("a b"));
    assert_eq!((seen.passed.len(), seen.absorbed), (1, 0));
}

#[test]
fn another_one_takes_over_what_is_held_back() {
    let mut old = FilterTest::<ThrottleFilter>::open("rate = 0.0001\nexcess = 'pace'").unwrap();
    old.process(&from("a b c"));
    let mut new = FilterTest::<ThrottleFilter>::open("rate = 100\nexcess = 'pace'\nkey = 'Logger'").unwrap();
    new.start_after(&mut old).unwrap();
    assert_eq!(loggers(&new.tick().unwrap()), "b c");
    let mut dropping = FilterTest::<ThrottleFilter>::open("rate = 100").unwrap();
    dropping.start_after(&mut old).unwrap();
    let emitted = dropping.tick().unwrap();
    assert_eq!((loggers(&emitted).as_str(), dropping.host().ticker_ns()), ("b c", 1_000_000_000));
}
