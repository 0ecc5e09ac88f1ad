//! What `sortie forecast` says, as a table and as JSON (DESIGN.md), and in a line before a run.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use sortie_core::agent::{Agent, AgentId};
use sortie_core::ceiling::Binding;
use sortie_core::forecast::{Basis, Forecast, Laws, TaskCost};
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::input::Settings;

use crate::amounts::{cost_at, names};
use crate::bound;
use crate::table::{Side, table};
use crate::terminal::{Paint, Style, one_line};
use crate::units::{as_dollars, as_seconds, count, duration, money, percent};

/// A forecast, and what it is of.
#[derive(Clone, Copy, Debug)]
pub struct Forecasted<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What binds it.
    pub settings: &'a Settings,
    /// What its calls were drawn from.
    pub laws: &'a Laws,
    /// What was forecast.
    pub forecast: &'a Forecast,
}

/// The JSON form: the names are the format's (DESIGN.md).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// How many tasks there are.
    tasks: usize,
    cost: Range,
    makespan_s: Times,
    /// How many times faster than one call after the other the plan can be at best.
    ceiling: Option<f64>,
    /// What keeps it from being faster.
    binding: Option<&'static str>,
    #[serde(with = "as_seconds")]
    lower_bound_s: Duration,
    /// Where a budget stops the run; null where none does.
    budget_stop: Option<Stop>,
    /// Agents whose price nobody knows: with any of them no sum is known. Absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<Unpriced>,
    /// How often the run was played.
    plays: usize,
    agents: Vec<AgentRow>,
    schedule: Vec<Slot>,
    /// In the order of the plan.
    task_costs: Vec<TaskRow>,
    /// The same without what was asked on the command line; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_configured: Option<Baseline>,
}

/// What a forecast comes to in short, to be compared with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Baseline {
    cost: Range,
    makespan_s: Times,
    binding: Option<&'static str>,
}

