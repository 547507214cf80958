//! Who has come when: a table with a limit, and who is told about.

use std::collections::HashMap;

/// How long silence lasts, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Until it is told.
    pub timeout: u64,
    /// From one alert to the next while silence lasts; none without.
    pub repeat: Option<u64>,
    /// From one alert about a key to the next, at least.
    pub alert: u64,
    /// Until a key is forgotten that is not expected.
    pub forget: u64,
}

/// What is to be told about a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whether it came again; otherwise it has stopped.
    pub is_back: bool,
    /// How long nothing came.
    pub silent_ns: u64,
    /// Whether it has ever come.
    pub was_seen: bool,
    /// How often it was told that it has stopped, this time.
    pub alerts: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    seen_ns: u64,
    was_seen: bool,
    is_expected: bool,
    /// Alerts since it has stopped.
    alerts: u32,
    alerted_ns: Option<u64>,
}

impl Entry {
    fn see(&mut self, now_ns: u64) -> Option<Change> {
        let silent_ns = now_ns.saturating_sub(self.seen_ns);
        let told = self.change(true, silent_ns);
        (self.seen_ns, self.was_seen, self.alerts) = (now_ns, true, 0);
        (told.alerts > 0).then_some(told)
    }

    fn look(&mut self, times: &Times, now_ns: u64) -> Option<Change> {
        let silent_ns = now_ns.saturating_sub(self.seen_ns);
        let pause = if self.alerts == 0 { Some(times.alert) } else { times.repeat };
        let since_alert = self.alerted_ns.map_or(u64::MAX, |at| now_ns.saturating_sub(at));
        if silent_ns < times.timeout || pause.is_none_or(|pause| since_alert < pause) {
            return None;
        }
        self.alerts = self.alerts.saturating_add(1);
        self.alerted_ns = Some(now_ns);
        Some(self.change(false, silent_ns))
    }

    fn change(&self, is_back: bool, silent_ns: u64) -> Change {
        Change { is_back, silent_ns, was_seen: self.was_seen, alerts: self.alerts }
    }
}

/// All keys that are watched. Times are nanoseconds from any start, never backwards.
#[derive(Clone)]
pub struct Watch {
    times: Times,
    keys_max: usize,
    table: HashMap<Box<[u8]>, Entry>,
}

impl Watch {
    pub fn new(times: Times, keys_max: usize) -> Watch {
        Watch { times, keys_max, table: HashMap::new() }
    }

    /// Watches a key that must come, from now on. It is never forgotten, and takes no room of the others.
    pub fn expect(&mut self, key: &[u8], now_ns: u64) {
        let entry =
            Entry { seen_ns: now_ns, was_seen: false, is_expected: true, alerts: 0, alerted_ns: None };
        let is_new = self.table.insert(key.into(), entry).is_none();
        self.keys_max += usize::from(is_new);
    }

    /// Notes that a key came; `Err` when there are too many to watch it.
    pub fn see(&mut self, key: &[u8], now_ns: u64) -> Result<Option<Change>, ()> {
        if let Some(entry) = self.table.get_mut(key) {
            return Ok(entry.see(now_ns));
        }
        if self.table.len() >= self.keys_max {
            return Err(());
        }
        let entry =
            Entry { seen_ns: now_ns, was_seen: true, is_expected: false, alerts: 0, alerted_ns: None };
        self.table.insert(key.into(), entry);
        Ok(None)
    }

    /// Hands on, in order of the keys, which have stopped and are to be told about; returns how many were forgotten.
    pub fn look(&mut self, now_ns: u64, mut each: impl FnMut(&[u8], Change)) -> u64 {
        let (times, before) = (self.times, self.table.len());
        self.table.retain(|_, entry| {
            entry.is_expected
                || now_ns.saturating_sub(entry.seen_ns) < times.forget.max(times.timeout.saturating_add(1))
        });
        let mut changes: Vec<(&[u8], Change)> = Vec::new();
        for (key, entry) in &mut self.table {
            changes.extend(entry.look(&times, now_ns).map(|change| (&**key, change)));
        }
        changes.sort_unstable_by_key(|(key, _)| *key);
        changes.into_iter().for_each(|(key, change)| each(key, change));
        (before - self.table.len()) as u64
    }

