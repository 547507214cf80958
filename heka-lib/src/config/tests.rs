//! Texts in, configurations or faults out, byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod admin;
mod faults;

/// The smallest configuration that has everything needed.
const BASE: &str = "[inputs.in]\n[outputs.out]\n[chains.default]\noutputs = ['out']\n";

fn read(text: &str) -> Result<Config, Faults> {
    Config::from_document(&from_toml_str("heka.toml", text)?)
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|faults| panic!("{faults}\nin {text}"))
}

/// Checks the faults of a text; `BASE` follows it when `complete` says so.
fn check(text: &str, complete: bool, expected: &[&str]) {
    let text = if complete { format!("{text}\n{BASE}") } else { text.to_owned() };
    let faults = read(&text).map(|_| ()).map_err(|faults| faults.to_string());
    assert_eq!(faults, Err(expected.join("\n")), "{text}");
}

/// Checks the one fault of lines that are put before a complete configuration.
fn fault(text: &str, expected: &str) {
    check(text, true, &[expected]);
}

const EXAMPLE: &str = r#"[heka]
state_dir = "state"               # relative paths: from the working directory

[inputs.access]
plugin = "file"
paths = ["logs/*.log"]
from = "beginning"              # or "end"
decoder = "combined"

[decoders.combined]
plugin = "access_log"
format = "combined"

[filters.server_errors]
plugin = "match"
keep = 'Fields[status] >= 500'

[chains.errors]
matcher = 'Type == "access_log"'
filters = ["server_errors"]
outputs = ["errors"]

[chains.everything]
matcher = 'TRUE'
outputs = ["all"]

[chains.default]                # what no other chain took; here nothing reaches it
outputs = ["all"]

[outputs.errors]
plugin = "file"
path = "out/errors.json"
encoder = "json"

[outputs.all]
plugin = "file"
path = "out/all.log"
encoder = "payload"             # an encoder or decoder without options needs no section
"#;

#[test]
fn a_whole_configuration_is_read() {
    let config = config(EXAMPLE);
    assert_eq!(config.host, HostConfig::default());
    let names: Vec<_> = config.chains.iter().map(|chain| chain.name.as_str()).collect();
    assert_eq!(names, ["errors", "everything", "default"]);
    let input = &config.inputs[0];
    assert_eq!((input.plugin.name.as_str(), &input.plugin.file), ("file", &None));
    assert_eq!(input.options.entries().len(), 2);
    assert_eq!(input.options.at_path("paths[0]").position.to_string(), "heka.toml:6:10");
    let decoder = &input.settings.decoders[0];
    assert_eq!(config.decoder(&decoder.value).unwrap().plugin.name, "access_log");
    let encoder = config.output("all").unwrap().settings.encoder.as_ref().unwrap();
    assert_eq!(
        (encoder.value.as_str(), encoder.position.to_string().as_str()),
        ("payload", "heka.toml:38:11")
    );
    assert_eq!(config.encoder("payload"), None);
    assert_eq!(config.filter("server_errors").unwrap().settings.emit_to, EmitTo::Chain);
    let matcher = config.chains[0].matcher.as_ref().unwrap();
    assert_eq!(
        (matcher.value.as_str(), matcher.position.to_string().as_str()),
        ("Type == \"access_log\"", "heka.toml:19:11")
    );
    assert!(config.warnings.is_empty());
}

#[test]
fn the_same_in_json_is_the_same_configuration() {
    let json = r#"{
        "inputs": {"in": {"plugin": "udp", "address": ":5565", "splitter": {"kind": "token", "at": ";"}}},
        "outputs": {"out": {"queue": {"kind": "memory"}}},
        "chains": {"default": {"outputs": ["out"]}}
    }"#;
    let toml = "[inputs.in]\nplugin = 'udp'\naddress = ':5565'\nsplitter = { kind = 'token', at = ';' }\n\
        [outputs.out]\nqueue.kind = 'memory'\n[chains.default]\noutputs = ['out']\n";
    let from_json = Config::from_document(&from_json_str("heka.json", json).unwrap()).unwrap();
    let from_toml = config(toml);
    assert_eq!(from_json.inputs, from_toml.inputs);
    assert_eq!(from_json.outputs, from_toml.outputs);
    assert_eq!(from_json.chains, from_toml.chains);
}

