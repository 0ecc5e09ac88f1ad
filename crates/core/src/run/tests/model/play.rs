//! A run and its reference, side by side.

use std::sync::Arc;
use std::time::Duration;

use super::reference::{End, Reference};
use super::{Came, FIRST_WAIT, Operation, dollars, whole};
use crate::agent::{Agent, Retry};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::limit::Gates;
use crate::money::Usd;
use crate::plan::{Edge, Plan, Task, TaskId, When};
use crate::run::control::Control;
use crate::run::event::{Answer, AttemptId, Event, Finish, Outcome, Record, Signal, Then, Timing};
use crate::run::input::{Action, Billing, Budgets, Input, Reply, Resume, Settings, Step};
use crate::run::tests::random::Rng;
use crate::run::{Phase, Run};
use crate::testing::{agent, settings, task};
use crate::time::Time;
use crate::usage::Usage;

/// Failures that may be tried again, in a case: with more of them the retry quota would be felt.
const RETRIES: u32 = 30;

pub(super) struct Play {
    plan: Arc<Plan>,
    settings: Arc<Settings>,
    run: Run,
    gates: Gates,
    reference: Reference,
    journal: Vec<Record>,
    now: Time,
    wake_at: Option<Time>,
    /// Whether the last reply spoke of an outage.
    is_ill: bool,
    retries: u32,
}

impl Play {
    /// The first tasks of a seed's plan.
    pub(super) fn plan_of(seed: u64, tasks: u64) -> Vec<Task> {
        let drawn = |index: u64| {
            let rng = &mut Rng::new(seed.wrapping_mul(1_000) + index);
            let mut task = task(&format!("t{index}"), &[], rng.range(1, 20) as u32);
            let mut edge = |id: u64, when| task.depends_on.push(Edge { task: TaskId(id as u32), when });
            let twin = (index > 0 && rng.percent(25)).then(|| rng.below(index));
            for on in 0..index {
                if Some(on) == twin {
                    edge(on, When::Any);
                } else if rng.percent(25) {
                    edge(on, rng.pick(&[When::Succeeded, When::Succeeded, When::Finished, When::Any]));
                }
            }
            task.same_as = twin.map(|on| TaskId(on as u32));
            task.priority = rng.pick(&[0, 0, 1]);
            task.expected = Some(Duration::from_secs(rng.range(1, 3)));
            task.max_cost = rng.percent(15).then(|| dollars(rng.range(10, 40)));
            task.stops_run = rng.percent(5);
            task
        };
        (0..tasks).map(drawn).collect()
    }

    pub(super) fn new(seed: u64, tasks: u64) -> Result<Self, String> {
        let rng = &mut Rng::new(seed.wrapping_add(1 << 40));
        let plan = Self::plan_of(seed, tasks);
        let budget = rng.percent(50).then(|| rng.range(5, 120));
        let most = rng.range(1, 4) as usize;
        let mut reference = Reference::new(plan.clone(), budget, most);
        reference.max_failures = rng.percent(20).then(|| rng.range(1, 3) as u32);
        reference.max_retries = rng.below(4) as u32;
        let retry =
            Retry { max_retries: reference.max_retries, initial_delay: FIRST_WAIT, ..Retry::default() };
        let settings = Arc::new(Settings {
            budget: budget.map(dollars),
            max_concurrent: most as u32,
            max_failures: reference.max_failures,
            run_timeout: Duration::from_secs(1_000_000),
            grace: Duration::from_secs(1_000_000),
            ..settings()
        });
        let plan = Arc::new(Plan::new("model".to_owned(), vec![Agent { retry, ..agent() }], plan));
        let mut play = Play {
            run: Run::new(Arc::clone(&plan), Arc::clone(&settings)),
            gates: Gates::new(&settings),
            journal: Vec::new(),
            now: Time::from_micros(1_000_000_000),
            wake_at: None,
            is_ill: false,
            retries: 0,
            plan,
            settings,
            reference,
        };
        play.tell(Input::Started, |_, _| Ok(()))?;
        Ok(play)
    }

