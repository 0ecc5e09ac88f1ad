//! The budget: never passed, said when it stops a run, and raised by a resume that repeats nothing.

use sortie::core::money::Usd;

use crate::support::{Sandbox, Simulator};

/// Three tasks one after the other. At the prices of claude-sonnet-5-5 each costs $0.00022 and
/// reserves $0.00121: a token for each byte of the prompt, written to a cache, `max_tokens`, and a
/// tenth more, because the workspace may name a region.
const CHAIN: &str = "
defaults: { max_tokens: 100 }
tasks:
  - { id: a, prompt: Task a. }
  - { id: b, prompt: Task b., depends_on: [a] }
  - { id: c, prompt: Task c., depends_on: [b] }
";

#[test]
fn a_budget_stops_the_run_and_a_larger_one_finishes_it_without_repeating() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", CHAIN);
    let ran = sandbox.sortie("run plan.yaml --max-cost 0.0013 --run-id one --json").exits(3);
    let ran = ran.says("`sortie resume one --max-cost USD` goes on with it");
    let document = ran.json();
    let message = document["error"].as_str().unwrap();
    let (needed, budget) = message.strip_prefix("Budget exceeded: $").unwrap().split_once(" > $").unwrap();
    assert!(needed.parse::<f64>().unwrap() > budget.parse().unwrap(), "{message}");
    assert_eq!(budget, "0.0013");
    assert!(ran.stderr.contains(message), "{}", ran.transcript());
    let spent: Usd = document["total_cost"].to_string().parse().unwrap();
    assert!(spent <= "0.0013".parse().unwrap(), "{spent:?}");
    let done = document["successful_tasks"].as_u64().unwrap();
    assert!(0 < done && done < 3, "it stops on its way, at {done}");
    assert_eq!(simulator.stats().generations, done);

    // The same budget stops it again, and sends nothing.
    sandbox.sortie("resume one").exits(3);
    assert_eq!(simulator.stats().generations, done);

    let document = sandbox.sortie("resume one --max-cost 1 --json").exits(0).json();
    assert_eq!(document["execution_history"], serde_json::json!(["a", "b", "c"]));
    assert_eq!(document["cost"]["budget"], 1.0);
    let stats = simulator.stats();
    assert_eq!((stats.generations, stats.repeats), (3, 0));
    let total: Usd = document["total_cost"].to_string().parse().unwrap();
    assert_eq!(total, stats.cost_usd_exact.parse().unwrap());
}

#[test]
fn never_more_means_never_more_whatever_the_configuration_says() {
    let config = "cost_control: {auto_stop_on_limit: false, max_cost_per_session: 10}";
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN).file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --simulate --max-cost 0.0001 --json").exits(3);
    let ran = ran.says("Budget exceeded");
    // What was foreseen is kept also where the first step ends the run.
    assert_eq!(ran.json()["forecast"]["cost_worst"], 0.0001, "{}", ran.transcript());
}

#[test]
fn two_amounts_for_one_budget_are_refused() {
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN);
    for command in ["run plan.yaml --simulate", "forecast plan.yaml", "resume one"] {
        let ran =
            sandbox.sortie(&format!("{command} --max-cost 1 --max-cost claude=1 --max-cost 2")).exits(2);
        ran.says("--max-cost is given more than once for the run");
    }
    let twice = sandbox.sortie("forecast plan.yaml --max-cost claude=1 --max-cost claude=2").exits(2);
    twice.says("more than once for agent `claude`");
}

#[test]
fn a_resume_announces_the_budgets_that_it_goes_on_with_and_what_is_spent() {
    let config = "agents: { claude: { max_cost: 0.0013 } }\ncost_control: { max_cost_per_session: 5 }";
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN).file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --simulate --run-id z").exits(3);
    let ran = ran.says("budget $5.00, budget $0.0013 of agent claude");
    assert!(ran.stdout.contains("(the budget of agent claude)"), "{}", ran.transcript());
    let ran = sandbox.sortie("resume z --max-cost 20 --max-cost claude=0.0015").exits(3);
    ran.says("budget $20.00, budget $0.0015 of agent claude").says("  so far $0.00");
    // What an earlier resume set is what the run has.
    sandbox.sortie("resume z").exits(3).says("budget $20.00, budget $0.0015 of agent claude");
    let listed = sandbox.sortie("check plan.yaml --offline");
    listed.says("budget of claude: $0.0013 a run; its tasks stop there, others go on");
}

