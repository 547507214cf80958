//! Lines that make one message.

use super::*;

fn grouped(start: &str, continuation: &str, goes_on: &str, presets: &[&str]) -> SplitterConfig {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let patterns =
        LinePatterns { start: given(start), continuation: given(continuation), goes_on: given(goes_on) };
    let presets: Vec<String> = presets.iter().map(|&name| name.to_owned()).collect();
    SplitterConfig::multiline(&patterns, &presets, GroupLimits::default()).unwrap()
}

/// Checks messages that are shown with a `|` before the lines that go on, and `.` for an empty line.
fn check_groups(config: &SplitterConfig, shown: &str) {
    let lines: Vec<(bool, &str)> = shown
        .lines()
        .map(|line| line.trim_start_matches(' '))
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_prefix('|').map_or((false, line), |line| (true, line)))
        .map(|(joins, line)| (joins, if line == "." { "" } else { line }))
        .collect();
    let stream: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let mut expected: Vec<String> = Vec::new();
    for (joins, line) in lines {
        match expected.last_mut() {
            Some(last) if joins => *last += &format!("\n{line}"),
            _ => expected.push(line.to_owned()),
        }
    }
    let expected: Vec<&[u8]> =
        expected.iter().map(|text| text.trim_end().as_bytes()).filter(|text| !text.is_empty()).collect();
    check(config, stream.as_bytes(), &expected);
    let windows = stream.replace('\n', "\r\n");
    let expected: Vec<Vec<u8>> = expected
        .iter()
        .map(|text| String::from_utf8_lossy(text).replace('\n', "\r\n").into_bytes())
        .collect();
    let expected: Vec<&[u8]> = expected.iter().map(Vec::as_slice).collect();
    check(config, windows.as_bytes(), &expected);
}

#[test]
fn patterns_say_what_begins_and_what_goes_on() {
    check_groups(&grouped("^[A-Z]", "", "", &[]), "Abc\n|def\n|.\n|ghi\nKlm\nNop");
    check_groups(&grouped("^[A-Z]", "", "", &[]), "first\n|def\nKlm");
    check_groups(&grouped("", r"^\s", "", &[]), "a\n|\tb\nc\n.\nd\n| e");
    check_groups(&grouped("^[A-Z]", r"^\s", "", &[]), "A\n|\tb\nc\nD\n| e\nf");
    check_groups(&grouped("", "", r"\\$", &[]), "a \\\n|b \\\n|c\nd");
    check_groups(&grouped("^a", "^a|^b", "", &[]), "a\n|b\na\n|b");
}

#[test]
fn the_slow_log_of_mysql_is_cut_between_its_entries() {
    let config = grouped("^# (Time|User@Host)", "", "^# Time", &[]);
    check_groups(
        &config,
        "/usr/sbin/mysqld, Version: 8.0.36. started with:
         |Tcp port: 3306  Unix socket: /run/mysqld/mysqld.sock
         |Time                 Id Command    Argument
         # Time: 2024-01-02T10:00:00.123456Z
         |# User@Host: app[app] @ web1 [10.0.0.7]  Id:    42
         |# Query_time: 2.000123  Lock_time: 0.000012 Rows_sent: 1  Rows_examined: 90
         |SET timestamp=1704189600;
         |SELECT *
         |  FROM orders;
         # User@Host: app[app] @ web1 [10.0.0.7]  Id:    42
         |# Query_time: 3.1  Lock_time: 0.0 Rows_sent: 0  Rows_examined: 7
         |SET timestamp=1704189601;
         |DELETE FROM sessions;
         # Time: 2024-01-02T10:00:02.000001Z
         |# User@Host: root[root] @ localhost []  Id:    1
         |SELECT 1;",
    );
}

#[test]
fn java_traces_are_one_message_with_the_line_above() {
    check_groups(
        &grouped("", "", "", &["java"]),
        "10:00:00 INFO starting
         10:00:01 ERROR failed
         |java.lang.IllegalStateException: no session
         |\tat com.example.Handler.run(Handler.java:12)
         |\tat java.base/java.lang.Thread.run(Thread.java:833)
         |\tSuppressed: java.io.IOException: closed
         |\t\tat com.example.Socket.close(Socket.java:3)
         |\t\t... 3 more
         |Caused by: java.lang.NullPointerException
         |\tat com.example.Store.get(Store.java:44)
         |\t... 12 common frames omitted
         10:00:02 INFO going on
         Exception in thread \"main\" com.example.BadException: two
         |\tlines of text
         |\tat com.example.Main.main(Main.java:5)
         com.example.OtherError: next
         |\tat com.example.Main.main(Main.java:6)
         Error: not a class
         at home",
    );
}

