//! Dead letters that no output takes wait in the built-in queue, and can be put back.

use heka_tests::{Directory, Host, address_of, send_tcp, wait_until};

const CONFIG: &str = r#"
[inputs.lines]
plugin = "tcp"
address = "127.0.0.1:0"
[chains.default]
outputs = ["out", "all"]
[outputs.out]
plugin = "retry_times"
times = 1
retry = { attempts_max = 1 }
[outputs.all]
plugin = "file"
path = "all.log"
encoder = "payload"
"#;

#[test]
fn what_an_output_refused_goes_back_to_it_and_to_no_other() {
    let directory = Directory::new();
    let host = Host::run(&directory, CONFIG);
    send_tcp(address_of(&directory, "lines"), b"one\ntwo\nthree\n");
    wait_until("they are dead letters", || host.count("output out", "dead-lettered") == 3);
    let shown = Host::finish(&directory, &["queue", "cat", "--json", "state/dead_letters"]);
    assert_eq!(shown.stdout.lines().count(), 3, "{}", shown.stdout);
    assert!(shown.stdout.contains("(tried 1 times)"), "{}", shown.stdout);
    let replayed = Host::finish(&directory, &["queue", "replay", "--config", "heka.toml"]);
    assert_eq!((replayed.status, replayed.stdout.as_str()), (Some(0), "3 dead letters put back\n"));
    wait_until("they are delivered", || host.count("output out", "delivered") == 3);
    assert_eq!(host.count("output out", "replayed"), 3);
    let again = Host::finish(&directory, &["queue", "replay", "--config", "heka.toml"]);
    assert_eq!(again.stdout, "0 dead letters put back\n", "each is put back once");
    let ended = host.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("accounting balances"), "{}", ended.stderr);
    assert_eq!(directory.lines("all.log"), ["one", "two", "three"], "the other output got them once");
}
