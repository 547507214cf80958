//! Messages arrive once, in order, whatever breaks.

use super::agent::{Agent, text, texts};
use super::grater::{Grater, wait_until};
use crate::protocol::Codec;
use heka_plugin_api::abi::record_flag;
use heka_plugin_api::testing::message;
use heka_plugin_api::{MessageBuilder, OwnedMessage};
use std::collections::BTreeSet;

fn expected(prefixes: &[(&str, usize)]) -> Vec<String> {
    let each = prefixes.iter().flat_map(|(prefix, count)| (0..*count).map(move |n| format!("{prefix} {n}")));
    each.collect()
}

#[test]
fn messages_arrive_in_order_with_every_codec() {
    for codec in ["none", "lz4", "zstd"] {
        let directory = tempfile::tempdir().unwrap();
        let grater = Grater::start(directory.path(), "");
        let mut agent = Agent::start(&grater.address, &format!("compression = \"{codec}\""));
        agent.send(texts("one", 256));
        agent.send(texts("two", 1));
        agent.send(texts("three", 100));
        agent.settle();
        assert_eq!(grater.texts(), expected(&[("one", 256), ("two", 1), ("three", 100)]));
        assert_eq!((agent.counter("frames"), agent.counter("messages")), (3, 357));
        assert_eq!((agent.counter("acknowledged"), agent.counter("reconnects")), (357, 0));
        wait_until("it has counted", || grater.counter("messages") == 357);
        assert_eq!(grater.counter("duplicates"), 0);
        assert_eq!(agent.counter("bytes") < agent.counter("bytes_uncompressed"), codec != "none");
    }
    assert_eq!(Codec::of(9), None);
}

#[test]
fn nothing_is_answered_before_the_pipeline_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), "127.0.0.1:0", "", false);
    let mut agent = Agent::start(&grater.address, "");
    agent.send(texts("one", 10));
    grater.wait_for(10);
    assert_eq!(agent.left(), 1);
    grater.acknowledge(true);
    agent.settle();
}

#[test]
fn a_grater_that_crashes_gets_only_what_it_had_not_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "");
    let mut agent = Agent::start(&grater.address, "");
    agent.send(texts("one", 50));
    agent.settle();
    grater.acknowledge(false);
    agent.send(texts("two", 20));
    grater.wait_for(70);
    let grater = grater.restart();
    grater.acknowledge(true);
    let why = agent.tick_until_it_fails();
    assert!(why.starts_with(&format!("lost the connection to `{}`: ", grater.address)), "{why}");
    agent.give_again();
    agent.send(texts("three", 5));
    agent.settle();
    assert_eq!(grater.texts(), expected(&[("two", 20), ("three", 5)]));
    assert_eq!((agent.counter("connects"), agent.counter("reconnects")), (2, 1));
}

#[test]
fn an_agent_that_crashes_sends_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), "127.0.0.1:0", "", false);
    let toml = format!("address = \"{}\"", grater.address);
    let mut agent = Agent::open(&toml, true);
    agent.send(texts("one", 30));
    agent.skip(5);
    agent.send(texts("two", 30));
    grater.wait_for(60);
    let mut agent = agent.restart(&toml);
    assert_eq!((agent.counter("messages"), agent.counter("duplicates")), (0, 60));
    agent.send(texts("three", 3));
    grater.wait_for(63);
    assert_eq!(agent.left(), 3);
    grater.acknowledge(true);
    agent.settle();
    assert_eq!(grater.texts(), expected(&[("one", 30), ("two", 30), ("three", 3)]));
}

