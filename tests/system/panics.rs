//! Plugins that panic, give up or fail: each costs what it must and no more, is told, and everything is counted.

use heka_tests::{Capture, Directory, Host, assert_balanced, run_to_end, start, wait_until};
use std::time::{Duration, Instant};

const DEAD: &str = "dead_letter = \"dead\"";
/// An output that takes nothing, with nothing behind it that would keep what waits.
const NEVER: &str = "plugin = \"retry_always\"\nqueue = { kind = \"memory\" }";

/// A pipeline of `count` messages through one filter to `out`.
fn pipeline(count: u64, filter: &str, out: &str) -> String {
    format!(
        "[inputs.made]\nplugin = \"generate\"\ncount = {count}\n[filters.f]\n{filter}\n\
         [chains.all]\nmatcher = 'TRUE'\nfilters = [\"f\"]\noutputs = [\"out\"]\n[outputs.out]\n{out}\n"
    )
}

/// A pipeline of `count` messages straight to `out`.
fn straight(count: u64, out: &str) -> String {
    format!(
        "[inputs.made]\nplugin = \"generate\"\ncount = {count}\n[chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\n{out}\n"
    )
}

/// Runs a pipeline to its end in the test's own process; checks the counts `[delivered, dead-lettered, delivered
/// as dead letters]` and returns the reasons of the dead letters.
fn check(config: &str, expected: [u64; 3]) -> Vec<String> {
    let dead = Capture::new();
    let began = Instant::now();
    let stats = run_to_end(&format!("{config}{}", dead.output("dead")), DEAD);
    assert!(began.elapsed() < Duration::from_secs(20), "stopping took {:?}", began.elapsed());
    let (out, letters) = (stats.output("out").unwrap(), stats.output("dead").unwrap());
    let refused = out.dead_lettered + stats.chains.iter().map(|chain| chain.dead_lettered).sum::<u64>();
    assert_eq!([out.delivered, refused, letters.delivered], expected, "{stats}");
    assert_eq!(stats.input("made").unwrap().messages, expected[0] + expected[1], "{stats}");
    let letters = dead.messages();
    letters.iter().map(|letter| letter.field("dead_letter_reason").unwrap().to_owned()).collect()
}

/// Runs the daemon with `--once` and returns its exit status and its log lines without times.
fn run_host(config: &str) -> (Option<i32>, Vec<String>) {
    let directory = Directory::new();
    let config = format!("[heka]\n{DEAD}\n{config}[outputs.dead]\nplugin = \"null\"\n");
    let ended = Host::run_once(&directory, &config);
    (ended.status, log_lines(&ended.stderr))
}

/// Log lines without their times: `ERROR filter …`; other lines as they are.
fn log_lines(stderr: &str) -> Vec<String> {
    let line = |line: &str| match line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        Some((time, text)) => format!("{} {text}", time.split_whitespace().last().unwrap()),
        None => line.to_owned(),
    };
    stderr.lines().map(line).collect()
}

fn assert_has(lines: &[String], expected: &str) {
    assert!(lines.iter().any(|line| line == expected), "no `{expected}` in\n{}", lines.join("\n"));
}

const PANIC: &str = "panicked at tests/plugins/panics/src/lib.rs:37: this is message";

#[test]
fn a_panic_in_a_filter_costs_one_message() {
    let config = pipeline(1999, "plugin = \"panic_at\"\nat = 1000", "plugin = \"null\"");
    let reasons = check(&config, [1998, 1, 1]);
    assert_eq!(reasons, [format!("\"{PANIC} 1000\"")]);
}

#[test]
fn a_panic_in_a_filter_is_told_and_the_filter_restarted() {
    let config = pipeline(1999, "plugin = \"panic_at\"\nat = 1000", "plugin = \"null\"");
    let (status, lines) = run_host(&config);
    assert_eq!(status, Some(0), "{lines:?}");
    assert_has(&lines, &format!("ERROR filter `f`: {PANIC} 1000; restarted (1 of 5)"));
    assert_has(&lines, "output    out                   marked 1998  delivered 1998");
    assert_has(&lines, "output    dead                  marked 1  delivered 1");
}

