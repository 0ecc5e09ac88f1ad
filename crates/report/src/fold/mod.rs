//! A run as its events tell it, one record at a time: the same code for the live view and for a
//! journal.
//!
//! The fold counts and remembers, and decides nothing. It believes no journal: a record that names
//! a task which the plan does not have is passed over. Durations run on the *run's clock*, which
//! stands still between the end of one session and the resume that begins the next: a night's
//! pause is nobody's queueing time. A session that crashed ends with its last record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::ceiling::Bound;
use sortie_core::failure::Failure;
use sortie_core::limit::GateSpec;
use sortie_core::money::Usd;
use sortie_core::plan::{Edge, End, Plan, TaskId};
use sortie_core::prediction::Prediction;
use sortie_core::run::control::Control;
use sortie_core::run::event::{
    Answer, AttemptId, Event, Finish, Outcome, Record, Signal, Spent, Then, Timing, Unserved,
};
use sortie_core::run::input::{Mode, Settings};
use sortie_core::time::Time;
use sortie_core::usage::{Charge, Cost, Usage};

use crate::costs::{Costs, Grouping, Settled};
use crate::stopped::Stops;
use crate::summary::Summary;

pub(crate) mod clock;
mod counts;
mod read;
mod recover;
mod reopen;
mod task;

pub use counts::Counts;
pub use task::{Earlier, Overrun, Status, TaskView};

use clock::Clock;

/// What a run was created with.
#[derive(Clone, Debug)]
pub struct RunView {
    /// The run's id.
    pub run_id: String,
    /// When it was created.
    pub created: Time,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// What binds it.
    pub settings: Arc<Settings>,
}

/// A run, folded.
#[derive(Clone, Debug)]
pub struct Fold {
    run: RunView,
    tasks: Vec<TaskView>,
    called: BTreeSet<AgentId>,
    unmet: Vec<u32>,
    clock: Clock,
    counts: Counts,
    charge: Charge,
    costs: [Costs; Grouping::WITHIN_RUN.len()],
    reserved: Usd,
    budget: Option<Usd>,
    budget_stops: bool,
    agent_budgets: Vec<Option<Usd>>,
    finished: Vec<TaskId>,
    outcome: Option<Outcome>,
    draining: bool,
    controls: Vec<(Time, Control)>,
    cancelled: Vec<Time>,
    stops: Stops,
    last: Time,
    forecast: Option<Prediction>,
    /// What ready tasks were held by.
    waits: BTreeMap<String, Duration>,
    over_budget: Option<OverBudget>,
    overruns: Vec<Overrun>,
}

/// Calls that cost more than was reserved for them, of which a run keeps what they were: where there are
/// many, all have the same cause.
const MOST_OVERRUNS: usize = 20;

/// Whose budget was reached last (none: the run's), and the task that it stopped, with the
/// `max_tokens` that would have fitted.
pub type OverBudget = (Option<AgentId>, Option<(TaskId, u32)>);

/// What reports are made of: a fold, and its summary at one moment.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The fold.
    pub fold: &'a Fold,
    /// Its summary.
    pub summary: Summary,
    /// The least time that its calls could have taken; none where none was made.
    pub bound: Option<Bound>,
    /// What providers are known to allow, one for each gate; none where nothing is known.
    pub(crate) allowed: Vec<GateSpec>,
}

impl Report<'_> {
    /// The least time that the calls could have taken, where it makes sense to compare the run with
    /// it and with its calls one after the other: several tasks, allowed to run side by side.
    pub(crate) fn comparison(&self) -> Option<Bound> {
        let several = self.summary.cost.tasks_count > 1 && self.summary.mode == Mode::Parallel;
        self.bound.filter(|_| several)
    }
}