/// Null where some calls have no price.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Range {
    #[serde(with = "as_dollars::option")]
    low: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    worst: Option<Usd>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Unpriced {
    agent: String,
    model: String,
    /// Whether a run would be refused for it: a limit in dollars holds its calls.
    refused: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Times {
    #[serde(with = "as_seconds")]
    p5: Duration,
    #[serde(with = "as_seconds")]
    p50: Duration,
    #[serde(with = "as_seconds")]
    p95: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Stop {
    /// The agent whose own budget it is; null: the run's.
    agent: Option<String>,
    #[serde(with = "as_dollars")]
    budget: Usd,
    /// Of the plays, 0 to 1.
    share: f64,
    after_tasks: usize,
    #[serde(with = "as_seconds")]
    after_s: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct AgentRow {
    agent: String,
    model: String,
    tasks: usize,
    input_tokens: u64,
    /// Input tokens as expected to one that is reserved; null where nothing is.
    input_ratio: Option<f64>,
    output_tokens: u64,
    /// Null where the agent has no price.
    #[serde(with = "as_dollars::option")]
    expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    worst: Option<Usd>,
    /// How many past calls it was drawn from; 0: from documented defaults.
    past_calls: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Slot {
    task_id: String,
    #[serde(with = "as_seconds")]
    start_s: Duration,
    #[serde(with = "as_seconds")]
    end_s: Duration,
}

/// What a task is expected to cost, and the most; null where its agent has no price.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct TaskRow {
    task_id: String,
    #[serde(with = "as_dollars::option")]
    expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    worst: Option<Usd>,
}

/// A forecast as JSON holds it, beside the one without what was asked on the command line.
pub fn document(of: &Forecasted, as_configured: Option<&Forecasted>) -> Document {
    let Forecasted { plan, forecast, .. } = of;
    let Baseline { cost, makespan_s, binding } = baseline(forecast);
    let slot = |task: &sortie_core::forecast::Scheduled| Slot {
        task_id: plan.task(task.task).name.clone(),
        start_s: task.start,
        end_s: task.end,
    };
    let task_cost = |(id, cost): (TaskId, &TaskCost)| TaskRow {
        task_id: plan.task(id).name.clone(),
        expected: if_priced(plan.agent_of(id), cost.expected),
        worst: if_priced(plan.agent_of(id), cost.worst),
    };
    let unpriced = |(id, refused): (&AgentId, &bool)| {
        let agent = plan.agent(*id);
        Unpriced { agent: agent.name.clone(), model: agent.model.clone(), refused: *refused }
    };
    Document {
        tasks: forecast.tasks,
        cost,
        makespan_s,
        ceiling: forecast.ceiling,
        binding,
        lower_bound_s: forecast.lower_bound,
        budget_stop: forecast.budget_stop.map(|stop| Stop {
            agent: stop.agent.map(|id| plan.agent(id).name.clone()),
            budget: stop.budget,
            share: stop.share,
            after_tasks: stop.after_tasks,
            after_s: stop.after,
        }),
        unpriced: forecast.unpriced.iter().map(unpriced).collect(),
        plays: forecast.plays,
        agents: agents(of),
        schedule: forecast.schedule.iter().map(slot).collect(),
        task_costs: plan.ids().zip(&forecast.by_task).map(task_cost).collect(),
        as_configured: as_configured.map(|configured| baseline(configured.forecast)),
    }
}

fn baseline(forecast: &Forecast) -> Baseline {
    let (cost, time) = (forecast.cost, forecast.makespan);
    let known = |amount| forecast.unpriced.is_empty().then_some(amount);
    Baseline {
        cost: Range { low: known(cost.low), expected: known(cost.expected), worst: known(cost.worst) },
        makespan_s: Times { p5: time.p5, p50: time.p50, p95: time.p95 },
        binding: forecast.binding.map(Binding::name),
    }
}

fn if_priced(agent: &Agent, amount: Usd) -> Option<Usd> {
    (agent.pricing != Pricing::Unknown).then_some(amount)
}

fn agents(of: &Forecasted) -> Vec<AgentRow> {
    let row = |(&id, share): (&AgentId, &sortie_core::forecast::AgentShare)| {
        let agent = of.plan.agent(id);
        AgentRow {
            agent: agent.name.clone(),
            model: agent.model.clone(),
            tasks: share.tasks,
            input_tokens: share.input_tokens,
            input_ratio: (share.reserved_input > 0)
                .then(|| share.input_tokens as f64 / share.reserved_input as f64),
            output_tokens: share.output_tokens,
            expected: if_priced(agent, share.expected),
            worst: if_priced(agent, share.worst),
            past_calls: match of.laws.basis().get(&id) {
                Some(Basis::History(calls)) => *calls,
                Some(Basis::Defaults) | None => 0,
            },
        }
    };
    of.forecast.by_agent.iter().map(row).collect()
}

/// A forecast for a terminal; with every task where `verbose`. Every line ends with a line break.
pub fn text(of: &Forecasted, as_configured: Option<&Forecasted>, verbose: bool, style: Style) -> String {
    let Forecasted { plan, forecast, .. } = of;
    let title = format!("{} ({})", one_line(plan.name()), count(forecast.tasks as u64, "task"));
    let rows: Vec<_> = match as_configured {
        None => vec![totals("", of)],
        Some(configured) => vec![totals("as configured", configured), totals("what if", of)],
    };
    let columns = [
        ("", Side::Left),
        ("LOW", Side::Right),
        ("EXPECTED", Side::Right),
        ("WORST", Side::Right),
        ("P5", Side::Right),
        ("P50", Side::Right),
        ("P95", Side::Right),
        ("BOUND BY", Side::Left),
    ];
    let mut text = format!("{}\n{}", style.paint(Paint::Strong, &title), table(columns, &rows));
    if let Some(ceiling) = forecast.ceiling {
        // Where a rate binds, one call after the other would be no slower.
        let faster = if ceiling > 1.0 {
            format!(", {ceiling:.2}x faster than one call after the other")
        } else {
            String::new()
        };
        let _ = writeln!(text, "at best {}{faster}", duration(forecast.lower_bound));
    }
    for warning in unpriced(of).into_iter().chain(budget_stop(of)) {
        let _ = writeln!(text, "{}", style.paint(Paint::Warn, &warning));
    }
    let _ = write!(text, "\n{}", agents_table(of));
    if verbose {
        let _ = write!(text, "\n{}", tasks_table(of));
    }
    text
}

fn totals(label: &str, of: &Forecasted) -> [String; 8] {
    let (cost, time) = (of.forecast.cost, of.forecast.makespan);
    let binding = of.forecast.binding.map_or("nothing", |binding| bound::words(binding, of.settings.mode));
    let shown = |amount| if of.forecast.unpriced.is_empty() { money(amount) } else { "unknown".to_owned() };
    let [low, expected, worst] = [cost.low, cost.expected, cost.worst].map(shown);
    let [p5, p50, p95] = [time.p5, time.p50, time.p95].map(duration);
    [label.to_owned(), low, expected, worst, p5, p50, p95, binding.to_owned()]
}

fn budget_stop(of: &Forecasted) -> Option<String> {
    let stop = of.forecast.budget_stop?;
    let budget = match stop.agent {
        Some(id) => format!("{} of agent {}", money(stop.budget), one_line(&of.plan.agent(id).name)),
        None => money(stop.budget),
    };
    let tasks = count(of.forecast.tasks as u64, "task");
    let share = percent(100.0 * stop.share);
    Some(format!(
        "the budget of {budget} stops the run after about {} of {tasks} and {}, in {share} of {} plays",
        stop.after_tasks,
        duration(stop.after),
        of.forecast.plays
    ))
}

/// A sentence for each agent that has no price.
fn unpriced(of: &Forecasted) -> Vec<String> {
    let sentence = |(id, refused): (&AgentId, &bool)| {
        let agent = of.plan.agent(*id);
        let (name, model) = (one_line(&agent.name), one_line(&agent.model));
        let what = format!("no price is known for {model} of agent {name}");
        if *refused {
            format!("{what}, so a run with a limit in dollars would be refused: set agents.{name}.price")
        } else {
            format!("{what}: what its calls cost is in no sum")
        }
    };
    of.forecast.unpriced.iter().map(sentence).collect()
}

fn agents_table(of: &Forecasted) -> String {
    let columns = [
        ("AGENT", Side::Left),
        ("MODEL", Side::Left),
        ("TASKS", Side::Right),
        ("INPUT", Side::Right),
        ("INPUT/BOUND", Side::Right),
        ("OUTPUT", Side::Right),
        ("EXPECTED", Side::Right),
        ("WORST", Side::Right),
        ("FROM", Side::Left),
    ];
    let rows: Vec<_> = agents(of)
        .into_iter()
        .zip(of.forecast.by_agent.keys())
        .map(|(row, id)| {
            let cost = |amount: Option<Usd>| cost_at(&of.plan.agent(*id).pricing, amount.unwrap_or_default());
            let [expected, worst] = [row.expected, row.worst].map(cost);
            let from = match row.past_calls {
                0 => "documented defaults".to_owned(),
                calls => count(calls as u64, "past call"),
            };
            let [tasks, input, output] =
                [row.tasks.to_string(), row.input_tokens.to_string(), row.output_tokens.to_string()];
            let ratio = row.input_ratio.map_or_else(|| "-".to_owned(), |ratio| percent(100.0 * ratio));
            [row.agent, row.model, tasks, input, ratio, output, expected, worst, from]
        })
        .collect();
    table(columns, &rows)
}

fn tasks_table(of: &Forecasted) -> String {
    let columns = [
        ("TASK", Side::Left),
        ("AGENT", Side::Left),
        ("START", Side::Right),
        ("END", Side::Right),
        ("EXPECTED", Side::Right),
        ("WORST", Side::Right),
    ];
    let rows: Vec<_> = of
        .forecast
        .schedule
        .iter()
        .map(|slot| {
            let (task, cost) = (of.plan.task(slot.task), of.forecast.by_task[slot.task.index()]);
            let agent = of.plan.agent_of(slot.task);
            let [start, end] = [slot.start, slot.end].map(duration);
            let [expected, worst] = [cost.expected, cost.worst].map(|cost| cost_at(&agent.pricing, cost));
            [task.name.clone(), agent.name.clone(), start, end, expected, worst]
        })
        .collect();
    table(columns, &rows)
}

/// A forecast in a line, to be shown before a run.
pub fn line(of: &Forecasted) -> String {
    let (cost, time) = (of.forecast.cost, of.forecast.makespan);
    let unpriced = of.forecast.unpriced.keys().map(|id| of.plan.agent(*id));
    let range = if of.forecast.unpriced.is_empty() {
        format!("{} ({} to {})", money(cost.expected), money(cost.low), money(cost.worst))
    } else {
        format!("cost unknown (no price for {})", one_line(&names(unpriced)))
    };
    let mut line = format!("forecast: {range}, {} (p95 {})", duration(time.p50), duration(time.p95));
    if let Some(binding) = of.forecast.binding {
        let _ = write!(line, ", bound by {}", bound::words(binding, of.settings.mode));
    }
    if let Some(stop) = budget_stop(of) {
        let _ = write!(line, "; {stop}");
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sortie_core::forecast::forecast;
    use sortie_core::price::Price;

    use super::*;
    use crate::testing::Story;

    fn check(name: &str, show: impl Fn(&Forecasted) -> String) {
        let price = Price::flat(Usd::from_pico(3_000_000), Usd::from_pico(15_000_000));
        insta::assert_snapshot!(name, shown(Pricing::Known(price), None, show));
    }

    fn shown(pricing: Pricing, max_cost: Option<Usd>, show: impl Fn(&Forecasted) -> String) -> String {
        let mut story = Story::pipeline();
        story.settings.budget = Usd::from_f64(0.03);
        let agent = Agent { pricing, max_cost, ..story.plan.agents()[0].clone() };
        let plan = Plan::new(story.plan.name().to_owned(), vec![agent], story.plan.tasks().to_vec());
        let plan = Arc::new(plan);
        let laws = Laws::new(&plan, |_| None);
        let forecast = forecast(&plan, &story.settings, &laws, 1);
        let of = Forecasted { plan: &plan, settings: &story.settings, laws: &laws, forecast: &forecast };
        show(&of)
    }

    #[test]
    fn an_agent_s_budget_is_called_so() {
        let price = Pricing::Known(Price::flat(Usd::from_pico(3_000_000), Usd::from_pico(15_000_000)));
        let cap = Usd::from_f64(0.02);
        let said = "the budget of $0.02 of agent claude stops the run after about";
        let line = shown(price.clone(), cap, line);
        assert!(line.contains(said), "{line}");
        let json = shown(price, cap, |of| serde_json::to_string(&document(of, None)).unwrap());
        assert!(json.contains(r#""budget_stop":{"agent":"claude","budget":0.02,"#), "{json}");
    }

    #[test]
    fn a_price_that_nobody_knows_is_never_shown_as_an_amount() {
        let text = shown(Pricing::Unknown, None, |of| text(of, None, true, Style::Plain));
        assert!(!text.contains('$') && text.contains("  unknown  "), "{text}");
        assert!(text.contains("no price is known for claude-sonnet-4-5 of agent claude, so a run"), "{text}");
        assert!(text.contains("set agents.claude.price"), "{text}");
        let line = shown(Pricing::Unknown, None, line);
        assert!(
            line.starts_with("forecast: cost unknown (no price for claude), ") && !line.contains('$'),
            "{line}"
        );
        let json = shown(Pricing::Unknown, None, |of| serde_json::to_string(&document(of, None)).unwrap());
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["cost"]["worst"], &json["budget_stop"]),
            (&serde_json::Value::Null, &serde_json::Value::Null)
        );
        assert_eq!(json["unpriced"][0]["refused"], true);
    }

    #[test]
    fn a_forecast_reads_well() {
        check("forecast_text", |of| text(of, Some(of), true, Style::Plain));
        check("forecast_line", line);
        check("forecast_json", |of| serde_json::to_string_pretty(&document(of, None)).unwrap());
    }
}
