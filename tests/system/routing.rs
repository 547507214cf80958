//! Which chains and outputs a message reaches.

use heka_tests::start;
use std::time::Duration;

/// Delivered counts of the outputs `a`, `b`, `c`, when 100 messages of type `generate` go through `chains`.
fn check(chains: &str, expected: [u64; 3]) {
    let outputs = ["a", "b", "c"].map(|name| format!("[outputs.{name}]\nplugin = \"null\"\n")).concat();
    let config =
        format!("[inputs.made]\nplugin = \"generate\"\ncount = 100\nfields = 2\n{chains}\n{outputs}");
    let started = start(&config, "").unwrap();
    assert!(started.router.wait(Duration::from_secs(20)));
    let stats = started.router.stop();
    assert_eq!(stats.left(), 0, "{stats}");
    let delivered = ["a", "b", "c"].map(|name| stats.output(name).unwrap().delivered);
    assert_eq!(delivered, expected, "{stats}");
}

#[test]
fn every_chain_whose_matcher_accepts_gets_the_message() {
    check(
        "[chains.one]\nmatcher = 'Type == \"generate\"'\noutputs = [\"a\"]\n\
         [chains.two]\nmatcher = 'Fields[field_2] < 30'\noutputs = [\"a\", \"b\"]\n\
         [chains.three]\nmatcher = 'Type == \"other\"'\noutputs = [\"c\"]\n",
        [130, 30, 0],
    );
}

#[test]
fn the_default_chain_takes_what_no_other_took() {
    check(
        "[chains.some]\nmatcher = 'Fields[field_2] >= 90'\noutputs = [\"a\"]\n[chains.default]\noutputs = [\"b\"]\n",
        [10, 90, 0],
    );
}

#[test]
fn message_type_is_short_for_a_matcher() {
    check("[chains.some]\nmessage_type = [\"generate\", \"timer\"]\noutputs = [\"c\"]\n", [0, 0, 100]);
}
