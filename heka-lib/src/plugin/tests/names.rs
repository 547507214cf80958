//! Finding plugins by name.

use heka_plugin_api::{Context, Delivered, Delivery, Output, PluginError, Schema};
use serde::Deserialize;

use super::*;
use crate::plugin::{Kind, Registry};

heka_plugin_api::export_plugin! { output "nowhere" => Nowhere }

/// Forgets messages.
#[derive(Deserialize, Schema)]
struct Options {}

struct Nowhere;

impl Output for Nowhere {
    type Config = Options;

    fn open(_: Options, _: &mut Context) -> Result<Self, PluginError> {
        Ok(Nowhere)
    }

    fn deliver(&mut self, _: &mut Delivery<'_>, _: &mut Context) -> Result<Delivered, PluginError> {
        Ok(Delivered::Now)
    }
}

fn registry(directories: &[&TempDir]) -> Registry {
    let mut registry = Registry::new();
    for directory in directories {
        registry.add_directory(directory.path());
    }
    registry
}

fn check(registry: &Registry, kind: Kind, name: &str, expected: &str) {
    assert_eq!(registry.find(kind, name).unwrap_err().to_string(), expected);
    assert_eq!(registry.describe(kind, name).unwrap_err().to_string(), expected);
}

#[test]
fn plugins_of_directories_are_listed_and_found() {
    let plugins = directory(&[("b.so", &null()), ("a.so", b"text"), ("c.txt", b"")]);
    let registry = registry(&[&plugins, &plugins]);
    let paths: Vec<_> = registry.files().iter().map(|file| file.path.clone().unwrap()).collect();
    assert_eq!(paths, [file(&plugins, "a.so"), file(&plugins, "b.so")]);
    assert!(registry.files()[0].contents.is_err());
    assert_eq!(registry.describe(Kind::Input, "generate").unwrap().options[0].name, "count");
    let plugin = registry.find(Kind::Output, "null").unwrap();
    assert_eq!((plugin.file, plugin.table.kind), (Some(file(&plugins, "b.so")), 5));
    let in_file = registry.find_in_file(&file(&plugins, "b.so"), Kind::Output, "null").unwrap();
    assert!(std::ptr::eq(plugin.table, in_file.table));
}

#[test]
fn unknown_names_are_explained() {
    let plugins = directory(&[("libheka_null.so", &null())]);
    let registry = registry(&[&plugins]);
    check(&registry, Kind::Input, "genrate", "no input `genrate`; did you mean `generate`? known: generate");
    check(&registry, Kind::Input, "file", "no input `file`; known: generate");
    check(&registry, Kind::Filter, "grep", "no filter `grep`; no plugin here is a filter");
    let other_kind = "no input `null`; `null` is an output, not an input; known: generate";
    check(&registry, Kind::Input, "null", other_kind);
    check(&Registry::new(), Kind::Input, "file", "no input `file`; no plugin here is an input");
    let path = file(&plugins, "libheka_null.so");
    let in_file = registry.find_in_file(&path, Kind::Output, "nul").unwrap_err().to_string();
    let expected = "plugin file `libheka_null.so`: no output `nul`; did you mean `null`? known: null";
    assert_eq!(in_file, expected);
}

#[test]
fn an_unusable_file_that_may_have_the_plugin_is_named() {
    let plugins = directory(&[("libheka_null.so", &null()), ("libheka_file.so", b"text")]);
    let registry = registry(&[&plugins]);
    let hint = format!(
        "`libheka_file.so` in `{}` can't be used: not an ELF shared object",
        plugins.path().display()
    );
    check(&registry, Kind::Input, "file", &format!("no input `file`; {hint}"));
    check(&registry, Kind::Output, "tcp", &format!("no output `tcp`; known: null; {hint}"));
    let path = file(&plugins, "libheka_file.so");
    let problem = registry.describe_in_file(&path, Kind::Input, "file").unwrap_err().to_string();
    assert_eq!(problem, "plugin file `libheka_file.so`: not an ELF shared object");
}

#[test]
fn a_missing_directory_is_a_problem() {
    let mut registry = Registry::new();
    registry.add_directory(Path::new("no/such"));
    let expected = "plugin directory `no/such`: failed to read: no such file or directory; create it, or name \
                    another one";
    assert_eq!(registry.problems()[0].to_string(), expected);
}

#[test]
fn two_files_with_the_same_plugin_are_refused_unless_they_are_equal() {
    let mut other = null();
    other.push(1);
    let (one, same, two) =
        (directory(&[("a.so", &null())]), directory(&[("b.so", &null())]), directory(&[("c.so", &other)]));
    assert!(registry(&[&one, &same]).find(Kind::Output, "null").is_ok());
    let registry = registry(&[&one, &two]);
    let (a, c) = (file(&one, "a.so"), file(&two, "c.so"));
    let expected = format!(
        "output `null` is in `{0}` and in `{1}`; remove one, or name the file: `plugin = \"{0}:null\"`",
        a.display(),
        c.display()
    );
    check(&registry, Kind::Output, "null", &expected);
    assert_eq!(registry.find_in_file(&c, Kind::Output, "null").unwrap().file, Some(c));
}

#[test]
fn plugins_that_are_linked_in_are_found_beside_those_of_files() {
    let plugins = directory(&[("libheka_null.so", &null())]);
    let mut registry = registry(&[&plugins]);
    registry.add_static(&PLUGIN_FILE).add_static(&PLUGIN_FILE);
    assert_eq!(registry.files().len(), 2);
    let plugin = registry.find(Kind::Output, "nowhere").unwrap();
    assert!(plugin.is_static());
    assert_eq!(plugin.metadata.doc, "Forgets messages.");
    assert!(!registry.find(Kind::Output, "null").unwrap().is_static());
}
