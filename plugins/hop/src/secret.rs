//! The secret that both sides share.

use heka_plugin_api::{Faults, PluginError};
use std::path::{Path, PathBuf};

/// Shorter secrets can be guessed by whoever listens to a greeting.
const BYTES_SAFE: usize = 16;

/// Finds faults of the two options that name a secret.
pub fn check(secret: Option<&str>, file: Option<&Path>, faults: &mut Faults) {
    if secret.is_some_and(str::is_empty) {
        faults.add("secret", "must not be empty");
    }
    if secret.is_some() && file.is_some() {
        faults.add("secret_file", "`secret` is there too: name one of them");
    }
}

/// Returns the secret, from its file where that is named: the file's text without white space around it.
///
/// # Errors
/// [`PluginError::Config`] if the file can't be read or is empty.
pub fn load(secret: Option<String>, file: Option<PathBuf>) -> Result<Option<Vec<u8>>, PluginError> {
    let Some(path) = file else { return Ok(secret.map(String::into_bytes)) };
    let shown = path.display();
    let text = std::fs::read(&path).map_err(|why| {
        PluginError::config(format!(
            "secret_file: failed to read `{shown}`: {}",
            heka_plugin_api::cause(&why)
        ))
    })?;
    match text.trim_ascii() {
        [] => Err(PluginError::config(format!("secret_file: `{shown}` is empty"))),
        secret => Ok(Some(secret.to_vec())),
    }
}

/// Warns of a secret that is easy to guess.
pub fn warn_if_short(who: &str, secret: Option<&[u8]>) {
    if let Some(len) = secret.map(<[u8]>::len).filter(|&len| len < BYTES_SAFE) {
        log::warn!("{who}: the secret has only {len} bytes; take at least {BYTES_SAFE}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_the_config_or_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let loaded = |text: &str| {
            std::fs::write(&path, text).unwrap();
            load(None, Some(path.clone())).map_err(|error| error.to_string())
        };
        assert_eq!(load(Some("a".to_owned()), None).unwrap(), Some(b"a".to_vec()));
        assert_eq!(load(None, None).unwrap(), None);
        assert_eq!(loaded(" in a file\n"), Ok(Some(b"in a file".to_vec())));
        assert_eq!(loaded("\n"), Err(format!("secret_file: `{}` is empty", path.display())));
        std::fs::remove_file(&path).unwrap();
        let told = load(None, Some(path.clone())).unwrap_err().to_string();
        assert_eq!(
            told,
            format!("secret_file: failed to read `{}`: no such file or directory", path.display())
        );
    }
}
