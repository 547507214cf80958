use super::*;
use crate::framing::{FrameSignature, write_frame};
use crate::protobuf::put_message;
use crate::signing::SigningKey;
use heka_plugin_api::testing::{DecoderTest, message};
use heka_plugin_api::{OwnedMessage, Value};
use proptest::prelude::*;

fn body(payload: &str) -> Vec<u8> {
    let made = message(|builder| {
        builder.uuid([5; 16]).timestamp(1).message_type("t").logger("l").hostname("h").payload(payload);
    });
    let mut bytes = Vec::new();
    put_message(&made.view(), &mut bytes);
    bytes
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(body, None, &mut bytes);
    bytes
}

fn signed(hash: HashFunction, key: &str, body: &[u8]) -> Vec<u8> {
    let digest = SigningKey::new(key.as_bytes()).unwrap().sign(hash, body);
    let mut bytes = Vec::new();
    write_frame(body, Some(&FrameSignature::new(b"vic", 1, &digest)), &mut bytes);
    bytes
}

fn check(toml: &str, frame: &[u8]) -> Result<Vec<OwnedMessage>, String> {
    DecoderTest::<HekaDecoder>::open(toml).unwrap().decode(frame)
}

fn payloads(messages: &[OwnedMessage]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8_lossy(message.view().payload()).into_owned()).collect()
}

#[test]
fn the_greeting_of_an_old_client_is_read() {
    let body = [
        &[0x0a, 0x10][..],
        &[3; 16],
        b"\x10\x80\xa0\xe2\x94\xf8\xc5\xdf\x99\x17\x1a\x08oldstyle\x22\x05myapp\x28\x06\x32\x0bhello world",
        b"\x3a\x030.8\x40\x9e\xf3\x01\x4a\x02vm",
    ]
    .concat();
    let bytes = framed(&body);
    assert_eq!(bytes[..5], [0x1e, 0x02, 0x08, 0x49, 0x1f]);
    let messages = check("", &bytes).unwrap();
    let view = messages[0].view();
    assert_eq!((view.payload(), view.hostname(), view.uuid()), (&b"hello world"[..], &b"vm"[..], [3; 16]));
    assert_eq!(view.raw(), body);
}

#[test]
fn a_bare_message_is_read() {
    let messages = check("", &body("bare")).unwrap();
    assert_eq!(payloads(&messages), ["bare"]);
    assert_eq!(messages[0].view().raw(), body("bare"));
}

#[test]
fn good_frames_pass_beside_broken_ones() {
    let mut decoder = DecoderTest::<HekaDecoder>::open("").unwrap();
    let wrong = signed(HashFunction::Md5, "other", &body("forged"));
    let row = [
        &framed(&body("one"))[..],
        b"noise\x1e",
        &framed(b"\x10\xff"),
        &framed(&body("two")),
        &wrong,
        &framed(&body("three")),
        b"\x1e\x02\x08\x7f\x1fcut",
    ]
    .concat();
    let messages = decoder.decode(&row).unwrap();
    assert_eq!(payloads(&messages), ["one", "two", "three"]);
    assert_eq!(decoder.host().counter("broken"), 5);
}

#[test]
fn a_row_without_a_good_frame_is_refused_with_the_first_reason() {
    let row = [framed(b"\x10\xff"), b"\x1e\x02".to_vec()].concat();
    assert_eq!(check("", &row).unwrap_err(), "not protobuf: the number at byte 1 has no end");
    assert_eq!(check("", b"").unwrap_err(), "an empty frame is no Heka message");
    assert_eq!(
        check("", b"GET / HTTP/1.1").unwrap_err(),
        "not protobuf: field 8 of wire type 7 before byte 1"
    );
    assert_eq!(check("", b"\x1e").unwrap_err(), "broken Heka frame: the header is cut off");
    assert_eq!(
        check("", b"\x1e\x04\x08\x01\x10\x07\x1fx").unwrap_err(),
        "message encoding 7 of the header is unknown"
    );
}

#[test]
fn what_defaults_complete_has_no_image() {
    let mut decoder = DecoderTest::<HekaDecoder>::open("").unwrap();
    let messages = decoder.decode(&framed(b"\x32\x01p")).unwrap();
    let view = messages[0].view();
    assert_eq!((view.payload(), view.logger(), view.raw()), (&b"p"[..], &b"stream"[..], &b""[..]));
    assert_ne!(view.uuid(), [0; 16]);
    let counter = |name| decoder.host().counter(name);
    assert_eq!((counter("without_uuid"), counter("without_timestamp")), (1, 1));
}

const STRICT: &str = "require_signature = true\nsigners.vic_1 = { key = 'secret', hash = 'sha1' }";
const SIGNERS: &str = "signer_field = 'signer'\nsigners.vic_1.key = 'secret'";

#[test]
fn verified_signers_are_named() {
    for hash in [HashFunction::Md5, HashFunction::Sha1] {
        let messages = check(SIGNERS, &signed(hash, "secret", &body("x"))).unwrap();
        let view = messages[0].view();
        assert_eq!(view.value("signer"), Some(Value::String(b"vic")));
        assert!(view.raw().is_empty());
    }
    let messages = check(SIGNERS, &framed(&body("x"))).unwrap();
    assert_eq!(messages[0].view().value("signer"), None);
}

#[test]
fn wrong_signatures_are_refused() {
    let refused = |toml: &str, frame: &[u8]| check(toml, frame).unwrap_err();
    let forged = signed(HashFunction::Sha1, "other", &body("x"));
    assert_eq!(refused(SIGNERS, &forged), "the signature of `vic_1` is wrong");
    assert_eq!(refused("", &forged), "signed by `vic_1`, who is none of the signers");
    assert_eq!(refused(STRICT, &framed(&body("x"))), "not signed");
    assert_eq!(refused(STRICT, &body("x")), "not signed: a message without a frame");
    let weak = signed(HashFunction::Md5, "secret", &body("x"));
    assert_eq!(refused(STRICT, &weak), "signed by `vic_1` with md5, must be sha1");
}

#[test]
fn json_of_early_clients_is_read() {
    let json = br#"{"uuid":"AAECAwQFBgcICQoLDA0ODw==","timestamp":5,"type":"t","payload":"p"}"#;
    let bytes = [&[0x1e, 6, 0x08, json.len() as u8, 0x10, 1, 0x18, 0, 0x1f][..], json].concat();
    let messages = check("", &bytes).unwrap();
    let view = messages[0].view();
    assert_eq!((view.payload(), view.timestamp(), view.raw()), (&b"p"[..], 5, &b""[..]));
    assert!(check("", &[0x1e, 4, 0x08, 1, 0x10, 1, 0x1f, b'{']).unwrap_err().starts_with("not JSON: "));
}

#[test]
fn faulty_options_are_all_named() {
    let faults = DecoderTest::<HekaDecoder>::faults("signers.vic.key = ''");
    let name = "signers.vic: the name must be `<signer>_<version>`, such as `web_1`";
    assert_eq!(faults, [name, "signers.vic.key: must not be empty"]);
    let faults = DecoderTest::<HekaDecoder>::faults("require_signature = true");
    assert_eq!(faults, ["require_signature: no message could pass: there are no `signers`"]);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = check("", &bytes);
        let _ = check("", &[&framed(&bytes)[..], &[0x1e], &bytes].concat());
    }
}
