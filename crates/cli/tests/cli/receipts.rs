//! Receipts: what runs cost, grouped, and held against what a provider's export says. The provider is
//! the simulator in a process of its own, and its ledger is the truth.

use rusqlite::Connection;
use serde_json::{Value, json};
use sortie::core::money::Usd;
use sortie::sim::ledger::Entry;

use crate::support::{Sandbox, Simulator, WEBSITE, until};

const CONFIG: &str = "agents: { claude: {}, gpt: { provider: openai, model: gpt-6.1-sol } }";

const PLAN: &str = "
defaults: { max_tokens: 100 }
tasks:
  - { id: a, task_type: analysis, prompt: Task a. }
  - { id: b, task_type: coding, prompt: Task b., depends_on: [a] }
  - { id: c, task_type: coding, prompt: Task c., agent: gpt }
";

fn sandbox(simulator: &Simulator, plan: &str) -> Sandbox {
    Sandbox::reaching(simulator).file("plan.yaml", plan).file("sortie.yaml", CONFIG)
}

fn usd(value: &Value) -> Usd {
    // Small amounts are written like 6.6e-5.
    Usd::from_f64(value.as_f64().unwrap_or_else(|| panic!("no amount: {value}"))).unwrap()
}

/// The rows of `sortie costs --json` by name, with their totals.
fn rows(document: &Value) -> Vec<(&str, Usd)> {
    let rows = document["rows"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap(), usd(&row["total"]))).collect()
}

fn billed(entries: &[Entry], model: &str) -> Usd {
    entries.iter().filter(|entry| entry.model == model).map(|entry| entry.cost_picodollars).sum()
}

#[test]
fn a_run_s_costs_are_grouped_in_its_reports() {
    let simulator = Simulator::start();
    let sandbox = sandbox(&simulator, PLAN);
    let ran = sandbox.sortie("run plan.yaml --run-id one").exits(0);
    let entries = simulator.ledger();
    let [claude, gpt] = ["claude-sonnet-5-5", "gpt-6.1-sol"].map(|model| billed(&entries, model));
    assert!(!claude.is_zero() && !gpt.is_zero(), "{entries:?}");
    let summary: Value = serde_json::from_str(&sandbox.read("results/one/summary.json")).unwrap();
    let cost = &summary["cost"];
    assert_eq!(
        (usd(&cost["by_agent"]["claude"]["cost"]), usd(&cost["by_agent"]["gpt"]["cost"])),
        (claude, gpt)
    );
    assert_eq!(usd(&cost["by_model"]["gpt-6.1-sol"]["actual"]), gpt);
    assert_eq!(
        (&cost["by_type"]["coding"]["tasks"], &cost["by_type"]["analysis"]["calls"]),
        (&json!(2), &json!(1))
    );
    let days: Usd = cost["by_day"].as_object().unwrap().values().map(|day| usd(&day["cost"])).sum();
    assert_eq!(days, claude + gpt);
    let report = sandbox.read("results/one/report.md");
    for heading in ["agent", "task type", "model", "day (UTC)"] {
        assert!(report.contains(&format!("### Cost by {heading}\n")), "{report}");
    }
    ran.says("By agent: claude $");
}

