//! Agents that cannot serve, and who does their tasks meanwhile, in virtual time.

use std::time::Duration;

use super::outage::{Answered, Played, What, play_by, seconds};
use crate::agent::{Agent, AgentId};
use crate::failure::{Class, Failure};
use crate::limit::{GateId, GateSpec};
use crate::money::Usd;
use crate::plan::{PromptSize, Task, TaskId};
use crate::price::{Price, Pricing};
use crate::run::Phase;
use crate::run::event::{AttemptId, Event, Outcome, Unserved};
use crate::run::input::Settings;
use crate::testing::{agent, settings, task};

/// An account for each agent, and no limit.
fn bounds(agents: u16) -> Settings {
    let gate = |n| GateSpec {
        name: format!("a{n}/m"),
        account: format!("a{n}"),
        requests_burst: 1,
        ..GateSpec::default()
    };
    Settings { gates: (0..agents).map(gate).collect(), run_timeout: seconds(1e6), ..settings() }
}

/// Agents of a gate each, with the fallbacks that are named.
fn agents(fallbacks: &[&[u16]]) -> Vec<Agent> {
    let of = |(gate, fallbacks): (u16, &&[u16])| Agent {
        gate: GateId(gate),
        fallbacks: fallbacks.iter().copied().map(AgentId).collect(),
        ..agent()
    };
    (0..).zip(fallbacks).map(of).collect()
}

/// Tasks of the first agent, a dollar each.
fn tasks(count: u32) -> Vec<Task> {
    (0..count).map(|n| task(&format!("t{n}"), &[], 1)).collect()
}

fn no_credit() -> Answered {
    (seconds(0.1), Some(Failure::new(Class::QuotaGone, "no credit left").with_status(402)))
}

const WELL: Answered = (Duration::from_millis(500), None);

fn play(agents: Vec<Agent>, tasks: Vec<Task>, gone: &[u16]) -> Played {
    let gone: Vec<GateId> = gone.iter().copied().map(GateId).collect();
    let answer = |gate, _, _| if gone.contains(&gate) { no_credit() } else { WELL };
    play_by(bounds(agents.len() as u16), agents, tasks, answer)
}

/// How many calls each gate got.
fn calls(played: &Played, gates: u16) -> Vec<usize> {
    (0..gates).map(|gate| played.started(gate).len()).collect()
}

#[test]
fn tasks_of_a_stopped_account_go_to_the_first_fallback_that_serves() {
    // Ten calls go out at once before the first of them says that there is no credit.
    for (fallbacks, gone, expected) in [
        ([&[1, 2][..], &[], &[]], &[0][..], [10, 30, 0]),
        ([&[2, 1], &[], &[]], &[0], [10, 0, 30]),
        ([&[1, 2], &[], &[]], &[0, 1], [10, 10, 30]),
    ] {
        let played = play(agents(&fallbacks), tasks(30), gone);
        assert_eq!(played.outcome, Outcome::Completed, "{fallbacks:?} without {gone:?}");
        assert!(played.all_succeeded(), "{fallbacks:?} without {gone:?}");
        assert_eq!(calls(&played, 3), expected, "{fallbacks:?} without {gone:?}");
    }
}

#[test]
fn a_run_ends_when_no_fallback_serves_and_theirs_are_not_asked() {
    let played = play(agents(&[&[1], &[2], &[]]), tasks(30), &[0, 1]);
    assert!(matches!(&played.outcome, Outcome::ProviderStopped { .. }), "{:?}", played.outcome);
    assert_eq!(calls(&played, 3), [10, 10, 0]);
}

#[test]
fn a_provider_that_is_failing_is_probed_while_its_tasks_go_elsewhere_and_comes_back() {
    let ill = (seconds(0.1), Some(Failure::new(Class::Overloaded, "overloaded").with_status(529)));
    let answer = |gate: GateId, _: TaskId, at: Duration| {
        if gate == GateId(0) && at < seconds(30.0) { ill.clone() } else { WELL }
    };
    let played = play_by(bounds(2), agents(&[&[1], &[]]), tasks(2_000), answer);
    assert!(played.all_succeeded());
    let own: Vec<Duration> = played.started(0).into_iter().map(|(at, _)| at).collect();
    let failed = own.iter().filter(|at| **at < seconds(30.0)).count();
    assert!((19..=23).contains(&failed), "{failed} calls: ten, those beside them, and the probes");
    let back = own.iter().find(|at| **at >= seconds(30.0)).copied().expect("it is probed again");
    let last_elsewhere = played.started(1).into_iter().map(|(at, _)| at).max().unwrap_or_default();
    assert!(back < seconds(45.0) && last_elsewhere <= back + WELL.0, "{back:?}, {last_elsewhere:?}");
    // What was failing is why, and the task's own agent is what nobody has to say.
    for record in &played.records {
        let Event::AttemptStarted { attempt, because, .. } = &record.event else { continue };
        assert_eq!(attempt.agent.is_some(), because.is_some());
        assert!(because.is_none_or(|because| because == Unserved::Failing), "{because:?}");
    }
}

/// Its first call is throttled, for 20 s.
fn throttled_for_20_s(after: Option<f64>) -> Played {
    let mut agents = agents(&[&[1], &[]]);
    agents[0].fallback_after = after.map(seconds);
    let slow_down =
        Failure { retry_after: Some(seconds(20.0)), ..Failure::new(Class::Throttled, "slow down") };
    let answer = |gate: GateId, _: TaskId, at: Duration| {
        let is_closed = gate == GateId(0) && at < seconds(20.0);
        if is_closed { (seconds(0.1), Some(slow_down.clone())) } else { (seconds(1.0), None) }
    };
    play_by(bounds(2), agents, tasks(300), answer)
}

