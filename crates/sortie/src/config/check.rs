//! From the configuration as written to what it means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use sortie_core::agent::{Retry, Timeouts};
use sortie_core::document::{Place, Problem, Problems, nearest};
use sortie_core::money::Usd;
use sortie_core::run::input::Settings;

use super::agents::Agents;
use super::written::{ConfigFile, CostControl, CriteriaFile, RateLimiting, TimeoutsFile};
use super::{Config, Criteria, Environment, LogLevel, Money};

/// Calls in flight where nothing is set: the founding document's (SPEC.md E5).
const MAX_CONCURRENT: u32 = 10;
/// Where runs are kept where nothing is set.
const RESULTS_DIR: &str = "./results";
/// Seconds of any time, at most: a year, so that no sum of times overflows.
const MAX_SECONDS: f64 = 365.0 * 86_400.0;

impl Config {
    /// Checks a configuration; `today` is for models that are retired soon.
    ///
    /// # Errors
    /// Everything that is wrong with it; [`sortie_core::document::Source::locate`] finds the places.
    pub fn check(file: &ConfigFile, env: Environment<'_>, today: Date) -> Result<Config, Problems> {
        let mut problems = Problems::default();
        let rates = file.rate_limiting.clone().unwrap_or_default();
        rate_limiting(&rates, &Place::root().key("rate_limiting"), &mut problems);
        let retry = retry(&rates, &Retry::default());
        let (timeouts, run_timeout, grace) = timeouts(file.timeouts.as_ref(), &mut problems);
        let agents = Agents::check(file, &rates, &retry, timeouts, env, today, &mut problems);
        let money = money(file.cost_control.as_ref(), &mut problems);
        let monitoring = file.monitoring.clone().unwrap_or_default();
        if monitoring.enable_metrics == Some(true) {
            problems.push(unsupported(Place::root().key("monitoring").name("enable_metrics")));
        }
        let config = Config {
            routes: routes(file, &agents, &mut problems),
            default_agent: default_agent(file, &agents, &mut problems),
            agents: agents.enabled,
            disabled: agents.disabled,
            gates: agents.gates,
            max_concurrent: rates.max_concurrent.unwrap_or(MAX_CONCURRENT),
            stated_max_concurrent: rates.max_concurrent,
            money,
            run_timeout,
            grace: grace.unwrap_or(Settings::default().grace),
            criteria: criteria(file.criteria.as_ref(), &mut problems),
            log_level: log_level(monitoring.log_level.as_deref(), &mut problems),
            export_results: monitoring.export_results.unwrap_or(true),
            results_dir: PathBuf::from(monitoring.results_dir.unwrap_or_else(|| RESULTS_DIR.into())),
            warnings: Problems::default(),
        };
        if problems.has_errors() { Err(problems) } else { Ok(Config { warnings: problems, ..config }) }
    }
}

/// The warning about a key that does nothing yet.
pub(super) fn unsupported(place: Place) -> Problem {
    Problem::warning(format!("`{place}` is not yet supported")).at(place)
}

/// A number of seconds above zero; `key` is refused where it is not.
pub(super) fn seconds(value: Option<f64>, place: Place, problems: &mut Problems) -> Option<Duration> {
    let value = value?;
    if !(value > 0.0 && value <= MAX_SECONDS) {
        let message = format!("`{place}` must be more than 0 and at most {MAX_SECONDS} seconds");
        problems.push(Problem::error(message).at(place));
        return None;
    }
    Duration::try_from_secs_f64(value).ok()
}

/// Refuses what a rate, a count or a delay cannot be.
pub(super) fn rate_limiting(rates: &RateLimiting, place: &Place, problems: &mut Problems) {
    let counts = [
        ("requests_per_minute", rates.requests_per_minute.map(u64::from)),
        ("requests_burst", rates.requests_burst.map(u64::from)),
        ("input_tokens_per_minute", rates.input_tokens_per_minute),
        ("output_tokens_per_minute", rates.output_tokens_per_minute),
        ("max_concurrent", rates.max_concurrent.map(u64::from)),
    ];
    for (key, _) in counts.iter().filter(|(_, count)| *count == Some(0)) {
        let place = place.clone().key(*key);
        problems.push(Problem::error(format!("`{place}` must be at least 1")).at(place));
    }
    for (key, delay) in [("initial_delay", rates.initial_delay), ("max_delay", rates.max_delay)] {
        if delay.is_some_and(|delay| !(0.0..=MAX_SECONDS).contains(&delay)) {
            let place = place.clone().key(key);
            let message = format!("`{place}` must be from 0 to {MAX_SECONDS} seconds");
            problems.push(Problem::error(message).at(place));
        }
    }
}

/// A retry policy: what is stated, else `otherwise`.
pub(super) fn retry(rates: &RateLimiting, otherwise: &Retry) -> Retry {
    let delay = |stated: Option<f64>, otherwise| {
        stated.and_then(|delay| Duration::try_from_secs_f64(delay).ok()).unwrap_or(otherwise)
    };
    let initial_delay = delay(rates.initial_delay, otherwise.initial_delay);
    Retry {
        max_retries: rates.max_retries.unwrap_or(otherwise.max_retries),
        initial_delay,
        // A first wait longer than the longest is the longest.
        max_delay: delay(rates.max_delay, otherwise.max_delay).max(initial_delay),
        backoff: rates.backoff_strategy.map_or(otherwise.backoff, Into::into),
        retry_throttled: rates.retry_on_rate_limit.unwrap_or(otherwise.retry_throttled),
    }
}

