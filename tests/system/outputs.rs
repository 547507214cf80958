//! Outputs that can't deliver for a while: tried again with back-off, nothing dropped silently.

use heka_tests::{Directory, Host, Peer, address_of, send_tcp, wait_until};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

const INPUT: &str = "[inputs.lines]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n";

/// From TCP to a file.
fn to_file(path: &str, deadline: &str) -> String {
    format!(
        "[heka]\nshutdown_deadline = \"{deadline}\"\n{INPUT}[chains.default]\noutputs = [\"out\"]\n\
         [outputs.out]\nplugin = \"file\"\npath = \"{path}\"\nretry = {{ delay_max = \"100 ms\" }}\n"
    )
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("line {number}\n")).collect()
}

#[test]
fn a_missing_directory_is_made() {
    let directory = Directory::new();
    let host = Host::run(&directory, &to_file("not/there/yet/out.log", "30 s"));
    send_tcp(address_of(&directory, "lines"), b"hello\n");
    wait_until("it arrives", || directory.read("not/there/yet/out.log") == "hello\n");
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn a_directory_in_place_of_the_file_is_waited_out() {
    let directory = Directory::new();
    fs::create_dir(directory.join("out.log")).unwrap();
    let host = Host::run(&directory, &to_file("out.log", "30 s"));
    send_tcp(address_of(&directory, "lines"), lines(0..100).as_bytes());
    wait_until("it is tried several times", || host.count("output out", "retries") >= 3);
    assert_eq!(host.count("output out", "queued"), 100);
    let stderr = host.stderr();
    assert!(
        stderr.contains("output `out`: ") && stderr.contains("out.log") && stderr.contains("next try in"),
        "{stderr}"
    );
    fs::remove_dir(directory.join("out.log")).unwrap();
    wait_until("everything arrives", || directory.read("out.log") == lines(0..100));
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn a_full_disk_keeps_messages_and_the_status_says_so() {
    assert!(Path::new("/dev/full").exists(), "this machine has no /dev/full");
    let directory = Directory::new();
    let host = Host::run(&directory, &to_file("/dev/full", "200 ms"));
    send_tcp(address_of(&directory, "lines"), lines(0..100).as_bytes());
    wait_until("it is tried several times", || host.count("output out", "retries") >= 3);
    assert!(host.stderr().to_lowercase().contains("no space left"), "{}", host.stderr());
    let ended = host.stop();
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("100 messages wait on the disk for the next run"), "{}", ended.stderr);
    assert_eq!(ended.count("output out", "delivered"), 0);
}

#[test]
fn attempts_grow_farther_apart() {
    let directory = Directory::new();
    let config = to_file("/dev/full", "200 ms")
        .replace("delay_max = \"100 ms\"", "delay_min = \"10 ms\", delay_max = \"1 h\", jitter = false");
    let host = Host::run(&directory, &config);
    send_tcp(address_of(&directory, "lines"), b"hello\n");
    wait_until("it is tried several times", || host.count("output out", "retries") >= 6);
    let stderr = host.stop().stderr;
    let retries_per_second = stderr.lines().filter(|line| line.contains("next try in")).count();
    assert!((1..=3).contains(&retries_per_second), "the log is limited in rate:\n{stderr}");
}

#[test]
fn messages_that_were_tried_often_enough_become_dead_letters() {
    let directory = Directory::new();
    let config = to_file("/dev/full", "30 s")
        .replace("delay_max = \"100 ms\"", "delay_min = \"1 ms\", delay_max = \"2 ms\", attempts_max = 3")
        + "dead_letter = \"dead\"\n[outputs.dead]\nplugin = \"file\"\npath = \"dead.json\"\nencoder = \"json\"\n";
    let host = Host::run(&directory, &config);
    send_tcp(address_of(&directory, "lines"), lines(0..100).as_bytes());
    wait_until("all are given up", || directory.lines("dead.json").len() == 100);
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "dead letters are accounted for:\n{}", ended.stderr);
    assert_eq!(ended.count("output out", "dead-lettered"), 100);
    let letter: serde_json::Value = serde_json::from_str(&directory.lines("dead.json")[0]).unwrap();
    assert_eq!(letter["payload"], "line 0");
    assert_eq!(letter["fields"]["dead_letter_instance"], "output `out`");
    assert!(letter["fields"]["dead_letter_reason"].as_str().unwrap().contains("tried 3 times"), "{letter}");
}

#[test]
fn a_peer_that_comes_late_gets_everything() {
    let directory = Directory::new();
    let address = Peer::new().address();
    let config = format!(
        "{INPUT}[chains.default]\noutputs = [\"peer\"]\n[outputs.peer]\nplugin = \"tcp\"\naddress = \"{address}\"\n\
         retry = {{ delay_min = \"10 ms\", delay_max = \"50 ms\" }}\n"
    );
    let host = Host::run(&directory, &config);
    send_tcp(address_of(&directory, "lines"), lines(0..1000).as_bytes());
    wait_until("it is tried", || host.count("output peer", "retries") >= 2);
    let peer = Peer::at(address);
    peer.read_all();
    peer.wait_for_lines(1000);
    assert_eq!(peer.lines().join("\n") + "\n", lines(0..1000));
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn a_peer_that_goes_and_comes_back_gets_everything_sent_meanwhile() {
    let directory = Directory::new();
    let peer = Peer::new();
    let address = peer.address();
    let config = format!(
        "{INPUT}[chains.default]\noutputs = [\"peer\"]\n[outputs.peer]\nplugin = \"tcp\"\naddress = \"{address}\"\n\
         retry = {{ delay_min = \"10 ms\", delay_max = \"50 ms\" }}\n"
    );
    let host = Host::run(&directory, &config);
    let mut client = TcpStream::connect(address_of(&directory, "lines")).unwrap();
    client.write_all(lines(0..500).as_bytes()).unwrap();
    let connection = peer.accept();
    peer.read_from(connection.try_clone().unwrap());
    peer.wait_for_lines(500);
    let before = peer.lines();
    connection.shutdown(std::net::Shutdown::Both).unwrap();
    drop((connection, peer));

    client.write_all(lines(500..1000).as_bytes()).unwrap();
    wait_until("it is tried", || host.count("output peer", "retries") >= 2);
    let peer = Peer::at(address);
    peer.read_all();
    peer.wait_for_lines(500);
    assert_eq!([before, peer.lines()].concat().join("\n") + "\n", lines(0..1000));
    assert_eq!(host.stop().status, Some(0));
}

#[test]
fn sighup_opens_the_file_anew_after_a_rename() {
    let directory = Directory::new();
    let host = Host::run(&directory, &to_file("out.log", "30 s"));
    let address = address_of(&directory, "lines");
    send_tcp(address, b"before\n");
    wait_until("the first arrives", || directory.read("out.log") == "before\n");
    fs::rename(directory.join("out.log"), directory.join("out.log.1")).unwrap();
    host.signal("HUP");
    wait_until("it is told", || host.stderr().contains("reopening"));
    send_tcp(address, b"after\n");
    wait_until("the second arrives", || directory.read("out.log") == "after\n");
    assert_eq!(directory.read("out.log.1"), "before\n");
    assert_eq!(host.stop().status, Some(0));
}
