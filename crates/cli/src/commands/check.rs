//! `sortie check [PLAN]`: what is missing before a real run, without spending anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use sortie::chain;
use sortie::config::{Config, Overrides};
use sortie::core::agent::AgentId;
use sortie::core::document::Problems;
use sortie::core::limit::{Dimension, GateSpec};
use sortie::core::misfit::{Holder, Misfit, misfits};
use sortie::core::plan::Plan;
use sortie::core::plan::check::Checked;
use sortie::core::price;
use sortie::core::price::Pricing;
use sortie::engine::sharing::learned;
use sortie::engine::store::Header;
use sortie::launch::{Launch, endpoint, too_large, unfit_fallbacks};
use sortie::providers::http::{Client, Probe};
use sortie::report::learned::words;
use sortie::report::trial::text::points;
use sortie::report::trial::{Point, PointState};
use sortie::report::units;
use sortie::session::now;

use super::counting;
use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load::{self, Setting};
use crate::terminal::{self, Terminal};

/// How long an endpoint may take to answer.
const WITHIN: Duration = Duration::from_secs(10);

/// The list while it grows.
#[derive(Default)]
struct List(Vec<Point>);

impl List {
    fn add(&mut self, state: PointState, what: impl Into<String>, found: impl Into<String>) {
        self.0.push(Point { state, what: what.into(), found: found.into(), hint: None });
    }

    fn hint(&mut self, hint: impl Into<String>) {
        if let Some(point) = self.0.last_mut() {
            point.hint = Some(hint.into());
        }
    }
}

pub(super) async fn run(args: CheckArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let checked = args.plan.as_deref().map(|path| load::plan(path, &setting.config)).transpose()?;
    terminal.warn(&setting.config.warnings);
    if let Some(checked) = &checked {
        terminal.warn(&checked.warnings);
    }
    let mut list = List::default();
    files(&setting, &mut list);
    let mut header = draft(&setting, checked.as_ref())?;
    let used = used(&setting.config, checked.as_ref());
    let only = checked.as_ref().map(|checked| checked.plan.only_fallbacks()).unwrap_or_default();
    let asked: BTreeSet<AgentId> = used.union(&only).copied().collect();
    for &id in &asked {
        models(&header, id, used.contains(&id), &mut list);
    }
    for &id in &asked {
        reach(&setting, id, used.contains(&id), args.offline, &mut list).await?;
    }
    bounds(&setting.config, &header, &asked, &mut list);
    if let Some(checked) = &checked {
        plan(checked, &mut list);
        fallbacks(&checked.plan, &setting, &mut list);
        tokens(&mut header, &setting, args.offline, &mut list).await?;
        too_dear(&header, &mut list);
    }
    if terminal.json() {
        terminal::document(&list.0);
    } else {
        terminal::result(&points(&list.0, terminal::style()));
    }
    let missing = list.0.iter().any(|point| point.state == PointState::Missing);
    Ok(if missing { Exit::Setup } else { Exit::Success })
}

/// What a run would be created with; without a plan one without tasks.
fn draft(setting: &Setting, checked: Option<&Checked>) -> Result<Header, Failed> {
    let without_tasks = || {
        let plan = Plan::new(String::new(), setting.config.routing().agents, Vec::new());
        Checked { plan, prompts: Vec::new(), max_failures: None, warnings: Problems::default() }
    };
    let launch = Launch::default();
    let checked = checked.cloned().unwrap_or_else(without_tasks);
    Ok(launch.draft(checked, &setting.config, &setting.environment, now())?)
}

