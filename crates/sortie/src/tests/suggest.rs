//! What a trial suggests does what it says: runs that something held, and what is told of it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::written::TaskFile;
use sortie_core::run::event::Outcome;
use sortie_engine::store::memory::MemoryStore;
use sortie_report::trial::{Criteria, Criterion, Evidence, Suggestion, judge};
use sortie_sim::Scenario;

use super::draw::header;
use super::world::{Hardship, Lived, live};
use crate::foresight::Past;
use crate::trial::allowed::as_told;
use crate::trial::suggest::{Around, suggestions};

/// So many tasks, each of which depends on the one so many places before it.
fn tasks(count: usize, behind: Option<usize>) -> Vec<TaskFile> {
    let task = |index: usize| {
        let before = behind.and_then(|behind| index.checked_sub(behind));
        TaskFile {
            id: format!("t{index}"),
            prompt: format!("Explain thing {index}."),
            depends_on: Some(before.map(|on| format!("t{on}").into()).into_iter().collect()),
            ..TaskFile::default()
        }
    };
    (0..count).map(task).collect()
}

struct Told {
    lived: Lived,
    criteria: Vec<Criterion>,
    suggestions: Vec<Suggestion>,
}

/// Runs a plan like this and asks what would have been better.
async fn told(config: &str, tasks: Vec<TaskFile>, scenario: &str) -> Told {
    Box::pin(told_within(config, tasks, scenario, Around::default())).await
}

/// The same in a trial like this.
async fn told_within(config: &str, tasks: Vec<TaskFile>, scenario: &str, around: Around) -> Told {
    Box::pin(told_by(config, tasks, scenario, around, &Criteria::default())).await
}

/// The same where other criteria have to be met.
async fn told_by(
    config: &str,
    tasks: Vec<TaskFile>,
    scenario: &str,
    around: Around,
    thresholds: &Criteria,
) -> Told {
    let header = header(config, tasks, scenario, 7);
    let chance = &mut Chance::new(0, &Hash::of(b"suggest"), "life");
    let lived = live(header.clone(), Hardship::default(), chance).await.unwrap();
    let report = lived.fold.report(lived.fold.last_time());
    let nothing = BTreeSet::new();
    let evidence = Evidence {
        report: &report,
        meant_to_fail: &nothing,
        measured: None,
        recovery: None,
        makes_faults: false,
        faults: &[],
        spent: (report.summary.total_cost, Usd::ZERO),
        before: Usd::ZERO,
        budget: header.settings.budget,
        stopped: None,
        fit: None,
    };
    let criteria = judge(&evidence, thresholds);
    let suggestions = suggestions(&header, &report, &criteria, around, Past::<MemoryStore>::nothing()).await;
    Told { lived, criteria, suggestions }
}

fn config(limits: &str, rest: &str) -> String {
    format!("agents: {{ claude: {{}} }}\nrate_limiting: {{ {limits} }}\n{rest}")
}

fn seed() -> &'static str {
    Scenario::text_of("seed").unwrap()
}

fn calm() -> &'static str {
    Scenario::text_of("calm").unwrap()
}

/// The setting that is told first, from what to what.
fn first(told: &Told) -> (&str, &str, &str) {
    let first = told.suggestions.first().unwrap_or_else(|| panic!("nothing: {:?}", told.criteria));
    (&first.setting, &first.from, &first.to)
}

/// How much of what was told to be saved is, where the run is made with that.
fn kept(before: &Told, after: &Told) -> f64 {
    let saved = before.lived.took().as_secs_f64() - after.lived.took().as_secs_f64();
    saved / before.suggestions[0].saves.unwrap().as_secs_f64()
}

/// One run is not the median of all.
const ABOUT: RangeInclusive<f64> = 0.7..=1.4;

#[tokio::test]
async fn more_calls_at_a_time_are_told_where_tasks_wait_for_those_in_flight() {
    let narrow = told(&config("max_concurrent: 2", ""), tasks(32, None), calm()).await;
    let (setting, from, to) = first(&narrow);
    assert_eq!((setting, from, to), ("rate_limiting.max_concurrent", "2", "32"));
    let brings = &narrow.suggestions[0].brings;
    assert!(brings.starts_with("the forecast's median time falls from "), "{brings}");
    let wide = told(&config("max_concurrent: 32", ""), tasks(32, None), calm()).await;
    assert!(ABOUT.contains(&kept(&narrow, &wide)), "{}: {brings}", kept(&narrow, &wide));
    // No more than what brings something: a chain of fours needs no more than eight at a time.
    let layers = told(&config("max_concurrent: 2", ""), tasks(32, Some(8)), calm()).await;
    assert_eq!(first(&layers), ("rate_limiting.max_concurrent", "2", "8"));
}

