use super::*;
use heka_plugin_api::testing::{InputTest, TestStream};
use heka_plugin_api::{OwnedMessage, Value};
use std::fs;
use std::path::Path;

/// Runs until so many runs have ended.
fn ended(toml: &str, count: usize) -> (Vec<TestStream>, Vec<OwnedMessage>) {
    let mut input = InputTest::<ProcessInput>::open(toml).unwrap();
    input.start().unwrap();
    input.read_until(|_, messages, _| messages.len() >= count).unwrap()
}

fn integer(message: &OwnedMessage, name: &str) -> Option<i64> {
    message.view().value(name).and_then(|value| value.as_integer())
}

fn bytes_of(streams: &[TestStream], name: &str) -> String {
    let of_name = streams.iter().filter(|stream| stream.name == name);
    of_name.map(|stream| String::from_utf8_lossy(&stream.bytes).into_owned()).collect()
}

fn is_alive(pid: i64) -> bool {
    // A zombie of somebody else's is not alive either.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn wait_until(what: &str, mut state: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !state() {
        assert!(Instant::now() < deadline, "{what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Reads the number that a program wrote into a file.
fn number_in(path: &Path) -> i64 {
    let mut number = None;
    wait_until("a number is written", || {
        let text = fs::read_to_string(path).unwrap_or_default();
        number = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        number.is_some()
    });
    number.unwrap()
}

#[test]
fn both_streams_are_read_and_the_status_is_told() {
    let toml = "command = [\"echo out; echo err >&2; printf rest; exit 3\"]\nshell = true";
    let (streams, messages) = ended(toml, 1);
    assert_eq!(
        (bytes_of(&streams, "test.stdout"), bytes_of(&streams, "test.stderr")),
        ("out\nrest".into(), "err\n".into())
    );
    assert!(streams.iter().all(|stream| stream.closed == Some(true)));
    let exit = &messages[0];
    assert_eq!((exit.view().message_type(), exit.view().severity()), (&b"process.exit"[..], 4));
    assert_eq!((integer(exit, "status"), integer(exit, "signal")), (Some(3), None));
    assert_eq!((integer(exit, "stdout_bytes"), integer(exit, "stderr_bytes")), (Some(8), Some(4)));
    assert_eq!(integer(exit, "pid"), Some(i64::from(exit.view().pid())));
    assert_eq!(exit.view().field("duration").unwrap().representation(), b"s");
}

#[test]
fn no_shell_looks_at_arguments_and_a_pipeline_is_one_run() {
    let toml = "pipeline = [[\"echo\", \"$HOME *\"], [\"tr\", \"a-zA-Z\", \"x\"], [\"sh\", \"-c\", \"cat; kill -9 $$\"]]";
    let (streams, messages) = ended(toml, 1);
    assert_eq!(bytes_of(&streams, "test.stdout"), "$xxxx *\n");
    assert_eq!((integer(&messages[0], "status"), integer(&messages[0], "signal")), (None, Some(9)));
    let field = messages[0].view().field("statuses").unwrap();
    let statuses: Vec<_> = field.values().collect();
    assert_eq!(statuses, [0, 0, 137].map(Value::Integer));
}

#[test]
fn the_environment_and_the_directory_are_those_of_the_config() {
    let directory = tempfile::tempdir().unwrap();
    let toml = format!(
        "command = [\"/usr/bin/env\"]\nclear_environment = true\nenvironment = {{ A = \"1 2\" }}\nworking_dir = \"{}\"",
        directory.path().display()
    );
    assert_eq!(bytes_of(&ended(&toml, 1).0, "test.stdout"), "A=1 2\n");
    let toml = toml.replace("/usr/bin/env", "/bin/pwd");
    let written = bytes_of(&ended(&toml, 1).0, "test.stdout");
    assert_eq!(Path::new(written.trim_end()), directory.path().canonicalize().unwrap());
}

#[test]
fn what_takes_too_long_is_ended_and_what_ignores_that_is_killed() {
    let started = Instant::now();
    let toml = "command = [\"echo begun; exec sleep 100\"]\nshell = true\ntimeout = 0.2";
    let (streams, messages) = ended(toml, 1);
    assert_eq!(bytes_of(&streams, "test.stdout"), "begun\n");
    assert_eq!(integer(&messages[0], "signal"), Some(15));
    assert_eq!(messages[0].view().value("timed_out"), Some(Value::Bool(true)));
    let toml = "command = [\"trap '' TERM; echo begun; while :; do sleep 100; done\"]\nshell = true\ntimeout = 0.2\n\
                kill_after = 0.1";
    let (_, messages) = ended(toml, 1);
    assert_eq!(integer(&messages[0], "signal"), Some(9));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_a_run_leaves_behind_is_killed_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let toml =
        format!("command = [\"sleep 100 & echo $! > {}\"]\nshell = true\nkill_after = 0.1", file.display());
    let (_, messages) = ended(&toml, 1);
    assert_eq!(integer(&messages[0], "status"), Some(0));
    let left = number_in(&file);
    wait_until("what was left is gone", || !is_alive(left));
}

#[test]
fn a_stop_ends_the_whole_group_also_what_ignores_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| directory.path().join(name));
    let script = format!(
        "trap '' TERM; echo $$ > {}; sh -c 'trap \\\"\\\" TERM; echo $$ > {}; sleep 100; sleep 100'; sleep 100",
        first.display(),
        second.display()
    );
    let toml = format!("command = [\"{script}\"]\nshell = true\nkeep_running = true\nkill_after = 0.2");
    let mut input = InputTest::<ProcessInput>::open(&toml).unwrap();
    input.start().unwrap();
    let (streams, _) = input.read_until(|_, _, _| second.exists()).unwrap();
    let pids = [number_in(&first), number_in(&second)];
    assert!(pids.into_iter().all(is_alive));
    input.host().stop();
    let (_, messages) = input.read_on_until(streams, |_, _, read| read == Read::End).unwrap();
    assert_eq!(integer(&messages[0], "signal"), Some(9));
    assert!(!pids.into_iter().any(is_alive));
}

