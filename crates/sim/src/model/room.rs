//! What a model has no room for, where the price table knows its room. The messages are those that many
//! recorded replies show; clients branch on them.

use http::HeaderMap;
use sortie_core::price::{self, Row};
use sortie_providers::dialect::{Dialect, Request, WireError};

use super::is_anthropic;

/// The beta that gives the answers of Anthropic's batches more room, and how much, in tokens (its documentation
/// of batch processing).
const LONG: &str = "output-300k-2026-03-24";
const MOST_LONG: u64 = 300_000;

/// Whether these headers name the beta that gives answers of batches more room.
pub(super) fn is_long(headers: &HeaderMap) -> bool {
    let betas = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    betas.flat_map(|value| value.split(',')).any(|beta| beta.trim() == LONG)
}

/// Refuses a request whose input, or whose answer, the model cannot take. `bound` is what the request
/// itself bounds its answer by, in tokens; an answer that `is_long` may have more than the model's others.
pub(super) fn check(
    dialect: &dyn Dialect,
    request: &Request,
    (bound, is_long): (Option<u32>, bool),
    input: u64,
) -> Result<(), WireError> {
    let Some(row) = price::table().find(&request.model) else { return Ok(()) };
    let refused = if is_anthropic(dialect) {
        anthropic(dialect, row, (request, is_long), input)
    } else {
        openai(dialect, row, bound, input)
    };
    refused.map_or(Ok(()), Err)
}

fn anthropic(
    dialect: &dyn Dialect,
    row: &Row,
    (request, is_long): (&Request, bool),
    input: u64,
) -> Option<WireError> {
    let (model, asked) = (&request.model, u64::from(request.max_tokens));
    let (most, context) = (row.max_output.unwrap_or(u64::MAX), row.context.unwrap_or(u64::MAX));
    let most = if is_long { most.max(MOST_LONG) } else { most };
    let message = if asked > most {
        format!(
            "max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens for {model}"
        )
    } else if input > context {
        format!("prompt is too long: {input} tokens > {context} maximum")
    } else if input.saturating_add(asked) > context {
        format!(
            "input length and `max_tokens` exceed context limit: {input} + {asked} > {context}, decrease input \
             length or `max_tokens` and try again"
        )
    } else {
        return None;
    };
    Some(WireError { message, ..dialect.usual_error(400) })
}

fn openai(dialect: &dyn Dialect, row: &Row, bound: Option<u32>, input: u64) -> Option<WireError> {
    let (most, context) = (row.max_output.unwrap_or(u64::MAX), row.context.unwrap_or(u64::MAX));
    let (name, said, turns) = match dialect.name() {
        "openai" => ("max_tokens", "messages", "messages"),
        _ => ("max_output_tokens", "input", "input"),
    };
    let error = |code: &str, param: &str, message: String| {
        Some(WireError { message, code: Some(code.to_owned()), ..dialect.usual_error(400) }.about(param))
    };
    if input > context {
        let message = format!(
            "This model's maximum context length is {context} tokens. However, your {said} resulted in {input} \
             tokens. Please reduce the length of the {said}."
        );
        return error("context_length_exceeded", turns, message);
    }
    let asked = bound.map(u64::from).filter(|asked| *asked > most)?;
    let message = format!(
        "{name} is too large: {asked}. This model supports at most {most} completion tokens, whereas you \
         provided {asked}."
    );
    error("invalid_value", name, message)
}
