use super::*;
use crate::framing::{Frame, parse_frame};
use crate::protobuf::MessageReader;
use heka_plugin_api::OwnedMessage;
use heka_plugin_api::testing::{EncoderTest, message};

fn sample() -> OwnedMessage {
    message(|builder| {
        builder.uuid([5; 16]).timestamp(1).message_type("t").payload("payload").field("n", 1);
    })
}

fn check(toml: &str, message: &OwnedMessage) -> Vec<u8> {
    EncoderTest::<HekaEncoder>::open(toml).unwrap().encode(message).unwrap()
}

fn payload(body: &[u8]) -> Vec<u8> {
    let read = OwnedMessage::build(|builder| _ = MessageReader::default().read(body, builder).unwrap());
    read.unwrap().view().payload().to_vec()
}

#[test]
fn messages_are_framed() {
    let bytes = check("", &sample());
    let Frame { header, message, len } = parse_frame(&bytes).unwrap();
    assert_eq!((len, header.signature), (bytes.len(), None));
    assert_eq!(payload(message), b"payload");
    assert_eq!(check("framing = false", &sample()), message);
}

#[test]
fn the_image_is_copied_as_it_is() {
    let image = b"\x32\x03raw\xa0\x06\x01";
    let made = message(|builder| {
        let text = builder.text(image);
        builder.raw_text(text).payload("seen");
    });
    assert_eq!(check("framing = false", &made), image);
    assert_eq!(parse_frame(&check("", &made)).unwrap().message, image);
}

#[test]
fn signatures_fit() {
    for (hash, function) in [("md5", HashFunction::Md5), ("sha1", HashFunction::Sha1)] {
        let toml = format!("signer = 'vic'\nkey = 'secret'\nkey_version = 1\nhash = '{hash}'");
        let bytes = check(&toml, &sample());
        let frame = parse_frame(&bytes).unwrap();
        let digest = SigningKey::new(b"secret").unwrap().sign(function, frame.message);
        assert_eq!(frame.header.signature, Some(FrameSignature::new(b"vic", 1, &digest)));
    }
}

#[test]
fn long_messages_are_refused() {
    let mut encoder = EncoderTest::<HekaEncoder>::open("message_bytes_max = 20").unwrap();
    let reason = encoder.encode(&sample()).unwrap_err();
    assert_eq!(reason, "the message is 44 bytes of protobuf, longer than `message_bytes_max` (20 bytes)");
}

#[test]
fn faulty_options_are_all_named() {
    let faults = |toml: &str| EncoderTest::<HekaEncoder>::faults(toml);
    assert_eq!(faults("signer = 'a'"), ["signer: needs a `key`"]);
    assert_eq!(faults("key = 'a'"), ["key: needs a `signer`"]);
    assert_eq!(faults("signer = ''\nkey = ''"), ["signer: must not be empty", "key: must not be empty"]);
    assert_eq!(faults("signer = 'a'\nkey = 'b'\nframing = false"), ["framing: a signature needs a frame"]);
    assert_eq!(faults("message_bytes_max = 0"), ["message_bytes_max: from 1 byte to 4 GiB"]);
    let long = format!("key = 'k'\nsigner = '{}'", "s".repeat(201));
    assert_eq!(faults(&long), ["signer: at most 200 bytes"]);
}