#[test]
fn both_may_crash() {
    let directory = tempfile::tempdir().unwrap();
    let mut grater = Grater::start(directory.path(), "");
    let toml = format!("address = \"{}\"", grater.address);
    let mut agent = Agent::open(&toml, true);
    let (mut sent, mut seen) = (Vec::new(), Vec::new());
    for round in 0..12 {
        let prefix = format!("round {round}");
        sent.extend(expected(&[(&prefix, 40)]));
        grater.acknowledge(round % 3 != 1);
        agent.send(texts(&prefix, 40));
        if round % 2 == 0 && round % 3 != 1 {
            agent.settle();
        }
        if round % 3 == 2 {
            agent = agent.restart(&toml);
        }
        if round % 4 == 3 {
            seen.extend(grater.texts());
            grater = grater.restart();
        }
    }
    grater.acknowledge(true);
    agent.settle();
    seen.extend(grater.texts());
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique, sent.iter().collect());
}

#[test]
fn queues_in_memory_send_nothing_twice_either() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), "127.0.0.1:0", "", false);
    let mut agent = Agent::open(&format!("address = \"{}\"", grater.address), false);
    agent.send(texts("one", 30));
    agent.send(texts("two", 2));
    grater.wait_for(32);
    grater.cut();
    let why = agent.tick_until_it_fails();
    assert!(why.starts_with("lost the connection"), "{why}");
    agent.give_again();
    assert_eq!(agent.counter("duplicates"), 32);
    agent.send(texts("three", 3));
    grater.acknowledge(true);
    agent.settle();
    assert_eq!(grater.texts(), expected(&[("one", 30), ("two", 2), ("three", 3)]));
}

#[test]
fn a_grater_that_stands_still_behind_full_outputs_keeps_its_agents() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "timeout = \"300 ms\"");
    let mut agent = Agent::start(&grater.address, "timeout = \"300 ms\"");
    agent.send(texts("one", 1));
    agent.settle();
    grater.stand_still(true);
    agent.send(texts("two", 9));
    let until = std::time::Instant::now() + std::time::Duration::from_millis(1_000);
    while std::time::Instant::now() < until {
        assert_eq!(agent.output.tick(), Ok(()));
        std::thread::yield_now();
    }
    grater.stand_still(false);
    agent.settle();
    assert_eq!((agent.counter("connects"), grater.texts().len()), (1, 10));
}

#[test]
fn messages_keep_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "");
    let mut agent = Agent::start(&grater.address, "");
    let build = |m: &mut MessageBuilder<'_>| {
        m.payload("x").timestamp(77).uuid([9; 16]).field("status", 503_i64).truncated();
    };
    agent.send(vec![message(build)]);
    agent.settle();
    let seen = grater.seen();
    assert_eq!((seen[0].text.as_str(), seen[0].flags), ("x", record_flag::TRUNCATED));
    // Without an ordered origin of its own a message has its number.
    assert_eq!((seen[0].origin.position, seen[0].origin.index), (1, 0));
    assert_ne!(seen[0].origin.stream, 0);
}

#[test]
fn a_message_too_large_for_the_hop_is_refused_and_the_others_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), "batch_bytes_max = \"64 KiB\"");
    let mut agent = Agent::start(&grater.address, "");
    let large: OwnedMessage = text(&"x".repeat(100_000));
    agent.send(vec![text("one"), large.clone(), text("two"), large]);
    agent.send(vec![text("three")]);
    agent.settle();
    assert_eq!(grater.texts(), ["one", "two", "three"]);
    assert_eq!(agent.refused.len(), 2);
    assert!(agent.refused[0].contains("the hop takes 65536 (`batch_bytes_max`)"), "{}", agent.refused[0]);
    let many: Vec<OwnedMessage> = (0..40).map(|n| text(&format!("{n:05000}"))).collect();
    agent.send(many);
    agent.settle();
    assert_eq!(grater.texts().len(), 43);
}

#[test]
fn connections_outlive_a_reload_of_the_input() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), "127.0.0.1:0", "", false);
    let mut agent = Agent::start(&grater.address, "");
    agent.send(texts("one", 7));
    grater.wait_for(7);
    grater.reload();
    agent.send(texts("two", 3));
    grater.wait_for(10);
    grater.acknowledge(true);
    agent.settle();
    assert_eq!(grater.texts(), expected(&[("one", 7), ("two", 3)]));
    assert_eq!((agent.counter("connects"), agent.counter("duplicates")), (1, 0));
}
