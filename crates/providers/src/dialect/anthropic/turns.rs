//! The server's half: what the API refuses of the turns of a request. Rules and words are those that
//! recorded replies show, and those of Anthropic's documentation of tool use.

use serde_json::Value;

use super::super::WireError;
use super::models::{EFFORTS, Model};
use super::reading::invalid;
use super::{blocks, calls};

/// Turns of a request, at most (Anthropic's reference of `messages`).
const MOST_TURNS: usize = 100_000;

/// What may be in front of the model for one turn only.
const CLEARED: [&str; 2] = ["next_user_message", "never"];

/// What a turn of the system may be made of.
const OF_SYSTEM: [&str; 3] = ["text", "tool_addition", "tool_removal"];

/// What is said of turns of the system in the wrong place.
const ANYWHERE: &str = "the directive-only form (content: [] with output_config) is accepted at any position";

/// Roles, contents, and what follows what; in 2026-10-21, also blocks that moved.
pub(super) fn check(turns: &[Value], model: Model<'_>, is_2026: bool) -> Result<(), WireError> {
    if turns.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    if turns.len() > MOST_TURNS {
        let found = turns.len();
        return Err(invalid(format!(
            "messages: List should have at most {MOST_TURNS} items after validation, not {found}"
        )));
    }
    for (i, turn) in turns.iter().enumerate() {
        check_turn(&format!("messages.{i}"), turn, is_2026)?;
    }
    check_system(turns)?;
    check_content(turns)?;
    calls::check(turns)?;
    check_last(turns, model)
}

/// A turn by itself.
fn check_turn(field: &str, turn: &Value, is_2026: bool) -> Result<(), WireError> {
    if !turn.is_object() {
        return Err(invalid(format!("{field}: Input should be an object")));
    }
    let role = match &turn["role"] {
        Value::String(role) => role.as_str(),
        Value::Null => return Err(invalid(format!("{field}.role: Field required"))),
        _ => return Err(invalid(format!("{field}.role: Input should be a valid string"))),
    };
    if !matches!(role, "user" | "assistant" | "system") {
        return Err(invalid(format!(
            "messages: Unexpected role \"{role}\". Allowed roles are \"user\" or \"assistant\""
        )));
    }
    let is_known = |name: &str| match name {
        "role" | "content" => true,
        "clear_at" | "output_config" => role == "system",
        _ => false,
    };
    if let Some((extra, _)) = turn.as_object().into_iter().flatten().find(|(name, _)| !is_known(name)) {
        return Err(invalid(format!("{field}.{extra}: Extra inputs are not permitted")));
    }
    word(&format!("{field}.clear_at"), &turn["clear_at"], &CLEARED)?;
    word(&format!("{field}.output_config.effort"), &turn["output_config"]["effort"], &EFFORTS)?;
    match &turn["content"] {
        Value::String(_) | Value::Array(_) => (),
        Value::Null if is_directive(turn) => (),
        Value::Null => return Err(invalid(format!("{field}.content: Field required"))),
        _ => return Err(invalid(format!("{field}.content: Input should be a valid array"))),
    }
    for block in turn["content"].as_array().into_iter().flatten().filter(|_| is_2026) {
        let has_citations = block["citations"].as_array().is_some_and(|list| !list.is_empty());
        let is_refused = (role == "assistant" && block["type"] == "document")
            || (role == "user" && block["type"] == "text" && has_citations);
        if is_refused {
            return Err(invalid(format!("{field}.content: Extra inputs are not permitted")));
        }
    }
    blocks::check(&format!("{field}.content"), &turn["content"])
}

/// A value that is one of a few words, if it is there.
pub(super) fn word(field: &str, value: &Value, words: &[&str]) -> Result<(), WireError> {
    match value {
        Value::Null => Ok(()),
        Value::String(word) if words.contains(&word.as_str()) => Ok(()),
        _ => {
            let mut choices: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            let last = choices.pop().unwrap_or_default();
            Err(invalid(format!("{field}: Input should be {} or {last}", choices.join(", "))))
        }
    }
}

/// Whether a turn of the system only says how the next ones are to be answered.
fn is_directive(turn: &Value) -> bool {
    let says = turn["output_config"].as_object().is_some_and(|config| !config.is_empty());
    turn["role"] == "system" && says && length(turn) == 0
}

/// Bytes of a content that is text, or its blocks.
fn length(turn: &Value) -> usize {
    match &turn["content"] {
        Value::String(text) => text.len(),
        Value::Array(blocks) => blocks.len(),
        _ => 0,
    }
}

/// Turns of the system stand between a user's and an assistant's, or at the end.
fn check_system(turns: &[Value]) -> Result<(), WireError> {
    let runs: Vec<Run<'_>> = runs(turns).collect();
    for (n, run) in runs.iter().enumerate().filter(|(_, run)| run.is_of("system")) {
        let before = n.checked_sub(1).and_then(|n| runs[n].turns.last());
        let after = runs.get(n + 1).and_then(|run| run.turns.first());
        for (i, turn) in run.turns.iter().enumerate().filter(|(_, turn)| !is_directive(turn)) {
            if let Some(why) = system_fault(turn, before, after) {
                return Err(invalid(format!("messages.{}: {why}", run.first + i)));
            }
        }
    }
    Ok(())
}

