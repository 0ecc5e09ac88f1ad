//! An account that cannot serve costs no task that another can do, and the books stay exact.

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::plan::written::TaskFile;
use sortie_core::run::event::{Event, Outcome};
use sortie_report::results::TaskResult;
use sortie_report::summary::Summary;

use super::draw::header;
use super::world::{Hardship, Lived, live};

const AGENTS: &str = "
agents:
  sonnet: { model: claude-sonnet-5-5, system: Answer in one word., fallback: chat }
  chat: { model: gpt-6.1-sol, system: Answer in two words. }
  haiku: { model: claude-haiku-5-5 }
rate_limiting: { max_concurrent: 8, initial_delay: 0.5 }
";

/// Half of the tasks insert the answer of the one before.
fn tasks(count: usize) -> Vec<TaskFile> {
    let task = |index: usize| {
        let on = (index % 2 == 1).then(|| format!("t{}", index - 1));
        let prompt =
            on.as_ref().map_or_else(|| format!("Task {index}."), |on| format!("Use {{{{ results.{on} }}}}."));
        TaskFile {
            id: format!("t{index}"),
            prompt,
            agent: Some("sonnet".to_owned()),
            depends_on: on.map(|on| vec![on.into()]),
            max_tokens: Some(300),
            ..TaskFile::default()
        }
    };
    (0..count).map(task).collect()
}

async fn lived(tasks: Vec<TaskFile>, faults: &str, crashes: u64) -> (Lived, Summary) {
    let calm = include_str!("../../../sim/scenarios/calm.yaml");
    let header = header(AGENTS, tasks, &format!("{calm}\nfaults: [{faults}]\n"), 1);
    let chance = &mut Chance::new(1, &Hash::of(b"fallback"), "life");
    let lived = live(header, Hardship { crashes, ..Hardship::default() }, chance).await.unwrap();
    let summary = lived.fold.report(lived.fold.last_time()).summary;
    assert!(lived.billed <= summary.total_cost + summary.cost.at_risk);
    (lived, summary)
}

#[tokio::test]
async fn without_credit_at_one_provider_everything_succeeds_at_the_other() {
    let (lived, summary) = lived(tasks(60), "{ kind: no-credit, share: 1, provider: anthropic }", 0).await;
    assert_eq!((lived.outcome, summary.success, summary.rerouted_tasks), (Outcome::Completed, true, 60));
    let [chat, sonnet] = ["chat", "sonnet"].map(|name| summary.cost.by_agent[name]);
    assert_eq!((sonnet.cost, chat.cost, summary.total_cost), (Usd::ZERO, lived.billed, lived.billed));
    assert!(!lived.billed.is_zero() && chat.calls == 60 && sonnet.calls <= 8, "{sonnet:?}");
    let result = TaskResult::of(&lived.fold, TaskId(1), None).unwrap();
    assert_eq!((result.agent.as_str(), result.model.as_str()), ("chat", "gpt-6.1-sol"));
}

#[tokio::test]
async fn through_an_outage_and_crashes_each_call_is_billed_to_who_answered_it() {
    let faults = "{ kind: 529, share: 1, from_s: 1, until_s: 60, provider: anthropic }";
    let (lived, summary) = lived(tasks(2_000), faults, 60).await;
    assert_eq!((lived.outcome.clone(), summary.success), (Outcome::Completed, true));
    assert!(lived.crashes > 0 && summary.rerouted_tasks > 50, "{}", summary.rerouted_tasks);
    let mut billed = [Usd::ZERO; 3];
    for record in &lived.records {
        if let Event::AttemptSucceeded { attempt, spent, .. } = &record.event {
            assert_eq!(spent.charge.actual, lived.bill(*attempt));
            billed[lived.fold.run().plan.asked(*attempt).index()] += spent.charge.actual;
        }
    }
    let known = ["sonnet", "chat"].map(|name| summary.cost.by_agent[name].cost);
    assert_eq!([billed[0], billed[1]], known);
    assert!(known.iter().all(|cost| !cost.is_zero()), "{known:?}: it came back");
}

/// RELIABILITY.md R3, with the timeout that a run has where nobody states one.
#[tokio::test]
async fn ten_minutes_in_which_everything_fails_end_no_run() {
    for kind in ["529", "stall"] {
        let faults = format!("{{ kind: {kind}, share: 1, from_s: 1, until_s: 602 }}");
        let (lived, summary) = lived(tasks(40), &faults, 0).await;
        assert_eq!((lived.outcome, summary.success), (Outcome::Completed, true), "{kind}");
    }
}
