//! Directories: a test's own, the repository's, the plugin files'.

use std::fs;
use std::path::{Path, PathBuf};

/// A directory of a test's own, removed at its end.
pub struct Directory {
    directory: tempfile::TempDir,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// Makes one.
    ///
    /// # Panics
    /// If it can't be made; so do the others below.
    pub fn new() -> Directory {
        Directory { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Path of something in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, with the directories above it.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("make a directory");
        fs::write(&path, content).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }

    /// Appends to a file.
    pub fn append(&self, name: impl AsRef<Path>, content: &str) {
        use std::io::Write;
        let path = self.join(name);
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("open a file");
        file.write_all(content.as_bytes()).expect("append to a file");
    }

    /// Reads a file; empty if there is none.
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read(self.join(name))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its lines.
    pub fn lines(&self, name: impl AsRef<Path>) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the repository").to_owned()
}

/// Where the daemon and the plugin files were built, beside this program or above it.
///
/// # Panics
/// If they weren't.
pub fn plugin_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a test has a program");
    let is_built =
        |directory: &&Path| ["heka-host", "libheka_file.so"].iter().all(|file| directory.join(file).exists());
    let found = program.ancestors().skip(1).take(2).find(is_built);
    let shown = program.display();
    found
        .unwrap_or_else(|| panic!("no plugin files beside {shown}; run ./check, which builds them first"))
        .into()
}
