//! Configurations that are wrong, and what is said about them.

use super::{BASE, check, config, fault};
use crate::config::{Config, ConfigOptions, from_toml_str};

#[test]
fn unknown_keys_are_faults_with_the_nearest_known_one() {
    fault(
        "[heka]\nstat_dir = 'x'",
        "heka.toml:2:1: [heka]: unknown key `stat_dir`; did you mean `state_dir`",
    );
    fault("[input.web]", "heka.toml:1:2: unknown table `input`; did you mean `inputs`");
    fault(
        "colour = 1",
        "heka.toml:1:1: unknown key `colour`; known: heka, inputs, decoders, filters, encoders, outputs, chains",
    );
    fault(
        "[chains.c]\noutput = ['out']\nfilters = []",
        "heka.toml:2:1: chain `c`: unknown key `output`; did you mean `outputs`",
    );
    fault(
        "[outputs.x.queue]\nkid = 'disk'\n[outputs.x.retry]\nforever = true",
        "heka.toml:2:1: output `x`: `queue`: unknown key `kid`; did you mean `kind`\n\
        heka.toml:4:1: output `x`: `retry`: unknown key `forever`; known: delay_min, delay_max, attempts_max, age_max, jitter",
    );
}

#[test]
fn wrong_types_and_values_are_faults() {
    fault("heka = 3", "heka.toml:1:8: [heka] is an integer; expected a table");
    fault("[[filters]]\nx = 1", "heka.toml:1:1: `filters` is an array; expected tables [filters.NAME]");
    fault("filters.x = 'y'", "heka.toml:1:13: filter `x` is a string; expected a table");
    fault("chains.x = 1", "heka.toml:1:12: chain `x` is an integer; expected a table");
    fault(
        "heka.allow_env = 'yes'",
        "heka.toml:1:18: [heka]: `allow_env` is a string; expected true or false",
    );
    fault("heka.state_dir = 1", "heka.toml:1:18: [heka]: `state_dir` is an integer; expected a string");
    fault("heka.hops_max = 65", "heka.toml:1:17: [heka]: `hops_max` is 65; expected an integer from 0 to 64");
    fault("heka.hops_max = -1", "heka.toml:1:17: [heka]: `hops_max` is -1; expected an integer from 0 to 64");
    fault(
        "heka.hops_max = 1.0",
        "heka.toml:1:17: [heka]: `hops_max` is a float; expected an integer from 0 to 64",
    );
    fault(
        "heka.plugin_owners = 1",
        "heka.toml:1:22: [heka]: `plugin_owners`: expected an array of user names and numbers",
    );
    fault(
        "heka.plugin_owners = [-1]",
        "heka.toml:1:23: [heka]: `plugin_owners`: expected an array of user names and numbers",
    );
    fault(
        "heka.message_bytes_max = 512",
        "heka.toml:1:26: [heka]: `message_bytes_max` is 512; expected a size from 1 KiB to 256 MiB",
    );
    fault(
        "heka.message_bytes_max = '1 GiB'",
        "heka.toml:1:26: [heka]: `message_bytes_max` is `1 GiB`; expected a size from 1 KiB to 256 MiB",
    );
    fault(
        "heka.message_bytes_max = 'big'",
        "heka.toml:1:26: [heka]: `message_bytes_max`: `big` is not a size; write bytes as a number, or for example `64 KiB`",
    );
    fault(
        "heka.batch_linger = '11 s'",
        "heka.toml:1:21: [heka]: `batch_linger` is `11 s`; expected a duration from 0 s to 10 s",
    );
    fault(
        "heka.batch_linger = -0.5",
        "heka.toml:1:21: [heka]: `batch_linger` is -0.5; expected a duration from 0 s to 10 s",
    );
    fault(
        "heka.batch_linger = nan",
        "heka.toml:1:21: [heka]: `batch_linger` is NaN; expected a duration from 0 s to 10 s",
    );
    fault(
        "heka.batch_linger = []",
        "heka.toml:1:21: [heka]: `batch_linger` is an array; expected a duration from 0 s to 10 s",
    );
    fault(
        "inputs.x.decode_threads = 65",
        "heka.toml:1:27: input `x`: `decode_threads` is 65; expected an integer from 0 to 64",
    );
    fault(
        "inputs.x.frame_overflow = 'trunc'",
        "heka.toml:1:27: input `x`: unknown `frame_overflow` `trunc`; known: reject, truncate, dead_letter",
    );
    fault(
        "inputs.x.splitter = 'lines'",
        "heka.toml:1:21: input `x`: unknown `splitter` `lines`; did you mean `line`",
    );
    fault("inputs.x.splitter = 1", "heka.toml:1:21: input `x`: `splitter` is an integer; expected a string");
    fault(
        "inputs.x.splitter.at = 1",
        "heka.toml:1:10: input `x`: `splitter`: no `kind`; known: line, token, regex, heka, length, multiline, cri, docker, journal_export, none",
    );
    fault(
        "outputs.x.queue = 'disk'\nchains.c.outputs = ['x']",
        "heka.toml:1:19: output `x`: `queue` is a string; expected a table",
    );
    fault(
        "outputs.x.queue = { kind = 'memory', durability = 'disk' }",
        "heka.toml:1:51: output `x`: `queue`: `durability`: a queue in memory has only `memory`; make it `spill` or `disk`",
    );
    fault(
        "outputs.x.retry = { delay_min = '1 m', delay_max = '1 s' }",
        "heka.toml:1:52: output `x`: `retry`: `delay_max`, 1 s, is shorter than `delay_min`, 1 m",
    );
    fault(
        "filters.x.emit_to = 'routr'",
        "heka.toml:1:21: filter `x`: unknown `emit_to` `routr`; did you mean `router`",
    );
}

