//! statsd as others know it: npm's server beside this one on the same packets, and clients from PyPI, all unmodified.

use heka_tests::{Directory, Host, Peer, address_of, install_npm, install_python, say_skipped, wait_for};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const NPM: &str = "statsd@0.9.0";
const PYTHON: [&str; 3] = ["datadog==0.56.0", "statsd==4.0.1", "aiodogstatsd==0.16.0.post0"];
/// How often a comparison begins anew when an interval ended in its middle.
const TRIES: usize = 5;

/// Lines that both read, each with the names of its own. What npm's reads otherwise on purpose isn't here: `NaN`, `inf`
/// and hexadecimal numbers, types that it takes for counters, rates without `@`, an unsampled `@0`.
const CASES: [&str; 39] = [
    "c.one:1|c",
    "c.sum:1|c\nc.sum:2|c\nc.sum:39|c",
    "c.negative:-5|c\nc.negative:2|c",
    "c.decimals:0.5|c\nc.decimals:1.25|c",
    "c.rate:1|c|@0.1\nc.rate:1|c",
    "c.third:1|c|@0.3\nc.third:2|c|@0.7",
    "c.rate_over_1:4|c|@2",
    "c.large:9007199254740991|c",
    "c.exponent:1e3|c",
    "c.plus:+5|c",
    "c.meter:3|m",
    "c.zero:0|c",
    "c.multi:1|c:2|c:3|c|@0.5",
    "c.bad:1|c\nc.bad:x|c\nc.bad:|c\nc.bad:2\nc.bad\nc.bad:3|c|0.1\nc.bad:3|c|@x\nc.bad:3|c|@-1\nc.bad:4|c",
    "c.spaces in name:1|c\nc.spaces_in_name:2|c",
    "c.slash/es:1|c",
    "c.odd(sig)ns!:1|c",
    "c.carriage:1|c\r\nc.carriage:2|c\r\n",
    "c.tagged:1|c|#env:prod,host:a\nc.tagged:2|c",
    "g.set:10|g\ng.set:3.5|g",
    "g.change:10|g\ng.change:+5|g\ng.change:-3|g",
    "g.below:-7|g",
    "g.below_then:5|g\ng.below_then:0|g\ng.below_then:-7|g",
    "g.from_nothing:+4|g",
    "g.rate:10|g|@0.1",
    "t.one:17|ms",
    "t.two:1|ms\nt.two:3|ms",
    "t.half:1|ms\nt.half:2|ms\nt.half:3|ms\nt.half:4|ms\nt.half:5|ms",
    "t.ten:10|ms\nt.ten:9|ms\nt.ten:8|ms\nt.ten:7|ms\nt.ten:6|ms\nt.ten:5|ms\nt.ten:4|ms\nt.ten:3|ms\nt.ten:2|ms\nt.ten:1|ms",
    "t.decimals:0.25|ms\nt.decimals:12.125|ms\nt.decimals:1e-3|ms",
    "t.rate:4|ms|@0.1\nt.rate:6|ms",
    "t.negative:-1|ms\nt.negative:1|ms",
    "t.same:5|ms\nt.same:5|ms\nt.same:5|ms",
    "t.multi:1|ms:2|ms:3|ms",
    "t.zero:0|ms",
    "s.members:a|s\ns.members:b|s\ns.members:a|s",
    "s.numbers:1|s\ns.numbers:01|s\ns.numbers:1.0|s",
    "s.empty:|s\ns.empty:0|s",
    "x.kinds:1|c\nx.kinds:2|g\nx.kinds:3|ms\nx.kinds:4|s",
];

/// npm's statsd, ended when dropped.
struct Npm {
    child: Child,
    port: u16,
    graphite: Peer,
}

impl Drop for Npm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Npm {
    fn start(installed: &Path, directory: &Directory, legacy: bool) -> Npm {
        let free = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (port, management, graphite) = (free(), free(), Peer::new());
        graphite.read_all();
        let config = format!(
            "{{ port: {port}, mgmt_port: {management}, flushInterval: 2000, percentThreshold: [90, 99.9, -10], \
             backends: ['./backends/graphite'], graphiteHost: '127.0.0.1', graphitePort: {}, \
             graphite: {{ legacyNamespace: {legacy} }} }}",
            graphite.address().port()
        );
        let config = directory.write("npm.js", config);
        let mut command = Command::new("node");
        command.arg(installed.join("node_modules/statsd/stats.js")).arg(config);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start node");
        Npm { child, port, graphite }
    }

