//! Scenarios that are fitted to calls do the same as who was called: at one, four and sixteen calls at a time,
//! times and throughput within a tenth.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

mod llama;
mod rehearsal;
mod synthetic;

use std::fmt::Write as _;

use sortie_sim::fit::Observed;

/// How many calls at a time.
const WIDTHS: [usize; 3] = [1, 4, 16];

/// What a test of a server comes to.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Seconds of answered calls.
    p50: f64,
    p95: f64,
    /// Answered calls a second, from the first start to the last end of each test.
    throughput: f64,
}

impl Figures {
    /// Of tests that were made apart from each other.
    fn of(tests: &[Vec<Observed>]) -> Self {
        let answered = tests.iter().flatten().filter(|call| call.failed.is_none());
        let mut times: Vec<f64> = answered.map(|call| call.total_s).collect();
        times.sort_by(f64::total_cmp);
        // The nearest rank.
        let at = |share: f64| times[((share * times.len() as f64).ceil() as usize).max(1) - 1];
        let took = |calls: &Vec<Observed>| {
            let begin = calls.iter().map(|call| call.started_s).fold(f64::INFINITY, f64::min);
            calls.iter().map(|call| call.started_s + call.total_s).fold(0.0, f64::max) - begin
        };
        let took: f64 = tests.iter().map(took).sum();
        Figures { p50: at(0.5), p95: at(0.95), throughput: times.len() as f64 / took }
    }

    /// The medians of several.
    fn medians(of: &[Figures]) -> Self {
        let middle = |figure: fn(&Figures) -> f64| {
            let mut figures: Vec<f64> = of.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Figures {
            p50: middle(|figures| figures.p50),
            p95: middle(|figures| figures.p95),
            throughput: middle(|figures| figures.throughput),
        }
    }

    fn each(&self) -> [(&'static str, f64); 3] {
        [("p50 s", self.p50), ("p95 s", self.p95), ("calls/s", self.throughput)]
    }
}

/// A line for each width and figure: real, fitted, difference. And the greatest of the differences.
fn table(real: &[Figures], fitted: &[Figures]) -> (String, f64) {
    let mut lines =
        format!("{:>5}  {:<8}{:>9}{:>9}{:>12}\n", "width", "figure", "real", "fitted", "difference");
    let mut worst = 0.0f64;
    for ((width, real), fitted) in WIDTHS.iter().zip(real).zip(fitted) {
        for ((name, real), (_, fitted)) in real.each().into_iter().zip(fitted.each()) {
            let off = fitted / real - 1.0;
            let _ = writeln!(lines, "{width:>5}  {name:<8}{real:>9.3}{fitted:>9.3}{:>+11.1}%", off * 100.0);
            worst = worst.max(off.abs());
        }
    }
    (lines, worst)
}
