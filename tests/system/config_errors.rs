//! Wrong configurations: all faults at once, each with its place, status 78, and nothing is started.

use heka_tests::{Directory, Host};

/// A configuration that is right.
const GOOD: &str = "\
[inputs.in]
plugin = \"generate\"
count = 3

[chains.default]
outputs = [\"out\"]

[outputs.out]
plugin = \"file\"
path = \"out/all.log\"
";

/// A configuration with a fault of every kind: of tables, references, matchers, plugins and their options.
const FAULTY: &str = "\
[heka]
hop_max = 1
plugin_dirs = [\"plugins\"]
[inputs.in]
plugin = \"generate\"
count = \"x\"
[chains.default]
outputs = [\"nowhere\"]
[chains.c]
matcher = 'TRUE &&'
outputs = [\"out\"]
[outputs.out]
plugin = \"file\"
path = \"${env:HOME}\"
sync = \"${env:HOME}\"
[outputs.other]
plugin = \"nul\"
";

/// Checks what `check` and `run` say of the configuration at `path`: exactly these lines, and nothing is started.
fn check_path(directory: &Directory, path: &str, expected: &[&str]) {
    let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
    for arguments in [&["check", path][..], &["run", path], &["run", path, "--once"]] {
        let ended = Host::finish(directory, arguments);
        assert_eq!((ended.stderr.as_str(), ended.stdout.as_str()), (expected.as_str(), ""), "{arguments:?}");
        assert_eq!(ended.status, Some(78), "{arguments:?}");
    }
    for made in ["out", "state"] {
        assert!(!directory.join(made).exists(), "`{made}` was made although the configuration is wrong");
    }
}

/// Checks a configuration `heka.toml`.
fn check(config: &str, expected: &[&str]) {
    let directory = Directory::new();
    directory.write("heka.toml", config);
    check_path(&directory, "heka.toml", expected);
}

/// Checks the good configuration with lines behind it, the first of which is line 11.
fn check_with(more: &str, expected: &[&str]) {
    check(&format!("{GOOD}{more}\n"), expected);
}

/// Checks the good configuration with a text replaced.
fn check_changed(from: &str, to: &str, expected: &[&str]) {
    let changed = GOOD.replacen(from, to, 1);
    assert_ne!(changed, GOOD);
    check(&changed, expected);
}

#[test]
fn the_configuration_that_the_others_are_made_of_is_good() {
    let directory = Directory::new();
    directory.write("heka.toml", GOOD);
    let ended = Host::finish(&directory, &["check", "heka.toml"]);
    let good = "heka.toml: good: 1 inputs, 1 chains, 1 outputs\n";
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str(), ended.status), (good, "", Some(0)));
    assert!(!directory.join("out").exists() && !directory.join("state").exists());
    let ended = Host::run_once(&directory, GOOD);
    assert_eq!((ended.status, directory.lines("out/all.log").len()), (Some(0), 3), "{}", ended.stderr);
}

#[test]
fn unknown_keys_are_faults() {
    check_with(
        "[heka]\nstat_dir = \"x\"",
        &["heka.toml:12:1: [heka]: unknown key `stat_dir`; did you mean `state_dir`"],
    );
    check_with("[input.x]", &["heka.toml:11:2: unknown table `input`; did you mean `inputs`"]);
    check_changed(
        "count",
        "cuont",
        &["heka.toml:3:1: input `in`: unknown key `cuont`; did you mean `count`"],
    );
    check_changed(
        "outputs =",
        "output =",
        &["heka.toml:6:1: chain `default`: unknown key `output`; did you mean `outputs`"],
    );
}

#[test]
fn missing_plugins_and_options_are_faults() {
    let directory = Directory::new();
    directory.copy_plugins("plugins", &["null", "file"]);
    directory.write(
        "heka.toml",
        format!("{}[heka]\nplugin_dirs = [\"plugins\"]\n", GOOD.replace("generate", "genrate")),
    );
    let near =
        "heka.toml:2:10: input `in`: no input `genrate`; did you mean `generate`? known: file, generate";
    check_path(&directory, "heka.toml", &[near]);
    check_changed(
        "path = \"out/all.log\"\n",
        "",
        &["heka.toml:8:1: output `out`: `path` is missing; expected a string"],
    );
}

#[test]
fn values_of_a_wrong_type_are_faults() {
    check_changed(
        "count = 3",
        "count = \"3\"",
        &["heka.toml:3:9: input `in`: `count` is a string; expected an integer"],
    );
    check_changed(
        "[\"out\"]",
        "\"out\"",
        &["heka.toml:6:11: chain `default`: `outputs` is a string; expected an array of strings"],
    );
    check_changed(
        "\"out/all.log\"",
        "7",
        &["heka.toml:10:8: output `out`: `path` is an integer; expected a string"],
    );
    check_with(
        "sync = \"often\"",
        &["heka.toml:11:8: output `out`: `sync` is `often`; expected one of `never`, `batch`"],
    );
    check_with(
        "[heka]\nallow_env = 1",
        &["heka.toml:12:13: [heka]: `allow_env` is an integer; expected true or false"],
    );
}

#[test]
fn names_that_nothing_has_are_faults() {
    check_changed("[\"out\"]", "[\"ou\"]", &["heka.toml:6:12: chain `default`: no output `ou`; known: out"]);
    check_with(
        "[chains.c]\nfilters = [\"f\"]",
        &["heka.toml:12:12: chain `c`: no filter `f`; none is defined"],
    );
    check_with(
        "dead_letter = \"dead\"",
        &["heka.toml:11:15: output `out`: `dead_letter`: no output `dead`; known: out"],
    );
}

#[test]
fn a_second_definition_is_a_fault() {
    check_with("[outputs.out]", &["heka.toml:11:10: `out` is defined a second time"]);
    check_changed("count = 3", "count = 3\ncount = 4", &["heka.toml:4:1: `count` is defined a second time"]);
}

#[test]
fn a_matcher_that_does_not_parse_is_shown_with_a_caret() {
    check_with(
        "[chains.c]\nmatcher = 'Typ == \"x\"'\noutputs = [\"out\"]",
        &[
            "heka.toml:12:11: chain `c`: matcher: unknown variable `Typ` at column 1; did you mean `Type`",
            "    Typ == \"x\"",
            "    ^",
        ],
    );
    check_with(
        "[chains.c]\nmatcher = 'Type == \"x\" && Fields[status] >='\noutputs = [\"out\"]",
        &[
            "heka.toml:12:11: chain `c`: matcher: expected a text or a number, found the end at column 33",
            "    Type == \"x\" && Fields[status] >=",
            "                                    ^",
        ],
    );
}

#[test]
fn splitter_options_are_checked() {
    let check = |splitter: &str, column: u32, expected: &str| {
        let fault = format!("heka.toml:4:{column}: input `in`: {expected}");
        check_changed("count = 3", &format!("count = 3\nsplitter = {splitter}"), &[&fault]);
    };
    check("\"lines\"", 12, "unknown `splitter` `lines`; did you mean `line`");
    check("{ kind = \"token\" }", 12, "splitter `token`: needs `token`");
    check("{ kind = \"line\", at = \"x\" }", 29, "splitter `line`: unknown option `at`; known: keep_empty");
    let width = "splitter `length`: a length prefix is 1, 2, 4 or 8 bytes wide, not 3";
    check("{ kind = \"length\", width = 3 }", 12, width);
    check_changed(
        "count = 3",
        "count = 3\nsplitter = { kind = \"regex\", delimiter = \"a(\" }",
        &[
            "heka.toml:4:12: input `in`: splitter `regex`: delimiter `a(`: not a regular expression: unclosed group",
            "        a(",
            "         ^",
        ],
    );
}

#[test]
fn sizes_and_durations_are_checked() {
    let size = "`1 lot` is not a size; write bytes as a number, or for example `64 KiB`";
    check_with(
        "rotate_bytes = \"1 lot\"",
        &[&format!("heka.toml:11:16: output `out`: `rotate_bytes`: {size}")],
    );
    let time = "`often` is not a duration; write seconds as a number, or for example `10 s`, `1 ms`";
    check_with(
        "rotate_interval = \"often\"",
        &[&format!("heka.toml:11:19: output `out`: `rotate_interval`: {time}")],
    );
    let linger = "heka.toml:12:16: [heka]: `batch_linger` is `11 s`; expected a duration from 0 s to 10 s";
    check_with("[heka]\nbatch_linger = \"11 s\"", &[linger]);
    let bytes =
        "heka.toml:12:21: [heka]: `message_bytes_max` is `1 GiB`; expected a size from 1 KiB to 256 MiB";
    check_with("[heka]\nmessage_bytes_max = \"1 GiB\"", &[bytes]);
}

#[test]
fn what_only_the_plugin_can_know_is_checked_too() {
    check_with(
        "[filters.g]\nplugin = \"grep\"\ncontains = \"\"\n[chains.c]\nfilters = [\"g\"]",
        &["heka.toml:13:12: filter `g`: `contains`: must not be empty"],
    );
}

#[test]
fn all_faults_come_together_in_the_order_of_their_places() {
    let directory = Directory::new();
    directory.copy_plugins("plugins", &["null", "file"]);
    directory.write("heka.toml", FAULTY);
    let expected = [
        "heka.toml:2:1: [heka]: unknown key `hop_max`; did you mean `hops_max`",
        "heka.toml:6:9: input `in`: `count` is a string; expected an integer",
        "heka.toml:8:12: chain `default`: no output `nowhere`; known: other, out",
        "heka.toml:10:11: chain `c`: matcher: expected a test, such as `Severity <= 3`, found the end at column 8",
        "    TRUE &&",
        "           ^",
        "heka.toml:14:8: `${env:HOME}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`",
        "heka.toml:15:8: `${env:HOME}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`",
        "heka.toml:17:10: output `other`: no output `nul`; did you mean `null`? known: file, null",
    ];
    check_path(&directory, "heka.toml", &expected);
}

#[test]
fn what_is_not_toml_is_a_fault_with_its_place() {
    check_with("[heka", &["heka.toml:11:6: not TOML: unclosed table, expected `]`"]);
    check_with("x = ", &["heka.toml:11:5: not TOML: string values must be quoted, expected literal string"]);
}

#[test]
fn a_json_file_is_checked_alike() {
    let directory = Directory::new();
    let json = "{\n  \"inputs\": {\"in\": {\"plugin\": \"generate\", \"cuont\": 1}},\n  \
                \"outputs\": {\"out\": {\"plugin\": \"null\"}},\n  \
                \"chains\": {\"default\": {\"outputs\": [\"ou\"]}}\n}\n";
    directory.write("heka.json", json);
    let unknown = "heka.json:2:43: input `in`: unknown key `cuont`; did you mean `count`";
    let nowhere = "heka.json:4:38: chain `default`: no output `ou`; known: out";
    check_path(&directory, "heka.json", &[unknown, nowhere]);
    directory.write("heka.json", "{\"inputs\": ");
    check_path(
        &directory,
        "heka.json",
        &["heka.json:1:12: not JSON: expected value after colon in object property"],
    );
}

#[test]
fn a_directory_is_one_configuration_and_faults_name_its_files() {
    let directory = Directory::new();
    directory.write("conf/10.toml", GOOD);
    directory.write("conf/20.toml", "[outputs.out]\nplugin = \"null\"\n[heka]\nhop_max = 1\n");
    directory.write("conf/.hidden.toml", "nonsense");
    directory.write("conf/notes.txt", "nonsense");
    let twice = "conf/20.toml:1:10: `outputs.out` is defined a second time; first at conf/10.toml:8:10";
    let unknown = "conf/20.toml:4:1: [heka]: unknown key `hop_max`; did you mean `hops_max`";
    check_path(&directory, "conf", &[twice, unknown]);
    directory.write("conf/20.toml", "[heka]\nhops_max = 1\n");
    let ended = Host::finish(&directory, &["check", "conf"]);
    assert_eq!(
        (ended.stdout.as_str(), ended.status),
        ("conf: good: 1 inputs, 1 chains, 1 outputs\n", Some(0))
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let directory = Directory::new();
    check_path(&directory, "heka.toml", &["heka.toml: failed to open: no such file or directory"]);
    std::fs::create_dir(directory.join("conf")).unwrap();
    check_path(&directory, "conf", &["conf: no *.toml or *.json file in this directory"]);
}

#[test]
fn the_environment_is_read_only_where_the_configuration_allows_it() {
    check_changed(
        "out/all.log",
        "${env:HOME}/all.log",
        &[
            "heka.toml:10:8: `${env:HOME}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`",
        ],
    );
    let unset = GOOD.replace("out/all.log", "${env:HEKA_IS_NOT_SET}/all.log") + "[heka]\nallow_env = true\n";
    check(&unset, &["heka.toml:10:8: environment variable `HEKA_IS_NOT_SET` is not set"]);
}
