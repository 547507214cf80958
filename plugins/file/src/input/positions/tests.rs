//! What is known of a file that is found again.

use super::*;
use std::io::Write;

struct Case {
    directory: tempfile::TempDir,
    complaints: Complaints,
}

impl Case {
    fn new() -> Case {
        Case { directory: tempfile::tempdir().unwrap(), complaints: Complaints::new("test") }
    }

    fn load(&mut self) -> Positions {
        Positions::load(self.directory.path(), &mut self.complaints)
    }

    fn file(&self, content: &str) -> (PathBuf, Arc<File>, Identity) {
        let path = self.directory.path().join("log");
        if let Ok(mut file) = File::options().write(true).truncate(true).open(&path) {
            file.write_all(content.as_bytes()).unwrap();
        } else {
            fs::write(&path, content).unwrap();
        }
        let file = File::open(&path).unwrap();
        let identity = Identity::of(&file.metadata().unwrap());
        (path, Arc::new(file), identity)
    }
}

/// Begins a stream in a file with `before`, acknowledges `position` bytes, and finds the file with `after`.
fn resumed(before: &str, position: u64, after: &str) -> (u64, Resume) {
    let mut case = Case::new();
    let (path, file, identity) = case.file(before);
    let mut positions = case.load();
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    positions.acknowledge(id, position);
    positions.save(&mut case.complaints);
    let (path, file, same) = case.file(after);
    assert_eq!(identity, same);
    (id, case.load().resume(identity, &file, &path).unwrap())
}

#[test]
fn a_file_is_resumed_where_it_was_acknowledged_unless_it_was_rewritten() {
    let long = "line\n".repeat(1000);
    let check = |before: &str, position: u64, after: &str, is_same: bool| {
        let (id, resume) = resumed(before, position, after);
        let expected = if is_same { Resume::At { id, position } } else { Resume::Replaced { id } };
        assert_eq!(resume, expected, "{before:?} at {position}, then {after:?}");
    };
    check("one\ntwo\n", 4, "one\ntwo\n", true);
    check("one\ntwo\n", 8, "one\ntwo\nthree\n", true);
    check("", 0, "one\n", true);
    check("one\ntwo\n", 8, "one\n", false);
    check("one\ntwo\n", 8, "one\nTwo\n", false);
    check("one\ntwo\n", 8, "xxx\nyyy\nthree\n", false);
    check("one\ntwo\n", 0, "xxx\n", false);
    check(&long, 5000, &long, true);
    check(&long, 5000, &long.replacen("line", "LINE", 1), false);
    check(&long, 5000, &format!("{}{}", "line\n".repeat(900), "LINE\n".repeat(200)), false);
}

#[test]
fn an_ended_stream_is_done_when_all_of_it_is_acknowledged_and_not_read_again() {
    let mut case = Case::new();
    let (path, file, identity) = case.file("one\ntwo\n");
    let mut positions = case.load();
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    positions.end(id, 8, Some(&file));
    positions.acknowledge(id, 4);
    positions.save(&mut case.complaints);
    assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::At { id, position: 4 });
    positions.acknowledge(id, 8);
    positions.save(&mut case.complaints);
    let mut loaded = case.load();
    assert_eq!(loaded.kept(id).unwrap().state, State::Done);
    assert_eq!(loaded.resume(identity, &file, &path).unwrap(), Resume::At { id, position: 8 });
    let mut loaded = case.load();
    loaded.forget_done(|_| false);
    assert_eq!(loaded.resume(identity, &file, &path).unwrap(), Resume::Unknown);
}

#[test]
fn what_is_acknowledged_after_a_stop_is_saved() {
    let mut case = Case::new();
    let (path, file, identity) = case.file("one\ntwo\n");
    let mut positions = case.load();
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    fs::rename(&path, path.with_extension("1")).unwrap();
    positions.pause(id, 8, Some(file));
    positions.acknowledge(id, 8);
    positions.save(&mut case.complaints);
    let file = Arc::new(File::open(path.with_extension("1")).unwrap());
    assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::At { id, position: 8 });
}

#[test]
fn garbage_is_moved_aside() {
    let mut case = Case::new();
    fs::write(case.directory.path().join("positions"), "garbage").unwrap();
    let (path, file, identity) = case.file("one\n");
    assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::Unknown);
    assert_eq!(fs::read(case.directory.path().join("positions.bad")).unwrap(), b"garbage");
    assert!(!case.directory.path().join("positions").exists());
}

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    let mut case = Case::new();
    let (path, file, identity) = case.file("one\ntwo\n");
    let mut old = case.load();
    let id = old.begin(identity, &file, &path, 0).unwrap();
    old.pause(id, 8, None);
    let mut new = case.load();
    new.take_over(&mut old, &mut case.complaints);
    new.miss_all();
    assert_eq!(new.resume(identity, &file, &path).unwrap(), Resume::At { id, position: 8 });
}

#[test]
fn a_small_file_is_handed_on_only_as_far_as_its_durable_head_covers_it() {
    let mut case = Case::new();
    let (path, file, identity) = case.file("");
    let mut positions = case.load();
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    assert_eq!(positions.covered(id), 0);
    let mut check = |content: &str, before: u64, after: u64| {
        let (_, file, _) = case.file(content);
        positions.cover(id, &file).unwrap();
        assert_eq!(positions.covered(id), before, "{} bytes, not saved", content.len());
        positions.save(&mut case.complaints);
        assert_eq!(positions.covered(id), after, "{} bytes, saved", content.len());
    };
    check("one\n", 0, 4);
    check("one\ntwo\n", 4, 8);
    check(&"line\n".repeat(1000), 8, u64::MAX);
    check(&"line\n".repeat(1001), u64::MAX, u64::MAX);
}

#[test]
fn a_file_with_the_same_first_lines_as_those_handed_on_is_not_taken_for_the_same() {
    // Read and handed on, but not acknowledged, when the process was killed; then the inode was used again.
    let mut case = Case::new();
    let (path, file, identity) = case.file("same\n");
    let mut positions = case.load();
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    positions.save(&mut case.complaints);
    let (_, file, _) = case.file("same\nfirst\n");
    positions.cover(id, &file).unwrap();
    positions.save(&mut case.complaints);
    let (path, file, _) = case.file("same\nother\n");
    assert_eq!(case.load().resume(identity, &file, &path).unwrap(), Resume::Replaced { id });
}

#[test]
fn where_nothing_can_be_saved_reading_goes_on() {
    let mut case = Case::new();
    let (path, file, identity) = case.file("one\n");
    let mut positions = Positions::load(&case.directory.path().join("none"), &mut case.complaints);
    let id = positions.begin(identity, &file, &path, 0).unwrap();
    positions.save(&mut case.complaints);
    assert_eq!(positions.covered(id), 4);
    assert!(positions.save_at().is_some(), "it is tried again");
}