    /// Waits until something with this text was flushed; returns all lines of the flushes in which it isn't 0.
    fn flushed(&self, text: &str) -> BTreeMap<String, f64> {
        wait_for("npm's statsd flushes", || flush_with(&self.graphite.lines(), text))
    }
}

/// The lines of a flush, told by their time, in which the named figure is not 0.
fn flush_with(lines: &[String], name: &str) -> Option<BTreeMap<String, f64>> {
    let parts = |line: &'_ str| -> Option<(String, f64, String)> {
        let mut parts = line.split(' ');
        Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    let all: Vec<_> = lines.iter().filter_map(|line| parts(line)).collect();
    let time = &all.iter().find(|(one, value, _)| one.contains(name) && *value != 0.0)?.2;
    // The last line of a flush of either.
    all.iter().find(|(one, _, at)| at == time && one.ends_with("numStats"))?;
    Some(all.iter().filter(|(_, _, at)| at == time).map(|(one, value, _)| (one.clone(), *value)).collect())
}

fn heka(directory: &Directory, legacy: bool) -> (Host, SocketAddr) {
    let namespaces = if legacy { "legacy" } else { "current" };
    let config = format!(
        "[heka]\nstate_dir = \"state\"\n[inputs.stats]\nplugin = \"statsd\"\naddress = \"127.0.0.1:0\"\n\
         flush_interval = \"2 s\"\nnamespaces = \"{namespaces}\"\npercent_threshold = [90, 99.9, -10]\n\
         timer_statistics = \"all\"\n[chains.default]\noutputs = [\"graphite\"]\n\
         [outputs.graphite]\nplugin = \"file\"\npath = \"graphite\"\nencoder = \"payload\"\n"
    );
    let host = Host::run(directory, &config);
    let address = address_of(directory, "stats");
    (host, address)
}

/// What both flushed of the packets, with everything in one interval at each.
fn flushed_side_by_side(installed: &Path, packets: &[String], legacy: bool) -> [BTreeMap<String, f64>; 2] {
    for _ in 0..TRIES {
        let directory = Directory::new();
        let npm = Npm::start(installed, &directory, legacy);
        // The start of an interval.
        wait_for("npm's statsd runs", || {
            npm.graphite.lines().iter().any(|line| line.contains("numStats")).then_some(())
        });
        let (_host, address) = heka(&directory, legacy);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let targets = [address, SocketAddr::from(([127, 0, 0, 1], npm.port))];
        let send = |packet: &str| {
            targets.iter().for_each(|target| _ = socket.send_to(packet.as_bytes(), target).unwrap())
        };
        send("first:1|c");
        packets.iter().for_each(|packet| send(packet));
        send("last:1|c");
        let figure = if legacy { "stats_counts.last" } else { "counters.last.count" };
        let theirs = npm.flushed(figure);
        let ours = wait_for("heka flushes", || flush_with(&directory.lines("graphite"), figure));
        let first = if legacy { "stats_counts.first" } else { "stats.counters.first.count" };
        if [&ours, &theirs].iter().all(|flush| flush.get(first) == Some(&1.0)) {
            return [ours, theirs];
        }
    }
    panic!("an interval ended in the middle each of {TRIES} times");
}

fn assert_same([ours, theirs]: &[BTreeMap<String, f64>; 2], note: &str) {
    let is_own = |name: &str| name.contains("statsd.") || name.contains("numStats");
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1e-3);
    let mut differences = Vec::new();
    let names = ours.keys().chain(theirs.keys()).filter(|name| !is_own(name));
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        match (ours.get(name), theirs.get(name)) {
            (Some(one), Some(other)) if near(*one, *other) => {}
            (one, other) => differences.push(format!("{name}: {one:?} here, {other:?} at npm's")),
        }
    }
    assert!(differences.is_empty(), "{note}{}", differences.join("\n"));
    assert!(theirs.keys().filter(|name| !is_own(name)).count() > 40, "{theirs:?}");
}

/// Says loudly what this machine can't do.
fn installed<T>(result: Result<T, String>) -> Option<T> {
    result.map_err(|why| say_skipped("a statsd of others", &why)).ok()
}

#[test]
fn a_table_of_packets_gives_what_npms_statsd_gives() {
    let Some(npm) = installed(install_npm(&[NPM])) else { return };
    let packets: Vec<String> = CASES.map(str::to_owned).to_vec();
    for legacy in [false, true] {
        assert_same(&flushed_side_by_side(&npm, &packets, legacy), "");
    }
}

/// So few that the kernel's buffer of npm's socket, which is of the default size, holds all of them.
const PACKETS: usize = 100;

