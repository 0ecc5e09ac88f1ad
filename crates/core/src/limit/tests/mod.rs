//! Gates against providers that keep their own books, in virtual time, with more to do than they allow.

mod world;

use std::time::Duration;

use super::*;
use world::{ASK, GATE, Job, Provider, World, attempt};

fn stated(per_minute: u32, burst: u32) -> GateSpec {
    GateSpec {
        name: "a/m".into(),
        account: "a".into(),
        requests_per_minute: Some(per_minute),
        requests_burst: burst,
        lag: Duration::from_millis(20),
        ..GateSpec::default()
    }
}

fn unknown() -> GateSpec {
    GateSpec {
        name: "a/m".into(),
        account: "a".into(),
        probes: true,
        lag: Duration::from_millis(20),
        ..GateSpec::default()
    }
}

#[test]
fn a_stated_limit_is_used_up_and_never_overdrawn() {
    for (burst, wide) in [(10, 16), (10, 64), (600, 16), (600, 64), (1, 16)] {
        let seen = World::new(stated(600, burst), Provider::new(600, u64::from(burst)), wide).work(181.0);
        assert_eq!(seen.refused.len(), 0, "burst {burst}, {wide} wide");
        let used = (seen.taken_in.len() as f64 - f64::from(burst)) / 1800.0;
        assert!(used > 0.985, "burst {burst}, {wide} wide: {used}");
    }
}

/// When so many calls start of which the first is asked for at 100 s, by what an earlier run knew `later`.
fn starts_recalling(spec: &GateSpec, later: Duration) -> Vec<Time> {
    let mut now = Time::ZERO + Duration::from_secs(100);
    let mut gates = Gates::of(std::slice::from_ref(spec), 64);
    let quota = |dimension, limit| LearnedQuota { dimension, limit, burst: None, granted: 30, missing: 30 };
    let quotas = vec![quota(Dimension::Requests, 60), quota(Dimension::OutputTokens, 60_000)];
    gates.recall(GATE, &Learned { at: now + later, quotas, rate: None }, now);
    let start = |n| {
        while let Err(held) = gates.check(GATE, &ASK, now) {
            let Verdict::WaitUntil(until) = held.verdict else { panic!("{held:?}") };
            now = until;
        }
        gates.reserve(GATE, attempt(n), &ASK, now);
        now
    };
    (0..9).map(start).collect()
}

#[test]
fn what_was_learned_before_the_clock_was_set_back_is_as_if_it_were_learned_now() {
    for spec in [unknown(), stated(120, 20)] {
        let now = starts_recalling(&spec, Duration::ZERO);
        assert_eq!(starts_recalling(&spec, Duration::from_secs(3600)), now, "{spec:?}");
    }
}

/// On this machine, and over the sea.
const NETWORKS: [(f64, f64); 2] = [(0.001, 0.003), (0.1, 0.5)];

/// Buckets and how many are in flight.
const SIZES: [(u64, u32); 4] = [(10, 16), (10, 64), (600, 16), (600, 64)];

#[test]
fn a_limit_that_replies_tell_is_used_up_with_few_refusals() {
    for network in NETWORKS {
        for (burst, wide) in SIZES {
            let provider = Provider { tells: true, network, ..Provider::new(600, burst) };
            let seen = World::new(unknown(), provider, wide).work(241.0);
            let (refusals, used) = (seen.refusals(), seen.used(61.0, 241.0, 600));
            let case = format!("bucket {burst}, {wide} wide, {network:?}: {refusals} refused, {used} used");
            assert!(refusals < 0.005 && used > 0.99, "{case}");
        }
    }
}

#[test]
fn a_limit_that_nobody_tells_is_found() {
    for retry_after in [None, Some(Duration::from_secs(1))] {
        for network in NETWORKS {
            for (burst, wide) in SIZES {
                let provider = Provider { retry_after, network, ..Provider::new(600, burst) };
                let seen = World::new(unknown(), provider, wide).work(241.0);
                let (refusals, used) = (seen.refusals(), seen.used(61.0, 241.0, 600));
                let case =
                    format!("bucket {burst}, {wide} wide, {network:?}: {refusals} refused, {used} used");
                assert!(refusals < 0.03 && used > 0.95, "{case}");
            }
        }
    }
}