fn files(setting: &Setting, list: &mut List) {
    match &setting.config_path {
        Some(path) => list.add(PointState::Ok, "configuration", path.display().to_string()),
        None => {
            list.add(PointState::Ok, "configuration", "built in (no sortie.yaml, no config.production.yaml)");
        }
    }
    if let Some(path) = setting.environment.file() {
        list.add(PointState::Ok, "env file", path.display().to_string());
    }
    let directory = &setting.config.results_dir;
    match writable(directory) {
        Ok(()) => {
            list.add(PointState::Ok, "results directory", format!("{} can be written", directory.display()));
        }
        Err(error) => {
            list.add(PointState::Missing, "results directory", format!("{}: {error}", directory.display()));
            list.hint("set monitoring.results_dir, or --results-dir");
        }
    }
}

/// Whether files can be made there: tried, and left as it was.
fn writable(directory: &Path) -> std::io::Result<()> {
    let mut existing = directory;
    while !existing.exists() {
        match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
            _ => existing = Path::new("."),
        }
    }
    tempfile::tempfile_in(existing).map(drop)
}

/// The agents that the plan uses; without a plan all of them.
fn used(config: &Config, checked: Option<&Checked>) -> BTreeSet<AgentId> {
    match checked {
        Some(checked) => checked.plan.used_agents(),
        None => (0..config.agents.len() as u16).map(AgentId).collect(),
    }
}

/// What an agent's calls cost; `is_needed`: it is not only a fallback.
fn models(header: &Header, id: AgentId, is_needed: bool, list: &mut List) {
    let agent = header.plan.agent(id);
    let what = format!("price of {}", agent.model);
    let table = price::table();
    match &agent.pricing {
        Pricing::Known(price) => {
            let million = |usd: sortie::core::money::Usd| units::money(usd.times(1_000_000));
            let source = match &price.row {
                Some(_) => format!("table of {}", table.name()),
                None => format!("agents.{}.price", agent.name),
            };
            let (input, output) = (million(price.standard.input), million(price.standard.output));
            let found = format!("{input} in, {output} out per million tokens ({source})");
            list.add(PointState::Ok, what, found);
        }
        Pricing::Free => list.add(PointState::Ok, what, "free, says the configuration"),
        Pricing::Unknown => {
            // What a run is refused for; a fallback is left out.
            let is_held = header.settings.limits_cost_of(&header.plan, id);
            let state = if is_needed && is_held { PointState::Missing } else { PointState::Warning };
            let found = match (is_needed, is_held) {
                (false, true) => "not known: no limit in dollars can hold it, so no task falls back to it",
                _ => "not known: no limit in dollars can hold it",
            };
            list.add(state, what, found);
            list.hint(format!("set agents.{}.price to {{ input: USD, output: USD }} or to free", agent.name));
        }
    }
}

/// Key and endpoint of an agent; `is_needed`: it is not only a fallback, which is left out without them.
async fn reach(
    setting: &Setting,
    id: AgentId,
    is_needed: bool,
    offline: bool,
    list: &mut List,
) -> Result<(), Failed> {
    let missing = if is_needed { PointState::Missing } else { PointState::Warning };
    let configured = &setting.config.agents[usize::from(id.0)];
    let agent = &configured.agent;
    let endpoint = match endpoint(configured, &setting.environment) {
        Ok(endpoint) => endpoint,
        Err(setup) => {
            let without = if is_needed { "" } else { "; without it nobody's tasks go there" };
            list.add(missing, format!("key of {}", agent.name), chain(&setup) + without);
            list.hint(setup.hint());
            return Ok(());
        }
    };
    let fingerprint =
        endpoint.key().map_or_else(String::new, |key| format!(" (fingerprint {})", key.fingerprint()));
    list.add(
        PointState::Ok,
        format!("key of {}", agent.name),
        format!("{}{fingerprint}", configured.endpoint.api_key_env),
    );
    if offline {
        return Ok(());
    }
    let client =
        Client::new(agent.timeouts.connect).map_err(|error| Failed::from(sortie::Error::from(error)))?;
    let what = format!("endpoint of {}", agent.name);
    let origin = endpoint.origin();
    let (state, found) = match client.probe(&endpoint, WITHIN).await {
        Probe::Ready => (PointState::Ok, format!("{origin} answers and takes the key")),
        Probe::Answers(_) => {
            (PointState::Ok, format!("{origin} answers; whether it takes the key it does not say"))
        }
        Probe::Refused(failure) => (missing, format!("{origin} refuses the key: {failure}")),
        Probe::Failing(failure) => (PointState::Warning, format!("{origin} cannot serve now: {failure}")),
        Probe::Unreachable(failure) => (missing, format!("{origin} does not answer: {failure}")),
    };
    list.add(state, what, found);
    Ok(())
}

