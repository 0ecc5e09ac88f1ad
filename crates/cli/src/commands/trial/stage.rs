//! One trial: what it will do, and its parts one after the other.

use std::time::Duration;

use sortie::binding::{Binding, Simulation};
use sortie::config::Config;
use sortie::core::agent::AgentId;
use sortie::core::plan::check::Checked;
use sortie::core::run::input::Mode;
use sortie::core::time::Time;
use sortie::engine::executor::signals::Signals;
use sortie::engine::store::{Header, StoreError, check_run_id};
use sortie::foresight::{Foresight, Past};
use sortie::report::fold::Status;
use sortie::report::terminal::one_line;
use sortie::report::trial::drift::DriftFold;
use sortie::report::trial::{Comparison, Point, PointState, Recovery, Trial, text};
use sortie::report::units::{count, duration, money};
use sortie::session::now;
use sortie::trial::conduct::Spent;
use sortie::trial::{
    Conducted, Conductor, Design, Needs, Part, Phase, Proxies, Request, Role, Shortfall, TestType, checklist,
};

use super::halt::{Halt, ask};
use crate::args::{Phases, TrialArgs};
use crate::commands::execute::may_ask;
use crate::commands::{counting, journal};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load::Setting;
use crate::terminal::{self, Terminal};

/// Why nothing is fitted where a trial ends before that.
const NOT_MADE: &str = "the runs that the simulator is fitted to were not all made";

/// A trial that is to be made.
pub(super) struct Stage<'a> {
    pub(super) args: &'a TrialArgs,
    pub(super) setting: &'a Setting,
    pub(super) plan: Option<&'a Checked>,
    pub(super) simulation: Option<&'a Simulation>,
    pub(super) rehearsal: &'a Simulation,
    pub(super) phase: Option<Phase>,
    pub(super) test_type: Option<TestType>,
    /// What the trials of the phases before this one have spent.
    pub(super) before: &'a Spent,
    pub(super) terminal: Terminal,
}

/// What a trial has come to so far.
pub(super) struct Made<'a> {
    pub(super) before: &'a Spent,
    pub(super) signals: &'a mut Signals,
    pub(super) design: &'a Design,
    pub(super) conductor: Conductor<'a>,
    pub(super) began: Time,
    pub(super) checklist: Vec<Point>,
    pub(super) parts: Vec<Conducted>,
    pub(super) pause: Duration,
    pub(super) recovery: Option<Recovery>,
    pub(super) drift: DriftFold,
    pub(super) foresight: Option<(Header, Foresight)>,
    /// What its runs need, and what of the money cannot suffice for that.
    needs: Option<Needs>,
    pub(super) shortfalls: Vec<Shortfall>,
    pub(super) comparison: Option<Comparison>,
    /// The file that the fitted scenario was written to, or why there is none; none where nobody asked for one.
    pub(super) fit: Option<Result<String, String>>,
    pub(super) notes: Vec<String>,
    /// What answers, apart from whoever stands between.
    pub(super) endpoint: String,
}

impl Made<'_> {
    /// What all parts so far may have cost, those of the trials before this one included.
    pub(super) fn spent(&self) -> Spent {
        self.before.with(self.parts.iter().filter(|part| !part.role.is_rehearsal()))
    }
}

impl Stage<'_> {
    /// Makes the trial, and writes and shows what it came to; with what was spent altogether by then.
    pub(super) async fn make(&self, signals: &mut Signals) -> Result<(Trial, Spent), Halt> {
        let config = &self.setting.config;
        let request = Request {
            phase: self.phase,
            test_type: self.test_type,
            tasks: self.args.tasks.map(|tasks| tasks as usize),
            max_concurrent: self.args.max_concurrent,
            configured: config.stated_max_concurrent,
            plan: self.plan.cloned(),
            seed: self.args.instead.seed,
            simulated: self.simulation.is_some(),
            send_oversized: self.args.send_oversized,
            fits: self.args.fit.is_some(),
        };
        let design = Design::of(&request, &config.routing())?;
        let began = now();
        let trial_id = self.trial_id(began);
        let proxies = self.proxies(&design).await?;
        let conductor = Conductor {
            config,
            environment: &self.setting.environment,
            simulation: self.simulation,
            rehearsal: self.rehearsal,
            trial_id: &trial_id,
            seed: self.args.instead.seed,
            budget: config.money.budget,
            proxies: &proxies,
        };
        let mut made = Made {
            before: self.before,
            signals,
            design: &design,
            conductor,
            began,
            checklist: Vec::new(),
            parts: Vec::new(),
            pause: Duration::ZERO,
            recovery: None,
            drift: DriftFold::default(),
            foresight: None,
            needs: None,
            shortfalls: Vec::new(),
            comparison: None,
            fit: self.args.fit.is_some().then(|| Err(NOT_MADE.to_owned())),
            notes: Vec::new(),
            endpoint: String::new(),
        };
        if let Err(halt) = self.parts(&mut made).await {
            if let Halt::Signal(signal) = &halt {
                self.interrupted(&made, *signal).await;
            }
            return Err(halt);
        }
        let (done, counted) =
            proxies.done(Conducted::of_role(&made.parts, Role::Judged).map(|part| &part.fold));
        made.notes.extend(counted);
        let spent = made.spent();
        made.signals.deafen();
        Ok((self.conclude(made, done).await?, spent))
    }

    /// Whoever stands between a test of faults and a real endpoint.
    async fn proxies(&self, design: &Design) -> Result<Proxies, Failed> {
        if design.test_type != TestType::FaultTolerance {
            return Ok(Proxies::none());
        }
        if let Some(simulation) = self.simulation {
            // Generated prompts ask for their faults themselves.
            let is_own = self.plan.is_some();
            return Ok(if is_own { Proxies::within(simulation)? } else { Proxies::none() });
        }
        let judged = design.judged();
        let agents = judged.map(|part| part.checked.plan.used_agents()).unwrap_or_default();
        let places = agents.into_iter().map(AgentId::index);
        Ok(Proxies::before(&self.setting.config, places, self.args.instead.seed).await?)
    }
}