#[test]
fn names_follow_their_rules() {
    let rule = "names begin with a letter or `_`, and go on with letters, digits, `_`, `.`, `:` and `-`";
    fault("filters.'a b' = {}", &format!("heka.toml:1:9: filter `a b`: {rule}"));
    fault("filters.'' = {}", &format!("heka.toml:1:9: filter ``: {rule}"));
    fault("filters.9 = {}", &format!("heka.toml:1:9: filter `9`: {rule}"));
    fault("chains.'a/b'.outputs = ['out']", &format!("heka.toml:1:8: chain `a/b`: {rule}"));
    fault("inputs.\"a\\nb\" = {}", &format!("heka.toml:1:8: input `a\\nb`: {rule}"));
    let long = "x".repeat(65);
    fault(
        &format!("filters.{long} = {{}}"),
        &format!("heka.toml:1:9: filter `{long}`: names have at most 64 characters"),
    );
    config(&format!(
        "filters.'udp:29330' = {{}}\nfilters._a.b-c = 1\nfilters.{} = {{}}\n{BASE}",
        "y".repeat(64)
    ));
}

#[test]
fn chains_name_what_exists() {
    fault("[chains.c]\noutputs = ['outt']", "heka.toml:2:12: chain `c`: no output `outt`; known: out");
    fault(
        "[chains.c]\nfilters = ['x', 'y']\n[filters.yy]",
        "heka.toml:2:12: chain `c`: no filter `x`; known: yy\nheka.toml:2:17: chain `c`: no filter `y`; known: yy",
    );
    fault("chains.c.filters = ['x']", "heka.toml:1:21: chain `c`: no filter `x`; none is defined");
    fault("chains.c.outputs = ['out', 'out']", "heka.toml:1:28: chain `c`: `outputs` names `out` twice");
    fault(
        "chains.c.outputs = 'out'",
        "heka.toml:1:20: chain `c`: `outputs` is a string; expected an array of strings",
    );
    fault(
        "chains.c.outputs = [1]",
        "heka.toml:1:21: chain `c`: `outputs` contains an integer; expected an array of strings",
    );
    fault(
        "[chains.c]\nmatcher = 'TRUE'\nmessage_type = 'a'\noutputs = ['out']",
        "heka.toml:3:16: chain `c`: `matcher` and `message_type` exclude each other; write one of them",
    );
    let types =
        config(&format!("[chains.c]\nmessage_type = ['a', 'b']\n[chains.d]\nmessage_type = 'a'\n{BASE}"));
    assert_eq!(types.chains.iter().map(|chain| chain.message_type.len()).collect::<Vec<_>>(), [2, 1, 0]);
}

#[test]
fn dead_letters_go_to_another_output_and_never_come_back() {
    fault("heka.dead_letter = 'ou'", "heka.toml:1:20: [heka]: `dead_letter`: no output `ou`; known: out");
    fault(
        "outputs.x.dead_letter = 'y'",
        "heka.toml:1:25: output `x`: `dead_letter`: no output `y`; known: out, x",
    );
    fault(
        "outputs.x.dead_letter = 'x'",
        "heka.toml:1:25: output `x`: `dead_letter`: what `x` refuses would come back to it",
    );
    fault(
        "outputs.x.dead_letter = 'y'\noutputs.y.dead_letter = 'x'\noutputs.z.dead_letter = 'x'",
        "heka.toml:1:25: output `x`: `dead_letter`: what `x` refuses would come back to it\n\
        heka.toml:2:25: output `y`: `dead_letter`: what `y` refuses would come back to it",
    );
}

#[test]
fn something_must_be_there_to_run() {
    let all = [
        "heka.toml: no inputs; add a table [inputs.NAME]",
        "heka.toml: no outputs; add a table [outputs.NAME]",
        "heka.toml: no chains; add a table [chains.default] with `outputs = [\"NAME\"]`",
    ];
    check("", false, &all);
    check(
        "inputs = 1",
        false,
        &[all[1], all[2], "heka.toml:1:10: `inputs` is an integer; expected tables [inputs.NAME]"],
    );
    let document = from_toml_str("t", "[outputs.out]\n[chains.default]\noutputs = ['out']\n").unwrap();
    assert!(Config::from_document(&document).is_err());
    assert!(Config::from_document_with(&document, ConfigOptions { allow_no_inputs: true }).is_ok());
}

#[test]
fn all_faults_come_together_in_the_order_of_their_places() {
    let text = "[heka]\nhop_max = 1\n[inputs.web]\ndecoder = 1\n[inputs.web]\n[outputs.a]\nqueue.kind = 'dis'\n\
        path = '${env:HOME}'\n[chains.c]\nticker = 1\noutputs = ['b']\n";
    check(
        text,
        false,
        &[
            "heka.toml:2:1: [heka]: unknown key `hop_max`; did you mean `hops_max`",
            "heka.toml:4:11: input `web`: `decoder` is an integer; expected a string or an array of strings",
            "heka.toml:5:9: `web` is defined a second time",
            "heka.toml:7:14: output `a`: `queue`: unknown `kind` `dis`; did you mean `disk`",
            "heka.toml:8:8: `${env:HOME}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`",
            "heka.toml:10:1: chain `c`: unknown key `ticker`; known: matcher, message_type, filters, outputs",
            "heka.toml:11:12: chain `c`: no output `b`; known: a",
        ],
    );
}

#[test]
fn a_reference_that_failed_is_one_fault_only() {
    fault(
        "heka.batch_linger = '${env:LINGER}'",
        "heka.toml:1:21: `${env:LINGER}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`",
    );
}