#[test]
fn tasks_of_a_throttled_agent_wait_unless_it_takes_longer_than_they_may_wait() {
    for after in [None, Some(30.0)] {
        let played = throttled_for_20_s(after);
        assert!(played.all_succeeded());
        assert!(played.started(1).is_empty(), "{after:?}");
    }
    let played = throttled_for_20_s(Some(10.0));
    assert!(played.all_succeeded());
    // Those that were refused do not wait for their retry; and after 20 s their own agent serves again.
    let [own, fallback] = calls(&played, 2)[..] else { panic!() };
    assert_eq!(own + fallback, 300 + 10);
    assert!((150..250).contains(&fallback), "{fallback}");
    assert!(played.started(1).iter().all(|(at, _)| *at < seconds(20.5)));
}

#[test]
fn refusals_one_after_the_other_are_one_time_without_service() {
    let mut agents = agents(&[&[1], &[]]);
    agents[0].fallback_after = Some(seconds(12.0));
    agents[0].retry.max_retries = 100;
    let slow_down =
        Failure { retry_after: Some(seconds(5.0)), ..Failure::new(Class::Throttled, "slow down") };
    let answer = |gate: GateId, _: TaskId, _: Duration| {
        if gate == GateId(0) { (seconds(0.1), Some(slow_down.clone())) } else { WELL }
    };
    let played = play_by(Settings { max_concurrent: 1, ..bounds(2) }, agents, tasks(5), answer);
    assert!(played.all_succeeded());
    assert_eq!(played.started(1).len(), 5);
    assert!(played.started(1)[0].0 >= seconds(10.0), "three waits of 5 s are more than 12 s, two are not");
}

#[test]
fn a_fallback_takes_only_what_its_model_and_the_limits_in_money_allow() {
    let dollars = |n: f64| Usd::from_f64(n).unwrap();
    let dear = Pricing::Known(Price::flat(Usd::ZERO, dollars(3.0)));
    let base = || agents(&[&[1], &[]]);
    let with = |change: fn(&mut Agent)| {
        let mut agents = base();
        change(&mut agents[1]);
        agents
    };
    let long = |bytes| Task {
        prompt: PromptSize { fixed_bytes: bytes, fixed_tokens: Some(1), ..PromptSize::default() },
        ..task("t", &[], 1)
    };
    let limited = |limit| Task { max_cost: Some(dollars(limit)), ..task("t", &[], 1) };
    let dear = |change: fn(&mut Agent)| {
        let mut agents = with(change);
        agents[1].pricing = dear.clone();
        agents
    };
    let unpriced = with(|agent| agent.pricing = Pricing::Unknown);
    for (what, agents, task, goes) in [
        ("it fits its context", with(|agent| agent.context = Some(133)), long(100), true),
        ("it does not", with(|agent| agent.context = Some(132)), long(100), false),
        (
            "a longer system prompt",
            with(|agent| (agent.context, agent.system_bytes) = (Some(133), 1)),
            long(100),
            false,
        ),
        ("its limit allows it", dear(|_| {}), limited(3.0), true),
        ("its limit does not", dear(|_| {}), limited(2.9), false),
        (
            "the fallback's budget does",
            dear(|agent| agent.max_cost = Usd::from_f64(3.0)),
            task("t", &[], 1),
            true,
        ),
        ("it does not", dear(|agent| agent.max_cost = Usd::from_f64(2.9)), task("t", &[], 1), false),
        ("nobody asks for its price", unpriced.clone(), task("t", &[], 1), true),
        ("its limit does", unpriced, limited(100.0), false),
    ] {
        let played = play(agents, vec![task], &[0]);
        assert_eq!(played.all_succeeded(), goes, "{what}");
        let stays = matches!(played.run.task(TaskId(0)).phase, Phase::Ready);
        assert_eq!((stays, played.started(1).len()), (!goes, usize::from(goes)), "{what}");
    }
}

#[test]
fn what_a_fallback_cannot_do_holds_nobody_who_can_go() {
    let mut agents = agents(&[&[1], &[]]);
    agents[1].context = Some(1_000);
    // The long ones stand first in the queue.
    let task = |n: u32| Task {
        prompt: PromptSize { fixed_bytes: if n < 5 { 2_000 } else { 10 }, ..PromptSize::default() },
        ..task(&format!("t{n}"), &[], 1)
    };
    let played = play(agents, (0..20).map(task).collect(), &[0]);
    assert!(matches!(&played.outcome, Outcome::ProviderStopped { .. }), "{:?}", played.outcome);
    let done = played.moments.iter().filter(|moment| moment.what == What::Answered).count();
    assert_eq!(done, 15);
}

#[test]
fn an_attempt_of_before_fallbacks_reads_as_one_by_the_task_s_own_agent() {
    let written = r#"{"event":"attempt_started","attempt":{"task":3,"number":2},"reserved":{"usd":500,"input_tokens":1,"output_tokens":2}}"#;
    let event: Event = serde_json::from_str(written).unwrap();
    assert_eq!(event.attempt(), Some(AttemptId::new(TaskId(3), 2)));
    assert_eq!(serde_json::to_string(&event).unwrap(), written);
}
