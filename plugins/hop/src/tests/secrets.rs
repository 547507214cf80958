//! Who may talk to whom: secrets, TLS, versions.

use super::agent::{Agent, texts};
use super::grater::{Grater, wait_until};
use crate::protocol::{FrameKind, GraterHello, LAYOUT, Nonce, push_frame};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

fn check_refused(grater_options: &str, agent_options: &str, why: &str) {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), grater_options);
    let mut agent = Agent::start(&grater.address, agent_options);
    let told = agent.try_send(texts("one", 1)).unwrap_err();
    assert_eq!(told, format!("failed to connect to `{}`: {why}", grater.address));
    wait_until("the grater has noticed", || {
        grater.counter("connections") == 0 || grater.counter("rejected") == 1
    });
    assert!(grater.texts().is_empty());
}

fn check_delivered(grater_options: &str, agent_options: &str) {
    let directory = tempfile::tempdir().unwrap();
    let grater = Grater::start(directory.path(), grater_options);
    let mut agent = Agent::start(&grater.address, agent_options);
    for round in 0..4 {
        agent.send(texts(&format!("round {round}"), 200));
    }
    agent.settle();
    assert_eq!(grater.texts().len(), 800);
}

#[test]
fn both_sides_must_know_the_same_secret() {
    let secret = "secret = \"a secret of sixteen\"";
    check_delivered(secret, secret);
    let differ = "it rejects this host: the secrets of agent and grater differ";
    check_refused(secret, "secret = \"another one\"", differ);
    check_refused(secret, "", "it rejects this host: the grater demands a secret, the agent has none");
    check_refused("", secret, "it rejects this host: the agent has a secret, the grater has none");
}

#[test]
fn a_grater_of_another_version_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let future = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        assert!(peer.read(&mut [0; 4096]).unwrap() > 0);
        let answer = GraterHello {
            protocol: 9,
            software: "9.9".to_owned(),
            layout: LAYOUT,
            host: "h".to_owned(),
            timeout_ms: 1,
            secret: false,
            nonce: Nonce::default(),
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, FrameKind::Answer, &answer).unwrap();
        peer.write_all(&bytes).unwrap();
        let _ = peer.read(&mut [0; 4096]);
    });
    let told = Agent::start(&address, "").try_send(texts("one", 1)).unwrap_err();
    future.join().unwrap();
    let why = "the grater (9.9) speaks protocol version 9, the agent (0.1.0) 1: run the same release on both";
    assert_eq!(told, format!("failed to connect to `{address}`: {why}"));
}

/// Files of a certificate, its key, and the authority that signed it.
struct Files {
    directory: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Files { directory, authority: Issuer::new(params, key) }
    }

    /// Writes a certificate for a name and its key.
    fn write(&self, file: &str, name: &str, change: impl FnOnce(&mut CertificateParams)) -> &Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let signed = params.signed_by(&key, &self.authority).unwrap();
        std::fs::write(self.path(&format!("{file}.pem")), signed.pem()).unwrap();
        std::fs::write(self.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        self
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.directory.path().join(file)
    }

    fn options(&self, ca: Option<&Path>, own: Option<&str>, more: &str) -> String {
        let mut options = Vec::new();
        options.extend(ca.map(|path| format!("ca = \"{}\"", path.display())));
        if let Some(own) = own {
            options.push(format!("certificate = \"{}\"", self.path(&format!("{own}.pem")).display()));
            options.push(format!("key = \"{}\"", self.path(&format!("{own}.key")).display()));
        }
        options.extend((!more.is_empty()).then(|| more.to_owned()));
        format!("tls = {{ {} }}", options.join(", "))
    }
}

