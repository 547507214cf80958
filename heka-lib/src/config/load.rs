//! Finds the files of a configuration, reads and merges them.

use heka_plugin_api::cause;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{Document, Entry, Node, NodeValue};
use super::faults::Faults;
use super::position::{Position, PositionFinder};
use super::{json_document, reference, seed, toml_document};

/// Bigger files are no configurations; 4 MiB hold some 40,000 sections.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Looks up a variable of the environment; the embedder decides what that is.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Loads a configuration: one file, or all `*.toml` and `*.json` files of a directory, merged in name order.
///
/// A file ending in `.json`, or that has another ending than `.toml` and begins with `{` or `/`, is JSON: in
/// today's shape or the seed era's. Hidden files of a directory are left out. `[heka]` may be spread over
/// several files; an instance may not. `${env:NAME}` and `${file:PATH}` in values are replaced when
/// `[heka] allow_env` is `true`; `environment` answers for the former. At most 4 MiB per file.
///
/// # Errors
/// If a file can't be read or is neither TOML nor JSON. Other faults wait in [`Document::faults`].
pub fn load(path: &Path, environment: Option<Environment<'_>>) -> Result<Document, Faults> {
    let mut reading = Reading::new(path);
    match files(path) {
        Ok(files) if files.is_empty() => {
            reading.fail(format!("{}: no *.toml or *.json file in this directory", path.display()));
        }
        Ok(files) => files.iter().for_each(|file| reading.read_file(file)),
        Err(error) => reading.fail(format!("{}: failed to open: {}", path.display(), cause(&error))),
    }
    reading.finish(environment)
}

/// Reads a configuration from a TOML text; `name` stands for the file's name in faults.
///
/// `${env:NAME}` is not available here; otherwise as [`load`].
///
/// # Errors
/// If the text is not TOML. Other faults wait in [`Document::faults`].
pub fn from_toml_str(name: &str, text: &str) -> Result<Document, Faults> {
    from_str(name, text, Format::Toml)
}

/// Reads a configuration from a JSON text, of today's shape or the seed era's; otherwise as
/// [`from_toml_str`].
///
/// # Errors
/// If the text is not JSON. Other faults wait in [`Document::faults`].
pub fn from_json_str(name: &str, text: &str) -> Result<Document, Faults> {
    from_str(name, text, Format::Json)
}

fn from_str(name: &str, text: &str, format: Format) -> Result<Document, Faults> {
    let mut reading = Reading::new(Path::new(name));
    reading.read_text(&Path::new(name).into(), text, format);
    reading.finish(None)
}

#[derive(Clone, Copy)]
enum Format {
    Toml,
    Json,
}

fn format_of(path: &Path, text: &str) -> Format {
    match path.extension().and_then(OsStr::to_str) {
        Some("toml") => Format::Toml,
        Some("json") => Format::Json,
        _ if text.trim_start().starts_with(['{', '/']) => Format::Json,
        _ => Format::Toml,
    }
}

/// Lists the files of a configuration.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let file = entry?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let known = matches!(file.extension().and_then(OsStr::to_str), Some("toml" | "json"));
        if known && !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Collects what the files of one configuration say.
struct Reading {
    name: PathBuf,
    root: Node,
    faults: Faults,
    unreadable: bool,
}

impl Reading {
    fn new(path: &Path) -> Self {
        let position = Position { file: path.into(), line: 1, column: 1 };
        let root = Node::table(Vec::new(), &position);
        Reading { name: path.to_owned(), root, faults: Faults::new(), unreadable: false }
    }

    fn fail(&mut self, text: String) {
        self.unreadable = true;
        self.faults.add_unplaced(text);
    }

    fn read_file(&mut self, path: &Path) {
        let mut bytes = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return self.fail(format!("{}: failed to read: {}", path.display(), cause(&error)));
        }
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return self.fail(format!("{}: longer than 4 MiB", path.display()));
        }
        let file: Arc<Path> = path.into();
        match std::str::from_utf8(&bytes) {
            Ok(text) => self.read_text(&file, text, format_of(path, text)),
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let position = PositionFinder::new(file, &good).find(good.len());
                self.unreadable = true;
                self.faults.add(&position, "not UTF-8");
            }
        }
    }

    fn read_text(&mut self, file: &Arc<Path>, text: &str, format: Format) {
        let root = match format {
            Format::Toml => toml_document::parse(file, text, &mut self.faults),
            Format::Json => json_document::parse(file, text, &mut self.faults)
                .map(|root| seed::translate(root, &mut self.faults)),
        };
        match root.map(|root| root.value) {
            Some(NodeValue::Table(entries)) => entries.into_iter().for_each(|entry| self.merge(entry)),
            _ => self.unreadable = true,
        }
    }

    /// Adds one top-level entry of a file to what the files before it said.
    fn merge(&mut self, entry: Entry) {
        let NodeValue::Table(sections) = &mut self.root.value else { return };
        let Some(section) = sections.iter_mut().find(|section| section.key == entry.key) else {
            return sections.push(entry);
        };
        match (&mut section.value.value, entry.value.value) {
            (NodeValue::Table(first), NodeValue::Table(more)) => {
                for entry in more {
                    let path = format!("{}.{}", section.key, entry.key);
                    add_once(first, entry, &path, &mut self.faults);
                }
            }
            _ => add_fault(&entry.key, &entry.key_position, &section.key_position, &mut self.faults),
        }
    }

    fn finish(mut self, environment: Option<Environment<'_>>) -> Result<Document, Faults> {
        if self.unreadable {
            return Err(self.faults);
        }
        reference::resolve(&mut self.root, environment, &mut self.faults);
        Ok(Document { name: self.name, root: self.root, faults: self.faults })
    }
}

