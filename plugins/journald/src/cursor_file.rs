//! Where the input goes on after a restart: the file `cursor` in its state directory.
//!
//! Three lines: `heka journald 1`, the input's stream id in hexadecimal, and the cursor of the last entry that is
//! acknowledged, empty before the first. It is written beside, synced, and renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const HEAD: &str = "heka journald 1";

/// The file.
pub struct CursorFile {
    path: PathBuf,
    /// Names the input's stream, for good.
    pub stream: u64,
    /// The last entry that is acknowledged.
    pub cursor: Option<String>,
}

impl CursorFile {
    /// Reads the file; makes it, with a new stream, if there is none.
    ///
    /// # Errors
    /// The file system's; also if the file is something else.
    pub fn load(directory: &Path) -> io::Result<CursorFile> {
        let path = directory.join("cursor");
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text)
                .map(|(stream, cursor)| CursorFile { path, stream, cursor })
                .ok_or_else(|| io::Error::other("it is not of this version; move it away to begin anew")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = CursorFile { path, stream: fastrand::u64(1..), cursor: None };
                file.save()?;
                Ok(file)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self) -> io::Result<()> {
        let written = self.path.with_extension("new");
        let mut file = File::create(&written)?;
        let cursor = self.cursor.as_deref().unwrap_or_default();
        file.write_all(format!("{HEAD}\n{:016x}\n{cursor}\n", self.stream).as_bytes())?;
        file.sync_all()?;
        fs::rename(&written, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn parse(text: &str) -> Option<(u64, Option<String>)> {
    let mut lines = text.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let stream = u64::from_str_radix(lines.next()?, 16).ok().filter(|stream| *stream > 0)?;
    let cursor = lines.next().filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    Some((stream, cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_and_the_stream_are_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = CursorFile::load(directory.path()).unwrap();
        assert_eq!(file.cursor, None);
        file.cursor = Some("s=1;i=2".to_owned());
        file.save().unwrap();
        let again = CursorFile::load(directory.path()).unwrap();
        assert_eq!((again.stream, again.cursor.as_deref()), (file.stream, Some("s=1;i=2")));
        fs::write(directory.path().join("cursor"), "text").unwrap();
        assert!(CursorFile::load(directory.path()).is_err());
    }
}