#[test]
fn a_stop_reaches_it_while_nobody_reads_and_dropping_the_input_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let toml = format!(
        "command = [\"trap '' TERM; echo $$ > {}; while :; do sleep 1; done\"]\nshell = true\nkill_after = 0.1",
        file.display()
    );
    let begun = |toml: &str| {
        let _ = fs::remove_file(&file);
        let mut input = InputTest::<ProcessInput>::open(toml).unwrap();
        input.start().unwrap();
        input.read_until(|_, _, _| file.exists()).unwrap();
        (input, number_in(&file))
    };
    let (input, pid) = begun(&toml);
    input.host().stop();
    wait_until("it is killed though nobody calls the input", || !is_alive(pid));
    drop(input);
    let (input, pid) = begun(&toml);
    drop(input);
    assert!(!is_alive(pid));
}

#[test]
fn no_zombie_is_left_by_many_runs() {
    let toml = "pipeline = [[\"true\"], [\"true\"]]\ninterval = 0.01";
    let mut input = InputTest::<ProcessInput>::open(toml).unwrap();
    input.start().unwrap();
    input.read_until(|_, messages, _| messages.len() >= 30).unwrap();
    assert_eq!(input.host().counter("failures"), 0);
    drop(input);
    let parent = format!(" Z {} ", std::process::id());
    let stats = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("stat"));
    let stats = stats.filter_map(|stat| fs::read_to_string(stat).ok());
    assert_eq!(stats.filter(|stat| stat.contains("(true)") && stat.contains(&parent)).count(), 0);
}

#[test]
fn it_is_started_again_with_back_off() {
    let toml = "command = [\"false\"]\nkeep_running = true\nrestart_delay = 0.02\nrestart_delay_max = 0.05";
    let started = Instant::now();
    let (_, messages) = ended(toml, 4);
    assert_eq!(integer(&messages[3], "status"), Some(1));
    assert!(started.elapsed() >= Duration::from_millis(110));
}