/// Plans have tasks that others wait for. What is tried in such a time is nothing, and says nothing.
#[test]
fn a_quiet_time_costs_nothing_where_nobody_tells_the_limit() {
    for (begins, quiet) in
        [1.05, 61.0, 121.0].into_iter().flat_map(|at| [5.0, 30.0, 90.0, 1200.0].map(|s| (at, s)))
    {
        for (burst, retry_after) in [(10, None), (10, Some(1)), (600, Some(1))] {
            let retry_after = retry_after.map(Duration::from_secs);
            let mut world = World::new(unknown(), Provider { retry_after, ..Provider::new(600, burst) }, 64);
            world.quiet = vec![(begins, begins + quiet)];
            let goes_on = begins + quiet;
            let seen = world.work(goes_on + 150.0);
            let after = |all: &[f64]| all.iter().filter(|at| **at >= goes_on).count() as f64;
            let refused = after(&seen.refused) / after(&seen.sent);
            let used = seen.used(goes_on, goes_on + 150.0, 600);
            let case = format!(
                "bucket {burst}, quiet for {quiet} s at {begins} s, {retry_after:?}: {refused} refused, {used} used"
            );
            assert!(refused < 0.03 && used > 0.9, "{case}");
        }
    }
}

/// What a quiet time shows of an account is nothing that anybody has to know for a week.
#[test]
fn what_is_learned_after_a_quiet_time_is_the_limit() {
    for quiet in [5.0, 30.0, 90.0, 1200.0] {
        let mut world = World::new(unknown(), Provider::new(600, 10), 64);
        world.quiet = vec![(1.05, 1.0 + quiet)];
        let learned = world.learns(quiet + 61.0).unwrap().rate.unwrap() * 60.0;
        assert!((480.0..720.0).contains(&learned), "{learned} a minute after {quiet} s");
    }
}

#[test]
fn a_slow_limit_that_nobody_tells_is_found() {
    for rate in [3, 5, 10, 12, 20, 30, 50] {
        let retry_after = Some(Duration::from_secs(60_u64.div_ceil(rate)));
        let world = World::new(unknown(), Provider { retry_after, ..Provider::new(rate, 1) }, 64);
        let begun = 61.0 + 600.0 / rate as f64;
        let until = begun + 12_000.0 / rate as f64;
        let seen = world.work(until);
        let after = |all: &[f64]| all.iter().filter(|at| **at >= begun).count() as f64;
        let (refused, used) = (after(&seen.refused) / after(&seen.sent), seen.used(begun, until, rate));
        let first = seen.refused.len() as f64 - after(&seen.refused);
        let case = format!("{rate}/min: {first} refused at first, then {refused}, {used} used");
        assert!(first <= 16.0 && refused < 0.04 && used > 0.87, "{case}");
    }
}

/// One that comes soon says little against a longer measure: where nothing can be saved up, each costs more than a
/// request.
#[test]
fn an_early_refusal_does_not_shorten_the_curve_to_nothing() {
    for (rate, seconds) in [(20, 3), (30, 2), (50, 2), (100, 1)] {
        let provider = Provider { retry_after: Some(Duration::from_secs(seconds)), ..Provider::new(rate, 1) };
        let until = 61.0 + 60_000.0 / rate as f64;
        let seen = World::new(unknown(), provider, 64).work(until);
        let (refused, used) = (seen.refusals(), seen.used(61.0, until, rate));
        assert!(refused < 0.03 && used > 0.885, "{rate}/min: {refused} refused, {used} used");
    }
}

/// Where nothing can be saved up, every refusal costs what refills meanwhile; and where requests overtake
/// each other on the way, any pace near the limit is refused.
#[test]
fn a_bucket_of_one_is_used_as_far_as_it_can_be() {
    for (tells, refusals, used) in [(true, 0.008, 0.98), (false, 0.01, 0.8)] {
        let provider = Provider { tells, ..Provider::new(600, 1) };
        let seen = World::new(unknown(), provider, 16).work(241.0);
        assert!(seen.refusals() < refusals, "{}", seen.refusals());
        assert!(seen.used(61.0, 241.0, 600) > used, "{}", seen.used(61.0, 241.0, 600));
    }
}

