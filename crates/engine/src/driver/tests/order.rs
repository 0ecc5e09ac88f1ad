//! What has to be durable before what.

use std::collections::{HashMap, HashSet};

use sortie_core::run::event::{Event, Outcome};

use super::world::{CHAIN, DIAMOND, Seen, Written, header, prompts_of, results, run, side_by_side};
use crate::driver::Ended;

async fn check_order(written: Written<'_>) {
    let (ended, store) = run(written).await;
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let plan = header(written).plan;
    let (mut may_start, mut done) = (HashSet::new(), HashMap::new());
    let mut last_append = None;
    for seen in store.witness.saw() {
        match &seen {
            Seen::Appended(records, outputs) => {
                for record in records {
                    match &record.event {
                        Event::AttemptStarted { attempt, .. } => {
                            may_start.insert(*attempt);
                        }
                        Event::AttemptSucceeded { attempt, answer, .. } => {
                            let texts = outputs.iter().filter(|(hash, _)| *hash == answer.output);
                            assert_eq!(texts.count(), 1, "the output belongs into the record's append");
                            done.insert(attempt.task, answer.output);
                        }
                        _ => {}
                    }
                }
                last_append = Some((records.clone(), outputs.clone()));
            }
            Seen::Started(call) => {
                assert!(may_start.remove(&call.attempt), "{:?} started before it was durable", call.attempt);
                for on in plan.task(call.attempt.task).depends_on.iter().map(|on| on.task) {
                    assert!(done.contains_key(&on), "{:?} started before {on:?} was durable", call.attempt);
                }
            }
            Seen::Shown(records, outputs) => {
                let durable = last_append.take();
                assert_eq!(durable, Some((records.clone(), outputs.clone())), "shown is what is durable");
            }
            Seen::AppendFailed | Seen::Abandoned(_) => panic!("{seen:?}"),
            Seen::AbandonedAll => {}
        }
    }
    assert!(may_start.is_empty(), "remembered and never started: {may_start:?}");
    assert!(last_append.is_none(), "durable and never shown");
}

#[tokio::test]
async fn nothing_starts_and_nothing_is_shown_before_it_is_durable() {
    for written in [DIAMOND, CHAIN, &side_by_side(20)] {
        check_order(written).await;
    }
}

#[tokio::test]
async fn a_run_brings_home_what_the_world_answers() {
    let (ended, store) = run(DIAMOND).await;
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let answers = ["task 0's answer", "task 1's answer", "task 2's answer", "task 3's answer"];
    let rest = ["Failed", "Skipped", "Skipped", "Skipped"];
    assert_eq!(results(&store).await, [answers, rest].concat());
    let attempts = store.witness.started().into_iter().filter(|attempt| attempt.task.0 == 1).count();
    assert_eq!(attempts, 3, "the world failed it twice");
}

#[tokio::test]
async fn answers_that_come_together_are_made_durable_together() {
    let written = vec![("one of many", "answer together", &[] as &[u32]); 64];
    let (_, store) = run(&written).await;
    assert_eq!(store.witness.started().len(), 64);
    assert_eq!(store.witness.appends(), 2, "one for all starts, one for all answers and the end");
}

#[tokio::test]
async fn a_prompt_holds_the_results_that_it_names() {
    for written in [DIAMOND, CHAIN] {
        let (_, store) = run(written).await;
        let results = results(&store).await;
        assert_eq!(store.witness.prompts(), prompts_of(&store.witness, written, &results));
    }
    let (_, store) = run(DIAMOND).await;
    let prompts = store.witness.prompts();
    assert!(prompts.contains(&"bottom: answer; task 1's answer; task 2's answer".to_owned()), "{prompts:?}");
}
