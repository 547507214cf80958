//! Replaces `${env:NAME}` and `${file:PATH}` in the values of a configuration.

use std::io::{self, Read};

use super::document::{Node, NodeValue};
use super::faults::Faults;
use super::load::Environment;
use heka_plugin_api::cause;

/// Secrets and certificates fit easily; anything longer is a mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Replaces the references in all strings of the tree.
///
/// Only where `[heka] allow_env` is `true`; elsewhere each string that has one is a fault. `$${env:` and
/// `$${file:` stand for the text without the first `$`. What a reference gives is not searched again.
pub(super) fn resolve(root: &mut Node, environment: Option<Environment<'_>>, faults: &mut Faults) {
    let allowed = root.get("heka").and_then(|heka| heka.get("allow_env"));
    let allowed = allowed.is_some_and(|node| node.value == NodeValue::Bool(true));
    Resolver { allowed, environment, faults }.resolve(root);
}

struct Resolver<'e, 'f> {
    allowed: bool,
    environment: Option<Environment<'e>>,
    faults: &'f mut Faults,
}

impl Resolver<'_, '_> {
    fn resolve(&mut self, node: &mut Node) {
        match &mut node.value {
            NodeValue::String(text) if text.contains("${") => match self.replace(text) {
                Ok(replaced) => *text = replaced,
                Err(why) => self.faults.add(&node.position, why),
            },
            NodeValue::Array(items) => items.iter_mut().for_each(|item| self.resolve(item)),
            NodeValue::Table(entries) => entries.iter_mut().for_each(|entry| self.resolve(&mut entry.value)),
            _ => {}
        }
    }

    fn replace(&self, text: &str) -> Result<String, String> {
        let (mut replaced, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            let kind = ["${env:", "${file:"].into_iter().find(|kind| reference.starts_with(kind));
            let Some(kind) = kind else {
                replaced.push_str(&rest[..start + 2]);
                rest = &rest[start + 2..];
                continue;
            };
            let (name, tail) =
                reference[kind.len()..].split_once('}').unwrap_or((&reference[kind.len()..], ""));
            if let Some(escaped) = before.strip_suffix('$') {
                replaced.extend([escaped, kind]);
                rest = &reference[kind.len()..];
                continue;
            }
            if !reference.contains('}') {
                return Err(format!("`{kind}` without its closing `}}`"));
            }
            replaced.push_str(before);
            replaced.push_str(&self.look_up(kind, name)?);
            rest = tail;
        }
        replaced.push_str(rest);
        Ok(replaced)
    }

    fn look_up(&self, kind: &str, name: &str) -> Result<String, String> {
        if !self.allowed {
            return Err(format!(
                "`{kind}{name}}}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`"
            ));
        }
        if kind == "${file:" {
            return read(name).map_err(|error| format!("failed to read `{name}`: {}", cause(&error)));
        }
        let Some(environment) = self.environment else {
            return Err(format!("`{kind}{name}}}`: this program offers no environment"));
        };
        environment(name).ok_or_else(|| format!("environment variable `{name}` is not set"))
    }
}

/// Reads a referenced file without its last line break.
fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("longer than 1 MiB"));
    }
    let end = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(end.unwrap_or(text.len()));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load;

    fn check(allowed: bool, value: &str, expected: Result<&str, &str>) {
        let directory = tempfile::tempdir().unwrap();
        let (config, secret) = (directory.path().join("heka.toml"), directory.path().join("secret"));
        std::fs::write(&secret, "s3cret\n").unwrap();
        let value = value.replace("SECRET", &secret.display().to_string());
        std::fs::write(&config, format!("heka.allow_env = {allowed}\n[inputs.x]\na = ['{value}']\n"))
            .unwrap();
        let environment = |name: &str| (name == "HOST").then(|| "web${env:HOST}".to_owned());
        let document = load(&config, Some(&environment)).unwrap();
        let text = document.root.at_path("inputs.x.a[0]").as_str().unwrap();
        match expected {
            Ok(expected) => assert_eq!((text, document.faults.is_empty()), (expected, true)),
            Err(why) => {
                let expected = format!("{}:3:6: {why}", config.display());
                assert_eq!(document.faults.to_string(), expected);
            }
        }
    }

    #[test]
    fn references_are_replaced_where_they_are_allowed() {
        check(true, "a ${env:HOST} b", Ok("a web${env:HOST} b"));
        check(true, "${file:SECRET}${file:SECRET}", Ok("s3crets3cret"));
        check(true, "$${env:HOST} ${env:HOST}", Ok("${env:HOST} web${env:HOST}"));
        check(true, "${Payload} ${ $ }", Ok("${Payload} ${ $ }"));
        check(false, "$${env:HOST} $${file:x", Ok("${env:HOST} ${file:x"));
        check(true, "${env:NOPE}", Err("environment variable `NOPE` is not set"));
        check(true, "${env:HOST", Err("`${env:` without its closing `}`"));
        check(true, "${file:no/such}", Err("failed to read `no/such`: no such file or directory"));
    }

    #[test]
    fn a_reference_is_a_fault_where_it_is_not_allowed() {
        let why =
            "`${env:HOST}` is not allowed here; set `allow_env = true` in [heka], or write `$$` for `$`";
        check(false, "a ${env:HOST} b", Err(why));
    }

    #[test]
    fn without_a_look_up_there_is_no_environment() {
        let text = "heka.allow_env = true\na = '${env:HOME}'\n";
        let document = crate::config::from_toml_str("t", text).unwrap();
        assert_eq!(document.faults.to_string(), "t:2:5: `${env:HOME}`: this program offers no environment");
        assert_eq!(document.name, Path::new("t"));
    }
}