#[tokio::test]
async fn a_stated_rate_is_raised_as_far_as_the_provider_allows() {
    let slow = told(&config("requests_per_minute: 20", ""), tasks(20, None), seed()).await;
    assert_eq!(first(&slow), ("rate_limiting.requests_per_minute", "20", "50"));
    let fast = told(&config("requests_per_minute: 50", ""), tasks(20, None), seed()).await;
    assert!(ABOUT.contains(&kept(&slow, &fast)), "{}", kept(&slow, &fast));
    let (setting, from, to) = first(&fast);
    assert!(setting.starts_with("what the provider allows, requests/min of "), "{setting}");
    let brings = &fast.suggestions[0].brings;
    let follows = format!(
        "; it is no setting: the provider is to be asked for it, and rate_limiting.requests_per_minute to be set to {to} \
         then, which is 50 now"
    );
    assert!(brings.ends_with(&follows), "{brings}");
    assert_eq!((from, to.parse::<u32>().unwrap() >= 200), ("50", true), "{to}");
    // Nobody told whether a provider without quotas would allow more.
    let unknown = told(&config("requests_per_minute: 20", ""), tasks(20, None), calm()).await;
    assert!(unknown.suggestions.is_empty(), "{:?}", unknown.suggestions);
}

#[tokio::test]
async fn a_budget_that_stopped_a_run_is_told_with_what_it_needs() {
    let small = config("max_concurrent: 4", "cost_control: { max_cost_per_session: 0.02 }");
    let small = told(&small, tasks(20, None), calm()).await;
    assert!(matches!(small.lived.outcome, Outcome::BudgetExceeded { .. }));
    let (setting, from, to) = first(&small);
    assert_eq!((setting, from), ("cost_control.max_cost_per_session", "$0.02"));
    let enough = format!("cost_control: {{ max_cost_per_session: {} }}", to.trim_start_matches('$'));
    let enough = told(&config("max_concurrent: 4", &enough), tasks(20, None), calm()).await;
    assert_eq!(enough.lived.outcome, Outcome::Completed, "{to}");
}

#[tokio::test]
async fn the_budget_of_a_trial_is_told_with_what_all_its_runs_need() {
    let around = Around { stopped_by: Usd::from_f64(0.10), other_runs: 2, ..Around::default() };
    let small = config("max_concurrent: 4", "cost_control: { max_cost_per_session: 0.02 }");
    let alone = told(&small, tasks(20, None), calm()).await;
    let all = told_within(&small, tasks(20, None), calm(), around).await;
    let (setting, from, to) = first(&all);
    assert_eq!((setting, from), ("cost_control.max_cost_per_session", "$0.10"));
    let amount = |text: &str| text.trim_start_matches('$').parse::<f64>().unwrap();
    let (alone, to) = (amount(first(&alone).2), amount(to));
    assert!(to > 0.10 && to > 1.5 * alone, "{to} for three runs, {alone} for one");
}

#[tokio::test]
async fn faults_that_were_made_on_purpose_are_nobodys_limits() {
    let around = Around { faults: true, ..Around::default() };
    let slow = told_within(&config("requests_per_minute: 20", ""), tasks(20, None), seed(), around).await;
    assert!(slow.suggestions.is_empty(), "{:?}", slow.suggestions);
}

#[tokio::test]
async fn the_budget_of_an_agent_is_told_by_its_name() {
    let config = "agents: { claude: { max_cost: 0.02, max_tokens: 300 } }";
    let small = told(config, tasks(20, None), calm()).await;
    let (setting, from, to) = first(&small);
    assert_eq!((setting, from), ("agents.claude.max_cost", "$0.02"));
    let config =
        format!("agents: {{ claude: {{ max_cost: {}, max_tokens: 300 }} }}", to.trim_start_matches('$'));
    assert_eq!(told(&config, tasks(20, None), calm()).await.lived.outcome, Outcome::Completed, "{to}");
}

