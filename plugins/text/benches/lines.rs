//! Time per line of each decoder and per message of each encoder, called as a host calls them.

use divan::Bencher;
use divan::counter::ItemsCount;
use heka_plugin_api::testing::{BATCH_LEN_MAX, DecoderTest, EncoderTest};
use heka_plugin_api::{Decoder, Encoder, OwnedMessage};
use heka_text::{
    AccessLogDecoder, CsvDecoder, GrokDecoder, KvDecoder, LogfmtDecoder, NginxErrorDecoder, PayloadEncoder,
    RegexDecoder, SyslogDecoder, TemplateEncoder,
};

fn main() {
    divan::main();
}

/// A line of 180 bytes; the number makes the seconds move.
fn combined(number: usize) -> String {
    format!(
        r#"203.0.113.{} - - [10/Oct/2000:13:{:02}:{:02} -0700] "GET /assets/img/{number:05}.png?v=1 HTTP/1.1" {} {} "https://www.example.com/start" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0""#,
        number % 250,
        number / 600 % 60,
        number / 10 % 60,
        if number.is_multiple_of(20) { 503 } else { 200 },
        100 + number * 7,
    )
}

const COMBINED_REGEX: &str = r#"
    pattern = '^(?<remote_addr>\S+) \S+ (?<remote_user>\S+) \[(?<timestamp>[^\]]+)\] "(?<request>(?<method>[A-Z]+) (?<path>\S+) (?<protocol>[^"]+))" (?<status>\d+) (?<body_bytes_sent>\d+|-) "(?<http_referer>[^"]*)" "(?<http_user_agent>[^"]*)"$'
    timestamp_format = '%d/%b/%Y:%H:%M:%S %z'
    types = { status = 'integer', body_bytes_sent = 'integer' }
    keep_payload = false
"#;

const COMBINED_GROK: &str = r#"
    pattern = '^%{IPORHOST:remote_addr} %{NOTSPACE} %{NOTSPACE:remote_user} \[%{HTTPDATE:timestamp}\] "(?<request>%{WORD:method} %{NOTSPACE:path} %{DATA:protocol})" %{INT:status:int} (?:%{INT:body_bytes_sent:int}|-) "%{DATA:http_referer}" "%{DATA:http_user_agent}"$'
    timestamp_format = '%d/%b/%Y:%H:%M:%S %z'
    keep_payload = false
"#;

const NGINX: &str = r#"
    format = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
"#;

fn decode<D: Decoder>(bencher: Bencher<'_, '_>, options: &str, line: impl Fn(usize) -> String) {
    let lines: Vec<String> = (0..BATCH_LEN_MAX).map(line).collect();
    let mut decoder = DecoderTest::<D>::open(options).unwrap();
    let bencher = bencher.counter(ItemsCount::new(BATCH_LEN_MAX));
    bencher.bench_local(|| assert_eq!(decoder.decode_many(&lines), BATCH_LEN_MAX));
}

fn encode<E: Encoder>(bencher: Bencher<'_, '_>, options: &str) {
    let message = |number: usize| {
        OwnedMessage::build(|message| {
            message.timestamp(number as i64 * 10_000_000).payload(combined(number)).hostname("web1");
            message.field("status", 200i64);
        })
        .unwrap()
    };
    let messages: Vec<OwnedMessage> = (0..BATCH_LEN_MAX).map(message).collect();
    let mut encoder = EncoderTest::<E>::open(options).unwrap();
    bencher.counter(ItemsCount::new(BATCH_LEN_MAX)).bench_local(|| encoder.encode_many(&messages));
}

#[divan::bench]
fn access_log_combined(bencher: Bencher<'_, '_>) {
    decode::<AccessLogDecoder>(bencher, "keep_payload = false", combined);
}

#[divan::bench]
fn access_log_combined_with_payload(bencher: Bencher<'_, '_>) {
    decode::<AccessLogDecoder>(bencher, "", combined);
}

