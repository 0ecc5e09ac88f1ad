//! The server's half: what the API refuses of calls of tools and of their results, by what follows what.
//! Rules and words are those that recorded replies show, and those of Anthropic's documentation of tool use.

use std::collections::HashSet;

use serde_json::Value;

use super::super::WireError;
use super::reading::invalid;
use super::turns::{Placed, spoken};

/// Calls and results, of the client's own tools and of the provider's.
pub(super) fn check(turns: &[Value]) -> Result<(), WireError> {
    check_own(turns)?;
    check_server(turns)
}

/// Calls of tools are the assistant's; their results are the first that the user says next.
fn check_own(turns: &[Value]) -> Result<(), WireError> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = Vec::new();
    for run in spoken(turns) {
        let blocks = run.blocks();
        if run.is_of("user") {
            check_none(&blocks, "tool_use", "assistant")?;
            check_results(&blocks, &open)?;
            let first = blocks.iter().take_while(|(.., block)| block["type"] == "tool_result");
            let answered: HashSet<_> =
                first.filter_map(|(.., block)| block["tool_use_id"].as_str()).collect();
            open.retain(|id| !answered.contains(id));
        } else {
            check_none(&blocks, "tool_result", "user")?;
        }
        check_all_answered(run.first, &open)?;
        for (turn, i, block) in blocks.iter().filter(|(.., block)| block["type"] == "tool_use") {
            let id = block["id"].as_str().unwrap_or_default();
            if !seen.insert(id) {
                return Err(invalid(format!("messages.{turn}.content.{i}: `tool_use` ids must be unique")));
            }
            open.push(id);
        }
    }
    check_all_answered(turns.len() - 1, &open)
}

/// Refuses blocks of a kind that only `others` have.
fn check_none(blocks: &[Placed<'_>], kind: &str, others: &str) -> Result<(), WireError> {
    match blocks.iter().find(|(.., block)| block["type"] == kind) {
        None => Ok(()),
        Some((turn, ..)) => {
            Err(invalid(format!("messages.{turn}: `{kind}` blocks can only be in `{others}` messages")))
        }
    }
}

/// A result is one of a call that the turn before made, and the only one.
fn check_results(blocks: &[Placed<'_>], calls: &[&str]) -> Result<(), WireError> {
    let calls: HashSet<&str> = calls.iter().copied().collect();
    let mut seen: HashSet<&str> = HashSet::new();
    for (turn, i, block) in blocks.iter().filter(|(.., block)| block["type"] == "tool_result") {
        let id = block["tool_use_id"].as_str().unwrap_or_default();
        let refuse = |why: &str| Err(invalid(format!("messages.{turn}.content.{i}: {why}")));
        if !calls.contains(id) {
            return refuse(&format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have \
                 a corresponding `tool_use` block in the previous message."
            ));
        }
        if !seen.insert(id) {
            return refuse(&format!(
                "each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
            ));
        }
    }
    Ok(())
}

/// Refuses calls that nobody has answered by this turn.
fn check_all_answered(turn: usize, open: &[&str]) -> Result<(), WireError> {
    if open.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "messages.{turn}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each \
         `tool_use` block must have a corresponding `tool_result` block in the next message.",
        open.join(", ")
    )))
}

/// A call of one of the provider's tools.
struct ServerCall<'a> {
    turn: usize,
    id: &'a str,
    name: &'a str,
}

impl ServerCall<'_> {
    /// The refusal to go on without its result.
    fn unanswered(&self) -> WireError {
        let ServerCall { turn, id, name } = self;
        // Both ways to search for tools have results of one kind.
        let of = if name.starts_with("tool_search_tool") { "tool_search" } else { name };
        invalid(format!(
            "messages.{turn}: `{name}` tool use with id `{id}` was found without a corresponding \
             `{of}_tool_result` block"
        ))
    }
}

/// Calls of the provider's tools have their results in the same turn, or in the one that goes on from what
/// the client's own tools gave: whatever else the user says ends the turn. What calls each other is left to
/// itself, and so is a turn that paused.
fn check_server(turns: &[Value]) -> Result<(), WireError> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<ServerCall<'_>> = Vec::new();
    for run in spoken(turns) {
        let blocks = run.blocks();
        if run.is_of("user") {
            let is_text = |turn: &Value| turn["content"].as_str().is_some_and(|text| !text.is_empty());
            let says_more = run.turns.iter().any(is_text)
                || blocks.iter().any(|(.., block)| block["type"] != "tool_result");
            if let Some(call) = open.first().filter(|_| says_more) {
                return Err(call.unanswered());
            }
            continue;
        }
        for (turn, i, block) in blocks {
            let id = |field: &str| block[field].as_str().unwrap_or_default();
            match block["type"].as_str().unwrap_or_default() {
                "server_tool_use" => {
                    seen.insert(id("id"));
                    if matches!(block["caller"]["type"].as_str(), None | Some("direct")) {
                        open.push(ServerCall { turn, id: id("id"), name: id("name") });
                    }
                }
                kind if kind.ends_with("_tool_result") && kind != "mcp_tool_result" => {
                    let of = id("tool_use_id");
                    if !seen.contains(of) {
                        return Err(invalid(format!(
                            "messages.{turn}.content.{i}: unexpected `tool_use_id` found in `{kind}` blocks: {of}. \
                             Each `{kind}` block must have a corresponding `server_tool_use` block before it."
                        )));
                    }
                    open.retain(|call| call.id != of);
                }
                _ => (),
            }
        }
    }
    Ok(())
}
