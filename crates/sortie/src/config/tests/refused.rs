//! What is refused, in a case each.

use super::{read_with, refused, warned};

#[test]
fn a_limit_of_nothing_is_refused() {
    for key in ["max_cost_per_session", "max_cost_per_task"] {
        let expect = format!(
            "sortie.yaml:1:{}: `cost_control.{key}` must be more than 0 and at most 18 million USD",
            18 + key.len()
        );
        refused(&format!("cost_control: {{{key}: 0}}"), &[&expect]);
    }
    warned("cost_control: {alert_threshold: 0}", &[]);
}

#[test]
fn a_variable_that_is_wrong_is_told_once() {
    let text = "agents: {claude: {}, other: {provider: anthropic}}";
    let problems = read_with(text, &[("ANTHROPIC_BASE_URL", "nonsense")]).unwrap_err().to_string();
    assert_eq!(problems.matches("`ANTHROPIC_BASE_URL`").count(), 1, "{problems}");
}

#[test]
fn lost_answers_are_asked_for_only_where_they_are_kept() {
    let check = |agent: &str, why: &str| {
        let column = format!("agents: {{a: {{{agent}, recover_lost: ").len() + 1;
        let expect = format!("sortie.yaml:1:{column}: agent `a` cannot `recover_lost`: {why}");
        refused(&format!("agents: {{a: {{{agent}, recover_lost: true}}}}"), &[&expect]);
        warned(&format!("agents: {{a: {{{agent}, recover_lost: false}}}}"), &[]);
    };
    check("provider: anthropic", "Anthropic keeps no answers to be asked for");
    let why = "the Responses API has no list of what it keeps; `api: chat` has";
    check("provider: openai, api: responses", why);
    warned("agents: {a: {provider: openai, api: chat, recover_lost: true}}", &[]);
    warned("agents: {a: {provider: openai, base_url: 'http://127.0.0.1:9/v1', recover_lost: true}}", &[]);
}
