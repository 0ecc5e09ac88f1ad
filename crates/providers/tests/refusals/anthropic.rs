//! Messages: calls and their results, what turns and blocks are made of, and what depends on the model.

use serde_json::{Value, json};
use sortie_providers::dialect::Anthropic;

use crate::{refused, said, taken, turns};

fn user(content: Value) -> Value {
    said("user", content)
}

fn assistant(content: Value) -> Value {
    said("assistant", content)
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "9 degrees"})
}

fn refuse(more: &Value, message: &str) {
    refused(&Anthropic, more, ("", ""), message);
}

fn take(said: &Value) {
    taken(&Anthropic, &turns(said));
}

#[test]
fn every_call_has_its_result_in_the_next_turn_and_no_other_call_has() {
    let ask = || user(json!("Weather?"));
    let directive = json!({"role": "system", "content": [], "output_config": {"effort": "low"}});
    for said in [
        json!([ask(), assistant(json!([call("a")])), user(json!([result("a")]))]),
        json!([
            ask(),
            assistant(json!([text("Hm."), call("a"), call("b")])),
            user(json!([result("b"), result("a"), text("?")]))
        ]),
        json!([
            ask(),
            assistant(json!([call("a")])),
            assistant(json!([call("b")])),
            user(json!([result("a")])),
            user(json!([result("b")]))
        ]),
        json!([
            ask(),
            assistant(json!([call("a")])),
            directive,
            user(json!([{"type": "tool_result", "tool_use_id": "a"}]))
        ]),
        json!([
            ask(),
            assistant(json!([{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}])),
            ask()
        ]),
    ] {
        take(&said);
    }
    let check = |said: Value, message: &str| refuse(&turns(&said), message);
    let open = |turn: usize, ids: &str| {
        format!(
            "messages.{turn}: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each \
             `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    };
    check(json!([ask(), assistant(json!([call("a")]))]), &open(1, "a"));
    check(json!([ask(), assistant(json!([call("a")])), ask()]), &open(2, "a"));
    let three = assistant(json!([call("a"), call("b"), call("c")]));
    check(json!([ask(), three, user(json!([result("b")]))]), &open(2, "a, c"));
    // Anthropic's documentation of tool use: results come first.
    check(
        json!([ask(), assistant(json!([call("a")])), user(json!([text("So:"), result("a")]))]),
        &open(2, "a"),
    );
    let unexpected = |at: &str, id: &str| {
        format!(
            "messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block \
             must have a corresponding `tool_use` block in the previous message."
        )
    };
    check(json!([user(json!([result("a")]))]), &unexpected("0.content.0", "a"));
    check(
        json!([ask(), assistant(json!([call("a")])), user(json!([result("a"), result("b")]))]),
        &unexpected("2.content.1", "b"),
    );
    let one = [ask(), assistant(json!([call("a")])), user(json!([result("a")]))];
    check(
        json!([one[0], one[1], one[2], assistant(json!("Fine.")), one[2]]),
        &unexpected("4.content.0", "a"),
    );
    check(
        json!([one[0], one[1], user(json!([result("a"), result("a")]))]),
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: a",
    );
    let unique = "messages.1.content.1: `tool_use` ids must be unique";
    check(json!([ask(), assistant(json!([call("a"), call("a")])), one[2]]), unique);
    check(
        json!([one[0], one[1], one[2], one[1], one[2]]),
        "messages.3.content.0: `tool_use` ids must be unique",
    );
    check(
        json!([user(json!([call("a")]))]),
        "messages.0: `tool_use` blocks can only be in `assistant` messages",
    );
    let misplaced = assistant(json!([text("a"), result("a")]));
    check(json!([ask(), misplaced]), "messages.1: `tool_result` blocks can only be in `user` messages");
}

#[test]
fn only_the_last_turn_of_the_assistant_may_say_nothing() {
    let ask = || user(json!("a"));
    for said in [
        json!([ask(), assistant(json!(""))]),
        json!([ask(), assistant(json!([]))]),
        json!([user(json!("")), ask()]),
        json!([
            ask(),
            assistant(json!([call("a")])),
            user(json!([{"type": "tool_result", "tool_use_id": "a", "content": ""}]))
        ]),
        json!([user(json!([{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]))]),
    ] {
        take(&said);
    }
    let check = |said: Value, message: &str| refuse(&turns(&said), message);
    check(json!([user(json!(""))]), "messages.0: user messages must have non-empty content");
    check(
        json!([ask(), assistant(json!("b")), user(json!([]))]),
        "messages.2: user messages must have non-empty content",
    );
    check(
        json!([ask(), assistant(json!("")), ask()]),
        "messages.1: all messages must have non-empty content except for the optional final assistant message",
    );
    let empty = "messages: text content blocks must be non-empty";
    check(json!([user(json!([text("a"), text("")]))]), empty);
    check(json!([ask(), assistant(json!([text("")]))]), empty);
    let nested = json!([{"type": "tool_result", "tool_use_id": "a", "content": [text("")]}]);
    check(json!([ask(), assistant(json!([call("a")])), user(nested)]), empty);
    let blank = "messages: text content blocks must contain non-whitespace text";
    check(json!([user(json!(" \n"))]), blank);
    check(json!([ask(), assistant(json!([text("\n\n"), call("a")])), user(json!([result("a")]))]), blank);
    refuse(&json!({"system": [text("")]}), "system: text content blocks must be non-empty");
    refuse(&json!({"system": " "}), "system: text content blocks must contain non-whitespace text");
    let trailing = "messages: final assistant content cannot end with trailing whitespace";
    for prefill in [json!("{ "), json!([text("a"), text("b\n")]), json!(" ")] {
        check(json!([ask(), assistant(prefill)]), trailing);
    }
    take(&json!([ask(), assistant(json!("b ")), ask()]));
}

#[test]
fn turns_and_blocks_have_no_fields_but_their_own() {
    let check = |turn: Value, message: &str| refuse(&turns(&json!([turn])), message);
    check(
        json!({"role": "user", "content": "a", "name": "n"}),
        "messages.0.name: Extra inputs are not permitted",
    );
    check(json!({"role": "user", "content": "a", "clear_at": "never"}), "messages.0.clear_at: Extra inputs");
    check(json!({"role": "user"}), "messages.0.content: Field required");
    check(json!({"role": "user", "content": 3}), "messages.0.content: Input should be a valid array");
    let block =
        |block: Value, message: &str| check(user(json!([block])), &format!("messages.0.content.0{message}"));
    block(json!("a"), ": Input should be an object");
    block(json!({"text": "a"}), ".type: Field required");
    block(
        json!({"type": "txt"}),
        ": Input tag 'txt' found using 'type' does not match any of the expected tags",
    );
    block(json!({"type": "text"}), ".text.text: Field required");
    block(json!({"type": "text", "text": "a", "id": 1}), ".text.id: Extra inputs are not permitted");
    block(json!({"type": "tool_result", "content": "a"}), ".tool_result.tool_use_id: Field required");
    block(json!({"type": "image"}), ".image.source: Field required");
    let nested = |inner: Value| json!({"type": "tool_result", "tool_use_id": "a", "content": [inner]});
    block(
        nested(json!({"type": "text", "text": "a", "id": 1})),
        ".tool_result.content.0.text.id: Extra inputs",
    );
    block(nested(call("a")), ".tool_result.content.0: Input tag 'tool_use' found");
    let marked =
        json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "scope": "global"}});
    check(user(json!([marked])), "cache_control.ephemeral.scope: Extra inputs are not permitted");
    let system = |block: Value, message: &str| refuse(&json!({"system": [block]}), message);
    system(json!({"type": "text", "text": "a", "id": 1}), "system.0.id: Extra inputs are not permitted");
    system(json!({"type": "image"}), "system.0: Input tag 'image' found");
    // What replies have, and what few requests have.
    take(&json!([
        user(
            json!([{"type": "text", "text": "a", "citations": null, "cache_control": {"type": "ephemeral"}}])
        ),
        assistant(json!([
            {"type": "thinking", "thinking": "", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "fallback", "from": {"model": "m"}, "to": {"model": "m"}},
            {"type": "tool_use", "id": "a", "name": "f", "input": {}, "caller": {"type": "direct"}},
        ])),
        user(json!([nested(json!({"type": "tool_reference", "tool_name": "f"}))])),
    ]));
}