#[test]
fn a_filter_that_panics_six_times_is_stopped_and_the_host_lives() {
    let filter = "plugin = \"panic_at\"\nat = 100";
    let reasons = check(&pipeline(1000, filter, "plugin = \"null\""), [6 * 99, 406, 406]);
    let panicked = format!("\"{PANIC} 100\"");
    let stopped = format!("\"the filter is stopped: {PANIC} 100\"");
    assert_eq!((reasons.iter().filter(|reason| **reason == panicked)).count(), 6);
    assert_eq!((reasons.iter().filter(|reason| **reason == stopped)).count(), 400);
    let (status, lines) = run_host(&pipeline(1000, filter, "plugin = \"null\""));
    assert_eq!(status, Some(0), "{lines:?}");
    for restart in 1..=5 {
        assert_has(&lines, &format!("ERROR filter `f`: {PANIC} 100; restarted ({restart} of 5)"));
    }
    let end = format!("ERROR filter `f`: {PANIC} 100; stopped: its chain's messages become dead letters");
    assert_has(&lines, &end);
}

#[test]
fn a_filter_may_be_stopped_at_its_first_panic() {
    let filter = "plugin = \"panic_at\"\nat = 10\non_panic = \"stop\"";
    check(&pipeline(100, filter, "plugin = \"null\""), [9, 91, 91]);
}

#[test]
fn a_filter_that_panics_while_it_opens_is_a_fault_at_the_start() {
    let config = pipeline(10, "plugin = \"panic_on_open\"", "plugin = \"null\"");
    let ended = Host::run_once(&Directory::new(), &config);
    let fault = "heka.toml:4:10: filter `f`: panicked at tests/plugins/panics/src/lib.rs:54: opened\n";
    assert_eq!((ended.stderr.as_str(), ended.status), (fault, Some(78)));
}

#[test]
fn a_filter_that_gives_up_is_stopped_and_its_messages_are_dead_letters() {
    let config = pipeline(2000, "plugin = \"fatal_at\"\nat = 1000", "plugin = \"null\"");
    let reasons = check(&config, [999, 1001, 1001]);
    assert_eq!(reasons[0], "\"this is message 1000\"");
    assert_eq!(reasons[1], "\"the filter is stopped: this is message 1000\"");
    let (status, lines) = run_host(&config);
    assert_eq!(status, Some(0), "{lines:?}");
    let end = "ERROR filter `f`: this is message 1000; stopped: its chain's messages become dead letters";
    assert_has(&lines, end);
}

#[test]
fn another_chain_goes_on_when_a_filter_is_stopped() {
    let config = pipeline(2000, "plugin = \"fatal_at\"\nat = 1", "plugin = \"null\"");
    let other = "[chains.other]\nmatcher = 'TRUE'\noutputs = [\"kept\"]\n[outputs.kept]\nplugin = \"null\"\n";
    let stats = run_to_end(&format!("{config}{other}"), "");
    assert_eq!(stats.output("kept").unwrap().delivered, 2000, "{stats}");
    assert_eq!(stats.chain("all").unwrap().dead_lettered, 2000, "{stats}");
}

#[test]
fn an_output_that_panics_makes_each_message_a_dead_letter() {
    let reasons = check(&straight(20, "plugin = \"panic_on_deliver\""), [0, 20, 20]);
    assert!(reasons[0].contains("panicked at tests/plugins/panics/src/lib.rs:"), "{}", reasons[0]);
    let (status, lines) = run_host(&straight(20, "plugin = \"panic_on_deliver\""));
    assert_eq!(status, Some(0), "{lines:?}");
    let told =
        |line: &String| line.starts_with("ERROR output `out`: panicked") && line.ends_with("; restarted");
    assert!(lines.iter().any(told), "{lines:?}");
}