fn bounds(config: &Config, header: &Header, used: &BTreeSet<AgentId>, list: &mut List) {
    if let Some(budget) = config.money.budget {
        if config.money.auto_stop {
            list.add(PointState::Ok, "budget", format!("{} a run", units::money(budget)));
        } else {
            list.add(
                PointState::Warning,
                "budget",
                format!("past {} a run only warns", units::money(budget)),
            );
            list.hint("set cost_control.auto_stop_on_limit, or --max-cost");
        }
    } else {
        list.add(PointState::Warning, "budget", "none is set");
        list.hint("set cost_control.max_cost_per_session, or --max-cost");
    }
    if let Some(limit) = config.money.max_cost_per_task {
        list.add(
            PointState::Ok,
            "limit of a task",
            format!("{}, where a task states no other", units::money(limit)),
        );
    }
    let agents = used.iter().filter_map(|id| config.agents.get(id.index()));
    for agent in agents.map(|configured| &configured.agent) {
        if let Some(budget) = agent.max_cost {
            let found = format!("{} a run; its tasks stop there, others go on", units::money(budget));
            list.add(PointState::Ok, format!("budget of {}", agent.name), found);
        }
    }
    limits(config, header, used, list);
}

/// The rates and the calls at a time of the accounts that are used, as stated and as learned.
fn limits(config: &Config, header: &Header, used: &BTreeSet<AgentId>, list: &mut List) {
    let gates: BTreeSet<usize> = used.iter().map(|id| header.plan.agent(*id).gate.index()).collect();
    let specs = &header.settings.gates;
    let known = learned(&config.results_dir, specs, now());
    for (index, learned) in known.iter().enumerate().filter(|(index, _)| gates.contains(index)) {
        if let Some(learned) = learned {
            list.add(PointState::Ok, "learned limits", words(&specs[index].name, learned, now()));
        }
    }
    let stated: Vec<String> = gates
        .iter()
        .map(|index| &specs[*index])
        .filter_map(|gate| Some(format!("{} at {}", stated(gate)?, gate.name)))
        .collect();
    let stated =
        if stated.is_empty() { "none is set: they are found out".to_owned() } else { stated.join("; ") };
    list.add(PointState::Ok, "rate limits", format!("{stated}; {} at a time", config.max_concurrent));
}

/// `50 requests/min, 3 at a time`; none where nothing is stated.
fn stated(gate: &GateSpec) -> Option<String> {
    let rates = [
        (gate.requests_per_minute.map(u64::from), Dimension::Requests),
        (gate.input_tokens_per_minute, Dimension::InputTokens),
        (gate.output_tokens_per_minute, Dimension::OutputTokens),
        (gate.tokens_per_minute, Dimension::Tokens),
    ];
    let rates = rates.into_iter().filter_map(|(rate, of)| Some(format!("{} {}", rate?, of.per_minute())));
    let stated: Vec<String> =
        rates.chain(gate.max_concurrent.map(|most| format!("{most} at a time"))).collect();
    (!stated.is_empty()).then(|| stated.join(", "))
}

fn plan(checked: &Checked, list: &mut List) {
    let plan = &checked.plan;
    let tasks = units::count(plan.len() as u64, "task");
    list.add(PointState::Ok, "plan", format!("{} ({tasks})", plan.name()));
    for task in plan.tasks() {
        if let Some(failure) = &task.invalid {
            list.add(PointState::Warning, format!("task {}", task.name), format!("will fail: {failure}"));
        }
    }
}

