//! What a plan will cost and how long it will take, before anything is spent.
//!
//! A forecast *is* the run: [`crate::run::Run`] itself, with its limits, its budget and its order,
//! played on a virtual clock by calls that are drawn from [`Laws`]. The first play is the plan as
//! expected: every call takes just what calls like it are expected to take, and that is the
//! [`Forecast::schedule`]. Then it is played many times over, and what the plays came to is the
//! spread that is told.
//!
//! | file | for |
//! | --- | --- |
//! | `history` | what past calls were like, from journals |
//! | `law` | how a call is drawn: from history, or from documented defaults |
//! | `play` | one play of a run |
//! | `ratio` | what calls were, over what they were expected to be |
//! | `spread` | percentiles of few or many plays |
//!
//! What it does not do: it knows no clock, no journal and no provider. What a provider's own limits
//! are it does not guess: it plays under those that the settings state.

mod history;
mod law;
mod play;
mod ratio;
mod spread;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_makespan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, AgentId};
use crate::ceiling::{self, Binding};
use crate::limit::Gates;
use crate::misfit::{Doom, doomed};
use crate::money::Usd;
use crate::plan::{Plan, Task, TaskId};
use crate::prediction::{CostRange, Prediction, Spread, Stop};
use crate::price::Pricing;
use crate::run::Run;
use crate::run::event::Outcome;
use crate::run::input::{Budgets, Input, Settings};
use crate::unpriced::unpriced;
use crate::usage::Usage;

pub use history::{Calls, History, PastCall};
pub use law::{Basis, Laws};

use law::Weather;
use play::{Played, play};

/// Calls that all plays of a forecast have together, about: what keeps the forecast of 100,000 tasks
/// under three seconds.
const PLAYED_CALLS: usize = 800_000;
/// Plays at most: a percentile of so many moves little from one seed to the next.
const MOST_PLAYS: usize = 200;
/// Plays at least, however large the plan. Large plans need fewer: what differs from call to call
/// averages out, and what does not is spread evenly over the plays ([`Weather`]).
const LEAST_PLAYS: usize = 7;

/// How many tokens a result of one token may be, read again by another model. Tokenizers that are in
/// use differ by less: newer Claude models make about 1.3 tokens of what older ones make one of, and
/// prose is the same for all of OpenAI's within a tenth.
const READ_AGAIN: u64 = 2;

/// What a plan will come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// How many tasks it has.
    pub tasks: usize,
    /// What it will cost.
    pub cost: CostRange,
    /// How long it will take, from its start to its end.
    pub makespan: Spread,
    /// All calls one after the other, as expected, over `lower_bound`; none for no calls.
    pub ceiling: Option<f64>,
    /// What keeps the plan from being faster than `lower_bound`; none for no calls.
    pub binding: Option<Binding>,
    /// The least time that the calls could take, as expected.
    pub lower_bound: Duration,
    /// When each task starts and ends if every call takes what is expected of it; in the order of
    /// their starts. Where a plan gives all durations, it is what a run with them does.
    pub schedule: Vec<Scheduled>,
    /// What each task will cost, in the order of the plan.
    pub by_task: Vec<TaskCost>,
    /// What each agent's tasks will use and cost; only agents that have any.
    pub by_agent: BTreeMap<AgentId, AgentShare>,
    /// Where a budget would stop the run; none where none would.
    pub budget_stop: Option<Stop>,
    /// Tasks that are bound to fail unsent, and those behind them, in the order of the plan.
    pub doomed: Vec<(TaskId, Doom)>,
    /// Agents whose tokens nobody has a price for, and whether the run would be refused for that: a limit
    /// in money holds their calls. Their calls cost nothing here, so every sum with them is too low: no
    /// budget that they count against is played.
    pub unpriced: BTreeMap<AgentId, bool>,
    /// How often the run was played.
    pub plays: usize,
}

/// When a task runs, from the start of the run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// Which.
    pub task: TaskId,
    /// When its first call starts.
    pub start: Duration,
    /// When it has its answer.
    pub end: Duration,
}

/// What a task may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCost {
    /// The mean of the plays.
    pub expected: Usd,
    /// As [`CostRange::worst`], of this task alone.
    pub worst: Usd,
}

