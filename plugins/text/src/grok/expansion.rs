//! Grok patterns as regular expressions: `%{NAME:field:type}` becomes a group.

use super::definitions::{Definitions, is_name};
use crate::named_value::FieldType;

/// Most bytes of an expression, so that patterns which double themselves end.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;
/// Most patterns inside each other.
const DEPTH_MAX: usize = 50;

/// A regular expression made of a pattern.
pub struct Expansion {
    /// The expression.
    pub expression: String,
    /// What its groups `_0`, `_1` … capture.
    pub fields: Vec<ExpandedField>,
}

/// A field that a pattern captures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpandedField {
    pub name: String,
    pub field_type: Option<FieldType>,
}

/// Expands a pattern.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn expand(pattern: &str, definitions: &Definitions) -> Result<Expansion, String> {
    let mut expander = Expander {
        definitions,
        inside: Vec::new(),
        made: Expansion { expression: String::new(), fields: Vec::new() },
    };
    expander.add(pattern)?;
    Ok(expander.made)
}

/// The name of the group of a field.
pub fn group_name(field: usize) -> String {
    format!("_{field}")
}

struct Expander<'d> {
    definitions: &'d Definitions,
    /// The names of the patterns that are being expanded.
    inside: Vec<String>,
    made: Expansion,
}

impl Expander<'_> {
    fn add(&mut self, pattern: &str) -> Result<(), String> {
        let mut rest = pattern;
        while let Some(at) = rest.find("%{") {
            self.push(&rest[..at])?;
            let Some(len) = rest[at..].find('}') else {
                return Err(format!("no `}}` ends `{}`", shown(&rest[at..])));
            };
            self.reference(&rest[at + 2..at + len])?;
            rest = &rest[at + len + 1..];
        }
        self.push(rest)
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        self.made.expression.push_str(text);
        match self.made.expression.len() <= EXPRESSION_BYTES_MAX {
            true => Ok(()),
            false => Err(format!("it expands to more than {EXPRESSION_BYTES_MAX} bytes")),
        }
    }

    /// Adds what stands between `%{` and `}`.
    fn reference(&mut self, reference: &str) -> Result<(), String> {
        let mut parts = reference.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let (field, type_name) = (parts.next(), parts.next());
        let Some(pattern) = self.definitions.find(name) else { return Err(self.unknown(name, reference)) };
        if self.inside.iter().any(|outer| outer == name) || self.inside.len() == DEPTH_MAX {
            return Err(format!("`%{{{name}}}` stands inside itself: {} > {name}", self.inside.join(" > ")));
        }
        let open = match field {
            Some(field) => {
                let field_type = type_name.map(|name| field_type(name, reference)).transpose()?;
                let name = field_name(field).ok_or_else(|| format!("no field in `%{{{reference}}}`"))?;
                self.made.fields.push(ExpandedField { name, field_type });
                format!("(?<{}>", group_name(self.made.fields.len() - 1))
            }
            None => "(?:".to_owned(),
        };
        self.push(&open)?;
        self.inside.push(name.to_owned());
        self.add(pattern)?;
        self.inside.pop();
        self.push(")")
    }

    fn unknown(&self, name: &str, reference: &str) -> String {
        let hint = match self.definitions.nearest(name) {
            _ if !is_name(name) => "write `%{NAME}`, `%{NAME:field}` or `%{NAME:field:type}`".to_owned(),
            Some(near) => format!("did you mean `{near}`"),
            None => "define it in `definitions`, or in a file that `definition_files` names".to_owned(),
        };
        let place = self.inside.last().map(|outer| format!(" in `{outer}`")).unwrap_or_default();
        format!("no pattern `{name}` for `%{{{}}}`{place}; {hint}", shown(reference))
    }
}

fn shown(text: &str) -> String {
    heka_scalar::quote(text.as_bytes())
}

fn field_type(name: &str, reference: &str) -> Result<FieldType, String> {
    Ok(match name {
        "int" | "integer" | "long" => FieldType::Integer,
        "float" | "double" | "number" => FieldType::Double,
        "bool" | "boolean" => FieldType::Bool,
        "string" => FieldType::String,
        _ => {
            return Err(format!(
                "`{}` in `%{{{}}}` is not a type; known: int, float, bool, string",
                shown(name),
                shown(reference)
            ));
        }
    })
}

/// Returns a field's name; `[http][status]` is `http.status`.
fn field_name(field: &str) -> Option<String> {
    let name = match field.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) {
        Some(inside) => inside.replace("][", "."),
        None => field.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str) -> Result<Expansion, String> {
        let mut definitions = Definitions::usual();
        definitions.add("LOOP", "a%{ROUND}");
        definitions.add("ROUND", "%{LOOP}");
        definitions.add("TWICE0", "aaaaaaaa");
        for level in 0..20 {
            definitions.add(&format!("TWICE{}", level + 1), &format!("%{{TWICE{level}}}%{{TWICE{level}}}"));
        }
        expand(pattern, &definitions)
    }

    #[test]
    fn references_become_groups() {
        let expansion = expanded("^%{WORD:a} %{INT} %{INT:[b][c]:int}(?<d>x)$").unwrap();
        assert_eq!(
            expansion.expression,
            r"^(?<_0>[0-9A-Za-z_\x80-\xff]+) (?:[+-]?[0-9]+) (?<_1>[+-]?[0-9]+)(?<d>x)$"
        );
        let field = |name: &str, field_type| ExpandedField { name: name.to_owned(), field_type };
        assert_eq!(expansion.fields, [field("a", None), field("b.c", Some(FieldType::Integer))]);
    }

    #[test]
    fn wrong_patterns_say_what_is_wrong() {
        for (pattern, reason) in [
            ("%{WROD:a}", "no pattern `WROD` for `%{WROD:a}`; did you mean `WORD`"),
            (
                "%{QQQQQ}",
                "no pattern `QQQQQ` for `%{QQQQQ}`; define it in `definitions`, or in a file that `definition_files` names",
            ),
            (
                "%{a b}",
                "no pattern `a b` for `%{a b}`; write `%{NAME}`, `%{NAME:field}` or `%{NAME:field:type}`",
            ),
            ("x %{WORD", "no `}` ends `%{WORD`"),
            ("%{WORD:}", "no field in `%{WORD:}`"),
            (
                "%{INT:a:decimal}",
                "`decimal` in `%{INT:a:decimal}` is not a type; known: int, float, bool, string",
            ),
            ("%{LOOP}", "`%{LOOP}` stands inside itself: LOOP > ROUND > LOOP"),
            ("%{TWICE20}", "it expands to more than 1048576 bytes"),
        ] {
            assert_eq!(expanded(pattern).err().as_deref(), Some(reason), "{pattern}");
        }
    }
}
