//! Where silence ended a group of lines, in streams that can be read again: read again, they are to be cut there too.
//!
//! A message's UUID, and whether a durable queue takes it for a duplicate, depend on where its frame begins. Were a group
//! that was handed on after its timeout to be longer when it is read again, the lines that came later would be lost as
//! part of a duplicate. So each such cut is on the disk before the group is handed on, and stays there until the input
//! had time enough to keep a position behind it.
//!
//! The file, `inputs/NAME/cuts`, is text: a line `heka cuts 1`, then a line for each cut with three numbers in hexadecimal
//! of 16 digits: the stream's id, the position, and both combined with XOR, the position turned left by 32 bits. Cuts are
//! appended and synced; a last line that is torn is left out. When most lines are not needed any more, the file is written
//! anew beside it, synced and renamed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HEAD: &str = "heka cuts 1\n";
/// After everything before a cut is acknowledged, the input has so long to keep a position behind it.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The file is written anew when it has more lines than these, and twice as many as are needed.
const LINES_MIN: usize = 256;

/// The cuts of an input's streams.
pub(super) struct Cuts {
    path: PathBuf,
    streams: HashMap<u64, Vec<Cut>>,
    file: Option<File>,
    lines: usize,
}

#[derive(Clone, Copy)]
struct Cut {
    position: u64,
    /// Since when everything before it is acknowledged.
    acknowledged: Option<Instant>,
}

impl Cuts {
    /// Reads the cuts of an earlier life, if there are any; what can't be read is told and left out.
    pub(super) fn load(directory: &Path) -> Cuts {
        let path = directory.join("cuts");
        let mut cuts = Cuts { path, streams: HashMap::new(), file: None, lines: 0 };
        match fs::read_to_string(&cuts.path) {
            Ok(text) => cuts.read(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("failed to read `{}`: {error}", cuts.path.display()),
        }
        cuts
    }

    fn read(&mut self, text: &str) {
        let Some(lines) = text.strip_prefix(HEAD) else {
            log::warn!("`{}`: is not of this version; left out", self.path.display());
            return;
        };
        for (stream, position) in lines.split_inclusive('\n').filter_map(cut_of) {
            let positions = self.streams.entry(stream).or_default();
            if positions.last().is_none_or(|last| last.position < position) {
                positions.push(Cut { position, acknowledged: None });
            }
        }
    }

    /// Returns the cuts of a stream behind `position`, where its input reads on: those before are never needed again.
    pub(super) fn behind(&mut self, stream: u64, position: u64) -> impl Iterator<Item = u64> + '_ {
        let cuts = self.streams.get_mut(&stream);
        let behind = cuts.map(|cuts| {
            cuts.retain(|cut| cut.position > position);
            cuts.iter().map(|cut| cut.position)
        });
        behind.into_iter().flatten()
    }

    /// Adds cuts, of streams each at most once; they are on the disk when this returns.
    ///
    /// # Errors
    /// Those of the file system; then none is added.
    pub(super) fn add(&mut self, cuts: &[(u64, u64)]) -> io::Result<()> {
        self.forget_old();
        let needed: usize = self.streams.values().map(Vec::len).sum();
        if self.file.is_none() || self.lines > LINES_MIN.max(2 * (needed + cuts.len())) {
            self.rewrite()?;
        }
        let text: String = cuts.iter().map(|&(stream, position)| line_of(stream, position)).collect();
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
            // What is half there is left out by writing all anew.
            self.file = None;
            return Err(error);
        }
        self.lines += cuts.len();
        for &(stream, position) in cuts {
            self.streams.entry(stream).or_default().push(Cut { position, acknowledged: None });
        }
        Ok(())
    }

    /// Notes that everything of a stream before `position` is acknowledged.
    pub(super) fn acknowledged(&mut self, stream: u64, position: u64) {
        let Some(cuts) = self.streams.get_mut(&stream) else { return };
        let now = Instant::now();
        for cut in cuts.iter_mut().filter(|cut| cut.position <= position) {
            cut.acknowledged.get_or_insert(now);
        }
    }

    fn forget_old(&mut self) {
        self.streams.retain(|_, cuts| {
            cuts.retain(|cut| cut.acknowledged.is_none_or(|since| since.elapsed() < KEPT_FOR));
            !cuts.is_empty()
        });
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let written = self.path.with_extension("new");
        let all =
            self.streams.iter().flat_map(|(stream, cuts)| cuts.iter().map(|cut| (*stream, cut.position)));
        let lines: Vec<String> = all.map(|(stream, position)| line_of(stream, position)).collect();
        let mut file = File::create(&written)?;
        file.write_all(HEAD.as_bytes())?;
        file.write_all(lines.concat().as_bytes())?;
        file.sync_all()?;
        fs::rename(&written, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        self.lines = lines.len();
        Ok(())
    }
}

fn line_of(stream: u64, position: u64) -> String {
    format!("{stream:016x} {position:016x} {:016x}\n", stream ^ position.rotate_left(32))
}

fn cut_of(line: &str) -> Option<(u64, u64)> {
    let mut numbers = line.strip_suffix('\n')?.split(' ').map(|word| u64::from_str_radix(word, 16).ok());
    let (stream, position, sum) = (numbers.next()??, numbers.next()??, numbers.next()??);
    (sum == stream ^ position.rotate_left(32)).then_some((stream, position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(cuts: &mut Cuts, stream: u64, position: u64) -> Vec<u64> {
        cuts.behind(stream, position).collect()
    }

    #[test]
    fn cuts_are_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut cuts = Cuts::load(directory.path());
        cuts.add(&[(7, 10), (8, 3)]).unwrap();
        cuts.add(&[(7, 20)]).unwrap();
        let mut torn = fs::read(directory.path().join("cuts")).unwrap();
        torn.extend_from_slice(b"0000000000000007 00000000000000");
        fs::write(directory.path().join("cuts"), torn).unwrap();
        let mut cuts = Cuts::load(directory.path());
        assert_eq!((behind(&mut cuts, 7, 0), behind(&mut cuts, 8, 0)), (vec![10, 20], vec![3]));
        assert_eq!((behind(&mut cuts, 7, 10), behind(&mut cuts, 9, 0)), (vec![20], vec![]));
        cuts.add(&[(7, 30)]).unwrap();
        assert_eq!(behind(&mut Cuts::load(directory.path()), 7, 0), [20, 30]);
    }

    #[test]
    fn what_is_not_needed_any_more_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut cuts = Cuts::load(directory.path());
        for position in 1..=2_000 {
            cuts.add(&[(7, position)]).unwrap();
            cuts.acknowledged(7, position);
            if let Some(old) = Instant::now().checked_sub(KEPT_FOR) {
                cuts.streams.values_mut().flatten().for_each(|cut| cut.acknowledged = Some(old));
            }
        }
        let len = fs::metadata(directory.path().join("cuts")).unwrap().len();
        assert!(len < 64 * LINES_MIN as u64, "{len}");
        assert_eq!(behind(&mut Cuts::load(directory.path()), 7, 1_999), [2_000]);
    }

    #[test]
    fn a_file_that_cannot_be_written_adds_nothing() {
        let mut cuts = Cuts::load(Path::new("/proc/none"));
        assert!(cuts.add(&[(1, 2)]).is_err());
        assert_eq!(behind(&mut cuts, 1, 0), []);
    }
}
