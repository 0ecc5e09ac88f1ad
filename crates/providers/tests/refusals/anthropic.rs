//! Messages: calls and their results, and what turns and blocks are made of.

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

/// A call of one of the provider's tools, and its result.
fn search(id: &str) -> Value {
    json!({"type": "server_tool_use", "id": format!("srvtoolu_{id}"), "name": "web_search", "input": {}})
}

fn found(id: &str) -> Value {
    json!({"type": "web_search_tool_result", "tool_use_id": format!("srvtoolu_{id}"), "content": []})
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
fn the_provider_s_own_calls_have_their_results_before_the_user_says_more() {
    let ask = || user(json!("Weather?"));
    let mut by_code = search("c");
    by_code["caller"] = json!({"type": "code_execution_20260120", "tool_id": "srvtoolu_d"});
    for said in [
        // What paused goes on, be it after what the client's own tools gave.
        json!([ask(), assistant(json!([search("s")]))]),
        json!([ask(), assistant(json!([search("s"), found("s"), text("So:")])), ask()]),
        json!([ask(), assistant(json!([search("s")])), assistant(json!([found("s"), text("So:")])), ask()]),
        json!([ask(), assistant(json!([search("s"), call("a")])), user(json!([result("a")]))]),
        json!([
            ask(),
            assistant(json!([search("s"), call("a")])),
            user(json!([result("a")])),
            assistant(json!([found("s")])),
            ask()
        ]),
        json!([ask(), assistant(json!([by_code])), ask()]),
    ] {
        take(&said);
    }
    let check = |said: Value, message: &str| refuse(&turns(&said), message);
    let open = "messages.1: `web_search` tool use with id `srvtoolu_s` was found without a corresponding \
                `web_search_tool_result` block";
    check(json!([ask(), assistant(json!([search("s")])), ask()]), open);
    check(
        json!([ask(), assistant(json!([search("s"), call("a")])), user(json!([result("a"), text("And?")]))]),
        open,
    );
    let mut tools = search("s");
    tools["name"] = json!("tool_search_tool_bm25");
    check(
        json!([ask(), assistant(json!([tools])), ask()]),
        "messages.1: `tool_search_tool_bm25` tool use with id `srvtoolu_s` was found without a corresponding \
         `tool_search_tool_result` block",
    );
    let unexpected = "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: \
                      srvtoolu_s. Each `web_search_tool_result` block must have a corresponding `server_tool_use` \
                      block before it.";
    check(json!([ask(), assistant(json!([found("s")])), ask()]), unexpected);
    check(json!([ask(), assistant(json!([found("s"), search("s")]))]), unexpected);
}

#[test]
fn blocks_hold_what_their_fields_are_of() {
    let check = |said: Value, message: &str| refuse(&turns(&said), message);
    let by_user = |block: Value, message: &str| {
        check(json!([user(json!([block]))]), &format!("messages.0.content.0.{message}"));
    };
    let string = "Input should be a valid string";
    for wrong in [json!(1), json!({"text": "a"}), json!(null)] {
        by_user(json!({"type": "text", "text": wrong}), &format!("text.text: {string}"));
    }
    by_user(
        json!({"type": "text", "text": "a", "citations": {}}),
        "text.citations: Input should be a valid array",
    );
    let document = |field: &str, value: Value| {
        let mut block = json!({"type": "document", "source": {"type": "file", "file_id": "file_1"}});
        block[field] = value;
        block
    };
    by_user(document("title", json!(1)), &format!("document.title: {string}"));
    by_user(document("citations", json!([])), "document.citations: Input should be an object");
    by_user(
        json!({"type": "image", "source": {"type": "url", "url": 1}}),
        &format!("image.source.url.url: {string}"),
    );
    by_user(json!({"type": "image", "source": "a"}), "image.source: Input should be an object");
    let mut given = result("a");
    given["is_error"] = json!("no");
    by_user(given, "tool_result.is_error: Input should be a valid boolean");
    let mut given = result("a");
    given["content"] = json!(9);
    by_user(given, "tool_result.content: Input should be a valid array");
    let by_assistant = |block: Value, message: &str| {
        check(
            json!([user(json!("a")), assistant(json!([block]))]),
            &format!("messages.1.content.0.{message}"),
        );
    };
    let with = |mut block: Value, field: &str, value: Value| {
        block[field] = value;
        block
    };
    for wrong in [json!("{}"), json!([]), json!(null)] {
        by_assistant(with(call("a"), "input", wrong), "tool_use.input: Input should be an object");
    }
    let pattern = "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'";
    for wrong in ["a.b", "", "call|fc"] {
        by_assistant(call(wrong), pattern);
    }
    by_assistant(
        with(search("s"), "id", json!("toolu_s")),
        "server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'",
    );
    by_assistant(
        json!({"type": "thinking", "thinking": "a", "signature": 1}),
        &format!("thinking.signature: {string}"),
    );
    // What is not told is told as `null` as well.
    take(&json!([user(json!([document("title", json!(null)), document("context", json!("c"))]))]));
    take(&json!([user(json!("a")), assistant(json!([call("a-B_9")])), user(json!([result("a-B_9")]))]));
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
    check(json!("a"), "messages.0: Input should be an object");
    check(json!({"content": "a"}), "messages.0.role: Field required");
    check(
        json!({"role": "tool", "content": "a"}),
        "messages: Unexpected role \"tool\". Allowed roles are \"user\" or \"assistant\"",
    );
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
    let searched = assistant(json!([search("s"), found("s")]));
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
