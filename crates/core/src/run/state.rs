//! The state of a run, and the one function that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{AttemptId, BudgetMark, Event, Outcome, Record, Signal, Then};
use super::failures::Failures;
use super::health::Health;
use super::input::Settings;
use super::planted;
use super::ready::Ready;
use super::recall::Recall;
use super::recover::Lost;
use super::task::{Phase, TaskState};
use super::waits::Waits;
use crate::agent::{Agent, AgentId};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::money::Usd;
use crate::plan::{Plan, TaskId};
use crate::time::Time;
use crate::usage::{Charge, Cost};

/// One execution of a plan. See the module for how it is driven.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) settings: Arc<Settings>,
    pub(super) state: State,
    /// Beside the state: what was waited for and is not told yet.
    pub(super) waits: Waits,
    /// Beside the state: whose requests may have been answered before, as far as nobody has looked.
    pub(super) recall: Recall,
}

/// Everything that records change; compared as a whole with its replay.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) last_seq: u64,
    pub(super) last_time: Time,
    /// Since when the run timeout is counted: when the run was started or last resumed, had its last answer, or may go
    /// on after a wait that a provider asked for; later by as long as it was paused since; none before that.
    pub(super) session: Option<Time>,
    pub(super) tasks: Vec<TaskState>,
    pub(super) ready: Ready,
    /// Ready tasks whose answer another one has.
    pub(super) shared: BTreeSet<TaskId>,
    pub(super) in_flight: BTreeMap<TaskId, InFlight>,
    /// Attempts that were lost and not found again.
    pub(super) lost: BTreeMap<AttemptId, Lost>,
    /// Tasks that have neither succeeded nor failed nor been skipped.
    pub(super) open: usize,
    pub(super) budget: Option<Usd>,
    /// Whether the budget stops the run (else it warns).
    pub(super) budget_stops: bool,
    /// What all attempts came to.
    pub(super) charged: Charge,
    /// What the attempts in flight may cost at most.
    pub(super) reserved: Usd,
    /// The same for each agent's attempts.
    pub(super) agents: Vec<AgentMoney>,
    /// What was warned of: of the run's money, or of an agent's.
    pub(super) marks: BTreeSet<(Option<AgentId>, BudgetMark)>,
    /// What the next call would have had to reserve, and the budget that did not allow it.
    pub(super) over_budget: Option<(Usd, Usd)>,
    /// Tasks that failed, and whether that ends the run.
    pub(super) failures: Failures,
    /// Accounts that will not serve us, and what they said.
    pub(super) stopped: BTreeMap<String, Failure>,
    pub(super) health: Health,
    /// How the user asked it to stop, and when.
    pub(super) cancelled: Option<(Signal, Time)>,
    /// Since when the user has paused it.
    pub(super) paused: Option<Time>,
    pub(super) ended: Option<Outcome>,
}

/// An attempt in flight, and what it may take at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct InFlight {
    pub(super) attempt: AttemptId,
    pub(super) reserved: Cost,
}

/// The money of one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct AgentMoney {
    /// What they may come to.
    pub(super) budget: Option<Usd>,
    /// What its attempts came to.
    pub(super) charged: Charge,
    /// What those in flight may cost at most.
    pub(super) reserved: Usd,
    /// What its next call would have had to reserve, and its budget that did not allow it.
    pub(super) over: Option<(Usd, Usd)>,
}

impl AgentMoney {
    pub(super) fn of(agent: &Agent) -> Self {
        AgentMoney { budget: agent.max_cost, ..AgentMoney::default() }
    }
}

/// A record that cannot have been written after those before it: the journal is damaged, or
/// belongs to another plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} does not follow from those before it: {why}")]
pub struct IllegalRecord {
    /// Its number.
    pub seq: u64,
    /// What is wrong.
    pub why: &'static str,
}

