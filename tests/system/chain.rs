//! What filters do to the messages of a chain, and to nobody else's.

use heka_lib::RouterStats;
use heka_tests::{Capture, Captured, run_to_end};

/// 100 messages whose integer field `field_2` counts from 0.
const INPUT: &str = "[inputs.made]\nplugin = \"generate\"\ncount = 100\npayload_bytes = 20\nfields = 2\n";

/// Runs 100 messages through chains to one output; returns what came out.
fn check(config: &str, more: &str) -> (Vec<Captured>, RouterStats) {
    let out = Capture::new();
    let stats = run_to_end(&format!("{INPUT}{config}{}", out.output("out")), more);
    (out.messages(), stats)
}

fn filter(name: &str, options: &str) -> String {
    format!("[filters.{name}]\n{options}\n")
}

/// Values of a field that all messages have, in order.
fn numbers(messages: &[Captured], field: &str) -> Vec<i64> {
    messages.iter().map(|message| message.field(field).unwrap().parse().unwrap()).collect()
}

#[test]
fn drop_stops_the_chain() {
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"half\", \"number\"]\noutputs = [\"out\"]\n"
        .to_owned()
        + &filter("half", "plugin = \"match\"\ndrop = 'Fields[field_2] >= 50'")
        + &filter("number", "plugin = \"tally\"\nfield = \"seen\"");
    let (messages, stats) = check(&config, "");
    assert_eq!(
        numbers(&messages, "seen"),
        (1..=50).collect::<Vec<_>>(),
        "the second filter sees only what is left"
    );
    let chain = stats.chain("one").unwrap();
    assert_eq!((chain.taken, chain.destroyed, chain.passed), (100, 50, 50));
}

#[test]
fn filters_run_in_order_and_see_each_others_edits() {
    let config =
        "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"first\", \"second\", \"third\"]\noutputs = [\"out\"]\n"
            .to_owned()
            + &filter(
                "third",
                "plugin = \"match\"\nkeep = 'Fields[copy] == 7 && Type == \"changed\" && Payload == \"it is 7\"'",
            )
            + &filter(
                "second",
                "plugin = \"set\"\npayload = \"it is {Fields[copy]}\"\nmessage_type = \"changed\"",
            )
            + &filter("first", "plugin = \"set\"\nset = { copy = \"{Fields[field_2]}\" }");
    let (messages, _) = check(&config, "");
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].payload.as_str(), messages[0].field("copy")), ("it is 7", Some("7")));
}

#[test]
fn marks_choose_outputs() {
    let (few, most) = (Capture::new(), Capture::new());
    let config = INPUT.to_owned()
        + "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"away\", \"there\"]\noutputs = [\"most\"]\n"
        + &filter("away", "plugin = \"mark\"\nremove = [\"most\"]\nwhen = 'Fields[field_2] < 10'")
        + &filter("there", "plugin = \"mark\"\nadd = [\"few\"]\nwhen = 'Fields[field_2] < 15'")
        + &few.output("few")
        + &most.output("most");
    run_to_end(&config, "");
    assert_eq!(numbers(&few.messages(), "field_2"), (0..15).collect::<Vec<_>>());
    assert_eq!(numbers(&most.messages(), "field_2"), (10..100).collect::<Vec<_>>());
}

#[test]
fn a_message_that_is_marked_for_nothing_ends_quietly() {
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"none\"]\noutputs = [\"out\"]\n".to_owned()
        + &filter("none", "plugin = \"mark\"\noutputs = []\nwhen = 'Fields[field_2] != 3'");
    let (messages, stats) = check(&config, "");
    assert_eq!(numbers(&messages, "field_2"), [3]);
    assert_eq!(stats.chain("one").unwrap().passed, 100);
}

#[test]
fn emitted_messages_go_through_the_rest_of_the_chain() {
    let config =
        "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"before\", \"echo\", \"after\"]\noutputs = [\"out\"]\n"
            .to_owned()
            + &filter("before", "plugin = \"tally\"\nfield = \"before\"")
            + &filter("echo", "emit_type = \"echoed\"\nverdict = \"drop\"\ntimes = 2")
            + &filter("after", "plugin = \"tally\"\nfield = \"after\"");
    let (messages, stats) = check(&config, "");
    assert_eq!(numbers(&messages, "after"), (1..=200).collect::<Vec<_>>());
    assert!(
        messages.iter().all(|message| message.message_type == "echoed" && message.field("before").is_none())
    );
    let chain = stats.chain("one").unwrap();
    assert_eq!((chain.taken, chain.emitted, chain.destroyed, chain.passed), (100, 200, 100, 200));
}

#[test]
fn messages_emitted_to_the_router_go_through_other_chains() {
    let config =
        "[chains.one]\nmatcher = 'Type == \"generate\"'\nfilters = [\"echo\", \"after\"]\noutputs = []\n"
            .to_owned()
            + &filter("echo", "emit_type = \"echoed\"\nemit_to = \"router\"")
            + &filter("after", "plugin = \"tally\"\nfield = \"after\"")
            + "[chains.two]\nmatcher = 'Type == \"echoed\"'\noutputs = [\"out\"]\n";
    let (messages, stats) = check(&config, "");
    assert_eq!(messages.len(), 100);
    assert!(
        messages.iter().all(|message| message.message_type == "echoed" && message.field("after").is_none())
    );
    assert_eq!(stats.chain("two").unwrap().taken, 100);
    assert_eq!(stats.injection.injected, 100);
}

