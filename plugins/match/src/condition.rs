//! Options that hold a matcher.

use heka_matcher::Matcher;
use heka_plugin_api::{Faults, PluginError};

/// Compiles the matcher of an option; a failure names the place, in one line.
pub fn parse(text: &str) -> Result<Matcher, String> {
    Matcher::parse(text).map_err(|error| match error.line() {
        1 => format!("column {}: {}", error.column(), error.message()),
        line => format!("line {line}, column {}: {}", error.column(), error.message()),
    })
}

/// Reports what is wrong with the matcher of the option `key`, if it is there.
pub fn check(key: &str, text: Option<&str>, faults: &mut Faults) {
    if let Some(Err(reason)) = text.map(parse) {
        faults.add(key, reason);
    }
}

/// Compiles the matcher of an optional option.
pub fn open(key: &str, text: Option<&str>) -> Result<Option<Matcher>, PluginError> {
    text.map(parse).transpose().map_err(|reason| PluginError::Config(format!("{key}: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, start: &str) {
        let reason = parse(text).unwrap_err();
        assert!(reason.starts_with(start) && !reason.contains('\n'), "{reason}");
    }

    #[test]
    fn faults_are_one_line_with_the_place() {
        check("Typ == 'x'", "column 1: unknown variable `Typ`");
        check("TRUE &&\n Typ == 'x'", "line 2, column 2: unknown variable `Typ`");
        check("", "column 1: ");
    }
}
