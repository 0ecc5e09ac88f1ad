use serde_json::{Value, json};

use super::*;
use crate::testing::{self, Story};

fn lines(story: &Story) -> Vec<Value> {
    let texts =
        |hash: &Hash| (0..5).map(|n| format!("answer {n}")).find(|text| Hash::of(text.as_bytes()) == *hash);
    let fold = story.fold();
    let texts = |hash: &Hash| texts(hash).map(Arc::from);
    let text: Vec<u8> = jsonl(&fold, &texts).flat_map(Result::unwrap).collect();
    String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_result_has_the_names_of_the_design_in_their_order() {
    let story = testing::retried();
    let fold = story.fold();
    let line = jsonl(&fold, &|_| Some(Arc::from("two\nlines"))).next().unwrap().unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        concat!(
            r#"{"task_id":"analyze","task_type":"analysis","agent":"claude","model":"claude-sonnet-4-5-20250929","#,
            r#""success":true,"status":"succeeded","result":"two\nlines","error":null,"cached":false,"cached_from":null,"attempts":2,"queued_s":0.0,"#,
            r#""latency_s":2.0,"ttft_s":0.4,"input_tokens":100,"cached_input_tokens":20,"output_tokens":200,"#,
            r#""cost_usd":0.0046,"actual_usd":0.0046,"estimated_usd":0.0,"at_risk_usd":0.0,"price_known":true,"#,
            r#""finish_reason":"stop","started_at":"2025-11-14T09:30:00.000000Z","#,
            r#""finished_at":"2025-11-14T09:30:03.300000Z"}"#,
            "\n"
        )
    );
}

#[test]
fn a_result_names_who_did_it() {
    let line = &lines(&testing::rerouted())[0];
    assert_eq!((&line["agent"], &line["model"]), (&json!("gpt"), &json!("gpt-6.1-sol")));
}

#[test]
fn failed_skipped_and_pending_tasks_say_why() {
    let failure = lines(&testing::failure());
    assert_eq!(
        failure[3]["error"],
        json!({"class": "invalid", "message": testing::invalid().message, "http_status": 400})
    );
    assert_eq!((&failure[3]["status"], &failure[3]["result"]), (&json!("failed"), &Value::Null));
    assert_eq!(
        failure[4]["error"],
        json!({"class": "skipped", "message": "it depends on impl_b, which failed", "http_status": null})
    );
    assert_eq!((&failure[4]["latency_s"], &failure[4]["cost_usd"]), (&Value::Null, &json!(0.0)));
    let mut crashed = testing::resumed();
    crashed.records.truncate(7);
    assert_eq!(lines(&crashed)[3]["status"], "pending", "in flight when the process died");
    let stopped = lines(&testing::budget_stop());
    assert_eq!((&stopped[4]["status"], &stopped[4]["error"]), (&json!("pending"), &Value::Null));
}

#[test]
fn every_answer_is_its_own_and_the_costs_add_up() {
    let lines = lines(&testing::resumed());
    let results: Vec<&str> = lines.iter().map(|line| line["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["answer 0", "answer 1", "answer 2", "answer 3", "answer 4"]);
    let total: Usd =
        lines.iter().map(|line| Usd::from_f64(line["cost_usd"].as_f64().unwrap()).unwrap()).sum();
    assert_eq!(total, testing::usd("0.023"));
}

#[test]
fn the_document_is_the_summary_with_the_results_by_id() {
    let story = testing::failure();
    let fold = story.fold();
    let report = fold.report(fold.last_time());
    let document = serde_json::to_value(Document::new(&report, &|_| Some(Arc::from("text")))).unwrap();
    let mut summary = serde_json::to_value(&report.summary).unwrap();
    for id in ["analyze", "design", "impl_a", "impl_b", "test"] {
        let result = &document["task_results"][id];
        assert_eq!(result["task_id"], id);
        assert_eq!(result["success"].as_bool().unwrap(), result["result"] == "text");
    }
    summary["task_results"] = document["task_results"].clone();
    assert_eq!(document, summary);
}
