use super::testing::{all, hostile};
use super::*;

#[test]
fn a_trial_reads_back_as_it_was_written() {
    for (name, trial) in all().into_iter().chain([("hostile", hostile())]) {
        let json = serde_json::to_string(&trial).unwrap();
        let back: Trial = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(back, trial, "{name}");
    }
}

#[test]
fn a_trials_success_is_its_verdict_and_stands_beside_the_summarys_fields() {
    for (name, trial) in all() {
        let json = serde_json::to_value(&trial).unwrap();
        assert_eq!(json["success"], json["verdict"] == "pass", "{name}");
        for key in ["run_id", "total_cost", "metrics", "test_type", "phase", "forecast", "criteria"] {
            assert!(json.get(key).is_some(), "{name}: {key}");
        }
    }
}

#[test]
fn a_trial_of_before_failures_were_kept_can_be_read() {
    let mut json = serde_json::to_value(testing::single()).unwrap();
    json.as_object_mut().unwrap().remove("failures");
    assert_eq!(serde_json::from_value::<Trial>(json).unwrap(), testing::single());
}
