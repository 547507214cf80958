use super::*;
use proptest::prelude::*;

fn timings(samples: &[f64], samples_max: usize, memory: &mut SampleMemory) -> Timings {
    let mut timings = Timings::default();
    samples.iter().for_each(|sample| timings.add(*sample, Number::Integer(1), samples_max, memory));
    timings
}

fn exact(samples: &[f64]) -> Timings {
    timings(samples, 1_000, &mut SampleMemory::new(1 << 20))
}

#[test]
fn parts_are_those_of_statsd() {
    let check = |samples: &[f64], percent: f64, expected: Option<(u64, f64, f64)>| {
        let mut timings = exact(samples);
        let part = timings.summary().unwrap().part(percent);
        assert_eq!(part.map(|part| (part.samples, part.bound, part.sum)), expected, "{samples:?} {percent}");
    };
    let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
    check(&ten, 90.0, Some((9, 9.0, 45.0)));
    check(&ten, 100.0, Some((10, 10.0, 55.0)));
    check(&ten, 99.9, Some((10, 10.0, 55.0)));
    check(&ten, -20.0, Some((2, 9.0, 19.0)));
    check(&ten, 4.0, None);
    check(&[1.0, 2.0, 3.0, 4.0, 5.0], 90.0, Some((5, 5.0, 15.0)));
    check(&[7.0], 4.0, Some((1, 7.0, 7.0)));
}

#[test]
fn a_summary_is_exact() {
    let mut timings = exact(&[3.0, 1.0, 2.0, 6.0]);
    let summary = timings.summary().unwrap();
    let totals = Totals { samples: 4, sum: 12.0, sum_squares: 50.0, lower: 1.0, upper: 6.0 };
    assert_eq!(summary.totals, totals);
    assert_eq!((summary.mean(), summary.median()), (3.0, Some(2.5)));
    assert!((summary.deviation() - 3.5_f64.sqrt()).abs() < 1e-12);
    assert!(exact(&[]).summary().is_none());
}

#[test]
fn beyond_the_limit_it_is_a_sketch() {
    let mut memory = SampleMemory::new(1 << 20);
    let samples: Vec<f64> = (1..=10_000).map(f64::from).collect();
    let mut timings = timings(&samples, 100, &mut memory);
    let summary = timings.summary().unwrap();
    assert_eq!((summary.totals.samples, summary.totals.sum), (10_000, 50_005_000.0));
    assert_eq!((summary.totals.lower, summary.totals.upper), (1.0, 10_000.0));
    let part = summary.part(90.0).unwrap();
    assert_eq!(part.samples, 9_000);
    assert!((part.bound / 9_000.0 - 1.0).abs() <= 0.01, "{part:?}");
    assert!((part.sum / (9_000.0 * 9_001.0 / 2.0) - 1.0).abs() <= 0.01, "{part:?}");
    assert!((summary.median().unwrap() / 5_000.5 - 1.0).abs() <= 0.01);
    assert!(memory.used > 0);
    timings.clear(&mut memory);
    assert_eq!(memory.used, 0);
    assert!(timings.summary().is_none());
}

#[test]
fn memory_is_bounded() {
    let mut memory = SampleMemory::new(1_000);
    let samples: Vec<f64> = (1..=100).map(f64::from).collect();
    let mut all: Vec<Timings> = (0..100).map(|_| timings(&samples, 1_000, &mut memory)).collect();
    // A sketch that was begun may grow.
    assert!(memory.used <= 2_000 + 16_384, "{}", memory.used);
    let known = all.iter_mut().filter_map(|timings| timings.summary()?.part(90.0)).count();
    assert!((1..100).contains(&known), "{known}");
    assert!(all.iter_mut().all(|timings| timings.summary().unwrap().totals.sum == 5_050.0));
    all.iter_mut().for_each(|timings| timings.clear(&mut memory));
    assert_eq!(memory.used, 0);
}

#[test]
fn room_is_kept_as_long_as_it_is_needed() {
    let mut memory = SampleMemory::new(1 << 20);
    let mut timings = timings(&[1.0; 100], 1_000, &mut memory);
    let used = memory.used;
    timings.clear(&mut memory);
    assert_eq!(memory.used, used);
    timings.add(1.0, Number::Integer(1), 1_000, &mut memory);
    timings.clear(&mut memory);
    assert_eq!(memory.used, 0);
}

#[test]
fn weights_count_and_samples_do_not() {
    let (mut timings, mut memory) = (Timings::default(), SampleMemory::new(1_000));
    timings.add(3.0, Number::Integer(10), 10, &mut memory);
    timings.add(5.0, Number::Double(2.5), 10, &mut memory);
    assert_eq!(timings.count(), Number::Double(12.5));
    assert_eq!(timings.summary().unwrap().mean(), 4.0);
}

#[test]
fn sketches_of_others_are_merged() {
    let mut memory = SampleMemory::new(1 << 20);
    let mut merged = Timings::default();
    for agent in 0..10 {
        let samples: Vec<f64> = (1..=1_000).map(|number| f64::from(agent * 1_000 + number)).collect();
        let mut one = timings(&samples, 2_000, &mut SampleMemory::new(1 << 20));
        let bytes = one.sketch_bytes().unwrap();
        let (count, totals) = (one.count(), one.summary().unwrap().totals);
        merged.merge(count, &totals, Some(&sketch::bins(&bytes).unwrap()), &mut memory);
    }
    assert_eq!(merged.count(), Number::Integer(10_000));
    let summary = merged.summary().unwrap();
    assert_eq!((summary.totals.sum, summary.totals.upper), (50_005_000.0, 10_000.0));
    assert!((summary.part(95.0).unwrap().bound / 9_500.0 - 1.0).abs() <= 0.01);
}

#[test]
fn without_its_sketch_a_merge_has_no_percentiles() {
    let mut memory = SampleMemory::new(1 << 20);
    let mut merged = timings(&[1.0, 2.0], 100, &mut memory);
    let totals = Totals { samples: 2, sum: 7.0, sum_squares: 25.0, lower: 3.0, upper: 4.0 };
    merged.merge(Number::Integer(2), &totals, None, &mut memory);
    assert!(merged.sketch_bytes().is_none());
    let summary = merged.summary().unwrap();
    assert_eq!((summary.part(90.0), summary.median()), (None, None));
    assert_eq!((summary.totals.sum, summary.totals.lower, summary.mean()), (10.0, 1.0, 2.5));
}

proptest! {
    #[test]
    fn a_sketch_is_within_its_accuracy(samples in proptest::collection::vec(0.001..1e9, 2..200), percent in 1.0..100.0) {
        let mut exact = exact(&samples);
        let mut sketched = timings(&samples, 1, &mut SampleMemory::new(1 << 20));
        let (exact, sketched) = (exact.summary().unwrap(), sketched.summary().unwrap());
        match (exact.part(percent), sketched.part(percent)) {
            (Some(exact), Some(sketched)) => {
                prop_assert!((sketched.bound / exact.bound - 1.0).abs() <= 0.010_001);
                prop_assert!((sketched.sum / exact.sum - 1.0).abs() <= 0.010_001);
            }
            (exact, sketched) => prop_assert_eq!(exact, sketched),
        }
    }
}
