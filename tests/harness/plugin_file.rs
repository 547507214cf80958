//! Plugin files for tests that need them in a directory of their own.

use crate::directory::{Directory, plugin_dir};
use std::fs;
use std::path::PathBuf;

/// Path of the plugin file of a subject, such as `null`, as it was built beside this test.
///
/// # Panics
/// If it wasn't built.
pub fn plugin_file(subject: &str) -> PathBuf {
    let path = plugin_dir().join(format!("libheka_{subject}.so"));
    assert!(path.exists(), "no {}; run ./check, which builds it first", path.display());
    path
}

impl Directory {
    /// Copies plugin files, named by their subjects, into a directory in this one.
    ///
    /// # Panics
    /// If that fails.
    pub fn copy_plugins(&self, to: &str, subjects: &[&str]) {
        fs::create_dir_all(self.join(to)).expect("make a directory");
        for subject in subjects {
            let file = plugin_file(subject);
            let copy = self.join(to).join(file.file_name().expect("a file name"));
            fs::copy(&file, copy).unwrap_or_else(|error| panic!("copy {}: {error}", file.display()));
        }
    }
}
