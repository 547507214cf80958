//! Token buckets: one for each key, in a table with a limit.

use std::collections::HashMap;

/// Longest key in bytes; longer ones are cut, so that the table is bounded in bytes too.
const KEY_BYTES_MAX: usize = 512;
/// Least time between two searches for idle buckets: each looks at the whole table.
const SWEEP_INTERVAL_NS: u64 = 1_000_000_000;

/// What a bucket lets through.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Messages a second in the long run.
    pub rate: f64,
    /// Messages at once after a pause.
    pub burst: f64,
}

struct Bucket {
    tokens: f64,
    filled_at_ns: u64,
    passed: u64,
    dropped: u64,
    /// Messages that are held back: later ones wait behind them.
    held: u64,
}

impl Bucket {
    fn full(limit: Limit, now_ns: u64) -> Bucket {
        Bucket { tokens: limit.burst, filled_at_ns: now_ns, passed: 0, dropped: 0, held: 0 }
    }

    fn tokens_at(&self, limit: Limit, now_ns: u64) -> f64 {
        let seconds = now_ns.saturating_sub(self.filled_at_ns) as f64 / 1e9;
        (self.tokens + seconds * limit.rate).min(limit.burst)
    }

    fn take(&mut self, limit: Limit, now_ns: u64) -> bool {
        self.tokens = self.tokens_at(limit, now_ns);
        self.filled_at_ns = now_ns;
        let passes = self.tokens >= 1.0;
        if passes {
            self.tokens -= 1.0;
            self.passed += 1;
        }
        passes
    }
}

/// What a key's bucket did since the last report.
#[derive(PartialEq, Eq, Debug)]
pub struct Report<'a> {
    /// The key; `None` for the bucket that the keys over the table's limit share.
    pub key: Option<&'a [u8]>,
    /// Messages that passed.
    pub passed: u64,
    /// Messages that were dropped, at least 1.
    pub dropped: u64,
}

/// The bucket in which a message is held back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Holder {
    /// Its key's own.
    Own,
    /// The one that the keys over the table's limit share.
    Shared,
}

/// Cuts a key, so that the table is bounded in bytes too.
pub fn cut(key: &[u8]) -> &[u8] {
    &key[..key.len().min(KEY_BYTES_MAX)]
}

/// A bucket for each key. When the table is full, buckets that were idle long enough to be full again make room;
/// without one, new keys share a bucket.
pub struct Buckets {
    limit: Limit,
    keys_max: usize,
    /// Keeps what was not reported yet.
    reports: bool,
    table: HashMap<Box<[u8]>, Bucket>,
    /// The empty key's, apart: comparing an empty boxed slice touches its dangling address, which costs 100 ns.
    unnamed: Bucket,
    shared: Bucket,
    swept_at_ns: Option<u64>,
}

impl Buckets {
    pub fn new(limit: Limit, keys_max: usize, reports: bool) -> Buckets {
        let (unnamed, shared) = (Bucket::full(limit, 0), Bucket::full(limit, 0));
        Buckets { limit, keys_max, reports, table: HashMap::new(), unnamed, shared, swept_at_ns: None }
    }

    /// Tells whether a message with this key passes now; otherwise it is dropped. Times are nanoseconds from any
    /// start, never backwards.
    pub fn take(&mut self, key: &[u8], now_ns: u64) -> bool {
        let limit = self.limit;
        self.with_bucket(key, now_ns, |bucket, _| {
            let passes = bucket.take(limit, now_ns);
            bucket.dropped += u64::from(!passes);
            passes
        })
    }

    /// As `take`, but what doesn't pass is held back; so is what comes behind it. Returns in which bucket, if so.
    pub fn take_or_hold(&mut self, key: &[u8], now_ns: u64) -> Option<Holder> {
        let limit = self.limit;
        self.with_bucket(key, now_ns, |bucket, holder| {
            if bucket.held == 0 && bucket.take(limit, now_ns) {
                return None;
            }
            bucket.held += 1;
            Some(holder)
        })
    }

    /// Counts a message that is held back already.
    pub fn hold(&mut self, key: &[u8]) -> Holder {
        self.with_bucket(key, 0, |bucket, holder| {
            bucket.held += 1;
            holder
        })
    }