#[tokio::test]
async fn the_budget_of_an_agent_is_told_as_it_is_configured_and_not_as_what_was_left_of_it() {
    let left = "agents: { claude: { max_cost: 0.02, max_tokens: 300 } }";
    let alone = told(left, tasks(20, None), calm()).await;
    let around = Around { agent_budgets: vec!["0.03".parse().ok()], ..Around::default() };
    let within = told_within(left, tasks(20, None), calm(), around).await;
    let (setting, from, to) = first(&within);
    assert_eq!((setting, from), ("agents.claude.max_cost", "$0.03"));
    let amount = |text: &str| text.trim_start_matches('$').parse::<f64>().unwrap();
    assert!(amount(to) > 0.03 && amount(to) >= amount(first(&alone).2), "{to} after {}", first(&alone).2);
}

#[tokio::test]
async fn a_timeout_that_cuts_answers_is_told_and_one_that_cuts_what_hangs_is_not() {
    let limits = config("max_retries: 0", "timeouts: { request_timeout: 5 }");
    let cut = told(&limits, tasks(20, None), &seed().replace("50\n", "600\n")).await;
    assert_eq!(first(&cut), ("timeouts.request_timeout", "5", "10"));
    assert!(cut.suggestions[0].brings.contains("given up, and answers took up to "));
    let hangs = calm().to_owned() + "faults: [{ kind: stall-head, share: 0.2 }]\n";
    let limits = config("max_retries: 0", "timeouts: { request_timeout: 30 }");
    let hangs = told(&limits, tasks(20, None), &hangs).await;
    assert!(hangs.criteria.iter().any(|one| one.name == "success_rate" && one.met == Some(false)));
    assert!(
        hangs.suggestions.iter().all(|one| !one.setting.starts_with("timeouts.")),
        "{:?}",
        hangs.suggestions
    );
}

#[tokio::test]
async fn a_provider_that_refuses_calls_is_asked_for_less_or_for_more() {
    let found = told("agents: { claude: {} }", tasks(40, None), seed()).await;
    let settings: Vec<&str> = found.suggestions.iter().map(|one| one.setting.as_str()).collect();
    assert!(settings.iter().any(|setting| setting.starts_with("what the provider allows, ")), "{settings:?}");
}

#[tokio::test]
async fn room_for_answers_that_never_come_is_told_where_it_holds_tasks() {
    let limits = "max_concurrent: 32, output_tokens_per_minute: 16000";
    let wide = told(&config(limits, ""), tasks(32, None), calm()).await;
    let (setting, from, to) = first(&wide);
    assert_eq!(setting, "agents.claude.max_tokens");
    let (from, to): (u32, u32) = (from.parse().unwrap(), to.parse().unwrap());
    assert!(from >= 4000 && (100..=700).contains(&to), "{from} {to}");
    let config = format!("agents: {{ claude: {{ max_tokens: {to} }} }}\nrate_limiting: {{ {limits} }}");
    let tight = told(&config, tasks(32, None), calm()).await;
    assert!(ABOUT.contains(&kept(&wide, &tight)), "{}", kept(&wide, &tight));
}

#[tokio::test]
async fn a_run_that_is_cut_by_its_timeout_is_told_how_long_it_takes() {
    let cut = config("max_concurrent: 2", "timeouts: { total_timeout: 20 }");
    let cut = told(&cut, tasks(40, Some(1)), seed()).await;
    assert!(matches!(cut.lived.outcome, Outcome::TimedOut { .. }));
    let (setting, from, to) = first(&cut);
    assert_eq!((setting, from), ("timeouts.total_timeout", "20"));
    let enough = config("max_concurrent: 2", &format!("timeouts: {{ total_timeout: {to} }}"));
    let enough = told(&enough, tasks(40, Some(1)), seed()).await;
    assert_eq!(enough.lived.outcome, Outcome::Completed, "{to} s");
}

/// Answers of about 1,000 tokens at 50 a second.
const LONG: &str = "name: own\nlatency: { paced: { first_token: { fixed: 1 }, tokens_per_second: { fixed: 50 } } }\n\
                    output_tokens: { uniform: { min: 700, max: 1300 } }\n";

