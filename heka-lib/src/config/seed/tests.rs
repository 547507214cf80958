use proptest::prelude::*;

use crate::config::{Config, from_json_str, from_toml_str};

/// Checks that an old configuration means the same as one in today's shape.
fn check(old: &str, today: &str) {
    let old = from_json_str("heka.json", old).unwrap();
    let old = Config::from_document(&old).unwrap_or_else(|faults| panic!("{faults}"));
    let today = Config::from_document(&from_toml_str("heka.toml", today).unwrap()).unwrap();
    assert_eq!(old.inputs, today.inputs);
    assert_eq!(old.decoders, today.decoders);
    assert_eq!(old.filters, today.filters);
    assert_eq!(old.encoders, today.encoders);
    assert_eq!(old.outputs, today.outputs);
    assert_eq!(old.chains, today.chains);
}

#[test]
fn the_old_shape_means_todays() {
    check(
        r#"{ // as it was shown
            "inputs": [{"name": "udp:29330", "type": "UdpInput", "Address": "127.0.0.1:29330"},
                       {"type": "MessageGeneratorInput"},
                       {"type": "TcpInput", "decoder": "MsgPackDecoder"}],
            "decoders": [{"type": "JsonDecoder", "default": true}, {"type": "MsgPackDecoder", "default": false}],
            "filters": [{"type": "NamedOutputFilter", "name": "names", "outputs": ["n"]},
                        {"type": "StatRollupFilter"}],
            "outputs": [{"type": "LogOutput"}, {"type": "CounterOutput", "name": "n"}],
            "chains": {"default": {"outputs": ["LogOutput"]},
                       "s": {"message_type": ["counter", "gauge"], "filters": ["StatRollupFilter"]},
                       "t": {"type": "Counter", "filters": ["names"], "outputs": ["n"]},
                       "u": {"message_filter": "Type == \"x\"", "outputs": ["n"]}}
        }"#,
        "[inputs.'udp:29330']\nplugin = 'udp'\naddress = '127.0.0.1:29330'\ndecoder = 'JsonDecoder'\n\
        [inputs.MessageGeneratorInput]\nplugin = 'generate'\n\
        [inputs.TcpInput]\nplugin = 'tcp'\ndecoder = 'MsgPackDecoder'\n\
        [decoders.JsonDecoder]\nplugin = 'json'\n[decoders.MsgPackDecoder]\nplugin = 'msgpack'\n\
        [filters.names]\nplugin = 'mark'\noutputs = ['n']\n[filters.StatRollupFilter]\n\
        [outputs.LogOutput]\nplugin = 'log'\n[outputs.n]\nplugin = 'null'\n\
        [chains.default]\noutputs = ['LogOutput']\n\
        [chains.s]\nmessage_type = ['counter', 'gauge']\nfilters = ['StatRollupFilter']\n\
        [chains.t]\nmessage_type = 'Counter'\nfilters = ['names']\noutputs = ['n']\n\
        [chains.u]\nmatcher = 'Type == \"x\"'\noutputs = ['n']\n",
    );
}

#[test]
fn old_files_find_their_encoders_and_decoders() {
    check(
        r#"{
            "inputs": [{"type": "LogfileInput", "LogFiles": [["/a.log", "x"], ["/b.log", "x"], "/c.log"]}],
            "outputs": [{"type": "FileOutput", "name": "plain", "path": "p"},
                        {"type": "FileOutput", "name": "json", "path": "j", "format": "json", "perm": 384},
                        {"type": "FileOutput", "name": "times", "path": "t", "format": "text", "prefix_ts": true}],
            "chains": {"default": {"outputs": ["plain", "json", "times"]}}
        }"#,
        "[inputs.LogfileInput]\nplugin = 'file'\npaths = ['/a.log', '/b.log', '/c.log']\ndecoder = 'x'\n\
        [encoders.'times.payload']\nplugin = 'payload'\nprefix_timestamp = true\n\
        [outputs.plain]\nplugin = 'file'\npath = 'p'\nencoder = 'payload'\n\
        [outputs.json]\nplugin = 'file'\npath = 'j'\nmode = 384\nencoder = 'json'\n\
        [outputs.times]\nplugin = 'file'\npath = 't'\nencoder = 'times.payload'\n\
        [chains.default]\noutputs = ['plain', 'json', 'times']\n",
    );
}

