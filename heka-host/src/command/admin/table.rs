//! Answers as tables for people.

use serde_json::Value;
use std::fmt::Write;

/// Columns between two fields.
const GAP: &str = "  ";

/// Writes what stages have counted: a table for each kind, without the columns that are 0 everywhere.
pub(super) fn stats(answer: &Value) -> String {
    let mut text = String::new();
    let number = |key: &str| answer[key].as_f64().unwrap_or_default();
    // Writing into a string succeeds.
    let _ = writeln!(
        text,
        "heka-host {}, pid {}, up {:.0} s{}",
        answer["version"].as_str().unwrap_or_default(),
        answer["pid"],
        number("uptime_seconds"),
        if answer["is_stopping"] == true { ", stopping" } else { "" }
    );
    for (title, key) in [("input", "inputs"), ("chain", "chains"), ("output", "outputs")] {
        let rows = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
        text.push_str(&counts(title, rows, &answer["accounting"]));
    }
    if answer["injection"]["injected"] != 0 || answer["injection"]["dead_lettered"] != 0 {
        text.push_str(&counts("injection", &[answer["injection"].clone()], &Value::Null));
    }
    let verdict = if answer["accounting"]["balances"] == true { "balances" } else { "does not balance" };
    let _ = writeln!(text, "\naccounting {verdict}");
    text
}

/// Writes how instances are doing.
pub(super) fn health(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows = vec![["kind", "instance", "state", "seconds", "why"].map(str::to_owned).to_vec()];
    for instance in answer["instances"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let name = match instance["of"].as_str() {
            Some(of) => format!("{} ({of})", text(&instance["name"])),
            None => text(&instance["name"]),
        };
        let seconds = format!("{:.0}", instance["seconds"].as_f64().unwrap_or_default());
        rows.push(vec![
            text(&instance["kind"]),
            name,
            text(&instance["state"]),
            seconds,
            text(&instance["reason"]),
        ]);
    }
    format!("{}\n{}", text(&answer["status"]), aligned(&rows, 3))
}

/// A table of the counts of one kind of stage.
fn counts(title: &str, stages: &[Value], accounting: &Value) -> String {
    if stages.is_empty() {
        return String::new();
    }
    let count = |stage: &Value, key: &str| stage[key].as_u64().unwrap_or_default();
    let Some(first) = stages[0].as_object() else { return String::new() };
    let is_shown = |key: &&String| stages.iter().any(|stage| count(stage, key) > 0);
    let keys: Vec<&String> = first.keys().filter(|key| first[*key].is_u64()).filter(is_shown).collect();
    let mut heads = vec![title.to_owned()];
    heads.extend(keys.iter().map(|key| key.replace('_', " ")));
    let inside = under_way(title, stages, accounting);
    heads.extend(inside.iter().map(|(what, _)| what.clone()));
    let mut rows = vec![heads];
    for (index, stage) in stages.iter().enumerate() {
        let mut row = vec![stage["name"].as_str().unwrap_or_default().to_owned()];
        row.extend(keys.iter().map(|key| count(stage, key).to_string()));
        row.extend(inside.iter().map(|(_, counts)| counts[index].to_string()));
        rows.push(row);
    }
    format!("\n{}", aligned(&rows, 1))
}

/// What is under way now, which is the last term of each stage's equation: its name, and the counts of all stages.
fn under_way(kind: &str, stages: &[Value], accounting: &Value) -> Option<(String, Vec<u64>)> {
    let equations = accounting["equations"].as_array()?;
    let last = |stage: &Value| {
        let found =
            equations.iter().find(|equation| equation["kind"] == kind && equation["name"] == stage["name"]);
        found.and_then(|equation| equation["became"].as_array()?.last())
    };
    let terms: Vec<&Value> = stages.iter().filter_map(last).collect();
    let what = terms.first()?["what"].as_str()?.to_owned();
    let counts: Vec<u64> = terms.iter().map(|term| term["count"].as_u64().unwrap_or_default()).collect();
    (counts.len() == stages.len()).then_some((what, counts))
}

/// Aligns columns: the first `left` ones to the left, like the last of a row that has text, the others to the right.
fn aligned(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let is_text = column < left || (left > 1 && column + 1 == columns);
            let (gap, width) = (if column == 0 { "" } else { GAP }, widths[column]);
            // Writing into a string succeeds.
            let _ = match is_text {
                true => write!(line, "{gap}{cell:<width$}"),
                false => write!(line, "{gap}{cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stats_are_tables_of_what_is_not_zero() {
        let answer = json!({
            "version": "0.1.0", "pid": 7, "uptime_seconds": 12.4, "is_stopping": false,
            "inputs": [{"name": "web", "messages": 1200, "undecoded": 0}, {"name": "b", "messages": 3, "undecoded": 0}],
            "chains": [],
            "outputs": [{"name": "all", "marked": 1203, "delivered": 1200, "dropped": 0}],
            "injection": {"name": "", "injected": 0, "dead_lettered": 0},
            "accounting": {"balances": true, "equations": [{
                "kind": "output", "name": "all", "came": [],
                "became": [{"what": "delivered", "count": 1200}, {"what": "queued", "count": 3}],
            }]},
        });
        let expected = "heka-host 0.1.0, pid 7, up 12 s\n\n\
            input  messages\nweb        1200\nb             3\n\n\
            output  marked  delivered  queued\nall       1203       1200       3\n\naccounting balances\n";
        let shown = stats(&answer);
        assert_eq!(shown, expected);
    }

    #[test]
    fn health_is_a_table_with_reasons() {
        let answer = json!({"status": "degraded", "instances": [
            {"kind": "input", "name": "web", "of": null, "state": "ok", "reason": null, "seconds": 3.2},
            {"kind": "output", "name": "peer", "of": null, "state": "retrying", "reason": "refused", "seconds": 61.0},
        ]});
        let expected = "degraded\nkind    instance  state     seconds  why\ninput   web       ok              3\n\
                        output  peer      retrying       61  refused\n";
        assert_eq!(health(&answer), expected);
    }
}