fn missed(told: &Told) -> Vec<&str> {
    let missed = told.criteria.iter().filter(|one| one.met == Some(false));
    missed
        .map(|one| one.name.as_str())
        .filter(|name| ["p95_latency", "cost_per_task"].contains(name))
        .collect()
}

#[tokio::test]
async fn answers_that_come_too_slowly_or_cost_too_much_are_made_shorter_as_far_as_it_takes() {
    let dear = Criteria { max_cost_per_task: 0.005, max_p95_latency: 100.0, ..Criteria::default() };
    for (most, thresholds, name, to) in
        [(2000, Criteria::default(), "p95_latency", 500), (600, dear, "cost_per_task", 300)]
    {
        let on = async |most: u32| {
            let config = format!(
                "agents: {{ claude: {{ max_tokens: {most} }} }}\nrate_limiting: {{ max_concurrent: 4 }}"
            );
            told_by(&config, tasks(12, None), LONG, Around::default(), &thresholds).await
        };
        let long = on(most).await;
        assert_eq!(missed(&long), [name], "{:?}", long.criteria);
        let (from, shorter) = (most.to_string(), to.to_string());
        assert_eq!(first(&long), ("agents.claude.max_tokens", from.as_str(), shorter.as_str()));
        let brings = &long.suggestions[0].brings;
        assert!(brings.ends_with("12 of 12 answers were longer and would be cut"), "{brings}");
        let short = on(to).await;
        assert_eq!(missed(&short), Vec::<&str>::new(), "{:?}", short.criteria);
    }
    // Tasks that a trial makes itself have no setting for it.
    let around = Around { is_generated: true, ..Around::default() };
    let config = "agents: { claude: { max_tokens: 2000 } }\nrate_limiting: { max_concurrent: 4 }";
    let ours = told_within(config, tasks(12, None), LONG, around).await;
    assert!(ours.suggestions.iter().all(|one| !one.setting.contains("max_tokens")), "{:?}", ours.suggestions);
}

#[tokio::test]
async fn fewer_calls_at_a_time_are_told_where_the_server_slows_down_with_company() {
    let scenario = "name: own\nlatency: { total: { seconds: { fixed: 5 }, first_token: { fixed: 1 } } }\n\
                    output_tokens: { fixed: 100 }\n\
                    server: { slowdown: [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5] }\n";
    let crowded = told(&config("max_concurrent: 8", ""), tasks(24, None), scenario).await;
    assert_eq!(missed(&crowded), ["p95_latency"], "{:?}", crowded.criteria);
    assert_eq!(first(&crowded), ("rate_limiting.max_concurrent", "8", "4"));
    let brings = &crowded.suggestions[0].brings;
    assert!(
        brings.contains("the latency of 95 % of the answers falls from 22.5 s to about 12.5 s"),
        "{brings}"
    );
    let fewer = told(&config("max_concurrent: 4", ""), tasks(24, None), scenario).await;
    assert_eq!(missed(&fewer), Vec::<&str>::new(), "{:?}", fewer.criteria);
    // Where company is no matter, it is not suggested.
    let alone = scenario.replace("seconds: { fixed: 5 }", "seconds: { fixed: 20 }");
    let alone = alone.split("server").next().unwrap();
    let slow = told(&config("max_concurrent: 8", ""), tasks(24, None), alone).await;
    assert_eq!(missed(&slow), ["p95_latency"]);
    assert!(
        slow.suggestions.iter().all(|one| one.to.parse::<u32>().is_ok_and(|to| to > 8)),
        "{:?}",
        slow.suggestions
    );
}

#[tokio::test]
async fn where_nothing_is_to_be_gained_nothing_is_told() {
    let chain = told(&config("max_concurrent: 4", ""), tasks(12, Some(1)), calm()).await;
    assert!(chain.suggestions.is_empty(), "{:?}", chain.suggestions);
}

#[test]
fn a_simulated_part_begins_with_what_the_key_calls_were_told() {
    let rate = |limits: &str, scenario: &str| {
        let header = header(&config(limits, ""), tasks(3, None), scenario, 7);
        as_told(header).unwrap().settings.gates[0].requests_per_minute
    };
    assert_eq!(rate("max_concurrent: 2", seed()), Some(50));
    assert_eq!(rate("requests_per_minute: 20", seed()), Some(20), "what is stated stays");
    assert_eq!(rate("max_concurrent: 2", calm()), None);
}
