//! Finds the files that the options name.

use glob::{GlobError, MatchOptions, Pattern, glob_with};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// `*` stays within one directory, and sees files that begin with a dot as a shell does not.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The patterns of paths to read and to leave out.
pub struct Patterns {
    included: Vec<Included>,
    excluded: Vec<Excluded>,
}

struct Included {
    text: String,
    pattern: Pattern,
}

struct Excluded {
    pattern: Pattern,
    by_name: bool,
}

impl Patterns {
    /// Says what is wrong with a pattern.
    pub fn check(text: &str) -> Result<(), String> {
        if text.is_empty() || text.ends_with('/') {
            return Err(format!("`{text}` names no file"));
        }
        Pattern::new(text).map(|_| ()).map_err(|error| format!("`{text}` is not a pattern: {}", error.msg))
    }

    /// Makes patterns of texts that were checked; others match nothing.
    pub fn new(paths: &[String], exclude: &[String]) -> Patterns {
        let included = paths.iter().map(|text| plain(text)).filter_map(|text| {
            let pattern = Pattern::new(&text).ok()?;
            Some(Included { text, pattern })
        });
        let excluded = exclude.iter().filter_map(|text| {
            let by_name = !text.contains('/');
            let pattern = Pattern::new(&if by_name { text.clone() } else { plain(text) }).ok()?;
            Some(Excluded { pattern, by_name })
        });
        Patterns { included: included.collect(), excluded: excluded.collect() }
    }

    /// Returns the texts of the patterns to read.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.included.iter().map(|included| included.text.as_str())
    }

    /// Finds all paths, with the pattern that names each; a path may come more than once.
    pub fn find(&self) -> impl Iterator<Item = Result<(&str, PathBuf), GlobError>> {
        let all = self.included.iter().flat_map(|included| {
            let paths = glob_with(&included.text, OPTIONS).into_iter().flatten();
            paths.map(|path| path.map(|path| (included.text.as_str(), path)))
        });
        all.filter(|found| found.as_ref().map_or(true, |(_, path)| !self.excludes(path)))
    }

    /// Returns the pattern that names a path.
    pub fn naming(&self, path: &Path) -> Option<&str> {
        let included =
            self.included.iter().find(|included| included.pattern.matches_path_with(path, OPTIONS))?;
        (!self.excludes(path)).then_some(included.text.as_str())
    }

    /// Tells whether a pattern may name what a file becomes that is rotated and compressed.
    pub fn may_name_compressed(&self, path: &Path) -> bool {
        [".gz", ".1.gz", "-20260101.gz"].iter().any(|suffix| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            self.naming(Path::new(&name)).is_some()
        })
    }

    /// Finds the directories in which files or directories may appear that the patterns name.
    ///
    /// Where a directory doesn't exist it is the nearest one above.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        for included in &self.included {
            let parts: Vec<Component<'_>> = Path::new(&included.text).components().collect();
            let above = &parts[..parts.len().saturating_sub(1)];
            let literal = above.iter().take_while(|part| !is_wild(part)).count();
            let base: PathBuf = above[..literal].iter().collect();
            let existing = base.ancestors().find(|path| here(path).is_dir());
            found.insert(existing.unwrap_or(Path::new("")).to_owned());
            for end in literal + 1..=above.len() {
                let prefix: PathBuf = above[..end].iter().collect();
                let paths = glob_with(&prefix.to_string_lossy(), OPTIONS).into_iter().flatten().flatten();
                found.extend(paths.filter(|path| path.is_dir()));
            }
        }
        found
    }

    fn excludes(&self, path: &Path) -> bool {
        self.excluded.iter().any(|excluded| {
            let subject = if excluded.by_name { path.file_name().map(Path::new) } else { Some(path) };
            subject.is_some_and(|subject| excluded.pattern.matches_path_with(subject, OPTIONS))
        })
    }
}

/// Returns the directory itself, or `.` for the empty path.
pub fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Returns a pattern without `./` and doubled `/`, as found paths are.
fn plain(text: &str) -> String {
    let parts = Path::new(text).components().filter(|part| *part != Component::CurDir);
    parts.collect::<PathBuf>().to_string_lossy().into_owned()
}

fn is_wild(part: &Component<'_>) -> bool {
    part.as_os_str().to_string_lossy().contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(paths: &[&str], exclude: &[&str]) -> Patterns {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Patterns::new(&owned(paths), &owned(exclude))
    }

    #[test]
    fn patterns_name_paths() {
        let check = |pattern: &str, exclude: &[&str], path: &str, named: bool| {
            let naming = patterns(&[pattern], exclude).naming(Path::new(path)).is_some();
            assert_eq!(naming, named, "{pattern} without {exclude:?}: {path}");
        };
        check("/var/log/*.log", &[], "/var/log/a.log", true);
        check("/var/log/*.log", &[], "/var/log/deep/a.log", false);
        check("/var/log/**/*.log", &[], "/var/log/deep/er/a.log", true);
        check("/var/log/**/*.log", &[], "/var/log/a.log", true);
        check("./logs//*.log", &[], "logs/a.log", true);
        check("/var/log/[ab].log", &[], "/var/log/c.log", false);
        check("/var/log/*", &["*.gz"], "/var/log/a.gz", false);
        check("/var/log/*", &["*.gz"], "/var/log/a", true);
        check("/var/log/*", &["/var/log/a*"], "/var/log/a.gz", false);
        check("/var/log/*/x", &["/var/*/x"], "/var/log/y/x", true);
    }

    #[test]
    fn bad_patterns_are_refused() {
        let check = |text: &str, reason: &str| assert_eq!(Patterns::check(text), Err(reason.to_owned()));
        check("", "`` names no file");
        check("/var/log/", "`/var/log/` names no file");
        assert!(Patterns::check("/a/[").unwrap_err().starts_with("`/a/[` is not a pattern: "));
        assert!(Patterns::check("/a/**b").is_err());
        assert_eq!(Patterns::check("/a/**/*.log"), Ok(()));
    }

    #[test]
    fn directories_are_those_in_which_files_may_appear() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let check = |pattern: &str, expected: &[&str]| {
            let found = patterns(&[root.join(pattern).to_str().unwrap()], &[]).directories();
            let expected = expected.iter().map(|path| root.join(path)).collect::<BTreeSet<_>>();
            assert_eq!(found, expected, "{pattern}");
        };
        check("x.log", &[""]);
        check("*.log", &[""]);
        check("a/*/x.log", &["a", "a/b"]);
        check("*/x.log", &["", "a"]);
        check("none/where/x.log", &[""]);
        check("a/**/*.log", &["a", "a/b"]);
    }
}