fn add_once(entries: &mut Vec<Entry>, entry: Entry, path: &str, faults: &mut Faults) {
    match entries.iter().find(|first| first.key == entry.key) {
        Some(first) => add_fault(path, &entry.key_position, &first.key_position, faults),
        None => entries.push(entry),
    }
}

fn add_fault(path: &str, position: &Position, first: &Position, faults: &mut Faults) {
    faults.add(position, format!("`{path}` is defined a second time; first at {first}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes the files, loads the directory, and shows the faults without the directory's path.
    fn faults_of(files: &[(&str, &str)]) -> (Option<Document>, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let (document, faults) = match load(directory.path(), None) {
            Ok(document) => (Some(document.clone()), document.faults),
            Err(faults) => (None, faults),
        };
        let path = directory.path().display().to_string();
        (document, faults.to_string().replace(&format!("{path}/"), "").replace(&path, "DIR"))
    }

    #[test]
    fn a_directory_is_merged_in_name_order() {
        let files = [
            ("20-out.json", "{\"outputs\": {\"all\": {\"plugin\": \"null\"}}, \"heka\": {\"hops_max\": 3}}"),
            ("10-in.toml", "[heka]\nstate_dir = \"x\"\n[inputs.web]\nplugin = \"file\"\n[outputs.first]\n"),
            (".hidden.toml", "not toml at all"),
            ("notes.txt", "nor this"),
        ];
        let (document, faults) = faults_of(&files);
        assert_eq!(faults, "no faults");
        let root = document.unwrap().root;
        let outputs: Vec<_> = root.get("outputs").unwrap().entries().iter().map(|e| e.key.as_str()).collect();
        assert_eq!(outputs, ["first", "all"]);
        assert_eq!(root.at_path("heka.hops_max").value, NodeValue::Integer(3));
        assert_eq!(root.at_path("heka.state_dir").as_str(), Some("x"));
    }

    #[test]
    fn an_instance_in_two_files_is_a_fault_that_names_both() {
        let files =
            [("a.toml", "x = 1\n[inputs.web]\na = 1\n"), ("b.toml", "x = 1\n\n[inputs.web]\nb = 1\n")];
        let (_, faults) = faults_of(&files);
        let directory_removed = "b.toml:1:1: `x` is defined a second time; first at a.toml:1:1\n\
            b.toml:3:9: `inputs.web` is defined a second time; first at a.toml:2:9";
        assert_eq!(faults, directory_removed);
    }

    #[test]
    fn what_can_not_be_read_is_reported() {
        let check = |files: &[(&str, &str)], expected: &str| {
            let (document, faults) = faults_of(files);
            assert!(document.is_none());
            assert_eq!(faults, expected);
        };
        check(&[], "DIR: no *.toml or *.json file in this directory");
        check(
            &[("a.toml", "a = "), ("b.json", "{"), ("c.toml", "a = 1\na = 2\n")],
            "a.toml:1:5: not TOML: string values must be quoted, expected literal string\n\
            b.json:1:1: not JSON: unterminated object\n\
            c.toml:2:1: `a` is defined a second time",
        );
        let missing = load(Path::new("no/such.toml"), None).unwrap_err();
        assert_eq!(missing.to_string(), "no/such.toml: failed to open: no such file or directory");
    }

    #[test]
    fn files_that_are_not_text_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], expected: &str| {
            let path = directory.path().join("heka.toml");
            std::fs::write(&path, bytes).unwrap();
            let faults = load(&path, None).unwrap_err().to_string();
            assert_eq!(faults, format!("{}{expected}", path.display()));
        };
        check(b"a = 1\nb = '\xff'", ":2:6: not UTF-8");
        check(&vec![b'#'; (4 << 20) + 1], ": longer than 4 MiB");
    }

    #[test]
    fn a_file_of_another_ending_is_json_when_it_looks_so() {
        let directory = tempfile::tempdir().unwrap();
        let check = |text: &str| {
            let path = directory.path().join("heka.conf");
            std::fs::write(&path, text).unwrap();
            assert_eq!(load(&path, None).unwrap().root.at_path("a").value, NodeValue::Integer(1));
        };
        check("a = 1");
        check("\n{\"a\": 1}");
        check("// old\n{\"a\": 1}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            for document in [from_toml_str("t", &text), from_json_str("t", &text)] {
                match document {
                    Ok(document) => drop(crate::config::Config::from_document(&document)),
                    Err(faults) => prop_assert!(!faults.to_string().is_empty()),
                }
            }
        }
    }
}