/// Who does whose tasks: none that a run would leave out, and of the others how many tasks are too long for them.
fn fallbacks(plan: &Plan, setting: &Setting, list: &mut List) {
    let unfit = unfit_fallbacks(plan, &setting.config, &setting.environment, false);
    for id in plan.used_agents() {
        let agent = plan.agent(id);
        for &fallback in &agent.fallbacks {
            let other = plan.agent(fallback);
            let (what, tasks) = (format!("fallback of {}", agent.name), || {
                plan.ids().filter(|task| plan.task(*task).agent == id)
            });
            let too_long = tasks().filter(|task| !plan.fits(*task, fallback, 0)).count();
            let found = format!("{} ({})", other.name, other.model);
            if let Some((_, why)) = unfit.iter().find(|(id, _)| *id == fallback) {
                list.add(PointState::Warning, what, format!("{found}: no task goes there: {}", chain(why)));
                continue;
            }
            if too_long == 0 {
                list.add(PointState::Ok, what, found);
                continue;
            }
            let of = units::count(tasks().count() as u64, "task");
            let window = other.context.unwrap_or_default();
            let why = format!(
                "{too_long} of {of} may be more than its window of {window} tokens, and do not go there"
            );
            list.add(PointState::Warning, what, format!("{found}: {why}"));
        }
    }
}

/// Calls that can never fit a limit in money: the first of each limit, and how many.
fn too_dear(header: &Header, list: &mut List) {
    let plan = &header.plan;
    let mut found: BTreeMap<Holder, (Misfit, u64)> = BTreeMap::new();
    for misfit in misfits(plan, &header.settings) {
        found.entry(misfit.of).or_insert((misfit, 0)).1 += 1;
    }
    for (of, (first, calls)) in found {
        let (needs, limit) = (units::money(first.needs), units::money(first.limit));
        let (whose, then) = match of {
            Holder::Task => ("its limit".to_owned(), "it fails unsent"),
            Holder::Agent(id) => (format!("the budget of {}", plan.agent(id).name), "its tasks stop there"),
            Holder::Run => ("the budget".to_owned(), "the run stops there"),
        };
        let more = if calls > 1 { format!(" (so of {} more)", calls - 1) } else { String::new() };
        let found = format!("may cost {needs}, more than {whose} of {limit}: {then}{more}");
        list.add(PointState::Warning, format!("cost of task {}", plan.task(first.task).name), found);
        list.hint("lower max_tokens, or raise the limit");
    }
}

/// How the tokens of the plan's prompts are known: by a count, of the provider too, or by their bytes.
async fn tokens(
    header: &mut Header,
    setting: &Setting,
    offline: bool,
    list: &mut List,
) -> Result<(), Failed> {
    let answered =
        if offline { None } else { counting::ask(header, &setting.environment, Terminal::silent()).await? };
    let plan = &header.plan;
    for setup in too_large(plan, &header.settings) {
        list.add(PointState::Missing, "request size", chain(&setup));
        list.hint(setup.hint());
    }
    let counted = plan.tasks().iter().filter(|task| task.prompt.fixed_tokens.is_some()).count();
    let tasks = units::count(plan.len() as u64, "task");
    let found = match counted {
        0 => format!("the bytes of the prompts bound them in {tasks}"),
        counted if counted == plan.len() => format!("counted in {tasks}"),
        counted => format!("counted in {counted} of {tasks}; bytes bound the others"),
    };
    match answered.and_then(|answered| answered.failure) {
        Some(failure) => list.add(PointState::Warning, "input tokens", format!("{found}: {failure}")),
        None => list.add(PointState::Ok, "input tokens", found),
    }
    Ok(())
}
