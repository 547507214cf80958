//! Says what may help when no plugin has the name that was asked for.

use crate::config::nearest;

use super::kind::Kind;
use super::problem::file_name;
use super::registry::PluginFile;

/// As many known names are listed.
const KNOWN_NAMES_MAX: usize = 12;

/// Explains that none of `files` has a plugin: what was probably meant, what there is, and which file that might
/// have it can't be used.
pub(super) fn explain(kind: Kind, name: &str, files: &[PluginFile]) -> String {
    let mut text = format!("no {kind} `{name}`");
    let of_name = files.iter().flat_map(PluginFile::plugins).filter(|plugin| plugin.name == name);
    let mut other_kinds: Vec<Kind> = of_name.map(|plugin| plugin.kind).collect();
    other_kinds.sort_unstable();
    other_kinds.dedup();
    let unusable = unusable(name, files);
    if !other_kinds.is_empty() {
        let kinds: Vec<&str> = other_kinds.iter().map(|kind| kind.with_article()).collect();
        text += &format!("; `{name}` is {}, not {}", kinds.join(" and "), kind.with_article());
    } else if let Some(unusable) = unusable.as_ref().filter(|unusable| unusable.has_the_name) {
        return format!("{text}; {}", unusable.text);
    }
    let (known, is_near) = known(kind, name, files);
    text += &known;
    // Where a near name was found, a file that merely can't be used has nothing to do with it.
    if let Some(unusable) = unusable.filter(|unusable| unusable.has_the_name || !is_near) {
        text += &format!("; {}", unusable.text);
    }
    text
}

/// Lists the plugins of a kind, the probable one first; tells whether there is one.
fn known(kind: Kind, name: &str, files: &[PluginFile]) -> (String, bool) {
    let of_kind = files.iter().flat_map(PluginFile::plugins).filter(|plugin| plugin.kind == kind);
    let mut names: Vec<&str> = of_kind.map(|plugin| plugin.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return (format!("; no plugin here is {}", kind.with_article()), false);
    }
    let near = nearest(name, names.iter().copied());
    let start = match near {
        Some(near) => format!("; did you mean `{near}`? "),
        None => "; ".to_owned(),
    };
    let shown = names[..names.len().min(KNOWN_NAMES_MAX)].join(", ");
    let more = match names.len().saturating_sub(KNOWN_NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (format!("{start}known: {shown}{more}"), near.is_some())
}

struct Unusable {
    text: String,
    has_the_name: bool,
}

/// Names the unusable file that most probably has a plugin of this name.
fn unusable(name: &str, files: &[PluginFile]) -> Option<Unusable> {
    let broken: Vec<_> = files
        .iter()
        .filter_map(|file| Some((file.path.as_deref()?, file.contents.as_ref().err()?)))
        .collect();
    let has_the_name = broken.iter().find(|(path, _)| file_name(path).contains(name));
    let (path, problem) = has_the_name.or(broken.first())?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let place = directory.map(|parent| format!(" in `{}`", parent.display())).unwrap_or_default();
    let text = format!("`{}`{place} can't be used: {}", file_name(path), problem.reason());
    Some(Unusable { text, has_the_name: has_the_name.is_some() })
}
