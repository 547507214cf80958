//! Holds the house together: what can be checked by looking at the files.

use heka_tests::repository;
use std::fs;
use std::path::Path;

/// The crates whose sources the daemon consists of.
const CRATES: [&str; 5] =
    ["heka-lib/src", "heka-host/src", "heka-plugin-api/src", "heka-matcher/src", "heka-queue/src"];

/// Folders that are not the project's own text.
const NOT_OURS: [&str; 3] = ["target", ".git", "out"];

/// All files below a folder of the repository with one of these endings, by their paths from its root.
fn files(folder: &str, endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(entry);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(entry.strip_prefix(repository()).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines of a source, with their numbers, that are not in a test module, which comes last in its file.
fn lines_without_tests(source: &str) -> Vec<(usize, &str)> {
    let is_test_module = |lines: &[&str]| lines[0] == "#[cfg(test)]" && lines[1].ends_with('{');
    let lines: Vec<&str> = source.lines().collect();
    let end = lines.windows(2).position(is_test_module).unwrap_or(lines.len());
    lines.into_iter().take(end).enumerate().map(|(index, line)| (index + 1, line)).collect()
}

/// Whether a source file is compiled for tests only.
fn is_for_tests(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("tests.rs") || file.contains("/testing/")
}

fn assert_none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn abi_stable_is_named_in_one_file_only() {
    let ours = files("", &[".rs"]);
    let names = |file: &String| {
        let in_tests = file.starts_with("tests/plugins/other_layout/") || file == "tests/system/tidy.rs";
        !in_tests && read(file).contains("abi_stable")
    };
    let found: Vec<String> = ours.into_iter().filter(names).collect();
    assert_eq!(found, ["heka-plugin-api/src/abi.rs"]);
    let depends = |file: &String| file != "Cargo.toml" && read(file).contains("abi_stable");
    let found: Vec<String> = files("", &["Cargo.toml"]).into_iter().filter(depends).collect();
    assert_eq!(found, ["heka-plugin-api/Cargo.toml", "tests/plugins/other_layout/Cargo.toml"]);
}

#[test]
fn plugins_depend_on_the_contract_and_never_on_the_router() {
    let depends = |file: &String| {
        let manifest = read(file);
        let dependencies = manifest.split("\n[dev-dependencies]").next().unwrap();
        dependencies.lines().any(|line| line.starts_with("heka-lib") || line.starts_with("heka-host"))
    };
    let found = files("plugins", &["Cargo.toml"]).into_iter().filter(depends).collect();
    assert_none("plugins that depend on the router", found);
}

#[test]
fn every_plugin_folder_is_complete() {
    let mut missing = Vec::new();
    for folder in fs::read_dir(repository().join("plugins")).unwrap().map(|entry| entry.unwrap().path()) {
        let parts = ["Cargo.toml", "README.md", "sample.toml", "src/lib.rs"].map(|part| folder.join(part));
        missing
            .extend(parts.into_iter().filter(|part| !part.is_file()).map(|part| part.display().to_string()));
    }
    assert_none("missing in plugin folders", missing);
}

#[test]
fn nothing_outside_tests_unwraps() {
    let mut found = Vec::new();
    let sources = CRATES.into_iter().flat_map(|folder| files(folder, &[".rs"]));
    for file in sources.filter(|file| !is_for_tests(file)) {
        let source = read(&file);
        for (number, line) in lines_without_tests(&source) {
            let code = line.split("//").next().unwrap();
            if code.contains(".unwrap()") || code.contains(".expect(") {
                found.push(format!("{file}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("unwrapped outside tests", found);
}

#[test]
fn no_lint_is_silenced_without_a_reason() {
    let mut found = Vec::new();
    for file in files("", &[".rs"]).into_iter().filter(|file| file != "tests/system/tidy.rs") {
        for (index, line) in read(&file).lines().enumerate() {
            if line.contains("#[allow(") || line.contains("#![allow(") || line.contains("#[ignore") {
                found.push(format!("{file}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert_none("write #[expect(…, reason)] instead", found);
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let too_long = |file: String| match read(&file).lines().count() {
        ..=500 => None,
        lines => Some(format!("{file}: {lines}")),
    };
    assert_none("too long", files("", &[".rs", ".c", ".h"]).into_iter().filter_map(too_long).collect());
}

#[test]
fn names_say_what_is_in_a_file() {
    let empty = ["util.rs", "utils.rs", "common.rs", "helpers.rs", "misc.rs", "types.rs"];
    let found = files("", &[".rs"]).into_iter().filter(|file| {
        let name = Path::new(file).file_name().unwrap().to_str().unwrap();
        empty.contains(&name)
    });
    assert_none("names that say nothing", found.collect());
}

#[test]
fn the_header_has_at_most_300_lines_and_the_versions_of_the_crate() {
    let header = read("include/heka_plugin.h");
    assert!(header.lines().count() <= 300, "{}", header.lines().count());
    let constant = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(&format!("#define {name} ")));
        line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(constant("HEKA_API_VERSION"), heka_plugin_api::abi::API_VERSION.to_string());
}

#[test]
fn the_architecture_has_at_most_250_lines_and_names_every_source_file() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 250, "ARCHITECTURE.md has {} lines", text.lines().count());
    let mut files: Vec<String> = CRATES.into_iter().flat_map(|folder| files(folder, &[".rs"])).collect();
    files.retain(|file| !is_for_tests(file) && !file.ends_with("src/lib.rs") && !is_in_map(&text, file));
    assert_none("not in the code map of ARCHITECTURE.md", files);
}

/// Whether a text names a file: by its path in its crate, by a folder that it is in, or by its bare name.
fn is_in_map(text: &str, file: &str) -> bool {
    let own = file.split_once('/').unwrap().1;
    let stem = Path::new(file).file_stem().unwrap().to_str().unwrap();
    let mut folders = Path::new(own).ancestors().skip(1).filter(|folder| folder.components().count() > 1);
    let in_folder = folders.any(|folder| {
        let folder = folder.display();
        text.contains(&format!("{folder}`")) || text.contains(&format!("{folder}/"))
    });
    in_folder || text.contains(own) || text.contains(&format!("`{stem}`")) || is_in_braces(text, stem)
}

/// Whether a name stands in `{a,b}` or `{a, b}`.
fn is_in_braces(text: &str, name: &str) -> bool {
    text.split('{').skip(1).any(|rest| {
        let inside = rest.split('}').next().unwrap();
        inside.split(',').any(|part| part.trim().trim_end_matches(".rs") == name)
    })
}

#[test]
fn the_projects_texts_name_no_path_of_a_machine() {
    let found = files("", &[".rs", ".md", ".toml", ".h", ".c"]).into_iter().filter(|file| {
        let home = ["/work/", "/home/", "/root/"].iter().any(|path| read(file).contains(path));
        home && file != "tests/system/tidy.rs"
    });
    assert_none("paths of a machine", found.collect());
}
