//! `heka-host queue status`: how a queue stands.

use heka_object::Clock;
use heka_plugin_api::units::format_bytes;
use heka_queue::{Inspection, Status};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;

/// Say how a queue stands: what waits, how far it is done, and who has it in use.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  heka-host queue status state/queues/archive")]
pub(super) struct Arguments {
    /// The queue's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let status = Inspection::open(&arguments.directory).and_then(|inspection| inspection.status());
    let status = status.map_err(|error| error.to_string())?;
    let text = if arguments.json { json_text(&status) } else { text(&status) };
    println!("{}", text.trim_end());
    Ok(true)
}

fn id_text(id: [u8; 16]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn time_text(timestamp: i64) -> String {
    String::from_utf8_lossy(&Clock::default().text(timestamp)[..]).into_owned()
}

fn text(status: &Status) -> String {
    let mut lines = vec![("directory", status.path.display().to_string())];
    lines.push(("id", status.id.map_or("unknown: damaged".to_owned(), id_text)));
    let version =
        if status.version == 0 { "unknown: damaged".to_owned() } else { status.version.to_string() };
    lines.push(("version", version));
    lines.push(("in use", status.holder.map_or("no".to_owned(), |pid| format!("by process {pid}"))));
    lines.push(("messages", status.messages.to_string()));
    let segments = if status.segments == 1 { "segment" } else { "segments" };
    let bytes = format_bytes(status.bytes);
    lines.push(("bytes", format!("{bytes} in {} {segments}", status.segments)));
    if let Some((first, last)) = status.sequences {
        lines.push(("numbers", format!("{first} to {last}")));
    }
    if let Some((oldest, newest)) = status.timestamps {
        lines.push(("times", format!("{} to {}", time_text(oldest), time_text(newest))));
    }
    lines.push(("position", position_text(status)));
    let (files, bytes) = status.quarantine;
    let pieces = if files == 1 { "piece" } else { "pieces" };
    let quarantine = if files == 0 { "empty".to_owned() } else { format!("{files} {pieces}, {bytes} bytes") };
    lines.push(("quarantine", quarantine));
    lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}

fn position_text(status: &Status) -> String {
    let (Some(below), Some(next), Some(is_clean)) = (status.below, status.next, status.is_clean) else {
        return "none: everything in the segments waits".to_owned();
    };
    let end = match (status.holder, is_clean) {
        (Some(_), _) => "",
        (None, true) => "; closed properly",
        (None, false) => "; not closed properly",
    };
    format!("all below {below} is done; next number {next}{end}")
}

fn json_text(status: &Status) -> String {
    let (first, last) = status.sequences.unzip();
    let (oldest, newest) =
        status.timestamps.map(|(oldest, newest)| (time_text(oldest), time_text(newest))).unzip();
    let (files, bytes) = status.quarantine;
    json!({
        "directory": status.path.display().to_string(),
        "id": status.id.map(id_text),
        "version": status.version,
        "process": status.holder,
        "messages": status.messages,
        "bytes": status.bytes,
        "segments": status.segments,
        "first_number": first,
        "last_number": last,
        "oldest": oldest,
        "newest": newest,
        "done_below": status.below,
        "next_number": status.next,
        "closed_properly": status.is_clean,
        "quarantine": { "files": files, "bytes": bytes },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_table_and_an_object() {
        let status = Status {
            path: PathBuf::from("q"),
            id: Some([0xab; 16]),
            version: 1,
            messages: 3,
            bytes: 2048,
            segments: 1,
            sequences: Some((5, 9)),
            timestamps: Some((0, 1_000_000_000)),
            below: Some(5),
            next: Some(10),
            is_clean: Some(false),
            quarantine: (1, 64),
            ..Status::default()
        };
        let expected = "\
directory   q
id          abababababababababababababababab
version     1
in use      no
messages    3
bytes       2 KiB in 1 segment
numbers     5 to 9
times       1970-01-01T00:00:00.000000000Z to 1970-01-01T00:00:01.000000000Z
position    all below 5 is done; next number 10; not closed properly
quarantine  1 piece, 64 bytes
";
        assert_eq!(text(&status), expected);
        let object: serde_json::Value = serde_json::from_str(&json_text(&status)).unwrap();
        assert_eq!((object["messages"].as_u64(), object["last_number"].as_u64()), (Some(3), Some(9)));
        assert_eq!(object["process"], serde_json::Value::Null);
    }

    #[test]
    fn what_is_unknown_is_said_to_be() {
        let shown = text(&Status::default());
        assert!(shown.contains("id          unknown: damaged\n"), "{shown}");
        assert!(shown.contains("position    none: everything in the segments waits\n"), "{shown}");
    }
}
