//! Placeholders: `{hostname}`, `{timestamp:%H:%M}`, `{Fields[name][0][1]|default}`.

use heka_plugin_api::Part;

/// The names that a template may use, for faults.
const KNOWN: &str =
    "known: env_version, Fields[NAME], hostname, logger, payload, pid, severity, timestamp, type, uuid";

/// What stands between braces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placeholder {
    /// The time, in this format.
    Timestamp(String),
    /// The severity's name.
    SeverityName,
    /// Any other part, and what is written when it is absent.
    Part(Part, String),
}

/// Reads what stands between braces.
pub fn placeholder(inside: &str) -> Result<Placeholder, String> {
    if inside.starts_with("Fields[") {
        return field(inside);
    }
    let (name, format) = inside.split_once(':').map_or((inside, None), |(name, format)| (name, Some(format)));
    match (name.to_ascii_lowercase().as_str(), format) {
        ("timestamp", format) => {
            return Ok(Placeholder::Timestamp(format.unwrap_or("rfc3339").to_owned()));
        }
        ("severity", Some("name")) => return Ok(Placeholder::SeverityName),
        _ => {}
    }
    let (name, default) =
        inside.split_once('|').map_or((name, None), |(name, default)| (name, Some(default)));
    let part = match name.to_ascii_lowercase().as_str() {
        "envversion" => Ok(Part::EnvVersion),
        lower => Part::parse(lower).map_err(|_| format!("nothing is called `{name}`; {KNOWN}")),
    }?;
    let is_always_there = matches!(part, Part::Uuid | Part::Severity | Part::Pid | Part::Timestamp);
    match (default, format) {
        (Some(_), _) if is_always_there => Err(format!("`{name}` is always there: it needs no default")),
        (None, Some(format)) => Err(format!("`{name}` has no format `{format}`")),
        _ => Ok(Placeholder::Part(part, default.unwrap_or_default().to_owned())),
    }
}

/// Reads `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`, and a default behind a `|`.
fn field(inside: &str) -> Result<Placeholder, String> {
    let (path, default) = inside.split_once('|').unwrap_or((inside, ""));
    let is_name = |name: &str| !name.is_empty() && !name.contains(['[', ']']);
    match Part::parse(path) {
        Ok(part) if matches!(&part, Part::Field { name, .. } if is_name(name)) => {
            Ok(Placeholder::Part(part, default.to_owned()))
        }
        _ => Err(format!(
            "`{path}` is not a field; write `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`"
        )),
    }
}
