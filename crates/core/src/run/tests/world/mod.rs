//! A world around a run: replies, crashes, signals, and a second set of books.
//!
//! What must hold is checked from what the world saw happen (calls sent, money billed), never from
//! what the run says of itself, apart from live state against replayed state.

macro_rules! must {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

mod again;
mod changed;
mod controls;
mod edges;
mod end;
mod failed;
mod fallback;
mod health;
mod recall;
mod recover;
mod reopened;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use self::controls::Controls;
use self::health::{Model, Provider};
use self::recover::Kept;
use super::random::{self, Outage, Rng};
use crate::agent::AgentId;
use crate::limit::{GateId, Gates};
use crate::money::Usd;
use crate::plan::{Plan, TaskId};
use crate::price::Pricing;
use crate::run::Run;
use crate::run::event::{AttemptId, Event, Outcome, Record, Signal};
use crate::run::input::{Action, Billing, Input, Reply, Settings, Step};
use crate::time::Time;
use crate::usage::Cost;

/// What went wrong, in a sentence.
pub(super) type Violation = String;

pub(super) struct World {
    rng: Rng,
    /// What the run began with; it goes on with `plan`.
    first: Arc<Plan>,
    plan: Arc<Plan>,
    settings: Arc<Settings>,
    run: Run,
    /// Applies the same records; must always equal `run`.
    shadow: Run,
    gates: Gates,
    pub(super) journal: Vec<Record>,
    now: Time,
    wake_at: Option<Time>,
    replies: BTreeMap<(Time, u64), Reply>,
    sent: u64,
    // The second set of books.
    in_flight: BTreeMap<AttemptId, Cost>,
    billed: Usd,
    billed_by: BTreeMap<AgentId, Usd>,
    /// Lost answers that the provider has kept, with what it billed for them.
    kept: BTreeMap<AttemptId, Kept>,
    budget: Option<Usd>,
    budget_was_set: bool,
    starts: Vec<Vec<Time>>,
    closed_until: Vec<Time>,
    closed_at: Vec<Time>,
    /// Since when each gate has let nothing in.
    refused_since: Vec<Option<Time>>,
    started: BTreeMap<TaskId, Time>,
    failures: BTreeMap<TaskId, u32>,
    /// Tasks whose answers were asked for again because of what they were.
    corrected: BTreeSet<TaskId>,
    /// When each task may be tried again; where a gate is named, only there.
    not_before: BTreeMap<TaskId, (Time, Option<GateId>)>,
    charged: BTreeMap<TaskId, Usd>,
    succeeded: BTreeSet<TaskId>,
    failed: BTreeSet<TaskId>,
    /// Since the start or the last resume.
    failed_lately: Vec<TaskId>,
    skipped: BTreeSet<TaskId>,
    stopped: BTreeSet<String>,
    outages: Vec<Option<Outage>>,
    providers: Vec<Provider>,
    models: BTreeMap<(GateId, String), Model>,
    quotas: BTreeMap<String, u32>,
    /// Tasks whose last attempt their provider failed, with its account.
    retried: BTreeMap<TaskId, String>,
    pub(super) rerouted: u64,
    /// How often failed tasks were tried again.
    pub(super) reopened: u64,
    /// How often the plan was changed.
    pub(super) changed: u64,
    /// How many lost attempts were found again.
    pub(super) recovered: u64,
    /// Since when it is asked to stop.
    cancelled: Option<Time>,
    /// What the run asks for and was not told yet, and the tasks that it asked for since they became ready.
    asked: VecDeque<Vec<TaskId>>,
    looked_up: BTreeSet<TaskId>,
    controls: Controls,
    session: Time,
    pub(super) outcome: Option<Outcome>,
    pub(super) crashes: u64,
    pub(super) steps: u64,
}

/// How many steps a run of at most 24 tasks may take before it counts as stuck.
const STEPS: u64 = 5_000;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let settings = Arc::new(random::settings(&mut rng));
        let plan = Arc::new(random::plan(&mut rng, &settings));
        let run = Run::new(plan.clone(), settings.clone());
        let now = Time::from_micros(1_000_000_000);
        World {
            shadow: run.clone(),
            run,
            gates: Gates::new(&settings),
            journal: Vec::new(),
            now,
            wake_at: None,
            replies: BTreeMap::new(),
            sent: 0,
            in_flight: BTreeMap::new(),
            billed: Usd::ZERO,
            billed_by: BTreeMap::new(),
            kept: BTreeMap::new(),
            budget: settings.budget,
            budget_was_set: false,
            starts: vec![Vec::new(); settings.gates.len()],
            closed_until: vec![Time::ZERO; settings.gates.len()],
            closed_at: vec![Time::ZERO; settings.gates.len()],
            refused_since: vec![None; settings.gates.len()],
            started: BTreeMap::new(),
            failures: BTreeMap::new(),
            corrected: BTreeSet::new(),
            not_before: BTreeMap::new(),
            charged: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            failed: BTreeSet::new(),
            failed_lately: Vec::new(),
            skipped: BTreeSet::new(),
            stopped: BTreeSet::new(),
            outages: settings.gates.iter().map(|_| random::outage(&mut rng, &plan, now)).collect(),
            providers: settings.gates.iter().map(|_| Provider::default()).collect(),
            models: BTreeMap::new(),
            quotas: BTreeMap::new(),
            retried: BTreeMap::new(),
            rerouted: 0,
            reopened: 0,
            changed: 0,
            recovered: 0,
            cancelled: None,
            asked: VecDeque::new(),
            looked_up: BTreeSet::new(),
            controls: Controls::new(&settings),
            session: now,
            outcome: None,
            crashes: 0,
            steps: 0,
            rng,
            first: Arc::clone(&plan),
            plan,
            settings,
        }
    }

    /// Runs to an end that is not resumed.
    pub(super) fn live(&mut self) -> Result<(), Violation> {
        let mut ended = self.tell(Input::Started)?;
        loop {
            self.steps += 1;
            must!(self.steps < STEPS, "no end after {STEPS} steps");
            if let Some(outcome) = ended {
                self.check_end(&outcome)?;
                self.outcome = Some(outcome.clone());
                let stays = if outcome == Outcome::Completed { self.is_done() } else { self.rng.percent(20) };
                if stays {
                    return Ok(());
                }
                ended = self.resume()?;
                continue;
            }
            ended = match self.rng.below(100) {
                0..=2 => self.crash()?,
                3 if self.rng.percent(30) => self.tell(Input::Cancelled(Signal::Interrupt))?,
                4..=6 => self.tell(Input::Woke)?, // woken for nothing
                7..=10 => self.control()?,
                _ => self.next()?,
            };
        }
    }

    /// The next thing that happens by itself: a reply or the alarm.
    fn next(&mut self) -> Result<Option<Outcome>, Violation> {
        if !self.asked.is_empty() && (self.replies.is_empty() || self.rng.percent(50)) {
            return self.look_up();
        }
        let reply_at = self.replies.first_key_value().map(|((at, _), _)| *at);
        match (reply_at, self.wake_at) {
            (Some(at), wake) if wake.is_none_or(|wake| at <= wake) => {
                self.now = self.now.max(at);
                let (_, reply) = self.replies.pop_first().ok_or("no reply")?;
                self.bill(&reply);
                self.tell(Input::Replied(reply))
            }
            (_, Some(wake)) => {
                self.now = self.now.max(wake);
                self.tell(Input::Woke)
            }
            (_, None) if self.controls.paused.is_some() => self.end_pause(),
            (_, None) => Err("nothing is in flight and nobody will wake the run".to_owned()),
        }
    }

    fn tell(&mut self, input: Input) -> Result<Option<Outcome>, Violation> {
        let step = self.run.step(input, self.now, &mut self.gates);
        if self.rng.percent(1) {
            // The process dies before the records are durable: nothing of this step happened.
            return self.crash();
        }
        self.note(&step)?;
        if self.rng.percent(1) {
            return self.crash(); // durable, and nothing was done
        }
        self.act(step)
    }

    /// Takes a step's records into the journal and into the second set of books.
    fn note(&mut self, step: &Step) -> Result<(), Violation> {
        for record in &step.records {
            self.enter_health(record)?;
            self.shadow.apply(record).map_err(|error| error.to_string())?;
            must!(record.at <= self.now, "record {} is from the future", record.seq);
            self.enter(record)?;
        }
        self.journal.extend_from_slice(&step.records);
        self.check_quota_waits(step)?;
        must!(self.run.state == self.shadow.state, "the live state is not the replayed state");
        Ok(())
    }

    fn enter(&mut self, Record { at, event, .. }: &Record) -> Result<(), Violation> {
        self.enter_admission(event);
        match event {
            Event::RunStarted | Event::RunResumed => {
                self.stopped.clear();
                self.failed_lately.clear();
                self.cancelled = None;
                self.controls.paused = None;
                self.session = *at;
            }
            Event::AttemptSucceeded { attempt, spent, .. } => {
                if self.settings.timeout_restarts {
                    self.session = *at;
                }
                self.succeeded.insert(attempt.task);
                *self.charged.entry(attempt.task).or_default() += spent.charge.total();
            }
            Event::AttemptFailed { attempt, failure, spent, then, .. } => {
                *self.charged.entry(attempt.task).or_default() += spent.charge.total();
                self.enter_failure(*attempt, failure, then, *at)?;
            }
            Event::AttemptLost { attempt, spent } => {
                *self.charged.entry(attempt.task).or_default() += spent.charge.total();
            }
            Event::AttemptRecovered { attempt, answer, at_risk, spent, .. } => {
                self.enter_recovered(*attempt, answer.is_some(), *at_risk, spent)?;
            }
            Event::TaskRecalled { task, .. } => {
                must!(self.settings.cache && self.is_met(*task), "task {task:?} was answered from nowhere");
                self.enter_answered(*task)?;
            }
            Event::TaskShared { task, with } => {
                let is_same = self.plan.task(*task).same_as == Some(*with) && self.succeeded.contains(with);
                must!(is_same && self.is_met(*task), "task {task:?} shares an answer that is not its own");
                self.enter_answered(*task)?;
            }
            Event::TaskFailed { task, .. } => {
                self.enter_failed(*task);
            }
            Event::TaskSkipped { task, .. } => {
                must!(self.doomed().contains(task), "task {task:?} was skipped without a cause");
                self.skipped.insert(*task);
            }
            Event::Controlled { control } => self.enter_control(*control, *at),
            Event::CancelRequested { .. } => self.cancelled = Some(*at),
            Event::BudgetSet { budget, .. } => {
                self.budget = *budget;
                self.budget_was_set = true;
            }
            Event::AttemptStarted { attempt, .. } => {
                must!(!self.ends_by_failures(), "{attempt:?} was started after too many failures");
                self.started.insert(attempt.task, *at);
            }
            Event::Reopened { tasks } => self.enter_reopened(tasks)?,
            Event::PlanChanged { again, revision, .. } => self.enter_changed(again, revision.as_deref())?,
            Event::ForecastMade { .. }
            | Event::Waited { .. }
            | Event::BudgetWarned { .. }
            | Event::BudgetReached { .. }
            | Event::RunEnded { .. } => {}
        }
        Ok(())
    }

    fn act(&mut self, step: Step) -> Result<Option<Outcome>, Violation> {
        self.wake_at = step.wake_at;
        let mut ended = None;
        for action in step.actions {
            match action {
                Action::Recall(tasks) => {
                    self.looked_up.extend(&tasks);
                    self.asked.push_back(tasks);
                }
                Action::Call(attempt) => {
                    let is_known = self.looked_up.remove(&attempt.task) || !self.settings.cache;
                    must!(self.asked.is_empty() && is_known, "{attempt:?} started before it was looked up");
                    self.call(attempt)?;
                }
                Action::Abandon(attempt) => {
                    let key =
                        self.replies.iter().find(|(_, reply)| reply.attempt == attempt).map(|(key, _)| *key);
                    let key = key.ok_or("an attempt was given up that is not in flight")?;
                    let reply = self.replies.remove(&key).ok_or("no reply")?;
                    self.bill(&reply);
                }
                Action::Finish(outcome) => ended = Some(outcome),
            }
        }
        self.check_budget()?;
        // Other things may happen before it is told.
        if ended.is_none() && !self.asked.is_empty() && self.rng.percent(80) {
            return self.look_up();
        }
        self.check_grace(ended.as_ref())?;
        Ok(ended)
    }

    /// A request leaves: everything that has to hold before it is checked here.
    fn call(&mut self, attempt: AttemptId) -> Result<(), Violation> {
        let id = attempt.task;
        let task = self.plan.task(id);
        let gate = self.gate_of(attempt);
        must!(self.is_met(id), "task {id:?} started too early");
        must!(!self.plan.is_removed(id), "task {id:?} was taken out of the plan");
        must!(!self.succeeded.contains(&id) && !self.failed.contains(&id), "task {id:?} was repeated");
        must!(self.in_flight.keys().all(|other| other.task != id), "task {id:?} runs twice");
        must!(self.cancelled.is_none(), "task {id:?} started after a cancellation");
        must!(self.controls.paused.is_none(), "task {id:?} started in a pause");
        must!(!self.stopped.contains(&self.account(gate)), "task {id:?} went to a stopped account");
        must!(!self.all_fail_alike(self.plan.asked(attempt)), "task {id:?} went where all calls fail alike");
        must!(self.closed_until[gate.index()] <= self.now, "task {id:?} passed a closed gate");
        must!(
            self.not_before
                .get(&id)
                .is_none_or(|(time, only)| *time <= self.now || only.is_some_and(|of| of != gate)),
            "task {id:?} was retried without its wait"
        );
        let reserved = self.reserved(attempt)?;
        self.check_fallback(attempt, &reserved)?;
        if let Some(limit) = task.max_cost.or(self.settings.max_cost_per_task) {
            let charged = self.charged.get(&id).copied().unwrap_or_default();
            must!(charged + reserved.usd <= limit, "task {id:?} went past its own limit");
        }
        self.rerouted += u64::from(attempt.agent.is_some());
        self.in_flight.insert(attempt, reserved);
        self.check_concurrency(gate)?;
        self.check_rate(gate)?;
        let outage = self.outages[gate.index()].filter(|outage| outage.is_on(self.now));
        let reply = random::reply(&mut self.rng, attempt, &reserved, outage.as_ref());
        self.sent += 1;
        self.replies.insert((self.now + reply.timing.total, self.sent), reply);
        Ok(())
    }

    fn reserved(&self, attempt: AttemptId) -> Result<Cost, Violation> {
        let started = self.journal.iter().rev().find_map(|record| match &record.event {
            Event::AttemptStarted { attempt: of, reserved, .. } if *of == attempt => Some(*reserved),
            _ => None,
        });
        started.ok_or_else(|| format!("{attempt:?} was sent before it was remembered"))
    }

    fn check_budget(&self) -> Result<(), Violation> {
        let reserved: Usd = self.in_flight.values().map(|cost| cost.usd).sum();
        if let Some(budget) = self.budget.filter(|_| self.settings.auto_stop || self.budget_was_set) {
            let most = self.billed + reserved;
            must!(most <= budget, "${} may be billed of a budget of ${budget}", most);
        }
        for agent in self.plan.agent_ids() {
            let Some(limit) = self.plan.agent(agent).max_cost else { continue };
            let here = self.in_flight.iter().filter(|(attempt, _)| self.plan.asked(**attempt) == agent);
            let billed = self.billed_by.get(&agent).copied().unwrap_or_default();
            let most = billed + here.map(|(_, cost)| cost.usd).sum::<Usd>();
            must!(most <= limit, "${most} may be billed by {agent:?} of its budget of ${limit}");
        }
        must!(self.billed <= self.run.charged().total(), "more was billed than the run knows of");
        Ok(())
    }

    /// The provider's own books: what it knows exactly, or, where we do not, anything up to the
    /// most.
    fn bill(&mut self, reply: &Reply) {
        let Some(reserved) = self.in_flight.remove(&reply.attempt) else { return };
        let billed = match (&self.plan.agent_asked(reply.attempt).pricing, reply.billing) {
            (Pricing::Known(price), Billing::Reported(usage)) => price.of(&usage),
            (Pricing::Known(_), Billing::Estimated(_) | Billing::Unknown) => reserved.usd,
            _ => Usd::ZERO,
        };
        self.billed += billed;
        *self.billed_by.entry(self.plan.asked(reply.attempt)).or_default() += billed;
    }
}
