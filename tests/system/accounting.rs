//! Every message is accounted for: what came is what went, in each chain and each output.

use heka_lib::RouterStats;
use heka_tests::{Directory, Host, run_to_end};

const INPUT: &str = "[inputs.made]\nplugin = \"generate\"\ncount = 10000\nfields = 2\n";
const OUTPUTS: &str = "[outputs.out]\nplugin = \"null\"\n[outputs.dead]\nplugin = \"null\"\n";

/// Runs 10,000 messages through one chain; returns the counts, which `run_to_end` has checked, as
/// `[taken, emitted, passed, destroyed, absorbed, dead-lettered]` of the chain and the delivered of both outputs.
fn check(filters: &[(&str, &str)], chain: [u64; 6], delivered: [u64; 2]) -> RouterStats {
    let names: Vec<String> = filters.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let sections: Vec<String> =
        filters.iter().map(|(name, options)| format!("[filters.{name}]\n{options}\n")).collect();
    let config = format!(
        "{INPUT}[chains.one]\nmatcher = 'Type == \"generate\"'\nfilters = [{}]\noutputs = [\"out\"]\n{}{OUTPUTS}",
        names.join(", "),
        sections.concat()
    );
    let stats = run_to_end(&config, "dead_letter = \"dead\"");
    let one = stats.chain("one").unwrap();
    let counted = [one.taken, one.emitted, one.passed, one.destroyed, one.absorbed, one.dead_lettered];
    assert_eq!(counted, chain, "{stats}");
    let outputs = ["out", "dead"].map(|name| stats.output(name).unwrap().delivered);
    assert_eq!(outputs, delivered, "{stats}");
    assert_eq!(stats.input("made").unwrap().messages, 10_000, "{stats}");
    stats
}

#[test]
fn a_chain_without_filters_balances() {
    check(&[], [10_000, 0, 10_000, 0, 0, 0], [10_000, 0]);
}

#[test]
fn drops_balance() {
    check(
        &[("half", "plugin = \"match\"\nkeep = 'Fields[field_2] < 4000'")],
        [10_000, 0, 4000, 6000, 0, 0],
        [4000, 0],
    );
}

#[test]
fn sampling_balances() {
    check(&[("sample", "keep_one_in = 10")], [10_000, 0, 1000, 9000, 0, 0], [1000, 0]);
}

#[test]
fn a_throttle_balances() {
    let limit = "plugin = \"throttle\"\nrate = 0.001\nburst = 5";
    check(&[("limit", limit)], [10_000, 0, 5, 9995, 0, 0], [5, 0]);
    let pace = format!("{limit}\nexcess = \"pace\"\nheld_max = 100");
    check(&[("pace", &pace)], [10_000, 9995, 10_000, 0, 9995, 0], [10_000, 0]);
}

#[test]
fn repeats_balance() {
    let dedupe = "by = [\"Fields[field_2]\"]\nwindow = \"1 h\"\nsummary = true\nkeys_max = 100";
    check(&[("dedupe", dedupe)], [10_000, 0, 10_000, 0, 0, 0], [10_000, 0]);
    let equal = "by = [\"Type\"]\nwindow = \"1 h\"\nsummary = true";
    check(&[("dedupe", equal)], [10_000, 1, 2, 0, 9999, 0], [2, 0]);
}

#[test]
fn absorbed_messages_balance() {
    check(&[("count", "interval = \"1 h\"\nabsorb = true")], [10_000, 1, 1, 0, 10_000, 0], [1, 0]);
}

#[test]
fn counts_by_key_balance() {
    let count = "plugin = \"count\"\ninterval = \"1 h\"\nby = \"Fields[field_2]\"\nkeys_max = 10000";
    check(&[("count", count)], [10_000, 10_000, 20_000, 0, 0, 0], [20_000, 0]);
}

#[test]
fn emitted_messages_balance() {
    let echo = "emit_type = \"echoed\"\ntimes = 3\nverdict = \"drop\"";
    check(&[("echo", echo)], [10_000, 30_000, 30_000, 10_000, 0, 0], [30_000, 0]);
}

#[test]
fn dead_letters_balance() {
    let tally = "plugin = \"tally\"\nfield = \"n\"\nfail_every = 4";
    check(&[("number", tally)], [10_000, 0, 7500, 0, 0, 2500], [7500, 2500]);
}

#[test]
fn all_of_these_together_balance() {
    let filters = [
        ("echo", "emit_type = \"echoed\"\nverdict = \"absorb\"\ntimes = 2"),
        ("number", "plugin = \"tally\"\nfield = \"n\"\nfail_every = 5"),
        ("sample", "keep_one_in = 2"),
    ];
    check(&filters, [10_000, 20_000, 8000, 8000, 10_000, 4000], [8000, 4000]);
}

#[test]
fn messages_emitted_to_the_router_balance() {
    let echo = "emit_type = \"echoed\"\nemit_to = \"router\"\nverdict = \"drop\"";
    let stats = check(&[("echo", echo)], [10_000, 0, 0, 10_000, 0, 0], [0, 0]);
    assert_eq!(stats.injection.injected, 10_000, "{stats}");
}

#[test]
fn dead_letters_that_nobody_takes_do_not_go_round_for_ever() {
    let config = "[inputs.made]\nplugin = \"generate\"\ncount = 1000\n[chains.default]\noutputs = [\"one\"]\n\
                  [outputs.one]\nplugin = \"udp\"\naddress = \"127.0.0.1:9\"\ndatagram_bytes_max = 1\n\
                  dead_letter = \"two\"\n\
                  [outputs.two]\nplugin = \"udp\"\naddress = \"127.0.0.1:9\"\ndatagram_bytes_max = 1\n";
    let stats = run_to_end(config, "dead_letter = \"one\"");
    let refused = ["one", "two"].map(|name| stats.output(name).unwrap().dead_lettered);
    assert_eq!(refused, [1000, 1000], "{stats}");
}

#[test]
fn the_printed_summary_shows_the_same_numbers() {
    let directory = Directory::new();
    let config = format!(
        "{INPUT}[chains.one]\nmatcher = 'TRUE'\nfilters = [\"half\"]\noutputs = [\"out\"]\n\
         [filters.half]\nplugin = \"match\"\nkeep = 'Fields[field_2] < 4000'\n\
         [chains.count]\nmatcher = 'TRUE'\nfilters = [\"count\"]\noutputs = [\"out\"]\n\
         [filters.count]\ninterval = \"1 h\"\nabsorb = true\n[outputs.out]\nplugin = \"null\"\n"
    );
    let ended = Host::run_once(&directory, &config);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = [
        "input made messages 10000",
        "chain one taken 10000 passed 4000 destroyed 6000",
        "chain count taken 10000 emitted 1 passed 1 absorbed 10000",
        "output out marked 4001 delivered 4001",
    ];
    let shown: Vec<String> =
        ended.stderr.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in expected {
        assert!(shown.iter().any(|shown| shown == line), "no line `{line}` in:\n{}", ended.stderr);
    }
}