#[divan::bench]
fn access_log_nginx_format(bencher: Bencher<'_, '_>) {
    decode::<AccessLogDecoder>(bencher, NGINX, combined);
}

#[divan::bench]
fn regex_combined(bencher: Bencher<'_, '_>) {
    decode::<RegexDecoder>(bencher, COMBINED_REGEX, combined);
}

#[divan::bench]
fn grok_combined(bencher: Bencher<'_, '_>) {
    decode::<GrokDecoder>(bencher, COMBINED_GROK, combined);
}

#[divan::bench]
fn grok_combinedapachelog(bencher: Bencher<'_, '_>) {
    decode::<GrokDecoder>(bencher, "pattern = '%{COMBINEDAPACHELOG}'\nkeep_payload = false", combined);
}

#[divan::bench]
fn csv(bencher: Bencher<'_, '_>) {
    let options = "columns = ['timestamp', 'host', 'method', 'path', 'status', 'bytes', 'took', 'agent']\n\
                   types = { status = 'integer', bytes = 'integer', took = 'double' }\nkeep_payload = false";
    decode::<CsvDecoder>(bencher, options, |number| {
        format!(
            "2026-11-22T10:00:00.{number:03}Z,web{},GET,/static/app.css,200,{number},0.{number:03},\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"",
            number % 8
        )
    });
}

#[divan::bench]
fn kv(bencher: Bencher<'_, '_>) {
    decode::<KvDecoder>(bencher, "behind = '] '", |number| {
        format!(
            "fw1 kernel: [UFW BLOCK] IN=eth0 OUT= SRC=198.51.100.{} DST=203.0.113.9 LEN=60 TOS=0x00 TTL=53 ID={number} DF PROTO=TCP SPT={number} DPT=22 SYN URGP=0",
            number % 250
        )
    });
}

#[divan::bench]
fn nginx_error(bencher: Bencher<'_, '_>) {
    decode::<NginxErrorDecoder>(bencher, "", |number| {
        format!(
            "2024/02/29 12:00:{:02} [error] 12#12: *{number} open() \"/srv/www/a\" failed (2: No such file or directory), client: 192.0.2.1, server: www.example.com, request: \"GET /a HTTP/1.1\", host: \"www.example.com\"",
            number % 60
        )
    });
}

#[divan::bench]
fn syslog_rfc3164(bencher: Bencher<'_, '_>) {
    decode::<SyslogDecoder>(bencher, "", |number| {
        format!(
            "<34>Oct 11 22:14:{:02} web1.example.com sshd[{number}]: Accepted publickey for deploy from 203.0.113.9 port 50022 ssh2",
            number % 60
        )
    });
}

#[divan::bench]
fn syslog_rfc5424(bencher: Bencher<'_, '_>) {
    decode::<SyslogDecoder>(bencher, "", |number| {
        format!(
            "<165>1 2003-10-11T22:14:15.{number:03}Z web1.example.com app {number} ID47 [x@32473 iut=\"3\" source=\"App\"] Accepted a request of a client"
        )
    });
}

#[divan::bench]
fn logfmt(bencher: Bencher<'_, '_>) {
    decode::<LogfmtDecoder>(bencher, "", |number| {
        format!(
            "ts=2024-02-29T12:00:00.{number:03}Z level=info msg=\"request done\" method=GET path=/a/b status=200 took=0.{number} cached=true id={number}"
        )
    });
}

#[divan::bench]
fn payload(bencher: Bencher<'_, '_>) {
    encode::<PayloadEncoder>(bencher, "");
}

#[divan::bench]
fn payload_with_timestamp(bencher: Bencher<'_, '_>) {
    encode::<PayloadEncoder>(bencher, "prefix_timestamp = true");
}

#[divan::bench]
fn template(bencher: Bencher<'_, '_>) {
    encode::<TemplateEncoder>(bencher, "template = '{timestamp} {hostname} {Fields[status]} {payload}'");
}
