//! The shortest time that a run's calls could have taken, and what keeps them from taking less: the
//! core's bound for the calls that were made (DESIGN.md decision 10).

use std::borrow::Cow;

use sortie_core::ceiling::{Binding, Bound, Work, lower_bound};
use sortie_core::limit::GateSpec;
use sortie_core::plan::TaskId;
use sortie_core::run::input::{Mode, Settings};

use crate::controls::loosest;
use crate::fold::Fold;
use crate::summary::Summary;

/// Tokens of a task, at most: a damaged journal must not overflow the sums.
const MOST_TOKENS: u64 = 1 << 32;

/// The bound of the calls that were made; none where none was. Repeated calls count as one long
/// one, which keeps it a lower bound.
pub(crate) fn of(fold: &Fold) -> Option<Bound> {
    under(fold, &loosest(fold))
}

/// The same under other limits.
pub(crate) fn under(fold: &Fold, settings: &Settings) -> Option<Bound> {
    lower_bound(&fold.run().plan, settings, |id: TaskId| {
        let view = fold.tasks().get(id.index())?;
        let usage = view.usage.unwrap_or_default();
        (!view.call_time.is_zero()).then(|| Work {
            duration: view.call_time,
            input_tokens: usage.total_input().min(MOST_TOKENS),
            output_tokens: usage.output.min(MOST_TOKENS),
            elsewhere: view.rerouted,
        })
    })
}

/// The same where providers are known to allow no more than this.
pub(crate) fn within(fold: &Fold, allowed: &[GateSpec]) -> Option<Bound> {
    under(fold, &limits(fold, allowed))
}

/// The loosest limits of the run where providers are known to allow no more than this, one for each gate of the
/// settings: of two rates of requests the lower one binds.
pub(crate) fn limits<'f>(fold: &'f Fold, allowed: &[GateSpec]) -> Cow<'f, Settings> {
    let mut settings = loosest(fold);
    if allowed.is_empty() {
        return settings;
    }
    for (gate, allowed) in settings.to_mut().gates.iter_mut().zip(allowed) {
        let Some(rate) = allowed.requests_per_minute else { continue };
        if gate.requests_per_minute.is_none_or(|stated| rate < stated) {
            gate.requests_per_minute = Some(rate);
            gate.requests_burst = allowed.requests_burst;
        }
    }
    settings
}

const ALL: [Binding; 5] = [
    Binding::LongestPath,
    Binding::Concurrency,
    Binding::Requests,
    Binding::InputTokens,
    Binding::OutputTokens,
];

/// What bound a run, in the same words, by its figures alone; none where nothing is known to.
pub(crate) fn of_summary(summary: &Summary) -> Option<&'static str> {
    let name = summary.speedup.binding.as_deref()?;
    let binding = ALL.into_iter().find(|binding| binding.name() == name)?;
    Some(words(binding, summary.mode))
}

/// What binds, as sentences name it: `bound by …`.
pub(crate) const fn words(binding: Binding, mode: Mode) -> &'static str {
    match (binding, mode) {
        (Binding::LongestPath, _) => "the longest chain of dependent tasks",
        (Binding::Concurrency, Mode::Serial) => "serial mode",
        (Binding::Concurrency, Mode::Parallel) => "the limit on concurrent calls",
        (Binding::Requests, _) => "the limit on requests per minute",
        (Binding::InputTokens, _) => "the limit on input tokens per minute",
        (Binding::OutputTokens, _) => "the limit on output tokens per minute",
    }
}
