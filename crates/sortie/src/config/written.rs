//! The configuration as the user wrote it: the founding document's keys (SPEC.md E5) and ours.
//!
//! One declaration of every key: the parser, the JSON schema (`sortie schema config`) and the
//! messages about unknown fields all come from these structs. What the keys mean together is said
//! by `super::check`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sortie_core::agent::Backoff;
use sortie_core::document::unique;

/// The configuration: agents, what they may cost, how fast they may go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Configuration")]
pub struct ConfigFile {
    /// The agents by name; `claude` and `openai` where there is no such key.
    #[serde(default, deserialize_with = "unique::map")]
    #[schemars(with = "Option<BTreeMap<String, Option<AgentFile>>>")]
    pub agents: Option<Vec<(String, Option<AgentFile>)>>,
    /// What may be spent.
    pub cost_control: Option<CostControl>,
    /// How fast calls may start and how they are tried again; rates are for each account.
    pub rate_limiting: Option<RateLimiting>,
    /// Logs and result files.
    pub monitoring: Option<Monitoring>,
    /// How long things may take, in seconds.
    pub timeouts: Option<TimeoutsFile>,
    /// Which agent does which type of task.
    #[serde(default, deserialize_with = "unique::map")]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub routes: Option<Vec<(String, String)>>,
    /// Who does tasks that have neither an agent nor a route; the first enabled agent unless told.
    pub default_agent: Option<String>,
    /// What a trial has to reach.
    pub criteria: Option<CriteriaFile>,
}

/// A named agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Agent")]
pub struct AgentFile {
    /// Whether it is used; `true` unless told.
    pub enabled: Option<bool>,
    /// The API's family; told by the model or the agent's name where left out.
    pub provider: Option<Provider>,
    /// The model's id; else `ANTHROPIC_MODEL` or `OPENAI_MODEL`, else a current one.
    pub model: Option<String>,
    /// Output tokens a task may use where it does not say; 4000 unless told.
    pub max_tokens: Option<u32>,
    /// The environment variable that holds the key, never the key itself.
    pub api_key_env: Option<String>,
    /// Where the API is, as in the official SDKs: Anthropic's without `/v1`, OpenAI's with it.
    pub base_url: Option<String>,
    /// The system prompt.
    pub system: Option<String>,
    /// Sampling temperature; sent only where set. Recent models refuse it.
    pub temperature: Option<f64>,
    /// Which of the provider's APIs; else `chat` at `OpenAI`, and Anthropic's of 2023.
    pub api: Option<Api>,
    /// How the key is sent.
    pub auth: Option<Auth>,
    /// Whether prompts are counted before a run: at Anthropic by its API, which costs nothing (bytes bound
    /// them unless told); of OpenAI's models with a published tokenizer in this program (`true` unless told
    /// at OpenAI's own hosts; elsewhere it says that a model of such a name is OpenAI's).
    pub count_tokens: Option<bool>,
    /// Whether the provider is asked to keep each answer, so that one that was lost when this program died is not
    /// bought again: `sortie resume` asks for it by its request's metadata. OpenAI's Chat Completions only, and
    /// servers that store completions as it does. What is kept stays with the provider, prompt and answer.
    pub recover_lost: Option<bool>,
    /// What tokens cost, in place of the built-in table; `free` for a server of one's own.
    pub price: Option<PriceFile>,
    /// What all its tasks of a run may cost together, in USD; its tasks then stay pending, others go on. It
    /// stops them also where `auto_stop_on_limit` is off, which is about the run's budget.
    pub max_cost: Option<f64>,
    /// Who does its tasks while its account is stopped or its provider is failing: an agent, or a list of them,
    /// of which the first that serves is asked. What a call may cost, its prompt's length and the budgets are
    /// checked anew for whom it goes to. A fallback's own fallbacks are not followed.
    pub fallback: Option<Names>,
    /// Seconds, more than 0: throttled for longer than this, from the first refusal to the end of the wait that the
    /// last one names, its tasks go to its fallbacks, too. Unless set they wait.
    pub fallback_after: Option<f64>,
    /// Limits and retries of this agent, in place of those for all.
    pub rate_limiting: Option<RateLimiting>,
}

/// A family of APIs: who is spoken to unless `base_url` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Anthropic's Messages.
    Anthropic,
    /// `OpenAI`'s APIs, the older of which (`chat`) many other servers speak.
    OpenAi,
}

/// One of a provider's APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Api {
    /// `OpenAI`'s Chat Completions, which most compatible servers speak.
    #[serde(rename = "chat")]
    Chat,
    /// `OpenAI`'s Responses, its newer API.
    #[serde(rename = "responses")]
    Responses,
    /// Anthropic's version of 2023.
    #[serde(rename = "2023-06-01")]
    V2023,
    /// Anthropic's version of 2026, which takes no sampling parameters.
    #[serde(rename = "2026-10-21")]
    V2026,
}

