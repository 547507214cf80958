use super::*;
use clap::Parser;
use heka_heka::framing::parse_frame;
use heka_heka::protobuf::MessageReader;
use heka_heka::signing::{HashFunction, Signers};
use heka_plugin_api::Value;
use std::net::{TcpListener, UdpSocket};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    inject: Arguments,
}

fn arguments(address: &str, more: &[&str]) -> Result<Arguments, String> {
    let program = Program::try_parse_from([&["inject", address], more].concat());
    program.map(|program| program.inject).map_err(|error| error.to_string())
}

/// Injects over TCP and returns the frame that arrived.
fn injected(more: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = inject(&arguments(&address, more).unwrap()).unwrap();
    let mut frame = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut frame).unwrap();
    assert!(said.starts_with("sent ") && said.ends_with(&format!(", {} bytes", frame.len())), "{said}");
    frame
}

fn read(frame: &[u8]) -> OwnedMessage {
    let body = parse_frame(frame).unwrap().message;
    OwnedMessage::build(|builder| _ = MessageReader::default().read(body, builder).unwrap()).unwrap()
}

#[test]
fn the_message_arrives_with_all_that_was_said() {
    let frame = injected(&[
        "--type=deploy",
        "--logger=ci",
        "--severity=4",
        "--payload=v12",
        "--pid=77",
        "--hostname=web1",
        "--field=build=1207",
        "--field=ratio=0.5",
        "--field=ok=true",
        "--field=tag:=12",
        "--field=tag=x",
    ]);
    let message = read(&frame);
    let view = message.view();
    assert_eq!(
        (view.message_type(), view.logger(), view.payload()),
        (&b"deploy"[..], &b"ci"[..], &b"v12"[..])
    );
    assert_eq!((view.severity(), view.pid(), view.hostname()), (4, 77, &b"web1"[..]));
    let values: Vec<_> = view.fields().filter_map(|field| field.value(0)).collect();
    let texts = [Value::String(b"12"), Value::String(b"x")];
    assert_eq!(values, [&[Value::Integer(1207), Value::Double(0.5), Value::Bool(true)][..], &texts].concat());
    assert!(view.timestamp() > 1_700_000_000_000_000_000 && view.uuid() != [0; 16]);
}

#[test]
fn what_was_not_said_is_this_process() {
    let message = read(&injected(&[]));
    let view = message.view();
    assert_eq!((view.message_type(), view.logger()), (&b"heka.inject"[..], &b"heka-host"[..]));
    assert_eq!((view.severity(), view.pid()), (6, std::process::id() as i32));
    assert_eq!(view.hostname(), own_hostname().as_bytes());
}

#[test]
fn a_signed_message_is_believed() {
    let directory = tempfile::tempdir().unwrap();
    let key_file = directory.path().join("key");
    std::fs::write(&key_file, "secret\n").unwrap();
    let key_file = format!("--key-file={}", key_file.display());
    for (key, hash) in [("--key=secret", HashFunction::Sha1), (&key_file, HashFunction::Md5)] {
        let hash_argument = format!("--hash={}", hash.name());
        let frame = injected(&["--signer=vic", key, "--key-version=3", &hash_argument]);
        let frame = parse_frame(&frame).unwrap();
        let signature = frame.header.signature.unwrap();
        let mut signers = Signers::default();
        signers.add("vic_3", b"secret", Some(hash));
        assert_eq!(signers.verify(&signature, frame.message), Ok(()));
    }
}

#[test]
fn a_datagram_arrives() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    inject(&arguments(&address, &["--udp", "--payload=p"]).unwrap()).unwrap();
    let mut frame = [0; 4096];
    let len = receiver.recv(&mut frame).unwrap();
    assert_eq!(read(&frame[..len]).view().payload(), b"p");
}

#[test]
fn what_can_not_be_sent_says_why() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let failed = |more: &[&str]| inject(&arguments(&address, more).unwrap()).unwrap_err();
    assert_eq!(failed(&["--udp"]), format!("failed to send to `udp {address}`: nobody listens there"));
    let payload = format!("--payload={}", "x".repeat(70_000));
    let long = failed(&["--udp", &payload]);
    assert!(long.ends_with(&format!("bytes to `udp {address}`: message too long")), "{long}");
    assert_eq!(failed(&["--signer=", "--key=k"]), "a signer's name has 1 to 200 bytes");
    assert_eq!(failed(&["--signer=s", "--key="]), "the key can't be used: it is empty");
}

#[test]
fn half_a_signature_is_refused() {
    for more in [
        &["--signer=vic"][..],
        &["--key=secret"],
        &["--signer=vic", "--key=k", "--hash=sha2"],
        &["--severity=8"],
    ] {
        assert!(arguments("127.0.0.1:1", more).is_err(), "{more:?}");
    }
}
