//! How much of a provider's quota a run uses, and how often it is refused: the limits' table.
//!
//! `cargo bench -p sortie --bench limits` plays every case in virtual time against the simulator, in this
//! process; with `-- --http` also over real HTTP, in real time (nine minutes). Each line says how many tasks
//! failed, the share of requests that were answered 429, and the time as a multiple of the ideal, or the
//! share of the quota that was used after the first minute.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod case;
mod cases;
mod figures;
mod http;

use case::Case;
use cases::CASES;
use figures::Figures;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    println!("{:<56} {:>6} {:>6} {:>7} {:>7} {:>6}", "case", "tasks", "failed", "429s", "×ideal", "used");
    let mut missed = 0;
    // Whoever does not ask for the bench wants to know that it still works.
    for case in CASES.iter().take(if is_bench { usize::MAX } else { 1 }) {
        let figures = case.play()?;
        missed += usize::from(!line(case, &figures));
    }
    if arguments.iter().any(|argument| argument == "--http") {
        for (case, figures) in http::all()? {
            missed += usize::from(!line(&case, &figures));
        }
    }
    println!(
        "{}",
        if missed == 0 { "all targets met".to_owned() } else { format!("{missed} targets MISSED") }
    );
    Ok(())
}

/// Prints a line, and says whether its target is met.
fn line(case: &Case, figures: &Figures) -> bool {
    let target = &case.target;
    let ideal = case.ideal_s.map(|ideal| figures.makespan_s / ideal);
    let is_met = figures.failed == 0
        && figures.refused_share() <= target.refused
        && ideal.is_none_or(|times| times <= target.times_ideal)
        && figures.used.is_none_or(|used| used >= target.used);
    let or_none = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    println!(
        "{:<56} {:>6} {:>6} {:>6.2}% {:>7} {:>6}  {}",
        case.name,
        figures.tasks,
        figures.failed,
        100.0 * figures.refused_share(),
        or_none(ideal),
        or_none(figures.used),
        if is_met { "met" } else { "MISSED" },
    );
    is_met
}