#[test]
fn a_limit_that_changes_is_followed() {
    for tells in [true, false] {
        for burst in [10, 600] {
            let changes = vec![(0.0, 600), (121.0, 300), (241.0, 600)];
            let provider = Provider { per_minute: changes, tells, ..Provider::new(600, burst) };
            let seen = World::new(unknown(), provider, 64).work(361.0);
            let refused =
                |from: f64, to: f64| seen.refused.iter().filter(|at| (from..to).contains(*at)).count();
            let halved = seen.used(131.0, 241.0, 300);
            assert!(halved > 0.95, "{tells} {burst}: {halved}");
            assert!(refused(121.0, 131.0) < 5, "{tells} {burst}: {} refused at first", refused(121.0, 131.0));
            assert!(refused(131.0, 241.0) < 15, "{tells} {burst}: {} refused later", refused(131.0, 241.0));
            let doubled = seen.used(301.0, 361.0, 600);
            assert!(doubled > 0.95, "{tells} {burst}: {doubled}");
        }
    }
}

#[test]
fn calls_that_are_refused_together_come_back_apart() {
    let provider = Provider { holds: Some(0.0), ..Provider::new(6_000, 100) };
    let seen = World::new(stated(1_000_000, 256), provider, 256).work(60.0);
    let last = seen.again.iter().take(256).copied().collect::<Vec<_>>();
    assert!(last.len() == 256, "{} came back", last.len());
    let most =
        last.iter().map(|from| last.iter().filter(|at| (*from..from + 0.1).contains(*at)).count()).max();
    assert!(most.unwrap() <= 256 / 5, "{most:?} came back within 100 ms");
}

#[test]
fn a_long_wait_at_the_start_costs_no_more_than_itself() {
    for tells in [true, false] {
        let first_wait = Some(Duration::from_secs(89));
        let provider = Provider { tells, first_wait, holds: Some(0.0), ..Provider::new(600, 600) };
        let seen = World::new(unknown(), provider.clone(), 64).work(89.0);
        assert!(seen.sent.len() <= 10, "{} were sent while the gate was closed", seen.sent.len());
        let seen = World::new(unknown(), provider, 64).work(180.0);
        let used = seen.used(110.0, 180.0, 600);
        assert!(used > 0.95, "tells {tells}: {used}");
    }
}

#[test]
fn two_who_share_an_account_get_half_of_it_each() {
    for (spec, tells) in [(stated(600, 10), false), (unknown(), true)] {
        let mut world = World::new(spec, Provider { tells, ..Provider::new(600, 10) }, 32);
        world.users.push(world.users[0].clone());
        world.meetings = vec![(1.0, 0, 2), (1.0, 1, 2)];
        let seen = world.work(301.0);
        assert!(seen.refusals() < 0.01, "{}", seen.refusals());
        assert!(seen.used(61.0, 301.0, 600) > 0.95, "{}", seen.used(61.0, 301.0, 600));
        let share = seen.by_user[0] as f64 / seen.taken_in.len() as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
    }
}

/// So many who share an account, each coming two seconds after the one before it.
fn one_after_the_other(spec: &GateSpec, provider: Provider, users: u32) -> World {
    let mut world = World::new(spec.clone(), provider, 32);
    world.users.resize(users as usize, world.users[0].clone());
    world.jobs = (0..users).map(|user| Job { from: 2.0 * f64::from(user), tasks: 1_000_000 }).collect();
    for user in 1..users {
        let comes = 2.0 * f64::from(user);
        world.meetings.push((comes, user as usize, user + 1));
        let hear = (0..user).map(|other| (comes + 1.0 - 0.2 * f64::from(other), other as usize, user + 1));
        world.meetings.extend(hear);
    }
    world
}