#[test]
fn the_hosts_table_is_read() {
    let text = "[heka]\nstate_dir = '/var/lib/heka'\nhostname = 'web1'\nplugin_dirs = ['a', 'b']\n\
        plugin_owners = ['deploy', 1000]\nallow_env = true\nmessage_bytes_max = '2 MiB'\nbatch_linger = 0\n\
        batch_messages_max = 64\nbatch_bytes_max = 65536\nshutdown_deadline = 1.5\nhops_max = 0\n\
        inject_lane_bytes_max = '1 GB'\ndead_letter = 'out'\nadmin.socket = false\n";
    let expected = HostConfig {
        state_dir: PathBuf::from("/var/lib/heka"),
        hostname: Some("web1".to_owned()),
        plugin_dirs: vec![PathBuf::from("a"), PathBuf::from("b")],
        plugin_owners: vec![PluginOwner::Name("deploy".to_owned()), PluginOwner::Uid(1000)],
        allow_env: true,
        message_bytes_max: 2 << 20,
        batch_linger: Duration::ZERO,
        batch_messages_max: 64,
        batch_bytes_max: 65_536,
        shutdown_deadline: Duration::from_millis(1500),
        hops_max: 0,
        inject_lane_bytes_max: 1_000_000_000,
        dead_letters_bytes_max: 256 << 20,
        admin: AdminConfig { socket: AdminSocket::Off, listen: None },
        dead_letter: Some(Located {
            value: "out".to_owned(),
            position: Position { file: Path::new("other").into(), line: 1, column: 1 },
        }),
    };
    assert_eq!(config(&format!("{text}{BASE}")).host, expected);
}

#[test]
fn the_hosts_keys_of_instances_are_read_and_the_others_left_to_the_plugin() {
    let text = "[inputs.web]\nplugin = 'dir/libx.so:tail'\ndecoder = 'json'\nsplitter = 'line'\n\
        frame_bytes_max = '64 KiB'\nframe_overflow = 'truncate'\non_decode_error = 'dead_letter'\n\
        decode_threads = 4\nmessage_type = 't'\nhostname = 'h'\nticker_interval = '1 s'\nown = 1\n\
        [filters.f]\nticker_interval = 10\nemit_to = 'router'\non_panic = 'stop'\nhold_until_flush = true\nown = 2\n\
        [outputs.o]\nencoder = 'json'\ndead_letter = 'out'\nticker_interval = '1 m'\nown = 3\n\
        [outputs.o.queue]\nkind = 'disk'\nmax_bytes = '2 GiB'\nmax_messages = 10\nwhen_full = 'drop_oldest'\n\
        durability = 'fsync'\n\
        [outputs.o.retry]\ndelay_min = '1 s'\ndelay_max = '1 m'\nattempts_max = 3\nage_max = '1 d'\njitter = false\n";
    let config = config(&format!("{text}{BASE}"));
    let (input, filter, output) = (&config.inputs[0], &config.filters[0], &config.outputs[0]);
    let keys = |node: &Node| node.entries().iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
    assert_eq!((keys(&input.options), keys(&filter.options), keys(&output.options)), {
        let own = vec!["own".to_owned()];
        (own.clone(), own.clone(), own)
    });
    assert_eq!(input.plugin.file.as_deref(), Some(Path::new("dir/libx.so")));
    assert_eq!(input.plugin.name, "tail");
    let settings = &input.settings;
    assert_eq!(settings.splitter.as_ref().unwrap().kind, SplitterKind::Line);
    assert_eq!(settings.frame_bytes_max, Some(65_536));
    assert_eq!(settings.frame_overflow, FrameOverflow::Truncate);
    assert_eq!(settings.on_decode_error, OnDecodeError::DeadLetter);
    assert_eq!((settings.decode_threads, settings.ticker_interval), (4, Some(Duration::from_secs(1))));
    assert_eq!((settings.message_type.as_deref(), settings.hostname.as_deref()), (Some("t"), Some("h")));
    let expected = FilterSettings {
        ticker_interval: Some(Duration::from_secs(10)),
        emit_to: EmitTo::Router,
        on_panic: OnPanic::Stop,
        hold_until_flush: true,
    };
    assert_eq!(filter.settings, expected);
    let queue = QueueConfig {
        kind: QueueKind::Disk,
        max_bytes: 2 << 30,
        max_messages: Some(10),
        when_full: WhenFull::DropOldest,
        durability: Durability::Fsync,
    };
    assert_eq!(output.settings.queue, queue);
    let retry = RetryConfig {
        delay_min: Duration::from_secs(1),
        delay_max: Duration::from_secs(60),
        attempts_max: Some(3),
        age_max: Some(Duration::from_secs(86_400)),
        jitter: false,
    };
    assert_eq!(output.settings.retry, retry);
}

