//! Counts heap allocations: in steady state they grow with batches, not with messages.

use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::Registry;
use heka_lib::{Router, RouterOptions, RouterStats};
use heka_tests::{Directory, assert_balanced};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most allocations for each further message; one for each batch of 256 is 0.004.
const PER_MESSAGE_MAX: f64 = 0.05;
/// Messages of the shorter run; the longer one has four times as many.
const MESSAGES: u64 = 100_000;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counted.
struct Counting;

// SAFETY: everything is done by the system's allocator, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a pipeline with `messages` and with four times as many, and compares their allocations. `prepare` writes what
/// it reads into a directory, in which `{}` of the config lies; `delivered` of the messages reach the output `out`.
fn check(name: &str, config: &str, prepare: impl Fn(&Directory, u64), delivered: impl Fn(u64) -> u64) {
    // One test at a time: the counter is the whole process's.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = |messages: u64| {
        let directory = Directory::new();
        prepare(&directory, messages);
        let config = config.replace("{}", &directory.path().display().to_string());
        let (allocations, stats) =
            allocations_of(&config.replace("COUNT", &messages.to_string()), &directory);
        assert_eq!(stats.output("out").unwrap().delivered, delivered(messages), "{stats}");
        allocations
    };
    // Once without counting: what is only allocated once in a process isn't steady state.
    run(1000);
    let (few, many) = (run(MESSAGES), run(4 * MESSAGES));
    let per_message = many.saturating_sub(few) as f64 / (3 * MESSAGES) as f64;
    println!(
        "{name}: {per_message:.5} allocations per message ({few} for {MESSAGES}, {many} for four times as many)"
    );
    assert!(per_message < PER_MESSAGE_MAX, "{name}: {per_message:.4} allocations per message");
}

/// Runs a pipeline of statically linked plugins to its end.
fn allocations_of(config: &str, directory: &Directory) -> (u64, RouterStats) {
    let text = format!("[heka]\nstate_dir = \"{}\"\n{config}", directory.join("state").display());
    let config = Config::from_document(&from_toml_str("heka.toml", &text).unwrap()).unwrap();
    let mut registry = Registry::new();
    for entry in
        [&heka_null::PLUGIN_FILE, &heka_grep::PLUGIN_FILE, &heka_file::PLUGIN_FILE, &heka_text::PLUGIN_FILE]
    {
        registry.add_static(entry);
    }
    let mut options = RouterOptions::default();
    options.once = true;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let router = Router::start(&config, &registry, &options).unwrap();
    assert!(router.wait(Duration::from_secs(120)));
    let stats = router.stop();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(stats.left(), 0, "{stats}");
    assert_balanced(&stats);
    (allocations, stats)
}

/// Writes a log of lines of about 100 bytes, of which one in 20 says `wanted`.
fn write_log(directory: &Directory, lines: u64) {
    let mut text = String::with_capacity(lines as usize * 110);
    for number in 0..lines {
        let word = if number % 20 == 0 { "wanted" } else { "ordinary" };
        writeln!(text, "2026-11-22T12:00:00Z {word} line {number:09} {:060}", number * 7).unwrap();
    }
    directory.write("in.log", text);
}

const FILE_INPUT: &str = "[inputs.in]\nplugin = \"file\"\npaths = [\"{}/in.log\"]\nfrom = \"beginning\"\n";
const FILE_OUTPUT: &str = "[outputs.out]\nplugin = \"file\"\npath = \"{}/out.log\"\nencoder = \"payload\"\n";
const GREP: &str = "[filters.grep]\ncontains = ";

#[test]
fn generate_grep_null() {
    let config = "[inputs.in]\nplugin = \"generate\"\ncount = COUNT\npayload_bytes = 200\nfields = 6\n\
                  [chains.default]\nfilters = [\"grep\"]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n"
        .to_owned()
        + GREP
        + "\"a\"\n";
    check("generate, grep, null", &config, |_, _| (), |messages| messages);
}

#[test]
fn file_payload_file() {
    let config = FILE_INPUT.to_owned() + "[chains.default]\noutputs = [\"out\"]\n" + FILE_OUTPUT;
    check("file, payload, file", &config, write_log, |messages| messages);
}

#[test]
fn file_grep_one_in_20_file() {
    let chain = "[chains.default]\nfilters = [\"grep\"]\noutputs = [\"out\"]\n";
    let config = FILE_INPUT.to_owned() + chain + FILE_OUTPUT + GREP + "\"wanted\"\n";
    check("file, grep 1 in 20, file", &config, write_log, |messages| messages / 20);
}

#[test]
fn joined_lines_through_a_decoder_behind_another() {
    let input = "splitter = { kind = \"multiline\", start = \"^2026-\" }\ndecoder = \"first\"\n\
                 [decoders.first]\nplugin = \"regex\"\npattern = '^(?P<timestamp>\\S+) (?P<word>\\w+) (?P<payload>.*)$'\n\
                 then = \"second\"\n\
                 [decoders.second]\nplugin = \"regex\"\npattern = '^line (?P<number>\\d+)'\n";
    let config = FILE_INPUT.to_owned() + input + "[chains.default]\noutputs = [\"out\"]\n" + FILE_OUTPUT;
    check("file, multiline, regex then regex, file", &config, write_log, |messages| messages);
}

/// Decoders of text, their options, and a line that each reads, with a number in place of `NUMBER`.
const DECODERS: [(&str, &str, &str); 5] = [
    (
        "regex",
        r"pattern = '^(?<timestamp>\S+) (?<word>\w+) (?<number>\d+)$'",
        "2026-11-22T12:00:00Z word NUMBER",
    ),
    (
        "grok",
        "pattern = '^%{TIMESTAMP_ISO8601:timestamp} %{IPORHOST:host} %{NUMBER:number:int} %{GREEDYDATA:rest}$'",
        "2026-11-22 12:00:00 192.0.2.1 NUMBER and so on",
    ),
    ("csv", "columns = ['timestamp', 'number', 'note']", "22 Nov 2026 12:00:00,NUMBER,\"say \"\"hi\"\"\""),
    ("kv", "prefix = 'x.'", "time=1795399567 number=NUMBER note=\"say \\\"hi\\\"\" lone"),
    (
        "nginx_error",
        "",
        "2026/11/22 12:00:00 [error] 12#34: *NUMBER it broke (2: no), client: 192.0.2.1, server: s, request: \"GET /a HTTP/1.1\"",
    ),
];

#[test]
fn file_decoder_of_text_file() {
    for (decoder, options, line) in DECODERS {
        let write = |directory: &Directory, lines: u64| {
            let numbers = (0..lines).map(|number| 100_000 + number);
            let text: String =
                numbers.map(|number| line.replace("NUMBER", &number.to_string()) + "\n").collect();
            directory.write("in.log", text);
        };
        let config = FILE_INPUT.to_owned()
            + "decoder = \"lines\"\n[chains.default]\noutputs = [\"out\"]\n"
            + FILE_OUTPUT
            + "[decoders.lines]\nplugin = \""
            + decoder
            + "\"\n"
            + options
            + "\n";
        check(&format!("file, {decoder}, payload, file"), &config, write, |messages| messages);
    }
}