    /// Tells whether the first message that is held back in a bucket passes now.
    pub fn release(&mut self, key: &[u8], holder: Holder, now_ns: u64) -> bool {
        let limit = self.limit;
        let Some(bucket) = self.holding(key, holder) else { return true };
        let passes = bucket.take(limit, now_ns);
        bucket.held = bucket.held.saturating_sub(u64::from(passes));
        passes
    }

    /// Lets a message go that is held back, without asking the bucket: it passes early, or is dropped.
    pub fn let_go(&mut self, key: &[u8], holder: Holder, passes: bool) {
        let Some(bucket) = self.holding(key, holder) else { return };
        bucket.held = bucket.held.saturating_sub(1);
        bucket.passed += u64::from(passes);
        bucket.dropped += u64::from(!passes);
    }

    #[inline]
    fn with_bucket<R>(&mut self, key: &[u8], now_ns: u64, run: impl FnOnce(&mut Bucket, Holder) -> R) -> R {
        if key.is_empty() {
            return run(&mut self.unnamed, Holder::Own);
        }
        let key = cut(key);
        if let Some(bucket) = self.table.get_mut(key) {
            return run(bucket, Holder::Own);
        }
        if self.table.len() >= self.keys_max && !self.sweep(now_ns) {
            return run(&mut self.shared, Holder::Shared);
        }
        let bucket = self.table.entry(key.into()).or_insert_with(|| Bucket::full(self.limit, now_ns));
        run(bucket, Holder::Own)
    }

    /// The bucket in which a message is held back; it stays as long as that is so.
    fn holding(&mut self, key: &[u8], holder: Holder) -> Option<&mut Bucket> {
        match (holder, key) {
            (Holder::Shared, _) => Some(&mut self.shared),
            (Holder::Own, []) => Some(&mut self.unnamed),
            (Holder::Own, key) => self.table.get_mut(cut(key)),
        }
    }

