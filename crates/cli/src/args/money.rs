//! What the commands about money take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use sortie::core::money::Usd;
use sortie::core::time::Time;
use sortie::report::costs::{Grouping, Span};
use sortie::report::units::midnight;

use super::{Output, Places};
use crate::exit::Exit;
use crate::failing::Failed;

/// What may be spent.
#[derive(Args, Debug)]
pub(crate) struct Caps {
    /// Never spend more than this on the run, or on the tasks of one agent; what a run that is resumed
    /// has spent already is included
    #[arg(long, value_name = "[AGENT=]USD", value_parser = cap)]
    max_cost: Vec<Cap>,
}

/// A budget.
#[derive(Clone, Debug)]
enum Cap {
    Run(Usd),
    Agent(String, Usd),
}

impl Caps {
    /// Refuses two amounts for one: nobody could tell which of them is meant.
    pub(crate) fn check(&self) -> Result<(), Failed> {
        let whose = |cap: &Cap| match cap {
            Cap::Run(_) => None,
            Cap::Agent(name, _) => Some(name.clone()),
        };
        let mut seen = BTreeSet::new();
        let Some(twice) = self.max_cost.iter().map(whose).find(|whose| !seen.insert(whose.clone())) else {
            return Ok(());
        };
        let of = twice.map_or_else(|| "the run".to_owned(), |name| format!("agent `{name}`"));
        Err(Failed::new(Exit::Invalid, format!("--max-cost is given more than once for {of}")))
    }

    /// The run's.
    pub(crate) fn run(&self) -> Option<Usd> {
        self.max_cost.iter().find_map(|cap| match cap {
            Cap::Run(usd) => Some(*usd),
            Cap::Agent(..) => None,
        })
    }

    /// Those of agents, by their names.
    pub(crate) fn agents(&self) -> BTreeMap<String, Usd> {
        let agents = self.max_cost.iter().filter_map(|cap| match cap {
            Cap::Run(_) => None,
            Cap::Agent(name, usd) => Some((name.clone(), *usd)),
        });
        agents.collect()
    }
}

fn cap(text: &str) -> Result<Cap, String> {
    match text.rsplit_once('=') {
        Some((agent, amount)) if !agent.is_empty() => Ok(Cap::Agent(agent.to_owned(), usd(amount)?)),
        _ => usd(text).map(Cap::Run),
    }
}

fn usd(text: &str) -> Result<Usd, String> {
    let usd: Usd = text.strip_prefix('$').unwrap_or(text).parse().map_err(|error| format!("{error}"))?;
    if usd.is_zero() { Err("a budget of nothing allows nothing".to_owned()) } else { Ok(usd) }
}

#[derive(Args, Debug)]
pub(crate) struct PricesArgs {
    /// One model, with or without its date: all its rates
    pub(crate) model: Option<String>,
    /// Only this provider's models
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: Option<ProviderArg>,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProviderArg {
    /// Anthropic
    Anthropic,
    /// OpenAI
    #[value(name = "openai")]
    OpenAi,
}

impl ProviderArg {
    /// As the price table and the configuration call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            ProviderArg::Anthropic => "anthropic",
            ProviderArg::OpenAi => "openai",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct CostsArgs {
    /// From when on calls count: so long ago (12h, 30d, 4w), or from the beginning of a day, UTC
    #[arg(long, value_name = "AGO|DATE", default_value = "30d", value_parser = when)]
    pub(crate) since: When,
    /// Until when calls count: so long ago, or to the end of a day, UTC
    #[arg(long, value_name = "AGO|DATE", value_parser = when)]
    pub(crate) until: Option<When>,
    /// What a row of the table is
    #[arg(long, value_name = "GROUP", default_value = "model", value_parser = groupings())]
    pub(crate) by: String,
    /// Count runs against the built-in simulator too
    #[arg(long)]
    pub(crate) simulated: bool,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn groupings() -> PossibleValuesParser {
    Grouping::ALL.map(Grouping::name).into()
}

/// A moment as people say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// So long before now.
    Ago(Duration),
    /// A day, by its first moment.
    Day(Time),
}

/// The stretch of time between two moments; a day that it ends with is in it.
pub(crate) fn span(since: Option<When>, until: Option<When>, now: Time) -> Span {
    let since = since.map(|since| match since {
        When::Ago(ago) => now - ago,
        When::Day(day) => day,
    });
    let until = until.map(|until| match until {
        When::Ago(ago) => now - ago,
        When::Day(day) => day + DAY,
    });
    Span { since, until }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

fn when(text: &str) -> Result<When, String> {
    if let Some(day) = midnight(text) {
        return Ok(When::Day(day));
    }
    let refused = || "neither like 12h, 30d or 4w, nor a day like 2026-11-01".to_owned();
    let unit = match text.chars().last() {
        Some('h') => HOUR,
        Some('d') => DAY,
        Some('w') => WEEK,
        _ => return Err(refused()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| refused())?;
    unit.checked_mul(count).map(When::Ago).ok_or_else(refused)
}

#[derive(Args, Debug)]
#[command(allow_missing_positional = true)]
pub(crate) struct ReconcileArgs {
    /// One run; without it all runs, on the days that the export is about
    pub(crate) run: Option<String>,
    /// The provider's export: CSV of its console, or JSON of its usage and cost APIs; `-` is stdin
    pub(crate) file: PathBuf,
    /// Only from when on: so long ago (12h, 30d, 4w), or from the beginning of a day, UTC
    #[arg(long, value_name = "AGO|DATE", value_parser = when)]
    pub(crate) since: Option<When>,
    /// Only until when: so long ago, or to the end of a day, UTC
    #[arg(long, value_name = "AGO|DATE", value_parser = when)]
    pub(crate) until: Option<When>,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_so_long_ago_or_a_day() {
        let now = Time::from_micros(1_763_112_600_000_000); // 2025-11-14 09:30:00 UTC
        let check = |text: &str, since_seconds: u64, until_seconds: u64| {
            let when = Some(when(text).unwrap());
            let Span { since, until } = span(when, when, now);
            let seconds = |time: Option<Time>| time.unwrap().micros() / 1_000_000;
            assert_eq!((seconds(since), seconds(until)), (since_seconds, until_seconds), "{text}");
        };
        check("12h", 1_763_112_600 - 12 * 3600, 1_763_112_600 - 12 * 3600);
        check("30d", 1_763_112_600 - 30 * 86_400, 1_763_112_600 - 30 * 86_400);
        check("4w", 1_763_112_600 - 28 * 86_400, 1_763_112_600 - 28 * 86_400);
        check("4294967295w", 0, 0);
        check("2025-11-14", 1_763_078_400, 1_763_078_400 + 86_400);
        for text in
            ["", "d", "-1d", "1.5d", "30", "30m", "2025-13-01", "2025-11-14T00:00", "1é", "9999999999h"]
        {
            assert!(when(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_may_have_one_dollar_sign() {
        for (text, is_fine) in [("5", true), ("$5", true), ("$$5", false), ("$$$$5", false), ("$", false)] {
            assert_eq!(usd(text).is_ok(), is_fine, "{text}");
        }
    }
}
