//! Providers that are ill for minutes, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, AgentId};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::limit::{GateId, GateSpec, Gates};
use crate::plan::{Plan, Task, TaskId};
use crate::run::event::{Answer, AttemptId, Event, Finish, Outcome, Record, Timing};
use crate::run::input::{Action, Billing, Input, Reply, Resume, Settings};
use crate::run::{Phase, Run};
use crate::testing::{agent, settings, task};
use crate::time::Time;

const START: Time = Time::from_micros(1_000_000);

/// How a call goes: how long it takes, and how it fails if it does.
pub(super) type Answered = (Duration, Option<Failure>);

/// What a play came to.
pub(super) struct Played {
    pub(super) run: Run,
    pub(super) outcome: Outcome,
    pub(super) records: Vec<Record>,
    /// Starts and ends of calls in their order, since the start of the run.
    pub(super) moments: Vec<Moment>,
    pub(super) waited_for: BTreeSet<String>,
}

#[derive(Clone, Copy)]
pub(super) struct Moment {
    at: Duration,
    gate: GateId,
    task: TaskId,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Started,
    Answered,
    Failed,
}

impl Played {
    pub(super) fn started(&self, gate: u16) -> Vec<(Duration, TaskId)> {
        let of_gate = self.moments.iter().filter(|m| m.gate == GateId(gate) && m.what == What::Started);
        of_gate.map(|moment| (moment.at, moment.task)).collect()
    }

    pub(super) fn all_succeeded(&self) -> bool {
        self.run.plan().ids().all(|id| matches!(self.run.task(id).phase, Phase::Succeeded { .. }))
    }
}

/// Plays a run of an agent for each gate whose calls go as `answer` says of their gate, task and the time
/// since the start.
fn play(
    settings: Settings,
    tasks: Vec<Task>,
    answer: impl Fn(GateId, TaskId, Duration) -> Answered,
) -> Played {
    let gates = 0..settings.gates.len() as u16;
    let agents = gates.map(|gate| Agent { gate: GateId(gate), ..agent() }).collect();
    play_by(settings, agents, tasks, answer)
}

/// The same of these agents.
pub(super) fn play_by(
    settings: Settings,
    agents: Vec<Agent>,
    tasks: Vec<Task>,
    answer: impl Fn(GateId, TaskId, Duration) -> Answered,
) -> Played {
    let plan = Arc::new(Plan::new("outage".into(), agents, tasks));
    let mut gates = Gates::new(&settings);
    let mut run = Run::new(Arc::clone(&plan), Arc::new(settings));
    let mut due: BTreeMap<(Time, usize), Reply> = BTreeMap::new();
    let (mut records, mut moments, mut waited_for) = (Vec::new(), Vec::<Moment>::new(), BTreeSet::new());
    let (mut now, mut input) = (START, Input::Started);
    loop {
        let step = run.step(input, now, &mut gates);
        records.extend(step.records);
        waited_for.extend(step.waiting.into_iter().map(|waiting| waiting.reason));
        let mut note = |attempt: AttemptId, what| {
            let gate = plan.agent_asked(attempt).gate;
            moments.push(Moment { at: now.since(START), gate, task: attempt.task, what });
            moments.len()
        };
        for action in step.actions {
            match action {
                Action::Call(attempt) => {
                    let (took, failure) =
                        answer(plan.agent_asked(attempt).gate, attempt.task, now.since(START));
                    due.insert((now + took, note(attempt, What::Started)), reply(attempt, took, failure));
                }
                Action::Finish(outcome) => return Played { run, outcome, records, moments, waited_for },
                Action::Abandon(_) | Action::Recall(_) => {}
            }
        }
        let next = due.first_key_value().map(|((at, _), _)| *at);
        (now, input) = match (next, step.wake_at) {
            (Some(at), wake) if wake.is_none_or(|wake| at <= wake) => {
                let (_, reply) = due.pop_first().unwrap();
                let what = if reply.result.is_ok() { What::Answered } else { What::Failed };
                let (task, gate) = (reply.attempt.task, plan.agent_asked(reply.attempt).gate);
                moments.push(Moment { at: at.since(START), gate, task, what });
                (at, Input::Replied(reply))
            }
            (_, wake) => (wake.expect("a run waits for something"), Input::Woke),
        };
    }
}

fn reply(attempt: AttemptId, total: Duration, failure: Option<Failure>) -> Reply {
    let answer =
        Answer { output: Hash::of(b""), bytes: 1, finish: Finish::Stop, model: "m".into(), request: None };
    let result = failure.map_or(Ok(answer), Err);
    Reply { attempt, result, billing: Billing::Nothing, timing: Timing { first_token: None, total } }
}

