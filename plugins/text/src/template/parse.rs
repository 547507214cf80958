//! Templates: text with `{hostname}`, `{timestamp:%H:%M}`, `{Fields[name][0][1]|default}` in it.

/// The names that a template may use, for faults.
const KNOWN: &str =
    "known: env_version, Fields[NAME], hostname, logger, payload, pid, severity, timestamp, type, uuid";

/// A piece of a template. Texts have what is written when they are absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece {
    /// Bytes that are written as they are.
    Literal(Vec<u8>),
    /// The time, in this format.
    Timestamp(String),
    /// The type.
    Type(Vec<u8>),
    /// The logger.
    Logger(Vec<u8>),
    /// The payload.
    Payload(Vec<u8>),
    /// The machine's name.
    Hostname(Vec<u8>),
    /// The envelope's version.
    EnvVersion(Vec<u8>),
    /// The UUID.
    Uuid,
    /// The severity's number.
    Severity,
    /// The severity's name.
    SeverityName,
    /// The process id.
    Pid,
    /// A value of a field.
    Field {
        /// The field's name.
        name: Vec<u8>,
        /// Its number among those with this name.
        field_index: usize,
        /// The value's number.
        array_index: usize,
        /// What is written when there is no such value.
        default: Vec<u8>,
    },
}

/// Splits a template into its pieces, each with the column where it begins, in characters from 1.
///
/// # Errors
/// One line with the column.
pub fn pieces(template: &str) -> Result<Vec<(usize, Piece)>, String> {
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let column = template[..template.len() - rest.len() + at].chars().count() + 1;
        literal.extend_from_slice(&rest.as_bytes()[..at]);
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            literal.push(brace.as_bytes()[0]);
            rest = &brace[2..];
            continue;
        }
        if brace.starts_with('}') {
            return Err(format!("column {column}: `}}` without `{{`; write `}}}}` for a brace"));
        }
        let Some((inside, after)) = brace[1..].split_once('}') else {
            return Err(format!("column {column}: `{{` without `}}`; write `{{{{` for a brace"));
        };
        if !literal.is_empty() {
            pieces.push((column, Piece::Literal(std::mem::take(&mut literal))));
        }
        pieces.push((column, piece(inside).map_err(|reason| format!("column {column}: {reason}"))?));
        rest = after;
    }
    literal.extend_from_slice(rest.as_bytes());
    if !literal.is_empty() {
        pieces.push((1, Piece::Literal(literal)));
    }
    Ok(pieces)
}

/// Reads what stands between braces.
fn piece(inside: &str) -> Result<Piece, String> {
    if inside.starts_with("Fields[") {
        return field(inside);
    }
    let (name, format) = inside.split_once(':').map_or((inside, None), |(name, format)| (name, Some(format)));
    let lower = name.to_ascii_lowercase();
    match (lower.as_str(), format) {
        ("timestamp", format) => return Ok(Piece::Timestamp(format.unwrap_or("rfc3339").to_owned())),
        ("severity", Some("name")) => return Ok(Piece::SeverityName),
        _ => {}
    }
    let (name, default) =
        inside.split_once('|').map_or((name, None), |(name, default)| (name, Some(default)));
    let text = default.unwrap_or_default().as_bytes().to_vec();
    let lower = name.to_ascii_lowercase();
    let piece = match lower.as_str() {
        "type" => Piece::Type(text),
        "logger" => Piece::Logger(text),
        "payload" => Piece::Payload(text),
        "hostname" => Piece::Hostname(text),
        "env_version" | "envversion" => Piece::EnvVersion(text),
        "uuid" | "severity" | "pid" | "timestamp" if default.is_some() => {
            return Err(format!("`{name}` is always there: it needs no default"));
        }
        "uuid" => Piece::Uuid,
        "severity" => Piece::Severity,
        "pid" => Piece::Pid,
        _ => return Err(format!("nothing is called `{name}`; {KNOWN}")),
    };
    match format {
        Some(format) if default.is_none() => Err(format!("`{name}` has no format `{format}`")),
        _ => Ok(piece),
    }
}

/// Reads `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`, and a default behind a `|`.
fn field(inside: &str) -> Result<Piece, String> {
    let (path, default) = inside.split_once('|').unwrap_or((inside, ""));
    let fault = || {
        format!("`{path}` is not a field; write `Fields[NAME]`, `Fields[NAME][1]` or `Fields[NAME][1][2]`")
    };
    let keys = path.strip_prefix("Fields[").and_then(|path| path.strip_suffix(']')).ok_or_else(fault)?;
    let keys: Vec<&str> = keys.split("][").collect();
    let index = |at: usize| keys.get(at).map_or(Some(0), |key| key.parse().ok()).ok_or_else(fault);
    if keys.len() > 3 || keys[0].is_empty() || keys[0].contains(['[', ']']) {
        return Err(fault());
    }
    Ok(Piece::Field {
        name: keys[0].as_bytes().to_vec(),
        field_index: index(1)?,
        array_index: index(2)?,
        default: default.as_bytes().to_vec(),
    })
}