#[test]
fn a_task_that_can_never_fit_is_not_sent() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", CHAIN);
    sandbox.sortie("run plan.yaml --max-cost 0.0001").exits(3).says("Budget exceeded: $");
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a_resume_cannot_put_a_budget_on_an_unknown_price() {
    let simulator = Simulator::start();
    let config = "agents: { own: { provider: anthropic, model: house-model } }\ndefault_agent: own\n";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", CHAIN).file("sortie.yaml", config);
    let refusing = sandbox.with("ANTHROPIC_API_KEY", "sk-sim-invalid");
    refusing.sortie("run plan.yaml --run-id one").exits(4);
    let sandbox = refusing.with("ANTHROPIC_API_KEY", "sk-test");
    let before = simulator.stats().requests;
    let ran = sandbox.sortie("resume one --max-cost 1").exits(4).says("price of model \"house-model\"");
    ran.says("hint: a run keeps the prices that it began with");
    assert_eq!(simulator.stats().requests, before);
    sandbox.sortie("resume one").exits(0);
}

#[test]
fn a_resume_with_an_agent_s_budget_asks_for_no_other_agent_s_price() {
    let config = "agents: { claude: {}, own: { provider: anthropic, model: house-model } }";
    let plan = format!("{CHAIN}  - {{ id: d, prompt: Task d., agent: own }}\n");
    let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --simulate --run-id one --max-cost claude=0.001").exits(3);
    ran.says("`sortie resume one --max-cost claude=USD` goes on with it");
    let before = sandbox.sortie("resume one --max-cost own=1").exits(4);
    before.says("price of model \"house-model\"");
    sandbox.sortie("resume one --max-cost claude=1").exits(0);
}

#[test]
fn a_resume_says_that_it_keeps_its_limits_where_the_configuration_has_others() {
    let config = |budget: f64| format!("cost_control: {{ max_cost_per_session: {budget} }}");
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN).file("sortie.yaml", config(0.0013));
    sandbox.sortie("run plan.yaml --simulate --run-id one").exits(3);
    let kept = "the run keeps the settings that it began with, not the configuration's max_cost_per_session";
    let ran = sandbox.sortie("resume one").exits(3);
    assert!(!ran.stderr.contains(kept), "{}", ran.transcript());
    let sandbox = sandbox.file("sortie.yaml", config(5.0));
    sandbox.sortie("resume one").exits(3).says(kept);
    let ran = sandbox.sortie("resume one --max-cost 5").exits(0);
    assert!(!ran.stderr.contains(kept), "{}", ran.transcript());
}

#[test]
fn a_budget_of_a_disabled_agent_is_refused_for_what_it_is() {
    let config = "agents: { claude: {}, off: { model: claude-opus-5-5, enabled: false } }";
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN).file("sortie.yaml", config);
    let disabled = "agent `off` is disabled in the configuration";
    sandbox.sortie("run plan.yaml --simulate --max-cost off=1").exits(2).says(disabled);
    sandbox.sortie("forecast plan.yaml --agent claude=off").exits(2).says(disabled);
}

#[test]
fn four_fifths_of_the_budget_are_said_with_the_share_used() {
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN.replace("Task c.", "'[[sim output_tokens=90]] c'"));
    let config = "cost_control: { max_cost_per_session: 0.0033, alert_threshold: 0.0005 }";
    let sandbox = sandbox.file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --simulate");
    assert!(ran.stderr.contains("spending passed the alert threshold: "), "{}", ran.transcript());
    assert!(ran.stderr.contains("spending passed 80 % of the budget: "), "{}", ran.transcript());
}

#[test]
fn an_answer_that_was_lost_is_at_risk_and_not_called_spent() {
    let simulator = Simulator::start();
    let plan = "tasks: [{ id: a, prompt: 'A. [[sim fail=lost]]' }]";
    let config = "rate_limiting: { initial_delay: 0.01 }";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan).file("sortie.yaml", config);
    let document = sandbox.sortie("run plan.yaml --json").exits(0).json();
    let amount = |value: &serde_json::Value| value.to_string().parse::<Usd>().unwrap();
    let (known, risk) = (amount(&document["total_cost"]), amount(&document["cost"]["at_risk"]));
    let ledger = simulator.ledger();
    let [lost, whole] = &ledger[..] else { panic!("two generations, not {ledger:?}") };
    assert_eq!(known, whole.cost_picodollars);
    assert!(risk >= lost.cost_picodollars && !risk.is_zero(), "{risk:?} covers {lost:?}");
}