#[test]
fn output_is_bounded() {
    let toml = "command = [\"head\", \"-c\", \"1000000\", \"/dev/zero\"]\noutput_bytes_max = \"10 KB\"";
    let (streams, messages) = ended(toml, 1);
    assert_eq!(streams[0].bytes.len(), 10_000);
    assert_eq!(
        (integer(&messages[0], "stdout_bytes"), integer(&messages[0], "dropped_bytes")),
        (Some(1_000_000), Some(990_000))
    );
}

#[test]
fn what_can_not_be_started_is_told() {
    let failure = |toml: &str| {
        let (_, messages) = ended(toml, 1);
        let view = messages[0].view();
        assert_eq!(integer(&messages[0], "status"), None);
        String::from_utf8_lossy(view.value("failure").unwrap().as_bytes().unwrap()).into_owned()
    };
    let toml = "command = [\"/nonexistent/program\", \"x\"]";
    assert_eq!(failure(toml), "failed to run `/nonexistent/program`: no such file or directory");
    let toml = "pipeline = [[\"sleep\", \"100\"], [\"/nonexistent/program\"]]";
    assert_eq!(failure(toml), "failed to run `/nonexistent/program`: no such file or directory");
    let toml = "command = [\"true\"]\nworking_dir = \"/nonexistent\"";
    assert_eq!(
        failure(toml),
        "failed to run `true`: no such file or directory; there is no `working_dir` `/nonexistent`"
    );
}

#[test]
fn a_user_is_looked_up_and_become() {
    let refused =
        InputTest::<ProcessInput>::open("command = [\"true\"]\nuser = \"no such user\"").err().unwrap();
    assert_eq!(refused, "user: failed to look up `no such user`: there is no such user");
    let me = rustix::process::getuid().as_raw();
    if me != 0 {
        eprintln!("SKIPPED becoming another user: only root may");
        return;
    }
    let (streams, _) = ended("command = [\"id; echo $HOME\"]\nshell = true\nuser = \"nobody\"", 1);
    let written = bytes_of(&streams, "test.stdout");
    assert!(
        written.starts_with("uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)\n/nonexistent"),
        "{written}"
    );
}

#[test]
fn a_run_goes_on_at_a_reload_that_changes_something_else() {
    let toml = "command = [\"echo $$; exec sleep 100\"]\nshell = true\nkeep_running = true";
    let mut old = InputTest::<ProcessInput>::open(toml).unwrap();
    old.start().unwrap();
    let (streams, _) =
        old.read_until(|streams, _, _| streams.iter().any(|stream| stream.bytes.ends_with(b"\n"))).unwrap();
    let pid: i64 = bytes_of(&streams, "test.stdout").trim().parse().unwrap();
    let mut new = InputTest::<ProcessInput>::open(&format!("{toml}\nreport = \"never\"")).unwrap();
    new.start_after(&mut old).unwrap();
    drop(old);
    new.read_on_until(streams, |_, _, _| true).unwrap();
    assert!(is_alive(pid));
    let mut other = InputTest::<ProcessInput>::open("command = [\"true\"]").unwrap();
    other.start_after(&mut new).unwrap();
    drop(new);
    assert!(!is_alive(pid));
}

#[test]
fn faults_are_found_at_once() {
    let check = |toml: &str, expected: &[&str]| assert_eq!(InputTest::<ProcessInput>::faults(toml), expected);
    check("", &["command: is needed, or `pipeline`"]);
    check(
        "command = [\"a\", \"b\"]\npipeline = [[]]\nshell = true\ninterval = 0\nrestart_delay_max = 0.5\nuser = \"\"\n\
         environment = { \"A=B\" = \"c\" }",
        &[
            "pipeline: `command` is there too: name one of them",
            "shell: is for `command`; the shell has pipelines of its own",
            "pipeline: the program's name is missing",
            "interval: from 10 ms to 366 d",
            "restart_delay_max: at least `restart_delay`",
            "environment.A=B: not a variable: NUL, `=` in its name, or no name",
            "user: must not be empty",
        ],
    );
    check(
        "command = [\"a\", \"b\"]\nshell = true",
        &["command: with `shell` it is one text: `command = [\"a | b\"]`"],
    );
}
