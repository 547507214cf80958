//! Whole pipelines as data: `tests/cases/NAME/{heka.toml,in,expected}`.
//!
//! The config reads standard input and writes standard output; `in` goes in, `expected` must come out. UUIDs that
//! are made of where a message was read (version 8) differ from run to run: in JSON they are compared as `-`. A file `cat` holds arguments:
//! the output then goes through `heka-host cat` before it is compared.

use heka_tests::{Directory, Ended, Host, repository};
use std::fs::{self, File};
use std::path::Path;

#[test]
fn every_case_gives_what_it_expects() {
    let mut cases: Vec<_> =
        fs::read_dir(repository().join("tests/cases")).unwrap().flatten().map(|entry| entry.path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn check(case: &Path) -> Result<(), String> {
    let name = case.file_name().unwrap_or_default().to_string_lossy();
    let read = |file: &str| fs::read(case.join(file)).map_err(|error| format!("{name}/{file}: {error}"));
    let directory = Directory::new();
    directory.write("heka.toml", read("heka.toml")?);
    let stdin = File::open(case.join("in")).map_err(|error| format!("{name}/in: {error}"))?;
    let run = Host::spawn_with(&directory, &["run", "heka.toml", "--once"], stdin.into());
    let mut out = output_of(&name, run.wait())?;
    if let Ok(arguments) = fs::read_to_string(case.join("cat")) {
        let stdin = File::open(directory.write("frames", out)).map_err(|error| error.to_string())?;
        let arguments: Vec<&str> = ["cat", "-"].into_iter().chain(arguments.split_whitespace()).collect();
        out = output_of(&name, Host::spawn_with(&directory, &arguments, stdin.into()).wait())?;
    }
    let (out, expected) = (without_uuids(&out), without_uuids(&read("expected")?));
    if out == expected {
        return Ok(());
    }
    Err(format!("{name}: expected\n{expected}\nbut got\n{out}"))
}

fn output_of(name: &str, ended: Ended) -> Result<Vec<u8>, String> {
    match ended.status {
        Some(0) => Ok(ended.stdout_bytes),
        status => Err(format!("{name}: status {status:?}: {}", ended.stderr)),
    }
}

/// The text with `-` for each UUID of version 8 in JSON; bytes that are no text as escapes.
fn without_uuids(bytes: &[u8]) -> String {
    const KEY: &str = "\"uuid\":\"";
    const UUID_LEN: usize = 36;
    const VERSION_AT: usize = 14;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    let mut parts = text.split(KEY);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_made = part.as_bytes().get(VERSION_AT) == Some(&b'8') && part.is_char_boundary(UUID_LEN);
        out += &format!(
            "{KEY}{}{}",
            if is_made { "-" } else { "" },
            &part[if is_made { UUID_LEN } else { 0 }..]
        );
    }
    out
}
