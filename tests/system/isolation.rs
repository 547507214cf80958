//! One output that takes nothing: its input waits, and nobody else notices.

use heka_lib::RouterStats;
use heka_tests::{Directory, Host, Peer, Started, assert_balanced, start, wait_until};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Most memory that the daemon of these tests may take, whatever waits; a debug build.
const RESIDENT_KIB_MAX: u64 = 100 << 10;

/// One endless input into a peer that doesn't read, another one into `free`.
fn blocked_and_free(peer: &Peer, free: &str) -> String {
    format!(
        "[inputs.blocked]\nplugin = \"generate\"\npayload_bytes = 1000\n\
         [inputs.free]\nplugin = \"generate\"\n\
         [chains.blocked]\nmatcher = 'Logger == \"blocked\"'\noutputs = [\"blocked\"]\n\
         [chains.free]\nmatcher = 'Logger == \"free\"'\noutputs = [\"free\"]\n\
         [outputs.blocked]\nplugin = \"tcp\"\naddress = \"{}\"\nqueue = {{ kind = \"memory\", max_bytes = \"1 MiB\" }}\n\
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

/// Messages that an output has delivered, a second, while `millis` pass.
fn rate(started: &Started, output: &str, millis: u64) -> f64 {
    let delivered = || started.router.stats().output(output).map_or(0, |output| output.delivered);
    let (before, since) = (delivered(), Instant::now());
    while since.elapsed() < Duration::from_millis(millis) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    (delivered() - before) as f64 / since.elapsed().as_secs_f64()
}

#[test]
fn a_dead_and_a_slow_output_leave_a_healthy_one_its_rate() {
    const RATE: u64 = 40_000;
    let config = |more: &str, outputs: &str| {
        format!(
            "[inputs.made]\nplugin = \"generate\"\nrate = {RATE}\npayload_bytes = 200\n\
             [chains.default]\noutputs = [{outputs}]\n[outputs.healthy]\nplugin = \"null\"\n{more}"
        )
    };
    let alone = start(&config("", "\"healthy\""), "").unwrap();
    let rate_alone = rate(&alone, "healthy", 2_000);
    alone.router.stop();
    let (dead, slow) = (Peer::new(), Peer::new());
    let more = format!(
        "[outputs.dead]\nplugin = \"tcp\"\naddress = \"{}\"\n[outputs.slow]\nplugin = \"tcp\"\naddress = \"{}\"\n",
        dead.address(),
        slow.address()
    );
    let started =
        start(&config(&more, "\"dead\", \"slow\", \"healthy\""), "shutdown_deadline = \"3 s\"").unwrap();
    let connection = slow.accept();
    std::thread::spawn(move || read_slowly(connection, RATE * 200 / 100));
    wait_until("the dead one's messages go to the disk", || {
        started.router.stats().output("dead").is_some_and(|dead| dead.on_disk > 0)
    });
    let beside = rate(&started, "healthy", 2_000);
    assert!(beside >= 0.95 * rate_alone, "{beside} messages a second, alone {rate_alone}");
    let stats = started.router.stop();
    assert_eq!(stats.left(), 0, "what was not delivered is on the disk:\n{stats}");
    assert!(stats.output("dead").unwrap().queued() > RATE, "{stats}");
    assert_balanced(&stats);
}

/// Reads at most so many bytes a second.
fn read_slowly(mut connection: TcpStream, bytes: u64) {
    let mut buffer = vec![0; (bytes / 50) as usize];
    while connection.read(&mut buffer).is_ok_and(|read| read > 0) {
        std::thread::park_timeout(Duration::from_millis(20));
    }
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
         [outputs.peer]\nplugin = \"tcp\"\naddress = \"{}\"\nencoder = \"number\"\n\
         queue = {{ kind = \"memory\", max_bytes = \"1 MiB\" }}\n",
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
