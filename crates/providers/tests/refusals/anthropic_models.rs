//! Messages: what depends on the model.

use serde_json::{Value, json};
use sortie_providers::dialect::Anthropic;

use crate::{refused, taken};

fn refuse(more: &Value, message: &str) {
    refused(&Anthropic, more, ("", ""), message);
}

/// A row: models that take it, models that do not, and in which words.
fn check_models(more: &Value, takers: &[&str], others: &[&str], message: &str) {
    let of = |model: &str| {
        let mut more = more.clone();
        more["model"] = json!(model);
        more
    };
    // Of a model whose name tells nothing, nothing is refused.
    for model in takers.iter().chain(&["some-model"]) {
        taken(&Anthropic, &of(model));
    }
    for model in others {
        refuse(&of(model), message);
    }
}

#[test]
fn models_take_what_their_generation_has() {
    let effort = json!({"output_config": {"effort": "low"}});
    let with_effort = ["claude-opus-4-5", "claude-sonnet-4-6", "claude-haiku-5-5", "claude-fable-5"];
    let without =
        ["claude-haiku-4-5", "claude-sonnet-4-5-20250929", "claude-opus-4-1", "claude-3-5-haiku-20241022"];
    check_models(&effort, &with_effort, &without, "This model does not support the effort parameter.");

    let level = |level: &str| json!({"output_config": {"effort": level}});
    let unmade = |level: &str, levels: &str| {
        format!("This model does not support effort level '{level}'. Supported levels: {levels}.")
    };
    let all = ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5", "claude-fable-5"];
    let no_xhigh = ["claude-opus-4-6", "claude-sonnet-4-6"];
    check_models(&level("xhigh"), &all, &no_xhigh, &unmade("xhigh", "high, low, max, medium"));
    check_models(&level("xhigh"), &[], &["claude-opus-4-5"], &unmade("xhigh", "high, low, medium"));
    check_models(&level("max"), &no_xhigh, &["claude-opus-4-5"], &unmade("max", "high, low, medium"));

    let thinking = |thinking: Value| json!({"thinking": thinking});
    let (early, late) = (["claude-haiku-4-5", "claude-opus-4-5"], ["claude-opus-4-7", "claude-sonnet-5-5"]);
    let adaptive = thinking(json!({"type": "adaptive"}));
    check_models(&adaptive, &late, &early, "adaptive thinking is not supported on this model");
    let enabled = thinking(json!({"type": "enabled", "budget_tokens": 1024}));
    let message = |kind: &str| {
        format!(
            "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior."
        )
    };
    check_models(&enabled, &early, &late, &message("enabled"));
    check_models(&enabled, &["claude-sonnet-4-6"], &["claude-haiku-5-5"], &message("enabled"));
    let disabled = thinking(json!({"type": "disabled"}));
    let always = ["claude-opus-5-5", "claude-fable-5", "claude-mythos-5-1"];
    let at_will = ["claude-opus-5", "claude-sonnet-5", "claude-haiku-5-5", "claude-haiku-4-5"];
    check_models(&disabled, &at_will, &always, &message("disabled"));
    let between = "To turn thinking off on this model, send \"thinking\": {\"type\": \"between_tools\"} instead of \
                   {\"type\": \"disabled\"}.";
    check_models(&disabled, &[], &["claude-sonnet-5-5"], between);
    check_models(
        &thinking(json!({"type": "between_tools"})),
        &["claude-sonnet-5-5"],
        &["claude-opus-5-5", "claude-sonnet-5"],
        "\"thinking.type.between_tools\" is not supported for this model.",
    );
    let mut hard = disabled;
    hard["output_config"] = json!({"effort": "xhigh"});
    let easy = "output_config.effort 'xhigh' is not supported when thinking is disabled on this model. Use effort \
                'high' or below, or enable thinking.";
    check_models(
        &hard,
        &["claude-sonnet-5", "claude-opus-4-8"],
        &["claude-opus-5", "claude-haiku-5-5"],
        easy,
    );
}

#[test]
fn models_are_sampled_and_placed_and_forced_as_their_generation_is() {
    let both = json!({"temperature": 1, "top_p": 1});
    check_models(
        &both,
        &["claude-sonnet-4-20250514", "claude-3-opus-20240229", "claude-opus-4-7"],
        &["claude-opus-4-1", "claude-haiku-4-5", "claude-sonnet-4-6"],
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
    );
    for place in ["us", "global"] {
        let placed = ["claude-sonnet-4-6", "claude-opus-5"];
        let message = "inference_geo: not supported for this model";
        check_models(
            &json!({"inference_geo": place}),
            &placed,
            &["claude-haiku-4-5", "claude-opus-4-5"],
            message,
        );
    }
    refuse(&json!({"inference_geo": "eu"}), "inference_geo: must be one of ['global', 'us']");
    refuse(&json!({"inference_geo": 1}), "inference_geo: Input should be a valid string");
    let tool = json!({"name": "f", "input_schema": {"type": "object"}});
    let free = ["claude-opus-5", "claude-sonnet-5", "claude-fable-5", "claude-haiku-5-5"];
    let unforced = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1"];
    for choice in [json!({"type": "any"}), json!({"type": "tool", "name": "f"})] {
        let message = "tool_choice: type \"tool\" and \"any\" are not supported for this model.";
        check_models(&json!({"tools": [tool], "tool_choice": choice}), &free, &unforced, message);
    }
}
