//! The buckets, by themselves and together.

use sortie_core::hash::Hash;

use super::*;
use sortie_core::chance::Chance;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(1_800_000_000);

#[test]
fn no_window_admits_more_than_its_burst_and_its_refill() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed, &Hash::of(b""), "bucket");
        let (per_minute, burst) = (1 + chance.bits() % 5000, 1 + chance.bits() % 20);
        let mut bucket = Bucket::full(per_minute, MINUTE, burst, START);
        let (mut now, mut admitted) = (START, Vec::<Duration>::new());
        for _ in 0..300 {
            now += Duration::from_micros(chance.bits() % (60_000_000 / per_minute));
            bucket.refill(now);
            match bucket.fits_in(1) {
                Some(Duration::ZERO) => {
                    bucket.take(1);
                    admitted.push(now);
                }
                Some(wait) => {
                    let mut early = bucket.clone();
                    early.refill(now + wait.saturating_sub(Duration::from_micros(1)));
                    assert_ne!(early.fits_in(1), Some(Duration::ZERO), "seed {seed}: waits too long");
                    early.refill(now + wait);
                    assert_eq!(early.fits_in(1), Some(Duration::ZERO), "seed {seed}: waits too short");
                }
                None => panic!("seed {seed}: one unit fits every bucket"),
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, until) in admitted.iter().enumerate().skip(first) {
                let allowed = u128::from(burst) * 60_000_000
                    + until.saturating_sub(*from).as_micros() * u128::from(per_minute);
                let count = (last - first + 1) as u128 * 60_000_000;
                assert!(count <= allowed, "seed {seed}: {per_minute}/min, burst {burst}");
            }
        }
    }
}

#[test]
fn a_minute_refills_the_quota_to_the_part() {
    let mut bucket = Bucket::full(7, MINUTE, 7, START);
    bucket.take(7);
    bucket.refill(START + Duration::from_micros(59_999_999));
    assert_eq!(bucket.missing, 7);
    bucket.refill(START + Duration::from_secs(60));
    assert_eq!(bucket.missing, 0);
}

#[test]
fn the_headers_fit_the_refill_formula_that_was_measured() {
    let check = |per_minute, burst, taken, remaining, full_in_micros| {
        let mut bucket = Bucket::full(per_minute, MINUTE, burst, START);
        bucket.take(taken);
        let told = (bucket.told_remaining(), bucket.full_in());
        assert_eq!(told, (remaining, Duration::from_micros(full_in_micros)), "{per_minute} {taken}");
    };
    check(5000, 5000, 1, 4999, 12_000); // a captured reply: 12ms
    check(160_000, 160_000, 24, 159_976, 9_000); // the same: 9ms
    check(50, 1, 1, 49, 1_200_000);
    check(10, 10, 15, 0, 90_000_000); // in debt
}

#[test]
fn a_clock_that_runs_backwards_brings_nothing() {
    let mut bucket = Bucket::full(60, MINUTE, 1, START);
    bucket.take(1);
    bucket.refill(START + Duration::from_millis(500));
    bucket.refill(START);
    bucket.refill(START + Duration::from_millis(600));
    assert_eq!(bucket.fits_in(1), Some(Duration::from_millis(400)));
}

#[test]
fn a_refused_request_takes_from_no_bucket() {
    let mut buckets = Buckets::new(vec![
        (Dimension::Requests, Bucket::full(60, MINUTE, 2, START)),
        (Dimension::InputTokens, Bucket::full(100, MINUTE, 100, START)),
    ]);
    let ask = |input_tokens| Ask { input_tokens, ..ask(1) };
    assert_eq!(buckets.admit(ask(101), START), Admission::TooLarge(Dimension::InputTokens));
    assert_eq!(buckets.admit(ask(80), START), Admission::Granted);
    let until_enough = Duration::from_secs(36);
    assert_eq!(buckets.admit(ask(80), START), Admission::Wait(until_enough, Dimension::InputTokens));
    assert_eq!(buckets.told()[0].remaining, 59);
    assert_eq!(buckets.admit(ask(20), START), Admission::Granted);
}

