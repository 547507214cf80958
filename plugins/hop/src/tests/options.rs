//! Faults of the options; the sample.

use crate::input::HopInput;
use crate::output::HopOutput;
use heka_plugin_api::testing::{InputTest, OutputTest};

const EXPOSED: &str = "without `tls` or `secret` only loopback addresses and unix sockets are allowed";

#[test]
fn options_of_the_input_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(InputTest::<HopInput>::faults(toml), faults, "{toml}");
    check("", &[]);
    check("address = \"127.0.0.1:5566\"", &[]);
    check("address = \"0.0.0.0:5566\"", &[&format!("address: {EXPOSED}")]);
    check("address = \"0.0.0.0:5566\"\nsecret = \"s\"", &[]);
    check("address = \"0.0.0.0:5566\"\ntls = { certificate = \"c\", key = \"k\" }", &[]);
    check(
        "secret = \"\"\nsecret_file = \"x\"",
        &["secret: must not be empty", "secret_file: `secret` is there too: name one of them"],
    );
    check(
        "tls = { server_name = \"x\" }",
        &[
            "tls.certificate: is needed: those who connect must know whom they talk to",
            "tls.key: is needed: those who connect must know whom they talk to",
            "tls.server_name: is for the side that connects: this one accepts any name that `ca` signed",
        ],
    );
    check(
        "connections_max = 0\ntimeout = 0\nhandshake_timeout = \"2 d\"\nbatch_bytes_max = 1\nbacklog = 0\nmode = \"9\"",
        &[
            "connections_max: at least 1",
            "timeout: from 10 ms to 1 d",
            "handshake_timeout: from 10 ms to 1 d",
            "batch_bytes_max: from 64 KiB to 1 GiB",
            "backlog: at least 1",
            "mode: `9` is not a mode; write it in octal, such as `0660`",
        ],
    );
}

#[test]
fn options_of_the_output_are_checked() {
    let check =
        |toml: &str, faults: &[&str]| assert_eq!(OutputTest::<HopOutput>::faults(toml), faults, "{toml}");
    check("address = \"127.0.0.1:5566\"", &[]);
    check(
        "addresses = [\"127.0.0.1:5566\", \"unix:/run/x\"]\nmode = \"load_balance\"\ncompression = \"zstd\"",
        &[],
    );
    check("", &["address: is needed, or a list of `addresses`"]);
    check(
        "address = \"localhost:1\"\naddresses = [\"localhost:2\"]",
        &["addresses: `address` is there too: name one of them"],
    );
    check(
        "addresses = [\"10.0.0.1:1\", \"localhost:0\", \"10.0.0.1:1\"]",
        &[
            &format!("addresses[0]: {EXPOSED}"),
            "addresses[1]: port 0 is for listening only",
            &format!("addresses[2]: {EXPOSED}"),
            "addresses[2]: `10.0.0.1:1` is there twice",
        ],
    );
    check("address = \"h.example.org:1\"\nsecret_file = \"/run/secret\"", &[]);
    check(
        "address = \"unix:/x\"\ntls = { certificate = \"c\" }",
        &[
            "tls.server_name: is needed: a unix socket has no host name",
            "tls.ca: is needed: the file of the authority that signed the other side's certificate",
            "tls: `certificate` and `key` need each other",
        ],
    );
    check(
        "address = \"localhost:1\"\ntls = { ca = \"c\", server_name = \"a b\" }",
        &["tls.server_name: `a b` is no host name"],
    );
}

#[test]
fn the_sample_opens_both() {
    let sample: toml::Table = include_str!("../../sample.toml").parse().unwrap();
    let section = |kind: &str, name: &str| {
        let mut section = sample[kind][name].as_table().unwrap().clone();
        section.remove("plugin");
        section.to_string()
    };
    InputTest::<HopInput>::open(&section("inputs", "from_agents")).unwrap();
    OutputTest::<HopOutput>::open(&section("outputs", "to_grater")).unwrap();
}
