//! What is shipped is what is documented: samples are good as they stand, README tables say what metadata says.

use heka_lib::plugin::{OptionMetadata, PluginFile, PluginMetadata, Registry};
use heka_tests::{Directory, Host, plugin_file, repository};
use std::fs;
use std::path::PathBuf;

/// Folders of plugins: subject and path.
fn folders() -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(repository().join("plugins")).unwrap();
    let mut folders: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    folders.sort();
    assert!(folders.len() >= 10, "{folders:?}");
    folders
}

/// The options of a plugin as a README's table has them.
fn table(plugin: &PluginMetadata) -> String {
    if plugin.options.is_empty() {
        return String::new();
    }
    let rows: String = plugin.options.iter().map(row).collect();
    format!("| option | type | default | meaning |\n|---|---|---|---|\n{rows}")
}

fn row(option: &OptionMetadata) -> String {
    let unit = if option.unit.is_empty() { String::new() } else { format!(", {}", option.unit) };
    let default = match option.default.as_deref() {
        None => "required",
        Some("") => "–",
        Some(default) => default,
    };
    let cell = |text: &str| text.replace('|', "\\|");
    format!(
        "| `{}` | {}{unit} | {} | {} |\n",
        option.name,
        option.type_name,
        cell(default),
        cell(&option.doc)
    )
}

/// The part of a README below the heading of a plugin, such as ``## Filter `grep` ``.
fn section<'r>(readme: &'r str, plugin: &PluginMetadata) -> Option<&'r str> {
    let kind = plugin.kind.name();
    let heading = format!("\n## {}{} `{}`\n", kind[..1].to_uppercase(), &kind[1..], plugin.name);
    let start = readme.find(&heading)? + heading.len();
    let end = readme[start..].find("\n## ").map_or(readme.len(), |end| start + end + 1);
    Some(&readme[start..end])
}

/// What a README says otherwise than the plugin's metadata.
fn difference(readme: &str, plugin: &PluginMetadata) -> Option<String> {
    let (kind, name) = (plugin.kind, &plugin.name);
    let Some(section) = section(readme, plugin) else {
        return Some(format!("no section for the {kind} `{name}`"));
    };
    if !section.contains(&plugin.doc) {
        return Some(format!("{kind} `{name}`: its sentence is missing: {}", plugin.doc));
    }
    if plugin.options.is_empty() && !section.contains("no options") {
        return Some(format!("{kind} `{name}`: say that it has no options"));
    }
    // Behind the table's last row comes no other one.
    let table = table(plugin);
    let after = section.find(&table).map(|at| &section[at + table.len()..]);
    match after {
        Some(after) if table.is_empty() || !after.starts_with('|') => None,
        _ => Some(format!("{kind} `{name}`: the table of its options must be\n{table}")),
    }
}

#[test]
fn samples_are_good_as_they_are_shipped() {
    for (subject, folder) in folders() {
        let directory = Directory::new();
        let sample = fs::read(folder.join("sample.toml")).unwrap();
        directory.write("sample.toml", sample);
        let ended = Host::finish(&directory, &["check", "sample.toml"]);
        assert_eq!((ended.stderr.as_str(), ended.status), ("", Some(0)), "plugins/{subject}/sample.toml");
        assert!(ended.stdout.starts_with("sample.toml: good: "), "{}", ended.stdout);
    }
}

#[test]
fn samples_use_every_plugin_of_their_folder_or_the_readme_shows_it() {
    for (subject, folder) in folders() {
        let sample = fs::read_to_string(folder.join("sample.toml")).unwrap();
        let registry = registry(&subject);
        let plugins = || registry.files().iter().flat_map(PluginFile::plugins);
        assert!(plugins().count() > 0, "plugins/{subject} has no plugins");
        let used = plugins().any(|plugin| sample.contains(&format!("\"{}\"", plugin.name)));
        assert!(used, "plugins/{subject}/sample.toml uses no plugin of its folder");
    }
}

#[test]
fn readmes_say_of_each_plugin_and_option_what_its_metadata_says() {
    let mut differences = Vec::new();
    for (subject, folder) in folders() {
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let registry = registry(&subject);
        for plugin in registry.files().iter().flat_map(PluginFile::plugins) {
            differences.extend(
                difference(&readme, plugin).map(|text| format!("plugins/{subject}/README.md: {text}")),
            );
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_plugin_and_option_has_a_sentence() {
    for (subject, _) in folders() {
        for plugin in registry(&subject).files().iter().flat_map(PluginFile::plugins) {
            let options = plugin.options.iter().map(|option| (option.name.as_str(), option.doc.as_str()));
            for (name, doc) in options.chain([(plugin.name.as_str(), plugin.doc.as_str())]) {
                assert!(doc.ends_with('.') && doc.len() > 10, "plugins/{subject}: `{name}`: `{doc}`");
            }
        }
    }
}

/// A registry that knows the plugin file of one folder.
fn registry(subject: &str) -> Registry {
    let mut registry = Registry::new();
    let directory = Directory::new();
    directory.copy_plugins("plugins", &[subject]);
    registry.add_directory(&directory.join("plugins"));
    assert!(registry.files()[0].contents.is_ok(), "{}", plugin_file(subject).display());
    registry
}
