//! Filters that do something without a message: they tell of silence, and let go what they hold back.

use heka_tests::{Capture, Started, address_of, assert_balanced, start, wait_until};
use std::io::Write;
use std::net::TcpStream;

/// A chain from TCP to an output, with these filters and their sections.
fn config(filters: &str, sections: &str, out: &Capture) -> String {
    let input = "[inputs.in]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n";
    let chain = format!("[chains.all]\nmatcher = 'TRUE'\nfilters = [{filters}]\noutputs = [\"out\"]\n");
    format!("{input}{chain}{sections}{}", out.output("out"))
}

fn send(started: &Started, text: &str) {
    let mut stream = TcpStream::connect(address_of(&started.directory, "in")).expect("connect to the input");
    stream.write_all(text.as_bytes()).expect("send");
}

fn payloads(out: &Capture) -> Vec<String> {
    out.messages().into_iter().map(|message| message.payload).collect()
}

fn throttle(rate: &str) -> String {
    format!("[filters.even]\nplugin = \"throttle\"\nexcess = \"pace\"\nrate = {rate}\n")
}

#[test]
fn silence_and_its_end_are_told() {
    let out = Capture::new();
    let alive = "[filters.alive]\nplugin = \"heartbeat\"\ntimeout = \"200 ms\"\n";
    let started = start(&config("\"alive\"", alive, &out), "").unwrap();
    wait_until("silence is told", || payloads(&out).len() == 1);
    assert!(payloads(&out)[0].starts_with("messages: nothing came for "), "{:?}", payloads(&out));
    send(&started, "hello\n");
    wait_until("its end is told", || payloads(&out).len() >= 3);
    let mut told = payloads(&out)[1..3].to_vec();
    told.sort_unstable();
    assert_eq!(told[0], "hello");
    assert!(told[1].starts_with("messages: came again after "), "{told:?}");
    assert_balanced(&started.router.stop());
}

/// Lets a throttle hold two of three lines back, goes over to another config, and waits for them.
fn check_reload(filters: &str, sections: &str) {
    let out = Capture::new();
    let started = start(&config("\"even\"", &throttle("0.0001"), &out), "").unwrap();
    send(&started, "1\n2\n3\n");
    wait_until("the first passes", || payloads(&out) == ["1"]);
    started.reload(&config(filters, sections, &out), "").unwrap();
    wait_until("the others pass", || payloads(&out) == ["1", "2", "3"]);
    assert_balanced(&started.router.stop());
}

#[test]
fn what_is_held_back_leaves_with_its_filter() {
    check_reload("", "");
    check_reload("\"twice\"", "[filters.twice]\nplugin = \"sample\"\nkeep_one_in = 1\n");
}

#[test]
fn what_is_held_back_goes_on_in_a_changed_filter() {
    check_reload("\"even\"", &throttle("1000"));
}

#[test]
fn what_is_held_back_leaves_at_the_stop() {
    let out = Capture::new();
    let started = start(&config("\"even\"", &throttle("0.0001"), &out), "").unwrap();
    send(&started, "1\n2\n3\n");
    wait_until("the first passes", || payloads(&out) == ["1"]);
    assert_balanced(&started.router.stop());
    assert_eq!(payloads(&out), ["1", "2", "3"]);
}
