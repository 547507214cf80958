//! Reloads as a user sees them: a daemon on SIGHUP, newer builds of plugins, and a hundred reloads under load.

use heka_tests::{Directory, Host, address_of, assert_balanced, plugin_file, start, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A config of a daemon that reads `in.log` and writes to a path.
fn daemon(filters: &str, path: &str) -> String {
    format!(
        "[inputs.log]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
         [chains.all]\nmatcher = 'TRUE'\nfilters = [{filters}]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"file\"\npath = \"{path}\"\nencoder = \"payload\"\n"
    )
}

/// Writes another config, tells the daemon, and waits until it has logged a line with this text.
fn signal_config(host: &Host, directory: &Directory, config: &str, text: &str) {
    directory.write("heka.toml", config);
    let before = host.stderr().matches(text).count();
    host.signal("HUP");
    wait_until(text, || host.stderr().matches(text).count() > before);
}

#[test]
fn a_daemon_reloads_on_sighup_and_says_what_it_did() {
    let directory = Directory::new();
    directory.write("in.log", "1\n");
    let host = Host::run(&directory, &daemon("", "out/one"));
    wait_until("the line arrives", || directory.read("out/one") == "1\n");
    let told = "INFO  reloaded: replaced output `out`; 2 kept";
    signal_config(&host, &directory, &daemon("", "out/two"), told.split_once("  ").unwrap().1);
    directory.append("in.log", "2\n");
    wait_until("the line arrives", || directory.read("out/two") == "2\n");
    let broken = daemon("", "out/three").replace("matcher = 'TRUE'", "matcher = 'TRUE &&'\nx = 1");
    signal_config(&host, &directory, &broken, "not reloaded, everything goes on as before:");
    wait_until("all faults are told", || host.stderr().matches("heka.toml:").count() == 2);
    directory.append("in.log", "3\n");
    wait_until("the line arrives", || directory.read("out/two") == "2\n3\n");
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!((directory.read("out/one").as_str(), directory.join("out/three").exists()), ("1\n", false));
}

/// Makes another build of a plugin file in a directory: one text of it is another, as long.
fn rebuild(directory: &Directory, subject: &str, old: &str, new: &str) {
    let mut bytes = fs::read(plugin_file(subject)).unwrap();
    let at: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!at.is_empty(), "the plugin file has no `{old}`");
    at.into_iter().for_each(|at| bytes[at..at + new.len()].copy_from_slice(new.as_bytes()));
    let name = format!("libheka_{subject}.so");
    directory.write(format!("plugins/{name}.new"), bytes);
    fs::rename(directory.join(format!("plugins/{name}.new")), directory.join(format!("plugins/{name}")))
        .unwrap();
}

#[test]
fn a_newer_build_of_a_plugin_is_taken() {
    let directory = Directory::new();
    directory.copy_plugins("plugins", &["file", "json", "count"]);
    let count = "[filters.c]\nplugin = \"count\"\nabsorb = true\ninterval = \"50 ms\"\n";
    let config = daemon("\"c\"", "out").replace("\"payload\"", "\"json\"") + count;
    directory.write("heka.toml", &config);
    directory.write("in.log", "1\n");
    let host = Host::spawn(&directory, &["run", "heka.toml", "--plugin-dir", "plugins"]);
    wait_until("a count arrives", || directory.read("out").contains("\"heka.count\""));
    rebuild(&directory, "count", "heka.cou", "next.cou");
    signal_config(&host, &directory, &config, "reloaded: replaced filter `c` of chain `all`");
    directory.append("in.log", "2\n");
    wait_until("a count of the new build arrives", || directory.read("out").contains("\"next.count\""));
    // An input of another build can't take over: it goes on from what was acknowledged.
    rebuild(&directory, "file", "was truncated: reading", "was TRUNCATED: reading");
    signal_config(&host, &directory, &config, "reloaded: replaced input `log`, output `out`");
    directory.append("in.log", "3\n");
    wait_until("the line is counted", || host.count("chain all", "absorbed") == 3);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.count("input log", "messages"), 3, "{}", ended.stderr);
}

