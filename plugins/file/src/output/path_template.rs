//! Paths with placeholders, which can't lead out of their base directory whatever the messages hold.

use heka_plugin_api::{Message, Part, PartValue};
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use std::path::{Component, Path, PathBuf};

/// A name on disk has at most 255 bytes; the rest is left for the suffix of rotated files.
const NAME_BYTES_MAX: usize = 220;
/// What stands for a value that is absent, empty, or no name.
const NO_NAME: u8 = b'_';
const FIELDS: &str = "{type}, {logger}, {hostname}, {severity}, {pid}, {Fields[name]}";

/// A path with placeholders.
pub struct PathTemplate {
    base: PathBuf,
    pieces: Vec<Piece>,
    zone: TimeZone,
    /// Each time as rendered for `second`.
    times: Vec<Vec<u8>>,
    second: Option<i64>,
    has_fraction: bool,
}

enum Piece {
    Literal(Vec<u8>),
    /// Format of `strftime`, and the index among the times.
    Time(String, usize),
    Part(Part),
}

/// An option's key, and what is wrong with it.
type Bad = (&'static str, String);

impl PathTemplate {
    /// Parses a path; returns `None` for one without placeholders.
    pub fn new(path: &str, base_dir: Option<&Path>, local_time: bool) -> Result<Option<PathTemplate>, Bad> {
        if path.is_empty() || path.ends_with('/') || path.contains('\0') {
            return Err(("path", format!("`{path}` names no file")));
        }
        let (pieces, first) = parse(path).map_err(|reason| ("path", reason))?;
        let Some(first) = first else {
            return match base_dir {
                Some(_) => Err(("base_dir", "is for a path with placeholders".to_owned())),
                None => Ok(None),
            };
        };
        let prefix_end = path[..first].rfind('/').map_or(0, |slash| slash + 1);
        let (base, cut) = base(path, prefix_end, base_dir, &pieces)?;
        if Path::new(&path[cut..]).components().any(|part| part == Component::ParentDir) {
            return Err(("path", "`..` can't stand behind the base directory".to_owned()));
        }
        let pieces =
            if cut == 0 { pieces } else { parse(&path[cut..]).map_err(|reason| ("path", reason))?.0 };
        let formats = pieces
            .iter()
            .filter_map(|piece| if let Piece::Time(format, _) = piece { Some(format) } else { None });
        let has_fraction = formats.clone().any(|format| format.contains(['f', 'N']));
        let times = formats.map(|_| Vec::new()).collect();
        let zone = if local_time { TimeZone::system() } else { TimeZone::UTC };
        Ok(Some(PathTemplate { base, pieces, zone, times, second: None, has_fraction }))
    }

    /// Returns the directory that no path leaves.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Writes the path of a message, below the base directory, to `path`.
    pub fn render(&mut self, message: &Message<'_>, path: &mut Vec<u8>) {
        self.render_times(message.timestamp());
        path.clear();
        for piece in &self.pieces {
            let start = path.len();
            match piece {
                Piece::Literal(text) => path.extend_from_slice(text),
                Piece::Time(_, index) => path.extend_from_slice(&self.times[*index]),
                Piece::Part(part) => put_value(path, part.value(message)),
            }
            if start == path.len() {
                path.push(NO_NAME);
            }
        }
        keep_names(path);
    }

    fn render_times(&mut self, timestamp: i64) {
        let second = timestamp.div_euclid(1_000_000_000);
        if self.times.is_empty() || self.second == Some(second) && !self.has_fraction {
            return;
        }
        self.second = Some(second);
        let Ok(time) = Timestamp::from_nanosecond(timestamp.into()) else { return };
        let time = time.to_zoned(self.zone.clone());
        for piece in &self.pieces {
            if let Piece::Time(format, index) = piece {
                let text = strtime::format(format, &time).unwrap_or_default();
                self.times[*index].clear();
                put(&mut self.times[*index], text.as_bytes());
            }
        }
    }
}

/// Returns the base directory, and where in the path the part below it begins.
fn base(
    path: &str,
    prefix_end: usize,
    base_dir: Option<&Path>,
    pieces: &[Piece],
) -> Result<(PathBuf, usize), Bad> {
    let Some(base) = base_dir else {
        let has_values = pieces.iter().any(|piece| matches!(piece, Piece::Part(_)));
        return match &path[..prefix_end] {
            "" | "/" | "./" if has_values => Err((
                "base_dir",
                "needed, since `path` has no directory before its first placeholder".to_owned(),
            )),
            "" => Ok((PathBuf::from("."), 0)),
            prefix => Ok((unescaped(prefix), prefix_end)),
        };
    };
    if base.as_os_str().is_empty() || base == Path::new("/") {
        return Err(("base_dir", format!("`{}` contains nothing", base.display())));
    }
    if !path.starts_with('/') {
        return Ok((base.to_owned(), 0));
    }
    let text = base.to_string_lossy();
    let text = text.trim_end_matches('/');
    match path.strip_prefix(text) {
        Some(rest) if rest.starts_with('/') && text.len() < prefix_end => {
            Ok((base.to_owned(), text.len() + 1))
        }
        _ => Err(("base_dir", format!("`path` is not below `{}`", base.display()))),
    }
}

/// Returns a path without placeholders, its doubled `%`, `{`, `}` made single.
pub fn unescaped(prefix: &str) -> PathBuf {
    PathBuf::from(prefix.replace("%%", "%").replace("{{", "{").replace("}}", "}"))
}

/// Cuts a path into pieces; returns also where the first placeholder stands.
fn parse(path: &str) -> Result<(Vec<Piece>, Option<usize>), String> {
    let (mut pieces, mut first, mut times) = (Vec::new(), None, 0);
    let mut at = 0;
    while let Some(letter) = path[at..].chars().next() {
        let rest = &path[at..];
        let doubled = ["%%", "{{", "}}"].iter().any(|pair| rest.starts_with(pair));
        let (piece, len) = match letter {
            _ if doubled => (None, 2),
            '{' => placeholder(rest).map(|(part, len)| (Some(Piece::Part(part)), len))?,
            '}' => return Err("a `}` without a `{`; write `}}` for the character".to_owned()),
            '%' => time(rest, times).map(|(piece, len)| (Some(piece), len))?,
            letter => (None, letter.len_utf8()),
        };
        match piece {
            Some(piece) => {
                times += usize::from(matches!(piece, Piece::Time(..)));
                first = first.or(Some(at));
                pieces.push(piece);
            }
            None => literal(&mut pieces, if doubled { &rest[..1] } else { &rest[..len] }),
        }
        at += len;
    }
    Ok((pieces, first))
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Literal(last)) = pieces.last_mut() {
        last.extend_from_slice(text.as_bytes());
    } else {
        pieces.push(Piece::Literal(text.as_bytes().to_vec()));
    }
}