/// A request with an answer of so many tokens, which come evenly from its first to its fourth second.
fn ask(output_tokens: u64) -> Ask {
    Ask {
        input_tokens: 1,
        output_tokens,
        pace: Pace { first: SECOND, last: 4 * SECOND, pieces: 3 },
        max_tokens: 100,
        charge: OutputCharge::AsProduced,
    }
}

fn of(dimension: Dimension, quota: u64) -> Buckets {
    Buckets::new(vec![(dimension, Bucket::full(quota, MINUTE, quota, START))])
}

#[test]
fn output_is_charged_as_it_is_produced_and_may_run_into_debt() {
    let mut buckets = of(Dimension::OutputTokens, 60);
    assert_eq!(buckets.admit(ask(90), START), Admission::Granted);
    assert_eq!(buckets.admit(ask(0), START), Admission::Granted, "nothing is produced yet");
    // 30 tokens each at 1, 2 and 3 s, and one comes in each second after the first.
    assert_eq!(buckets.admit(ask(0), START + 2 * SECOND), Admission::Granted);
    let wait = Admission::Wait(29 * SECOND, Dimension::OutputTokens);
    assert_eq!(buckets.admit(ask(0), START + 3 * SECOND), wait);
    assert_eq!(buckets.told()[0].remaining, 0);
    assert_eq!(buckets.admit(ask(0), START + 32 * SECOND), Admission::Granted);
}

#[test]
fn what_max_tokens_took_too_much_is_given_back_at_the_end() {
    let mut buckets = of(Dimension::OutputTokens, 120);
    let ask = Ask { charge: OutputCharge::MaxTokensUpFront, ..ask(10) };
    assert_eq!(buckets.admit(ask, START), Admission::Granted);
    assert_eq!(buckets.told()[0].remaining, 20);
    assert_eq!(buckets.admit(ask, START), Admission::Wait(40 * SECOND, Dimension::OutputTokens));
    assert_eq!(buckets.admit(ask, START + 4 * SECOND), Admission::Granted);
    let larger = Ask { max_tokens: 121, ..ask };
    assert_eq!(buckets.admit(larger, START), Admission::TooLarge(Dimension::OutputTokens));
}

#[test]
fn tokens_of_both_kinds_are_charged_the_larger_of_bound_and_input() {
    for (input_tokens, remaining) in [(1, 900), (150, 850)] {
        let mut buckets = of(Dimension::Tokens, 1000);
        assert_eq!(buckets.admit(Ask { input_tokens, ..ask(10) }, START), Admission::Granted);
        assert_eq!(buckets.told()[0].remaining, remaining);
    }
}

#[test]
fn what_is_read_from_a_cache_does_not_count() {
    let usage = Usage {
        input: 10,
        cache_read: 1000,
        cache_write: 5,
        cache_write_1h: 2,
        output: 3,
        ..Usage::default()
    };
    let counted = Ask::new(&usage, ask(0).pace, 9, OutputCharge::AsProduced);
    assert_eq!((counted.input_tokens, counted.output_tokens, counted.max_tokens), (17, 3, 9));
}

#[test]
fn a_days_requests_bind_and_are_not_told() {
    let day = Duration::from_secs(86_400);
    let mut buckets = Buckets::new(vec![(Dimension::Requests, Bucket::full(2, day, 2, START))]);
    let admitted = [0, 1, 2].map(|n| buckets.admit(ask(1), START + n * SECOND));
    let wait = Admission::Wait(Duration::from_secs(43_198), Dimension::Requests);
    assert_eq!(admitted, [Admission::Granted, Admission::Granted, wait]);
    assert!(buckets.told().is_empty());
}
