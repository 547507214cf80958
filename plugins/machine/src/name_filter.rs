//! Chooses devices, mounts and processes by patterns such as `sd*`.

use glob::Pattern;
use heka_plugin_api::Faults;

/// Takes a name that matches one of the wanted patterns, or any if there are none, and none of the others.
#[derive(Clone, Debug, Default)]
pub struct NameFilter {
    wanted: Vec<Pattern>,
    unwanted: Vec<Pattern>,
}

impl NameFilter {
    /// Makes a filter of patterns that were checked; broken ones match nothing.
    pub fn new(wanted: &[String], unwanted: &[String]) -> NameFilter {
        let patterns = |texts: &[String]| texts.iter().filter_map(|text| Pattern::new(text).ok()).collect();
        NameFilter { wanted: patterns(wanted), unwanted: patterns(unwanted) }
    }

    /// Tells whether a name is taken.
    pub fn takes(&self, name: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        (self.wanted.is_empty() || any(&self.wanted)) && !any(&self.unwanted)
    }
}

/// Reports patterns that are none.
pub fn check_patterns(option: &str, texts: &[String], faults: &mut Faults) {
    for text in texts {
        if let Err(why) = Pattern::new(text) {
            faults.add(option, format!("`{text}` is not a pattern: {}", why.msg));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_wanted_and_not_unwanted() {
        let check = |wanted: &[&str], unwanted: &[&str], name, expected| {
            let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            assert_eq!(NameFilter::new(&texts(wanted), &texts(unwanted)).takes(name), expected, "{name}");
        };
        check(&[], &[], "sda", true);
        check(&["sd*"], &[], "sda", true);
        check(&["sd*"], &[], "nvme0n1", false);
        check(&["sd*"], &["sda"], "sda", false);
        check(&[], &["loop*", "ram*"], "loop7", false);
        check(&[], &["/run/*"], "/run/user/1000", false);
    }
}