impl Fold {
    /// A run before its first event.
    pub fn new(run: RunView) -> Self {
        let unmet: Vec<u32> = run.plan.tasks().iter().map(|task| task.depends_on.len() as u32).collect();
        let status = |id| if run.plan.is_removed(id) { Status::Removed } else { Status::Pending };
        let view = |id| TaskView { status: status(id), ..TaskView::default() };
        let tasks: Vec<TaskView> = run.plan.ids().map(view).collect();
        let queued = unmet.iter().zip(&tasks).filter(|(n, view)| **n == 0 && view.status == Status::Pending);
        let counts = Counts {
            pending: run.plan.to_do() as u64,
            removed: (run.plan.len() - run.plan.to_do()) as u64,
            queued: queued.count() as u64,
            ..Counts::default()
        };
        Fold {
            tasks,
            called: BTreeSet::new(),
            clock: Clock::default(),
            counts,
            charge: Charge::default(),
            costs: Grouping::WITHIN_RUN.map(|by| {
                let mut costs = Costs::new(by);
                costs.begin_run(unmet.len());
                costs
            }),
            unmet,
            reserved: Usd::ZERO,
            budget: run.settings.budget,
            budget_stops: run.settings.auto_stop,
            agent_budgets: run.plan.agents().iter().map(|agent| agent.max_cost).collect(),
            finished: Vec::new(),
            outcome: None,
            draining: false,
            controls: Vec::new(),
            cancelled: Vec::new(),
            stops: Stops::default(),
            last: run.created,
            forecast: None,
            waits: BTreeMap::new(),
            over_budget: None,
            overruns: Vec::new(),
            run,
        }
    }