    pub(super) fn does(&mut self, operation: Operation) -> Result<(), String> {
        match operation {
            Operation::Succeed(pick) => self.reply(pick, |asked| Came::Back(pick % (asked + 1))),
            Operation::Fail(pick) => {
                let came = self.failing(pick);
                self.reply(pick, |_| came)
            }
            Operation::Wake => self.wake(),
            Operation::Cancel => self.tell(Input::Cancelled(Signal::Interrupt), |reference, _| {
                reference.session.is_cancelled = true;
                Ok(())
            }),
            Operation::Pause | Operation::Unpause => {
                let is_paused = operation == Operation::Pause;
                let control = if is_paused { Control::Pause } else { Control::Resume };
                self.tell(Input::Controlled(control), |reference, _| {
                    reference.session.is_paused = is_paused;
                    Ok(())
                })
            }
            Operation::Concurrency(pick) => {
                let most = pick % 4 + 1;
                if self.reference.ended.is_some() {
                    return Ok(()); // nobody is there to be told
                }
                self.tell(Input::Controlled(Control::Concurrency(most as u32)), |reference, _| {
                    reference.most = most as usize;
                    Ok(())
                })
            }
            Operation::Crash => self.resume(None, false),
            Operation::Raise(pick) => {
                let budget = self.reference.budget.map(|budget| budget + pick % 40);
                self.resume(budget, false)
            }
            Operation::Reopen => self.resume(None, true),
        }
    }

    /// How the next failure comes: not as what the run would take for an outage.
    fn failing(&self, pick: u64) -> Came {
        let kind = pick % 11;
        let is_spent = self.retries >= RETRIES;
        match kind {
            0..=1 => Came::Refused,
            2 if pick.is_multiple_of(3) => Came::Unpaid,
            _ if is_spent => Came::Refused,
            2..=4 => Came::Wrong(pick % 3),
            _ if self.is_ill => Came::Refused,
            5..=6 => Came::Cut(pick % 2),
            _ => Came::Overloaded,
        }
    }

    fn reply(&mut self, pick: u64, came: impl FnOnce(u64) -> Came) -> Result<(), String> {
        let in_flight = self.reference.in_flight();
        let Some(&id) = in_flight.get(pick as usize % in_flight.len().max(1)) else { return Ok(()) };
        let came = came(self.reference.tasks[id].running.unwrap_or_default());
        let attempt = AttemptId::new(TaskId(id as u32), self.reference.tasks[id].attempts);
        self.is_ill = matches!(came, Came::Overloaded | Came::Cut(_));
        self.retries += u32::from(self.is_ill || matches!(came, Came::Wrong(_)));
        let now = self.now;
        self.tell(Input::Replied(reply(attempt, came)), |reference, step| {
            let wait = reference.came(id, came);
            let then = step.records.iter().find_map(|record| match &record.event {
                Event::AttemptFailed { attempt: of, then: Then::RetryAt(until), .. } if *of == attempt => {
                    Some(*until)
                }
                _ => None,
            });
            match (wait, then) {
                (None, None) => {}
                // How long within a tenth is the run's to say.
                (Some(wait), Some(until)) if (wait..=wait.mul_f64(1.1)).contains(&until.since(now)) => {
                    reference.tasks[id].until = until;
                }
                _ => return Err(format!("it is tried again at {then:?}, to be after {wait:?}")),
            }
            Ok(())
        })
    }

    fn wake(&mut self) -> Result<(), String> {
        let due = self.reference.due(self.now);
        if let Some(due) = due.filter(|_| !self.reference.is_held())
            && self.wake_at.is_none_or(|at| at > due)
        {
            return Err(format!("nobody wakes the run at {due:?}, but at {:?}", self.wake_at));
        }
        self.now = due.unwrap_or(self.now);
        self.tell(Input::Woke, |_, _| Ok(()))
    }

    fn resume(&mut self, budget: Option<u64>, retry_failed: bool) -> Result<(), String> {
        let replayed = Run::replay(Arc::clone(&self.plan), Arc::clone(&self.settings), &self.journal);
        let replayed = replayed.map_err(|error| error.to_string())?;
        if replayed.state != self.run.state {
            return Err("the live state is not the replayed state".to_owned());
        }
        self.run = replayed;
        self.gates = Gates::new(&self.settings);
        self.gates.rebuild(&self.plan, &self.settings, &self.journal);
        let budgets = Budgets::from(budget.map(dollars));
        let resume = Resume { budgets, retry_failed, ..Resume::default() };
        self.tell(Input::Resumed(resume), |reference, _| {
            reference.resume(budget, retry_failed);
            Ok(())
        })
    }