#[test]
fn an_output_that_fails_for_a_while_gets_everything() {
    let out = "plugin = \"retry_times\"\ntimes = 7\nretry = { delay_min = \"1 ms\", delay_max = \"2 ms\" }";
    let stats = run_to_end(&straight(1000, out), "");
    let out = stats.output("out").unwrap();
    assert_eq!((out.delivered, out.retries, out.plugin["messages"]), (1000, 7, 1000), "{stats}");
}

#[test]
fn an_output_that_was_tried_often_enough_makes_dead_letters() {
    let out =
        "plugin = \"retry_always\"\nretry = { delay_min = \"1 ms\", delay_max = \"1 ms\", attempts_max = 3 }";
    let reasons = check(&straight(10, out), [0, 10, 10]);
    assert_eq!(reasons[0], "\"nobody is there (tried 3 times)\"");
}

/// Stops a router whose output takes nothing; what was read is then given up, all of it and in time.
fn check_given_up(config: &str) {
    let started = start(config, "shutdown_deadline = \"1 s\"").unwrap();
    wait_until("the output tries again", || started.router.stats().output("out").unwrap().retries > 0);
    let began = Instant::now();
    let stats = started.router.stop();
    assert!(began.elapsed() < Duration::from_secs(4), "stopping took {:?}", began.elapsed());
    let (input, chain, out) = (&stats.inputs[0], &stats.chains[0], stats.output("out").unwrap());
    assert_eq!((out.delivered, out.queued()), (0, 0), "{stats}");
    assert_eq!(chain.taken, input.messages, "{stats}");
    assert_eq!(chain.passed, out.marked, "{stats}");
    assert_eq!(stats.left(), input.messages - chain.destroyed, "{stats}");
    assert!(stats.left() > 0, "{stats}");
}

#[test]
fn what_an_output_never_takes_is_counted_as_given_up() {
    check_given_up(&straight(10, NEVER));
}

#[test]
fn what_waits_everywhere_before_a_dead_output_is_counted_as_given_up() {
    check_given_up(&straight(0, NEVER));
}

#[test]
fn what_waits_in_a_chain_before_a_dead_output_is_counted_as_given_up() {
    let third = "plugin = \"match\"\nkeep = 'Fields[field_2] < 33'";
    let config = pipeline(0, third, NEVER);
    check_given_up(&config.replace("count = 0", "count = 0\nfields = 2"));
}

#[test]
fn the_daemon_ends_in_time_and_says_what_was_not_delivered() {
    let config = straight(10, NEVER);
    let began = Instant::now();
    let ended = Host::run_once(&Directory::new(), &format!("[heka]\nshutdown_deadline = \"1 s\"\n{config}"));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let lines = log_lines(&ended.stderr);
    assert_has(&lines, "heka-host: 10 messages were not delivered");
    let told = "WARN output `out`: nobody is there; 10 messages wait, next try in ";
    assert!(lines.iter().any(|line| line.starts_with(told)), "{lines:?}");
}

#[test]
fn an_input_that_gives_up_at_once_ends_and_the_others_go_on() {
    let config = straight(100, "plugin = \"null\"") + "[inputs.broken]\nplugin = \"fatal_at_once\"\n";
    let stats = run_to_end(&config, "");
    assert_eq!(stats.output("out").unwrap().delivered, 100, "{stats}");
    assert_eq!(stats.input("broken").unwrap().messages, 0, "{stats}");
    let (status, lines) = run_host(&config);
    assert_eq!(status, Some(0), "{lines:?}");
    assert_has(&lines, "ERROR input `broken`: nothing to read from; stopped");
}

#[test]
fn dead_letters_of_every_kind_balance() {
    let dead = Capture::new();
    let config = pipeline(500, "plugin = \"panic_at\"\nat = 50", "plugin = \"panic_on_deliver\"");
    let stats = run_to_end(&format!("{config}{}", dead.output("dead")), DEAD);
    assert_balanced(&stats);
    assert_eq!(stats.output("dead").unwrap().delivered, 500, "{stats}");
    assert_eq!(dead.messages().len(), 500);
}