/// What the tasks of one agent come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AgentShare {
    /// How many there are.
    pub tasks: usize,
    /// Input tokens, cached ones included: the mean of the plays.
    pub input_tokens: u64,
    /// Input tokens that are reserved for the same calls: their mean.
    pub reserved_input: u64,
    /// Output tokens: their mean.
    pub output_tokens: u64,
    /// The mean of the plays.
    pub expected: Usd,
    /// As [`CostRange::worst`].
    pub worst: Usd,
}

impl Forecast {
    /// What a run remembers of it.
    pub fn prediction(&self) -> Prediction {
        Prediction { cost: self.cost, makespan: self.makespan, stop: self.budget_stop }
    }
}

/// Plays a plan under these settings. The same seed gives the same forecast.
///
/// The run's timeout is left out: the forecast says how long the plan takes, not where it is cut.
pub fn forecast(plan: &Arc<Plan>, settings: &Settings, laws: &Laws, seed: u64) -> Forecast {
    let (run, unpriced) = whole(plan, settings);
    Forecast { unpriced, ..of(&run, &Input::Started, laws, seed) }
}

/// A run of a plan from its start, without a timeout and without the budgets that nothing is known to fit; and the
/// agents whose price nobody knows ([`Forecast::unpriced`]).
fn whole(plan: &Arc<Plan>, settings: &Settings) -> (Run, BTreeMap<AgentId, bool>) {
    let unpriced = unpriced(plan, settings, &Budgets::default());
    let (mut plan, mut settings) = (Arc::clone(plan), Settings { run_timeout: FOR_EVER, ..settings.clone() });
    if !unpriced.is_empty() {
        // Where calls without a price count, nothing is known to fit.
        settings.budget = None;
        let known = |(id, agent): (AgentId, &Agent)| Agent {
            max_cost: agent.max_cost.filter(|_| !unpriced.contains_key(&id)),
            ..agent.clone()
        };
        let agents = plan.agent_ids().zip(plan.agents()).map(known).collect();
        plan = Arc::new(Plan::new(plan.name().to_owned(), agents, plan.tasks().to_vec()));
    }
    (Run::new(plan, Arc::new(settings)), unpriced)
}

/// The same of what is left of a run that is resumed with these budgets ([`Run::going_on`] for what else it is to be): what its calls so far came to is
/// in none of the sums, and what is left of its budgets is what they allow. The laws are for its plan.
pub fn rest(run: &Run, budgets: &Budgets, laws: &Laws, seed: u64) -> Forecast {
    let settings = Settings { run_timeout: FOR_EVER, ..Settings::clone(run.settings()) };
    let unpriced = unpriced(run.plan(), run.settings(), budgets);
    let mut budgets = budgets.clone();
    budgets.run = budgets.run.filter(|_| unpriced.is_empty());
    budgets.agents.retain(|id, _| !unpriced.contains_key(id));
    let input = Input::Resumed(budgets.into());
    Forecast { unpriced, ..of(&run.under(Arc::new(settings)), &input, laws, seed) }
}

/// How long a plan takes under these settings where every call takes just what the laws expect of it, and none fails:
/// the first play of a [`forecast`] by itself.
pub fn makespan(plan: &Arc<Plan>, settings: &Settings, laws: &Laws) -> Duration {
    play(&whole(plan, settings).0, &Input::Started, laws, None, 0).makespan
}

/// When each task starts and ends where every call takes just what the laws expect of it, and none fails: as
/// [`Forecast::schedule`], by one play.
pub fn as_expected(plan: &Arc<Plan>, settings: &Settings, laws: &Laws) -> Vec<Scheduled> {
    schedule(&play(&whole(plan, settings).0, &Input::Started, laws, None, 0))
}

