//! The command line as written. What it means is decided by the commands.

mod ctl;
mod money;
mod resume;
mod trial;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sortie::core::run::input::Mode;

pub(crate) use ctl::CtlArgs;
pub(crate) use money::{Caps, CostsArgs, PricesArgs, ProviderArg, ReconcileArgs, span};
pub(crate) use resume::{Again, PlanNow};
pub(crate) use trial::{Phases, TrialArgs};

/// Sends a team of LLM agents out on a plan and brings every result home.
#[derive(Debug, Parser)]
#[command(name = "sortie", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sortie run examples/website.yaml --simulate     try a plan without a key, for free
  sortie check plan.yaml                          what is missing before a real run
  sortie forecast plan.yaml                       what it will cost and how long it will take
  sortie run plan.yaml --max-cost 2.50            run it, and never spend more
  sortie resume                                   go on after Ctrl-C, a crash or a stop
  sortie runs; sortie show RUN TASK               what was run, and what it answered
  sortie trial --phase 1                          is it ready for production?
  sortie costs --by day                           what it all cost

Exit codes: 0 all tasks succeeded, 1 some failed, 2 invalid input, 3 stopped by the budget,
4 stopped by a provider or by a check before the start, 5 a trial's criteria were not met,
130 and 143 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a plan
    #[command(after_help = "\
Examples:
  sortie run plan.yaml --simulate=seed --seed 7   a simulated provider with 50 requests/min
  sortie run plan.yaml --json | jq .total_cost    one JSON document on stdout, nothing else
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 sortie run plan.yaml")]
    Run(RunArgs),
    /// Go on with a run that was interrupted, killed or stopped
    #[command(after_help = "\
Finished calls are never repeated. Without RUN: the newest run that is not finished.

Example:
  sortie resume 20261123-180233-4f2a --max-cost 20")]
    Resume(ResumeArgs),
    /// Say what a plan will cost and how long it will take, without spending
    #[command(after_help = "\
The plan is played many times on a virtual clock, by the calls of past runs in the results directory, else by
documented defaults; with --simulate by the simulator's.

Examples:
  sortie forecast plan.yaml                       cost, time, and what keeps it from being faster
  sortie forecast plan.yaml --rpm 4000 --max-concurrent 50
  sortie forecast plan.yaml --agent claude=haiku  what it would come to with another model
  sortie forecast plan.yaml --json | jq .cost.worst")]
    Forecast(ForecastArgs),
    /// Test agents, limits and budget against the API in stages, and say whether they are ready for production
    #[command(after_help = trial::EXAMPLES)]
    Trial(TrialArgs),
    /// Check configuration, keys, endpoints, prices and a plan, without spending
    #[command(after_help = "\
Examples:
  sortie check plan.yaml                          for the agents that this plan uses
  sortie check --offline --json                   without asking the endpoints, for scripts")]
    Check(CheckArgs),
    /// List the runs of the results directory
    #[command(after_help = "\
Example:
  sortie runs --json | jq -r '.[] | select(.finished | not) | .run_id'")]
    Runs(RunsArgs),
    /// Show a run, or one of its tasks with its result
    #[command(after_help = "\
Examples:
  sortie show 20261123-180233-4f2a                its tasks in a table, and how it ended
  sortie show 20261123-180233-4f2a design         one task: its attempts and its result
  sortie show 20261123-180233-4f2a --json         as `sortie run --json` printed it")]
    Show(ShowArgs),
    /// Change a run that is under way: its limits, a pause, its end
    #[command(after_help = ctl::EXAMPLES)]
    Ctl(CtlArgs),
    /// Serve a simulator of the Anthropic and OpenAI APIs
    #[command(after_help = "\
A prompt may steer it: [[sim latency=1.5 output_tokens=300 fail=529,529]]

Example:
  sortie simulate --listen 127.0.0.1:8080 --scenario seed
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=any sortie run plan.yaml")]
    Simulate(SimulateArgs),
    /// Show what models cost, and which price table says so
    #[command(after_help = "\
Examples:
  sortie prices --provider anthropic              USD per million tokens, a line for each model
  sortie prices gpt-6.1-sol                       one model: every tier, long requests, retirement
  sortie prices --json | jq '.models[].model'")]
    Prices(PricesArgs),
    /// Say what the runs of the results directory cost
    #[command(after_help = "\
A call belongs to the day (UTC) on which it was charged, and to the model that its reply named. \
What is at risk may have been billed for answers that were lost; it is part of the total.

Examples:
  sortie costs                                    the last 30 days, a line for each model
  sortie costs --since 2026-11-01 --until 2026-11-30 --by day
  sortie costs --by agent --json | jq '.rows[] | {name, total}'")]
    Costs(CostsArgs),
    /// Hold what sortie believes it spent against a provider's usage or cost export
    #[command(after_help = "\
Reads the CSV exports of Anthropic's and OpenAI's consoles and the JSON of their usage and cost APIs, \
grouped by model. An export is about all that an account did: compare whole days of one account.

Examples:
  sortie reconcile anthropic_usage.csv            all runs, on the days that the export is about
  sortie reconcile 20261123-180233-4f2a costs.json
  sortie reconcile usage.json --since 2026-11-01 --until 2026-11-30 --json