/// Reads `{name}`.
fn placeholder(rest: &str) -> Result<(Part, usize), String> {
    let end = rest.find('}').ok_or("a `{` without a `}`; write `{{` for the character")?;
    let name = &rest[1..end];
    let part = Part::parse(name).ok().filter(|part| match part {
        Part::Type | Part::Logger | Part::Hostname | Part::Severity | Part::Pid => {
            name.starts_with(|letter: char| letter.is_ascii_lowercase())
        }
        Part::Field { name, .. } => !name.is_empty(),
        _ => false,
    });
    let part = part.ok_or_else(|| format!("unknown placeholder `{{{name}}}`; known: {FIELDS}"))?;
    Ok((part, end + 1))
}

/// Reads one directive of `strftime`, such as `%Y` or `%-d`.
fn time(rest: &str, index: usize) -> Result<(Piece, usize), String> {
    let is_flag = |letter: char| letter.is_ascii_digit() || "-_^#.:".contains(letter);
    let at = rest[1..]
        .find(|letter| !is_flag(letter))
        .ok_or("a `%` without a directive; write `%%` for the character")?;
    let end = 1 + at + rest[1 + at..].chars().next().map_or(0, char::len_utf8);
    let format = &rest[..end];
    // Directives that give names of days and the like give at most one word.
    let sample = strtime::format(format, &Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
    let sample = sample.map_err(|_| format!("unknown time directive `{format}`"))?;
    if sample.contains('/') || sample.contains(char::is_control) {
        return Err(format!("time directive `{format}` gives no name of a file"));
    }
    Ok((Piece::Time(format.to_owned(), index), end))
}

/// Writes a value without what would make more than one name of it.
fn put(path: &mut Vec<u8>, value: &[u8]) {
    let value = &value[..value.len().min(NAME_BYTES_MAX)];
    path.extend(
        value.iter().map(|&byte| if byte == b'/' || byte < b' ' || byte == 0x7f { NO_NAME } else { byte }),
    );
}

fn put_value(path: &mut Vec<u8>, value: Option<PartValue<'_>>) {
    let Some(value) = value else { return };
    match value.value().as_bytes() {
        Some(text) => put(path, text),
        None => value.write_text(path),
    }
}

/// Makes every part between slashes a name: not empty, not `.` or `..`, not too long.
fn keep_names(path: &mut Vec<u8>) {
    let mut start = 0;
    while start <= path.len() {
        let len = path[start..].iter().position(|&byte| byte == b'/').unwrap_or(path.len() - start);
        let name = &path[start..start + len];
        let mut kept = len;
        if name.is_empty() || name == b"." || name == b".." {
            path.splice(start..start + len, std::iter::repeat_n(NO_NAME, len.max(1)));
            kept = len.max(1);
        } else if len > NAME_BYTES_MAX {
            path.drain(start + NAME_BYTES_MAX..start + len);
            kept = NAME_BYTES_MAX;
        }
        start += kept + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_plugin_api::testing::message;
    use proptest::prelude::*;

    fn rendered(template: &str, base: Option<&str>, kind: &[u8], logger: &[u8]) -> String {
        let mut template = PathTemplate::new(template, base.map(Path::new), false).unwrap().unwrap();
        let message = message(|m| {
            m.message_type(kind).logger(logger).timestamp(1_700_000_000_000_000_000);
            m.field("status", 404);
        });
        let mut path = Vec::new();
        template.render(&message.view(), &mut path);
        format!("{}|{}", template.base().display(), String::from_utf8_lossy(&path))
    }

    #[test]
    fn values_stay_within_one_name() {
        let check = |kind: &str, expected: &str| {
            assert_eq!(
                rendered("/base/{type}/x.log", None, kind.as_bytes(), b""),
                format!("/base/|{expected}")
            );
        };
        check("nginx.access", "nginx.access/x.log");
        check("../../etc/passwd", ".._.._etc_passwd/x.log");
        check("..", "__/x.log");
        check(".", "_/x.log");
        check("", "_/x.log");
        check("/etc", "_etc/x.log");
        check("a\0b\n", "a_b_/x.log");
        check(&"x".repeat(300), &format!("{}/x.log", "x".repeat(NAME_BYTES_MAX)));
        assert_eq!(rendered("/b/{type}{logger}/x", None, b".", b"."), "/b/|__/x");
    }

    #[test]
    fn placeholders_times_and_doubled_characters_are_rendered() {
        let check = |template: &str, base: Option<&str>, expected: &str| {
            assert_eq!(rendered(template, base, b"t", b"l"), expected, "{template}");
        };
        check("/b/%Y-%m-%d/{Fields[status]}.log", None, "/b/|2023-11-14/404.log");
        check("/b/%H%M%S-{logger}", None, "/b/|221320-l");
        check("out-%Y.log", None, ".|out-2023.log");
        check("{type}/{severity}-{pid}", Some("/b"), "/b|t/7-0");
        check("/b/c/{type}", Some("/b"), "/b|c/t");
        check("/b/{{%%}}{type}{Fields[none]}", None, "/b/|{%}t_");
    }

    #[test]
    fn bad_templates_are_refused() {
        let check = |template: &str, base: Option<&str>, key: &str, reason: &str| {
            let bad = PathTemplate::new(template, base.map(Path::new), false).map(|_| ());
            assert_eq!(bad, Err((if key == "base_dir" { "base_dir" } else { "path" }, reason.to_owned())));
        };
        let needed = "needed, since `path` has no directory before its first placeholder";
        check("{type}.log", None, "base_dir", needed);
        check("/{type}.log", None, "base_dir", needed);
        check("/a/{type}.log", Some("/b"), "base_dir", "`path` is not below `/b`");
        check("/bc/{type}.log", Some("/b"), "base_dir", "`path` is not below `/b`");
        check("/a/{type}", Some("/"), "base_dir", "`/` contains nothing");
        check("/a/x.log", Some("/a"), "base_dir", "is for a path with placeholders");
        check("/a/{type}/../x", None, "path", "`..` can't stand behind the base directory");
        check("/a/{typ}", None, "path", &format!("unknown placeholder `{{typ}}`; known: {FIELDS}"));
        check("/a/{type", None, "path", "a `{` without a `}`; write `{{` for the character");
        check("/a/type}", None, "path", "a `}` without a `{`; write `}}` for the character");
        check("/a/%D", None, "path", "time directive `%D` gives no name of a file");
        check("/a/%!", None, "path", "unknown time directive `%!`");
        check("/a/%", None, "path", "a `%` without a directive; write `%%` for the character");
        check("", None, "path", "`` names no file");
        check("/a/", None, "path", "`/a/` names no file");
    }

    proptest! {
        #[test]
        fn no_value_leads_out_of_the_base(kind in any::<Vec<u8>>(), logger in "[./a\\n]{0,8}") {
            let path = rendered("/b/{type}/{logger}{type}/x", None, &kind, logger.as_bytes());
            let below = path.strip_prefix("/b/|").unwrap();
            prop_assert_eq!(below.split('/').count(), 3);
            prop_assert!(below.split('/').all(|name| !["", ".", ".."].contains(&name) && name.len() <= 3 * NAME_BYTES_MAX));
        }

        #[test]
        fn any_template_is_parsed_or_refused(template in "[%{}a-zA-Z/.\\[\\]é-]{0,20}") {
            let _ = PathTemplate::new(&template, None, false);
            let _ = PathTemplate::new(&template, Some(Path::new("/b")), true);
        }
    }
}
