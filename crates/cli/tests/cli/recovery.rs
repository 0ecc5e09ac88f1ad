//! `recover_lost`: answers that were lost with the process, and that their provider had kept.

use serde_json::Value;
use sortie::core::money::Usd;

use crate::support::{Sandbox, Simulator, until};

const KEEPS: &str = "agents: { openai: { model: gpt-4o, recover_lost: true } }";
const KEEPS_NOT: &str = "agents: { openai: { model: gpt-4o } }";

/// `b` and `c` are in flight together, long enough to be caught there.
const PLAN: &str = "
defaults: { max_tokens: 100 }
tasks:
  - { id: a, prompt: A. }
  - { id: b, depends_on: [a], prompt: 'B. {{ results.a }} [[sim latency=1]]' }
  - { id: c, depends_on: [a], prompt: 'C. {{ results.a }} [[sim latency=1]]' }
  - { id: d, depends_on: [b, c], prompt: 'D. {{ results.b }} {{ results.c }}' }
";

fn usd(amount: &Value) -> Usd {
    amount.to_string().parse().unwrap()
}

fn billed(simulator: &Simulator) -> Usd {
    simulator.stats().cost_usd_exact.parse().unwrap()
}

/// A run that is killed with two calls in flight, whose provider has answered, billed and, where it was told to,
/// kept all three.
fn killed(simulator: &Simulator, config: &str, kept: usize) -> Sandbox {
    let sandbox = Sandbox::reaching(simulator).file("plan.yaml", PLAN).file("sortie.yaml", config);
    let running = sandbox.start("run plan.yaml --run-id one --quiet");
    until("two calls are in flight", || (simulator.stats().generations == 3).then_some(()));
    running.kill();
    until("the simulator has noticed", || (simulator.stats().in_flight == 0).then_some(()));
    until("all is kept that is to be", || (simulator.completions("sk-test-o").len() == kept).then_some(()));
    sandbox
}

#[test]
fn an_answer_that_its_provider_had_kept_is_not_bought_again_and_nothing_stays_at_risk() {
    let simulator = Simulator::start();
    let sandbox = killed(&simulator, KEEPS, 3);
    let ran = sandbox.sortie("resume one --json").exits(0);
    let document = ran.says("2 of 2 lost answers found at the provider").json();
    let stats = simulator.stats();
    assert_eq!((stats.generations, stats.repeats), (4, 0), "each task was bought once");
    assert_eq!(usd(&document["total_cost"]), billed(&simulator));
    assert_eq!(usd(&document["cost"]["at_risk"]), Usd::ZERO);
    let shown = sandbox.sortie("show one --at-risk").exits(0).says("nothing is at risk");
    shown.says("2 lost calls were found at their provider");
    sandbox.sortie("show one b").exits(0).says("found at its provider");
    // What is kept is the answer itself.
    let kept = simulator.completions("sk-test-o");
    let text = |kept: &Value| kept["choices"][0]["message"]["content"].clone();
    let result = &document["task_results"]["b"]["result"];
    assert!(kept.iter().any(|kept| text(kept) == *result), "{result}");
    for by in ["model", "day", "agent"] {
        let costs = sandbox.sortie(&format!("costs --by {by} --json")).exits(0).json();
        let total = &costs["total"];
        assert_eq!((usd(&total["actual"]), usd(&total["at_risk"])), (billed(&simulator), Usd::ZERO), "{by}");
        assert_eq!((&total["calls"], costs["rows"].as_array().map(Vec::len)), (&4.into(), Some(1)), "{by}");
    }
}

#[test]
fn an_answer_that_nobody_had_kept_is_bought_again_and_stays_at_risk() {
    let simulator = Simulator::start();
    let sandbox = killed(&simulator, KEEPS_NOT, 0);
    let ran = sandbox.sortie("resume one --json").exits(0);
    assert!(!ran.stderr.contains("lost answer"), "{}", ran.transcript());
    let (document, stats) = (ran.json(), simulator.stats());
    assert_eq!(stats.generations, 6);
    let (known, at_risk) = (usd(&document["total_cost"]), usd(&document["cost"]["at_risk"]));
    assert!(known < billed(&simulator) && billed(&simulator) <= known + at_risk);
    sandbox.sortie("show one --at-risk").exits(0).says("in 2 calls");
}

#[test]
fn an_answer_that_is_found_late_puts_the_money_of_a_finished_run_right() {
    let simulator = Simulator::start();
    // Who asks with another key sees nothing of it.
    let sandbox = killed(&simulator, KEEPS, 3).with("OPENAI_API_KEY", "sk-test-another");
    let ran = sandbox.sortie("resume one --json").exits(0).says("0 of 2 lost answers found");
    let at_risk = usd(&ran.json()["cost"]["at_risk"]);
    assert!(!at_risk.is_zero() && simulator.stats().generations == 6);
    sandbox.sortie("show one --at-risk").exits(0).says("`sortie resume one` asks its provider for them");

    let sandbox = sandbox.with("OPENAI_API_KEY", "sk-test-o");
    let ran = sandbox.sortie("resume one --json").exits(0).says("2 of 2 lost answers found");
    let document = ran.json();
    assert_eq!(simulator.stats().generations, 6, "nothing is bought for that");
    assert_eq!(usd(&document["total_cost"]), billed(&simulator));
    assert_eq!(usd(&document["cost"]["at_risk"]), Usd::ZERO);
    sandbox.sortie("resume one").exits(0).says("run one is finished");
}
