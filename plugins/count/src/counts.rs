//! How many messages there were of each key: a table with a limit.

use std::collections::HashMap;

/// Counts by key. What comes after `keys_max` different keys in one interval is counted together.
pub struct Counts {
    table: HashMap<Box<[u8]>, u64>,
    /// The empty key's, apart: comparing an empty boxed slice touches its dangling address, which costs 100 ns.
    unnamed: u64,
    keys_max: usize,
    overflow: u64,
}

impl Counts {
    pub fn new(keys_max: usize) -> Counts {
        Counts { table: HashMap::new(), unnamed: 0, keys_max, overflow: 0 }
    }

    pub fn add(&mut self, key: &[u8]) {
        if key.is_empty() {
            self.unnamed += 1;
        } else if let Some(count) = self.table.get_mut(key) {
            *count += 1;
        } else if self.table.len() < self.keys_max {
            self.table.insert(key.into(), 1);
        } else {
            self.overflow += 1;
        }
    }

    /// Hands on what was counted since the last call, in order of the keys; last, without a key, what came after
    /// `keys_max`.
    pub fn take(&mut self, mut each: impl FnMut(Option<&[u8]>, u64)) {
        if self.unnamed > 0 {
            each(Some(b""), std::mem::take(&mut self.unnamed));
        }
        let mut counted: Vec<_> = self.table.iter().filter(|(_, count)| **count > 0).collect();
        counted.sort_unstable();
        counted.iter().for_each(|(key, count)| each(Some(key), **count));
        if self.overflow > 0 {
            each(None, std::mem::take(&mut self.overflow));
        }
        self.forget();
    }

    /// Keeps the keys of the last interval, which mostly come again, unless they take the place of new ones.
    fn forget(&mut self) {
        if self.table.len() >= self.keys_max {
            self.table.clear();
        }
        self.table.retain(|_, count| std::mem::take(count) > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &mut Counts, keys: &str, expected: &str) {
        keys.split_whitespace().for_each(|key| counts.add(key.as_bytes()));
        let mut seen = Vec::new();
        counts.take(|key, count| {
            let key = key.map_or("*".into(), String::from_utf8_lossy);
            seen.push(format!("{key}={count}"));
        });
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn each_key_is_counted_and_starts_anew() {
        let mut counts = Counts::new(10);
        check(&mut counts, "b a b c b", "a=1 b=3 c=1");
        check(&mut counts, "b", "b=1");
        check(&mut counts, "", "");
        check(&mut counts, "c a", "a=1 c=1");
        counts.add(b"");
        check(&mut counts, "a", "=1 a=1");
    }

    #[test]
    fn keys_over_the_limit_are_counted_together() {
        let mut counts = Counts::new(2);
        check(&mut counts, "a b c a d", "a=2 b=1 *=2");
        check(&mut counts, "c d a", "c=1 d=1 *=1");
        assert!(counts.table.len() <= 2);
    }
}
