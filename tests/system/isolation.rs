//! One output that takes nothing: its input waits, and nobody else notices.

use heka_lib::RouterStats;
use heka_tests::{Directory, Host, Peer, Started, start, wait_until};

/// Most memory that the daemon of these tests may take, whatever waits; a debug build.
const RESIDENT_KIB_MAX: u64 = 100 << 10;

/// One endless input into a peer that doesn't read, another one into `free`.
fn blocked_and_free(peer: &Peer, free: &str) -> String {
    format!(
        "[inputs.blocked]\nplugin = \"generate\"\npayload_bytes = 1000\n\
         [inputs.free]\nplugin = \"generate\"\n\
         [chains.blocked]\nmatcher = 'Logger == \"blocked\"'\noutputs = [\"blocked\"]\n\
         [chains.free]\nmatcher = 'Logger == \"free\"'\noutputs = [\"free\"]\n\
         [outputs.blocked]\nplugin = \"tcp\"\naddress = \"{}\"\n\
         [outputs.free]\n{free}\n",
        peer.address()
    )
}

fn is_paused(stats: impl Fn() -> [u64; 2]) -> bool {
    let [blocked, free] = stats();
    wait_until("the other chain goes on", || stats()[1] > free + 100_000);
    blocked > 0 && stats()[0] == blocked
}

fn messages(started: &Started, input: &str) -> u64 {
    started.router.stats().input(input).map_or(0, |input| input.messages)
}

#[test]
fn a_blocked_output_pauses_its_input_and_no_other() {
    let peer = Peer::new();
    let started =
        start(&blocked_and_free(&peer, "plugin = \"null\""), "shutdown_deadline = \"1 s\"").unwrap();
    wait_until("the blocked input waits while the other goes on", || {
        is_paused(|| [messages(&started, "blocked"), messages(&started, "free")])
    });
    let stats: RouterStats = started.router.stop();
    let free = stats.output("free").unwrap();
    assert_eq!(
        free.queued() + free.abandoned,
        0,
        "what the free input read is delivered at the stop:\n{stats}"
    );
    assert_eq!(free.delivered, stats.input("free").unwrap().messages, "{stats}");
}

#[test]
fn memory_stays_bounded_while_an_output_is_blocked() {
    let (directory, peer) = (Directory::new(), Peer::new());
    let config =
        "[heka]\nshutdown_deadline = \"100 ms\"\n".to_owned() + &blocked_and_free(&peer, "plugin = \"null\"");
    let host = Host::run(&directory, &config);
    wait_until("the blocked input waits while the other goes on", || {
        is_paused(|| [host.count("input blocked", "messages"), host.count("input free", "messages")])
    });
    let resident = host.resident_kib();
    assert!(resident < RESIDENT_KIB_MAX, "{resident} KiB");
    assert_eq!(host.stop().status, Some(1));
}

#[test]
fn everything_arrives_in_order_once_the_peer_reads() {
    const MESSAGES: usize = 30_000;
    let peer = Peer::new();
    let config = format!(
        "[inputs.made]\nplugin = \"generate\"\ncount = {MESSAGES}\npayload_bytes = 1000\nfields = 2\n\
         [chains.default]\nfilters = [\"all\"]\noutputs = [\"peer\"]\n\
         [filters.all]\nplugin = \"match\"\nkeep = 'TRUE'\n\
         [encoders.number]\nplugin = \"template\"\ntemplate = \"{{Fields[field_2]}} {{payload}}\"\n\
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{}\"\nencoder = \"number\"\n",
        peer.address()
    );
    let started = start(&config, "").unwrap();
    let connection = peer.accept();
    let made = || messages(&started, "made");
    wait_until("the input waits", || {
        let before = made();
        // Something else gets time to happen.
        (0..1000).for_each(|_| std::thread::yield_now());
        before > 0 && made() == before
    });
    assert!(made() < MESSAGES as u64, "the kernel took everything: more messages are needed");
    peer.read_from(connection);
    peer.wait_for_lines(MESSAGES);
    let numbers: Vec<usize> =
        peer.lines().iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>());
    assert_eq!(started.router.stop().left(), 0);
}

#[test]
fn a_blocked_output_of_one_chain_does_not_hold_up_another_chain_of_another_input_with_filters() {
    let peer = Peer::new();
    let config = blocked_and_free(&peer, "plugin = \"null\"")
        .replace("outputs = [\"free\"]", "filters = [\"count\"]\noutputs = [\"free\"]")
        + "[filters.count]\ninterval = \"1 h\"\n";
    let started = start(&config, "shutdown_deadline = \"1 s\"").unwrap();
    wait_until("the blocked input waits while the other goes on", || {
        is_paused(|| [messages(&started, "blocked"), messages(&started, "free")])
    });
    let stats = started.router.stop();
    let taken = stats.chain("free").unwrap().taken;
    assert_eq!(taken, stats.input("free").unwrap().messages, "{stats}");
    assert_eq!(stats.output("free").unwrap().delivered, taken + 1, "with the count at the end:\n{stats}");
}