#[test]
fn a_splitter_keeps_its_options() {
    let text = format!("[inputs.x]\nsplitter = {{ kind = 'regex', pattern = 'a+' }}\n{BASE}");
    let config = config(&text);
    let splitter = config.inputs[0].settings.splitter.as_ref().unwrap();
    assert_eq!((splitter.kind.name(), splitter.options.at_path("pattern").as_str()), ("regex", Some("a+")));
    assert_eq!(splitter.options.get("kind"), None);
}

#[test]
fn decoders_come_one_behind_the_other() {
    let text = format!(
        "[inputs.x]\ndecoder = ['a', 'json']\n[decoders.a]\nthen = [{{ matcher = 'TRUE', decoder = 'b' }}, 'json']\n\
         [decoders.b]\nthen = 'json'\nown = 1\n{BASE}"
    );
    let config = config(&text);
    let names: Vec<_> = config.inputs[0].settings.decoders.iter().map(|name| name.value.as_str()).collect();
    assert_eq!(names, ["a", "json"]);
    let then = &config.decoder("a").unwrap().settings.then;
    assert_eq!(
        (then.len(), then[0].decoder.value.as_str(), then[1].decoder.value.as_str()),
        (2, "b", "json")
    );
    assert_eq!((then[0].matcher.as_ref().unwrap().value.as_str(), &then[1].matcher), ("TRUE", &None));
    assert_eq!(config.decoder("b").unwrap().options.entries().len(), 1);
}

#[test]
fn decoders_that_lead_nowhere_or_back_are_faults() {
    fault(
        "decoders.a.then = 'a'",
        "heka.toml:1:19: decoder `a`: `then`: what `a` makes would come back to it",
    );
    fault(
        "decoders.a.then = 1",
        "heka.toml:1:19: decoder `a`: `then`: is an integer; expected a decoder's name, or an array of tables such as \
         { matcher = 'Type == \"x\"', decoder = \"y\" }",
    );
    fault(
        "decoders.a.then = [{ match = 'x', decoder = 'b' }]",
        "heka.toml:1:22: decoder `a`: `then`: unknown key `match`; did you mean `matcher`",
    );
    fault(
        "decoders.a.then = { matcher = 'TRUE' }",
        "heka.toml:1:19: decoder `a`: `then`: no `decoder`; name the one that goes on",
    );
}

#[test]
fn a_queue_in_memory_has_its_own_defaults() {
    let queue =
        |text: &str| config(&format!("[outputs.x]\n{text}\n{BASE}")).outputs[0].settings.queue.clone();
    assert_eq!((queue("").max_bytes, queue("").durability), (1 << 30, Durability::Disk));
    let memory = queue("queue = { kind = 'memory' }");
    assert_eq!((memory.max_bytes, memory.durability), (64 << 20, Durability::Memory));
}

