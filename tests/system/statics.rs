//! Plugins that are linked into the program behave as loaded ones do.

use heka_lib::config::{Config, from_toml_str};
use heka_lib::plugin::{Kind, Registry};
use heka_lib::{Router, RouterOptions, RouterStats};
use heka_tests::{Directory, assert_balanced, plugin_file};
use std::time::Duration;

/// Lines of a file, of which `grep` keeps those with a 7; `LINES` stands for the file's path.
const CONFIG: &str = "[inputs.file]\npaths = [\"LINES\"]\nfrom = \"beginning\"\nfollow = false\n\
    [filters.grep]\ncontains = \"7\"\n\
    [chains.all]\nmatcher = 'Type == \"file\"'\nfilters = [\"grep\"]\noutputs = [\"null\"]\n[outputs.null]\n";

/// Plugins of files.
fn loaded(directory: &Directory) -> Registry {
    directory.copy_plugins("plugins", &["null", "file", "grep"]);
    let mut registry = Registry::new();
    registry.add_directory(&directory.join("plugins"));
    registry
}

/// The same plugins by value.
fn linked() -> Registry {
    let mut registry = Registry::new();
    for file in [&heka_null::PLUGIN_FILE, &heka_file::PLUGIN_FILE, &heka_grep::PLUGIN_FILE] {
        registry.add_static(file);
    }
    registry
}

fn run(registry: &Registry, config: &str) -> Result<RouterStats, String> {
    let directory = Directory::new();
    let lines =
        directory.write("in.log", (0..1000).map(|number| format!("line {number}\n")).collect::<String>());
    let config = config.replace("LINES", &lines.display().to_string());
    let text = format!("[heka]\nstate_dir = \"{}\"\n{config}", directory.join("state").display());
    let document = from_toml_str("heka.toml", &text).map_err(|faults| faults.to_string())?;
    let config = Config::from_document(&document).map_err(|faults| faults.to_string())?;
    let started = Router::start(&config, registry, &RouterOptions::default());
    let router = started.map_err(|faults| faults.to_string())?;
    assert!(router.wait(Duration::from_secs(20)));
    let stats = router.stop();
    assert_balanced(&stats);
    Ok(stats)
}

#[test]
fn linked_plugins_do_what_loaded_ones_do() {
    let directory = Directory::new();
    let (from_files, by_value) = (run(&loaded(&directory), CONFIG).unwrap(), run(&linked(), CONFIG).unwrap());
    assert_eq!(from_files, by_value);
    let out = by_value.output("null").unwrap();
    assert_eq!((out.delivered, out.plugin["messages"]), (271, 271), "{by_value}");
}

#[test]
fn linked_plugins_are_checked_as_loaded_ones_are() {
    let directory = Directory::new();
    let wrong = CONFIG.replace("contains = \"7\"", "contains = \"\"").replace("follow =", "folow =");
    let (from_files, by_value) = (run(&loaded(&directory), &wrong), run(&linked(), &wrong));
    let expected = "heka.toml:6:1: input `file`: unknown key `folow`; did you mean `follow`\n\
                    heka.toml:8:12: filter `grep`: `contains`: must not be empty";
    assert_eq!(from_files.unwrap_err(), expected);
    assert_eq!(by_value.unwrap_err(), expected);
}

#[test]
fn linked_plugins_do_not_clash() {
    let registry = linked();
    let names: Vec<Vec<String>> = registry
        .files()
        .iter()
        .map(|file| file.plugins().map(|plugin| format!("{} {}", plugin.kind, plugin.name)).collect())
        .collect();
    let expected =
        [vec!["input generate", "output null"], vec!["input file", "output file"], vec!["filter grep"]];
    assert_eq!(names, expected);
    let kinds = [Kind::Input, Kind::Output, Kind::Input, Kind::Output, Kind::Filter];
    for (kind, name) in kinds.into_iter().zip(["generate", "null", "file", "file", "grep"]) {
        let plugin = registry.find(kind, name).unwrap();
        // SAFETY: the name is a constant of this program.
        let called = unsafe { plugin.table.name.bytes() };
        assert_eq!((called, plugin.table.kind, plugin.is_static()), (name.as_bytes(), kind.number(), true));
    }
}

#[test]
fn a_plugin_that_is_linked_and_also_in_a_file_is_one_plugin() {
    let directory = Directory::new();
    let mut registry = loaded(&directory);
    registry.add_static(&heka_grep::PLUGIN_FILE).add_static(&heka_grep::PLUGIN_FILE);
    assert_eq!(registry.files().len(), 4);
    assert!(registry.find(Kind::Filter, "grep").unwrap().is_static());
    let in_file = registry.find_in_file(&plugin_file("grep"), Kind::Filter, "grep").unwrap();
    assert!(!in_file.is_static());
    run(&registry, CONFIG).unwrap();
}