Exit codes: 0 they agree within rounding, 1 they differ, 2 the file cannot be read.")]
    Reconcile(ReconcileArgs),
    /// Print the JSON schema of plans or of the configuration
    #[command(after_help = "\
Example:
  sortie schema plan > plan.schema.json           editors complete and check by it")]
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  sortie completions bash > ~/.local/share/bash-completion/completions/sortie")]
    Completions(CompletionsArgs),
}

/// Where things are.
#[derive(Args, Debug)]
pub(crate) struct Places {
    /// Configuration [default: sortie.yaml, else config.production.yaml, else built in]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File with keys and models [default: .env.production, else .env]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Where runs are kept [default: the configuration's, else ./results]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) results_dir: Option<PathBuf>,
}

/// What is shown, and how.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Print one JSON document to stdout and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress and no notes
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What binds a run, over what the configuration states.
#[derive(Args, Debug)]
pub(crate) struct Bounds {
    #[command(flatten)]
    pub(crate) caps: Caps,
    /// How many calls may be in flight
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_concurrent: Option<u32>,
    /// Side by side, or one after the other
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<ModeArg>,
}

/// Who answers instead of the providers.
#[derive(Args, Debug)]
pub(crate) struct Instead {
    /// Answer from the built-in simulator, on a virtual clock, without a key
    #[arg(long, value_name = "SCENARIO", num_args = 0..=1, require_equals = true, default_missing_value = "calm")]
    pub(crate) simulate: Option<String>,
    /// Seed of the simulator and of the jitter of retries
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The plan: YAML, JSON, or JSONL with one task a line
    pub(crate) plan: PathBuf,
    /// Name the run [default: made from the time]
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) instead: Instead,
    /// Let a simulated run take its time
    #[arg(long, requires = "simulate")]
    pub(crate) realtime: bool,
    /// Do not ask before spending
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Take the answers of earlier runs of the results directory for the same requests
    #[arg(long)]
    pub(crate) cache: bool,
    /// End the run once so many tasks have failed [default: the plan's, else never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_failures: Option<u32>,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ForecastArgs {
    /// The plan: YAML, JSON, or JSONL with one task a line
    pub(crate) plan: PathBuf,
    /// Suppose that an agent is another one, or has another model; may be given more than once
    #[arg(long, value_name = "NAME=AGENT|MODEL", value_parser = supposed_agent)]
    pub(crate) agent: Vec<(String, String)>,
    /// Suppose so many requests a minute of every account, whatever was seen of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rpm: Option<u32>,
    #[command(flatten)]
    pub(crate) instead: Instead,
    /// Show every task
    #[arg(long, short)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    /// The run
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) caps: Caps,
    /// Let a simulated run take its time
    #[arg(long)]
    pub(crate) realtime: bool,
    /// Do not ask before spending
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// End this process without a farewell once so many tasks have succeeded: for trials of recovery
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) die_after: Option<u64>,
    #[command(flatten)]
    pub(crate) again: Again,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The plan
    pub(crate) plan: Option<PathBuf>,
    /// Do not ask the endpoints whether they answer
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The run
    pub(crate) run: String,
    /// One of its tasks
    pub(crate) task: Option<String>,
    /// List the calls that may have been billed beyond what is known
    #[arg(long, conflicts_with = "task")]
    pub(crate) at_risk: bool,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// How it behaves: the name of a built-in scenario, or a file
    #[arg(long, value_name = "FILE|NAME", default_value = "calm")]
    pub(crate) scenario: String,
    /// Seed of its answers, latencies and faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// How many times faster than real time
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    pub(crate) time_scale: f64,
    /// Pass requests on to --upstream, and keep what it answers here, without keys
    #[arg(long, value_name = "DIR", requires = "upstream",
        conflicts_with_all = ["replay", "scenario", "seed", "time_scale"])]
    pub(crate) record: Option<PathBuf>,
    /// The real API to record, without /v1
    #[arg(
        long,
        value_name = "URL",
        requires = "record",
        help = "The real API to record, without /v1: https://api.anthropic.com"
    )]
    pub(crate) upstream: Option<String>,
    /// Answer from what --record has kept
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scenario", "seed"])]
    pub(crate) replay: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct SchemaArgs {
    /// What it describes
    pub(crate) of: SchemaOf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SchemaOf {
    /// Plans
    Plan,
    /// The configuration
    Config,
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// As far as dependencies and limits allow
    Parallel,
    /// One after the other
    Serial,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Parallel => Mode::Parallel,
            ModeArg::Serial => Mode::Serial,
        }
    }
}

/// An address; `localhost` is its usual name.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address = numeric.as_deref().unwrap_or(text).parse();
    address.map_err(|_| "not of the form ADDRESS:PORT, like 127.0.0.1:8080".to_owned())
}

fn supposed_agent(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, other)) if !name.is_empty() && !other.is_empty() => Ok((name.into(), other.into())),
        _ => Err("not of the form NAME=AGENT or NAME=MODEL, like claude=haiku".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