#[test]
fn all_runs_are_added_up_but_for_simulated_ones() {
    let simulator = Simulator::start();
    let sandbox = sandbox(&simulator, PLAN).file("website.yaml", WEBSITE);
    sandbox.sortie("run plan.yaml --run-id one").exits(0);
    sandbox.sortie("run plan.yaml --run-id two").exits(0);
    sandbox.sortie("run website.yaml --simulate --run-id three").exits(0);
    let all: Usd = simulator.stats().cost_usd_exact.parse().unwrap();
    for by in ["agent", "type", "model", "day", "run"] {
        let document = sandbox.sortie(&format!("costs --by {by} --json")).exits(0).json();
        assert_eq!(usd(&document["total"]["total"]), all, "{document}");
        assert_eq!(rows(&document).iter().map(|(_, total)| *total).sum::<Usd>(), all, "{document}");
        assert_eq!((&document["total"]["tasks"], &document["total"]["calls"]), (&json!(6), &json!(6)));
    }
    let by_run = |options: &str| sandbox.sortie(&format!("costs --by run --json {options}")).exits(0).json();
    let names = |document: &Value| rows(document).iter().map(|row| row.0.to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&by_run("")), ["one", "two"]);
    assert_eq!(names(&by_run("--simulated")), ["one", "three", "two"]);
    assert!(names(&by_run("--until 1h")).is_empty());
    assert!(names(&by_run("--since 2000-01-01 --until 2000-12-31")).is_empty());
    let text = sandbox.sortie("costs").exits(0).stdout;
    let first: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!((first[0], first.last()), ("MODEL", Some(&"total")), "{text}");
    assert!(first.contains(&"gpt-6.1-sol") && first.contains(&"claude-sonnet-5-5"), "{text}");
}

#[test]
fn looking_at_costs_where_there_are_no_runs_makes_nothing() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.sortie("costs").exits(0).stdout, "no calls\n");
    assert!(!sandbox.path("results").exists());
}

#[test]
fn costs_of_no_time_and_of_no_directory_are_refused() {
    let sandbox = Sandbox::new();
    let empty = sandbox.sortie("costs --since 2026-11-20 --until 2026-11-10").exits(2);
    empty.says("no time is since 2026-11-20");
    sandbox.sortie("costs --since 2026-11-20 --until 2026-11-20").exits(0);
    sandbox.sortie("costs --results-dir nowhere").exits(2).says("there is no results directory nowhere");
}

#[test]
fn calls_of_another_server_are_not_the_provider_s() {
    let simulator = Simulator::start();
    let config = "agents: { own: { provider: openai, model: gpt-6.1-sol, price: { input: 1, output: 1 } } }";
    let sandbox = Sandbox::reaching(&simulator).file("sortie.yaml", config);
    let sandbox = sandbox.file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    sandbox.sortie("run plan.yaml --run-id one").exits(0);
    let usage = "start_time,input_tokens,output_tokens,model\n1763078400,1,2,gpt-6.1-sol\n";
    let sandbox = sandbox.file("usage.csv", usage);
    let document = sandbox.sortie("reconcile one usage.csv --json").exits(1).json();
    assert_eq!((&document["agrees"], &document["rows"]), (&json!(false), &json!([])));
    sandbox.sortie("reconcile one usage.csv").exits(1).says("nothing to compare");
}

#[test]
fn a_run_that_is_driven_right_now_counts_as_far_as_it_is() {
    let simulator = Simulator::start();
    let plan = "
tasks:
  - { id: first, prompt: First. }
  - { id: second, prompt: 'Second. [[sim latency=3600]]', depends_on: [first] }
";
    let sandbox = sandbox(&simulator, plan);
    let running = sandbox.start("run plan.yaml --run-id one");
    until("the second call is in flight", || {
        let stats = simulator.stats();
        (stats.generations == 2 && stats.in_flight == 1).then_some(())
    });
    let document = sandbox.sortie("costs --by run --json").exits(0).json();
    assert_eq!(rows(&document), [("one", simulator.ledger()[0].cost_picodollars)]);
    assert_eq!(document["total"]["calls"], 1);
    running.kill();
}

