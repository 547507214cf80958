//! Says where and why a line doesn't fit its format.

use super::format::LineFormat;
use heka_plugin_api::PluginError;
use heka_scalar::quote;

impl LineFormat {
    /// The line doesn't begin as every line does.
    #[cold]
    pub fn unstarted(&self, line: &[u8]) -> PluginError {
        let reason = match line {
            [] => "the line is empty".to_owned(),
            _ => format!("the line begins with `{}` instead of `{}`", quote(line), quote(&self.start)),
        };
        PluginError::Message(reason)
    }

    /// What ends field `index`, which begins at `at`, is not there.
    #[cold]
    pub fn unended(&self, index: usize, line: &[u8], at: usize) -> PluginError {
        let (name, end) = (self.field_name(index), quote(&self.steps[index].end));
        PluginError::Message(match line {
            [] => "the line is empty".to_owned(),
            _ => format!(
                "no `{end}` behind field `{name}`, which begins at column {}: `{}`",
                at + 1,
                quote(&line[at..])
            ),
        })
    }

    /// Field `index`, which begins at `at`, is not what was expected.
    #[cold]
    pub fn misread(&self, index: usize, at: usize, value: &[u8], expected: &str) -> PluginError {
        let (name, value) = (self.field_name(index), quote(value));
        PluginError::Message(format!("field `{name}` at column {} is not {expected}: `{value}`", at + 1))
    }

    /// The line goes on behind its last field.
    #[cold]
    pub fn left_over(&self, line: &[u8], at: usize) -> PluginError {
        let name = self.field_name(self.steps.len() - 1);
        PluginError::Message(format!(
            "more than the format behind field `{name}`, at column {}: `{}`",
            at + 1,
            quote(&line[at..])
        ))
    }

    fn field_name(&self, index: usize) -> String {
        String::from_utf8_lossy(&self.names[self.steps[index].name.clone()]).into_owned()
    }
}
