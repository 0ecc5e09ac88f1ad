//! `sortie forecast PLAN`

use std::sync::Arc;

use sortie::config::{Overrides, WhatIf};
use sortie::core::document::Source;
use sortie::core::plan::Plan;
use sortie::core::run::input::Mode;
use sortie::engine::store::Header;
use sortie::foresight::{Foresight, Past};
use sortie::launch::Launch;
use sortie::report::forecast::{self as texts, Forecasted};
use sortie::session::now;

use super::{counting, journal, simulation};
use crate::args::ForecastArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load::{self, Setting};
use crate::terminal::{self, Terminal};

pub(super) async fn run(args: ForecastArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let what_if = WhatIf { agents: args.agent.iter().cloned().collect(), requests_per_minute: args.rpm };
    let max_concurrent = args.bounds.max_concurrent;
    let caps = &args.bounds.caps;
    caps.check()?;
    let overrides = Overrides { max_cost: caps.run(), agent_max_cost: caps.agents(), ..Overrides::default() };
    let configured = load::setting(&args.places, &overrides)?;
    terminal.warn(&configured.config.warnings);
    load::known_agents(what_if.agents.keys().chain(overrides.agent_max_cost.keys()), &configured.config)?;
    if let Some(other) = what_if.agents.values().find(|other| configured.config.disabled.contains(other)) {
        let message = format!("agent `{other}` is disabled in the configuration");
        return Err(Failed::new(Exit::Invalid, message).hint("a model's id can be named in its place"));
    }
    if args.rpm.is_some() && args.instead.simulate.is_some() {
        terminal.note("note: a simulated run is bound by its scenario's quotas, whatever --rpm supposes");
    }
    let asked = !what_if.is_empty() || max_concurrent.is_some();
    let plan = load::plan_source(&args.plan)?;
    let (plain, plain_header) = foresee(&plan, &args, &configured, None, terminal).await?;
    let supposed = if asked {
        let overrides = Overrides { max_concurrent, ..overrides };
        let supposed = load::setting_supposing(&args.places, &overrides, &what_if)?;
        let known = Some(&*plain_header.plan);
        Some(foresee(&plan, &args, &supposed, known, Terminal::silent()).await?)
    } else {
        None
    };
    let plain = forecasted(&plain_header, &plain);
    let supposed = supposed.as_ref().map(|(foresight, header)| forecasted(header, foresight));
    let (of, as_configured) = match &supposed {
        Some(supposed) => (supposed, Some(&plain)),
        None => (&plain, None),
    };
    if terminal.json() {
        terminal::document(&texts::document(of, as_configured));
    } else {
        terminal::result(&texts::text(of, as_configured, args.verbose, terminal::style()));
    }
    Ok(Exit::Success)
}

/// What a run of the plan would be created with, and what is foreseen of it. Neither keys nor prices
/// have to be there. `known` is the same plan with its tokens counted: nobody is asked again about agents
/// with the same model.
async fn foresee(
    plan: &Source,
    args: &ForecastArgs,
    setting: &Setting,
    known: Option<&Plan>,
    terminal: Terminal,
) -> Result<(Foresight, Header), Failed> {
    let checked = load::check_plan(plan, &setting.config)?;
    terminal.warn(&checked.warnings);
    let (simulation, seed) = (simulation(&args.instead)?, args.instead.seed);
    let mode = args.bounds.mode.map_or(Mode::Parallel, Mode::from);
    let launch = Launch { mode, seed, simulation, ..Launch::default() };
    let mut header = launch.draft(checked, &setting.config, &setting.environment, now())?;
    if let Some(known) = known {
        let same_model = |id| header.plan.agent_of(id).model == known.agent_of(id).model;
        let counts: Vec<_> =
            known.ids().map(|id| known.task(id).prompt.fixed_tokens.filter(|_| same_model(id))).collect();
        Arc::make_mut(&mut header.plan).count_tokens(counts);
    }
    counting::ask(&mut header, &setting.environment, terminal).await?;
    // A journal that cannot be read is one without history.
    let journal = journal(&setting.config.results_dir).unwrap_or_else(|failed| {
        terminal.note(&format!("warning: no past runs are known\n{}", failed.render(false).trim_end()));
        None
    });
    let past = Past::of(journal.as_ref(), &setting.config.results_dir, &header.settings);
    let foresight = Foresight::of(&header, past.supposing(known.and(args.rpm))).await?;
    Ok((foresight, header))
}

fn forecasted<'a>(header: &'a Header, foresight: &'a Foresight) -> Forecasted<'a> {
    Forecasted {
        plan: &header.plan,
        settings: &foresight.settings,
        laws: &foresight.laws,
        forecast: &foresight.forecast,
        learned: &foresight.learned,
        surpassed: &foresight.surpassed,
        now: now(),
    }
}

/// What is foreseen of a run, in a line.
pub(super) fn line(header: &Header, foresight: &Foresight) -> String {
    texts::line(&forecasted(header, foresight))
}