#[test]
fn a_run_that_cannot_be_read_is_named_and_left_out() {
    let simulator = Simulator::start();
    let sandbox = sandbox(&simulator, PLAN);
    for (run, damage) in [
        ("one", "UPDATE records SET at = at + 1 WHERE run_id = 'one' AND seq = 3"),
        (
            "two",
            "UPDATE records SET event = '{}' WHERE run_id = 'two' AND seq = (SELECT last_seq FROM runs WHERE run_id = 'two')",
        ),
        ("three", "SELECT 1"),
    ] {
        sandbox.sortie(&format!("run plan.yaml --run-id {run}")).exits(0);
        let db = Connection::open(sandbox.path("results/sortie.db")).unwrap();
        db.execute_batch(damage).unwrap();
    }
    for options in ["--json", "--json --quiet"] {
        let ran = sandbox.sortie(&format!("costs --by run {options}")).exits(0);
        let document = ran.json();
        let ran = ran.says("warning: run one is left out: the journal of run \"one\" is damaged: record 3");
        ran.says("warning: run two is left out: ");
        assert_eq!(rows(&document).len(), 1, "{document}");
        assert_eq!(document["unreadable_runs"], json!(["two", "one"]));
    }
    // A resume that finds its run by itself does not stumble over them either.
    sandbox.sortie("runs").exits(0).says("three");
}

/// An export in one of the shapes that providers give, made of what the simulator billed.
type Shape = fn(&[Entry], &str, Tampering) -> String;

/// What is added to the first entry's input tokens, and to its cost.
#[derive(Clone, Copy, Default)]
struct Tampering {
    tokens: u64,
    pico: u64,
}

/// Input tokens, output tokens and cost of each entry.
fn figures(entries: &[Entry], tampering: Tampering) -> impl Iterator<Item = (&str, u64, u64, Usd)> {
    entries.iter().enumerate().map(move |(n, entry)| {
        let extra = if n == 0 { tampering } else { Tampering::default() };
        let cost = entry.cost_picodollars + Usd::from_pico(extra.pico);
        (entry.model.as_str(), entry.input_tokens + extra.tokens, entry.output_tokens, cost)
    })
}

fn csv(headings: &str, lines: impl Iterator<Item = String>) -> String {
    std::iter::once(headings.to_owned()).chain(lines).collect::<Vec<_>>().join("\n") + "\n"
}

fn page(bucket: Value, results: impl Iterator<Item = Value>) -> String {
    let mut bucket = bucket;
    bucket["results"] = results.collect();
    json!({ "data": [bucket], "has_more": false, "next_page": null }).to_string()
}

fn midnight(day: &str) -> u64 {
    sortie::report::units::midnight(day).unwrap().micros() / 1_000_000
}

fn anthropic_usage_csv(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let headings = "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
        usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,\
        usage_output_tokens,web_search_count,inference_geo,speed";
    let lines = figures(entries, tampering).map(|(model, input, output, _)| {
        format!("{day},{model}-20260901,k,Default,standard,≤ 200k,{input},0,0,0,{output},0,global,")
    });
    csv(headings, lines)
}