#[test]
fn who_shares_a_bucket_that_cannot_be_divided_has_its_part_of_it() {
    let rates = [(1, 1), (3, 1), (50, 1), (60, 1), (120, 2), (600, 1), (600, 10)];
    for ((rate, burst), users) in rates.into_iter().flat_map(|rate| [2, 3, 4].map(|users| (rate, users))) {
        for (spec, tells) in [(stated(rate, burst), false), (stated(rate, burst), true), (unknown(), true)] {
            let told = Provider { tells, ..Provider::new(u64::from(rate), u64::from(burst)) };
            let wait = Some(Duration::from_secs(60 / u64::from(rate) + 1));
            // Long enough for everybody to have forty.
            let until = 61.0 + 60.0 * 60.0 * f64::from(users) / f64::from(rate);
            // What was refused at first counts as used.
            let begun = 61.0 + 20.0 * 60.0 / f64::from(rate);
            let until = until.max(301.0);
            let seen = one_after_the_other(&spec, Provider { retry_after: wait, ..told }, users).work(until);
            let all = seen.taken_in.len() as f64;
            let fair = seen.by_user.iter().map(|taken_in| f64::from(users) * *taken_in as f64 / all);
            let (least, most) =
                fair.fold((1.0, 1.0), |(least, most): (f64, f64), of| (least.min(of), most.max(of)));
            let late = |all: &[f64]| all.iter().filter(|at| **at > begun).count() as f64;
            let refused = late(&seen.refused) / late(&seen.sent);
            let used = seen.used(begun, until, u64::from(rate));
            let case = format!(
                "{rate}/min bucket {burst}, {users} users, stated {}, told {tells}: {refused:.4} refused, {used:.3} used, shares {:?}",
                spec.requests_per_minute.is_some(),
                seen.by_user
            );
            assert!(refused <= 0.01 && least > 0.9 && most < 1.1 && used > 0.8, "{case}");
        }
    }
}

#[test]
fn heads_that_come_out_of_order_are_not_taken_for_others_that_use_the_account() {
    let at = |ms: u64| Time::from_micros(1_000_000 + ms * 1000);
    let spec = GateSpec { lag: Duration::ZERO, ..stated(60_000, 1000) };
    let mut gates = Gates::of(&[spec], 100);
    for number in 0..10 {
        gates.reserve(GATE, attempt(number), &ASK, at(0));
    }
    let left = |gates: &Gates| gates.left(GATE, at(1))[0].remaining;
    assert_eq!(left(&gates), 59_991, "one refills in a millisecond");
    // The provider took them in last to first; its milliseconds are ours.
    for (missing, number) in (0..10).rev().enumerate() {
        let quotas =
            vec![Left { dimension: Dimension::Requests, limit: 60_000, remaining: 59_999 - missing as u64 }];
        gates.hear(GATE, attempt(number), &Told { admitted: true, quotas }, at(1));
        assert_eq!(left(&gates), 59_991, "{number}");
    }
    // Somebody else's five show all the same.
    gates.reserve(GATE, attempt(10), &ASK, at(1));
    let quotas = vec![Left { dimension: Dimension::Requests, limit: 60_000, remaining: 59_985 }];
    gates.hear(GATE, attempt(10), &Told { admitted: true, quotas }, at(1));
    assert_eq!(left(&gates), 59_985);
}

/// What was saved up before a limit was known is there to be used.
#[test]
fn a_large_bucket_is_used_as_soon_as_replies_tell_of_it() {
    let provider = Provider { tells: true, ..Provider::new(600, 600) };
    let seen = World::new(unknown(), provider, 64).work(31.0);
    assert_eq!(seen.refused.len(), 0);
    assert!(seen.taken_in.len() > 850, "{} of 900", seen.taken_in.len());
}

/// RELIABILITY.md R9: who comes with little to an account that another uses up gets through all the same.
#[test]
fn a_small_job_beside_a_flood_takes_at_most_twice_its_time() {
    for (spec, tells) in [(stated(600, 10), false), (unknown(), true), (unknown(), false)] {
        let provider = Provider { tells, answers: 4.0, ..Provider::new(600, 10) };
        let job = Job { from: 61.0, tasks: 10 };
        let mut alone = World::new(spec.clone(), provider.clone(), 64);
        alone.jobs = vec![job];
        let alone = alone.work(90.0).ended[0] - job.from;

        let mut world = World::new(spec, provider, 64);
        world.users.push(world.users[0].clone());
        world.jobs = vec![Job { from: 0.0, tasks: 10_000 }, job];
        // The new one knows at once that it is not alone, the other a second later.
        world.meetings = vec![(61.0, 1, 2), (62.0, 0, 2)];
        let seen = world.work(90.0);
        let took = seen.ended[1] - job.from;
        assert!(seen.by_user[1] == 10 && took <= 2.0 * alone, "{tells}: {took} s, {alone} s alone");
        assert!(seen.refusals() < 0.02, "{tells}: {}", seen.refusals());
    }
}