/// What is wrong with a turn of the system that says something, between these turns of others.
fn system_fault(turn: &Value, before: Option<&Value>, after: Option<&Value>) -> Option<String> {
    let mut blocks = turn["content"].as_array().into_iter().flatten();
    let is_other = |block: &Value| !OF_SYSTEM.iter().any(|kind| block["type"] == *kind);
    let is_after_result = |turn: &Value| {
        let last = turn["content"].as_array().and_then(|blocks| blocks.last());
        last.and_then(|block| block["type"].as_str()).is_some_and(|kind| kind.ends_with("_tool_result"))
    };
    Some(if length(turn) == 0 {
        "system content must contain at least one block".to_owned()
    } else if blocks.any(is_other) {
        "role 'system' supports text, tool_addition, and tool_removal blocks only".to_owned()
    } else if before.is_none() {
        format!("use the top-level 'system' parameter for the initial system prompt; {ANYWHERE}")
    } else if before.is_some_and(|turn| turn["role"] == "assistant" && !is_after_result(turn)) {
        format!(
            "role 'system' must follow a 'user' message or an 'assistant' message ending in a server tool \
             result; {ANYWHERE}"
        )
    } else if after.is_some_and(|turn| turn["role"] == "user") {
        format!("role 'system' must precede an 'assistant' message or end the array; {ANYWHERE}")
    } else if texts(&turn["content"]).into_iter().any(is_blank) {
        "system text blocks must contain non-whitespace text".to_owned()
    } else {
        return None;
    })
}

/// Turns of one role in a row, which the API takes as one.
pub(super) struct Run<'a> {
    /// The place of the first of them.
    pub(super) first: usize,
    pub(super) turns: &'a [Value],
}

impl<'a> Run<'a> {
    pub(super) fn is_of(&self, role: &str) -> bool {
        self.turns[0]["role"] == role
    }

    /// The blocks of them all.
    pub(super) fn blocks(&self) -> Vec<Placed<'a>> {
        let mut all = Vec::new();
        for (i, turn) in self.turns.iter().enumerate() {
            let blocks = turn["content"].as_array().into_iter().flatten().enumerate();
            all.extend(blocks.map(|(j, block)| (self.first + i, j, block)));
        }
        all
    }
}

/// A block, after the place of its turn and its own in that.
pub(super) type Placed<'a> = (usize, usize, &'a Value);

/// What is said, each in its turn.
fn runs(turns: &[Value]) -> impl Iterator<Item = Run<'_>> {
    let mut next = 0;
    turns.chunk_by(|one, other| one["role"] == other["role"]).map(move |turns| {
        let first = next;
        next += turns.len();
        Run { first, turns }
    })
}

/// What the user and the assistant say.
pub(super) fn spoken(turns: &[Value]) -> impl Iterator<Item = Run<'_>> {
    runs(turns).filter(|run| !run.is_of("system"))
}

/// Every turn but an assistant's last one says something.
fn check_content(turns: &[Value]) -> Result<(), WireError> {
    for run in spoken(turns) {
        let is_last = run.first + run.turns.len() == turns.len();
        let is_prefill = is_last && run.is_of("assistant");
        if !is_prefill && run.turns.iter().all(|turn| length(turn) == 0) {
            let why = if run.is_of("user") {
                "user messages must have non-empty content"
            } else {
                "all messages must have non-empty content except for the optional final assistant message"
            };
            return Err(invalid(format!("messages.{}: {why}", run.first)));
        }
        // How a prefill ends is another matter.
        for turn in run.turns {
            check_texts("messages", &turn["content"], is_prefill)?;
        }
    }
    Ok(())
}

/// Refuses texts that say nothing; those of tools' results may be blank.
pub(super) fn check_texts(field: &str, content: &Value, may_be_blank: bool) -> Result<(), WireError> {
    let blocks = || content.as_array().into_iter().flatten();
    let of_results = blocks().filter(|block| block["type"] == "tool_result");
    let within = of_results.filter_map(|result| result["content"].as_array()).flatten();
    if blocks().chain(within).any(|block| block["type"] == "text" && block["text"] == "") {
        return Err(invalid(format!("{field}: text content blocks must be non-empty")));
    }
    if !may_be_blank && texts(content).into_iter().any(is_blank) {
        return Err(invalid(format!("{field}: text content blocks must contain non-whitespace text")));
    }
    Ok(())
}

/// The texts of a content.
fn texts(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) => vec![text],
        content => {
            let blocks = content.as_array().into_iter().flatten();
            blocks
                .filter(|block| block["type"] == "text")
                .filter_map(|block| block["text"].as_str())
                .collect()
        }
    }
}

fn is_blank(text: &str) -> bool {
    !text.is_empty() && text.trim().is_empty()
}

/// The last turn may be the assistant's, for a model that goes on from it; then it ends with a word.
fn check_last(turns: &[Value], model: Model<'_>) -> Result<(), WireError> {
    let Some(last) = turns.last().filter(|turn| turn["role"] == "assistant") else { return Ok(()) };
    if is_paused(&last["content"]) {
        return Ok(());
    }
    if !model.takes_prefill() {
        return Err(invalid(
            "This model does not support assistant message prefill. The conversation must end with a user \
             message.",
        ));
    }
    if text_of_last(&last["content"]).is_some_and(|text| text.ends_with(char::is_whitespace)) {
        return Err(invalid("messages: final assistant content cannot end with trailing whitespace"));
    }
    Ok(())
}

/// Whether a turn ends in what the provider's own tools did: a model that paused there goes on from it
/// (Anthropic's documentation of server tools, `pause_turn`).
pub(super) fn is_paused(content: &Value) -> bool {
    let last = content.as_array().and_then(|blocks| blocks.last());
    let kind = last.and_then(|block| block["type"].as_str()).unwrap_or_default();
    kind == "server_tool_use" || kind == "mcp_tool_use" || kind.ends_with("_tool_result")
}

/// The text that a content ends with, if it does with one.
fn text_of_last(content: &Value) -> Option<&str> {
    match content {
        Value::Array(blocks) => blocks.last().filter(|block| block["type"] == "text")?["text"].as_str(),
        content => content.as_str(),
    }
}