#[test]
fn plugins_are_named_alone_or_with_their_file() {
    let check = |plugin: &str, file: Option<&str>, name: &str| {
        let config = config(&format!("[filters.x]\nplugin = '{plugin}'\n{BASE}"));
        let found = &config.filters[0].plugin;
        assert_eq!((found.file.as_deref(), found.name.as_str()), (file.map(Path::new), name));
        assert_eq!(found.position.to_string(), "heka.toml:2:10");
    };
    check("grep", None, "grep");
    check("libgrep.so:grep", Some("libgrep.so"), "grep");
    check("/a:b/libgrep.so:grep", Some("/a:b/libgrep.so"), "grep");
    check("a:b", None, "a:b");
    assert_eq!(config(&format!("[filters.x]\n{BASE}")).filters[0].plugin.name, "x");
    fault(
        "filters.x.plugin = 'dir/libgrep.so'",
        "heka.toml:1:20: filter `x`: `plugin`: `dir/libgrep.so` names no plugin of that file; write `dir/libgrep.so:NAME`",
    );
    fault("filters.x.plugin = 7", "heka.toml:1:20: filter `x`: `plugin` is an integer; expected a string");
    fault(
        "filters.x.plugin = ''",
        "heka.toml:1:20: filter `x`: `plugin`: ``: names begin with a letter or `_`, and go on with letters, digits, `_`, `.`, `:` and `-`",
    );
}

#[test]
fn the_default_chain_takes_everything() {
    let check_default = |condition: &str, expected: Option<&str>| {
        let text = format!("[inputs.in]\n[outputs.out]\n[chains.default]\noutputs = ['out']\n{condition}\n");
        let faults = read(&text).err().map(|faults| faults.to_string());
        assert_eq!(faults.as_deref(), expected);
    };
    check_default("matcher = 'TRUE'", None);
    let text = "takes what no other chain took, so it has no `matcher`; rename it to give it one";
    check_default("matcher = 'FALSE'", Some(&format!("heka.toml:5:11: chain `default`: {text}")));
    check_default("message_type = ['a']", Some(&format!("heka.toml:5:17: chain `default`: {text}")));
}

#[test]
fn what_nothing_uses_is_a_warning() {
    let text = "[filters.f]\n[filters.mark]\noutputs = ['marked']\n[outputs.alone]\n[outputs.marked]\n[outputs.dead]\n\
        [outputs.x]\ndead_letter = 'dead'\n[chains.c]\nfilters = ['mark']\noutputs = ['x']\n[chains.empty]\n";
    let warnings: Vec<_> = config(&format!("{text}{BASE}")).warnings.iter().map(Fault::to_string).collect();
    assert_eq!(
        warnings,
        [
            "heka.toml:1:10: filter `f`: no chain uses it",
            "heka.toml:4:10: output `alone`: nothing uses it",
            "heka.toml:12:9: chain `empty`: no filters and no outputs: its messages go nowhere",
        ]
    );
}

#[test]
fn one_filter_may_serve_two_chains() {
    config(&format!("[filters.f]\n[chains.a]\nfilters = ['f']\n[chains.b]\nfilters = ['f']\n{BASE}"));
}

#[test]
fn an_instance_changes_only_when_its_content_does() {
    let one = config(EXAMPLE);
    let moved = config(&format!("\n\n{EXAMPLE}"));
    assert!(one.inputs == moved.inputs && one.outputs == moved.outputs && one.chains == moved.chains);
    let changed = config(&EXAMPLE.replace("500", "400"));
    assert!(one.filters != changed.filters && one.outputs == changed.outputs);
}

proptest! {
    #[test]
    fn any_lines_are_a_configuration_or_faults(
        lines in prop::collection::vec(prop::sample::select(vec![
            "[heka]", "[inputs.a]", "[outputs.a]", "[outputs.b]", "[filters.a]", "[chains.a]", "[chains.default]",
            "[outputs.a.queue]", "[outputs.b.retry]", "[[inputs]]", "plugin = 'x.so:y'", "plugin = ':'", "kind = 'disk'",
            "outputs = ['a', 'b']", "filters = ['a']", "dead_letter = 'a'", "dead_letter = 'b'", "decoder = 'x'",
            "splitter = { kind = 'line' }", "splitter = 'line'", "queue = 1", "matcher = 'TRUE'", "max_bytes = '1 MiB'",
            "ticker_interval = '1 s'", "delay_max = 1e300", "x = '${env:A} $${file:'", "a.b.c = 1", "inputs = 1",
        ]), 0..24)
    ) {
        if let Err(faults) = read(&lines.join("\n")) {
            prop_assert!(!faults.is_empty() && !faults.to_string().is_empty());
        }
    }
}
