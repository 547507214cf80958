//! Tests in a process of their own, whose standard streams they may use up.

use crate::stdin::StdinInput;
use crate::stdout::StdoutOutput;
use heka_plugin_api::testing::{InputTest, OutputTest, message};
use heka_plugin_api::{OwnedMessage, Read};
use std::io::{BufRead, BufReader, Read as _, Write};
use std::process::{Child, Command, Stdio};

/// Names the body that the process runs.
const BODY: &str = "HEKA_STDIO_TEST_BODY";
/// Exit status of a body that came to its end.
const DONE: i32 = 42;

/// Runs a body in a process of its own.
fn run(body: &str, stdin: Stdio) -> Child {
    let test = std::env::current_exe().unwrap();
    let arguments = ["--exact", "process_tests::bodies", "--nocapture"];
    let mut command = Command::new(test);
    command.args(arguments).env(BODY, body).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the process; returns what it said on standard error.
fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(DONE), "{said}");
    said
}

/// What the processes run. In the tests' own process it does nothing.
#[test]
fn bodies() {
    match std::env::var(BODY).as_deref() {
        Ok("stdin") => stdin_to_stderr(),
        Ok("stdout") => stdout_after_stdin(false),
        Ok("stopped stdout") => stdout_after_stdin(true),
        _ => return,
    }
    std::process::exit(DONE);
}

fn stdin_to_stderr() {
    let mut input = InputTest::<StdinInput>::open("").unwrap();
    input.start().unwrap();
    let streams = input.read_until(|_, _, read| read == Read::End).unwrap().0;
    assert_eq!((streams.len(), &*streams[0].name, streams[0].closed), (1, "test", Some(true)));
    assert_eq!(input.host().counter("bytes"), streams[0].bytes.len() as u64);
    std::io::stderr().write_all(&streams[0].bytes).unwrap();
}

fn lines() -> Vec<OwnedMessage> {
    (0..2_000).map(|number| message(|m| _ = m.payload(format!("line {number:>100}")))).collect()
}

fn stdout_after_stdin(stopped: bool) {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let mut output = OutputTest::<StdoutOutput>::open("").unwrap();
    output.start().unwrap();
    if stopped {
        output.host().stop();
    }
    let messages = lines();
    let sent: Vec<_> = messages.iter().map(|message| (message.clone(), &b""[..])).collect();
    match output.deliver(&sent) {
        Ok(_) => eprint!("all"),
        Err((completed, reason)) => eprint!("{completed}: {reason}"),
    }
}

/// Takes the lines off that the test program itself prints.
fn begun(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("running ") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
    }
    stdout
}

#[test]
fn stdin_is_read_from_a_pipe_to_its_end() {
    let mut child = run("stdin", Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    for piece in ["one\nt", "wo\nhal", "f"] {
        stdin.write_all(piece.as_bytes()).unwrap();
    }
    drop(stdin);
    assert_eq!(ended(child), "one\ntwo\nhalf");
}

#[test]
fn stdin_is_read_from_a_file_to_its_end() {
    let mut file = tempfile::tempfile().unwrap();
    let text = "a line\n".repeat(100_000);
    file.write_all(text.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    assert!(ended(run("stdin", file.into())) == text);
    assert_eq!(ended(run("stdin", Stdio::null())), "");
}

#[test]
fn stdout_gets_every_line() {
    let mut child = run("stdout", Stdio::null());
    let written: Vec<String> = begun(&mut child).lines().map(Result::unwrap).collect();
    assert_eq!(ended(child), "all");
    let expected: Vec<String> = (0..2_000).map(|number| format!("line {number:>100}")).collect();
    let first = written.iter().position(|line| line.starts_with("line ")).unwrap();
    assert_eq!(written[first..], expected);
}

#[test]
fn a_reader_that_has_gone_ends_the_output() {
    let mut child = run("stdout", Stdio::piped());
    drop(begun(&mut child));
    drop(child.stdin.take());
    let why = "broken pipe; whoever read it has gone";
    assert_eq!(ended(child), format!("0: failed to write to standard output: {why}"));
}

#[test]
fn stop_ends_a_write_that_nobody_reads() {
    let mut child = run("stopped stdout", Stdio::piped());
    let stdout = begun(&mut child);
    drop(child.stdin.take());
    let said = ended(child);
    let completed: usize = said.split(':').next().unwrap().parse().unwrap();
    let why = "stopped while nobody read it";
    assert_eq!(said, format!("{completed}: failed to write to standard output: {why}"));
    let whole = stdout.split(b'\n').map(Result::unwrap).filter(|line| line.len() == 105).count();
    assert_eq!(whole, completed);
    assert!((1..2_000).contains(&completed));
}