    /// Tells both, the reference in its own words, and compares what they have come to.
    fn tell(
        &mut self,
        input: Input,
        also: impl FnOnce(&mut Reference, &Step) -> Result<(), String>,
    ) -> Result<(), String> {
        let step = self.run.step(input, self.now, &mut self.gates);
        self.journal.extend_from_slice(&step.records);
        also(&mut self.reference, &step)?;
        let started = self.reference.go_on(self.now);
        self.wake_at = step.wake_at;
        let called = step.actions.iter().filter_map(|action| match action {
            Action::Call(attempt) => Some(*attempt),
            _ => None,
        });
        let called: Vec<AttemptId> = called.collect();
        let expected: Vec<AttemptId> = started
            .iter()
            .map(|&id| AttemptId::new(TaskId(id as u32), self.reference.tasks[id].attempts))
            .collect();
        same("starts", &called, &expected)?;
        self.compare()
    }

    fn compare(&self) -> Result<(), String> {
        let Play { run, reference, .. } = self;
        same("end", &run.outcome().map(named), &reference.ended)?;
        let charged = run.charged();
        same("charge", &[charged.actual, charged.estimated, charged.at_risk].map(whole), &reference.spent)?;
        same("reservation", &run.reserved(), &dollars(reference.reserved()))?;
        same("exact charge", &charged.total(), &reference.spent.map(dollars).into_iter().sum::<Usd>())?;
        for (id, task) in reference.tasks.iter().enumerate() {
            let own = run.task(TaskId(id as u32));
            let stands = match (task.end, task.running) {
                (Some(End::Succeeded), _) => "succeeded",
                (Some(End::Failed), _) => "failed",
                (Some(End::Skipped), _) => "skipped",
                (None, Some(_)) => "running",
                (None, None) if reference.is_met(id) == Some(true) => "waiting",
                (None, None) => "blocked",
            };
            let name = |what| format!("{what} of t{id}");
            same(&name("phase"), &phase(&own.phase), &stands)?;
            same(&name("attempts"), &own.attempts, &task.attempts)?;
            same(&name("failures"), &own.failures, &task.failures)?;
            same(&name("charge"), &own.charged.total(), &dollars(task.charged))?;
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, run: &T, reference: &T) -> Result<(), String> {
    if run == reference {
        Ok(())
    } else {
        Err(format!("the {what}: {run:?}, by the reference {reference:?}"))
    }
}

fn named(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::BudgetExceeded { .. } => "over budget",
        Outcome::ProviderStopped { .. } => "stopped",
        Outcome::TimedOut { .. } => "timed out",
        Outcome::TooManyFailures { .. } => "too many failures",
        Outcome::Interrupted { .. } => "interrupted",
    }
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Blocked => "blocked",
        Phase::Ready | Phase::Delayed(_) => "waiting",
        Phase::Running => "running",
        Phase::Succeeded { .. } => "succeeded",
        Phase::Failed => "failed",
        Phase::Skipped => "skipped",
        Phase::Removed => "removed",
    }
}

/// A plan, as far as it matters here.
pub(super) fn told(plan: &[Task]) -> String {
    let task = |task: &Task| {
        let Task { name, depends_on, same_as, max_tokens, max_cost, priority, expected, stops_run, .. } =
            task;
        let on: Vec<_> = depends_on.iter().map(|edge| (edge.task.0, edge.when)).collect();
        let same_as = same_as.map(|same| same.0);
        format!(
            "\n    {name} on {on:?}: same_as {same_as:?}, max_tokens {max_tokens}, max_cost {max_cost:?}, priority \
             {priority}, expected {expected:?}, stops_run {stops_run}"
        )
    };
    plan.iter().map(task).collect()
}

/// An attempt's reply, as an executor would tell it.
fn reply(attempt: AttemptId, came: Came) -> Reply {
    let usage = |output| Usage { output, ..Usage::default() };
    let answer =
        Answer { output: Hash::of(b"x"), bytes: 5, finish: Finish::Stop, model: "m".into(), request: None };
    let fail = |class| Err(Failure::new(class, "no"));
    let (result, billing) = match came {
        Came::Back(cost) => (Ok(answer), Billing::Reported(usage(cost))),
        Came::Wrong(cost) => (fail(Class::InvalidOutput), Billing::Reported(usage(cost))),
        Came::Cut(cost) => (fail(Class::CutOff), Billing::Estimated(usage(cost))),
        Came::Refused => (fail(Class::Refused), Billing::Nothing),
        Came::Overloaded => (fail(Class::Overloaded), Billing::Nothing),
        Came::Unpaid => (fail(Class::QuotaGone), Billing::Nothing),
    };
    Reply { attempt, result, billing, timing: Timing::default() }
}