fn of(run: &Run, first: &Input, laws: &Laws, seed: u64) -> Forecast {
    let (plan, settings) = (run.plan(), run.settings());
    let nominal = play(run, first, laws, None, seed);
    // What the budgets allow is known once the run has been told what is first.
    let mut begun = run.clone();
    drop(begun.step(first.clone(), run.last_time(), &mut Gates::new(settings)));
    let open = plan.ids().filter(|id| !run.task(*id).has_ended()).count();
    let plays = (PLAYED_CALLS / plan.len().max(1)).clamp(LEAST_PLAYS, MOST_PLAYS);
    let mut tally = Tally::new(plan.len());
    for n in 0..plays {
        let weather = Weather::of_play(n, plays);
        tally.add(&play(run, first, laws, Some(weather), seed.wrapping_add(1 + n as u64)));
    }
    let by_task = tally.by_task(&begun, laws);
    let work = |id: TaskId| nominal.tasks[id.index()].work();
    let bound = ceiling::lower_bound(plan, &bound_by_all(settings, laws), work);
    let serial: Duration = plan.ids().filter_map(work).map(|work| work.duration).sum();
    let lower_bound = bound.map_or(Duration::ZERO, |bound| bound.makespan);
    Forecast {
        tasks: open,
        cost: cost(&begun, laws, &by_task, &tally),
        makespan: spread::of(&mut tally.makespans),
        ceiling: (!lower_bound.is_zero()).then(|| serial.as_secs_f64() / lower_bound.as_secs_f64()),
        binding: bound.map(|bound| bound.binding),
        lower_bound,
        schedule: schedule(&nominal),
        by_agent: by_agent(run, &begun, &tally, &by_task),
        by_task,
        budget_stop: budget_stop(&tally.stopped, plays),
        doomed: doomed(plan, |id| begun.left_of_task(id), |id| run.task(id).has_ended()),
        unpriced: BTreeMap::new(),
        plays,
    }
}