#[test]
fn random_packets_give_what_npms_statsd_gives() {
    let Some(npm) = installed(install_npm(&[NPM])) else { return };
    let seed = std::env::var("HEKA_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let packets: Vec<String> = (0..PACKETS).map(|_| packet(&mut random)).collect();
    assert_same(&flushed_side_by_side(&npm, &packets, false), &format!("HEKA_TEST_SEED={seed}\n"));
}

/// A packet of a few random lines.
fn packet(random: &mut fastrand::Rng) -> String {
    let lines: Vec<String> = (0..random.usize(1..12)).map(|_| line(random)).collect();
    lines.join("\n")
}

fn line(random: &mut fastrand::Rng) -> String {
    let name = format!("r.{}", random.u8(0..30));
    let kind = *random.choice(&["c", "g", "ms", "s"]).unwrap();
    let value = match (kind, random.u8(0..4)) {
        ("g", 0) => format!("{:+}", random.i32(-50..50)),
        ("ms", 0) => format!("{:.3}", random.f64() * 1e4),
        (_, 0) => format!("{:.2}", (random.f64() - 0.5) * 1e3),
        ("ms" | "s", _) => random.u32(0..2_000).to_string(),
        _ => random.i32(-1_000..100_000).to_string(),
    };
    let rate = match random.u8(0..5) {
        0 if kind != "s" => format!("|@{}", *random.choice(&["0.1", "0.25", "0.3", "1"]).unwrap()),
        _ => String::new(),
    };
    match random.u8(0..30) {
        0 => format!("{name}:{value}"),
        1 => format!("{name}:x{value}|c"),
        2 => format!("{name}:{value}|{kind}{rate}:{value}|{kind}"),
        _ => format!("{name}:{value}|{kind}{rate}"),
    }
}

/// Everything that the clients can send.
const SCRIPT: &str = r##"
import asyncio, sys
from datadog.dogstatsd.base import DogStatsd
import statsd, aiodogstatsd
port, tcp_port, datagrams, stream = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]

def everything(dog, base):
    dog.increment(base + ".page.views")
    dog.increment(base + ".page.views", 4, tags=["env:prod"])
    dog.decrement(base + ".page.views", 2)
    dog.increment(base + ".sampled", 10, sample_rate=1)
    dog.gauge(base + ".users", 12.5)
    dog.gauge(base + ".users", 13)
    dog.gauge_with_timestamp(base + ".old", 7, 1656581400)
    dog.count_with_timestamp(base + ".oldcount", 8, 1656581400)
    dog.histogram(base + ".file.size", 100)
    dog.distribution(base + ".response", 200, tags=["a:b", "plain"])
    dog.timing(base + ".query", 300)
    with dog.timed(base + ".block", use_ms=True):
        pass
    dog.set(base + ".uniques", "fred")
    dog.set(base + ".uniques", "mary")
    dog.set(base + ".uniques", "fred")
    dog.event("Man down!", "This server\nneeds assistance.", alert_type="error", tags=["x:y"], hostname="web7")
    dog.service_check("app.ok", DogStatsd.WARNING, message="hmm", tags=["x:y"])
    dog.flush()

everything(DogStatsd(host="127.0.0.1", port=port, disable_buffering=True, telemetry_min_flush_interval=0), "dog")
everything(DogStatsd(host="127.0.0.1", port=port, disable_buffering=False, disable_telemetry=True), "buffered")
everything(DogStatsd(socket_path=datagrams, disable_telemetry=True, disable_buffering=True, socket_timeout=10), "unix")
packed = DogStatsd(host="127.0.0.1", port=port, disable_telemetry=True, disable_aggregation=False, flush_interval=100)
everything(packed, "packed")
packed.flush_aggregated_metrics()
packed.flush()

def plain(client, base):
    client.incr(base + ".hits")
    client.incr(base + ".hits", 4)
    client.decr(base + ".hits", 2)
    client.gauge(base + ".level", 70)
    client.gauge(base + ".level", -4, delta=True)
    client.gauge(base + ".level", 9, delta=True)
    client.timing(base + ".time", 320.5)
    with client.timer(base + ".timer"):
        pass
    client.set(base + ".set", "a")
    client.set(base + ".set", 1)
    with client.pipeline() as pipe:
        pipe.incr(base + ".piped")
        pipe.incr(base + ".piped")

plain(statsd.StatsClient("127.0.0.1", port, prefix="py"), "udp")
plain(statsd.TCPStatsClient("127.0.0.1", tcp_port, prefix="py"), "tcp")
plain(statsd.UnixSocketStatsClient(stream, prefix="py"), "unix")