/// How the key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Auth {
    /// `x-api-key: KEY`.
    #[serde(rename = "x-api-key")]
    XApiKey,
    /// `authorization: Bearer KEY`.
    #[serde(rename = "bearer")]
    Bearer,
}

/// A name, or a list of names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "it must be a name or a list of names")]
pub enum Names {
    /// One.
    One(String),
    /// Several, in their order.
    Several(Vec<String>),
}

/// What tokens cost.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PriceFile {
    /// Nothing.
    Word(Free),
    /// These rates.
    Rates(Rates),
}

/// The word `free`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Free {
    /// No token costs anything.
    Free,
}

/// Rates in USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Price")]
pub struct Rates {
    /// Plain input.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input read from a cache; as `input` unless told.
    pub cache_read: Option<f64>,
    /// Input written to a cache; as `input` unless told.
    pub cache_write: Option<f64>,
    /// Input written to a cache for an hour; as `cache_write` unless told.
    pub cache_write_1h: Option<f64>,
}

/// What may be spent, in USD.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Cost control")]
pub struct CostControl {
    /// `false` turns all of this off.
    pub enabled: Option<bool>,
    /// What a run may cost.
    pub max_cost_per_session: Option<f64>,
    /// What a task may cost, all its attempts together.
    pub max_cost_per_task: Option<f64>,
    /// Spending past this is warned of, once.
    pub alert_threshold: Option<f64>,
    /// Whether the budget stops the run; `false` only warns. `true` unless told.
    pub auto_stop_on_limit: Option<bool>,
}

/// How fast calls may start and how they are tried again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rate limiting")]
pub struct RateLimiting {
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Requests that may start at once after a pause; a second's worth, at least 1, unless told.
    pub requests_burst: Option<u32>,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Calls in flight: for all together at the top level (10 unless told), for one agent's
    /// account below an agent.
    pub max_concurrent: Option<u32>,
    /// Whether a throttled call is tried again; `true` unless told.
    pub retry_on_rate_limit: Option<bool>,
    /// How waits grow; `exponential` unless told.
    pub backoff_strategy: Option<BackoffWord>,
    /// Attempts after the first; 3 unless told.
    pub max_retries: Option<u32>,
    /// Seconds before the first retry; 1 unless told.
    pub initial_delay: Option<f64>,
    /// Seconds between retries at most; 30 unless told.
    pub max_delay: Option<f64>,
}

/// How waits grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackoffWord {
    /// 1 s, 2 s, 4 s.
    Exponential,
    /// 1 s, 2 s, 3 s.
    Linear,
    /// 1 s, 1 s, 1 s.
    Constant,
}

impl From<BackoffWord> for Backoff {
    fn from(word: BackoffWord) -> Backoff {
        match word {
            BackoffWord::Exponential => Backoff::Exponential,
            BackoffWord::Linear => Backoff::Linear,
            BackoffWord::Constant => Backoff::Constant,
        }
    }
}

/// Logs and result files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Monitoring")]
pub struct Monitoring {
    /// What `production.log` has: `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`; `INFO` unless told.
    pub log_level: Option<String>,
    /// Whether metrics are served.
    pub enable_metrics: Option<bool>,
    /// Whether a run leaves files beside its journal; `true` unless told.
    pub export_results: Option<bool>,
    /// Where runs are kept; `./results` unless told.
    pub results_dir: Option<String>,
}

/// How long things may take, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Timeouts")]
pub struct TimeoutsFile {
    /// A whole attempt; by the work unless told.
    pub request_timeout: Option<f64>,
    /// A run; unless told, how long it may be without an answer, by its plan and at least 600 (in a trial 120).
    pub total_timeout: Option<f64>,
    /// Opening a connection.
    pub connect: Option<f64>,
    /// From sending a request to the first token of its answer.
    pub first_token: Option<f64>,
    /// Between two pieces of an answer.
    pub idle: Option<f64>,
    /// Calls in flight once a run is asked to stop (a first signal, `ctl cancel`); then they are given up, as at a second
    /// signal. 30 unless told.
    pub grace: Option<f64>,
}

/// What a trial has to reach.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Criteria")]
pub struct CriteriaFile {
    /// How many times faster than one after the other; 2.5 unless told, where bad luck in the order of few tasks does not
    /// explain less.
    pub min_speedup: Option<f64>,
    /// The part of the possible speedup; unless told 0.9, or what bad luck in the order of few tasks explains where that is
    /// less.
    pub min_efficiency: Option<f64>,
    /// Percent of tasks that succeed; 95 unless told.
    pub min_success_rate: Option<f64>,
    /// Seconds; 15 unless told.
    pub max_p95_latency: Option<f64>,
    /// USD; 0.10 unless told.
    pub max_cost_per_task: Option<f64>,
    /// Times the median of its task type; unless told 3.0, or what chance explains of so many tasks where that is more.
    pub max_cost_outlier: Option<f64>,
}
