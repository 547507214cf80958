//! Plugin files that can't be used, and how plugins are found: what the host says, and that it lives where it can.

use heka_tests::{Directory, Host, plugin_dir, plugin_file};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// A pipeline that needs a filter of this plugin.
fn config(filter: &str) -> String {
    format!(
        "[inputs.made]\nplugin = \"generate\"\ncount = 5\n[filters.x]\nplugin = \"{filter}\"\n\
         [chains.all]\nmatcher = 'TRUE'\nfilters = [\"x\"]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n"
    )
}

/// The same pipeline without a filter.
const WITHOUT_FILTER: &str = "[inputs.made]\nplugin = \"generate\"\ncount = 5\n\
    [chains.default]\noutputs = [\"out\"]\n[outputs.out]\nplugin = \"null\"\n";

/// A directory with the plugin file `libheka_null.so` in `plugins`.
fn with_null() -> Directory {
    let directory = Directory::new();
    directory.copy_plugins("plugins", &["null"]);
    directory
}

/// Checks what `heka-host check` says of a pipeline with a filter: a fault of the line that names the plugin.
fn check_filter(directory: &Directory, filter: &str, expected: &str) {
    directory.write("heka.toml", config(filter));
    let expected = format!("heka.toml:5:10: filter `x`: {expected}\n");
    for command in ["check", "run"] {
        let ended = Host::finish(directory, &[command, "heka.toml", "--plugin-dir", "plugins"]);
        assert_eq!((ended.stderr, ended.stdout.as_str()), (expected.clone(), ""), "{command}");
        assert_eq!(ended.status, Some(78), "{command}");
    }
}

