//! Files that can't be used: each gets one line, and none of their code runs.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::plugin::file::inspect;

/// Checks what is said about a file without loading it.
fn check(bytes: &[u8], expected: &str) {
    let directory = directory(&[("libheka_x.so", bytes)]);
    let problem = inspect(&file(&directory, "libheka_x.so"), &[]).unwrap_err().to_string();
    assert_eq!(problem, format!("plugin file `libheka_x.so`: {expected}"));
}

#[test]
fn a_whole_plugin_file_has_no_fault() {
    let directory = directory(&[("libheka_x.so", &null())]);
    let crates = inspect(&file(&directory, "libheka_x.so"), &[]).unwrap();
    let names: Vec<&str> = crates[0].plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!((crates.len(), crates[0].name.as_str(), names), (1, "heka_null", vec!["generate", "null"]));
}

#[test]
fn what_is_not_a_shared_object_is_refused() {
    check(b"", "not an ELF shared object: it is empty; copy it again");
    check(b"#!/bin/sh\n", "not an ELF shared object");
    check(b"\x7fELF", "truncated: the header ends at byte 64 but the file has 4; copy it again");
    check(&changed(null(), 16, &[2, 0]), "not an ELF shared object, but an executable");
    check(&changed(null(), 16, &[1, 0]), "not an ELF shared object, but an object file");
}

#[test]
fn what_was_built_for_another_machine_is_refused() {
    let host = if cfg!(target_arch = "x86_64") { "x86-64" } else { "AArch64" };
    let check_machine = |machine: u8, class: u8, built_for: &str| {
        let bytes = changed(changed(null(), 18, &[machine, 0]), 4, &[class]);
        check(&bytes, &format!("built for {built_for}, this host runs on {host}; rebuild the plugin"));
    };
    check_machine(3, 1, "x86");
    check_machine(40, 1, "ARM");
    check_machine(243, 2, "RISC-V, 64 bits");
    check_machine(200, 2, "machine number 200");
    let bytes = changed(changed(null(), 5, &[2]), 16, &[0, 3, 0, 21]);
    check(&bytes, &format!("built for PowerPC 64, big-endian, this host runs on {host}; rebuild the plugin"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = null();
    let directory = directory(&[]);
    let path = file(&directory, "libheka_x.so");
    let step = whole.len() / 200;
    for len in (0..whole.len()).step_by(step).chain([4, 63, 64, 65, whole.len() - 1]) {
        fs::write(&path, &whole[..len]).unwrap();
        let problem = inspect(&path, &[]).unwrap_err().to_string();
        assert!(problem.contains("copy it again"), "{len}: {problem}");
    }
    fs::write(&path, &whole[..100_000]).unwrap();
    let problem = inspect(&path, &[]).unwrap_err().to_string();
    assert!(problem.contains("truncated: a segment ends at byte "), "{problem}");
    assert!(problem.ends_with(" but the file has 100000; copy it again"), "{problem}");
}

#[test]
fn what_has_no_metadata_of_ours_is_refused() {
    let renamed = patched(b".heka_plugin\0", b".hexa_plugin\0");
    check(&renamed, "not a Heka plugin (no `.heka_plugin` section)");
    let later = patched(b"heka_plugin_api=0\0", b"heka_plugin_api=1\0");
    check(&later, "built for plugin API 1, this host speaks 0; rebuild the plugin");
    let kind = patched(b"kind=input\0", b"kind=inlet\0");
    check(&kind, "its metadata has an unknown kind `inlet`; this host may be too old for it");
}

#[test]
fn what_is_not_a_file_is_refused() {
    let directory = directory(&[]);
    fs::create_dir(file(&directory, "a.so")).unwrap();
    let fifo = file(&directory, "b.so");
    let (mode, cwd) = (rustix::fs::Mode::from_raw_mode(0o600), rustix::fs::CWD);
    rustix::fs::mknodat(cwd, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let problem = |name: &str| inspect(&file(&directory, name), &[]).unwrap_err().to_string();
    assert_eq!(problem("a.so"), "plugin file `a.so`: not a regular file");
    assert_eq!(problem("b.so"), "plugin file `b.so`: not a regular file");
    assert_eq!(problem("c.so"), "plugin file `c.so`: failed to open: no such file or directory");
}

#[test]
fn what_others_may_write_is_refused_also_behind_a_symlink() {
    let real = directory(&[("x.so", &null())]);
    let links = directory(&[]);
    symlink(file(&real, "x.so"), file(&links, "y.so")).unwrap();
    let problem = || inspect(&file(&links, "y.so"), &[]).err().map(|problem| problem.to_string());
    let mode =
        |name: &str, mode: u32| fs::set_permissions(file(&real, name), Permissions::from_mode(mode)).unwrap();
    assert_eq!(problem(), None);
    mode("x.so", 0o666);
    let refused = "plugin file `y.so`: refused: anyone may write it (mode 0666); chmod o-w it";
    assert_eq!(problem().as_deref(), Some(refused));
    mode("x.so", 0o644);
    mode("", 0o777);
    let shown = real.path().canonicalize().unwrap();
    let refused = format!(
        "plugin file `y.so`: refused: anyone may write its directory `{}` (mode 0777); chmod o-w it",
        shown.display()
    );
    assert_eq!(problem(), Some(refused));
    mode("", 0o1777);
    assert_eq!(problem(), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_headers_never_panic(at in 0_usize..4096, by in proptest::collection::vec(proptest::num::u8::ANY, 1..16)) {
        let mut bytes = null();
        // Headers are at the start and, the section table, at the end.
        let at = if at < 800 { at } else { bytes.len() - at };
        let end = (at + by.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&by[..end - at]);
        let directory = directory(&[("x.so", &bytes)]);
        let _ = inspect(&file(&directory, "x.so"), &[]);
    }
}
