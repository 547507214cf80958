//! Renames full files, `path.YYYYMMDDTHHMMSS.N`, and deletes the oldest of them.

use super::open_file::{Failure, Spot};
use heka_plugin_api::cause;
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Renames a file to the first free name of this time (UTC, in ns since 1970).
pub fn rotate(spot: &Spot, now: i64) -> Result<(), Failure> {
    let failed = |error: Errno| Failure::later("rotate", &spot.path, &cause(&error.into()));
    for number in 1.. {
        let name = rotated_name(&spot.name, now, number);
        match statat(spot.at(), &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => {}
            Err(Errno::NOENT) => return renameat(spot.at(), &spot.name, spot.at(), &name).map_err(failed),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Deletes all but the `keep` newest rotated files of a path.
pub fn prune(spot: &Spot, keep: usize) {
    if keep == 0 {
        return;
    }
    if let Err(error) = delete_oldest(spot, keep) {
        log::warn!(
            "failed to delete old files of `{}`: {}; trying again",
            spot.path.display(),
            cause(&error)
        );
    }
}

fn delete_oldest(spot: &Spot, keep: usize) -> io::Result<()> {
    let directory =
        spot.name.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    let directory: OwnedFd = openat(spot.at(), directory, flags, Mode::empty())?;
    let name = spot.name.file_name().unwrap_or_default();
    let mut rotated = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        if let Some(age) = age(entry.file_name().to_bytes(), name) {
            rotated.push((age, entry.file_name().to_owned()));
        }
    }
    rotated.sort();
    for (_, name) in rotated.iter().rev().skip(keep) {
        unlinkat(&directory, name, AtFlags::empty())?;
    }
    Ok(())
}

fn rotated_name(name: &Path, now: i64, number: u32) -> PathBuf {
    let time = Timestamp::from_nanosecond(now.into()).unwrap_or_default().to_zoned(TimeZone::UTC);
    let time = strtime::format("%Y%m%dT%H%M%S", &time).unwrap_or_default();
    let mut rotated = name.as_os_str().to_owned();
    rotated.push(format!(".{time}.{number}"));
    PathBuf::from(rotated)
}

/// Returns time and number of a rotated file of `name`; these order by age.
fn age(found: &[u8], name: &OsStr) -> Option<(String, u32)> {
    let suffix = found.strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
    let (time, number) = std::str::from_utf8(suffix).ok()?.split_once('.')?;
    let is_time = time.len() == 15
        && time
            .bytes()
            .enumerate()
            .all(|(index, byte)| if index == 8 { byte == b'T' } else { byte.is_ascii_digit() });
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    if is_time && is_number { Some((time.to_owned(), number.parse().ok()?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_told_from_others() {
        let check = |found: &str, expected: Option<(&str, u32)>| {
            let expected = expected.map(|(time, number)| (time.to_owned(), number));
            assert_eq!(age(found.as_bytes(), OsStr::new("a.log")), expected, "{found}");
        };
        check("a.log.20260102T030405.12", Some(("20260102T030405", 12)));
        let name = rotated_name(Path::new("a.log"), 1_700_000_000_000_000_000, 3);
        check(name.to_str().unwrap(), Some(("20231114T221320", 3)));
        for other in
            ["a.log", "a.log.1", "a.log.20260102T030405", "a.log.20260102T030405.", "b.log.20260102T030405.1"]
        {
            check(other, None);
        }
        check("a.log.20260102T030405.1.gz", None);
        check("a.log.2026010230405xx.1", None);
    }
}
