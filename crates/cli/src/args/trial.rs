//! What `sortie trial` takes.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use sortie::report::trial::Criteria;
use sortie::trial::{Phase, TestType};

use super::{Caps, Instead, Output, Places};

pub(super) const EXAMPLES: &str = "\
A trial makes real calls: it says what it will cost and asks before it spends. Its report is test_report.md, with \
junit.xml and trial.json beside it.

Examples:
  sortie trial --phase 1 --simulate=seed          rehearse it, for free and in seconds
  sortie trial --tasks 5                          five tasks: does it work at all?
  sortie trial --tasks 30 --test-type speedup     serially and in parallel
  sortie trial --tasks 20 --test-type fault-tolerance
  sortie trial --tasks 200 --test-type large-scale --max-cost 5.0
  sortie trial --phase 1..3 --plan plan.yaml      all phases with tasks of your own, until one fails
  sortie trial --test-type compare --fit mine.yaml
  sortie trial --history

Exit codes: 0 all criteria met, 5 some not (a slow, failing or unreachable endpoint included), 2 invalid input,
4 something has to be set up first (a key, a price), 130 and 143 interrupted.";

#[derive(Args, Debug)]
pub(crate) struct TrialArgs {
    /// The phase, or several in a row until one fails: 1 to 3, or 1..3 [default: by the number of tasks]
    #[arg(long, value_name = "N|N..M", value_parser = phases)]
    pub(crate) phase: Option<Phases>,
    /// One test [default: all that the phase is to validate]
    #[arg(long, value_name = "TEST", value_parser = PossibleValuesParser::new(TestType::names()))]
    pub(crate) test_type: Option<String>,
    /// How many tasks [default: the phase's, or the test's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) tasks: Option<u32>,
    /// Take the tasks from a plan instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) caps: Caps,
    /// How many calls may be in flight [default: the phase's; a lower one of the configuration wins]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_concurrent: Option<u32>,
    /// Seconds between the serial and the parallel half [default: until the quota is full again]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) pause: Option<f64>,
    /// Send the prompt that is too long, so that the provider has to refuse it
    #[arg(long)]
    pub(crate) send_oversized: bool,
    /// The simulator's side of `compare`: a built-in scenario, or a file [default: seed]
    #[arg(long, value_name = "SCENARIO")]
    pub(crate) against: Option<String>,
    /// Write a scenario that behaves as the endpoint did (with `compare`)
    #[arg(long, value_name = "FILE")]
    pub(crate) fit: Option<PathBuf>,
    /// Show earlier trials and what has changed, and make none
    #[arg(long)]
    pub(crate) history: bool,
    /// Name the trial [default: made from the time]
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) thresholds: Thresholds,
    #[command(flatten)]
    pub(crate) instead: Instead,
    /// Do not ask before spending
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What a trial has to reach, over what the configuration's `criteria` state.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Criteria")]
pub(crate) struct Thresholds {
    /// Times faster than one after the other, where the ceiling allows it
    #[arg(long, value_name = "TIMES", value_parser = amount)]
    min_speedup: Option<f64>,
    /// The part of the possible speedup that has to be reached, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    min_efficiency: Option<f64>,
    /// Percent of tasks that succeed
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min_success_rate: Option<f64>,
    /// Seconds that 95 % of the answers have to stay below
    #[arg(long, value_name = "SECONDS", value_parser = amount)]
    max_p95_latency: Option<f64>,
    /// USD that a task has to stay below on average
    #[arg(long, value_name = "USD", value_parser = amount)]
    max_cost_per_task: Option<f64>,
    /// Times the median of its type that a task may cost [default: 3, or what chance explains of so many tasks]
    #[arg(long, value_name = "TIMES", value_parser = amount)]
    max_cost_outlier: Option<f64>,
}

impl Thresholds {
    /// The thresholds with those of the command line in place of the configuration's.
    pub(crate) fn over(self, configured: Criteria) -> Criteria {
        Criteria {
            min_speedup: self.min_speedup.or(configured.min_speedup),
            min_efficiency: self.min_efficiency.or(configured.min_efficiency),
            min_success_rate: self.min_success_rate.unwrap_or(configured.min_success_rate),
            max_p95_latency: self.max_p95_latency.unwrap_or(configured.max_p95_latency),
            max_cost_per_task: self.max_cost_per_task.unwrap_or(configured.max_cost_per_task),
            max_cost_outlier: self.max_cost_outlier.or(configured.max_cost_outlier),
        }
    }
}

/// Phases in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phases {
    first: u8,
    last: u8,
}

impl Phases {
    /// Each of them, in order.
    pub(crate) fn each(self) -> impl Iterator<Item = Phase> {
        (self.first..=self.last).filter_map(Phase::numbered)
    }

    /// Whether there are several.
    pub(crate) const fn are_several(self) -> bool {
        self.first < self.last
    }
}

fn phases(text: &str) -> Result<Phases, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number =
        |text: &str| text.trim_start_matches('=').parse().ok().filter(|number| (1..=3).contains(number));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Phases { first, last }),
        _ => Err("not a phase, 1 to 3, or several in a row, like 1..3".to_owned()),
    }
}

fn number(text: &str, most: f64, what: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=most).contains(number));
    number.ok_or_else(|| format!("not a number {what}"))
}

fn amount(text: &str) -> Result<f64, String> {
    number(text, f64::MAX, "of 0 or more")
}

fn share(text: &str) -> Result<f64, String> {
    number(text, 1.0, "from 0 to 1")
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, 100.0, "from 0 to 100")
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=3600.0).contains(number));
    number.ok_or_else(|| "not a number from 0 to 3600".to_owned())
}