async def aio():
    async with aiodogstatsd.Client(host="127.0.0.1", port=port, namespace="aio", constant_tags={"k": "v"}) as client:
        client.increment("hits", value=3)
        client.decrement("hits")
        client.gauge("level", value=5)
        client.histogram("size", value=21)
        client.distribution("dist", value=22)
        client.timing("time", value=23)
        await asyncio.sleep(0.2)

asyncio.run(aio())
"##;

/// What each of Datadog's clients leads to.
const OF_DATADOG: [&str; 12] = [
    "stats.counters.BASE.page.views.count -1",
    "stats.counters.BASE.page.views.count;env=prod 4",
    "stats.counters.BASE.sampled.count 10",
    "stats.gauges.BASE.users 13",
    "stats.gauges.BASE.old 7",
    "stats.counters.BASE.oldcount.count 8",
    "stats.histograms.BASE.file.size.upper 100",
    "stats.histograms.BASE.response.sum;a=b;plain=true 200",
    "stats.timers.BASE.query.mean 300",
    "stats.timers.BASE.block.count 1",
    "stats.sets.BASE.uniques.count 2",
    "stats.histograms.BASE.file.size.count 1",
];

/// What each client of the package `statsd` leads to.
const OF_STATSD: [&str; 6] = [
    "stats.counters.py.BASE.hits.count 3",
    "stats.gauges.py.BASE.level 75",
    "stats.timers.py.BASE.time.sum 320.5",
    "stats.timers.py.BASE.timer.count 1",
    "stats.sets.py.BASE.set.count 2",
    "stats.counters.py.BASE.piped.count 2",
];

const OF_AIO: [&str; 5] = [
    "stats.counters.aio.hits.count;k=v 2",
    "stats.gauges.aio.level;k=v 5",
    "stats.histograms.aio.size.upper;k=v 21",
    "stats.histograms.aio.dist.upper;k=v 22",
    "stats.timers.aio.time.upper;k=v 23",
];

#[test]
fn clients_of_python_are_understood() {
    let Some(python) = installed(install_python(&PYTHON)) else { return };
    let directory = Directory::new();
    let config = "[heka]\nstate_dir = \"state\"\n\
        [inputs.net]\nplugin = \"statsd\"\naddress = \"127.0.0.1:0\"\nstream_address = \"127.0.0.1:0\"\nflush_interval = \"1 h\"\n\
        [inputs.unix]\nplugin = \"statsd\"\naddress = \"unix:d.sock\"\nstream_address = \"unix:s.sock\"\nflush_interval = \"1 h\"\n\
        [chains.default]\noutputs = [\"lines\"]\n\
        [chains.events]\nmatcher = 'Type =~ /^datadog/'\noutputs = [\"events\"]\n\
        [outputs.lines]\nplugin = \"file\"\npath = \"lines\"\nencoder = \"payload\"\n\
        [outputs.events]\nplugin = \"file\"\npath = \"events\"\nencoder = \"json\"\n";
    let host = Host::run(&directory, config);
    let port = address_of(&directory, "net").port().to_string();
    let stream = directory.read("state/inputs/net/stream_address");
    let tcp_port = stream.trim().rsplit(':').next().unwrap();
    let script = directory.write("script.py", SCRIPT);
    let mut command = Command::new(python);
    command.arg(script).args([&*port, tcp_port, "d.sock", "s.sock"]).current_dir(directory.path());
    let output = command.output().expect("run python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("malformed"), "{}", ended.stderr);
    let lines = directory.lines("lines");
    let bases = |templates: &[&str], bases: &[&str]| -> Vec<String> {
        bases.iter().flat_map(|base| templates.iter().map(move |one| one.replace("BASE", base))).collect()
    };
    let mut expected = bases(&OF_DATADOG, &["dog", "buffered", "unix", "packed"]);
    expected.extend(bases(&OF_STATSD, &["udp", "tcp", "unix"]));
    expected.extend(OF_AIO.map(str::to_owned));
    let is_told =
        |line: &&String| !lines.iter().any(|one| one.rsplit_once(' ').is_some_and(|(one, _)| one == **line));
    let missing: Vec<&String> = expected.iter().filter(is_told).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}\n{}", lines.join("\n"));
    let events = directory.read("events");
    assert_eq!(events.matches("\"type\":\"datadog.event\"").count(), 4, "{events}");
    assert_eq!(events.matches("\"type\":\"datadog.check\"").count(), 4, "{events}");
    for part in [
        "Man down!",
        "This server\\nneeds assistance.",
        "\"hostname\":\"web7\"",
        "\"alert_type\":\"error\"",
        "hmm",
    ] {
        assert_eq!(events.matches(part).count(), 4, "{part}: {events}");
    }
}