#[test]
fn images_and_documents_are_what_they_say() {
    let check = |kind: &str, source: Value, message: &str| {
        let more = turns(&json!([user(json!([{"type": kind, "source": source}]))]));
        match message {
            "" => taken(&Anthropic, &more),
            message => refuse(&more, &format!("messages.0.content.0.{kind}.source{message}")),
        }
    };
    let base64 = |media: &str, data: &str| json!({"type": "base64", "media_type": media, "data": data});
    check("image", base64("image/png", "iVBORw0KGgo="), "");
    check("document", base64("application/pdf", "JVBERi0x"), "");
    check("document", json!({"type": "text", "media_type": "text/plain", "data": "a"}), "");
    check("image", json!({"type": "url", "url": "https://example.org/a.png"}), "");
    for wrong in ["iVBORw0KGgo", "https://example.org/a.png", "data:image/png;base64,iVBO"] {
        check("image", base64("image/png", wrong), ".base64: invalid base64 data");
        check("document", base64("application/pdf", wrong), ".base64: invalid base64 data");
    }
    check("image", base64("image/png", ""), ".base64: image cannot be empty");
    check("document", base64("application/pdf", ""), ".base64: PDF cannot be empty");
    let media = ".base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'";
    check("image", base64("image/tiff", "SUkq"), media);
    check("document", base64("text/plain", "YQ=="), ".base64.media_type: Input should be 'application/pdf'");
    check("image", json!({"type": "path"}), ": Input tag 'path' found");
    check("image", json!({}), ".type: Field required");
    check(
        "image",
        json!({"type": "url", "url": "u", "data": "d"}),
        ".url.data: Extra inputs are not permitted",
    );
}