#[test]
fn python_traces_end_with_what_happened() {
    check_groups(
        &grouped("", "", "", &["python"]),
        "ERROR:root:failed
         |Traceback (most recent call last):
         |  File \"app.py\", line 3, in <module>
         |    run()
         |ValueError: no
         |.
         |During handling of the above exception, another exception occurred:
         |.
         |Traceback (most recent call last):
         |  File \"app.py\", line 5, in <module>
         |    ~~~~^^^
         |RuntimeError: still no
         INFO:root:next
         INFO:root:next
         |  + Exception Group Traceback (most recent call last):
         |  |   File \"app.py\", line 2, in <module>
         |  | ExceptionGroup: two (2 sub-exceptions)
         |  +-+---------------- 1 ----------------
         |    | ValueError: a
         |    +------------------------------------
         INFO:root:next
         |Traceback (most recent call last):
         |  File \"app.py\", line 3, in <module>
         |KeyError: 'x'
         Traceback (most recent call last):
         |  File \"app.py\", line 3, in <module>
         |KeyError: 'y'
         done",
    );
}

#[test]
fn go_panics_hold_all_goroutines() {
    check_groups(
        &grouped("", "", "", &["go"]),
        "2024/01/02 10:00:00 listening
         panic: runtime error: invalid memory address or nil pointer dereference [recovered]
         |\tpanic: again
         |[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48]
         |.
         |goroutine 1 [running]:
         |main.(*Server).run(0xc000012345, {0x1, 0x2})
         |\t/src/main.go:8 +0x1d
         |main.main()
         |\t/src/main.go:20 +0x2a
         |.
         |goroutine 18 [IO wait, 2 minutes]:
         |internal/poll.runtime_pollWait(0x7f, 0x72)
         |\t/usr/lib/go/src/runtime/netpoll.go:343 +0x85
         |created by net/http.(*Server).Serve in goroutine 1
         |\t/usr/lib/go/src/net/http/server.go:3285 +0x4b4
         |exit status 2
         2024/01/02 10:00:01 http: panic serving 127.0.0.1:5000: boom
         |goroutine 7 [running]:
         |net/http.(*conn).serve.func1()
         |\t/usr/lib/go/src/net/http/server.go:1868 +0xb9
         2024/01/02 10:00:02 going on",
    );
}

