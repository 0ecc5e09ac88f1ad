//! A trial beside something else: the trial before it, or the simulator beside the real API.

use std::fmt::Write;

use super::{parts, table};
use crate::markdown::dash;
use crate::markdown::escape::escape;
use crate::table::Side::{Left, Right};
use crate::trial::comparison::{Compared, Fitted};
use crate::trial::figure::{Unit, change, change_of, in_unit, shown, shown_of, title};
use crate::trial::{Change, Trial};
use crate::units::{instant, moment};

/// The trial of its kind before it, figure by figure.
pub(super) fn before(trial: &Trial) -> String {
    let Some(before) = &trial.before else { return String::new() };
    let worse = before.figures.iter().filter(|change| change.regressed).count();
    let started = instant(&before.started_at).map_or_else(|| escape(&before.started_at), moment);
    let found = match worse {
        0 => "nothing is worse by more than chance explains".to_owned(),
        1 => "**one figure is worse** by more than chance explains".to_owned(),
        n => format!("**{n} figures are worse** by more than chance explains"),
    };
    let run = escape(&before.run_id);
    let text = format!("Against the trial of the same kind of {started} (run {run}): {found}.\n");
    let row = |of: &Change| {
        let (then, now) = (shown_of(&of.name, of.then), shown_of(&of.name, of.now));
        let verdict = if of.regressed { "**worse**" } else { "" };
        [escape(&title(&of.name)), then, now, change_of(&of.name, (of.then, of.now)), verdict.to_owned()]
    };
    let rows: Vec<_> = before.figures.iter().map(row).collect();
    let columns = [("figure", Left), ("before", Right), ("now", Right), ("change", Right), ("", Left)];
    parts(&[text, table(columns, &rows)])
}

/// The simulator and the real API side by side, and how well the fitted one plays the real one.
pub(super) fn comparison(trial: &Trial) -> String {
    let Some(of) = &trial.comparison else { return String::new() };
    let row = |of: &Compared| {
        let shown = |value: Option<f64>| value.map_or_else(dash, |value| escape(&in_unit(value, &of.unit)));
        let pair = of.simulated.zip(of.real).filter(|(simulated, _)| *simulated > 0.0);
        [escape(&of.dimension), shown(of.simulated), shown(of.real), pair.map_or_else(dash, change)]
    };
    let rows: Vec<_> = of.rows.iter().map(row).collect();
    let columns = [("dimension", Left), ("simulated", Right), ("real", Right), ("difference", Right)];
    let played = format!("The simulator played the scenario {}.\n", escape(&of.scenario));
    let mut fitted = String::new();
    if !of.fitted.is_empty() {
        let rows: Vec<_> = of.fitted.iter().map(widths).collect();
        let columns = [
            ("at a time", Right),
            ("p50 real", Right),
            ("fitted", Right),
            ("difference", Right),
            ("p95 real", Right),
            ("fitted", Right),
            ("difference", Right),
            ("throughput real", Right),
            ("fitted", Right),
            ("difference", Right),
        ];
        fitted = format!(
            "The real API against a simulator that was fitted to it, at each number of calls at a time:\n\n{}",
            table(columns, &rows)
        );
    }
    let mut file = String::new();
    if let Some(path) = &of.scenario_file {
        let path = escape(path);
        writeln!(
            file,
            "The fitted scenario is {path}: `--simulate={path}` rehearses the next plan with it for free."
        )
        .unwrap_or_default();
    }
    parts(&[played, table(columns, &rows), fitted, file])
}

fn widths(of: &Fitted) -> [String; 10] {
    let cells =
        |(real, fitted): (f64, f64), unit| [shown(real, unit), shown(fitted, unit), change((real, fitted))];
    let [p50, p95] = [of.p50_latency, of.p95_latency].map(|pair| cells(pair, Unit::Seconds));
    let rate = cells(of.throughput, Unit::Rate);
    let mut all = vec![of.max_concurrent.to_string()];
    all.extend([p50, p95, rate].into_iter().flatten());
    std::array::from_fn(|n| std::mem::take(&mut all[n]))
}
