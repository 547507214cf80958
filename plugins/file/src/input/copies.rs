//! Finds what a file held that was cut or compressed: in a copy beside it.

use super::fingerprint::{EDGE_BYTES, Fingerprint};
use super::gzip::{Gunzip, begins_with, is_gzip};
use super::patterns::here;
use super::position_text::Kept;
use crate::identity::Identity;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are looked into, newest first.
const COPIES_MAX: usize = 1000;

/// A file that holds what a stream's own file held.
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// The file, open.
    pub file: Arc<File>,
    /// What the system says of it.
    pub metadata: Metadata,
    /// The place in it, when it is compressed.
    pub gunzip: Option<Gunzip>,
}

/// Finds the copy of what a stream was read from, which goes on behind `position`; `tail` is what was before that.
///
/// Many files begin with the same line. Where no more than that proves that it is a copy, it must be `newer` than this
/// time (seconds since 1970).
pub fn find(
    kept: &Kept,
    position: u64,
    tail: Fingerprint,
    newer: i64,
    is_followed: impl Fn(Identity) -> bool,
) -> Option<Copy> {
    if kept.head.len == 0 {
        return None;
    }
    let mut found: Vec<(Metadata, PathBuf)> = Vec::new();
    for directory in directories(kept) {
        let entries = fs::read_dir(here(&directory)).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).filter(|path| is_sibling(kept, path));
        found.extend(paths.filter_map(|path| Some((fs::metadata(&path).ok()?, path))));
    }
    found.retain(|(metadata, _)| {
        let identity = Identity::of(metadata);
        let is_evident = kept.head.len >= EDGE_BYTES || metadata.mtime() >= newer;
        metadata.is_file() && is_evident && !is_followed(identity)
    });
    found.sort_by_key(|(metadata, _)| std::cmp::Reverse((metadata.mtime(), metadata.mtime_nsec())));
    found.into_iter().take(COPIES_MAX).find_map(|(metadata, path)| {
        let file = Arc::new(File::open(&path).ok()?);
        let gunzip = holds(kept, position, tail, &file, &metadata).ok()??;
        Some(Copy { path, file, metadata, gunzip })
    })
}

/// Tells whether a file holds what a stream was read from, and goes on behind `position`; where it is compressed, with
/// the place in it.
fn holds(
    kept: &Kept,
    position: u64,
    tail: Fingerprint,
    file: &Arc<File>,
    metadata: &Metadata,
) -> io::Result<Option<Option<Gunzip>>> {
    if is_gzip(file)? {
        let head = Gunzip::head(file)?;
        return Ok(holds_compressed(kept, position, tail, file, &head)?.map(Some));
    }
    let is_copy =
        metadata.len() > position && kept.head.is_head_of(file)? && tail.is_before(file, position)?;
    Ok(is_copy.then_some(None))
}

/// As [`find`], of one compressed file, whose content begins with `head`.
pub fn holds_compressed(
    kept: &Kept,
    position: u64,
    tail: Fingerprint,
    file: &Arc<File>,
    head: &[u8],
) -> io::Result<Option<Gunzip>> {
    if !begins_with(head, kept.head) {
        return Ok(None);
    }
    let mut gunzip = Gunzip::new(file);
    Ok(gunzip.skip_to(position, tail)?.then_some(gunzip))
}

/// Tells whether a path looks like that of a rotated file of a stream: beside it, with a name that begins as its does.
pub fn is_sibling(kept: &Kept, path: &Path) -> bool {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let canonical = fs::canonicalize(here(parent)).unwrap_or_else(|_| parent.to_owned());
    [&kept.path, &kept.target].into_iter().any(|of| {
        let is_beside = of.parent() == Some(parent) || of.parent() == Some(&canonical);
        is_beside && of.file_name().is_some_and(|of| name.as_bytes().starts_with(stem(of)))
    })
}

/// Returns the directories that a stream's file may be rotated in.
fn directories(kept: &Kept) -> HashSet<PathBuf> {
    let parents = [&kept.path, &kept.target].into_iter().filter_map(|path| path.parent());
    parents.map(Path::to_owned).collect()
}

/// Returns a name up to its first dot, or the whole.
fn stem(name: &OsStr) -> &[u8] {
    let name = name.as_bytes();
    let end = name.iter().skip(1).position(|&byte| byte == b'.').map_or(name.len(), |dot| dot + 1);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::super::position_text::State;
    use super::*;

    #[test]
    fn rotated_files_have_names_like_their_own() {
        let kept = |path: &str, target: &str| Kept {
            state: State::File,
            id: 1,
            identity: Identity::default(),
            position: 0,
            head: Fingerprint::EMPTY,
            tail: Fingerprint::EMPTY,
            seen: 0,
            path: path.into(),
            target: target.into(),
        };
        let check = |of: &str, path: &str, expected: bool| {
            assert_eq!(is_sibling(&kept(of, "/real/x.log"), Path::new(path)), expected, "{of} {path}");
        };
        check("/logs/app.log", "/logs/app.log.1", true);
        check("/logs/app.log", "/logs/app-20260101.log", true);
        check("/logs/app.log", "/logs/app.log.1.gz", true);
        check("/logs/app.log", "/other/app.log.1", false);
        check("/logs/app.log", "/logs/other.log", false);
        check("/logs/app.log", "/real/x.log.1", true);
        check("/logs/.app", "/logs/.app.1", true);
        check("app.log", "app.log.1", true);
    }
}
