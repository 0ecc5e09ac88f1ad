//! What `sortie forecast` says, as a table and as JSON (DESIGN.md), and in a line before a run.

mod document;

use std::fmt::Write;

use sortie_core::agent::AgentId;
use sortie_core::forecast::{Forecast, Laws};
use sortie_core::limit::{Dimension, GateId, Learned};
use sortie_core::misfit::Doom;
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::prediction::Stop;
use sortie_core::run::input::Settings;
use sortie_core::time::Time;

use crate::amounts::{cost_at, names};
use crate::table::{Side, table};
use crate::terminal::{Paint, Style, one_line};
use crate::units::{ago, count, duration, grouped, money, percent};
use crate::{bound, learned};
use document::agents;
pub use document::{Document, document};

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
    /// What earlier runs have learned of its gates, and that is expected of their providers.
    pub learned: &'a [(GateId, Learned)],
    /// What they have learned where more requests a minute are supposed.
    pub surpassed: &'a [(GateId, Learned)],
    /// When it was forecast.
    pub now: Time,
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
        let least = duration(forecast.lower_bound);
        let _ = writeln!(text, "with every call as expected at least {least}{faster}");
    }
    for (id, learned) in of.learned {
        if let Some(gate) = of.settings.gates.get(id.index()) {
            let _ = writeln!(text, "{}", one_line(&learned::words(&gate.name, learned, of.now)));
        }
    }
    for note in notes(of) {
        let _ = writeln!(text, "{}", style.paint(Paint::Warn, &note));
    }
    for warning in unpriced(of).into_iter().chain(doomed(of)).chain(stop(of)) {
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

/// What the reader has to know of what was supposed.
fn notes(of: &Forecasted) -> Vec<String> {
    let note = |(id, learned): &(GateId, Learned)| {
        let gate = of.settings.gates.get(id.index())?;
        let [seen, supposed] =
            [learned.per_minute(Dimension::Requests)?, u64::from(gate.requests_per_minute?)].map(grouped);
        let age = ago(of.now.since(learned.at));
        let name = one_line(&gate.name);
        Some(format!(
            "{name} was seen to allow {seen} requests/min (learned {age}): this supposes that it allows {supposed}"
        ))
    };
    of.surpassed.iter().filter_map(note).collect()
}

fn stop(of: &Forecasted) -> Option<String> {
    of.forecast.budget_stop.map(|stop| budget_stop(of.plan, of.forecast.tasks, &stop))
}

/// Where a budget stops a run that has so many tasks to do, in a sentence.
pub(crate) fn budget_stop(plan: &Plan, tasks: usize, stop: &Stop) -> String {
    let budget = match stop.agent {
        Some(id) => format!("{} of agent {}", money(stop.budget), one_line(&plan.agent(id).name)),
        None => money(stop.budget),
    };
    let tasks = count(tasks as u64, "task");
    format!(
        "the budget of {budget} stops the run after about {} of {tasks} and {}, in {} of {} plays",
        stop.after_tasks,
        duration(stop.after),
        percent(100.0 * stop.share()),
        stop.plays
    )
}

/// Tasks that a sentence names.
const MOST_NAMED: usize = 3;

/// The tasks that are bound to fail, in a sentence.
fn doomed(of: &Forecasted) -> Option<String> {
    let doomed = &of.forecast.doomed;
    if doomed.is_empty() {
        return None;
    }
    let named = doomed.iter().take(MOST_NAMED).map(|(id, doom)| {
        let name = one_line(&of.plan.task(*id).name);
        format!("{name} ({})", why(of.plan, *id, *doom))
    });
    let more = doomed.len().saturating_sub(MOST_NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named: Vec<String> = named.chain(more).collect();
    let tasks = count(of.forecast.tasks as u64, "task");
    Some(format!("{} of {tasks} will not run: {}", doomed.len(), named.join(", ")))
}

/// Why a task will not run.
fn why(plan: &Plan, id: TaskId, doom: Doom) -> String {
    match doom {
        Doom::Invalid => plan
            .task(id)
            .invalid
            .as_ref()
            .map_or_else(String::new, |failure| one_line(&failure.message).into_owned()),
        Doom::Limit { needs, limit } => {
            format!("it may cost {}, its limit is {}", money(needs), money(limit))
        }
        Doom::Behind(before) => format!("it depends on {}", one_line(&plan.task(before).name)),
    }
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
            let from = match (row.past_calls, row.simulator_calls) {
                (0, 0) => "documented defaults".to_owned(),
                (0, calls) => count(calls as u64, "call") + " to the simulator",
                (calls, _) => count(calls as u64, "past call"),
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
    for said in doomed(of).into_iter().chain(stop(of)) {
        let _ = write!(line, "; {said}");
    }
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use sortie_core::agent::Agent;
    use sortie_core::forecast::forecast;
    use sortie_core::money::Usd;
    use sortie_core::price::{Price, Pricing};

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
        let (settings, now) = (&story.settings, Time::ZERO + Duration::from_secs(7300));
        let learned = [(GateId(0), Learned { at: Time::ZERO, quotas: Vec::new(), rate: Some(10.0) })];
        let (laws, forecast, learned) = (&laws, &forecast, &learned);
        let of = Forecasted { plan: &plan, settings, laws, forecast, learned, surpassed: &[], now };
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
    fn tasks_that_will_not_run_are_told_with_the_reason() {
        let price = Pricing::Known(Price::flat(Usd::from_pico(3_000_000), Usd::from_pico(15_000_000)));
        let said = |show: &dyn Fn(&Forecasted) -> String| {
            shown(price.clone(), None, |of| {
                let limit = Doom::Limit { needs: Usd::from_pico(2), limit: Usd::from_pico(1) };
                let doomed = vec![(TaskId(0), limit), (TaskId(1), Doom::Behind(TaskId(0)))];
                let forecast = Forecast { doomed, ..of.forecast.clone() };
                show(&Forecasted { forecast: &forecast, ..*of })
            })
        };
        let why = "2 of 5 tasks will not run: analyze (it may cost $0.000000000002, its limit is $0.000000000001), \
                   design (it depends on analyze)";
        for text in [said(&|of| text(of, None, false, Style::Plain)), said(&line)] {
            assert!(text.contains(why), "{text}");
        }
        let json = said(&|of| serde_json::to_string(&document(of, None)).unwrap());
        let second = r#"{"task_id":"design","why":"it depends on analyze"}],"plays""#;
        assert!(json.contains(second), "{json}");
    }

    #[test]
    fn a_rate_that_was_never_seen_is_called_supposed() {
        let quota = Learned { at: Time::ZERO, quotas: Vec::new(), rate: Some(0.5) };
        let said = |show: &dyn Fn(&Forecasted) -> String| {
            shown(Pricing::Free, None, |of| {
                let mut settings = of.settings.clone();
                settings.gates[0].requests_per_minute = Some(9_000);
                let surpassed = &[(GateId(0), quota.clone())];
                show(&Forecasted { settings: &settings, surpassed, ..*of })
            })
        };
        let note = "anthropic/claude-sonnet-4-5 was seen to allow 30 requests/min (learned 2 h ago): \
                    this supposes that it allows 9,000";
        let text = said(&|of| text(of, None, false, Style::Plain));
        assert!(text.contains(&format!("{note}\n")), "{text}");
        let json = said(&|of| serde_json::to_string(&document(of, None)).unwrap());
        assert!(json.contains(&format!(r#""notes":["{note}"],"schedule""#)), "{json}");
    }

    #[test]
    fn a_forecast_reads_well() {
        check("forecast_text", |of| text(of, Some(of), true, Style::Plain));
        check("forecast_line", line);
        check("forecast_json", |of| serde_json::to_string_pretty(&document(of, None)).unwrap());
    }
}
