//! What is mounted where, from `/proc/self/mountinfo`.

use std::path::PathBuf;

/// One mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// `major:minor`.
    pub device_number: String,
    /// Which directory of the file system is mounted.
    pub top: String,
    /// Where.
    pub point: PathBuf,
    pub fs_type: String,
    /// What: a device, a share, or a word.
    pub device: String,
    pub is_read_only: bool,
}

/// Reads a line: `36 35 98:0 /top /point rw,noatime master:1 - ext3 /dev/sda1 rw`.
pub fn parse(line: &str) -> Option<Mount> {
    let (place, what) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(2);
    let (device_number, top, point, options) = (place.next()?, place.next()?, place.next()?, place.next()?);
    let mut what = what.split(' ');
    let (fs_type, device) = (what.next()?, what.next()?);
    Some(Mount {
        device_number: device_number.to_owned(),
        top: plain(top),
        point: PathBuf::from(plain(point)),
        fs_type: fs_type.to_owned(),
        device: plain(device),
        is_read_only: options.split(',').any(|option| option == "ro"),
    })
}

/// Replaces `\040` and the like, as the kernel writes white space and backslashes.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits =
            behind.get(..3).filter(|_| first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Leaves one mount of each file system: its top where that is mounted, else the first; of several at one point the
/// last, which hides the others.
pub fn distinct(mounts: impl IntoIterator<Item = Mount>) -> Vec<Mount> {
    let mut visible: Vec<Mount> = Vec::new();
    for mount in mounts {
        visible.retain(|other| other.point != mount.point);
        visible.push(mount);
    }
    let mut kept: Vec<Mount> = Vec::new();
    for mount in visible {
        match kept.iter_mut().find(|other| other.device_number == mount.device_number) {
            None => kept.push(mount),
            Some(other) if other.top != "/" && mount.top == "/" => *other = mount,
            Some(_) => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let mount =
            parse("36 35 98:0 /mnt1 /with\\040space ro,noatime master:1 shared:2 - ext3 /dev/a\\134b rw")
                .unwrap();
        assert_eq!((mount.device_number.as_str(), mount.top.as_str()), ("98:0", "/mnt1"));
        assert_eq!((mount.point.to_str(), mount.device.as_str()), (Some("/with space"), "/dev/a\\b"));
        assert!(mount.is_read_only && mount.fs_type == "ext3");
        for odd in ["", "1 2 3", "36 35 98:0 / / rw", "36 35 98:0 / - ext3 /dev/a", "1 2 3:4 / /x rw - ext4"]
        {
            assert_eq!(parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn each_file_system_is_taken_once() {
        let line = |device: &str, top: &str, point: &str| {
            parse(&format!("1 1 {device} {top} {point} rw - ext4 /dev/x rw")).unwrap()
        };
        let mounts = [
            line("8:1", "/var", "/bind"),
            line("8:1", "/", "/"),
            line("8:1", "/etc", "/other"),
            line("8:2", "/", "/data"),
            line("8:3", "/", "/data"),
        ];
        let points: Vec<_> =
            distinct(mounts).iter().map(|mount| (mount.device_number.clone(), mount.point.clone())).collect();
        assert_eq!(points, [("8:1".to_owned(), "/".into()), ("8:3".to_owned(), "/data".into())]);
    }
}
