//! Reads the kernel's small text files, and explains what is missing or odd in them once.

use heka_plugin_api::cause;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of one file, in bytes; the kernel's are far smaller.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Troubles that are remembered; further ones are not told.
const TROUBLES_MAX: usize = 1_000;

/// What was missing or odd so far, so that each is told once.
#[derive(Default)]
pub struct Troubles {
    instance: String,
    told: HashSet<String>,
}

impl Troubles {
    /// Makes an empty book for an instance.
    pub fn of(instance: &str) -> Troubles {
        Troubles { instance: instance.to_owned(), told: HashSet::new() }
    }

    /// Tells of one, unless it was told already.
    pub fn tell(&mut self, trouble: String) {
        if self.told.len() < TROUBLES_MAX && !self.told.contains(&trouble) {
            log::warn!("input `{}`: {trouble}; it is left out", self.instance);
            self.told.insert(trouble);
        }
    }

    /// Returns how many different ones there were.
    pub fn count(&self) -> usize {
        self.told.len()
    }
}

/// Reads a file; one that can't be read is a trouble.
pub fn read_text(path: &Path, troubles: &mut Troubles) -> Option<String> {
    match read(path) {
        Ok(text) => Some(text),
        Err(why) => {
            troubles.tell(format!("failed to read `{}`: {}", path.display(), cause(&why)));
            None
        }
    }
}

/// Reads a file that may well not be there.
pub fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::with_capacity(4096);
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Tells of a file in which nothing was found that should be there.
pub fn odd(path: &Path, what: &str, troubles: &mut Troubles) {
    troubles.tell(format!("found no {what} in `{}`", path.display()));
}

/// Reads numbers until something else comes.
pub fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_ascii_whitespace().map_while(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_told_once() {
        let mut troubles = Troubles::of("test");
        let path = Path::new("/nonexistent/stat");
        assert_eq!((read_text(path, &mut troubles), read_text(path, &mut troubles)), (None, None));
        odd(path, "processors", &mut troubles);
        assert_eq!(troubles.count(), 2);
        assert!(troubles.told.contains("failed to read `/nonexistent/stat`: no such file or directory"));
    }

    #[test]
    fn numbers_end_at_other_words() {
        assert_eq!(numbers(" 1  22 x 3").collect::<Vec<_>>(), [1, 22]);
        assert_eq!(numbers("-1").count(), 0);
    }
}
