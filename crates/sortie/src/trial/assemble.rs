//! From what the parts of a trial came to, to its document.

use std::collections::BTreeSet;
use std::time::Duration;

use sortie_core::ceiling::Bound;
use sortie_core::limit::GateSpec;
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::run::event::Outcome;
use sortie_core::time::Time;
use sortie_report::fold::{Fold, Report};
use sortie_report::summary::Summary;
use sortie_report::trial::failures::failures;
use sortie_report::trial::{
    Bottlenecks, Comparison, Criteria, Drift, Evidence, Faulted, Measured, Point, Recovery, Trial, Verdict,
    bottlenecks, judge,
};
use sortie_report::units::{budget_exceeded, money, rfc3339};

use super::conduct::{Conducted, Spent};
use super::design::{Design, TestType};
use super::faults;
use super::needs::Shortfall;
use super::part::Role;
use super::speedup;
use crate::foresight::Foresight;

/// What is known of a trial once its parts have ended.
#[derive(Debug)]
pub struct Material<'a> {
    /// What it was to do.
    pub design: &'a Design,
    /// When it began.
    pub began: Time,
    /// What answered.
    pub endpoint: String,
    /// What was looked at before.
    pub checklist: Vec<Point>,
    /// Its parts, in their order.
    pub parts: &'a [Conducted],
    /// What was waited between its serial part and the one that is judged.
    pub pause: Duration,
    /// How it recovered from a kill.
    pub recovery: Option<Recovery>,
    /// The faults that were made outside of its prompts.
    pub faults: Vec<Faulted>,
    /// The judged part over time.
    pub drift: Option<Drift>,
    /// The simulator beside the real API.
    pub comparison: Option<Comparison>,
    /// The file that the fitted scenario was written to, or why there is none; none where nobody asked for one.
    pub fit: Option<Result<String, String>>,
    /// What was expected of the judged part.
    pub foresight: Option<&'a Foresight>,
    /// What each gate's provider is known to allow by now.
    pub allowed: Vec<GateSpec>,
    /// What the trials in a row before it have spent of its budgets.
    pub before: &'a Spent,
    /// What it may cost altogether, those before it included.
    pub budget: Option<Usd>,
    /// What of the money could not suffice, as was known before it began.
    pub shortfalls: &'a [Shortfall],
    /// What it has to reach.
    pub criteria: Criteria,
    /// What its reader has to know besides.
    pub notes: Vec<String>,
    /// Seed of what is drawn.
    pub seed: u64,
}

/// So many times longer in company is more than chance and a busy hour make of it.
const SLOWER: f64 = 1.5;

