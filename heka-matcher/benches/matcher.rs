//! What a matcher, and a set of many, cost per message.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use heka_matcher::{Matcher, MatcherSet};
use heka_plugin_api::OwnedMessage;

/// Messages per iteration; few enough for the first-level cache.
const MESSAGES: usize = 16;

/// Prints allocations beside the times: there must be none.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// Makes access log messages of about 300 bytes, their types numbered round robin.
fn messages(types: usize) -> Vec<OwnedMessage> {
    (0..MESSAGES).map(|number| message(&format!("app.type.{}", number % types), number)).collect()
}

fn message(message_type: &str, number: usize) -> OwnedMessage {
    let built = OwnedMessage::build(|builder| {
        builder.message_type(message_type).logger("access").hostname("web-1.example.org").severity(6);
        builder.payload(r#"10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /apache_pb.gif HTTP/1.1" 200 2326 "-" "Mozilla""#);
        builder.field("remote_addr", "10.0.0.1").field("method", "GET").field("path", "/apache_pb.gif");
        builder.field("status", if number.is_multiple_of(2) { 404_i64 } else { 200 });
        builder.field("body_bytes_sent", 2326_i64).field("request_time", 0.25);
    });
    built.unwrap_or_else(|reason| panic!("the message builds: {reason}"))
}

fn matcher(text: &str) -> Matcher {
    Matcher::parse(text).unwrap_or_else(|reason| panic!("{reason}"))
}

#[divan::bench(args = [
    "TRUE",
    "Type == 'app.type.0'",
    "Severity <= 6",
    "Fields[status] >= 400",
    "Type == 'app.type.0' && Severity <= 6 && Fields[status] >= 400",
    "Fields[path] == '/apache_pb.gif'",
    "Type IN ('a', 'b', 'c', 'app.type.0')",
    "Payload =~ /Mozilla/",
    "Payload =~ /^10\\.0/",
    "Payload =~ /GET [^ ]+\\.gif/",
])]
fn one(bencher: Bencher, text: &str) {
    let (matcher, messages) = (matcher(text), messages(1));
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        messages.iter().filter(|message| black_box(&matcher).matches(&message.view())).count()
    });
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn set_of_types(bencher: Bencher, count: usize) {
    let texts = (0..count).map(|number| format!("Type == 'app.type.{number}'"));
    run_set(bencher, texts.collect(), messages(count.min(MESSAGES)));
}

#[divan::bench(args = [1, 10, 100])]
fn set_of_types_and_fields(bencher: Bencher, count: usize) {
    let texts = (0..count).map(|number| format!("Type == 'app.type.{number}' && Fields[status] >= 400"));
    run_set(bencher, texts.collect(), messages(count.min(MESSAGES)));
}

#[divan::bench(args = [1, 10, 100])]
fn set_without_types(bencher: Bencher, count: usize) {
    let texts = (0..count).map(|number| format!("Fields[status] == {number}"));
    run_set(bencher, texts.collect(), messages(1));
}

#[divan::bench(args = [1, 10, 100])]
fn set_of_true(bencher: Bencher, count: usize) {
    run_set(bencher, vec!["TRUE".to_owned(); count], messages(1));
}

fn run_set(bencher: Bencher, texts: Vec<String>, messages: Vec<OwnedMessage>) {
    let set = MatcherSet::new(texts.iter().map(|text| matcher(text)).collect());
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        let mut sum = 0;
        for message in &messages {
            black_box(&set).matching(&message.view(), |index| sum += index);
        }
        sum
    });
}