/// The same with short answers: alone it would take what a full bucket holds at once, and the flood leaves none.
/// So it waits until the flood knows of it, and then has its part of the refill.
#[test]
fn a_small_job_beside_a_flood_has_its_part_of_the_rate_after_a_second() {
    for (spec, tells) in [(stated(600, 10), false), (unknown(), true), (unknown(), false)] {
        for tasks in [10, 100] {
            let provider = Provider { tells, ..Provider::new(600, 10) };
            let mut world = World::new(spec.clone(), provider.clone(), 64);
            world.users.push(world.users[0].clone());
            world.jobs = vec![Job { from: 0.0, tasks: 10_000 }, Job { from: 61.0, tasks }];
            world.meetings = vec![(61.0, 1, 2), (62.0, 0, 2)];
            let seen = world.work(120.0);
            let took = seen.ended[1] - 61.0;
            let promised = 1.0 + f64::from(tasks) / 5.0 + provider.answers;
            let case =
                format!("{tasks} tasks, told {tells}: {took} s, {promised} s promised, {}", seen.refusals());
            assert!(seen.by_user[1] == tasks as usize && took <= 1.05 * promised, "{case}");
            assert!(seen.refusals() < 0.02, "{case}");
        }
    }
}

#[test]
fn a_gate_that_stands_aside_opens_by_itself_and_tells_who_asked() {
    let at = |second: u64| Time::from_micros(second * 1_000_000);
    let mut gates = Gates::of(&[stated(600, 10)], 100);
    assert!(!gates.is_asked(GATE));
    gates.stand_aside(GATE, at(2));
    let held = gates.check(GATE, &ASK, at(1)).unwrap_err();
    assert_eq!((held.verdict, &*held.reason), (Verdict::WaitUntil(at(2)), "a share of a/m"));
    assert!(!gates.is_asked(GATE), "a look is no question");
    gates.held(GATE);
    assert!(gates.is_asked(GATE) && gates.take_asked(GATE) && !gates.is_asked(GATE));
    // Nothing of what was there is lost.
    assert_eq!(gates.left(GATE, at(2))[0].remaining, 600);
    assert_eq!(gates.check(GATE, &ASK, at(2)), Ok(()));
    gates.reserve(GATE, attempt(1), &ASK, at(2));
    assert!(gates.take_asked(GATE));
}

/// Starts as many as may start between two seconds, each taken in at once; how many those were.
fn greedy(gates: &mut Gates, from: f64, to: f64, next: &mut u32) -> usize {
    let at = |second: f64| Time::from_micros((second * 1e6) as u64);
    let (mut now, first) = (at(from), *next);
    while now < at(to) {
        match gates.check(GATE, &ASK, now) {
            Ok(()) => {
                gates.reserve(GATE, attempt(*next), &ASK, now);
                gates.hear(GATE, attempt(*next), &Told { admitted: true, quotas: Vec::new() }, now);
                gates.settle(GATE, attempt(*next), &ASK, false, now);
                *next += 1;
            }
            Err(Held { verdict: Verdict::WaitUntil(until), .. }) => now = until,
            Err(held) => panic!("nothing is under way: {held:?}"),
        }
    }
    (*next - first) as usize
}

/// OpenAI's `slow_down` and Anthropic's acceleration limit: the account grew too fast.
#[test]
fn a_provider_that_minds_growth_is_asked_for_little_more_each_quarter_of_an_hour() {
    let at = |second: f64| Time::from_micros((second * 1e6) as u64);
    let mut gates = Gates::of(&[unknown()], 1000);
    let mut next = 0;
    let before = greedy(&mut gates, 1.0, 3.0, &mut next);
    gates.reserve(GATE, attempt(next), &ASK, at(3.0));
    gates.throttled(GATE, attempt(next), true, at(13.0), at(3.0));
    gates.settle(GATE, attempt(next), &ASK, true, at(3.0));
    next += 1;
    assert_eq!(greedy(&mut gates, 3.0, 13.0, &mut next), 0, "its wait is kept to");
    let first = greedy(&mut gates, 13.0, 73.0, &mut next) as f64;
    assert!(before > 100 && first <= before as f64 / 2.0 * 60.0, "{before} in 2 s, {first} in a minute");
    greedy(&mut gates, 73.0, 13.0 + 840.0, &mut next);
    let last = greedy(&mut gates, 13.0 + 840.0, 13.0 + 900.0, &mut next) as f64;
    assert!((1.2..1.55).contains(&(last / first)), "from {first} a minute to {last}");
}
