//! The hop from host to host: its rate, with and without TLS, many agents, and how soon it answers.

use crate::agent::Agent;
use crate::host::{Bench, OnDisk, Served, median, show};
use crate::sink::{LINE_BYTES, Sink};
use heka_plugin_api::OwnedMessage;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long a rate is measured.
const SECONDS: u64 = 5;
/// How many agents are connected at once, and how often each sends.
const AGENTS: u64 = 2_000;
const MESSAGES_A_SECOND: u64 = 100;
/// How many messages are sent alone, to see how soon they are acknowledged.
const SINGLES: u64 = 300;
/// How long a grater may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Messages from an agent over the hop to a grater, and over TCP from there.
pub(crate) fn plain(bench: &Bench) -> Result<(), String> {
    let rate = bench.median(|| hopped(bench, "", ""))?;
    show("agent -> hop (lz4) -> grater -> TCP", rate, "M/s", "1");
    Ok(())
}

/// The same in turn with TLS and without.
pub(crate) fn tls(bench: &Bench) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.map_err(|error| error.to_string())?;
    let (certificate, key) = (bench.work.join("certificate.pem"), bench.work.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).map_err(|error| error.to_string())?;
    fs::write(&key, made.signing_key.serialize_pem()).map_err(|error| error.to_string())?;
    let (certificate, key) = (certificate.display(), key.display());
    let agent = format!("tls = {{ ca = \"{certificate}\", server_name = \"localhost\" }}");
    let grater = format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}");
    let (with, _, ratio) = bench.medians(|| hopped(bench, &agent, &grater), || hopped(bench, "", ""))?;
    show("agent -> hop (lz4, TLS) -> grater -> TCP", with, "M/s", "");
    show("  against the one without TLS", ratio, "x", "0.6");
    Ok(())
}

fn hopped(bench: &Bench, agent_options: &str, grater_options: &str) -> Result<f64, String> {
    let (sink, state) = (Sink::open()?, OnDisk::new(bench)?);
    let output = format!("plugin = \"tcp\"\naddress = \"{}\"\nencoder = \"payload\"", sink.address);
    let (grater, address) = start_grater(bench, &state, grater_options, &output)?;
    let agent = format!(
        "[inputs.made]\nplugin = \"generate\"\npayload_bytes = {}\n[chains.default]\noutputs = [\"grater\"]\n\
         [outputs.grater]\nplugin = \"hop\"\naddress = \"{address}\"\n{agent_options}\n",
        LINE_BYTES - 1
    );
    let agent: Served = bench.serve_in("agent", &agent, &state.0.join("agent"))?;
    std::thread::sleep(Duration::from_secs(2));
    let rate = sink.rate(SECONDS);
    drop((agent, grater));
    Ok(rate)
}

/// Starts a grater on a free port and waits until it listens.
fn start_grater(
    bench: &Bench,
    state: &OnDisk,
    options: &str,
    output: &str,
) -> Result<(Served, String), String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.map_err(|error| error.to_string())?.to_string();
    let config = format!(
        "[inputs.agents]\nplugin = \"hop\"\naddress = \"{address}\"\n{options}\n\
         [chains.default]\noutputs = [\"all\"]\n[outputs.all]\n{output}\n"
    );
    let grater = bench.serve_in("grater", &config, &state.0.join("grater"))?;
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(&address).is_err() {
        if Instant::now() > until {
            return Err("the grater doesn't listen".to_owned());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok((grater, address))
}

/// Many agents that each send a little: what it costs the grater.
pub(crate) fn agents(bench: &Bench) -> Result<(), String> {
    for together in [1, 10] {
        let figures: Result<Vec<_>, String> = (0..bench.runs()).map(|_| loaded(bench, together)).collect();
        let figures = figures?;
        let cores = median(figures.iter().map(|figure| figure.0).collect());
        let rate = median(figures.iter().map(|figure| figure.1).collect());
        show(&format!("{AGENTS} agents, {together} messages a frame: the grater"), cores, "cores", "1");
        show("  acknowledged of what they send", rate, "x", "1");
    }
    Ok(())
}

/// Lets all agents send for a while, `together` messages in each frame; returns how many cores the grater used, and
/// which part of the messages that were due was acknowledged.
fn loaded(bench: &Bench, together: u64) -> Result<(f64, f64), String> {
    let state = OnDisk::new(bench)?;
    let (grater, address) = start_grater(bench, &state, "", "plugin = \"null\"")?;
    let message = line()?;
    let agents: Result<Vec<Agent>, String> =
        (0..AGENTS).map(|number| Agent::connect(&address, number)).collect();
    let mut agents = agents?;
    let round = Duration::from_secs(1) * together as u32 / MESSAGES_A_SECOND as u32;
    let (before, started) = (grater.processor_seconds(), Instant::now());
    let mut rounds = 0;
    while started.elapsed() < Duration::from_secs(2 * SECONDS) {
        for agent in &mut agents {
            agent.send(&message, together)?;
            agent.listen()?;
        }
        rounds += 1;
        std::thread::sleep((round * rounds).saturating_sub(started.elapsed()));
    }
    let seconds = started.elapsed().as_secs_f64();
    let cores = (grater.processor_seconds() - before) / seconds;
    let acknowledged: Result<u64, String> = agents.iter_mut().map(Agent::listen).sum();
    let due = AGENTS as f64 * MESSAGES_A_SECOND as f64 * seconds;
    Ok((cores, acknowledged? as f64 / due))
}

/// One message at a time into a grater whose queue is synced to the disk: how soon it is acknowledged.
pub(crate) fn answer(bench: &Bench) -> Result<(), String> {
    let state = OnDisk::new(bench)?;
    let path = state.0.join("all.log").display().to_string();
    let output = format!(
        "plugin = \"file\"\npath = \"{path}\"\nencoder = \"payload\"\n\
         queue = {{ kind = \"disk\", durability = \"fsync\" }}"
    );
    let (grater, address) = start_grater(bench, &state, "", &output)?;
    let (mut agent, message) = (Agent::connect(&address, 1)?, line()?);
    let mut times = Vec::new();
    for _ in 0..SINGLES {
        times.push(agent.send_and_wait(&message)?.as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(grater);
    times.sort_by(f64::total_cmp);
    show("one message, acknowledged out of a synced queue", times[times.len() / 2], "ms", "10");
    show("  99 % within", times[times.len() * 99 / 100], "ms", "");
    Ok(())
}

fn line() -> Result<OwnedMessage, String> {
    let text = "x".repeat(LINE_BYTES as usize - 1);
    OwnedMessage::build(|message| _ = message.payload(&text)).map_err(|error| error.to_string())
}
