//! What agents do with tools that are not their own functions, all of which the providers take.

use serde_json::json;
use sortie_providers::dialect::{Anthropic, Dialect, OpenAiChat, OpenAiResponses, Shape};

use super::{read, refused, said, taken, turns};

#[test]
fn anthropic_counts_tools_of_every_kind() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let bash = json!({"type": "bash_20250124", "name": "bash"});
    let own = json!({"name": "own", "input_schema": {"type": "object"}});
    for (tools, choice) in [
        (json!([search]), json!({"type": "auto"})),
        (json!([search]), json!({"type": "tool", "name": "web_search"})),
        (json!([bash]), json!({"type": "any"})),
        (json!([bash, own]), json!({"type": "tool", "name": "bash"})),
        (json!([{"type": "mcp_toolset", "mcp_server_name": "s"}]), json!({"type": "auto"})),
    ] {
        taken(&Anthropic, &json!({"tools": tools, "tool_choice": choice}));
    }
    let code = json!({"type": "code_execution_20250825", "name": "code_execution"});
    taken(&Anthropic, &json!({"tools": [own, code], "container": "container_1"}));
    taken(&Anthropic, &json!({"container": {"skills": []}}));
    let absent = json!({"tools": [bash], "tool_choice": {"type": "tool", "name": "own"}});
    refused(&Anthropic, &absent, ("", ""), "Tool 'own' not found in provided tools");
    let without = json!({"tool_choice": {"type": "any"}});
    refused(&Anthropic, &without, ("", ""), "tool_choice.any may only be specified while providing tools");
    refused(
        &Anthropic,
        &json!({"tool_choice": {"type": "tool", "name": "f"}}),
        ("", ""),
        "Tool 'f' not found in provided tools",
    );
}

#[test]
fn a_turn_that_paused_for_the_provider_s_own_tools_is_gone_on_from() {
    let paused = said(
        "assistant",
        json!([
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        ]),
    );
    let mut body = turns(&json!([said("user", json!("search")), paused]));
    body["model"] = json!("claude-opus-4-8");
    taken(&Anthropic, &body);
}

#[test]
fn openai_takes_choices_of_other_tools_than_functions() {
    let custom = json!({"type": "custom", "custom": {"name": "code"}});
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let allowed = json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}});
    for (tools, choice) in [
        (json!([custom]), json!("auto")),
        (json!([custom]), json!("required")),
        (json!([custom]), json!({"type": "custom", "custom": {"name": "code"}})),
        (json!([function]), allowed),
    ] {
        taken(&OpenAiChat, &json!({"tools": tools, "tool_choice": choice}));
    }
    for tool in [json!({"type": "web_search"}), json!({"type": "custom", "name": "c"})] {
        taken(&OpenAiResponses, &json!({"tools": [tool], "tool_choice": "required"}));
    }
    let without = json!({"tool_choice": "required"});
    refused(&OpenAiResponses, &without, ("tool_choice", ""), "Invalid value for 'tool_choice'");
}

#[test]
fn what_shells_give_back_has_parts_of_its_own() {
    let output = json!([{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]);
    let items = json!([
        said("user", json!("list")),
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c", "output": output},
    ]);
    taken(&OpenAiResponses, &json!({"input": items}));
}

#[test]
fn openai_calls_the_first_function_that_is_allowed() {
    let function = |name: &str| json!({"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}});
    let nested = |name: &str| {
        let mut function = function(name);
        function.as_object_mut().unwrap().remove("type");
        json!({"type": "function", "function": function})
    };
    let asked = json!({"role": "user", "content": "a"});
    let called = |dialect: &dyn Dialect, body: serde_json::Value| match read(dialect, &body).unwrap().shape {
        Shape::Tool { name, .. } => name,
        _ => String::new(),
    };
    for (mode, allowed, has_result, expected) in [
        ("required", "b", false, "b"),
        ("required", "b", true, "b"),
        ("auto", "b", false, "b"),
        ("auto", "b", true, ""),
        ("auto", "c", false, ""),
    ] {
        let result = json!({"role": "tool", "tool_call_id": "c", "content": "r"});
        let call = json!({"role": "assistant", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "b", "arguments": "{}"}}]});
        let chat = json!({
            "messages": if has_result { vec![asked.clone(), call, result] } else { vec![asked.clone()] },
            "tools": [nested("a"), nested("b")],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [
                {"type": "function", "function": {"name": allowed}}]}},
        });
        assert_eq!(called(&OpenAiChat, chat), expected, "chat {mode} {allowed} {has_result}");
        let result = json!({"type": "function_call_output", "call_id": "c", "output": "r"});
        let call = json!({"type": "function_call", "call_id": "c", "name": "b", "arguments": "{}"});
        let response = json!({
            "input": if has_result { vec![asked.clone(), call, result] } else { vec![asked.clone()] },
            "tools": [function("a"), function("b")],
            "tool_choice": {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": allowed}]},
        });
        assert_eq!(called(&OpenAiResponses, response), expected, "response {mode} {allowed} {has_result}");
    }
}
