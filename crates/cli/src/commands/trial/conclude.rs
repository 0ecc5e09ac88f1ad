//! What a trial came to: both sides held against each other, the document written and shown.

use sortie::chain;
use sortie::core::limit::GateId;
use sortie::engine::driver::Foreseen;
use sortie::engine::store::{Header, read_newest};
use sortie::foresight::Past;
use sortie::report::Report;
use sortie::report::trial::{Faulted, Suggestion, Trial, history, text};
use sortie::trial::conduct::{Conducted, Spent};
use sortie::trial::suggest::Around;
use sortie::trial::{
    Conductor, Material, Part, Role, TestType, allowed_gates, compare, earlier, suggest, write,
};

use super::halt::Halt;
use super::stage::{Made, Stage, scenario_name};
use crate::commands::journal;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::terminal;

/// How often a fitted simulator is played at each width.
const PLAYS: u32 = 5;

/// Tasks of a run that is looked at over time.
const LONG: usize = 50;

impl Stage<'_> {
    /// Holds both sides against each other, and fits the simulator to the endpoint where it is asked for.
    pub(super) async fn compare(&self, made: &mut Made<'_>) -> Result<(), Halt> {
        if made.design.test_type != TestType::Compare {
            return Ok(());
        }
        made.heed()?;
        made.comparison = compare::comparison(&scenario_name(self.rehearsal), &made.parts);
        let Some(file) = self.args.fit.as_ref().filter(|_| made.comparison.is_some()) else { return Ok(()) };
        let store = journal(&self.setting.config.results_dir)?;
        let Some(store) = store else { return Ok(()) };
        let (mut runs, mut rows) = (Vec::new(), Vec::new());
        for role in made.parts.iter().map(|part| part.role).filter(|role| role.is_real()) {
            runs.push(read_newest(&store, &made.conductor.run_id(role)).await.map_err(Failed::from)?);
        }
        let foreseen = made.foresight.as_ref().map(|(_, foresight)| foresight);
        let gates = foreseen.map(|foresight| allowed_gates(foresight, &self.setting.config.results_dir));
        let limited = gates.into_iter().flatten().filter(|gate| gate.requests_per_minute.is_some());
        let allowed = limited.min_by_key(|gate| gate.requests_per_minute).unwrap_or_default();
        let fitted = match compare::fitted(made.conductor.trial_id, &runs, &allowed, file) {
            Ok(fitted) => fitted,
            Err(error) => {
                made.fit = Some(Err(chain(&error)));
                return Ok(());
            }
        };
        made.fit = Some(Ok(file.display().to_string()));
        made.notes.extend(fitted.notes.iter().cloned());
        for part in made.design.rehearsals() {
            let width = part.max_concurrent;
            for play in 1..=PLAYS {
                made.heed()?;
                let simulation = compare::simulation(&fitted, self.args.instead.seed + u64::from(play));
                let conductor = Conductor { rehearsal: &simulation, budget: None, ..made.conductor };
                let part = Part { role: Role::Fitted(width, play), ..part.clone() };
                let header = conductor.header(&part, &Spent::default())?;
                let played =
                    conductor.conduct(part.role, header, Foreseen::nothing(), made.signals, ()).await?;
                made.take(played)?;
            }
            rows.extend(compare::at_width(width, &made.parts));
        }
        made.notes.extend(compare::off(&rows));
        if let Some(comparison) = &mut made.comparison {
            comparison.fitted = rows;
            comparison.scenario_file = Some(file.display().to_string());
        }
        Ok(())
    }

    /// The document of what was made: written, shown.
    pub(super) async fn conclude(&self, made: Made<'_>, faults: Vec<Faulted>) -> Result<Trial, Failed> {
        let config = &self.setting.config;
        let judged = Conducted::of_role(&made.parts, Role::Judged);
        let foreseen = made.foresight.as_ref().map(|(_, foresight)| foresight);
        let allowed = foreseen.map(|foresight| allowed_gates(foresight, &config.results_dir));
        let allowed = allowed.unwrap_or_default();
        let of = |gate: GateId| allowed.get(gate.index())?.requests_per_minute.map(u64::from);
        // Of fewer tasks chance says more than time.
        let long = judged.map(|judged| judged.fold.run()).filter(|run| run.plan.to_do() >= LONG);
        let drift = long.and_then(|run| made.drift.drift(run, of));
        let said = judged.and_then(|judged| judged.said.clone());
        let endpoint = made.endpoint;
        let trial_id = made.conductor.trial_id.to_owned();
        let material = Material {
            design: made.design,
            began: made.began,
            endpoint,
            checklist: made.checklist,
            parts: &made.parts,
            pause: made.pause,
            recovery: made.recovery,
            faults,
            drift,
            comparison: made.comparison,
            fit: made.fit,
            foresight: foreseen,
            allowed: allowed.clone(),
            before: made.before,
            budget: config.money.budget,
            shortfalls: &made.shortfalls,
            criteria: self.args.thresholds.over(config.criteria),
            notes: made.notes,
            seed: self.args.instead.seed,
        };
        let Some(mut trial) = material.assemble() else {
            return Err(Failed::new(Exit::Failed, "no part of the trial was made"));
        };
        // Where its own run was not made, too, it has the name of its directory.
        trial.summary.run_id.clone_from(&trial_id);
        if let (Some(judged), Some((header, _))) = (material.judged(), &made.foresight) {
            let report = judged.fold.report_within(judged.fold.last_time(), &allowed);
            trial.suggestions = self.suggestions(&material, header, &report, &trial).await?;
        }
        let before =
            earlier(&config.results_dir).into_iter().find(|then| history::is_comparable(&trial, then));
        trial.before = before.map(|then| history::before(&trial, &then));
        if !self.terminal.json() {
            terminal::result(&text::block(&trial, said.as_deref(), terminal::style()));
        }
        // What was paid for has its verdict, whatever becomes of its files.
        match write(&trial, &config.results_dir.join(&trial_id)) {
            Ok(report) => self.terminal.note(&format!("report in {}", report.display())),
            Err(error) => terminal::error(&Failed::from(error).render(terminal::colour_on_stderr())),
        }
        Ok(trial)
    }

    /// What would have made it better.
    async fn suggestions(
        &self,
        material: &Material<'_>,
        header: &Header,
        report: &Report<'_>,
        trial: &Trial,
    ) -> Result<Vec<Suggestion>, Failed> {
        let config = &self.setting.config;
        let journal = journal(&config.results_dir)?;
        let Material { design, parts, before, budget, shortfalls, .. } = *material;
        let around = Around::of(design, parts, before, (budget, self.args.caps.run().is_some()), shortfalls);
        let around = Around { faults: !trial.faults.is_empty(), ..around };
        let past = Past::of(journal.as_ref(), &config.results_dir, &header.settings);
        Ok(suggest::suggestions(header, report, &trial.criteria, around, past).await)
    }
}
