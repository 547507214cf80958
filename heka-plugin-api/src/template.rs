//! Texts with placeholders in braces, such as `{Hostname}/{Fields[app]}`.

use std::fmt;

/// A text with placeholders in braces; `{{` and `}}` are braces.
///
/// What the placeholders are is the plugin's choice: often a [`Part`](crate::Part), with a default or a format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template<P> {
    pieces: Vec<Piece<P>>,
}

/// A piece of a template. Two literals are never neighbours, and none is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<P> {
    /// Text that stays as it is.
    Literal(String),
    /// What stands for something else.
    Placeholder(P),
}

/// Says what is wrong with a template, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateError {
    column: usize,
    reason: String,
}

impl TemplateError {
    /// Returns where the fault begins, in characters from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns what is wrong, in one line.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.reason)
    }
}

impl std::error::Error for TemplateError {}

impl<P> Template<P> {
    /// Cuts a text into pieces; `read` makes a placeholder of what stands between braces, or says why it can't.
    ///
    /// # Errors
    /// The first fault: a single brace, or what `read` refuses.
    pub fn parse<E: fmt::Display>(
        text: &str,
        mut read: impl FnMut(&str) -> Result<P, E>,
    ) -> Result<Template<P>, TemplateError> {
        let mut template = Template { pieces: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            template.push_literal(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                template.push_literal(&rest[..1]);
                rest = &rest[2..];
                continue;
            }
            let (placeholder, behind) = placeholder(rest, &mut read).map_err(|reason| {
                let before = &text[..text.len() - rest.len()];
                TemplateError { column: before.chars().count() + 1, reason }
            })?;
            template.pieces.push(Piece::Placeholder(placeholder));
            rest = behind;
        }
        template.push_literal(rest);
        Ok(template)
    }

    /// Appends text that stays as it is.
    pub fn push_literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }

    /// Returns the pieces in order.
    pub fn pieces(&self) -> &[Piece<P>] {
        &self.pieces
    }

    /// Returns the pieces in order, for placeholders that remember something.
    pub fn pieces_mut(&mut self) -> &mut [Piece<P>] {
        &mut self.pieces
    }
}

/// Reads the placeholder that `rest` begins with; returns also what is behind it.
fn placeholder<'t, P, E: fmt::Display>(
    rest: &'t str,
    read: &mut impl FnMut(&str) -> Result<P, E>,
) -> Result<(P, &'t str), String> {
    let inside = rest.strip_prefix('{').ok_or("`}` without `{`; write `}}` for a brace")?;
    let (inside, behind) = inside.split_once('}').ok_or("`{` without `}`; write `{{` for a brace")?;
    read(inside).map(|placeholder| (placeholder, behind)).map_err(|reason| reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(inside: &str) -> Result<String, String> {
        if inside.starts_with('?') { Err(format!("`{inside}` is odd")) } else { Ok(inside.to_owned()) }
    }

    fn check(text: &str, expected: &str) {
        let template = Template::parse(text, read).unwrap();
        let shown = template.pieces().iter().map(|piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Placeholder(inside) => format!("<{inside}>"),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(","), expected, "{text}");
    }

    #[test]
    fn texts_are_cut_at_braces() {
        check("", "");
        check("plain é", "plain é");
        check("{a}{b}", "<a>,<b>");
        check("ü{a}-{b c}ü", "ü,<a>,-,<b c>,ü");
        check("{{{a}}}", "{,<a>,}");
        check("a{{b}}c", "a{b}c");
        check("{}", "<>");
    }

    #[test]
    fn literals_can_be_appended() {
        let mut template = Template::parse("{a}b", read).unwrap();
        template.push_literal("");
        template.push_literal("\n");
        assert_eq!(template.pieces_mut()[1..], [Piece::Literal("b\n".to_owned())]);
    }

    #[test]
    fn faults_have_a_column() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Template::parse(text, read).unwrap_err().to_string(), expected, "{text}");
        };
        check("é}x", "column 2: `}` without `{`; write `}}` for a brace");
        check("a{b", "column 2: `{` without `}`; write `{{` for a brace");
        check("éé{a} {?}{", "column 7: `?` is odd");
        let error = Template::parse("a{", read).unwrap_err();
        assert_eq!((error.column(), error.reason()), (2, "`{` without `}`; write `{{` for a brace"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "([{}]|[a-z?é]){0,12}") {
            let _ = Template::parse(&text, read);
        }

        #[test]
        fn text_with_doubled_braces_is_itself(text in any::<String>()) {
            let written = text.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&written, read).unwrap();
            let expected = if text.is_empty() { vec![] } else { vec![Piece::Literal(text)] };
            prop_assert_eq!(template.pieces(), expected);
        }
    }
}
