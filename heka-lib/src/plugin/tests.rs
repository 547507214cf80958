//! Tests of the whole folder, on copies of a real plugin file.

mod broken;
mod loading;
mod names;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Builds a package of this workspace and gives the plugin file that comes out.
fn built(package: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let profile = deps.ancestors().nth(2).unwrap();
    let release = profile.ends_with("release").then_some("--release");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", package]).args(release).arg("--manifest-path").arg(manifest);
    assert!(cargo.status().unwrap().success(), "failed to build {package}");
    profile.join(format!("lib{}.so", package.replace('-', "_")))
}

/// The bytes of a plugin file with an input `generate` and an output `null`.
fn null() -> Vec<u8> {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| fs::read(built("heka-null")).unwrap()).clone()
}

/// Replaces a text, wherever it is, by another one of the same length.
fn patched(text: &[u8], by: &[u8]) -> Vec<u8> {
    assert_eq!(text.len(), by.len());
    let mut bytes = null();
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, text).collect();
    assert!(!places.is_empty(), "the plugin file has no {}", text.escape_ascii());
    places.into_iter().for_each(|at| bytes[at..at + by.len()].copy_from_slice(by));
    bytes
}

/// Changes bytes at an offset.
fn changed(mut bytes: Vec<u8>, at: usize, by: &[u8]) -> Vec<u8> {
    bytes[at..at + by.len()].copy_from_slice(by);
    bytes
}

/// Where the entry is in the plugin file.
fn entry_offset() -> usize {
    memchr::memmem::find(&null(), b"HEKAPLUG").unwrap()
}

/// A directory with files of these names and contents.
fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = TempDir::new().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(directory.path().join(name), bytes).unwrap());
    directory
}

/// The path of a temporary directory's file.
fn file(directory: &TempDir, name: &str) -> PathBuf {
    Path::new(directory.path()).join(name)
}
