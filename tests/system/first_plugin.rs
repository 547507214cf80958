//! Follows docs/first-plugin.md: writes its files, runs its commands, and compares what they print.

use heka_tests::{Directory, plugin_dir, repository};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DOCUMENT: &str = "docs/first-plugin.md";

/// A fenced block: what stands behind the backticks, and its lines.
struct Block {
    info: String,
    text: String,
}

impl Block {
    /// Value of a word `key=value` of its first line.
    fn value(&self, key: &str) -> Option<&str> {
        self.info.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

fn blocks() -> Vec<Block> {
    let document = fs::read_to_string(repository().join(DOCUMENT)).unwrap();
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block { info: info.to_owned(), text: inside.join("\n") + "\n" });
        }
    }
    blocks
}

/// A reader of the document: where they are, and what the last command printed.
struct Reader {
    directory: Directory,
    here: PathBuf,
    printed: String,
}

impl Reader {
    /// Sits down beside a checkout.
    fn new() -> Reader {
        let directory = Directory::new();
        symlink(repository(), directory.join("heka")).unwrap();
        let lock = fs::read(repository().join("Cargo.lock")).unwrap();
        directory.write("my-grep/Cargo.lock", lock);
        let here = directory.path().to_owned();
        Reader { directory, here, printed: String::new() }
    }

    fn follow(&mut self, block: &Block) {
        if let Some(file) = block.value("file") {
            fs::write(self.here.join(file), &block.text).unwrap();
        } else if let Some(file) = block.value("append") {
            let before = fs::read_to_string(self.here.join(file)).unwrap();
            fs::write(self.here.join(file), format!("{before}\n{}", block.text)).unwrap();
        } else if block.info.starts_with("sh") {
            let status = block.value("status").map_or(0, |status| status.parse().unwrap());
            self.run(&block.text, status);
        } else {
            assert_eq!(
                block.info, "text output",
                "a test must know what to do with this block:\n{}",
                block.text
            );
            assert_eq!(self.printed, block.text);
        }
    }

    /// Runs commands as they stand, but for the profile, which is this test's, and where the host was built.
    fn run(&mut self, commands: &str, status: i32) {
        let built = plugin_dir();
        let adapted = commands
            .replace("../heka/target/release", &built.display().to_string())
            .replace("cargo build --release", "cargo build")
            .replace("target/release", "target/debug");
        let end = self.directory.join("directory");
        let script = format!("set -e\n{adapted}\npwd > '{}'\n", end.display());
        let output = self.shell(&script, true);
        // Without the network everything comes from what was downloaded to build this test.
        let output = match status == 0 && !output.status.success() && commands.contains("cargo") {
            true => self.shell(&script, false),
            false => output,
        };
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert_eq!(output.status.code(), Some(status), "{commands}\n{stdout}\n{stderr}");
        self.printed = if status == 0 { stdout } else { stderr };
        if let Ok(directory) = fs::read_to_string(&end) {
            self.here = Path::new(directory.trim_end()).to_owned();
        }
    }

    fn shell(&self, script: &str, offline: bool) -> Output {
        let mut command = Command::new("sh");
        // Cargo tells tests about itself; a build of another crate must not hear of it.
        let own = std::env::vars_os().map(|(name, _)| name);
        for name in own.filter(|name| name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME") {
            command.env_remove(name);
        }
        command.env("CARGO_NET_OFFLINE", offline.to_string());
        command.args(["-c", script]).current_dir(&self.here).output().unwrap()
    }
}

#[test]
fn a_plugin_is_written_built_and_run_as_the_document_says() {
    let mut reader = Reader::new();
    let blocks = blocks();
    let commands = blocks.iter().filter(|block| block.info.starts_with("sh")).count();
    let shown = blocks.iter().filter(|block| block.info == "text output").count();
    assert!(commands >= 6 && shown >= 5, "{commands} commands, {shown} outputs");
    blocks.iter().for_each(|block| reader.follow(block));
    assert!(reader.here.ends_with("my-grep"));
    assert!(reader.here.join("target/debug/libmy_grep.so").exists());
}

#[test]
fn the_documents_plugin_is_the_one_in_the_plugins_folder() {
    let shipped = fs::read_to_string(repository().join("plugins/grep/src/lib.rs")).unwrap();
    let texts =
        |key: &str| blocks().into_iter().find(|block| block.value(key) == Some("src/lib.rs")).unwrap().text;
    let written = format!("{}\n{}", texts("file"), texts("append"));
    assert_eq!(written.replace("filter \"my_grep\"", "filter \"grep\""), shipped);
}