    /// A run with all these records applied.
    pub fn of<'r>(run: RunView, records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut fold = Fold::new(run);
        records.into_iter().for_each(|record| fold.apply(record));
        fold
    }

    /// Takes the next record.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        self.last = self.last.max(at);
        if !matches!(record.event, Event::RunStarted | Event::RunResumed) {
            self.clock.touch(at);
        }
        if let Some(call) = Settled::of(&self.run, record) {
            self.costs.iter_mut().for_each(|costs| costs.add(&call));
        }
        match &record.event {
            Event::RunStarted | Event::RunResumed => {
                self.clock.start(at);
                self.outcome = None;
                self.draining = false;
                self.stops.resumed();
            }
            Event::AttemptStarted { attempt, reserved, because } => {
                self.rerouted(*attempt, *because);
                self.attempt_started(*attempt, reserved, at);
            }
            Event::AttemptSucceeded { attempt, answer, spent, timing } => {
                self.attempt_succeeded(attempt.task, answer, spent, *timing, at);
            }
            Event::AttemptFailed { attempt, failure, spent, timing, then } => {
                if *then == Then::StopAccount && self.tasks.get(attempt.task.index()).is_some() {
                    self.stops.stopped(self.run.plan.asked(*attempt), failure);
                }
                self.attempt_failed(attempt.task, failure, spent, *timing, then, at);
            }
            Event::AttemptLost { attempt, spent } => self.attempt_lost(attempt.task, spent),
            Event::AttemptRecovered { attempt, answer, at_risk, spent, .. } => {
                self.recovered(attempt.task, answer.as_ref(), *at_risk, spent, at);
            }
            Event::TaskRecalled { task, answer, run } => {
                self.answered(*task, Earlier::Run(Arc::clone(run)), Some(Box::new(answer.clone())), at);
            }
            Event::TaskShared { task, with } => {
                let answer = self.tasks.get(with.index()).and_then(|view| view.answer.clone());
                self.answered(*task, Earlier::Task(*with), answer, at);
            }
            Event::TaskFailed { task, failure } => {
                self.counts.unsent += 1;
                self.task_failed(*task, failure, at);
            }
            Event::TaskSkipped { task, because } => {
                if let Some(view) = self.tasks.get_mut(task.index()) {
                    (view.skipped, view.skipped_at) = (Some(because.clone()), Some(at));
                    self.set(*task, Status::Skipped);
                    self.release_behind(*task, End::Skipped, record.at);
                }
            }
            Event::BudgetSet { agent: Some(agent), budget } => {
                self.over_budget = None;
                if let Some(own) = self.agent_budgets.get_mut(agent.index()) {
                    *own = *budget;
                }
            }
            Event::BudgetSet { budget, agent: None } => {
                self.budget = *budget;
                self.budget_stops = true;
                self.draining = false;
            }
            Event::Reopened { tasks } => self.reopened(tasks, at),
            Event::PlanChanged { again, revision, .. } => self.plan_changed(again, revision.as_deref(), at),
            Event::BudgetWarned { .. } => {}
            Event::Waited { waits } => {
                for wait in waits {
                    let total = self.waits.entry(wait.reason.clone()).or_default();
                    *total = total.saturating_add(wait.time);
                }
            }
            Event::ForecastMade { forecast } => {
                self.forecast.get_or_insert(*forecast);
            }
            Event::BudgetReached { agent, fitting_max_tokens, task, .. } => {
                // An agent's own stops only its tasks.
                self.draining |= agent.is_none();
                self.over_budget = Some((*agent, task.zip(*fitting_max_tokens)));
            }
            Event::Controlled { control } => self.controls.push((at, *control)),
            Event::CancelRequested { signal } => {
                self.draining = true;
                self.cancelled.extend((*signal == Signal::Cancel).then_some(at));
            }
            Event::RunEnded { outcome } => {
                self.outcome = Some(outcome.clone());
                self.clock.stop();
            }
        }
    }

    /// Counts the task for the account that is stopped, once for each fallback it comes to.
    fn rerouted(&mut self, attempt: AttemptId, because: Option<Unserved>) {
        let (Some(Unserved::Stopped), Some(to)) = (because, attempt.agent) else { return };
        if self.tasks.get(attempt.task.index()).is_some_and(|view| view.fallback != Some(to)) {
            self.stops.went(&self.run, self.run.plan.task(attempt.task).agent, to);
        }
    }

    fn attempt_started(&mut self, attempt: AttemptId, reserved: &Cost, at: Time) {
        let now = self.clock.at(at);
        let Some(view) = self.tasks.get_mut(attempt.task.index()) else { return };
        view.attempts += 1;
        view.fallback = attempt.agent;
        self.counts.rerouted += u64::from(attempt.agent.is_some() && !view.rerouted);
        view.rerouted |= attempt.agent.is_some();
        view.reserved = reserved.usd;
        view.reserved_input = reserved.input_tokens;
        if view.started_at.is_none() {
            view.started_at = Some(at);
            view.first_start = now;
            view.queued = Some(now.saturating_sub(view.ready));
        }
        self.called.insert(self.run.plan.asked(attempt));
        self.reserved += reserved.usd;
        self.counts.calls += 1;
        self.set(attempt.task, Status::Running);
    }

    fn attempt_succeeded(&mut self, task: TaskId, answer: &Answer, spent: &Spent, timing: Timing, at: Time) {
        self.settle(task, spent, Some(timing), Some(&answer.model));
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        view.answer = Some(Box::new(answer.clone()));
        view.answer_input = spent.usage.map(|usage| usage.total_input());
        view.failure = None;
        self.counts.cut_by_max_tokens += u64::from(answer.finish == Finish::MaxTokens);
        self.finish(task, Status::Succeeded, at);
    }

    /// A task has succeeded without a call.
    fn answered(&mut self, task: TaskId, by: Earlier, answer: Option<Box<Answer>>, at: Time) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        (view.answer, view.without_call, view.failure) = (answer, Some(by), None);
        self.counts.without_call += 1;
        self.finish(task, Status::Succeeded, at);
    }

    /// Whoever waits for a task that has ended like this, and for nothing else, queues from here on.
    fn release_behind(&mut self, task: TaskId, end: End, at: Time) {
        let now = self.clock.at(at);
        for Edge { task: next, .. } in
            self.run.plan.dependants(task).iter().filter(|on| on.when.is_met_by(end))
        {
            let unmet = &mut self.unmet[next.index()];
            let was = std::mem::replace(unmet, unmet.saturating_sub(1));
            if was == 1 && self.tasks[next.index()].status == Status::Pending {
                self.tasks[next.index()].ready = now;
                self.counts.queued += 1;
            }
        }
    }

    fn attempt_failed(
        &mut self,
        task: TaskId,
        failure: &Failure,
        spent: &Spent,
        timing: Timing,
        then: &Then,
        at: Time,
    ) {
        if failure.class.is_unsent() {
            self.never_left(task);
        } else {
            self.settle(task, spent, Some(timing), failure.model.as_deref());
            *self.counts.failed_attempts.entry(failure.class).or_default() += 1;
        }
        match then {
            Then::Fail => self.task_failed(task, failure, at),
            Then::RetryAt(_) | Then::AgainAt(_) | Then::StopAccount => {
                let Some(view) = self.tasks.get_mut(task.index()) else { return };
                view.failure = Some(Box::new(failure.clone()));
                self.counts.retries += u64::from(matches!(then, Then::RetryAt(_) | Then::AgainAt(_)));
                self.set(task, Status::Pending);
            }
        }
    }

    fn attempt_lost(&mut self, task: TaskId, spent: &Spent) {
        self.settle(task, spent, None, None);
        self.counts.lost += 1;
        self.set(task, Status::Pending);
    }

    fn task_failed(&mut self, task: TaskId, failure: &Failure, at: Time) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        view.failure = Some(Box::new(failure.clone()));
        self.finish(task, Status::Failed, at);
    }

    /// Takes back that the attempt was a call: it had its reservation, and was never sent.
    fn never_left(&mut self, task: TaskId) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        self.reserved -= std::mem::take(&mut view.reserved);
        // A damaged journal may end what it did not start.
        self.counts.calls -= u64::from(view.status == Status::Running && self.counts.calls > 0);
        self.counts.unsent += 1;
    }

    /// Replaces what the attempt reserved by what it came to.
    fn settle(&mut self, task: TaskId, spent: &Spent, timing: Option<Timing>, model: Option<&str>) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        let reserved = std::mem::take(&mut view.reserved);
        self.reserved -= reserved;
        let over = spent.charge.total().minus(reserved);
        if !over.is_zero() && self.overruns.len() < MOST_OVERRUNS {
            let Usage { tier, output: output_tokens, .. } = spent.usage.unwrap_or_default();
            let model = model.filter(|model| !model.is_empty()).map(str::to_owned);
            self.overruns.push(Overrun { task, reserved, over, model, tier, output_tokens });
        }
        view.ran = true;
        if let Some(timing) = timing {
            view.timing = Some(timing);
            view.call_time = view.call_time.saturating_add(timing.total);
        }
        if let Some(usage) = spent.usage {
            view.add_usage(usage);
        }
        view.charge.add(&spent.charge);
        self.charge.add(&spent.charge);
    }

    fn finish(&mut self, task: TaskId, status: Status, at: Time) {
        let now = self.clock.at(at);
        let view = &mut self.tasks[task.index()];
        view.finished_at = Some(at);
        let called = view.started_at.filter(|_| view.ran);
        view.took = called.map(|_| now.saturating_sub(view.first_start));
        self.finished.push(task);
        self.set(task, status);
        let end = if status == Status::Succeeded { End::Succeeded } else { End::Failed };
        self.release_behind(task, end, at);
    }

    /// Moves a task to another status; the counts follow.
    fn set(&mut self, task: TaskId, status: Status) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        let was = std::mem::replace(&mut view.status, status);
        *self.counts.tasks(was) -= 1;
        *self.counts.tasks(status) += 1;
        if self.unmet[task.index()] == 0 {
            self.counts.queued -= u64::from(was == Status::Pending);
            self.counts.queued += u64::from(status == Status::Pending);
        }
    }
}