fn timeouts(
    file: Option<&TimeoutsFile>,
    problems: &mut Problems,
) -> (Timeouts, Option<Duration>, Option<Duration>) {
    let file = file.cloned().unwrap_or_default();
    let otherwise = Timeouts::default();
    let mut get = |key: &'static str, value| seconds(value, Place::root().key("timeouts").key(key), problems);
    let timeouts = Timeouts {
        connect: get("connect", file.connect).unwrap_or(otherwise.connect),
        first_token: get("first_token", file.first_token).unwrap_or(otherwise.first_token),
        idle: get("idle", file.idle).unwrap_or(otherwise.idle),
        request: get("request_timeout", file.request_timeout).or(otherwise.request),
    };
    (timeouts, get("total_timeout", file.total_timeout), get("grace", file.grace))
}

fn money(file: Option<&CostControl>, problems: &mut Problems) -> Money {
    let file = file.cloned().unwrap_or_default();
    let mut get = |key: &'static str, value: Option<f64>, takes_none: bool| {
        let usd = value.map(|value| Usd::from_f64(value).filter(|usd| takes_none || !usd.is_zero()));
        if usd == Some(None) {
            let place = Place::root().key("cost_control").key(key);
            let from = if takes_none { "from 0 to" } else { "more than 0 and at most" };
            let message = format!("`{place}` must be {from} 18 million USD");
            problems.push(Problem::error(message).at(place));
        }
        usd.flatten()
    };
    // A limit of nothing lets nothing run, as on the command line; an alert of nothing tells of the first cent.
    let money = Money {
        budget: get("max_cost_per_session", file.max_cost_per_session, false),
        max_cost_per_task: get("max_cost_per_task", file.max_cost_per_task, false),
        alert_threshold: get("alert_threshold", file.alert_threshold, true),
        auto_stop: file.auto_stop_on_limit.unwrap_or(true),
    };
    if let (Some(alert), Some(budget)) = (money.alert_threshold, money.budget)
        && alert > budget
    {
        let place = Place::root().key("cost_control").key("alert_threshold");
        let message = format!("the alert at ${alert} never comes: the budget is ${budget}");
        problems.push(Problem::warning(message).at(place));
    }
    if file.enabled == Some(false) {
        return Money { budget: None, max_cost_per_task: None, alert_threshold: None, ..money };
    }
    money
}

fn criteria(file: Option<&CriteriaFile>, problems: &mut Problems) -> Criteria {
    let Some(file) = file else { return Criteria::default() };
    let mut checked = |key: &'static str, value: Option<f64>, most: f64| {
        if value.is_some_and(|value| !(0.0..=most).contains(&value)) {
            let place = Place::root().key("criteria").key(key);
            let rule = if most < f64::MAX { format!("from 0 to {most}") } else { "0 or more".into() };
            problems.push(Problem::error(format!("`{place}` must be {rule}")).at(place));
        }
        value
    };
    let otherwise = Criteria::default();
    let [speedup, efficiency, success_rate, latency, cost, outlier] = [
        ("min_speedup", file.min_speedup, f64::MAX),
        ("min_efficiency", file.min_efficiency, 1.0),
        ("min_success_rate", file.min_success_rate, 100.0),
        ("max_p95_latency", file.max_p95_latency, f64::MAX),
        ("max_cost_per_task", file.max_cost_per_task, f64::MAX),
        ("max_cost_outlier", file.max_cost_outlier, f64::MAX),
    ]
    .map(|(key, value, most)| checked(key, value, most));
    Criteria {
        min_speedup: speedup,
        min_efficiency: efficiency,
        min_success_rate: success_rate.unwrap_or(otherwise.min_success_rate),
        max_p95_latency: latency.unwrap_or(otherwise.max_p95_latency),
        max_cost_per_task: cost.unwrap_or(otherwise.max_cost_per_task),
        max_cost_outlier: outlier,
    }
}

fn log_level(written: Option<&str>, problems: &mut Problems) -> LogLevel {
    match written.map(str::to_ascii_uppercase).as_deref() {
        None | Some("INFO") => LogLevel::Info,
        Some("ERROR") => LogLevel::Error,
        // Python's name, as the founding document's readers write it.
        Some("WARN" | "WARNING") => LogLevel::Warn,
        Some("DEBUG") => LogLevel::Debug,
        Some("TRACE") => LogLevel::Trace,
        Some(_) => {
            let place = Place::root().key("monitoring").key("log_level");
            let message = format!("`{place}` must be `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`");
            problems.push(Problem::error(message).at(place));
            LogLevel::Info
        }
    }
}

fn routes(file: &ConfigFile, agents: &Agents, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for (task_type, name) in file.routes.iter().flatten() {
        let place = Place::root().key("routes").key(task_type.clone());
        known_agent(name, place, agents, problems);
        routes.insert(task_type.clone(), name.clone());
    }
    routes
}

fn default_agent(file: &ConfigFile, agents: &Agents, problems: &mut Problems) -> String {
    let first = agents.enabled.first().map(|configured| configured.agent.name.clone());
    let Some(name) = &file.default_agent else { return first.unwrap_or_default() };
    let place = Place::root().key("default_agent");
    if agents.disabled.contains(name) {
        problems.push(Problem::error(format!("the default agent `{name}` is disabled")).at(place));
    } else {
        known_agent(name, place, agents, problems);
    }
    name.clone()
}

/// Refuses an agent that does not exist; a disabled one is refused where a plan needs it.
pub(super) fn known_agent(name: &str, place: Place, agents: &Agents, problems: &mut Problems) {
    if !agents.names.iter().any(|known| known == name) {
        let near = nearest(name, agents.names.iter().map(String::as_str))
            .map(|near| format!("did you mean `{near}`?"));
        let problem = Problem::error(format!("there is no agent `{name}`")).at(place).maybe_help(near);
        problems.push(problem.absent(Place::root(), "agents"));
    }
}
