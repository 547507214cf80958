//! Builds, reads and edits messages.

use crate::testing::message;
use crate::{MessageMut, OwnedMessage, PluginError, Value};
use proptest::prelude::*;

fn sample() -> OwnedMessage {
    message(|m| {
        m.message_type("access").logger("web").payload("GET /").hostname("h1").env_version("0.8");
        m.timestamp(17).severity(3).pid(-9);
        m.field("status", 503).field_as("took", "ms", 1.5).field("ok", false);
        m.field_values("tags", "", [Value::from("a"), Value::from("bc")]);
        m.field("status", 7);
    })
}

#[test]
fn what_is_built_is_read_back() {
    let owned = sample();
    let m = owned.view();
    assert_eq!((m.message_type(), m.logger(), m.payload()), (&b"access"[..], &b"web"[..], &b"GET /"[..]));
    assert_eq!((m.hostname(), m.env_version()), (&b"h1"[..], &b"0.8"[..]));
    assert_eq!((m.timestamp(), m.severity(), m.pid()), (17, 3, -9));
    assert_eq!(m.value("status"), Some(Value::Integer(503)));
    assert_eq!(m.field_at(b"status", 1).unwrap().value(0), Some(Value::Integer(7)));
    assert_eq!(m.field("took").unwrap().representation(), b"ms");
    let tags: Vec<_> = m.field("tags").unwrap().values().collect();
    assert_eq!(tags, [Value::String(b"a"), Value::String(b"bc")]);
    assert!(m.value("absent").is_none() && m.field("tags").unwrap().value(2).is_none());
}

#[test]
fn a_field_of_mixed_types_is_refused() {
    let built = OwnedMessage::build(|m| {
        m.field_values("x", "", [Value::Integer(1), Value::Bool(true)]);
    });
    assert!(matches!(built, Err(PluginError::Message(reason)) if reason.contains("different types")));
}

fn edited(edit: impl FnOnce(&mut MessageMut<'_>)) -> OwnedMessage {
    let original = sample();
    let before = format!("{original:?}");
    let changed = original.edited(edit).unwrap();
    assert_eq!(format!("{original:?}"), before, "the original is never touched");
    changed
}

#[test]
fn edits_change_a_copy() {
    let changed = edited(|m| {
        m.set_payload("a much longer payload than the one that was there before");
        m.set_severity(1);
        m.set_field("status", "bad");
        assert!(m.remove_field("ok") && !m.remove_field("ok"));
        assert!(m.rename_field("took", "duration"));
        (0..100).for_each(|n| m.add_field(format!("n{n}"), n));
    });
    let m = changed.view();
    assert!(m.payload().starts_with(b"a much longer"));
    assert_eq!((m.severity(), m.value("status")), (1, Some(Value::String(b"bad"))));
    assert_eq!(m.value("duration"), Some(Value::Double(1.5)));
    assert_eq!(m.value("n99"), Some(Value::Integer(99)));
    assert_eq!(m.fields().len(), 4 + 100);
    assert!(m.raw().is_empty());
}

#[test]
fn texts_change_at_their_place() {
    let message = message(|m| {
        m.field("a", "one").field_values("a", "", ["x", "y"].map(Value::from)).field("n", 1);
        m.field("image", Value::Bytes(b"raw"));
    });
    let changed = message
        .edited(|m| {
            assert!(
                m.set_text_at(0, 0, b"a longer one") && m.set_text_at(1, 1, b"z") && m.set_text_at(3, 0, b"")
            );
            let none = [(1, 2), (2, 0), (4, 0), (0, 1)];
            assert!(!none.iter().any(|&(field, index)| m.set_text_at(field, index, b"no")));
        })
        .unwrap();
    let values: Vec<_> = changed.view().fields().flat_map(|field| field.values()).collect();
    let expected = [Value::from("a longer one"), "x".into(), "z".into(), 1.into(), Value::Bytes(b"")];
    assert_eq!(values, expected);
    assert_eq!(message.view().value("a"), Some("one".into()));
}

#[test]
fn a_broken_record_reads_as_empty() {
    let owned = sample();
    let mut words: Vec<u64> = vec![0; owned.view().record_bytes().len() / 8];
    // SAFETY: both have that many bytes.
    unsafe {
        let source = owned.view().record_bytes();
        std::ptr::copy_nonoverlapping(source.as_ptr(), words.as_mut_ptr().cast(), source.len());
        let record = &mut *words.as_mut_ptr().cast::<crate::abi::Record>();
        record.payload.offset = u32::MAX;
        record.fields_offset = record.size - 8;
        let broken = crate::Message::from_record(record);
        assert!(broken.payload().is_empty() && broken.fields().len() == 0);
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Set(u8, i64),
    Text(u8, Vec<u8>),
    Remove(u8),
    Add(u8, i64),
    Payload(Vec<u8>),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..600);
    let one = prop_oneof![
        (0..6u8, any::<i64>()).prop_map(|(name, value)| Edit::Set(name, value)),
        (0..6u8, bytes()).prop_map(|(name, text)| Edit::Text(name, text)),
        (0..6u8).prop_map(Edit::Remove),
        (0..6u8, any::<i64>()).prop_map(|(name, value)| Edit::Add(name, value)),
        bytes().prop_map(Edit::Payload),
    ];
    proptest::collection::vec(one, 0..40)
}

#[derive(Clone, PartialEq, Debug)]
enum Seen {
    Number(i64),
    Text(Vec<u8>),
}

proptest! {
    #[test]
    fn any_edits_do_what_a_list_would(edits in edits()) {
        let mut list: Vec<(u8, Seen)> = Vec::new();
        let mut payload = Vec::new();
        let changed = message(|_| {}).edited(|m| {
            for edit in &edits {
                apply(edit, m, &mut list, &mut payload);
            }
        }).unwrap();
        let m = changed.view();
        prop_assert_eq!(m.payload(), &payload);
        let read: Vec<(u8, Seen)> = m.fields().map(|field| (field.name()[0], match field.value(0).unwrap() {
            Value::Integer(number) => Seen::Number(number),
            other => Seen::Text(other.as_bytes().unwrap().to_vec()),
        })).collect();
        prop_assert_eq!(read, list);
    }
}

fn apply(edit: &Edit, m: &mut MessageMut<'_>, list: &mut Vec<(u8, Seen)>, payload: &mut Vec<u8>) {
    match edit {
        Edit::Set(name, value) => {
            m.set_field([*name], *value);
            set(list, *name, Seen::Number(*value));
        }
        Edit::Text(name, text) => {
            m.set_field([*name], text.as_slice());
            set(list, *name, Seen::Text(text.clone()));
        }
        Edit::Remove(name) => {
            let at = list.iter().position(|(seen, _)| seen == name);
            assert_eq!(m.remove_field([*name]), at.map(|at| list.remove(at)).is_some());
        }
        Edit::Add(name, value) => {
            m.add_field([*name], *value);
            list.push((*name, Seen::Number(*value)));
        }
        Edit::Payload(text) => {
            m.set_payload(text);
            payload.clone_from(text);
        }
    }
}

fn set(list: &mut Vec<(u8, Seen)>, name: u8, value: Seen) {
    match list.iter_mut().find(|(seen, _)| *seen == name) {
        Some(slot) => slot.1 = value,
        None => list.push((name, value)),
    }
}