/// Checks that a pipeline runs with what else the directory holds.
fn check_others_work(directory: &Directory) {
    directory.write("heka.toml", WITHOUT_FILTER);
    let ended = Host::finish(directory, &["run", "heka.toml", "--once", "--plugin-dir", "plugins"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("delivered 5"), "{}", ended.stderr);
}

/// Lists the plugins of `plugins`.
fn listed(directory: &Directory) -> Vec<String> {
    let ended = Host::finish(directory, &["plugins", "--plugin-dir", "plugins"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout.lines().map(str::to_owned).collect()
}

/// Checks a file `libheka_broken.so` that can't be used, as can be seen without loading it.
fn check_unusable(directory: &Directory, reason: &str) {
    let lines = [
        format!("unusable plugin file `libheka_broken.so`: {reason}"),
        "input    generate     Makes messages, for benchmarks and for trying things.".to_owned(),
        "output   null         Counts messages and forgets them.".to_owned(),
    ];
    assert_eq!(listed(directory), lines);
    let broken = format!("plugin file `libheka_broken.so`: {reason}");
    check_filter(directory, "plugins/libheka_broken.so:broken", &broken);
    let unknown = format!("no filter `broken`; `libheka_broken.so` in `plugins` can't be used: {reason}");
    check_filter(directory, "broken", &unknown);
    check_others_work(directory);
}

fn check_unusable_bytes(bytes: &[u8], reason: &str) {
    let directory = with_null();
    directory.write("plugins/libheka_broken.so", bytes);
    check_unusable(&directory, reason);
}

/// Checks a good file with this mode and group.
fn check_permissions(mode: u32, group: Option<u32>, reason: &str) {
    let directory = with_null();
    let file = directory.write("plugins/libheka_broken.so", fs::read(plugin_file("grep")).unwrap());
    chown(&file, None, group).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    check_unusable(&directory, reason);
}

/// Checks a file that is only found unusable when it is loaded; `plugins` explains it, and others work beside it.
fn check_refused(subject: &str, reason: &str) {
    let directory = with_null();
    directory.copy_plugins("plugins", &[subject]);
    assert_eq!(listed(&directory).len(), 3);
    let problem = format!("plugin file `libheka_{subject}.so`: {reason}");
    check_filter(&directory, subject, &problem);
    check_filter(&directory, &format!("plugins/libheka_{subject}.so:{subject}"), &problem);
    check_others_work(&directory);
}

#[test]
fn a_text_file_is_no_plugin_file() {
    check_unusable_bytes(b"#!/bin/sh\necho hello\n", "not an ELF shared object");
}

#[test]
fn an_empty_file_is_no_plugin_file() {
    check_unusable_bytes(b"", "not an ELF shared object: it is empty; copy it again");
}

#[test]
fn a_truncated_file_is_refused_before_it_is_mapped() {
    let whole = fs::read(plugin_file("grep")).unwrap();
    let directory = with_null();
    directory.write("plugins/libheka_broken.so", &whole[..whole.len() / 2]);
    let first = &listed(&directory)[0];
    let reason = first.strip_prefix("unusable plugin file `libheka_broken.so`: ").unwrap();
    let end = format!(" but the file has {}; copy it again", whole.len() / 2);
    assert!(reason.starts_with("truncated: ") && reason.ends_with(&end), "{reason}");
    check_unusable(&directory, reason);
}

#[test]
fn a_shared_library_without_our_section_is_no_plugin_file() {
    let library = fs::read(plugin_dir().join("libheka_plugin_api_derive.so")).unwrap();
    check_unusable_bytes(&library, "not a Heka plugin (no `.heka_plugin` section)");
}

#[test]
fn a_file_for_another_plugin_api_is_refused() {
    let bytes = fs::read(plugin_file("other_api")).unwrap();
    check_unusable_bytes(&bytes, "built for plugin API 99, this host speaks 0; rebuild the plugin");
}

#[test]
fn a_file_with_another_layout_is_refused_when_it_is_loaded() {
    let reason = |expected, found| {
        format!(
            "its layout differs from this host's: mismatched type Expected: {expected} Found: {found}; \
             rebuild it with the heka-plugin-api of this host"
        )
    };
    // Which side is told first is not fixed: the comparison goes both ways.
    let directory = with_null();
    directory.copy_plugins("plugins", &["other_layout"]);
    directory.write("heka.toml", config("other_layout"));
    let ended = Host::finish(&directory, &["check", "heka.toml", "--plugin-dir", "plugins"]);
    let host_first = ended.stderr.contains("Expected: i32");
    let [expected, found] = if host_first { ["i32", "u32"] } else { ["u32", "i32"] };
    check_refused("other_layout", &reason(expected, found));
}

#[test]
fn a_file_without_its_entry_is_refused_when_it_is_loaded() {
    check_refused("no_symbol", "it has no symbol `heka_plugin_entry_heka_no_symbol`; rebuild the plugin");
}

#[test]
fn a_file_that_anyone_may_write_is_refused() {
    check_permissions(0o666, None, "refused: anyone may write it (mode 0666); chmod o-w it");
}

#[test]
fn a_file_that_a_group_may_write_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a file to another group");
        return;
    }
    check_permissions(0o664, Some(4711), "refused: group 4711 may write it (mode 0664); chmod g-w it");
}

#[test]
fn nothing_in_a_directory_that_anyone_may_write_is_used() {
    let directory = with_null();
    let plugins = directory.join("plugins");
    fs::set_permissions(&plugins, Permissions::from_mode(0o777)).unwrap();
    let shown = plugins.canonicalize().unwrap();
    let shown = shown.display();
    let reason = format!("refused: anyone may write its directory `{shown}` (mode 0777); chmod o-w it");
    assert_eq!(listed(&directory), [format!("unusable plugin file `libheka_null.so`: {reason}")]);
    directory.write("heka.toml", WITHOUT_FILTER);
    let ended = Host::finish(&directory, &["check", "heka.toml", "--plugin-dir", "plugins"]);
    let expected = format!(
        "heka.toml:2:10: input `made`: no input `generate`; no plugin here is an input; `libheka_null.so` in `plugins` \
         can't be used: {reason}\n\
         heka.toml:7:10: output `out`: no output `null`; `libheka_null.so` in `plugins` can't be used: {reason}\n"
    );
    assert_eq!((ended.stderr, ended.status), (expected, Some(78)));
    fs::set_permissions(&plugins, Permissions::from_mode(0o755)).unwrap();
    check_others_work(&directory);
}

#[test]
fn a_plugin_that_two_files_hold_must_be_named_with_its_file() {
    let directory = with_null();
    let whole = fs::read(plugin_file("grep")).unwrap();
    directory.write("plugins/libheka_grep.so", &whole);
    directory.write("plugins/libheka_grep_2.so", [whole.as_slice(), b"\0"].concat());
    let both = "filter `grep` is in `plugins/libheka_grep.so` and in `plugins/libheka_grep_2.so`; \
                remove one, or name the file: `plugin = \"plugins/libheka_grep.so:grep\"`";
    check_filter(&directory, "grep", both);
    let named = config("plugins/libheka_grep.so:grep").replace("[chains", "contains = \"a\"\n[chains");
    directory.write("heka.toml", named);
    let ended = Host::finish(&directory, &["run", "heka.toml", "--once", "--plugin-dir", "plugins"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("passed 5"), "{}", ended.stderr);
}

#[test]
fn a_plugin_file_outside_the_directories_is_used_by_its_path() {
    let directory = with_null();
    directory.copy_plugins("elsewhere", &["grep"]);
    check_filter(&directory, "grep", "no filter `grep`; no plugin here is a filter");
    let named =
        config("elsewhere/libheka_grep.so:grep").replace("[chains", "contains = \"no such\"\n[chains");
    directory.write("heka.toml", named);
    let ended = Host::finish(&directory, &["run", "heka.toml", "--once", "--plugin-dir", "plugins"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("destroyed 5"), "{}", ended.stderr);
    let wrong = "plugin file `libheka_grep.so`: no filter `grip`; did you mean `grep`? known: grep";
    check_filter(&directory, "elsewhere/libheka_grep.so:grip", wrong);
    let missing = "plugin file `libheka_none.so`: failed to open: no such file or directory";
    check_filter(&directory, "elsewhere/libheka_none.so:grep", missing);
}

#[test]
fn an_unknown_plugin_is_answered_with_the_nearest_name() {
    let directory = with_null();
    directory.copy_plugins("plugins", &["grep"]);
    check_filter(&directory, "grip", "no filter `grip`; did you mean `grep`? known: grep");
    check_filter(&directory, "xyzzy", "no filter `xyzzy`; known: grep");
    check_filter(&directory, "null", "no filter `null`; `null` is an output, not a filter; known: grep");
}

#[test]
fn a_missing_directory_is_told_and_the_others_are_used() {
    let directory = with_null();
    let both = ["--plugin-dir", "nowhere", "--plugin-dir", "plugins"];
    let ended = Host::finish(&directory, &[&["plugins"], &both[..]].concat());
    let problem = "plugin directory `nowhere`: failed to read: no such file or directory; create it, or name another one";
    assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    assert_eq!((ended.stderr.lines().count(), ended.stdout.lines().count()), (1, 2));
    directory.write("heka.toml", WITHOUT_FILTER);
    let ended = Host::finish(&directory, &[&["run", "heka.toml", "--once"], &both[..]].concat());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(problem), "{}", ended.stderr);
}

#[test]
fn the_configs_own_directories_are_used_when_none_is_given() {
    let directory = with_null();
    directory.write("heka.toml", format!("[heka]\nplugin_dirs = [\"plugins\"]\n{}", config("grep")));
    let ended = Host::finish(&directory, &["check", "heka.toml"]);
    let expected = "heka.toml:7:10: filter `x`: no filter `grep`; no plugin here is a filter\n";
    assert_eq!((ended.stderr.as_str(), ended.status), (expected, Some(78)));
}

#[test]
fn one_plugin_is_explained_with_its_options() {
    let directory = with_null();
    let ended = Host::finish(&directory, &["plugins", "generate", "--plugin-dir", "plugins"]);
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let shown = [
        "input `generate`: Makes messages, for benchmarks and for trying things.",
        "  plugins/libheka_null.so (heka_null 0.1.0)",
        "  rate                 integer, messages/s; default 0",
        "  Length of the payload.",
    ];
    for text in shown {
        assert!(ended.stdout.contains(text), "no `{text}` in\n{}", ended.stdout);
    }
    let ended = Host::finish(&directory, &["plugins", "generat", "--plugin-dir", "plugins"]);
    let unknown = "heka-host: no plugin `generat`; did you mean `generate`?\n";
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), unknown));
}

#[test]
fn a_file_that_runs_may_be_overwritten() {
    let directory = with_null();
    let config = "[inputs.made]\nplugin = \"generate\"\nrate = 1000\n[chains.default]\noutputs = [\"out\"]\n\
                  [outputs.out]\nplugin = \"null\"\n[heka]\nplugin_dirs = [\"plugins\"]\n";
    let host = Host::run(&directory, config);
    overwrite(&directory.join("plugins/libheka_null.so"));
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

/// Writes over a file in place, as `cp` does.
fn overwrite(path: &Path) {
    let len = fs::metadata(path).unwrap().len() as usize;
    fs::write(path, vec![0xcc; len]).unwrap();
}
