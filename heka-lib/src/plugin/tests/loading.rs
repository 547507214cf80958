//! Loading: one load per content, and refusals that only show once the file is open.

use super::*;
use crate::plugin::{Kind, load};

/// Checks what is said when a file is loaded that looks whole from outside.
fn check(bytes: &[u8], expected: &str) {
    let directory = directory(&[("libheka_x.so", bytes)]);
    let problem = load(&file(&directory, "libheka_x.so"), &[]).unwrap_err().to_string();
    assert_eq!(problem, format!("plugin file `libheka_x.so`: {expected}"));
}

#[test]
fn the_same_content_is_loaded_once_and_a_changed_file_anew() {
    let mut longer = null();
    longer.push(0);
    let directory = directory(&[("a.so", &null()), ("b.so", &null()), ("c.so", &longer)]);
    let table = |name: &str| {
        let loaded = load(&file(&directory, name), &[]).unwrap();
        std::ptr::from_ref(loaded.plugin(Kind::Output, "null").unwrap().0)
    };
    let first = table("a.so");
    assert_eq!(first, table("a.so"));
    assert_eq!(first, table("b.so"));
    assert_ne!(first, table("c.so"));
    fs::write(file(&directory, "a.so"), &longer).unwrap();
    assert_eq!(table("a.so"), table("c.so"));
}

#[test]
fn a_loaded_file_may_be_overwritten() {
    let mut own = null();
    own.extend([0; 3]);
    let directory = directory(&[("a.so", &own)]);
    let loaded = load(&file(&directory, "a.so"), &[]).unwrap();
    fs::write(file(&directory, "a.so"), b"").unwrap();
    let (table, metadata) = loaded.plugin(Kind::Input, "generate").unwrap();
    assert_eq!((table.kind, metadata.options.len()), (heka_plugin_api::abi::kind::INPUT, 4));
    // SAFETY: the name is a constant of the loaded file.
    assert_eq!(unsafe { table.name.bytes() }, b"generate");
}

#[test]
fn what_the_linker_refuses_is_told_with_its_reason() {
    let directory = directory(&[("libheka_x.so", &patched(b"\0malloc\0", b"\0mallox\0"))]);
    let problem = load(&file(&directory, "libheka_x.so"), &[]).unwrap_err().to_string();
    let start = "plugin file `libheka_x.so`: failed to load: undefined symbol: mallox";
    assert!(problem.starts_with(start), "{problem}");
    assert!(problem.ends_with("; rebuild the plugin, or install what it needs"), "{problem}");
}

#[test]
fn an_entry_that_is_not_there_or_not_ours_is_refused() {
    let no_entry = patched(b"heka_plugin_entry_heka_null\0", b"heka_plugin_entry_heka_nulx\0");
    check(&no_entry, "it has no symbol `heka_plugin_entry_heka_null`; rebuild the plugin");
    let no_layout = patched(b"heka_plugin_layout_heka_null\0", b"heka_plugin_layout_heka_nulx\0");
    check(&no_layout, "it has no symbol `heka_plugin_layout_heka_null`; rebuild the plugin");
    let at = entry_offset();
    let with = |offset: usize, by: &[u8]| changed(null(), at + offset, by);
    check(&with(0, b"hekaplug"), "its entry does not begin with `HEKAPLUG`; rebuild the plugin");
    check(&with(8, &[7]), "built for plugin API 7, this host speaks 0; rebuild the plugin");
    let size = size_of::<heka_plugin_api::abi::Entry>();
    let other_size = format!(
        "its entry has 1 bytes, this host's {size}; rebuild it with the heka-plugin-api of this host"
    );
    check(&with(12, &[1]), &other_size);
    check(&with(24, &[1, 0]), "its entry and its section `.heka_plugin` differ; rebuild the plugin");
    check(&with(40, &[9]), "its metadata names 2 plugins, its entry has 9; rebuild the plugin");
    let renamed = patched(b"plugin=null\0", b"plugin=nill\0");
    check(
        &renamed,
        "its metadata has output `nill`, its tables have another plugin there; rebuild the plugin",
    );
}

#[test]
fn another_version_of_the_layout_tables_is_refused() {
    let bytes = patched(b"layout=0.11.3\0", b"layout=0.11.4\0");
    let why = "its layout tables are of version 0.11.4, this host's of 0.11.3; \
               rebuild it with the heka-plugin-api of this host";
    check(&bytes, why);
}

#[test]
fn plugin_files_that_are_built_wrong_are_refused() {
    let problem = |package: &str| load(&built(package), &[]).unwrap_err().to_string();
    let other_api = "plugin file `libheka_other_api.so`: built for plugin API 99, this host speaks 0; \
                     rebuild the plugin";
    assert_eq!(problem("heka-other-api"), other_api);
    let no_symbol = "plugin file `libheka_no_symbol.so`: it has no symbol `heka_plugin_entry_heka_no_symbol`; \
                     rebuild the plugin";
    assert_eq!(problem("heka-no-symbol"), no_symbol);
    let other_layout = problem("heka-other-layout");
    let start = "plugin file `libheka_other_layout.so`: its layout differs from this host's: ";
    assert!(other_layout.starts_with(start), "{other_layout}");
    assert!(other_layout.ends_with("; rebuild it with the heka-plugin-api of this host"), "{other_layout}");
}
