//! Another instance takes over: it goes on with the files and streams that are open.

use super::*;

/// Replaces an instance by one with other options, and goes on with its streams.
fn replace(case: &Case, old: InputTest<FileInput>, options: &str) -> InputTest<FileInput> {
    let (mut old, mut new) = (old, case.opened(options));
    new.start_after(&mut old).unwrap();
    new
}

fn read_on(input: &mut InputTest<FileInput>, streams: Vec<TestStream>, expected: &str) -> Vec<TestStream> {
    let found = input.read_on_until(streams, |streams, _, _| shown(streams) == expected);
    found.unwrap_or_else(|error| panic!("expected {expected:?}: {error}")).0
}

#[test]
fn a_successor_goes_on_in_the_same_streams_without_reading_again() {
    for way in WAYS {
        let case = Case::new();
        case.append("a.log", "one\npart");
        case.append("gone.log", "x\n");
        let mut input = case.open(way);
        let streams = case.steps(&mut input, &[("a.log=one|part gone.log=x|", &nothing)]);
        let mut old = File::options().append(true).open(case.path("gone.log")).unwrap();
        fs::remove_file(case.path("gone.log")).unwrap();
        old.write_all(b"y\n").unwrap();
        let mut input = replace(&case, input, &format!("{way}\nread_bytes = '64 KiB'\nfrom = 'end'"));
        let streams = read_on(&mut input, streams, "a.log=one|part gone.log=x|y|");
        case.append("a.log", "ial\n");
        let streams = read_on(&mut input, streams, "a.log=one|partial| gone.log=x|y|");
        case.append("b.log", "new\n");
        read_on(&mut input, streams, "a.log=one|partial| b.log=new| gone.log=x|y|");
    }
}

#[test]
fn a_successor_leaves_what_it_does_not_name_and_finds_what_it_names_anew() {
    let case = Case::new();
    case.append("a.log", "one\n");
    case.append("b.txt", "two\n");
    let mut input = case.open("");
    let streams = case.steps(&mut input, &[("a.log=one|", &nothing)]);
    let mut input = replace(&case, input, "paths = ['DIR/logs/*.txt']");
    let streams = read_on(&mut input, streams, "a.log=one|! b.txt=two|");
    case.append("a.log", "three\n");
    let mut input = replace(&case, input, "paths = ['DIR/logs/*.log']");
    let streams = read_on(&mut input, streams, "a.log=one|! a.log=three| b.txt=two|!");
    let [first, _, again] = &streams[..] else { panic!("{streams:?}") };
    assert_eq!((again.id, again.start), (first.id, 4));
}

#[test]
fn a_successor_of_one_that_has_ended_goes_on_where_it_was() {
    let case = Case::new();
    case.append("a.log", "one\npart");
    let mut input = case.open("");
    let streams = case.steps(&mut input, &[("a.log=one|part", &nothing)]);
    input.host().stop();
    input.read_on_until(streams, |_, _, read| read == Read::End).unwrap();
    case.append("a.log", "ial\n");
    let mut input = replace(&case, input, "");
    let (streams, _) = input.read_until(|streams, _, _| shown(streams) == "a.log=partial|").unwrap();
    assert_eq!(streams[0].start, 4);
}