impl Stage<'_> {
    fn trial_id(&self, began: Time) -> String {
        let name = self.args.run_id.clone().unwrap_or_else(|| sortie::launch::name_of(began));
        match self.phase {
            // Phases in a row are trials of their own.
            Some(phase) if self.args.run_id.is_some() && self.args.phase.is_some_and(Phases::are_several) => {
                format!("{name}-{}", phase.number())
            }
            _ => name,
        }
    }

    /// All that is made before the verdict.
    async fn parts(&self, made: &mut Made<'_>) -> Result<(), Halt> {
        self.conduct(made).await?;
        self.compare(made).await
    }

    /// Makes the parts one after the other.
    async fn conduct(&self, made: &mut Made<'_>) -> Result<(), Halt> {
        let design = made.design;
        let Some(judged) = design.judged() else {
            return Err(Failed::new(Exit::Failed, "the trial has nothing to judge").into());
        };
        made.endpoint = match self.simulation {
            Some(simulation) => format!("scenario {}", scenario_name(simulation)),
            None => hosts(&judged.checked, &self.setting.config),
        };
        // Names, keys and prices are asked for before anything is written.
        self.names(made)?;
        let mut header = made.conductor.header(judged, self.before)?;
        let binding = Binding::of(&header)?;
        let counting = counting::ask(&mut header, &self.setting.environment, self.terminal);
        made.signals.unless(counting).await??;
        self.foresee(made, header).await?;
        priced(made)?;
        self.announce(made);
        if !self.args.yes
            && made.foresight.as_ref().is_some_and(|(header, _)| may_ask(&header.plan, &binding))
        {
            ask(made.signals).await?;
        }
        let keys = checklist::keys(&judged.checked, &self.setting.config.routing())?;
        self.part(made, &keys).await?;
        made.heed()?;
        if self.simulation.is_none()
            && let Some((header, _)) = made.foresight.take()
        {
            // What the replies told of limits counts; of a simulator that was known before.
            self.foresee(made, header).await?;
        }
        if !self.look(made)? {
            return Ok(());
        }
        for part in &design.parts {
            if part.role == Role::Judged && design.measures_both() {
                self.pause(made).await?;
            }
            match part.role {
                Role::Recovery => self.killed(made, part).await?,
                _ => self.part(made, part).await?,
            }
            if let Some(stopped) = made.parts.last().and_then(Conducted::stopped) {
                made.notes.push(stopped);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Refuses names that a part's run cannot have, or that are taken.
    fn names(&self, made: &Made<'_>) -> Result<(), Failed> {
        let roles = made.design.parts.iter().map(|part| part.role).chain([Role::Key]);
        for id in roles.map(|role| made.conductor.run_id(role)) {
            check_run_id(&id).map_err(|bad| Failed::from(StoreError::from(bad)))?;
            if self.setting.config.results_dir.join(&id).exists() {
                let taken = Failed::new(Exit::Invalid, format!("there is a run {id:?} already"));
                return Err(taken.hint("--run-id names the trial otherwise"));
            }
        }
        Ok(())
    }

    /// Forecasts the run that is judged, from all that earlier runs know.
    async fn foresee(&self, made: &mut Made<'_>, header: Header) -> Result<(), Failed> {
        let results_dir = &self.setting.config.results_dir;
        let journal = journal(results_dir)?;
        let past = Past::of(journal.as_ref(), results_dir, &header.settings);
        let foresight = Foresight::of(&header, past).await?;
        made.needs = Some(Needs::of(made.design, &header, &foresight));
        made.foresight = Some((header, foresight));
        Ok(())
    }

    /// Says what will be done, and what that will come to.
    fn announce(&self, made: &Made<'_>) {
        let (Some((header, _)), Some(needs)) = (&made.foresight, &made.needs) else { return };
        let (design, plan) = (made.design, &header.plan);
        let phase = design.phase.map_or_else(String::new, |phase| format!(", phase {}", phase.number()));
        let what = match design.test_type {
            TestType::Phase => String::new(),
            test => format!(", test {test}"),
        };
        self.terminal.note(&format!("trial {}{phase}{what}", made.conductor.trial_id));
        for id in plan.used_agents() {
            let agent = plan.agent(id);
            let at = match self.simulation {
                Some(_) => &made.endpoint,
                None => &self.setting.config.agents[id.index()].endpoint.base_url,
            };
            let (name, model) = (one_line(&agent.name), one_line(&agent.model));
            self.terminal.note(&format!("  agent {name}: {model} at {}", one_line(at)));
        }
        let runs: Vec<String> = design.parts.iter().map(in_words).collect();
        self.terminal.note(&format!("  {}", runs.join(", then ")));
        for note in &design.notes {
            self.terminal.note(&format!("  {note}"));
        }
        let all = match needs.runs {
            1 => String::new(),
            runs => format!(", all {runs} of them {}", duration(needs.time)),
        };
        let budget =
            made.conductor.budget.map_or("no budget".to_owned(), |usd| format!("at most {}", money(usd)));
        self.terminal.note(&format!(
            "  forecast: {} expected, {} at worst, {budget}; the judged run takes {}{all}",
            money(needs.cost.expected),
            money(needs.cost.worst),
            duration(needs.judged),
        ));
    }

    /// Looks at what the agents answered; whether the trial can go on.
    fn look(&self, made: &mut Made<'_>) -> Result<bool, Failed> {
        let Some(keys) = made.parts.last() else { return Ok(false) };
        let (Some((header, foresight)), Some(needs)) = (&made.foresight, &made.needs) else {
            return Ok(false);
        };
        let config = &self.setting.config;
        let shortfalls = needs.shortfalls(header, config.money.stopping(), &made.spent());
        let (phase, before) = (made.design.phase, made.before);
        let plans = checklist::Plans { header, foresight, needs, shortfalls: &shortfalls, before, phase };
        let points = checklist::points(config, keys, plans);
        self.terminal.note(&text::points(&points, terminal::style_on_stderr()));
        let failed = keys.fold.tasks().iter().filter(|view| view.status != Status::Succeeded);
        let mut failures = failed.filter_map(|view| view.failure.as_ref());
        if let Some(setup) = failures.find(|failure| checklist::is_setup(failure.class)) {
            let message = format!("the trial cannot begin: {}", one_line(&setup.to_string()));
            let hint = "`sortie check` tells what is missing; nothing but that call was made";
            return Err(Failed::new(Exit::Setup, message).hint(hint));
        }
        let may_begin = points.iter().all(|point| point.state != PointState::Missing);
        (made.checklist, made.shortfalls) = (points, shortfalls);
        Ok(may_begin)
    }
}

/// Refuses agents without a price: what a trial costs is a part of what it judges.
fn priced(made: &Made<'_>) -> Result<(), Failed> {
    let Some((header, foresight)) = &made.foresight else { return Ok(()) };
    let Some(id) = foresight.forecast.unpriced.keys().next() else { return Ok(()) };
    let agent = header.plan.agent(*id);
    let (name, model) = (one_line(&agent.name), one_line(&agent.model));
    let message = format!("no price is known for {model}: a trial judges what its tasks cost");
    let hint =
        format!("set agents.{name}.price to {{ input: USD, output: USD }} per million tokens, or to free");
    Err(Failed::new(Exit::Setup, message).hint(hint))
}

pub(super) fn scenario_name(simulation: &Simulation) -> String {
    let scenario = sortie::sim::Scenario::parse(&simulation.scenario);
    scenario.map_or_else(|_| "the simulator".to_owned(), |scenario| scenario.name)
}

/// What a part does, in words: `20 tasks one after the other`.
pub(super) fn in_words(part: &Part) -> String {
    let tasks = count(part.checked.plan.to_do() as u64, "task");
    let how = match part.mode {
        Mode::Serial => "one after the other".to_owned(),
        Mode::Parallel => format!("at most {} at a time", part.max_concurrent),
    };
    match part.role {
        Role::Key => format!("{} to try the keys", count(part.checked.plan.to_do() as u64, "call")),
        Role::Recovery => format!("{tasks} {how}, with a kill in the middle"),
        Role::Simulated | Role::SimulatedSerial => format!("{tasks} {how} on the simulator"),
        _ => format!("{tasks} {how}"),
    }
}

/// Where the agents of these tasks are reached.
fn hosts(checked: &Checked, config: &Config) -> String {
    let used = checked.plan.used_agents();
    let mut hosts: Vec<&str> =
        used.iter().map(|id| config.agents[id.index()].endpoint.base_url.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts.join(", ")
}