#[test]
fn of_eight_first_calls_at_once_with_room_for_one_exactly_one_is_sent() {
    let simulator = Simulator::start();
    let tasks: Vec<String> = (0..8).map(|n| format!("  - {{ id: t{n}, prompt: Task {n}. }}\n")).collect();
    let plan = format!("defaults: {{ max_tokens: 100 }}\ntasks:\n{}", tasks.concat());
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    // Room for one reservation of $0.00121, and not for what one call costs and another reserves.
    let ran = sandbox.sortie("run plan.yaml --max-cost 0.00125 --max-concurrent 8 --json").exits(3);
    assert_eq!(simulator.stats().generations, 1);
    assert_eq!(ran.json()["pending_tasks"], 7);
}

#[test]
fn an_agent_s_own_budget_stops_its_tasks_and_no_other_s() {
    let simulator = Simulator::start();
    let config = "
agents:
  thrifty: { provider: anthropic, model: claude-sonnet-5-5, max_cost: 0.0013 }
  other: { provider: anthropic, model: claude-sonnet-5-5 }
";
    let task = |agent: &str, n: u32| {
        format!("  - {{ id: {agent}-{n}, agent: {agent}, prompt: Task {n} of {agent}. }}\n")
    };
    let tasks: String = (0..4).flat_map(|n| [task("thrifty", n), task("other", n)]).collect();
    let plan = format!("defaults: {{ max_tokens: 100 }}\ntasks:\n{tasks}");
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan).file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --run-id one --json").exits(3);
    let done = ran.json();
    let succeeded = |agent: &str| {
        let history = done["execution_history"].as_array().unwrap();
        history.iter().filter(|id| id.as_str().unwrap().starts_with(agent)).count()
    };
    assert_eq!(succeeded("other"), 4, "{}", ran.transcript());
    assert!((1..4).contains(&succeeded("thrifty")), "{}", ran.transcript());
    let ran = ran.says("`sortie resume one --max-cost thrifty=USD` goes on with it");
    ran.says("nothing new of agent thrifty starts");
    sandbox.sortie("resume one --max-cost nobody=1").exits(2).says("the run has no agent `nobody`");
    let document = sandbox.sortie("resume one --max-cost thrifty=1 --json").exits(0).json();
    assert_eq!(document["successful_tasks"], 8);
    assert_eq!(simulator.stats().repeats, 0);
}

#[test]
fn what_can_never_fit_is_told_with_the_max_tokens_that_would() {
    let sandbox = Sandbox::new().file("plan.yaml", CHAIN);
    // $0.0005 hold 39 tokens of prompt, written to a cache at $2.50 a million, and 35.7 of answer at $10,
    // all of it a tenth more.
    let ran = sandbox.sortie("run plan.yaml --simulate --max-cost 0.0005").exits(3);
    ran.says("with max_tokens 35 task a would fit what is left");
    let own = CHAIN.replace("prompt: Task a.", "prompt: Task a., max_cost: 0.0005");
    let sandbox = Sandbox::new().file("plan.yaml", own);
    sandbox.sortie("run plan.yaml --simulate").exits(1).says("max_tokens 35 would fit");
    let fitting = CHAIN.replace("prompt: Task a.", "prompt: Task a., max_cost: 0.0005, max_tokens: 35");
    Sandbox::new().file("plan.yaml", fitting).sortie("run plan.yaml --simulate").exits(0);
}

#[test]
fn web_searches_are_charged_beside_tokens() {
    let simulator = Simulator::start();
    let plan = "tasks: [{ id: one, prompt: '[[sim web_searches=3]] Look it up.' }]";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    let document = sandbox.sortie("run plan.yaml --json").exits(0).json();
    let [entry] = simulator.ledger().try_into().unwrap();
    let cost = document["total_cost"].as_f64().unwrap();
    // Three cents, and some tokens.
    assert!((0.03..0.031).contains(&cost), "{cost}");
    assert_eq!(document["total_cost"].to_string(), entry.cost_picodollars.to_string());
}
