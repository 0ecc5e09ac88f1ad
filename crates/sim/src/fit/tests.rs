//! What is made of calls that were written by hand.

use super::*;
use crate::fault::Fault;
use crate::scenario::{Latency, Law, Samples};

/// A call that was answered: its start, its first token and its end after that, its tokens.
fn call(started_s: f64, first_s: f64, total_s: f64, output_tokens: u64) -> Observed {
    Observed {
        provider: "openai".to_owned(),
        started_s,
        first_token_s: Some(first_s),
        total_s,
        input_tokens: 20,
        output_tokens,
        failed: None,
    }
}

fn failed(class: Class, status: Option<u16>) -> Observed {
    let failed = Some(Failed { class, status });
    Observed { first_token_s: None, output_tokens: 0, failed, ..call(100.0, 0.0, 0.04, 0) }
}

/// Calls one after the other, of different lengths: half a second, and 50 tokens a second.
fn one_by_one() -> Vec<Observed> {
    (0..40u32)
        .map(|n| 10 + n)
        .map(|tokens| call(f64::from(tokens) * 9.0, 0.5, 0.5 + f64::from(tokens) / 50.0, u64::from(tokens)))
        .collect()
}

/// Two slots, four clients: each answer takes 2 s, those after the first two wait as long.
fn queued() -> Vec<Observed> {
    let call = |n: u32| {
        let (pair, wait) = (f64::from(n / 2), if n < 4 { f64::from(n / 2) * 2.0 } else { 2.0 });
        let start = if n < 4 { 0.0 } else { (pair - 1.0) * 2.0 };
        self::call(1000.0 + start, wait + 0.2, wait + 2.0, 40)
    };
    (0..40).map(call).collect()
}

fn noted(fitted: &Fitted, part: &str) -> bool {
    fitted.notes.iter().any(|note| note.contains(part))
}

#[test]
fn calls_that_were_alone_tell_a_pace_and_nothing_of_load() {
    let fitted = fit("alone", &one_by_one()).unwrap();
    let Latency::Paced { first_token, tokens_per_second } = &fitted.scenario.latency else {
        panic!("{:?}", fitted.scenario.latency)
    };
    assert_eq!((first_token, tokens_per_second), (&Law::Fixed(0.5), &Law::Fixed(50.0)));
    assert_eq!(fitted.scenario.server, None);
    assert!(noted(&fitted, "one at a time") && noted(&fitted, "network's share"), "{:?}", fitted.notes);
    let Law::Samples(Samples::Numbers(lengths)) = &fitted.scenario.output_tokens else {
        panic!("they differ")
    };
    assert_eq!((lengths.len(), lengths[0], lengths[39]), (40, 10.0, 49.0));
}

#[test]
fn a_pace_is_told_without_first_tokens() {
    let unseen = one_by_one().into_iter().map(|call| Observed { first_token_s: None, ..call });
    let fitted = fit("unseen", &unseen.collect::<Vec<_>>()).unwrap();
    assert!(noted(&fitted, "no first token"), "{:?}", fitted.notes);
    assert!(matches!(fitted.scenario.latency, Latency::Paced { .. }), "{:?}", fitted.scenario.latency);
}

#[test]
fn times_that_have_nothing_to_do_with_lengths_are_total() {
    let calls: Vec<Observed> = (0..40u64)
        .map(|n| call(n as f64 * 9.0, 0.5, 3.0 + (n % 3) as f64 / 10.0, 20 + (n * 37) % 100))
        .collect();
    let fitted = fit("total", &calls).unwrap();
    assert!(matches!(fitted.scenario.latency, Latency::Total { .. }), "{:?}", fitted.scenario.latency);
    assert!(noted(&fitted, "nothing to do with its length"), "{:?}", fitted.notes);
}

#[test]
fn a_queue_is_told_by_first_tokens_and_one_width_is_said_to_be_one() {
    let fitted = fit("queued", &queued()).unwrap();
    assert_eq!(fitted.scenario.server.as_ref().and_then(|server| server.slots), Some(2), "{fitted:?}");
    assert!(noted(&fitted, "hardly a call was alone"), "{:?}", fitted.notes);
    assert!(noted(&fitted, "2 of up to 4 calls"), "{:?}", fitted.notes);
    let Latency::Paced { tokens_per_second, .. } = &fitted.scenario.latency else { panic!("{fitted:?}") };
    let Law::Fixed(pace) = tokens_per_second else { panic!("{tokens_per_second:?}") };
    assert!((pace - 40.0 / 1.8).abs() < 0.1, "{pace}");
}

#[test]
fn calls_to_several_providers_tell_nothing_of_one_server() {
    let other = queued().into_iter().map(|call| Observed { provider: "anthropic".to_owned(), ..call });
    let mut calls: Vec<Observed> = queued().into_iter().chain(other).collect();
    calls.push(Observed { provider: "anthropic".to_owned(), ..failed(Class::Overloaded, Some(529)) });
    let fitted = fit("both", &calls).unwrap();
    assert_eq!(fitted.scenario.server, None);
    assert!(noted(&fitted, "2 providers"), "{:?}", fitted.notes);
    let [fault] = &fitted.scenario.faults[..] else { panic!("{:?}", fitted.scenario.faults) };
    assert_eq!((fault.provider.as_deref(), fault.share), (Some("anthropic"), 0.0243));
}