#[test]
fn ruby_traces_go_either_way() {
    check_groups(
        &grouped("", "", "", &["ruby"]),
        "I, [2024-01-02] INFO -- : up
         app.rb:3:in `run': boom (RuntimeError)
         |\tfrom app.rb:7:in `block in start'
         |\tfrom app.rb:10:in `<main>'
         Traceback (most recent call last):
         |\t1: from t.rb:4:in `<main>'
         |t.rb:1:in `x': boom (RuntimeError)
         F, [2024-01-02] FATAL -- : RuntimeError (boom):
         |app/models/user.rb:12:in `save!'
         |/usr/lib/ruby/3.4/set.rb:5:in 'Set#each'
         t.rb:1:in `deep': undefined method `fo' for nil:NilClass (NoMethodError)
         |.
         |nil.fo
         |   ^^^
         |Did you mean?  foo
         |\tfrom t.rb:3:in `<main>'
         I, [2024-01-02] INFO -- : next",
    );
}

#[test]
fn presets_go_together_and_with_patterns() {
    let config = grouped(r"^\d\d:", r"^\s+SQL", "", &["java", "python"]);
    check_groups(
        &config,
        "10:00 a
         |java.lang.Error: x
         |\tat a.B.c(B.java:1)
         10:01 b
         |  SQL select
         |Traceback (most recent call last):
         |  File \"a\"
         10:02 c",
    );
}

#[test]
fn a_group_is_bounded_in_lines_and_bytes() {
    let limits = GroupLimits { lines_max: 3, ..GroupLimits::default() };
    let patterns = LinePatterns { start: Some("^x".to_owned()), ..LinePatterns::default() };
    let by_lines = SplitterConfig::multiline(&patterns, &[], limits).unwrap();
    check(&by_lines, b"x\n1\n2\n3\n4\n5\n6\nx\n", &[b"x\n1\n2", b"3\n4\n5", b"6", b"x"]);
    let by_bytes = limited(grouped("^x", "", "", &[]), 6, LongFrames::Reject);
    check(&by_bytes, b"x\n12\n34\n5\nx\n", &[b"x\n12", b"34\n5", b"x"]);
    check(&by_bytes, b"x\n123456\n1234567\n1\nx\n", &[b"x", b"123456", b"1", b"x"]);
    let cut = limited(grouped("^x", "", "", &[]), 6, LongFrames::Truncate);
    check(&cut, b"x\n1234567\n1\nx\n", &[b"x", b"123456", b"1", b"x"]);
}

#[test]
fn long_lines_are_decided_on_by_their_heads() {
    let config = grouped("^x|x$", "", "", &[]);
    let (long, longer) = (vec![b'-'; 5_000], [&vec![b'-'; 4_096][..], b"x"].concat());
    let exact = [&vec![b'-'; 4_095][..], b"x"].concat();
    let stream = [b"x", &b"\n"[..], &long, b"\n", &longer, b"\r\n", &exact, b"\r\n", &long, b"\n"].concat();
    let frames = [[b"x\n", &long[..], b"\n", &longer].concat(), [&exact[..], b"\r\n", &long].concat()];
    check(&config, &stream, &[&frames[0], &frames[1]]);
}

#[test]
fn partial_lines_of_containers_stay_together() {
    let config = SplitterConfig::cri(GroupLimits::default());
    let (a, b, c) = ("t stdout P one", "t stderr F whole", "t stdout F two");
    let stream = format!("{a}\n{b}\n{c}\n{b}\nplain\n{a}\n");
    let first = format!("{a}\n{b}\n{c}");
    check(&config, stream.as_bytes(), &[first.as_bytes(), b.as_bytes(), b"plain", a.as_bytes()]);
    let docker = |log: &str| format!(r#"{{"log":"{log}","stream":"stdout","time":"t"}}"#);
    let (open, whole) = (docker("half "), docker("line\\n"));
    let (stream, first) = (format!("{open}\n{whole}\n{whole}\n"), format!("{open}\n{whole}"));
    check(
        &SplitterConfig::docker(GroupLimits::default()),
        stream.as_bytes(),
        &[first.as_bytes(), whole.as_bytes()],
    );
}

/// Splits `stream`, releases, and goes on with `more`; returns the frames and where each began.
fn released(config: &SplitterConfig, stream: &[u8], more: &[u8]) -> Vec<(usize, String)> {
    let mut caller = Caller::new(config, 256);
    caller.read(stream);
    let consumed = caller.splitter.release(&caller.buffer, &mut caller.sink);
    caller.take(consumed);
    caller.read(more);
    caller.finish();
    let text = |got: &Got| (got.start, String::from_utf8_lossy(&got.bytes).into_owned());
    caller.frames.iter().map(text).collect()
}

#[test]
fn what_is_released_is_whole_lines_and_the_same_when_read_again() {
    let config = grouped("^x", "", "", &[]);
    let got = released(&config, b"x1\n a\n b", b"c\n d\nx2\n");
    let expected = [(0, "x1\n a"), (6, " bc\n d"), (13, "x2")].map(|(at, text)| (at, text.to_owned()));
    assert_eq!(got, expected);
    assert_eq!(released(&config, b"", b"x\n"), [(0, "x".to_owned())]);

    let mut again = Caller::new(&config, 256);
    again.splitter.cut_at([6].into_iter());
    again.read(b"x1\n a\n bc\n d\nx2\n");
    again.finish();
    let frames: Vec<_> =
        again.frames.iter().map(|got| (got.start, got.bytes.escape_ascii().to_string())).collect();
    assert_eq!(frames, [(0, "x1\\n a".to_owned()), (6, " bc\\n d".to_owned()), (13, "x2".to_owned())]);
}
