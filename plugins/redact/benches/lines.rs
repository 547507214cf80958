//! Time per message of `redact`, where there is nothing to hide and where there is.

use divan::Bencher;
use divan::counter::ItemsCount;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{BATCH_LEN_MAX, FilterTest, message};
use heka_redact::RedactFilter;

fn main() {
    divan::main();
}

/// A line of about 200 bytes.
fn line(number: usize, secret: &str) -> OwnedMessage {
    let payload = format!(
        r#"203.0.113.{} - - [10/Oct/2000:13:{:02}:{:02} -0700] "GET /assets/img/{number:05}.png?v=1{secret} HTTP/1.1" 200 {} "https://www.example.com/start" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0""#,
        number % 250,
        number / 600 % 60,
        number / 10 % 60,
        100 + number * 7,
    );
    message(|m| _ = m.payload(&payload))
}

fn run(bencher: Bencher, toml: &str, secret: &str) {
    let mut filter = FilterTest::<RedactFilter>::open(toml).unwrap_or_else(|reason| panic!("{reason}"));
    let messages: Vec<_> = (0..BATCH_LEN_MAX).map(|number| line(number, secret)).collect();
    bencher.counter(ItemsCount::new(messages.len())).bench_local(|| filter.process(&messages).completed);
}

#[divan::bench]
fn nothing_found(bencher: Bencher) {
    run(bencher, "places = ['Payload']", "");
}

#[divan::bench]
fn nothing_found_of_one_kind(bencher: Bencher) {
    run(bencher, "places = ['Payload']\nfind = ['tokens']", "");
}

#[divan::bench]
fn a_password(bencher: Bencher) {
    run(bencher, "places = ['Payload']", "&password=hunter2");
}

/// What the harness itself costs, which copies each message that passes.
#[divan::bench]
fn nothing_looked_for(bencher: Bencher) {
    run(bencher, "places = ['Type']", "");
}
