//! nginx's `log_format` strings: `$remote_addr - $remote_user [$time_local] "$request"`.

use super::field::{FieldName, Kind, Piece};

/// Tells whether a format names a variable.
pub fn is_nginx(format: &str) -> bool {
    let mut after_dollars = format.split('$').skip(1);
    after_dollars.any(|rest| rest.starts_with(|c: char| c == '{' || c == '_' || c.is_ascii_alphabetic()))
}

/// Splits a format into its pieces.
///
/// # Errors
/// One line with the column.
pub fn pieces(format: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(dollar) = rest.find('$') {
        push_literal(&mut pieces, &rest[..dollar]);
        let column = format.len() - rest.len() + dollar + 1;
        let (name, after) = variable(&rest[dollar + 1..]).ok_or_else(|| {
            format!("column {column}: `$` without the name of a variable; write for example `$status` or `${{status}}`")
        })?;
        pieces.push(Piece::Field(FieldName::of_variable(name)));
        rest = after;
    }
    push_literal(&mut pieces, rest);
    Ok(join_query(pieces))
}

/// Takes a variable's name, with braces or without, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        return (!name.is_empty() && name.bytes().all(is_name_byte)).then_some((name, after));
    }
    let len = text.bytes().take_while(|byte| is_name_byte(*byte)).count();
    (len > 0).then(|| text.split_at(len))
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.as_bytes().to_vec()));
    }
}

/// Makes one field of `$uri$is_args$args`, which have nothing between them.
fn join_query(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        let name =
            |piece: &Piece| if let Piece::Field(field) = piece { Some(field.name.clone()) } else { None };
        let (before, now) = (joined.last().and_then(name), name(&piece));
        match (before.as_deref(), now.as_deref(), joined.last_mut()) {
            (Some("uri" | "document_uri"), Some("is_args"), Some(Piece::Field(path))) => {
                path.kind = Kind::PathAndQuery
            }
            (Some("uri" | "document_uri"), Some("args" | "query_string"), Some(Piece::Field(path)))
                if path.kind == Kind::PathAndQuery => {}
            _ => joined.push(piece),
        }
    }
    joined
}