    /// Hands on what the keys with dropped messages did since the last call, in order of the keys.
    pub fn report(&mut self, mut each: impl FnMut(&Report<'_>)) {
        let own = self.table.iter().map(|(key, bucket)| (Some(&**key), bucket));
        let mut reports: Vec<_> = own
            .chain([(Some(&b""[..]), &self.unnamed), (None, &self.shared)])
            .map(|(key, bucket)| Report { key, passed: bucket.passed, dropped: bucket.dropped })
            .filter(|report| report.dropped > 0)
            .collect();
        // The shared bucket comes last.
        reports.sort_unstable_by_key(|report| (report.key.is_none(), report.key));
        reports.iter().for_each(&mut each);
        for bucket in self.table.values_mut().chain([&mut self.unnamed, &mut self.shared]) {
            (bucket.passed, bucket.dropped) = (0, 0);
        }
    }

    /// Forgets buckets that are full again; tells whether there is room now.
    fn sweep(&mut self, now_ns: u64) -> bool {
        if self.swept_at_ns.is_some_and(|at| now_ns.saturating_sub(at) < SWEEP_INTERVAL_NS) {
            return false;
        }
        self.swept_at_ns = Some(now_ns);
        let (limit, reports) = (self.limit, self.reports);
        self.table.retain(|_, bucket| {
            let is_idle = bucket.tokens_at(limit, now_ns) >= limit.burst && bucket.held == 0;
            !is_idle || reports && bucket.dropped > 0
        });
        self.table.len() < self.keys_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// Takes for each `key@seconds` in turn; compares which pass (`+`) and which don't (`-`).
    fn check(buckets: &mut Buckets, takes: &str, expected: &str) {
        let take = |text: &str| {
            let (key, seconds) = text.split_once('@').unwrap();
            let now_ns = (seconds.parse::<f64>().unwrap() * SECOND_NS as f64) as u64;
            if buckets.take(key.as_bytes(), now_ns) { '+' } else { '-' }
        };
        assert_eq!(takes.split_whitespace().map(take).collect::<String>(), expected, "{takes}");
    }

    fn buckets(rate: f64, burst: f64, keys_max: usize) -> Buckets {
        Buckets::new(Limit { rate, burst }, keys_max, true)
    }

    fn reports(buckets: &mut Buckets) -> String {
        let mut lines = Vec::new();
        buckets.report(|report| {
            let key = report.key.map_or("*".into(), String::from_utf8_lossy);
            lines.push(format!("{key}:{}+{}-", report.passed, report.dropped));
        });
        lines.join(" ")
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut buckets = buckets(2.0, 3.0, 10);
        check(&mut buckets, "a@0 a@0 a@0 a@0 a@0.4 a@0.5 a@0.6 a@1 a@1", "+++--+-+-");
        check(&mut buckets, "a@100 a@100 a@100 a@100", "+++-");
    }

    #[test]
    fn keys_have_buckets_of_their_own() {
        check(&mut buckets(1.0, 1.0, 10), "a@0 a@0 b@0 b@0 a@1 b@1", "+-+-++");
        let mut with_empty = buckets(1.0, 1.0, 10);
        check(&mut with_empty, "@0 a@0 @0 a@0 @1", "++--+");
        assert_eq!(reports(&mut with_empty), ":2+1- a:1+1-");
    }

    #[test]
    fn keys_over_the_limit_share_a_bucket() {
        let mut buckets = buckets(0.1, 1.0, 2);
        check(&mut buckets, "a@0 b@0 c@0 d@0 e@0 a@0", "+++---");
        assert_eq!(reports(&mut buckets), "a:1+1- *:1+2-");
        assert_eq!(buckets.table.len(), 2);
    }

    #[test]
    fn idle_buckets_make_room_at_most_once_a_second() {
        let mut buckets = buckets(1.0, 1.0, 2);
        check(&mut buckets, "a@0 b@0.5 c@0.6 c@1.2 c@1.7 c@1.8", "+++-+-");
        assert!(!buckets.table.contains_key(&b"a"[..]));
    }

    #[test]
    fn what_was_not_reported_is_kept() {
        let mut buckets = buckets(1.0, 1.0, 1);
        check(&mut buckets, "a@0 a@0 b@10", "+-+");
        assert_eq!(reports(&mut buckets), "a:1+1-");
        check(&mut buckets, "b@20", "+");
        assert!(buckets.table.contains_key(&b"b"[..]));
        assert_eq!(reports(&mut buckets), "");
    }

    #[test]
    fn what_is_held_back_goes_before_what_comes_later() {
        let mut buckets = buckets(1.0, 1.0, 2);
        let at = |seconds: u64| seconds * SECOND_NS;
        assert_eq!(buckets.take_or_hold(b"a", at(0)), None);
        assert_eq!(buckets.take_or_hold(b"a", at(0)), Some(Holder::Own));
        assert_eq!(buckets.take_or_hold(b"a", at(5)), Some(Holder::Own));
        assert!(buckets.release(b"a", Holder::Own, at(5)) && !buckets.release(b"a", Holder::Own, at(5)));
        assert!(buckets.release(b"a", Holder::Own, at(6)));
        assert_eq!(buckets.take_or_hold(b"a", at(7)), None);
        assert_eq!(reports(&mut buckets), "");
    }

    #[test]
    fn a_bucket_that_holds_something_makes_no_room() {
        let mut buckets = buckets(1.0, 1.0, 1);
        assert_eq!(buckets.take_or_hold(b"a", 0), None);
        assert_eq!(buckets.take_or_hold(b"a", 0), Some(Holder::Own));
        assert_eq!(buckets.take_or_hold(b"b", 100 * SECOND_NS), None);
        assert_eq!(buckets.take_or_hold(b"b", 100 * SECOND_NS), Some(Holder::Shared));
        buckets.let_go(b"a", Holder::Own, true);
        buckets.let_go(b"b", Holder::Shared, false);
        assert_eq!(reports(&mut buckets), "*:1+1-");
    }

    #[test]
    fn long_keys_are_cut() {
        let mut buckets = buckets(1.0, 1.0, 10);
        assert!(buckets.take(&[b'x'; 1000], 0));
        assert!(!buckets.take(&[b'x'; 1001], 0));
        assert_eq!(buckets.table.keys().map(|key| key.len()).max(), Some(KEY_BYTES_MAX));
    }
}