impl Material<'_> {
    /// The part that is judged: the one that was to be, else the last that was made.
    pub fn judged(&self) -> Option<&Conducted> {
        Conducted::of_role(self.parts, Role::Judged).or(self.parts.last())
    }

    /// The document; none where no part was made.
    pub fn assemble(&self) -> Option<Trial> {
        let judged = self.judged()?;
        let report = judged.fold.report_within(judged.fold.last_time(), &self.allowed);
        let meant_to_fail = meant_to_fail(self.design, &judged.fold);
        let measured = self.measured(&report);
        let mut faults = faults::tally(&self.design.faults, &judged.fold);
        faults.extend(self.faults.iter().cloned());
        let (cost, at_risk) = self.spent();
        let stopped = self.stopped();
        let evidence = Evidence {
            report: &report,
            meant_to_fail: &meant_to_fail,
            measured: measured.as_ref(),
            recovery: self.recovery.as_ref(),
            makes_faults: self.design.test_type == TestType::FaultTolerance,
            faults: &faults,
            spent: (cost, at_risk),
            before: self.before.total(),
            budget: self.budget,
            stopped: stopped.as_deref(),
            fit: self.fit.as_ref().map(|fit| fit.as_deref().map_err(String::as_str)),
        };
        let criteria = judge(&evidence, &self.criteria);
        let verdict = Verdict::over(&criteria);
        let made = judged.role == Role::Judged;
        let bottlenecks = if made { bottlenecks::of(&report) } else { Bottlenecks::default() };
        let run = judged.fold.run();
        let agents = judged.fold.agents().map(|agent| format!("{} ({})", agent.name, agent.model)).collect();
        let mut summary = report.summary.clone();
        summary.success = verdict == Verdict::Pass;
        if judged.is_stopped_by_budget() {
            // Its own sums are those of what was left for it.
            summary.error = stopped;
        }
        if let Some(measured) = &measured {
            as_measured(&mut summary, measured, report.bound, judged.width());
        }
        Some(Trial {
            test_type: self.design.test_type.name().to_owned(),
            phase: self.design.phase.map(super::Phase::number),
            plan: self.design.plan.clone(),
            started_at: rfc3339(self.began),
            endpoint: self.endpoint.clone(),
            agents,
            max_concurrent: run.settings.max_concurrent,
            checklist: self.checklist.clone(),
            runs: self.parts.iter().map(Conducted::line).collect(),
            trial_cost: cost,
            trial_at_risk: at_risk,
            measured,
            recovery: self.recovery.clone(),
            faults,
            drift: self.drift.clone(),
            comparison: self.comparison.clone(),
            criteria,
            verdict,
            bottlenecks,
            suggestions: Vec::new(),
            failures: failures(&report, &meant_to_fail),
            before: None,
            notes: self.notes(made),
            summary,
        })
    }

    /// What the parts that somebody is paid for cost, and what is at risk besides.
    fn spent(&self) -> (Usd, Usd) {
        let paid = self.parts.iter().filter(|part| !part.role.is_rehearsal());
        let charge = Spent::default().with(paid).charge();
        (charge.actual + charge.estimated, charge.at_risk)
    }

    /// That calls take longer in company, where they do: the ceiling of a speedup is of the calls as they were.
    fn slower(&self) -> Option<String> {
        let halves = [Role::Serial, Role::Judged].map(|role| Conducted::of_role(self.parts, role));
        let [serial, judged] = halves.map(|half| half.filter(|half| half.stopped().is_none()));
        let sum = |half: &Conducted| half.fold.tasks().iter().map(|view| view.call_time).sum::<Duration>();
        let (alone, beside) = (sum(serial?).as_secs_f64(), sum(judged?).as_secs_f64());
        (beside >= SLOWER * alone && alone > 0.0).then(|| {
            format!(
                "calls took {:.1} times as long side by side as one after the other: whoever answers slows down as more \
                 are in flight, or lets them wait, and the possible speedup is that of calls that take so long",
                beside / alone
            )
        })
    }

    fn notes(&self, made: bool) -> Vec<String> {
        let notes = self.design.notes.iter().chain(&self.notes).cloned().chain(self.slower());
        notes.chain((!made).then(|| self.unmade())).collect()
    }

    /// Why the test itself was not made.
    fn unmade(&self) -> String {
        let because = match self.parts.last() {
            Some(part) if part.is_stopped_by_budget() => {
                format!("a budget stopped the {} run before it", part.role.name())
            }
            Some(part) if part.role != Role::Key => {
                format!("the {} run before it did not come to its end", part.role.name())
            }
            _ if !self.shortfalls.is_empty() => "the money is too little for it".to_owned(),
            _ => "not all of its agents could be asked".to_owned(),
        };
        format!("the test itself was not made, because {because}")
    }

    /// Which part a budget stopped, and on what, in the sums of the whole budget; none where none did.
    fn stopped(&self) -> Option<String> {
        let Some(at) = self.parts.iter().position(Conducted::is_stopped_by_budget) else {
            return self.shortfalls.first().map(ToString::to_string);
        };
        let (part, paid) = (&self.parts[at], |part: &&Conducted| !part.role.is_rehearsal());
        let Some(Outcome::BudgetExceeded { needed, budget, agent }) = part.fold.outcome() else {
            return None;
        };
        let plan = &part.fold.run().plan;
        let agent = agent.and_then(|id| Some(plan.agents().get(id.index())?.name.as_str()));
        let of = |spent: &Spent| agent.map_or_else(|| spent.total(), |name| spent.of_agent(name));
        // The run was created with what the others had left.
        let (phases, others) = (of(self.before), of(&self.before.with(self.parts[..at].iter().filter(paid))));
        let whose = agent.map_or_else(String::new, |name| format!(" (the budget of agent {name})"));
        let before = match phases {
            phases if phases.is_zero() => String::new(),
            phases => format!(", {} by the phases before included", money(phases)),
        };
        Some(format!(
            "{}{whose}: the next call of the {} run, at the most that it may cost, did not fit beside what was spent{before}",
            budget_exceeded(*needed + others, *budget + others),
            part.role.name(),
        ))
    }

    /// Both halves, where both were made and all their tasks succeeded: others took other work.
    fn measured(&self, report: &Report<'_>) -> Option<Measured> {
        let serial = Conducted::of_role(self.parts, Role::Serial)?;
        let summary = serial.fold.summary(serial.fold.last_time());
        if !(summary.success && report.summary.success) {
            return None;
        }
        let Foresight { settings, laws, .. } = self.foresight?;
        speedup::measured(&serial.fold, report.fold, self.pause, settings, laws, self.seed)
    }
}

/// Takes what was measured for what was estimated of calls one after the other.
fn as_measured(summary: &mut Summary, measured: &Measured, bound: Option<Bound>, width: u32) {
    if bound.is_some() {
        summary.speedup = measured.speedup(bound, width);
    }
}

/// The tasks that were made to fail.
fn meant_to_fail(design: &Design, fold: &Fold) -> BTreeSet<TaskId> {
    let plan = &fold.run().plan;
    let is_meant = |id: &TaskId| {
        let name = &plan.task(*id).name;
        design.faults.iter().any(|made| made.should_recover != Some(true) && made.task_id == *name)
    };
    plan.ids().filter(is_meant).collect()
}