#[test]
fn tls_carries_messages_with_and_without_certificates_of_agents() {
    let files = Files::new();
    files.write("grater", "127.0.0.1", |_| {}).write("agent", "some agent", |_| {});
    let ca = files.path("ca.pem");
    let agent = files.options(Some(&ca), None, "");
    check_delivered(&files.options(None, Some("grater"), ""), &agent);
    let mutual = files.options(Some(&ca), Some("grater"), "");
    check_delivered(&mutual, &files.options(Some(&ca), Some("agent"), ""));
    let why = "it demands a certificate: set `tls.certificate` and `tls.key`";
    check_refused(&mutual, &agent, why);
}

#[test]
fn certificates_that_are_not_right_are_told_apart() {
    let (files, others) = (Files::new(), Files::new());
    files.write("grater", "127.0.0.1", |_| {}).write("named", "grater.example.org", |_| {});
    files.write("expired", "127.0.0.1", |params| params.not_after = date_time_ymd(2001, 1, 1));
    files.write("future", "127.0.0.1", |params| params.not_before = date_time_ymd(4000, 1, 1));
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(files.path("own.pem"), own.pem()).unwrap();
    std::fs::write(files.path("own.key"), key.serialize_pem()).unwrap();
    let ca = files.path("ca.pem");
    let check = |own: &str, agent: &str, why: &str| {
        check_refused(&files.options(None, Some(own), ""), agent, why);
    };
    let trusting = files.options(Some(&ca), None, "");
    check("expired", &trusting, "its certificate has expired");
    check("future", &trusting, "its certificate is not valid yet");
    let name = "its certificate is for another name; set `tls.server_name` if that is right";
    check("named", &trusting, name);
    let unknown = "its certificate is not signed by an authority in `ca`";
    check("own", &trusting, unknown);
    check("grater", &files.options(Some(&others.path("ca.pem")), None, ""), unknown);
    check_delivered(
        &files.options(None, Some("named"), ""),
        &files.options(Some(&ca), None, "server_name = \"grater.example.org\""),
    );
    others.write("agent", "some agent", |_| {});
    let stranger = format!(
        "tls = {{ ca = \"{}\", certificate = \"{}\", key = \"{}\" }}",
        ca.display(),
        others.path("agent.pem").display(),
        others.path("agent.key").display()
    );
    let why = "it says that its `ca` doesn't know who signed this side's certificate";
    check_refused(&files.options(Some(&ca), Some("grater"), ""), &stranger, why);
}

#[test]
fn tls_against_plain_is_told_on_both_sides() {
    let files = Files::new();
    files.write("grater", "127.0.0.1", |_| {});
    let agent = files.options(Some(&files.path("ca.pem")), None, "");
    let speaks = "it speaks TLS, this side doesn't: set `tls` on both sides or on none";
    let speaks_not = "it doesn't speak TLS, this side does: set `tls` on both sides or on none";
    check_refused(&files.options(None, Some("grater"), ""), "", speaks);
    check_refused("", &agent, speaks_not);
}

#[test]
fn files_that_can_not_be_used_are_named() {
    let files = Files::new();
    files.write("one", "127.0.0.1", |_| {}).write("two", "127.0.0.1", |_| {});
    std::fs::write(files.path("text"), "text").unwrap();
    let path = |name: &str| files.path(name).display().to_string();
    let check = |certificate: &str, key: &str, why: &str| {
        let tls = format!("tls = {{ certificate = \"{}\", key = \"{}\" }}", path(certificate), path(key));
        let toml = format!("address = \"127.0.0.1:0\"\n{tls}");
        let mut input = heka_plugin_api::testing::InputTest::<crate::input::HopInput>::open(&toml).unwrap();
        assert_eq!(input.start().unwrap_err(), why);
    };
    let missing = format!("tls.certificate: failed to read `{}`: no such file or directory", path("none"));
    check("none", "one.key", &missing);
    check("text", "one.key", &format!("tls.certificate: `{}` holds none in PEM form", path("text")));
    check("one.pem", "text", &format!("tls.key: `{}` holds none in PEM form", path("text")));
    let other =
        format!("tls.key: `{}` is not the key of the certificate in `{}`", path("two.key"), path("one.pem"));
    check("one.pem", "two.key", &other);
}
