//! Log files to measure with.

use crate::host::Bench;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Lines of the large files, before scaling.
pub(crate) const LINES: u64 = 3_000_000;
/// One line in so many has this text.
pub(crate) const RARE: &str = "ERROR";

const PATHS: [&str; 5] = ["/", "/index.html", "/static/app.css", "/api/v1/items?page=2", "/images/logo.png"];
const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0)",
    "curl/8.5.0 (x86_64-pc-linux-gnu) libcurl/8.5.0 ok",
];

/// Makes a file of plain lines of 180 bytes, one in 20 of which has [`RARE`]; returns its path.
pub(crate) fn plain(bench: &Bench) -> Result<PathBuf, String> {
    write(bench, "plain.log", |number, line| {
        let level = if number.is_multiple_of(20) { RARE } else { "INFO" };
        let _ = write!(
            line,
            "2026-11-22T10:00:00.{:06}Z {level} worker-{} request {number} ",
            number % 1_000_000,
            number % 8
        );
        while line.len() < 179 {
            line.push("abcdefghijklmnopqrstuvwxyz".as_bytes()[line.len() % 26] as char);
        }
    })
}

/// Makes an access log in the combined format, about 180 bytes a line; returns its path.
pub(crate) fn access(bench: &Bench) -> Result<PathBuf, String> {
    write(bench, "access.log", |number, line| {
        let n = number as usize;
        let status = if number.is_multiple_of(50) { 503 } else { 200 };
        let (path, agent) = (PATHS[n % 5], AGENTS[n % 3]);
        let _ = write!(
            line,
            "192.0.2.{} - - [22/Nov/2026:10:{:02}:{:02} +0000] \"GET {path} HTTP/1.1\" {status} {} \"https://www.example.com/start\" \"{agent}\"",
            n % 250,
            n / 60_000 % 60,
            n / 1000 % 60,
            n % 50_000,
        );
    })
}

/// Makes a log in which two lines in five belong to traces of Java, about 100 bytes a line; returns its path.
pub(crate) fn traces(bench: &Bench) -> Result<PathBuf, String> {
    write(bench, "traces.log", |number, line| {
        let _ = match number % 20 {
            1 => write!(line, "com.example.shop.OrderException: order {number} could not be stored in time"),
            2..=8 => write!(
                line,
                "\tat com.example.shop.orders.OrderStore.store(OrderStore.java:{}) ~[shop-orders-1.4.2.jar!/:1.4.2]",
                number % 500
            ),
            _ => write!(
                line,
                "2026-11-22T10:00:00.{:06}Z INFO worker-{} request {number} took 12 ms and 3 queries of the database",
                number % 1_000_000,
                number % 8
            ),
        };
    })
}

/// Makes a file of rows of eight columns, about 130 bytes each; returns its path.
pub(crate) fn csv(bench: &Bench) -> Result<PathBuf, String> {
    write(bench, "rows.csv", |number, line| {
        let n = number as usize;
        let (path, agent) = (PATHS[n % 5], AGENTS[n % 3]);
        let _ = write!(
            line,
            "2026-11-22T10:{:02}:{:02}.{:03}Z,web{},GET,{path},{},{},0.{:03},\"{agent}\"",
            n / 60_000 % 60,
            n / 1000 % 60,
            n % 1000,
            n % 8,
            if number.is_multiple_of(50) { 503 } else { 200 },
            n % 50_000,
            n % 1000,
        );
    })
}

/// Makes a file of syslog messages of RFC 5424, about 180 bytes each; returns its path.
pub(crate) fn syslog(bench: &Bench) -> Result<PathBuf, String> {
    write(bench, "syslog.log", |number, line| {
        let _ = write!(
            line,
            "<{}>1 2026-11-22T10:{:02}:{:02}.{:06}Z web{} app {} ID{} [origin@32473 ip=\"192.0.2.{}\" software=\"app\"] accepted a request of a client for item {number} and answered it in time",
            number % 192,
            number / 60_000 % 60,
            number / 1000 % 60,
            number % 1_000_000,
            number % 8,
            number % 30_000,
            number % 50,
            number % 250,
        );
    })
}

fn write(bench: &Bench, name: &str, fill: impl Fn(u64, &mut String)) -> Result<PathBuf, String> {
    let path = bench.work.join(name);
    if fs::metadata(&path).is_ok() {
        return Ok(path);
    }
    let file =
        File::create(&path).map_err(|error| format!("failed to create `{}`: {error}", path.display()))?;
    let (mut out, mut line) = (BufWriter::with_capacity(1 << 20, file), String::new());
    for number in 0..bench.scaled(LINES) {
        line.clear();
        fill(number, &mut line);
        line.push('\n');
        out.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(path)
}