#[test]
fn failures_become_the_faults_that_clients_see_them_by() {
    let check = |class, status, fault: &str| {
        let mut calls = one_by_one();
        calls.extend((0..10).map(|_| failed(class, status)));
        let fitted = fit("failing", &calls).unwrap();
        let [share] = &fitted.scenario.faults[..] else { panic!("{class}: {:?}", fitted.scenario.faults) };
        assert_eq!((share.kind.to_string().as_str(), share.share), (fault, 0.2), "{class}");
    };
    check(Class::Throttled, Some(429), "429");
    check(Class::Overloaded, Some(503), "503");
    check(Class::Transient, None, "500");
    check(Class::Network, None, "reset");
    check(Class::Timeout, None, "stall-first");
    check(Class::CutOff, Some(200), "cut");
    check(Class::Malformed, Some(200), "malformed");
    check(Class::QuotaGone, Some(402), "no-credit");
    check(Class::Auth, Some(403), "403");
    check(Class::Invalid, Some(404), "404");
    check(Class::Redirected, Some(308), "308");
}

#[test]
fn answers_that_nobody_liked_are_answers_and_what_never_left_is_no_call() {
    let mut calls = one_by_one();
    let refused = Some(Failed { class: Class::Refused, status: Some(200) });
    calls.push(Observed { failed: refused, ..call(900.0, 0.5, 1.5, 50) });
    calls.push(failed(Class::OverBudget, None));
    let fitted = fit("liked", &calls).unwrap();
    assert_eq!(fitted.scenario.faults, []);
    assert_eq!(fitted.scenario.about, "fitted to 41 calls, 41 of them answered");
}

#[test]
fn refusals_show_the_network() {
    let mut calls = one_by_one();
    calls.extend((0..5).map(|_| failed(Class::Throttled, Some(429))));
    let fitted = fit("refused", &calls).unwrap();
    assert_eq!((fitted.scenario.network_ms.min, fitted.scenario.network_ms.max), (40.0, 40.0));
    let Latency::Paced { first_token, .. } = &fitted.scenario.latency else { panic!("{fitted:?}") };
    assert_eq!(first_token, &Law::Fixed(0.46));
    assert!(noted(&fitted, "refused for a limit"), "{:?}", fitted.notes);
    assert_eq!(fitted.scenario.faults[0].kind, Fault::Status(429));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let few = &one_by_one()[..4];
    assert!(matches!(fit("few", few), Err(FitError::TooFew { answered: 4 })));
    for time in [f64::NAN, -1.0, f64::INFINITY, 1e6] {
        for at in 0..3 {
            let mut calls = one_by_one();
            match at {
                0 => calls[3].total_s = time,
                1 => calls[3].first_token_s = Some(time),
                _ => calls[3].started_s = time,
            }
            // A clock may begin anywhere.
            let is_start = at == 2 && time.is_finite();
            let refused = matches!(fit("odd", &calls), Err(FitError::Senseless { index: 3 }));
            assert_eq!(refused, !is_start, "{time} at {at}");
        }
    }
}

#[test]
fn any_calls_make_a_scenario_that_reads_back() {
    for seed in 0..200u64 {
        let mut chance = sortie_core::chance::Chance::new(seed, &sortie_core::hash::Hash::of(b""), "calls");
        let scale = 10f64.powi(chance.below(7) as i32 - 4);
        let calls: Vec<Observed> = (0..5 + chance.below(60))
            .map(|_| {
                let total = scale * chance.share();
                let first = (chance.below(3) > 0).then(|| total * chance.share());
                let class = Class::ALL[chance.below(Class::ALL.len() as u64) as usize];
                let is_failed = chance.below(5) == 0;
                Observed {
                    provider: chance.pick(&["openai", "openai", "anthropic", "a\nb"]).to_owned(),
                    started_s: scale * 10.0 * chance.share(),
                    first_token_s: first,
                    total_s: total,
                    input_tokens: chance.below(100),
                    output_tokens: chance.below(1000),
                    failed: is_failed.then_some(Failed { class, status: Some(chance.below(700) as u16) }),
                }
            })
            .collect();
        let fitted = match fit("any: \"name\"\n# x", &calls) {
            Ok(fitted) => fitted,
            Err(FitError::TooFew { .. }) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let yaml = fitted.to_yaml();
        assert_eq!(Scenario::parse(&yaml).unwrap(), fitted.scenario, "seed {seed}: {yaml}");
    }
}

#[test]
fn it_reads_as_somebody_would_have_written_it() {
    let mut calls = queued();
    calls.extend((0..4).map(|_| failed(Class::Throttled, Some(429))));
    let yaml = fit("queued", &calls).unwrap().to_yaml();
    for line in [
        "name: \"queued\"\n",
        "  slots: 2\n",
        "  - { kind: \"429\", share: 0.0909 }\n",
        "output_tokens: { fixed: 40 }\n",
    ] {
        assert!(yaml.contains(line), "{line:?} is not in\n{yaml}");
    }
    let is_neat = |line: &str| line.len() <= 102 && line.trim_end() == line;
    let other = fit("other", &one_by_one()).unwrap().to_yaml();
    assert!(yaml.lines().chain(other.lines()).all(is_neat), "{yaml}{other}");
}
