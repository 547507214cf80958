//! Messages that come from within: filters that emit to the router, programs that inject.

use heka_plugin_api::OwnedMessage;
use heka_tests::{Capture, assert_balanced, run_to_end, start, wait_until};
use std::collections::BTreeSet;
use std::thread;

const MESSAGES: u64 = 50_000;

/// Two chains whose filters emit to each other through the router, and tiny limits everywhere.
fn made_to_deadlock(verdict: &str, lane: &str) -> (String, String) {
    let config = format!(
        "[inputs.one]\nplugin = \"generate\"\ncount = {MESSAGES}\n\
         [inputs.two]\nplugin = \"generate\"\ncount = {MESSAGES}\n\
         [chains.a]\nmatcher = 'Logger == \"one\" || Type == \"a\"'\nfilters = [\"to_b\"]\noutputs = [\"out\"]\n\
         [chains.b]\nmatcher = 'Logger == \"two\" || Type == \"b\"'\nfilters = [\"to_a\"]\noutputs = [\"out\"]\n\
         [filters.to_b]\nplugin = \"echo\"\nemit_type = \"b\"\nemit_to = \"router\"\nverdict = \"{verdict}\"\n\
         [filters.to_a]\nplugin = \"echo\"\nemit_type = \"a\"\nemit_to = \"router\"\nverdict = \"{verdict}\"\n\
         [outputs.out]\nplugin = \"null\"\n[outputs.dead]\nplugin = \"null\"\n"
    );
    let more = format!(
        "batch_messages_max = 1\nhops_max = 8\ndead_letter = \"dead\"\ninject_lane_bytes_max = \"{lane}\""
    );
    (config, more)
}

#[test]
fn chains_that_feed_each_other_under_full_load_end_and_balance() {
    for verdict in ["pass", "drop", "absorb"] {
        let (config, more) = made_to_deadlock(verdict, "1 GiB");
        let stats = run_to_end(&config, &more);
        let injection = &stats.injection;
        assert_eq!(
            injection.injected,
            2 * MESSAGES * 8,
            "each message goes round `hops_max` times:\n{stats}"
        );
        assert_eq!(injection.dead_lettered, 2 * MESSAGES, "{stats}");
        assert_eq!(stats.output("dead").unwrap().delivered, injection.dead_lettered, "{stats}");
        let passed = if verdict == "pass" { 2 * MESSAGES * 9 } else { 0 };
        assert_eq!(stats.output("out").unwrap().delivered, passed, "{stats}");
    }
}

#[test]
fn a_full_lane_makes_dead_letters_and_blocks_nobody() {
    let (config, more) = made_to_deadlock("drop", "64 KiB");
    let stats = run_to_end(&config, &more);
    let injection = &stats.injection;
    let taken: u64 = stats.chains.iter().map(|chain| chain.taken).sum();
    assert_eq!(
        injection.injected + injection.dead_lettered,
        taken,
        "each taken message is emitted once:\n{stats}"
    );
    assert_eq!(taken, 2 * MESSAGES + injection.injected, "{stats}");
    assert_eq!(stats.output("dead").unwrap().delivered, injection.dead_lettered, "{stats}");
}

#[test]
fn a_router_is_injected_into_from_several_threads() {
    const THREADS: usize = 4;
    const EACH: usize = 2_000;
    let out = Capture::new();
    let config = "[inputs.idle]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
                  [chains.default]\noutputs = [\"out\"]\n"
        .to_owned()
        + &out.output("out");
    let started = start(&config, "").unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let router = &started.router;
            scope.spawn(move || {
                for number in 0..EACH {
                    let payload = format!("{thread} {number}");
                    let message = OwnedMessage::build(|message| {
                        message.message_type("injected").payload(payload);
                    });
                    router.inject(&message.unwrap().view()).unwrap();
                }
            });
        }
    });
    let stats = started.router.stop();
    assert_balanced(&stats);
    let messages = out.messages();
    assert_eq!(messages.len(), THREADS * EACH, "{stats}");
    for thread in 0..THREADS {
        let prefix = format!("{thread} ");
        let numbers: Vec<&str> =
            messages.iter().filter_map(|message| message.payload.strip_prefix(&prefix)).collect();
        let expected: Vec<String> = (0..EACH).map(|number| number.to_string()).collect();
        assert_eq!(numbers, expected, "each thread's messages stay in order");
    }
    let uuids: BTreeSet<[u8; 16]> = messages.iter().map(|message| message.uuid).collect();
    assert_eq!(uuids.len(), messages.len(), "each message has a UUID of its own");
}

#[test]
fn an_injected_message_reaches_an_idle_router_at_once() {
    let out = Capture::new();
    let config = "[inputs.idle]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
                  [chains.default]\noutputs = [\"out\"]\n"
        .to_owned()
        + &out.output("out");
    let started = start(&config, "batch_linger = \"10 s\"").unwrap();
    let message = OwnedMessage::build(|message| _ = message.payload("hello")).unwrap();
    started.router.inject(&message.view()).unwrap();
    wait_until("the message arrives before the linger is over", || out.messages().len() == 1);
    assert_eq!(started.router.stop().left(), 0);
}

#[test]
fn a_message_that_is_too_large_is_refused_at_once() {
    let config = "[inputs.idle]\nplugin = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
                  [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n";
    let started = start(config, "message_bytes_max = \"4 KiB\"").unwrap();
    let sized = |len: usize| OwnedMessage::build(|message| _ = message.payload(vec![b'x'; len])).unwrap();
    assert!(started.router.inject(&sized(100).view()).is_ok());
    let error = started.router.inject(&sized(1 << 20).view()).unwrap_err();
    assert!(error.to_string().contains("message"), "{error}");
    assert_eq!(started.router.stop().output("out").unwrap().delivered, 1);
}
