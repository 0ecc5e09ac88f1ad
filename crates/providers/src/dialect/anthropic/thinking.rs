//! The server's half: what the API refuses of how a model is to think, and of what does not go with it. From
//! Anthropic's documentation of thinking; the words are those of recorded replies, where there are any.

use serde_json::Value;

use super::super::WireError;
use super::kinds::{Kind, check_fields, kind};
use super::models::Model;
use super::reading::{invalid, thinking as budget};
use super::turns::{Placed, Run, is_paused, spoken};

/// Ways to think (the official SDKs' `types/thinking_config_*_param.py` and the beta's).
const WAYS: [Kind; 4] = [
    kind("adaptive", &[], &["block_binding", "display"]),
    kind("between_tools", &[], &[]),
    kind("disabled", &[], &[]),
    kind("enabled", &["budget_tokens"], &["block_binding", "display"]),
];

/// The least that a thinking budget may be, in tokens.
const LEAST_THINKING: u32 = 1_024;

/// The least `top_p` that goes with thinking.
const LEAST_TOP_P: f64 = 0.95;

/// The highest efforts, for which some models have to think before they answer.
const THOUGHTFUL: [&str; 2] = ["xhigh", "max"];

/// Whether and how it thinks, as its model can be told.
pub(super) fn check(
    body: &Value,
    model: Model<'_>,
    max_tokens: u32,
    is_interleaved: bool,
) -> Result<(), WireError> {
    let asked = &body["thinking"];
    if let Some(kind) = WAYS.iter().find(|kind| asked["type"] == kind.name) {
        check_fields(&format!("thinking.{}", kind.name), asked, kind)?;
    }
    match asked["type"].as_str() {
        None if asked.is_null() => return Ok(()),
        Some(kind @ ("disabled" | "between_tools")) => return check_thoughtless(kind, body, model),
        Some("adaptive") if !model.takes_adaptive() => {
            return Err(invalid("adaptive thinking is not supported on this model"));
        }
        Some("adaptive") => {}
        Some("enabled") if !model.takes_budget() => return Err(unthinkable("enabled")),
        Some("enabled") => check_budget(body, max_tokens, is_interleaved)?,
        _ => return Err(invalid("thinking.type: Input should be 'adaptive', 'enabled' or 'disabled'")),
    }
    check_sampling(body)?;
    if forces_tools(body) {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    if asked["type"] != "enabled" {
        return Ok(());
    }
    let turns = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let is_prefill = |turn: &Value| turn["role"] == "assistant" && !is_paused(&turn["content"]);
    if turns.last().is_some_and(is_prefill) {
        // Anthropic's documentation of extended thinking: no response can be pre-filled with it.
        return Err(invalid("Thinking may not be enabled when the final message is the assistant's."));
    }
    // Later models go on without what they thought.
    if model.takes_adaptive() { Ok(()) } else { check_thought(turns) }
}

/// What a model that thinks may be told of how to sample.
fn check_sampling(body: &Value) -> Result<(), WireError> {
    let is_told =
        |field: &str, is_right: &dyn Fn(f64) -> bool| body[field].as_f64().is_some_and(|n| !is_right(n));
    if is_told("temperature", &|t| (t - 1.0).abs() <= f64::EPSILON) {
        return Err(invalid(
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
        ));
    }
    if is_told("top_p", &|p| p >= LEAST_TOP_P) {
        return Err(invalid(format!(
            "`top_p` must be greater than or equal to {LEAST_TOP_P} or unset when thinking is enabled or in \
             adaptive mode."
        )));
    }
    if !body["top_k"].is_null() {
        return Err(invalid("`top_k` must be unset when thinking is enabled or in adaptive mode."));
    }
    Ok(())
}

/// A turn that goes on from what tools gave began with what was thought.
fn check_thought(turns: &[Value]) -> Result<(), WireError> {
    let is_result = |(.., block): &Placed<'_>| block["type"] == "tool_result";
    let runs: Vec<Run<'_>> = spoken(turns).collect();
    let asked = runs.iter().rposition(|run| run.is_of("user") && !run.blocks().iter().any(is_result));
    let answers = asked.map_or(0, |asked| asked + 1);
    let Some(run) = runs.get(answers).filter(|run| run.is_of("assistant")) else { return Ok(()) };
    let first = run.turns[0]["content"].as_array().map_or("text", |blocks| {
        blocks.first().and_then(|block| block["type"].as_str()).unwrap_or("thinking")
    });
    if matches!(first, "thinking" | "redacted_thinking") {
        return Ok(());
    }
    Err(invalid(format!(
        "messages.{}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` \
         is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of \
         `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To \
         avoid this requirement, disable `thinking`. Please consult our documentation at \
         https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        run.first
    )))
}

/// A way to think that the model does not have.
fn unthinkable(kind: &str) -> WireError {
    invalid(format!(
        "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.adaptive\" and \
         \"output_config.effort\" to control thinking behavior."
    ))
}

/// A model that is told not to think before it answers: each has its own word for that, or none, and
/// some not at the highest efforts (which Anthropic's guides of migration say).
fn check_thoughtless(kind: &str, body: &Value, model: Model<'_>) -> Result<(), WireError> {
    let effort = body["output_config"]["effort"].as_str().unwrap_or_default();
    match kind {
        "disabled" if model.takes_between_tools() && !model.takes_disabled() => Err(invalid(
            "To turn thinking off on this model, send \"thinking\": {\"type\": \"between_tools\"} instead of \
             {\"type\": \"disabled\"}.",
        )),
        "disabled" if !model.takes_disabled() => Err(unthinkable(kind)),
        "between_tools" if !model.takes_between_tools() => {
            Err(invalid("\"thinking.type.between_tools\" is not supported for this model."))
        }
        _ if model.needs_thought_for_effort() && THOUGHTFUL.contains(&effort) => Err(invalid(format!(
            "output_config.effort '{effort}' is not supported when thinking is disabled on this model. Use effort \
             'high' or below, or enable thinking."
        ))),
        _ => Ok(()),
    }
}

fn check_budget(body: &Value, max_tokens: u32, is_interleaved: bool) -> Result<(), WireError> {
    let field = "thinking.enabled.budget_tokens";
    let budget = budget(body).ok_or_else(|| invalid(format!("{field}: Input should be a valid integer")))?;
    if budget < LEAST_THINKING {
        let rule = format!("Input should be greater than or equal to {LEAST_THINKING}");
        return Err(invalid(format!("{field}: {rule}")));
    }
    // With that beta it is the turn's, which is made of several answers.
    if budget >= max_tokens && !is_interleaved {
        return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
    }
    Ok(())
}

pub(super) fn forces_tools(body: &Value) -> bool {
    matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"))
}