    /// Goes on with what another one has seen.
    pub fn take_over(&mut self, other: &Watch) {
        for (key, entry) in &other.table {
            let has_room = self.table.len() < self.keys_max;
            match self.table.get_mut(key) {
                Some(own) => *own = Entry { is_expected: own.is_expected, ..*entry },
                None if has_room => {
                    self.table.insert(key.clone(), Entry { is_expected: false, ..*entry });
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { timeout: 10, repeat: None, alert: 0, forget: 1000 };

    /// Plays `key@time` (it comes) and `@time` (a look); compares what is told: `-key:silent` and `+key:silent`.
    fn check(watch: &mut Watch, steps: &str, expected: &str) {
        let mut told = Vec::new();
        for step in steps.split_whitespace() {
            let (key, time) = step.split_once('@').unwrap();
            let now_ns = time.parse().unwrap();
            if key.is_empty() {
                watch.look(now_ns, |key, change| {
                    assert!(!change.is_back);
                    told.push(format!("-{}:{}", String::from_utf8_lossy(key), change.silent_ns));
                });
            } else if let Ok(Some(change)) = watch.see(key.as_bytes(), now_ns) {
                assert!(change.is_back);
                told.push(format!("+{key}:{}", change.silent_ns));
            }
        }
        assert_eq!(told.join(" "), expected, "{steps}");
    }

    #[test]
    fn one_alert_when_it_stops_and_one_when_it_is_back() {
        let mut watch = Watch::new(TIMES, 10);
        check(&mut watch, "a@0 b@5 @9 a@9 @14 @15 @18 @19 @30 a@40 @45 @50", "-b:10 -a:10 +a:31 -a:10");
    }

    #[test]
    fn alerts_are_repeated_when_asked_for() {
        let mut watch = Watch::new(Times { repeat: Some(20), ..TIMES }, 10);
        check(&mut watch, "a@0 @10 @29 @30 @50 a@55 @60 @65", "-a:10 -a:30 -a:50 +a:55 -a:10");
    }

    #[test]
    fn what_flaps_is_told_rarely() {
        let mut watch = Watch::new(Times { alert: 100, ..TIMES }, 10);
        check(&mut watch, "a@0 @10 a@20 @30 a@40 @50 a@60 @70 @109 @110", "-a:10 +a:20 -a:50");
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut watch = Watch::new(Times { forget: 100, ..TIMES }, 10);
        check(&mut watch, "a@0 @10 @99", "-a:10");
        assert_eq!((watch.look(100, |_, _| {}), watch.table.len()), (1, 0));
        check(&mut watch, "a@200", "");
        let mut hasty = Watch::new(Times { forget: 1, ..TIMES }, 10);
        check(&mut hasty, "a@0 @5 @10", "-a:10");
    }

    #[test]
    fn what_is_expected_is_told_though_it_never_came() {
        let mut watch = Watch::new(Times { forget: 100, ..TIMES }, 1);
        watch.expect(b"a", 0);
        check(&mut watch, "@9 @10 @500 a@600 b@601 @700", "-a:10 +a:600 -a:100 -b:99");
        assert!(watch.table.contains_key(&b"a"[..]));
    }

    #[test]
    fn there_are_never_more_than_allowed() {
        let mut watch = Watch::new(TIMES, 2);
        assert_eq!([b"a", b"b", b"c", b"a"].map(|key| watch.see(key, 0).is_ok()), [true, true, false, true]);
        let mut smaller = Watch::new(TIMES, 1);
        smaller.take_over(&watch);
        assert_eq!(smaller.table.len(), 1);
    }

    #[test]
    fn another_one_goes_on() {
        let mut old = Watch::new(TIMES, 10);
        check(&mut old, "a@0 b@0 @10", "-a:10 -b:10");
        let mut new = Watch::new(Times { repeat: Some(50), ..TIMES }, 10);
        new.expect(b"b", 20);
        new.take_over(&old);
        check(&mut new, "@30 a@40 @61", "+a:40 -a:21 -b:61");
    }
}