/// The configs that a busy router goes round; the numbers say which one.
fn busy(directory: &Directory, round: usize) -> String {
    let path = directory.path().display();
    let filter = ["\"t\"", "\"t\", \"u\"", "", "\"u\""][round % 4];
    let (limit, field, keep) =
        (1_000 + round % 3, ["a", "b"][round % 2], ["payload", "template"][round / 2 % 2]);
    let template = if keep == "template" { "[encoders.template]\ntemplate = \"{payload}\"\n" } else { "" };
    let other = if round.is_multiple_of(5) { "[outputs.other]\nplugin = \"null\"\n" } else { "" };
    let outputs = if round.is_multiple_of(5) { "\"other\", \"out\"" } else { "\"out\"" };
    let third = if round.is_multiple_of(3) {
        "[inputs.third]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n"
    } else {
        ""
    };
    format!(
        "[inputs.in]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\nconnections_max = {limit}\n\
         [inputs.files]\nplugin = \"file\"\npaths = [\"{path}/*.log\"]\nfrom = \"beginning\"\nread_bytes = \"{} KiB\"\n{third}\
         [filters.t]\nplugin = \"tally\"\nfield = \"{field}\"\n[filters.u]\nplugin = \"tally\"\nfield = \"u\"\n\
         [chains.all]\nmatcher = 'TRUE'\nfilters = [{filter}]\noutputs = [{outputs}]\n{other}{template}\
         [outputs.out]\nplugin = \"file\"\npath = \"{path}/out/{}\"\nencoder = \"{keep}\"\n\
         queue = {{ kind = \"memory\" }}\n",
        64 + round % 2 * 64,
        round % 2,
    )
}

#[test]
fn a_hundred_reloads_under_load_lose_and_repeat_nothing() {
    let directory = Directory::new();
    directory.write("a.log", "");
    let started = start(&busy(&directory, 0), "").unwrap();
    let (is_over, begun) = (AtomicBool::new(false), Instant::now());
    let sent = thread::scope(|scope| {
        let (is_over, started, directory) = (&is_over, &started, &directory);
        let connections = ["x", "y"].map(|name| {
            let stream = TcpStream::connect(address_of(&started.directory, "in")).unwrap();
            scope.spawn(move || write_lines(name, stream, is_over))
        });
        let file = fs::OpenOptions::new().append(true).open(directory.join("a.log")).unwrap();
        let file = scope.spawn(move || write_lines("f", file, is_over));
        for round in 1..=100 {
            if let Err(faults) = started.reload(&busy(directory, round), "") {
                panic!("round {round}: {faults}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let [x, y] = connections.map(|connection| connection.join().unwrap());
        [("x", x), ("y", y), ("f", file.join().unwrap())]
    });
    let all: u64 = sent.iter().map(|(_, count)| count).sum();
    println!("100 reloads, {all} messages, {:.0} a second", all as f64 / begun.elapsed().as_secs_f64());
    let delivered = || started.router.stats().output("out").unwrap().delivered;
    wait_until("everything that comes is delivered", || delivered() >= all);
    let stats = started.router.stop();
    assert_balanced(&stats);
    let mut seen: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for line in directory.lines("out/0").into_iter().chain(directory.lines("out/1")) {
        let (name, number) = line.split_once(' ').unwrap_or_else(|| panic!("a torn line: {line}"));
        let number: usize = number.parse().unwrap_or_else(|_| panic!("a torn line: {line}"));
        let seen = seen.entry(name.to_owned()).or_default();
        seen.resize(seen.len().max(number + 1), false);
        assert!(!std::mem::replace(&mut seen[number], true), "`{line}` came twice\n{stats}");
    }
    for (name, count) in sent {
        let missing = (0..count as usize).find(|&number| !seen[name].get(number).is_some_and(|seen| *seen));
        assert_eq!(missing, None, "`{name}` lacks a line of {count}\n{stats}");
    }
    assert_eq!(stats.output("out").unwrap().delivered, all, "{stats}");
}

/// How many lines each of the three writers writes every half millisecond: together over 500,000 a second.
const LINES_AT_ONCE: u64 = 150;

/// Writes numbered lines, in pieces that end anywhere, until it is over; returns how many.
fn write_lines(name: &str, mut to: impl Write, is_over: &AtomicBool) -> u64 {
    let (mut count, mut text) = (0, Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        for _ in 0..LINES_AT_ONCE {
            writeln!(text, "{name} {count}").unwrap();
            count += 1;
        }
        let piece = text.len() - text.len().min(count as usize % 7);
        to.write_all(&text[..piece]).unwrap();
        text.drain(..piece);
        // A file takes whatever is written: no faster than a busy router reads it.
        thread::park_timeout(Duration::from_micros(500));
    }
    to.write_all(&text).unwrap();
    count
}
