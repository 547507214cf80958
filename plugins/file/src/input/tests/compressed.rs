//! Files compressed by gzip: read once, and not again when they were read before they were compressed.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::time::SystemTime;

const ALL: &str = "paths = ['DIR/logs/a.log*']\nrotated_wait = '20 ms'\nrescan_interval = '50 ms'";

impl Case {
    /// Writes a compressed file, as if some time ago.
    fn write_gzip(&self, name: &str, content: &str) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content.as_bytes()).unwrap();
        let new = self.directory.path().join("new.gz");
        fs::write(&new, encoder.finish().unwrap()).unwrap();
        let then = SystemTime::now() - Duration::from_secs(60);
        File::options().append(true).open(&new).unwrap().set_modified(then).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// Compresses a file as gzip does.
    fn gzip(&self, name: &str) {
        let content = fs::read_to_string(self.path(name)).unwrap();
        self.write_gzip(&format!("{name}.gz"), &content);
        fs::remove_file(self.path(name)).unwrap();
    }
}

#[test]
fn a_compressed_file_is_read_once() {
    let case = Case::new();
    let long: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
    case.write_gzip("a.log.1.gz", &long);
    case.write_gzip("a.log.2.gz", "two\nlast");
    let mut input = case.open(ALL);
    let found =
        input.read_until(|streams, _, _| streams.iter().filter(|s| s.closed == Some(true)).count() == 2);
    let (streams, _) = found.unwrap();
    let mut contents: Vec<_> = streams.iter().map(|stream| stream.bytes.clone()).collect();
    contents.sort_by_key(Vec::len);
    assert!(contents[0] == b"two\nlast" && contents[1] == long.as_bytes());
    drop(input);
    // Neither the next run nor the one after it reads them again; a new one is read.
    for run in 0..2 {
        let name = format!("a.log.{}.gz", 3 + run);
        case.write_gzip(&name, "new\n");
        let streams = case.run(ALL, &[(&format!("{name}=new|."), &nothing)]);
        assert_eq!(streams.len(), 1);
    }
}

#[test]
fn from_the_end_compressed_files_that_are_there_are_left_out() {
    let case = Case::new();
    case.write_gzip("a.log.1.gz", "old\n");
    let mut input = case.open(&format!("from = 'end'\n{ALL}"));
    input.read_until(|_, _, _| true).unwrap();
    case.write_gzip("a.log.2.gz", "new\n");
    case.steps(&mut input, &[("a.log.2.gz=new|.", &nothing)]);
}

#[test]
fn a_file_that_was_read_is_not_read_again_when_it_is_compressed() {
    let case = Case::new();
    case.append("a.log", "one\ntwo\n");
    let steps: [Step<'_>; 4] = [
        ("a.log=one|two|", &|| {
            case.rename("a.log", "a.log.1");
            case.append("a.log", "three\n");
        }),
        ("a.log=one|two| a.log=three|", &|| case.gzip("a.log.1")),
        ("a.log=one|two|. a.log=three|", &|| {
            case.append("a.log", "four\n");
            case.write_gzip("a.log.2.gz", "unknown\n");
        }),
        ("a.log=one|two|. a.log=three|four| a.log.2.gz=unknown|.", &nothing),
    ];
    case.run(ALL, &steps);
    // Nor after a restart.
    case.append("a.log", "five\n");
    case.run(ALL, &[("a.log=five|", &nothing)]);
}

#[test]
fn the_rest_of_a_file_that_was_compressed_meanwhile_is_read_in_its_stream() {
    for options in ["", ALL] {
        let case = Case::new();
        case.append("a.log", "one\ntwo\npart");
        let before = case.run(options, &[("a.log=one|two|part", &nothing)]);
        case.append("a.log", "ial\nmore\n");
        case.rename("a.log", "a.log.1");
        case.gzip("a.log.1");
        case.append("a.log", "new\n");
        let after = case.run(options, &[("a.log=partial|more|. a.log=new|", &nothing)]);
        assert_eq!((after[0].id, after[0].start), (before[0].id, 8));
    }
}

#[test]
fn an_interrupted_compressed_file_is_read_on() {
    let case = Case::new();
    let long: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    case.write_gzip("a.log.1.gz", &long);
    let mut input = case.open("paths = ['DIR/logs/*']\nread_bytes = '64 KiB'");
    let (before, _) =
        input.read_until(|streams, _, _| !streams.is_empty() && streams[0].bytes.len() > 100_000).unwrap();
    input.host().stop();
    input.read_on_until(before.clone(), |_, _, read| read == Read::End).unwrap();
    drop(input);
    let (after, _) = case
        .open("paths = ['DIR/logs/*']")
        .read_until(|streams, _, _| streams.first().is_some_and(|stream| stream.closed.is_some()))
        .unwrap();
    assert_eq!(after[0].id, before[0].id);
    assert!(after[0].start > 0 && after[0].start <= before[0].bytes.len() as u64);
    assert!(after[0].bytes == long.as_bytes()[after[0].start as usize..]);
}

#[test]
fn a_damaged_compressed_file_does_not_stop_the_others() {
    let case = Case::new();
    fs::write(case.path("a.log.1.gz"), b"\x1f\x8b\x08\0garbage").unwrap();
    case.append("a.log", "one\n");
    case.run(ALL, &[("a.log=one|", &|| case.append("a.log", "two\n")), ("a.log=one|two|", &nothing)]);
}