impl Run {
    /// A run that has not started.
    pub fn new(plan: Arc<Plan>, settings: Arc<Settings>) -> Self {
        let tasks: Vec<TaskState> = plan.tasks().iter().map(TaskState::new).collect();
        let state = State {
            last_seq: 0,
            last_time: Time::ZERO,
            session: None,
            open: tasks.len(),
            tasks,
            ready: Ready::default(),
            shared: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            lost: BTreeMap::new(),
            budget: settings.budget,
            budget_stops: settings.auto_stop,
            charged: Charge::default(),
            reserved: Usd::ZERO,
            agents: plan.agents().iter().map(AgentMoney::of).collect(),
            marks: BTreeSet::new(),
            over_budget: None,
            failures: Failures::default(),
            stopped: BTreeMap::new(),
            health: Health::new(&settings, &plan),
            cancelled: None,
            paused: None,
            ended: None,
        };
        let mut run = Run { plan, settings, state, waits: Waits::default(), recall: Recall::default() };
        for id in run.plan.ids().filter(|id| run.task(*id).phase == Phase::Ready).collect::<Vec<_>>() {
            run.make_ready(id);
        }
        run
    }

    /// The run as it was after these records.
    ///
    /// # Errors
    /// The first record that does not follow from those before it.
    pub fn replay(
        plan: Arc<Plan>,
        settings: Arc<Settings>,
        records: &[Record],
    ) -> Result<Self, IllegalRecord> {
        let mut run = Run::new(plan, settings);
        records.iter().try_for_each(|record| run.apply(record))?;
        Ok(run)
    }

    /// The same run under other settings.
    #[must_use]
    pub fn under(&self, settings: Arc<Settings>) -> Self {
        Run { settings, ..self.clone() }
    }