#[test]
fn a_message_that_goes_round_too_often_is_a_dead_letter() {
    let dead = Capture::new();
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"echo\"]\noutputs = [\"out\"]\n".to_owned()
        + &filter("echo", "emit_type = \"echoed\"\nemit_to = \"router\"")
        + &dead.output("dead");
    let (messages, stats) = check(&config, "hops_max = 3\ndead_letter = \"dead\"");
    assert_eq!(messages.len(), 400, "each message itself, and its echo after 1, 2 and 3 rounds");
    assert_eq!((stats.injection.injected, stats.injection.dead_lettered), (300, 100));
    assert_eq!(dead.messages().len(), 100);
    let letter = &dead.messages()[0];
    assert!(letter.field("dead_letter_reason").unwrap().contains("hops_max"), "{letter:?}");
}

#[test]
fn chains_do_not_see_each_others_edits() {
    let (one, two, plain) = (Capture::new(), Capture::new(), Capture::new());
    let config = INPUT.to_owned()
        + "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"one\"]\noutputs = [\"one\"]\n\
           [chains.two]\nmatcher = 'TRUE'\nfilters = [\"two\"]\noutputs = [\"two\"]\n\
           [chains.plain]\nmatcher = 'TRUE'\noutputs = [\"plain\"]\n"
        + &filter("one", "plugin = \"set\"\npayload = \"one\"\nremove = [\"field_1\"]")
        + &filter("two", "plugin = \"set\"\nset = { added = 2 }")
        + &one.output("one")
        + &two.output("two")
        + &plain.output("plain");
    run_to_end(&config, "");
    let (one, two, plain) = (one.messages(), two.messages(), plain.messages());
    assert_eq!([one.len(), two.len(), plain.len()], [100; 3]);
    for (index, plain) in plain.iter().enumerate() {
        assert_eq!(one[index].payload, "one");
        assert_eq!((one[index].field("field_1"), one[index].field("added")), (None, None));
        assert_eq!((&two[index].payload, two[index].field("added")), (&plain.payload, Some("2")));
        assert_eq!(two[index].field("field_1"), plain.field("field_1"));
        assert_eq!(plain.field("added"), None);
        assert_eq!((one[index].uuid, two[index].uuid), (plain.uuid, plain.uuid), "an edit keeps the UUID");
    }
}

#[test]
fn a_filter_of_two_chains_is_two_instances() {
    let (low, high) = (Capture::new(), Capture::new());
    let config = INPUT.to_owned()
        + "[chains.low]\nmatcher = 'Fields[field_2] < 30'\nfilters = [\"number\"]\noutputs = [\"low\"]\n\
           [chains.high]\nmatcher = 'Fields[field_2] >= 30'\nfilters = [\"number\"]\noutputs = [\"high\"]\n"
        + &filter("number", "plugin = \"tally\"\nfield = \"seen\"")
        + &low.output("low")
        + &high.output("high");
    run_to_end(&config, "");
    assert_eq!(numbers(&low.messages(), "seen"), (1..=30).collect::<Vec<_>>());
    assert_eq!(numbers(&high.messages(), "seen"), (1..=70).collect::<Vec<_>>());
}

#[test]
fn a_message_that_two_chains_send_to_one_output_arrives_twice() {
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"one\"]\noutputs = [\"out\"]\n\
                  [chains.two]\nmatcher = 'TRUE'\noutputs = [\"out\"]\n"
        .to_owned()
        + &filter("one", "plugin = \"set\"\npayload = \"changed\"");
    let (messages, _) = check(&config, "");
    let changed = messages.iter().filter(|message| message.payload == "changed").count();
    assert_eq!((messages.len(), changed), (200, 100));
}

#[test]
fn a_message_that_a_filter_refuses_is_a_dead_letter_and_the_others_go_on() {
    let dead = Capture::new();
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"number\"]\noutputs = [\"out\"]\n".to_owned()
        + &filter("number", "plugin = \"tally\"\nfield = \"seen\"\nfail_every = 10")
        + &dead.output("dead");
    let (messages, stats) = check(&config, "dead_letter = \"dead\"");
    assert_eq!((messages.len(), stats.chain("one").unwrap().dead_lettered), (90, 10));
    assert_eq!(numbers(&dead.messages(), "field_2"), (0..10).map(|n| n * 10 + 9).collect::<Vec<_>>());
    for letter in dead.messages() {
        assert_eq!(letter.field("dead_letter_reason"), Some("\"every so often\""));
        assert_eq!(letter.field("dead_letter_instance"), Some("\"filter `number`\""));
        assert_eq!(letter.field("dead_letter_attempts"), Some("1"));
    }
}

#[test]
fn what_is_emitted_into_the_chain_goes_round_no_more_often_than_its_parent() {
    let config = "[chains.one]\nmatcher = 'TRUE'\nfilters = [\"copy\", \"again\"]\noutputs = []\n".to_owned()
        + &filter("copy", "plugin = \"echo\"\nemit_type = \"copied\"\nverdict = \"drop\"")
        + &filter("again", "plugin = \"echo\"\nemit_type = \"again\"\nemit_to = \"router\"");
    let (_, stats) = check(&config, "hops_max = 3");
    assert_eq!((stats.injection.injected, stats.injection.dead_lettered), (300, 100), "{stats}");
}

#[test]
fn one_message_that_went_round_too_often_does_not_condemn_the_next() {
    let config = "[chains.one]\nmatcher = 'Type != \"end\"'\nfilters = [\"echo\"]\noutputs = []\n".to_owned()
        + &filter("echo", "emit_type = \"echoed\"\nemit_to = \"router\"");
    let (_, stats) = check(&config, "batch_messages_max = 1\nhops_max = 3");
    assert_eq!((stats.injection.injected, stats.injection.dead_lettered), (300, 100), "{stats}");
}
