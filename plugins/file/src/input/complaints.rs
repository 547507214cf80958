//! Log lines about one path, at a limited rate.

use heka_plugin_api::cause;
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After this time the same complaint is made again.
const REPEAT_AFTER: Duration = Duration::from_secs(600);
/// Paths remembered; when there are more, all are forgotten.
const PATHS_MAX: usize = 10_000;

/// Warns of each path once, and again every ten minutes while the reason holds.
pub struct Complaints {
    instance: String,
    made: HashMap<PathBuf, Instant>,
}

impl Complaints {
    /// Makes complaints in the name of an input.
    pub fn new(instance: &str) -> Complaints {
        Complaints { instance: instance.to_owned(), made: HashMap::new() }
    }

    /// Warns that something failed with a path, unless it was said lately.
    pub fn failed(&mut self, path: &Path, what: &str, error: &io::Error) {
        if self.is_due(path) {
            let (instance, path, why) = (&self.instance, path.display(), cause(error));
            log::warn!("input `{instance}`: failed to {what} `{path}`: {why}; trying again");
        }
    }

    /// Warns about a path, unless that was done lately.
    pub fn about(&mut self, path: &Path, text: impl Display) {
        if self.is_due(path) {
            log::warn!("input `{}`: {text}", self.instance);
        }
    }

    /// Says something that happens rarely.
    pub fn note(&self, text: impl Display) {
        log::info!("input `{}`: {text}", self.instance);
    }

    /// Forgets what was said about a path, since it works again.
    pub fn settle(&mut self, path: &Path) {
        if !self.made.is_empty() {
            self.made.remove(path);
        }
    }

    fn is_due(&mut self, path: &Path) -> bool {
        let now = Instant::now();
        if self.made.get(path).is_some_and(|made| now - *made < REPEAT_AFTER) {
            return false;
        }
        if self.made.len() >= PATHS_MAX {
            self.made.clear();
        }
        self.made.insert(path.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_complained_of_once_until_it_works_again() {
        let (mut complaints, path) = (Complaints::new("logs"), Path::new("/a"));
        assert!(complaints.is_due(path));
        assert!(!complaints.is_due(path));
        assert!(complaints.is_due(Path::new("/b")));
        complaints.settle(path);
        assert!(complaints.is_due(path));
    }
}
