//! A filter in C, built by the system's compiler, runs beside the Rust ones.

use heka_tests::{Directory, Host, repository};
use std::process::Command;

/// Builds `tests/plugins/grep_c/grep.c` into `plugins` of a directory, with the command that its first lines name,
/// beside the Rust plugins of the pipeline.
fn with_grep_c() -> Directory {
    let directory = Directory::new();
    directory.copy_plugins("plugins", &["null", "file", "grep"]);
    let source = std::fs::read_to_string(repository().join("tests/plugins/grep_c/grep.c")).unwrap();
    let command = source.lines().find_map(|line| line.trim_start_matches(" * ").trim().strip_prefix("cc "));
    let arguments = command.expect("the C file says how to build it").trim_end_matches("*/");
    let library = directory.join("plugins").join("libgrep_c.so");
    let arguments = arguments.split_whitespace().map(|argument| match argument {
        "libgrep_c.so" => library.as_os_str().to_owned(),
        argument => argument.into(),
    });
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(&compiler).args(arguments).current_dir(repository()).output();
    let built =
        built.unwrap_or_else(|error| panic!("`{compiler}` is needed to test the filter in C: {error}"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    directory
}

/// Both filters on the same messages, each with a chain and an output of its own.
const BOTH: &str = "[heka]\nplugin_dirs = [\"plugins\"]\n[inputs.read]\nplugin = \"file\"\npaths = [\"in.log\"]\nfrom = \"beginning\"\n\
    [filters.in_c]\nplugin = \"grep_c\"\ncontains = \"7\"\n\
    [filters.in_rust]\nplugin = \"grep\"\ncontains = \"7\"\n\
    [chains.c]\nmatcher = 'TRUE'\nfilters = [\"in_c\"]\noutputs = [\"from_c\"]\n\
    [chains.rust]\nmatcher = 'TRUE'\nfilters = [\"in_rust\"]\noutputs = [\"from_rust\"]\n\
    [outputs.from_c]\nplugin = \"null\"\n[outputs.from_rust]\nplugin = \"null\"\n";

#[test]
fn a_filter_in_c_keeps_what_the_same_filter_in_rust_keeps() {
    let directory = with_grep_c();
    let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}\n")).collect();
    directory.write("in.log", lines.concat());
    let with_seven = lines.iter().filter(|line| line.contains('7')).count();
    let ended = Host::run_once(&directory, BOTH);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let shown = |stage: String| assert!(ended.stderr.contains(&stage), "no {stage} in {}", ended.stderr);
    for (chain, output) in [("c", "from_c"), ("rust", "from_rust")] {
        let dropped = 20_000 - with_seven;
        shown(format!("chain     {chain:<20}  taken 20000  passed {with_seven}  destroyed {dropped}\n"));
        shown(format!("output    {output:<20}  marked {with_seven}  delivered {with_seven}\n"));
    }
}

#[test]
fn a_filter_in_c_is_explained_as_any_other() {
    let directory = with_grep_c();
    let ended = Host::finish(&directory, &["plugins", "grep_c", "--plugin-dir", "plugins"]);
    let explained = "filter `grep_c`: Keeps the messages whose payload contains a given text.\n  \
                     plugins/libgrep_c.so (grep_c 0.1.0)\n  \
                     contains             string; required\n                         \
                     Text to look for; must not be empty.\n";
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (explained, ""));
}

#[test]
fn the_options_of_a_filter_in_c_are_checked_as_any_others() {
    let directory = with_grep_c();
    directory.write(
        "heka.toml",
        BOTH.replace("plugin = \"grep_c\"\ncontains = \"7\"", "plugin = \"grep_c\"\ncontians = 1"),
    );
    let ended = Host::finish(&directory, &["check", "heka.toml"]);
    let faults = "heka.toml:7:1: filter `in_c`: `contains` is missing; expected a string\n\
                  heka.toml:9:1: filter `in_c`: unknown key `contians`; did you mean `contains`\n";
    assert_eq!((ended.stderr.as_str(), ended.status), (faults, Some(78)));
    directory.write("heka.toml", BOTH.replacen("contains = \"7\"", "contains = \"\"", 1));
    let ended = Host::finish(&directory, &["check", "heka.toml"]);
    let fault = "heka.toml:9:12: filter `in_c`: `contains`: must not be empty\n";
    assert_eq!((ended.stderr.as_str(), ended.status), (fault, Some(78)));
}
