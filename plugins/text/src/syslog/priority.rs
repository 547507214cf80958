//! The priority that a message begins with, `<34>`: facility and severity.

use heka_plugin_api::PluginError;
use heka_scalar::quote;

/// Names of the facilities 0 to 23.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// A priority.
pub struct Priority {
    /// Name of the facility.
    pub facility: &'static str,
    /// 0 to 7.
    pub severity: i32,
    /// Its length, brackets included.
    pub len: usize,
}

impl Priority {
    /// Reads the priority; none if the line doesn't begin with `<`.
    ///
    /// # Errors
    /// [`PluginError::Message`] if what follows the `<` is not a priority.
    pub fn read(line: &[u8]) -> Result<Option<Priority>, PluginError> {
        let Some(rest) = line.strip_prefix(b"<") else { return Ok(None) };
        let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let number = rest[..digits].iter().fold(0, |number, byte| number * 10 + usize::from(byte - b'0'));
        match FACILITIES.get(number / 8) {
            Some(facility) if (1..=3).contains(&digits) && rest.get(digits) == Some(&b'>') => {
                Ok(Some(Priority { facility, severity: (number % 8) as i32, len: digits + 2 }))
            }
            _ => Err(PluginError::Message(format!(
                "`{}` does not begin with a priority, `<0>` to `<191>`",
                quote(line)
            ))),
        }
    }
}