#[test]
fn today_s_shape_is_left_alone_and_may_be_mixed_in() {
    check(
        r#"{"inputs": {"FileOutput": {"plugin": "UdpInput", "Type": 1}},
            "outputs": [{"type": "NullOutput", "name": "out"}],
            "chains": {"default": {"outputs": ["out"]}}}"#,
        "[inputs.FileOutput]\nplugin = 'UdpInput'\nType = 1\n[outputs.out]\nplugin = 'NullOutput'\n\
        [chains.default]\noutputs = ['out']\n",
    );
}

#[test]
fn faults_of_old_configurations_have_their_places() {
    let check = |old: &str, expected: &[&str]| {
        let old = format!(
            "{{{old},\n\"inputs\": {{\"in\": {{}}}}, \"outputs\": {{\"out\": {{}}}}, \
            \"chains\": {{\"default\": {{\"outputs\": [\"out\"]}}}}}}"
        );
        let document = from_json_str("h.json", &old).unwrap();
        let faults = Config::from_document(&document).map(|_| ()).map_err(|faults| faults.to_string());
        assert_eq!(faults, Err(expected.join("\n")), "{old}");
    };
    check(r#""filters": [3]"#, &["h.json:1:14: filter is an integer; expected an object with a `type`"]);
    check(r#""filters": [{}]"#, &["h.json:1:14: filter without a `type`"]);
    check(r#""filters": [{"type": 1}]"#, &["h.json:1:23: filter: `type` is an integer; expected a string"]);
    check(
        r#""filters": [{"type": "a", "name": []}]"#,
        &["h.json:1:36: filter: `name` is an array; expected a string"],
    );
    check(
        r#""filters": [{"type": "a"}, {"type": "a"}]"#,
        &["h.json:1:38: filter `a` is defined a second time; first at h.json:1:23; name them apart"],
    );
    check(
        r#""filters": [{"type": "a", "X": 1, "x": 2}]"#,
        &["h.json:1:36: `x` is defined a second time; first at h.json:1:28"],
    );
    check(
        r#""decoders": [{"type": "a", "default": true}, {"type": "b", "default": true},
                         {"type": "c", "default": 1}]"#,
        &[
            "h.json:1:72: decoder `b`: `default` is set for decoder `a` too",
            "h.json:2:51: decoder `c`: `default` is an integer; expected true or false",
        ],
    );
}

#[test]
fn options_of_old_files_that_mean_nothing_are_faults() {
    let check = |kind: &str, old: &str, expected: &str| {
        let document = from_json_str("h.json", &format!("{{\"{kind}\": [{old}]}}")).unwrap();
        assert_eq!(document.faults.to_string(), expected);
    };
    check(
        "outputs",
        r#"{"type": "FileOutput", "format": "xml"}"#,
        "h.json:1:47: output `FileOutput`: unknown `format`; known: text, json",
    );
    check(
        "outputs",
        r#"{"type": "FileOutput", "format": "json", "prefix_ts": true}"#,
        "h.json:1:47: output `FileOutput`: `prefix_ts` goes with `format` text only",
    );
    check(
        "inputs",
        r#"{"type": "LogfileInput", "logfiles": [["a", "x"], ["b", "y"]]}"#,
        "h.json:1:69: input `LogfileInput`: several decoders; make it one input for each",
    );
}

proptest! {
    #[test]
    fn any_objects_are_translated_or_refused(
        objects in prop::collection::vec(prop::sample::select(vec![
            "{}", "1", "[]", r#"{"type": "FileOutput", "format": 1, "prefix_ts": null, "perm": {}}"#,
            r#"{"type": "LogfileInput", "logfiles": [[], 1, ["a"], [[], []]]}"#, r#"{"type": "a", "TYPE": "b"}"#,
            r#"{"type": "JsonDecoder", "default": true}"#, r#"{"type": "", "name": ""}"#,
        ]), 5)
    ) {
        let sections = ["inputs", "decoders", "filters", "encoders", "outputs"];
        let pairs = sections.iter().zip(&objects).map(|(section, object)| format!("\"{section}\": [{object}]"));
        let text = format!("{{{}, \"chains\": {}}}", pairs.collect::<Vec<_>>().join(","), objects[0]);
        if let Ok(document) = from_json_str("h.json", &text) {
            drop(Config::from_document(&document));
        }
    }
}
