//! Who may write a plugin file: its code runs with all that the host may do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use heka_plugin_api::cause;

const STICKY: u32 = 0o1000;

/// Owner and mode of a file or directory.
#[derive(Clone, Copy, Debug)]
struct Access {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Access {
    fn of(metadata: &fs::Metadata) -> Self {
        Access { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

/// Checks that nobody but root, ourselves and `owners` may change a file, or put another one in its place.
///
/// `opened` describes the open descriptor, so that what is checked is what is read. All directories above the
/// file's real place are checked too; in a sticky one, such as `/tmp`, others can't replace what is not theirs.
pub(super) fn check(path: &Path, opened: &fs::Metadata, owners: &[u32]) -> Result<(), String> {
    let users = Users::read();
    let judge = Judge { own: rustix::process::geteuid().as_raw(), owners, users: &users };
    judge.check("it", Access::of(opened))?;
    let real = path.canonicalize().map_err(|error| format!("failed to resolve: {}", cause(&error)))?;
    let found = real.metadata().map_err(|error| format!("failed to resolve: {}", cause(&error)))?;
    if (found.dev(), found.ino()) != (opened.dev(), opened.ino()) {
        return Err("it was replaced while it was opened; try again".to_owned());
    }
    for directory in real.ancestors().skip(1) {
        let shown = format!("its directory `{}`", directory.display());
        let metadata = directory.metadata().map_err(|error| format!("{shown}: {}", cause(&error)))?;
        judge.check(&shown, Access::of(&metadata))?;
    }
    Ok(())
}

/// Decides whether somebody whom we don't trust may write something.
struct Judge<'a> {
    own: u32,
    owners: &'a [u32],
    users: &'a Users,
}

impl Judge<'_> {
    fn check(&self, what: &str, Access { uid, gid, mode }: Access) -> Result<(), String> {
        let sticky_directory = what != "it" && mode & STICKY != 0;
        if uid != 0 && uid != self.own && !self.owners.contains(&uid) {
            return Err(format!(
                "refused: {what} belongs to user {uid}, not to root or user {}; chown it, or name that user in \
                 `plugin_owners`",
                self.own
            ));
        }
        if mode & 0o002 != 0 && !sticky_directory {
            return Err(format!("refused: anyone may write {what} (mode {mode:04o}); chmod o-w it"));
        }
        if mode & 0o020 != 0 && !sticky_directory && !self.users.is_own_group(uid, gid) {
            return Err(format!("refused: group {gid} may write {what} (mode {mode:04o}); chmod g-w it"));
        }
        Ok(())
    }
}

/// The users of this machine.
struct Users(String);

impl Users {
    /// Reads `/etc/passwd`: other sources of users would have to be asked by code that we don't control.
    fn read() -> Self {
        Users(fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    /// Name, number and primary group of each.
    fn all(&self) -> impl Iterator<Item = (&str, u32, u32)> {
        self.0.lines().filter_map(|line| {
            let mut parts = line.split(':');
            let (name, _password) = (parts.next()?, parts.next()?);
            Some((name, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
    }

    /// Tells whether a group is a user's own: its primary one, or of the same number if the user is unknown.
    fn is_own_group(&self, uid: u32, gid: u32) -> bool {
        let primary = self.all().find(|(_, user, _)| *user == uid).map(|(_, _, group)| group);
        gid == primary.unwrap_or(uid)
    }
}

/// The number of a user in `/etc/passwd`, for plugin owners that a configuration names.
pub fn uid_of_user(name: &str) -> Option<u32> {
    Users::read().all().find(|(user, _, _)| *user == name).map(|(_, uid, _)| uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: &str, uid: u32, gid: u32, mode: u32, expected: &str) {
        let users = Users("root:x:0:0::/root:/bin/sh\nann:x:1000:100::/:/bin/sh\nbroken\n".to_owned());
        let judge = Judge { own: 1000, owners: &[42], users: &users };
        let answer = judge.check(what, Access { uid, gid, mode });
        assert_eq!(answer.err().unwrap_or_default(), expected, "{what} {uid}:{gid} {mode:o}");
    }

    #[test]
    fn root_ourselves_and_named_users_may_own_plugin_files() {
        check("it", 0, 0, 0o755, "");
        check("it", 1000, 5, 0o755, "");
        check("it", 42, 5, 0o755, "");
        let why = "refused: it belongs to user 7, not to root or user 1000; chown it, or name that user in \
                   `plugin_owners`";
        check("it", 7, 7, 0o755, why);
    }

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(uid_of_user("root"), Some(0));
        assert_eq!(uid_of_user("no such user"), None);
    }

    #[test]
    fn nobody_else_may_write_them() {
        check("it", 0, 0, 0o666, "refused: anyone may write it (mode 0666); chmod o-w it");
        check("it", 0, 5, 0o664, "refused: group 5 may write it (mode 0664); chmod g-w it");
        check("it", 0, 0, 0o664, "");
        check("it", 1000, 100, 0o664, "");
        check("it", 1000, 1000, 0o664, "refused: group 1000 may write it (mode 0664); chmod g-w it");
        check("it", 42, 42, 0o664, "");
        check("it", 0, 0, 0o1666, "refused: anyone may write it (mode 1666); chmod o-w it");
    }

    #[test]
    fn directories_are_the_same_except_sticky_ones() {
        let shown = "its directory `/a`";
        check(shown, 0, 0, 0o755, "");
        check(shown, 0, 0, 0o1777, "");
        check(shown, 0, 5, 0o1775, "");
        check(shown, 0, 0, 0o777, "refused: anyone may write its directory `/a` (mode 0777); chmod o-w it");
        check(shown, 0, 5, 0o775, "refused: group 5 may write its directory `/a` (mode 0775); chmod g-w it");
    }
}
