//! `sortie trial`: staged tests against an API, and a verdict.
//!
//! | file | for |
//! | --- | --- |
//! | `stage` | one trial: what it will do, and its parts one after the other |
//! | `parts` | one part: made, killed in the middle |
//! | `halt` | what ends one before its verdict: a failure, or a signal |
//! | `conclude` | what it came to: compared, written, shown |
//! | `watch` | what is looked at while a part runs: progress, and the part over time |
//! | `recovery` | a run that is killed in the middle |
//! | `history` | earlier trials |

mod conclude;
mod halt;
mod history;
mod parts;
mod recovery;
mod stage;
mod watch;

use std::path::Path;

use sortie::binding::Simulation;
use sortie::config::Overrides;
use sortie::report::trial::{Trial, Verdict};
use sortie::sim::Scenario;
use sortie::trial::conduct::Spent;
use sortie::trial::{Phase, TestType};

use super::{execute, scenario_text, simulation};
use crate::args::{Phases, TrialArgs};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};
use halt::Halt;
use stage::Stage;

pub(super) async fn run(args: TrialArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    args.caps.check()?;
    let overrides =
        Overrides { max_cost: args.caps.run(), agent_max_cost: args.caps.agents(), ..Overrides::default() };
    let setting = load::setting(&args.places, &overrides)?;
    load::known_agents(overrides.agent_max_cost.keys(), &setting.config)?;
    let test_type = args.test_type.as_deref().and_then(TestType::named);
    if args.history {
        return Ok(history::show(&setting.config.results_dir, test_type, &args, terminal));
    }
    terminal.warn(&setting.config.warnings);
    consistent(&args, test_type)?;
    let plan = args.plan.as_deref().map(|path| load::plan(path, &setting.config)).transpose()?;
    if let Some(plan) = &plan {
        terminal.warn(&plan.warnings);
    }
    let simulation = simulation(&args.instead)?;
    let rehearsal = Simulation {
        scenario: scenario_text(args.against.as_deref().unwrap_or("seed"))?,
        seed: args.instead.seed,
    };
    let phases: Vec<Option<Phase>> = match args.phase {
        Some(phases) => phases.each().map(Some).collect(),
        None => vec![None],
    };
    let mut trials: Vec<Trial> = Vec::new();
    let mut before = Spent::default();
    // One for all: what comes between two parts is not to be lost.
    let mut signals = execute::listen()?;
    for phase in phases {
        let stage = Stage {
            args: &args,
            setting: &setting,
            plan: plan.as_ref(),
            simulation: simulation.as_ref(),
            rehearsal: &rehearsal,
            phase,
            test_type,
            before: &before,
            terminal,
        };
        let (trial, spent) = match Box::pin(stage.make(&mut signals)).await {
            Ok(ended) => ended,
            Err(Halt::Failed(failed)) => return Err(failed),
            Err(Halt::Signal(signal)) => {
                // The phases before it have their verdicts.
                told(&trials, &args, terminal);
                return Ok(Exit::by(signal));
            }
        };
        trials.push(trial);
        before = spent;
        if let Some(signal) = signals.first() {
            // It came too late for this verdict, and in time for the next phase.
            told(&trials, &args, terminal);
            return Ok(Exit::by(signal));
        }
        if trials.last().is_some_and(|trial| trial.verdict == Verdict::Fail) {
            break;
        }
    }
    told(&trials, &args, terminal);
    let passed = trials.iter().all(|trial| trial.verdict == Verdict::Pass);
    Ok(if passed { Exit::Success } else { Exit::Unmet })
}

/// What cannot be meant together.
fn consistent(args: &TrialArgs, test_type: Option<TestType>) -> Result<(), Failed> {
    let invalid = |message: &str| Err(Failed::new(Exit::Invalid, message));
    let is_comparison = test_type == Some(TestType::Compare);
    if args.against.is_some() && !is_comparison {
        return invalid("--against is about --test-type compare");
    }
    if args.fit.is_some() && !is_comparison {
        return invalid("--fit needs --test-type compare: it takes both sides to fit one to the other");
    }
    let directory =
        args.fit.as_deref().and_then(Path::parent).filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return invalid("--fit: there is no such directory to write into, and trying costs money");
    }
    // A built-in scenario goes before a file of its name.
    let is_built_in = |file: &Path| Scenario::names().any(|known| file == Path::new(known));
    if args.fit.as_deref().is_some_and(is_built_in) {
        return invalid("--fit: a built-in scenario has this name, and --simulate would take that one");
    }
    let is_other = |file: &Path| file.exists() && scenario_text(&file.to_string_lossy()).is_err();
    if args.fit.as_deref().is_some_and(is_other) {
        return invalid("--fit would replace a file that is no scenario");
    }
    if args.send_oversized && test_type != Some(TestType::FaultTolerance) {
        return invalid("--send-oversized is about --test-type fault-tolerance");
    }
    if args.send_oversized && args.plan.is_some() {
        return invalid("--send-oversized is about a task of the built-in ones: it goes without --plan");
    }
    if args.phase.is_some_and(Phases::are_several) && args.tasks.is_some() {
        return invalid("--tasks is about one phase: several in a row have tasks of their own");
    }
    Ok(())
}

/// The document of what was made, where one is asked for: the last trial's, and of phases in a row all of them.
fn told(trials: &[Trial], args: &TrialArgs, terminal: Terminal) {
    if let Some(last) = trials.last().filter(|_| terminal.json()) {
        let several = args.phase.is_some_and(Phases::are_several);
        terminal::document(&history::document(last, several.then_some(trials)));
    }
}