/// The settings with the provider's own limits where those are stricter: no schedule beats either.
fn bound_by_all(settings: &Settings, laws: &Laws) -> Settings {
    let mut all = settings.clone();
    let theirs = laws.provider().map_or(&[][..], |provider| &provider.limits);
    for (gate, their) in all.gates.iter_mut().zip(theirs) {
        let stricter =
            their.requests_per_minute.filter(|&rate| gate.requests_per_minute.is_none_or(|ours| rate < ours));
        if stricter.is_some() {
            (gate.requests_per_minute, gate.requests_burst) = (stricter, their.requests_burst);
        }
        gate.input_tokens_per_minute = least(gate.input_tokens_per_minute, their.input_tokens_per_minute);
        gate.output_tokens_per_minute = least(gate.output_tokens_per_minute, their.output_tokens_per_minute);
    }
    all
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(1 << 33);

/// By whose budget stopped plays (none: the run's) and how large it is, each play: its answers, and when the
/// last of them came.
type Stops = BTreeMap<(Option<AgentId>, Usd), Vec<(usize, Duration)>>;

/// What a task came to in all plays together.
#[derive(Clone, Copy, Default)]
struct Sums {
    cost: Usd,
    input_tokens: u64,
    reserved_input: u64,
    output_tokens: u64,
}

/// What the plays came to.
struct Tally {
    makespans: Vec<Duration>,
    /// What each play cost.
    costs: Vec<Usd>,
    /// What each task came to in all plays together.
    tasks: Vec<Sums>,
    stopped: Stops,
}

impl Tally {
    fn new(tasks: usize) -> Self {
        Tally {
            makespans: Vec::new(),
            costs: Vec::new(),
            tasks: vec![Sums::default(); tasks],
            stopped: BTreeMap::new(),
        }
    }

    fn add(&mut self, played: &Played) {
        self.makespans.push(played.makespan);
        self.costs.push(played.tasks.iter().map(|task| task.cost).sum());
        for (sum, task) in self.tasks.iter_mut().zip(&played.tasks) {
            sum.cost += task.cost;
            sum.input_tokens += task.input_tokens;
            // Of calls that brought an answer, as the tokens beside it.
            sum.reserved_input += if task.answered { task.reserved_input } else { 0 };
            sum.output_tokens += task.output_tokens;
        }
        if let Outcome::BudgetExceeded { agent, budget, .. } = played.outcome {
            let answered = played.tasks.iter().filter(|task| task.answered).count();
            self.stopped.entry((agent, budget)).or_default().push((answered, played.makespan));
        }
    }

    fn by_task(&self, begun: &Run, laws: &Laws) -> Vec<TaskCost> {
        let plays = self.costs.len() as u64;
        let of = |(id, sums): (TaskId, &Sums)| TaskCost {
            expected: sums.cost.shared_by(plays),
            worst: at_most(extremes(begun, laws, id).1, begun.left_of_task(id)),
        };
        begun.plan().ids().zip(&self.tasks).map(of).collect()
    }
}

fn at_most(amount: Usd, limit: Option<Usd>) -> Usd {
    limit.map_or(amount, |limit| amount.min(limit))
}

fn cost(begun: &Run, laws: &Laws, by_task: &[TaskCost], tally: &Tally) -> CostRange {
    let plan = begun.plan();
    let cheapest = tally.costs.iter().copied().min().unwrap_or_default();
    let dearest = tally.costs.iter().copied().max().unwrap_or_default();
    let low: Usd = plan.ids().map(|id| extremes(begun, laws, id).0).sum();
    let mut worst: BTreeMap<AgentId, Usd> = BTreeMap::new();
    for (task, cost) in plan.tasks().iter().zip(by_task) {
        *worst.entry(task.agent).or_default() += cost.worst;
    }
    let worst: Usd = worst.into_iter().map(|(id, worst)| at_most(worst, begun.left_of(id))).sum();
    CostRange {
        low: low.min(cheapest),
        expected: tally.costs.iter().copied().sum::<Usd>().shared_by(tally.costs.len() as u64),
        worst: at_most(worst, begun.left()).max(dearest),
    }
}

/// The least and the most that a task's answer can be expected to cost, where it has none yet.
fn extremes(begun: &Run, laws: &Laws, id: TaskId) -> (Usd, Usd) {
    let plan = begun.plan();
    let task = plan.task(id);
    let Pricing::Known(price) = &plan.agent_of(id).pricing else { return (Usd::ZERO, Usd::ZERO) };
    if task.invalid.is_some() || begun.task(id).has_ended() {
        return (Usd::ZERO, Usd::ZERO);
    }
    let (input, output) = laws.of(id).shortest(task, laws.hints(id, task));
    let least = [
        Usage { input, output, ..Usage::default() },
        Usage { cache_read: input, output, ..Usage::default() },
    ];
    let least = least.iter().map(|usage| price.of(usage)).min().unwrap_or_default();
    let (input, output) = plan.most_tokens(id, task.agent, longest_inserted(plan, task));
    (least, price.most(input, output))
}

/// The most tokens of results that a task's prompt can have in it, by what their tasks may answer.
fn longest_inserted(plan: &Plan, task: &Task) -> u64 {
    let inserted = task.prompt.inserts.iter().map(|&(of, times)| {
        u64::from(plan.task(of).max_tokens).saturating_mul(u64::from(times)).saturating_mul(READ_AGAIN)
    });
    inserted.fold(0, u64::saturating_add)
}

fn schedule(nominal: &Played) -> Vec<Scheduled> {
    let times = nominal.tasks.iter().enumerate();
    let mut schedule: Vec<Scheduled> = times
        .filter_map(|(index, task)| {
            let (start, end) = (task.start?, task.end?);
            Some(Scheduled { task: TaskId(index as u32), start, end })
        })
        .collect();
    schedule.sort_by_key(|task| (task.start, task.end, task.task));
    schedule
}

fn by_agent(run: &Run, begun: &Run, tally: &Tally, by_task: &[TaskCost]) -> BTreeMap<AgentId, AgentShare> {
    let mut shares: BTreeMap<AgentId, AgentShare> = BTreeMap::new();
    let plan = begun.plan();
    for ((id, sums), cost) in plan.ids().zip(&tally.tasks).zip(by_task) {
        let task = plan.task(id);
        // Tasks that had ended before are no part of the forecast.
        if run.task(id).has_ended() {
            continue;
        }
        let share = shares.entry(task.agent).or_default();
        share.tasks += 1;
        share.input_tokens += sums.input_tokens;
        share.reserved_input += sums.reserved_input;
        share.output_tokens += sums.output_tokens;
        share.expected += cost.expected;
        share.worst += cost.worst;
    }
    let plays = tally.costs.len() as u64;
    for (id, share) in &mut shares {
        for tokens in [&mut share.input_tokens, &mut share.reserved_input, &mut share.output_tokens] {
            *tokens = tokens.saturating_add(plays / 2) / plays.max(1);
        }
        share.worst = at_most(share.worst, begun.left_of(*id));
    }
    shares
}

fn budget_stop(stopped: &Stops, plays: usize) -> Option<Stop> {
    // Of equals the last is taken: in the other order the run's own comes before any agent's.
    let (&(agent, budget), stopped) = stopped.iter().rev().max_by_key(|(_, stopped)| stopped.len())?;
    let (mut tasks, mut times): (Vec<_>, Vec<_>) = stopped.iter().copied().unzip();
    tasks.sort_unstable();
    times.sort_unstable();
    let (after_tasks, after) = (*tasks.get(tasks.len() / 2)?, *times.get(times.len() / 2)?);
    let (stopped, plays, after_tasks) = (stopped.len() as u32, plays as u32, after_tasks as u32);
    Some(Stop { agent, budget, stopped, plays, after_tasks, after })
}