    /// The plan that it executes.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// What binds it.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// The number of the last record, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.state.last_seq
    }

    /// The time of the last record.
    pub fn last_time(&self) -> Time {
        self.state.last_time
    }

    /// What is known of a task.
    pub fn task(&self, id: TaskId) -> &TaskState {
        &self.state.tasks[id.index()]
    }

    /// The hash of a task's output, once it has succeeded.
    pub fn output(&self, id: TaskId) -> Option<Hash> {
        match &self.task(id).phase {
            Phase::Succeeded { output, .. } => Some(*output),
            _ => None,
        }
    }

    /// Until when what is in flight is waited for, once the user has asked to stop.
    pub(super) fn patience_ends(&self) -> Option<Time> {
        let (_, asked) = self.state.cancelled?;
        (!planted!(GraceForgotten)).then(|| asked + self.settings.grace)
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.state.ended.as_ref()
    }

    /// How many attempts are in flight.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.len()
    }

    /// What it has come to so far.
    pub fn charged(&self) -> Charge {
        self.state.charged
    }

    /// What the attempts in flight may cost at most.
    pub fn reserved(&self) -> Usd {
        self.state.reserved
    }

    /// Takes a record in: the only function that changes a run.
    ///
    /// # Errors
    /// Where the record cannot have been written after those before it; the run is then of no use.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        let illegal = |why| IllegalRecord { seq: record.seq, why };
        if record.seq != self.state.last_seq + 1 {
            return Err(illegal("its number is not the next one"));
        }
        if record.at < self.state.last_time {
            return Err(illegal("it is earlier than the one before it"));
        }
        if let Some(task) = record.event.task()
            && task.index() >= self.plan.len()
        {
            return Err(illegal("its task is not in the plan"));
        }
        if let Some(AttemptId { agent: Some(agent), .. }) = record.event.attempt()
            && agent.index() >= self.plan.agents().len()
        {
            return Err(illegal("its agent is not in the plan"));
        }
        self.end_delays(record.at);
        self.state.last_seq = record.seq;
        self.state.last_time = record.at;
        self.transition(record).map_err(illegal)
    }

    fn transition(&mut self, record: &Record) -> Result<(), &'static str> {
        match &record.event {
            Event::RunStarted | Event::RunResumed => self.begin_session(record.at),
            Event::AttemptStarted { attempt, reserved, .. } => {
                self.attempt_started(*attempt, *reserved)?;
                self.note_start(*attempt, record.at);
            }
            Event::AttemptSucceeded { attempt, answer, spent, timing } => {
                self.attempt_ended(*attempt, spent)?;
                self.note_success(*attempt, record.at - timing.total, record.at);
                if self.settings.timeout_restarts {
                    self.state.session = Some(record.at);
                }
                self.succeeded(attempt.task, answer.output, answer.bytes);
            }
            Event::AttemptFailed { attempt, failure, spent, then, timing } => {
                self.attempt_ended(*attempt, spent)?;
                self.note_failure(*attempt, failure, then, record.at - timing.total, record.at);
                self.failed_then(*attempt, failure, then);
                self.wait_as_told(failure, then);
            }
            Event::AttemptLost { attempt, spent } => {
                self.attempt_ended(*attempt, spent)?;
                self.note_loss(*attempt, record.at);
                self.note_lost(*attempt, spent);
                self.make_ready(attempt.task);
            }
            Event::AttemptRecovered { attempt, answer, wrong, at_risk, spent, .. } => {
                self.recovered(*attempt, (answer.as_ref(), wrong.as_deref()), *at_risk, spent)?;
            }
            Event::TaskRecalled { task, answer, .. } => self.answered(*task, answer.output, answer.bytes)?,
            Event::TaskShared { task, with } => {
                let Phase::Succeeded { output, bytes } = self.task(*with).phase else {
                    return Err("the task whose answer it shares has none");
                };
                self.answered(*task, output, bytes)?;
            }
            Event::TaskFailed { task, .. } => self.fail_unsent(*task)?,
            Event::TaskSkipped { task, .. } => self.skip(*task)?,
            Event::Reopened { tasks } => self.reopened(tasks)?,
            Event::PlanChanged { again, revision, .. } => match revision {
                Some(revision) => self.plan_changed(again, revision)?,
                None => return Err("the plan that it names is not there"),
            },
            // Nothing is decided by it.
            Event::ForecastMade { .. } | Event::Waited { .. } => {}
            Event::BudgetWarned { mark, agent, .. } => {
                self.state.marks.insert((*agent, *mark));
            }
            Event::BudgetReached { needed, budget, agent, .. } => {
                // What is in flight may still add to what is spent.
                let own = agent.and_then(|agent| self.state.agents.get_mut(agent.index()));
                let (over, charged) = match own {
                    Some(own) => (&mut own.over, own.charged),
                    None => (&mut self.state.over_budget, self.state.charged),
                };
                *over = Some((needed.minus(charged.total()), *budget));
            }
            Event::BudgetSet { budget, agent: Some(agent) } => {
                self.state.marks.retain(|(of, _)| *of != Some(*agent));
                if let Some(agent) = self.state.agents.get_mut(agent.index()) {
                    (agent.budget, agent.over) = (*budget, None);
                }
            }
            Event::BudgetSet { budget, agent: None } => {
                self.state.over_budget = None;
                // Whoever sets one while there is a run means it, whatever the configuration says.
                self.state.budget_stops = true;
                self.state.budget = *budget;
                self.state.marks.retain(|(of, mark)| of.is_some() || *mark == BudgetMark::Alert);
            }
            Event::Controlled { control } => self.controlled(*control, record.at)?,
            Event::CancelRequested { signal } => self.state.cancelled = Some((*signal, record.at)),
            Event::RunEnded { outcome } => self.state.ended = Some(outcome.clone()),
        }
        Ok(())
    }

    /// Retries whose time has come join the queues.
    fn end_delays(&mut self, now: Time) {
        let now = if planted!(RetryTooEarly) { Time::from_micros(u64::MAX) } else { now };
        for id in self.state.ready.take_due(now) {
            self.make_ready(id);
        }
    }

    /// Who waits as long as a provider wants waits for no answer.
    fn wait_as_told(&mut self, failure: &Failure, then: &Then) {
        if let Then::RetryAt(until) | Then::AgainAt(until) = then
            && failure.class == Class::Throttled
            && self.settings.timeout_restarts
        {
            self.state.session = self.state.session.max(Some(*until));
        }
    }

    fn begin_session(&mut self, at: Time) {
        self.state.session = Some(at);
        self.state.over_budget = None;
        self.state.failures = Failures::default();
        self.state.agents.iter_mut().for_each(|agent| agent.over = None);
        self.state.stopped.clear();
        self.state.health.resumed(at);
        self.state.cancelled = None;
        self.state.paused = None;
        self.state.ended = None;
    }
}
