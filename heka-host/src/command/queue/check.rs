//! `heka-host queue check`: reads everything and says what is damaged.

use heka_queue::{Check, Inspection};
use std::path::PathBuf;

/// Read every block of a queue, and say what is damaged.
///
/// The status is 0 when nothing is, and 1 otherwise.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  heka-host queue check state/queues/archive || heka-host queue repair state/queues/archive"
)]
pub(super) struct Arguments {
    /// The queue's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Returns whether nothing is damaged.
pub(super) fn run(arguments: &Arguments) -> Result<bool, String> {
    let check = Inspection::open(&arguments.directory).and_then(|inspection| inspection.check());
    let check = check.map_err(|error| error.to_string())?;
    for line in lines(&check) {
        println!("{line}");
    }
    Ok(check.is_sound())
}

fn lines(check: &Check) -> Vec<String> {
    let damaged = check.places.iter().map(|(name, from, to)| {
        let bytes = to - from;
        format!("{name}: damaged: {bytes} bytes at {from}")
    });
    let lost = check.damages.lost.iter().map(|(first, last)| match first == last {
        true => format!("message {first} is lost"),
        false => format!("messages among {first} to {last} are lost"),
    });
    let mut lines: Vec<String> = damaged.chain(lost).collect();
    if check.damages.bytes_torn > 0 {
        lines.push(format!("{} bytes of an unfinished append at the end", check.damages.bytes_torn));
    }
    let places = match check.damages.blocks {
        0 => "nothing is damaged".to_owned(),
        1 => "1 place is damaged".to_owned(),
        places => format!("{places} places are damaged"),
    };
    let Check { segments, messages, bytes, .. } = check;
    let segment_word = if *segments == 1 { "segment" } else { "segments" };
    lines.push(format!("{segments} {segment_word}, {bytes} bytes, {messages} sound messages; {places}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_a_line() {
        let mut check = Check { segments: 2, messages: 10, bytes: 5000, ..Check::default() };
        assert_eq!(lines(&check), ["2 segments, 5000 bytes, 10 sound messages; nothing is damaged"]);
        check.places.push(("1.segment".to_owned(), 160, 400));
        check.damages.blocks = 1;
        check.damages.lost = vec![(3, 4), (7, 7)];
        check.damages.bytes_torn = 9;
        let expected = [
            "1.segment: damaged: 240 bytes at 160",
            "messages among 3 to 4 are lost",
            "message 7 is lost",
            "9 bytes of an unfinished append at the end",
            "2 segments, 5000 bytes, 10 sound messages; 1 place is damaged",
        ];
        assert_eq!(lines(&check), expected);
    }
}
