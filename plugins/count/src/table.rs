//! What was counted of each key: a table with a limit.

use std::collections::HashMap;

/// What is counted of one key in an interval.
pub trait Tally: Default {
    /// Tells whether nothing was counted.
    fn is_empty(&self) -> bool;
    /// Begins anew.
    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Tally for u64 {
    fn is_empty(&self) -> bool {
        *self == 0
    }
}

/// Tallies by key. What comes after `keys_max` different keys in one interval is counted together.
pub struct Table<T> {
    table: HashMap<Box<[u8]>, T>,
    /// The empty key's, apart: comparing an empty boxed slice touches its dangling address, which costs 100 ns.
    unnamed: T,
    keys_max: usize,
    overflow: T,
}

impl<T: Tally> Table<T> {
    pub fn new(keys_max: usize) -> Table<T> {
        Table { table: HashMap::new(), unnamed: T::default(), keys_max, overflow: T::default() }
    }

    /// Counts something of a key; tells whether it has a tally of its own.
    pub fn count(&mut self, key: &[u8], count: impl FnOnce(&mut T)) -> bool {
        if key.is_empty() {
            count(&mut self.unnamed);
        } else if let Some(tally) = self.table.get_mut(key) {
            count(tally);
        } else if self.table.len() < self.keys_max {
            count(self.table.entry(key.into()).or_default());
        } else {
            self.count_overflow(count);
            return false;
        }
        true
    }

    /// Counts something of keys that are counted together.
    pub fn count_overflow(&mut self, count: impl FnOnce(&mut T)) {
        count(&mut self.overflow);
    }

    /// Hands on what was counted since the last call, in order of the keys; last, without a key, what came after
    /// `keys_max`. With `always`, the empty key's is handed on also when nothing was counted.
    pub fn take(&mut self, always: bool, mut each: impl FnMut(Option<&[u8]>, &T)) {
        if always || !self.unnamed.is_empty() {
            each(Some(b""), &self.unnamed);
            self.unnamed.clear();
        }
        let mut counted: Vec<_> = self.table.iter().filter(|(_, tally)| !tally.is_empty()).collect();
        counted.sort_unstable_by_key(|(key, _)| *key);
        counted.iter().for_each(|(key, tally)| each(Some(key), tally));
        if !self.overflow.is_empty() {
            each(None, &self.overflow);
            self.overflow.clear();
        }
        self.forget();
    }

    /// Keeps the keys of the last interval, which mostly come again, unless they take the place of new ones.
    fn forget(&mut self) {
        if self.table.len() >= self.keys_max {
            self.table.clear();
        }
        self.table.retain(|_, tally| {
            let is_used = !tally.is_empty();
            tally.clear();
            is_used
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &mut Table<u64>, keys: &str, expected: &str) {
        for key in keys.split_whitespace() {
            table.count(key.as_bytes(), |count| *count += 1);
        }
        let mut seen = Vec::new();
        table.take(false, |key, count| {
            let key = key.map_or("*".into(), String::from_utf8_lossy);
            seen.push(format!("{key}={count}"));
        });
        assert_eq!(seen.join(" "), expected);
    }

    #[test]
    fn each_key_is_counted_and_starts_anew() {
        let mut table = Table::new(10);
        check(&mut table, "b a b c b", "a=1 b=3 c=1");
        check(&mut table, "b", "b=1");
        check(&mut table, "", "");
        check(&mut table, "c a", "a=1 c=1");
        table.count(b"", |count| *count += 1);
        check(&mut table, "a", "=1 a=1");
        let mut always = 0;
        table.take(true, |_, _| always += 1);
        assert_eq!(always, 1);
    }

    #[test]
    fn keys_over_the_limit_are_counted_together() {
        let mut table = Table::new(2);
        check(&mut table, "a b c a d", "a=2 b=1 *=2");
        check(&mut table, "c d a", "c=1 d=1 *=1");
        assert!(table.table.len() <= 2);
        assert!(table.count(b"x", |_| {}) && table.count(b"y", |_| {}) && !table.count(b"z", |_| {}));
    }
}