pub(super) fn seconds(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// Free tasks of each gate in turn.
fn tasks(count: u32, gates: u16) -> Vec<Task> {
    let of =
        |n: u32| Task { agent: AgentId((n % u32::from(gates)) as u16), ..task(&format!("t{n}"), &[], 1) };
    (0..count).map(of).collect()
}

fn bounds(gates: u16, max_concurrent: u32) -> Settings {
    let gate = |n| GateSpec {
        name: format!("a/m{n}"),
        account: "a".into(),
        requests_burst: 1,
        ..GateSpec::default()
    };
    let gates = (0..gates).map(gate).collect();
    Settings { gates, max_concurrent, run_timeout: seconds(1e6), ..settings() }
}

/// The ways in which a provider may be ill, and how long a call takes then.
fn illnesses() -> [Answered; 4] {
    [
        (seconds(0.05), Some(Failure::new(Class::Overloaded, "overloaded").with_status(529))),
        (seconds(0.2), Some(Failure::new(Class::Transient, "internal error").with_status(500))),
        (seconds(1.0), Some(Failure::new(Class::Network, "connection refused"))),
        (seconds(60.0), Some(Failure::new(Class::Timeout, "no first token"))),
    ]
}

/// Ill from the `from`-th second on for ten minutes.
fn ill_for_ten_minutes(from: f64, ill: &Answered) -> impl Fn(GateId, TaskId, Duration) -> Answered {
    let ill = ill.clone();
    move |_, _, at| {
        let is_ill = (seconds(from)..seconds(from + 600.0)).contains(&at);
        if is_ill { ill.clone() } else { (seconds(0.5), None) }
    }
}

/// R3: whatever is sent while all fails is one call for each task and a few more; then all is done.
#[test]
fn ten_minutes_of_failures_cost_few_requests_and_no_task() {
    for (seed, ill) in (0u32..).zip(illnesses().iter().cycle().take(12)) {
        for max_concurrent in [1, 8, 64, 256] {
            let from = f64::from(seed % 3) * 2.0;
            let bounds = Settings { seed: u64::from(seed), ..bounds(1, max_concurrent) };
            let played = play(bounds, tasks(3_000, 1), ill_for_ten_minutes(from, ill));
            let what = format!("{max_concurrent} at a time, seed {seed}, {:?}", ill.1);
            assert_eq!(played.outcome, Outcome::Completed, "{what}");
            assert!(played.all_succeeded(), "{what}");
            let sent = played.started(0);
            let in_outage: Vec<TaskId> = sent
                .iter()
                .filter(|(at, _)| (seconds(from)..seconds(from + 600.0)).contains(at))
                .map(|(_, task)| *task)
                .collect();
            let logical = in_outage.iter().collect::<BTreeSet<_>>().len();
            let most = logical as f64 * 1.1 + 50.0;
            assert!(in_outage.len() as f64 <= most, "{} for {logical} calls: {what}", in_outage.len());
            assert!(in_outage.len() >= 5, "it is probed: {what}");
            assert!(sent.len() as f64 <= 3_000.0 * 1.1 + 50.0, "{} in all: {what}", sent.len());
        }
    }
}

/// R7: it opens within 20 failed calls or 10 s; one probe at a time, 5 s to a minute apart; then no
/// more than twice as many in flight as were answered before.
#[test]
fn a_breaker_opens_soon_probes_alone_and_lets_no_herd_out() {
    for (seed, ill) in (0u32..).zip(illnesses().iter().cycle().take(8)) {
        for max_concurrent in [2, 10, 100] {
            let bounds = Settings { seed: u64::from(seed), ..bounds(1, max_concurrent) };
            let played = play(bounds, tasks(2_000, 1), ill_for_ten_minutes(3.0, ill));
            check_outage(&played.moments, &format!("{max_concurrent} at a time, seed {seed}, {:?}", ill.1));
        }
    }
}

fn check_outage(moments: &[Moment], what: &str) {
    let first = moments.iter().position(|moment| moment.what == What::Failed).unwrap();
    let failures = moments[first..].iter().filter(|moment| moment.what == What::Failed);
    let bound = failures.clone().nth(19).map_or(Duration::MAX, |twentieth| twentieth.at);
    let late = failures.clone().find(|failed| failed.at >= moments[first].at + seconds(10.0)).unwrap();
    let open = bound.min(late.at);
    // From here on each start is a probe, until one is answered. What was sent before is not counted.
    let mut in_flight = BTreeSet::new();
    let (mut answered, mut last_probe, mut last_gap) = (0, open, seconds(4.0));
    for moment in moments.iter().filter(|moment| moment.at > open) {
        match moment.what {
            What::Started if answered == 0 => {
                assert!(in_flight.insert(moment.task) && in_flight.len() == 1, "{what}: beside a probe");
                let gap = moment.at.saturating_sub(last_probe);
                assert!((last_gap.mul_f64(0.9)..seconds(120.0)).contains(&gap), "{what}: {gap:?} to a probe");
                (last_probe, last_gap) = (moment.at, gap);
            }
            What::Started => {
                in_flight.insert(moment.task);
                assert!(in_flight.len() <= answered + 1, "{what}: a herd after {answered} answers");
            }
            What::Failed | What::Answered => {
                let is_new = in_flight.remove(&moment.task);
                answered += usize::from(is_new && moment.what == What::Answered);
            }
        }
    }
    assert!(answered > 500, "{what}: {answered} answers after the outage");
}

#[test]
fn the_breaker_of_one_gate_does_not_touch_another() {
    let ill = &illnesses()[0];
    let others = |ill: Option<&Answered>| {
        let of_first = ill.map(|ill| ill_for_ten_minutes(2.0, ill));
        let gate_bounds = GateSpec { max_concurrent: Some(4), ..bounds(1, 1).gates[0].clone() };
        let two = Settings { gates: vec![gate_bounds.clone(), gate_bounds], ..bounds(2, 100) };
        let played = play(two, tasks(400, 2), |gate, task, at| match &of_first {
            Some(ill) if gate == GateId(0) => ill(gate, task, at),
            _ => (seconds(0.5), None),
        });
        assert!(played.all_succeeded());
        played.started(1)
    };
    assert_eq!(others(Some(ill)), others(None));
}

#[test]
fn tasks_that_are_ill_themselves_fail_and_hold_nobody_back() {
    // The first four of two hundred fail whenever they are sent; the longest answers go first.
    let mut tasks = tasks(200, 1);
    tasks[..4].iter_mut().for_each(|task| task.max_tokens = 50);
    let is_ill = |task: TaskId| task.0 < 4;
    let played = play(bounds(1, 4), tasks, |_, task, _| {
        (seconds(0.5), is_ill(task).then(|| Failure::new(Class::CutOff, "ended early")))
    });
    assert_eq!(played.outcome, Outcome::Completed);
    for id in played.run.plan().ids() {
        assert_eq!(played.run.task(id).phase == Phase::Failed, is_ill(id), "{id:?}");
    }
    assert!(played.run.last_time().since(START) < seconds(120.0), "{}", played.run.last_time());
}

/// Two tasks may be ill themselves: their retries end, as they would without a breaker.
#[test]
fn two_tasks_alone_use_up_their_retries() {
    let (took, ill) = illnesses()[0].clone();
    let played = play(bounds(1, 8), tasks(2, 1), |_, _, _| (took, ill.clone()));
    assert_eq!(played.outcome, Outcome::Completed);
    assert_eq!(played.started(0).len(), 8);
    assert!(played.run.plan().ids().all(|id| played.run.task(id).phase == Phase::Failed));
}

#[test]
fn an_outage_without_end_is_bounded_by_the_run_s_timeout() {
    let (took, ill) = illnesses()[0].clone();
    let after = seconds(600.0);
    let played =
        play(Settings { run_timeout: after, ..bounds(1, 8) }, tasks(50, 1), |_, _, _| (took, ill.clone()));
    assert_eq!(played.outcome, Outcome::TimedOut { after });
    assert!(played.run.plan().ids().all(|id| !played.run.task(id).has_ended()));
    let said = ["the next probe: a/m0 is failing", "the answer to a probe: a/m0 is failing"];
    assert!(said.iter().all(|said| played.waited_for.contains(*said)), "{:?}", played.waited_for);
    // A resume probes at once, and knows of the outage what the run knew.
    let Played { run, records, .. } = played;
    let (plan, settings) = (Arc::clone(run.plan()), Arc::clone(run.settings()));
    let mut resumed = Run::replay(plan, Arc::clone(&settings), &records).unwrap();
    assert_eq!(resumed.state, run.state);
    let mut gates = Gates::new(&settings);
    let step = resumed.step(Input::Resumed(Resume::default()), run.last_time(), &mut gates);
    assert!(matches!(step.actions[..], [Action::Call(_)]), "{:?}", step.actions);
}

fn no_such_model(n: u32) -> Failure {
    Failure::new(Class::Invalid, format!("model not found (req_0{n}CSHoEeqs5)")).with_status(404)
}

#[test]
fn twenty_calls_that_fail_alike_stop_their_gate_and_leave_the_rest_pending() {
    let played = play(bounds(2, 8), tasks(200, 2), |gate, task, at| match gate {
        GateId(0) => (seconds(0.1), Some(no_such_model(task.0 + at.subsec_millis()))),
        _ => (seconds(0.3), None),
    });
    let Outcome::ProviderStopped { failure } = &played.outcome else { panic!("{:?}", played.outcome) };
    let said = failure.to_string();
    let expected = "20 calls in a row failed alike: invalid (HTTP 404): model not found (req_";
    assert!(said.starts_with(expected), "{said}");
    assert!((20..28).contains(&played.started(0).len()), "{}", played.started(0).len());
    let run = &played.run;
    let phases = |gate| {
        let of_gate = run.plan().ids().filter(move |id| run.plan().agent_of(*id).gate == GateId(gate));
        of_gate.map(|id| &run.task(id).phase)
    };
    assert_eq!(phases(0).filter(|phase| **phase == Phase::Failed).count(), 19);
    assert_eq!(phases(0).filter(|phase| **phase == Phase::Ready).count(), 81);
    assert!(phases(1).all(|phase| matches!(phase, Phase::Succeeded { .. })), "the other model goes on");
}

#[test]
fn a_model_that_there_is_goes_on_beside_one_of_its_class_that_there_is_not() {
    let agents = ["m", "nope", "nope"].map(|model| Agent { model: model.into(), ..agent() }).to_vec();
    let is_wrong = |task: TaskId| !task.0.is_multiple_of(3);
    let played = play_by(bounds(1, 8), agents, tasks(300, 3), |_, task, at| {
        (seconds(0.1), is_wrong(task).then(|| no_such_model(task.0 + at.subsec_millis())))
    });
    assert!(matches!(played.outcome, Outcome::ProviderStopped { .. }), "{:?}", played.outcome);
    let phase = |id| &played.run.task(id).phase;
    let (wrong, right): (Vec<TaskId>, Vec<TaskId>) = played.run.plan().ids().partition(|id| is_wrong(*id));
    assert!(right.iter().all(|id| matches!(phase(*id), Phase::Succeeded { .. })), "the right one goes on");
    // Both agents that name the wrong one are stopped by what either saw.
    assert_eq!(wrong.iter().filter(|id| *phase(**id) == Phase::Failed).count(), 19);
}

#[test]
fn calls_that_fail_each_in_its_own_way_stop_nothing() {
    let check = |what: &str, fail: &dyn Fn(u32) -> Option<Failure>| {
        let played = play(bounds(1, 1), tasks(100, 1), |_, task, _| (seconds(0.1), fail(task.0)));
        assert_eq!(played.outcome, Outcome::Completed, "{what}");
    };
    let too_long = |n: u32| format!("prompt is too long: {} tokens > 200000 maximum", 200_001 + n);
    check("a success between", &|n| (n % 20 != 19).then(|| no_such_model(n)));
    check("lengths", &|n| Some(Failure::new(Class::Invalid, too_long(n)).with_status(400)));
    check("too large", &|_| Some(Failure::new(Class::Invalid, "request too large").with_status(413)));
    check("refusals", &|_| Some(Failure::new(Class::Refused, "I cannot help with that")));
}

/// A base URL that answers with its own web page: ill like an outage, and no waiting helps.
#[test]
fn pages_instead_of_answers_stop_their_gate_before_the_run_times_out() {
    let page = || Failure::new(Class::Malformed, "an HTML page, not an answer").with_status(200);
    let bounds = Settings { run_timeout: seconds(600.0), ..bounds(1, 10) };
    let played = play(bounds, tasks(100, 1), |_, _, _| (seconds(0.1), Some(page())));
    let Outcome::ProviderStopped { failure } = &played.outcome else { panic!("{:?}", played.outcome) };
    assert_eq!(failure.to_string(), "20 calls in a row failed alike: malformed: an HTML page, not an answer");
    assert!(played.run.plan().ids().all(|id| played.run.task(id).phase != Phase::Failed));
    let charged = |record: &&Record| matches!(record.event, Event::AttemptStarted { .. });
    assert_eq!(played.records.iter().filter(charged).count(), 20);
}