#[test]
fn the_system_speaks_between_others_and_may_only_say_how() {
    let system = |content: Value| json!({"role": "system", "content": content});
    let (ask, answer) = (user(json!("a")), assistant(json!("b")));
    let cleared = json!({"role": "system", "content": "Brief.", "clear_at": "next_user_message"});
    let effort =
        |content: Value| json!({"role": "system", "content": content, "output_config": {"effort": "low"}});
    let bare = json!({"role": "system", "output_config": {"effort": "low"}});
    let searched = assistant(json!([{"type": "web_search_tool_result", "tool_use_id": "s", "content": []}]));
    for said in [
        json!([ask, system(json!("Brief."))]),
        json!([ask, system(json!([text("Brief.")])), cleared, answer, ask]),
        json!([effort(json!([])), ask, effort(json!("Brief.")), answer, bare, ask]),
        json!([
            ask,
            system(json!([{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "f"}}]))
        ]),
        json!([ask, searched, system(json!("Brief."))]),
    ] {
        take(&said);
    }
    let check = |said: Value, message: &str| refuse(&turns(&said), message);
    check(
        json!([system(json!("Brief.")), ask]),
        "messages.0: use the top-level 'system' parameter for the initial",
    );
    check(
        json!([ask, system(json!("Brief.")), ask]),
        "messages.1: role 'system' must precede an 'assistant' message",
    );
    check(
        json!([ask, answer, system(json!("Brief."))]),
        "messages.2: role 'system' must follow a 'user' message",
    );
    check(json!([ask, system(json!([]))]), "messages.1: system content must contain at least one block");
    check(json!([ask, {"role": "system"}]), "messages.1.content: Field required");
    check(json!([ask, {"role": "system", "output_config": {}}]), "messages.1.content: Field required");
    check(
        json!([ask, system(json!([call("a")]))]),
        "messages.1: role 'system' supports text, tool_addition, and",
    );
    check(
        json!([ask, system(json!(" "))]),
        "messages.1: system text blocks must contain non-whitespace text",
    );
    check(
        json!([ask, {"role": "system", "content": "a", "clear_at": "now"}]),
        "messages.1.clear_at: Input should be",
    );
    let most = json!({"role": "system", "content": [], "output_config": {"effort": "most"}});
    check(json!([ask, most]), "messages.1.output_config.effort: Input should be");
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
    let easy = "\"thinking.type.disabled\" is not supported with \"output_config.effort\"";
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