fn anthropic_usage_json(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let results = figures(entries, tampering).map(|(model, input, output, _)| {
        json!({"uncached_input_tokens": input, "output_tokens": output, "model": model, "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}})
    });
    page(json!({ "starting_at": format!("{day}T00:00:00Z") }), results)
}

fn anthropic_cost_csv(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let headings =
        "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd";
    let lines = figures(entries, tampering).map(|(_, _, _, cost)| {
        // Six decimals say that it is no amount in whole cents.
        format!("{day},Claude Sonnet 5.5,Default,k,message,≤ 200k,output,{},0", cost.exact(6))
    });
    csv(headings, lines)
}

fn anthropic_cost_json(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let results = figures(entries, tampering).map(|(model, _, _, cost)| {
        json!({"amount": cost.times(100).exact(0), "currency": "USD", "model": model, "cost_type": "tokens"})
    });
    page(json!({ "starting_at": format!("{day}T00:00:00Z") }), results)
}

fn openai_usage_json(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let results = figures(entries, tampering).map(|(model, input, output, _)| {
        json!({"object": "organization.usage.completions.result", "input_tokens": input, "output_tokens": output,
            "input_cached_tokens": 0, "num_model_requests": 1, "model": format!("{model}-2026-09-01")})
    });
    page(json!({ "object": "bucket", "start_time": midnight(day) }), results)
}

fn openai_usage_csv(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let lines = figures(entries, tampering).map(|(model, input, output, _)| {
        format!("{},{day}T00:00:00+00:00,{model},{input}.0,{output}.0,0.0", midnight(day))
    });
    csv("start_time,start_time_iso,model,input_tokens,output_tokens,input_cached_tokens", lines)
}

fn openai_costs_json(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let results = figures(entries, tampering).map(|(model, _, _, cost)| {
        json!({"amount": {"value": cost.as_f64(), "currency": "usd"}, "line_item": format!("{model}, output")})
    });
    page(json!({ "object": "bucket", "start_time": midnight(day) }), results)
}

fn openai_costs_csv(entries: &[Entry], day: &str, tampering: Tampering) -> String {
    let lines = figures(entries, tampering)
        .map(|(model, _, _, cost)| format!("{},{},usd,\"{model}, output\"", midnight(day), cost.exact(16)));
    csv("start_time,amount_value,amount_currency,line_item", lines)
}

/// Each shape, the model whose calls are in it, and a number changed in it.
const SHAPES: [(&str, &str, Shape, Tampering); 8] = {
    const TOKENS: Tampering = Tampering { tokens: 1, pico: 0 };
    const MONEY: Tampering = Tampering { tokens: 0, pico: 10_000_000 };
    const CLAUDE: &str = "claude-sonnet-5-5";
    const GPT: &str = "gpt-6.1-sol";
    [
        ("Anthropic usage", CLAUDE, anthropic_usage_csv, TOKENS),
        ("Anthropic usage", CLAUDE, anthropic_usage_json, TOKENS),
        ("Anthropic cost", CLAUDE, anthropic_cost_csv, MONEY),
        ("Anthropic cost", CLAUDE, anthropic_cost_json, MONEY),
        ("OpenAI usage", GPT, openai_usage_json, TOKENS),
        ("OpenAI usage", GPT, openai_usage_csv, TOKENS),
        ("OpenAI costs", GPT, openai_costs_json, MONEY),
        ("OpenAI costs", GPT, openai_costs_csv, MONEY),
    ]
};

/// Runs the plan on one day, whatever the time of the test; gives that day.
fn on_one_day(simulator: &Simulator, plan: &str) -> (Sandbox, String, Vec<Entry>) {
    until("a run is over before midnight", || {
        let before = simulator.ledger().len();
        let sandbox = sandbox(simulator, plan);
        sandbox.sortie("run plan.yaml --run-id one").exits(0);
        let document = sandbox.sortie("costs --by day --json").exits(0).json();
        let days = rows(&document);
        let day = (days.len() == 1).then(|| days[0].0.to_owned())?;
        Some((sandbox, day, simulator.ledger().split_off(before)))
    })
}

#[test]
fn every_kind_of_export_of_what_was_billed_agrees_and_one_number_changed_is_found() {
    let simulator = Simulator::start();
    let (sandbox, day, entries) = on_one_day(&simulator, PLAN);
    for (n, (format, model, shape, tampering)) in SHAPES.into_iter().enumerate() {
        let of_model: Vec<Entry> = entries.iter().filter(|entry| entry.model == model).cloned().collect();
        std::fs::write(sandbox.path("right"), shape(&of_model, &day, Tampering::default())).unwrap();
        std::fs::write(sandbox.path("wrong"), shape(&of_model, &day, tampering)).unwrap();
        for run in ["one ", ""] {
            let ran = sandbox.sortie(&format!("reconcile {run}right"));
            let ran = ran.exits(0);
            assert!(
                ran.stdout.starts_with(&format!("{format}, on {day}: all agree (")),
                "{n}: {}",
                ran.transcript()
            );
            let document = sandbox.sortie(&format!("reconcile {run}wrong --json")).exits(1).json();
            let wrong: Vec<&Value> =
                document["rows"].as_array().unwrap().iter().filter(|row| row["agrees"] == false).collect();
            let [row] = &wrong[..] else { panic!("{n}: {document}") };
            assert_eq!((&row["day"], &row["model"]), (&json!(day), &json!(model)), "{n}");
            if tampering.tokens > 0 {
                assert_eq!((&row["what"], &row["difference"]), (&json!("input_tokens"), &json!(1)), "{n}");
            } else {
                assert_eq!(
                    (&row["what"], usd(&row["difference"]).pico()),
                    (&json!("usd"), tampering.pico),
                    "{n}"
                );
            }
        }
    }
}

#[test]
fn an_answer_that_was_lost_is_a_difference_that_what_is_at_risk_may_explain() {
    let simulator = Simulator::start();
    let plan = "tasks: [{ id: a, prompt: 'A. [[sim fail=lost]]', max_tokens: 100 }]";
    let (sandbox, day, entries) = on_one_day(&simulator, plan);
    assert_eq!(entries.len(), 2, "{entries:?}");
    let export = anthropic_cost_json(&entries, &day, Tampering::default());
    let sandbox = sandbox.file("costs.json", export);
    sandbox.sortie("reconcile one costs.json").exits(1).says(" at risk may be in it");
    let document = sandbox.sortie("reconcile one costs.json --json").exits(1).json();
    let row = &document["rows"][0];
    let (missing, at_risk) = (usd(&row["difference"]), usd(&row["at_risk"]));
    let lost = entries.iter().find(|entry| entry.delivered_whole == Some(false)).unwrap();
    assert_eq!(missing, lost.cost_picodollars);
    assert!(missing <= at_risk, "{document}");
}

#[test]
fn days_that_were_not_asked_for_are_not_compared_and_said() {
    let simulator = Simulator::start();
    let (sandbox, day, entries) = on_one_day(&simulator, "tasks: [{ id: a, prompt: A. }]");
    let export = anthropic_usage_csv(&entries, &day, Tampering::default());
    let more = "2000-01-01,claude-sonnet-5-5,k,Default,standard,x,9,0,0,0,9,0,global,\n";
    let sandbox = sandbox.file("usage.csv", export + more);
    sandbox.sortie("reconcile one usage.csv").exits(0).says("1 day of the export not compared");
    sandbox.sortie("reconcile usage.csv").exits(1).says("2000-01-01");
    sandbox.sortie("reconcile usage.csv --since 30d").exits(0).says("1 day of the export not compared");
    sandbox.sortie(&format!("reconcile usage.csv --since {day} --until {day}")).exits(0);
}

#[test]
fn what_cannot_be_held_against_each_other_is_refused() {
    let sandbox = Sandbox::new().file("plan.yaml", PLAN).file("sortie.yaml", CONFIG);
    let usage = "start_time,input_tokens,output_tokens,model\n1763078400,1,2,gpt-6.1-sol\n";
    let sandbox = sandbox.file("usage.csv", usage).file("other.csv", "a,b\n1,2\n").file("empty", "");
    sandbox.sortie("reconcile usage.csv").exits(2).says("there are no runs in ./results");
    sandbox.sortie("reconcile one usage.csv").exits(2).says("no run \"one\"");
    assert!(!sandbox.path("results").exists());
    sandbox.sortie("run plan.yaml --simulate --run-id one").exits(0);
    insta::assert_snapshot!(
        "reconcile_simulated",
        sandbox.sortie("reconcile one usage.csv").exits(2).transcript()
    );
    insta::assert_snapshot!("reconcile_unknown", sandbox.sortie("reconcile other.csv").exits(2).transcript());
    insta::assert_snapshot!("reconcile_empty", sandbox.sortie("reconcile empty").exits(2).transcript());
    insta::assert_snapshot!("reconcile_differs", sandbox.sortie("reconcile usage.csv").exits(1).transcript());
    sandbox.sortie("reconcile nowhere.csv").exits(2).says("failed to read nowhere.csv");
    let partial = r#"{"data": [{"start_time": 1763078400, "results": [{"input_tokens": 0, "output_tokens": 0}]}], "has_more": true}"#;
    let ran = sandbox.sortie_reading("reconcile -", partial).exits(0);
    ran.says("warning: the export says that there is more of it");
}
