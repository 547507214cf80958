//! Several graters: failover and load balance. Reload.

use super::agent::{Agent, texts};
use super::grater::{Grater, wait_until};
use heka_plugin_api::abi::record_flag;
use std::collections::BTreeSet;

#[test]
fn the_next_grater_serves_until_the_first_answers_again() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (Grater::start(one.path(), ""), Grater::start(two.path(), ""));
    let address = first.address.clone();
    let options = "retry_interval = \"20 ms\"\nconnect_timeout = \"2 s\"";
    let toml = format!("addresses = [\"{address}\", \"{}\"]\n{options}", second.address);
    let mut agent = Agent::open(&toml, true);
    agent.send(texts("one", 5));
    agent.settle();
    assert_eq!((first.texts().len(), second.texts().len()), (5, 0));
    first.acknowledge(false);
    agent.send(texts("two", 5));
    first.wait_for(10);
    drop(first);
    agent.settle();
    assert_eq!(second.texts(), ["two 0", "two 1", "two 2", "two 3", "two 4"]);
    let first = Grater::start_at(one.path(), &address, "", true);
    wait_until("the first is used again", || {
        agent.send(texts("three", 1));
        agent.settle();
        !first.texts().is_empty()
    });
    assert!(first.seen().iter().all(|seen| seen.flags & record_flag::UNORDERED == 0));
}

#[test]
fn all_graters_share_the_load_and_one_that_dies_leaves_its_part_to_the_others() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Grater::start_at(one.path(), "127.0.0.1:0", "", false);
    let second = Grater::start_at(two.path(), "127.0.0.1:0", "", false);
    let (options, address) = ("retry_interval = \"20 ms\"", first.address.clone());
    let toml =
        format!("addresses = [\"{address}\", \"{}\"]\nmode = \"load_balance\"\n{options}", second.address);
    let mut agent = Agent::open(&toml, true);
    let mut sent = 0;
    wait_until("both have something", || {
        if sent < 16 && (sent == 0 || agent.counter("connects") == 2 || agent.output.tick().is_err()) {
            // Answers come in any order: what tells the batches apart is their length.
            agent.send(texts(&format!("batch {sent}"), 10 + sent));
            sent += 1;
        }
        !first.seen().is_empty() && !second.seen().is_empty()
    });
    let seen = second.seen();
    assert!(seen.iter().all(|seen| seen.flags & record_flag::UNORDERED != 0));
    drop(first);
    second.acknowledge(true);
    agent.settle();
    let texts: BTreeSet<String> = second.texts().into_iter().collect();
    assert_eq!(texts.len(), (10..10 + sent).sum::<usize>());
    assert_eq!(second.texts().len(), texts.len());
}

#[test]
fn connections_outlive_a_reload_of_the_output() {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start_at(directory.path(), "127.0.0.1:0", "", false);
    let mut agent = Agent::start(&grater.address, "");
    agent.send(texts("one", 7));
    grater.wait_for(7);
    let other = format!("address = \"{}\"\ncompression = \"none\"", grater.address);
    let mut after = heka_plugin_api::testing::OutputTest::open(&other).unwrap();
    after.start_after(&mut agent.output).unwrap();
    agent.output = after;
    agent.give_again();
    agent.send(texts("two", 1));
    grater.acknowledge(true);
    agent.settle();
    assert_eq!(grater.texts().len(), 8);
    assert_eq!((agent.counter("connects"), grater.counter("connections")), (0, 1));
}
