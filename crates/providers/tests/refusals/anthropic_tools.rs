//! Messages: what tools may be, and schemas that are fitted to the letter.

use serde_json::{Value, json};
use sortie_providers::dialect::Anthropic;

use crate::{refused, taken};

/// A tool of the client's with this schema.
fn own(schema: &Value) -> Value {
    json!({"name": "f", "input_schema": schema})
}

fn with(mut tool: Value, field: &str, value: Value) -> Value {
    tool[field] = value;
    tool
}

/// That a tool is taken, or refused in words that begin so.
fn check(tool: &Value, message: &str) {
    let more = json!({"tools": [tool]});
    match message {
        "" => taken(&Anthropic, &more),
        message => refused(&Anthropic, &more, ("", ""), message),
    }
}

#[test]
fn tools_are_of_a_kind_and_have_no_fields_but_its_own() {
    let object = json!({"type": "object"});
    let tool = own(&object);
    for kind in [json!("custom"), json!(null)] {
        check(&with(tool.clone(), "type", kind), "");
    }
    let usual = [
        ("description", json!("d")),
        ("strict", json!(false)),
        ("defer_loading", json!(false)),
        ("allowed_callers", json!(["direct"])),
        ("input_examples", json!([{}])),
        ("eager_input_streaming", json!(true)),
        ("cache_control", json!({"type": "ephemeral"})),
    ];
    for (field, value) in usual {
        check(&with(tool.clone(), field, value), "");
    }
    check(
        &with(tool.clone(), "type", json!("function")),
        "tools.0: Input tag 'function' found using 'type' does not match any of the expected tags: 'advisor_20260301', \
         'bash_20241022', 'bash_20250124', ",
    );
    check(&with(tool.clone(), "foo", json!(1)), "tools.0.custom.foo: Extra inputs are not permitted");
    check(&with(tool, "description", json!(1)), "tools.0.custom.description: Input should be a valid string");
    check(&json!("f"), "tools.0: Input should be an object");
    check(&json!({"name": "f"}), "tools.0.custom.input_schema: Field required");
    check(&json!({"input_schema": object}), "tools.0.custom.name: Field required");
    check(&own(&json!("a")), "tools.0.custom.input_schema: Input should be an object");
    check(&own(&json!({})), "tools.0.custom.input_schema.type: Field required");
    check(&own(&json!({"type": "string"})), "tools.0.custom.input_schema.type: Input should be 'object'");
    // The provider's own.
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    check(&with(search.clone(), "max_uses", json!(5)), "");
    check(
        &with(search.clone(), "response_inclusion", json!("full")),
        "tools.0.web_search_20250305.response_inclusion: Extra inputs are not permitted",
    );
    check(
        &with(search.clone(), "name", json!("search")),
        "tools.0.web_search_20250305.name: Input should be 'web_search'",
    );
    check(
        &with(search, "input_schema", object),
        "tools.0.web_search_20250305.input_schema: Extra inputs are not permitted",
    );
    let screen = json!({"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 1});
    check(&screen, "");
    check(&with(screen, "enable_zoom", json!(true)), "tools.0.computer_20250124.enable_zoom: Extra inputs");
    check(
        &json!({"type": "computer_20250124", "name": "computer"}),
        "tools.0.computer_20250124.display_height_px: Field required",
    );
    check(&json!({"type": "computer_toolset_20260801"}), "");
    check(
        &json!({"type": "browser_toolset_20260801", "name": "browser"}),
        "tools.0.browser_toolset_20260801: name is not accepted on a toolset entry",
    );
    check(&json!({"type": "mcp_toolset", "mcp_server_name": "s"}), "");
    check(
        &json!({"type": "mcp_toolset", "mcp_server_name": "s", "name": "n"}),
        "tools.0.mcp_toolset.name: Extra inputs are not permitted",
    );
    for (kind, name) in [
        ("text_editor_20250124", "str_replace_editor"),
        ("text_editor_20250728", "str_replace_based_edit_tool"),
        ("tool_search_tool_bm25", "tool_search_tool_bm25"),
        ("tool_search_tool_regex_20251119", "tool_search_tool_regex"),
        ("memory_20250818", "memory"),
    ] {
        check(&json!({"type": kind, "name": name}), "");
    }
}

#[test]
fn tools_and_what_they_are_called_with_have_names_of_a_few_characters() {
    let named = |name: &str| with(own(&json!({"type": "object"})), "name", json!(name));
    let field = |name: &str| own(&json!({"type": "object", "properties": {name: {"type": "string"}}}));
    check(&named(&"a".repeat(128)), "");
    check(&named(""), "tools.0.custom.name: String should have at least 1 character");
    let pattern = "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'";
    for wrong in ["a.b", "a b", "ü", &"a".repeat(129)] {
        check(&named(wrong), pattern);
    }
    check(&field("a.b-C_9"), "");
    let keys = "tools.0.custom.input_schema.properties: Property keys should match pattern \
                '^[a-zA-Z0-9_.-]{1,64}$'";
    for wrong in ["a b", "", "$a", &"a".repeat(65)] {
        check(&field(wrong), keys);
    }
    let twice = json!({"tools": [named("f"), named("f")]});
    refused(&Anthropic, &twice, ("", ""), "tools: Tool names must be unique.");
    let both = json!({"tools": [named("web_search"), {"type": "web_search_20250305", "name": "web_search"}]});
    refused(&Anthropic, &both, ("", ""), "tools: Tool names must be unique.");
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let combined = json!({"type": "object", keyword: [{"type": "object"}]});
        let message = "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level";
        check(&own(&combined), message);
        check(&own(&json!({"type": "object", "properties": {"a": combined}})), "");
    }
}

/// A row: a schema of a field, and what is refused of it.
fn check_schema(inner: &Value, message: &str) {
    let whole = json!({"type": "object", "properties": {"a": inner}, "required": ["a"],
        "additionalProperties": false});
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": whole}}});
    let strict = json!({"tools": [with(own(&whole), "strict", json!(true))]});
    // Where nothing has to fit to the letter, nothing is refused.
    check(&own(&whole), "");
    if message.is_empty() {
        taken(&Anthropic, &format);
        taken(&Anthropic, &strict);
    } else {
        refused(&Anthropic, &format, ("", ""), &format!("output_config.format.schema: {message}"));
        refused(&Anthropic, &strict, ("", ""), &format!("tools.0.custom: {message}"));
    }
}

#[test]
fn schemas_that_are_fitted_to_the_letter_bound_no_values() {
    for (keywords, kind, message) in [
        (json!({"minimum": 0, "maximum": 9}), "integer", "properties maximum, minimum are not supported"),
        (json!({"minimum": 0}), "number", "property 'minimum' is not supported"),
        (json!({"multipleOf": 2}), "integer", "property 'multipleOf' is not supported"),
        (
            json!({"exclusiveMinimum": 0, "exclusiveMaximum": 9}),
            "number",
            "properties exclusiveMaximum, exclusiveMinimum are not supported",
        ),
        (json!({"minLength": 1}), "string", "property 'minLength' is not supported"),
        (json!({"maxLength": 1}), "string", "property 'maxLength' is not supported"),
        (json!({"format": "phone"}), "string", "format 'phone' is not supported"),
        (json!({"maxItems": 3}), "array", "property 'maxItems' is not supported"),
        (json!({"uniqueItems": true}), "array", "property 'uniqueItems' is not supported"),
        (json!({"minItems": 2}), "array", "'minItems' values other than 0 or 1 are not supported"),
        (json!({"minProperties": 1}), "object", "property 'minProperties' is not supported"),
        (json!({"propertyNames": {}}), "object", "property 'propertyNames' is not supported"),
        (
            json!({"additionalProperties": true}),
            "object",
            "'additionalProperties: true' is not supported. Please set 'additionalProperties' to false",
        ),
        (
            json!({"additionalProperties": {"type": "string"}}),
            "object",
            "'additionalProperties: object' is not supported",
        ),
    ] {
        let mut schema = json!({"type": kind});
        schema.as_object_mut().expect("it is one").extend(keywords.as_object().expect("it is one").clone());
        check_schema(&schema, &format!("For '{kind}' type, {message}"));
        // Wherever it is.
        let message = format!("For '{kind}' type, {message}");
        check_schema(&json!({"type": "array", "items": schema}), &message);
        check_schema(&json!({"anyOf": [{"type": "null"}, schema]}), &message);
    }
    let open = json!({"type": "object", "properties": {}});
    check_schema(&open, "For 'object' type, 'additionalProperties' must be explicitly set to false");
    check_schema(&json!({"oneOf": [{"type": "string"}]}), "Schema type 'oneOf' is not supported");
    check_schema(&json!({"description": "d"}), "Invalid schema: Schema type is missing");
    let tuple = json!({"type": "array", "items": [{"type": "string"}]});
    check_schema(&tuple, "Array types must be specified with a single object schema for 'items'");
    check_schema(&json!({"enum": ["a", {}]}), "Enum values must be");
    for right in [
        json!({"type": "string", "format": "date-time", "pattern": "^a+$", "description": "d", "title": "t"}),
        json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        json!({"type": ["integer", "null"], "default": 1}),
        json!({"enum": ["a", 1, true, null]}),
        json!({"const": "a"}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        // What a field is called says nothing.
        json!({"type": "object", "properties": {"minimum": {"type": "string"}}, "additionalProperties": false}),
    ] {
        check_schema(&right, "");
    }
}

#[test]
fn schemas_that_are_fitted_to_the_letter_refer_to_their_own_definitions_and_not_in_circles() {
    let defined = |inner: Value, definitions: Value| {
        json!({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object",
            "properties": {"a": inner}, "additionalProperties": false, "$defs": definitions}}}})
    };
    let refer = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    let object =
        |of: Value| json!({"type": "object", "properties": {"n": of}, "additionalProperties": false});
    let leaf = json!({"type": "string"});
    taken(&Anthropic, &defined(refer("L"), json!({"L": leaf})));
    // Twice is no circle.
    let pair = json!({"anyOf": [refer("L"), object(refer("L"))]});
    taken(&Anthropic, &defined(refer("P"), json!({"L": leaf, "P": pair})));
    let check = |more: &Value, message: &str| {
        refused(&Anthropic, more, ("", ""), &format!("output_config.format.schema: {message}"));
    };
    let circular = |way: &str| format!("Circular reference detected in schema definitions: {way}");
    check(&defined(refer("N"), json!({"N": object(refer("N"))})), &circular("N -> N"));
    let two = json!({"A": object(refer("B")), "B": {"type": "array", "items": refer("A")}});
    check(&defined(leaf.clone(), two), &circular("A -> B -> A"));
    check(&defined(json!({"$ref": "#"}), json!({})), &circular("# -> #"));
    check(
        &defined(refer("M"), json!({"L": leaf})),
        "Invalid schema: Reference to non-existent definition: #/$defs/M",
    );
    check(
        &defined(json!({"$ref": "https://example.org/a.json"}), json!({})),
        "Invalid schema: External references are not supported",
    );
}

#[test]
fn schemas_that_are_fitted_to_the_letter_are_not_too_much_together() {
    let fields = |count: usize, of: &Value| {
        let fields: Vec<_> = (0..count).map(|n| (format!("f{n}"), of.clone())).collect();
        json!({"type": "object", "properties": serde_json::Map::from_iter(fields), "additionalProperties": false})
    };
    let required = |count: usize, of: &Value| {
        let names: Vec<_> = (0..count).map(|n| format!("f{n}")).collect();
        with(fields(count, of), "required", json!(names))
    };
    let format = |schema: Value| json!({"format": {"type": "json_schema", "schema": schema}});
    let text = json!({"type": "string"});
    let nullable = json!({"type": ["string", "null"]});
    let either = json!({"anyOf": [text, {"type": "null"}]});
    let all = |schema: &Value, output: &Value, message: &str| {
        let more = json!({"tools": [with(own(schema), "strict", json!(true))], "output_config": output});
        match message {
            "" => taken(&Anthropic, &more),
            message => refused(&Anthropic, &more, ("", ""), message),
        }
    };
    let optional = "Schemas contains too many optional parameters (25), which would make grammar compilation \
                    inefficient. Reduce the number of optional parameters in your tool schemas (limit: 24).";
    all(&fields(24, &text), &Value::Null, "");
    all(&fields(25, &text), &Value::Null, optional);
    all(&fields(12, &text), &format(fields(13, &text)), optional);
    all(&required(1, &fields(25, &text)), &Value::Null, optional);
    all(&required(30, &text), &Value::Null, "");
    let unions =
        "Schemas contains too many parameters with union types (17 parameters with type arrays or anyOf).";
    all(&required(16, &nullable), &Value::Null, "");
    all(&required(17, &nullable), &Value::Null, unions);
    all(&required(8, &nullable), &format(required(9, &either)), unions);
    // What is not strict is no matter.
    check(&own(&fields(99, &nullable)), "");
}

#[test]
fn formats_and_choices_have_no_fields_but_their_own() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "schema": schema});
    let tools = json!([own(&schema)]);
    for more in [
        json!({"output_config": {"format": format, "effort": null, "task_budget": {"type": "tokens", "total": 9}}}),
        json!({"output_format": format}),
        json!({"tools": tools, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}),
        json!({"tools": tools, "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": false}}),
        json!({"tools": tools, "tool_choice": {"type": "none"}}),
    ] {
        taken(&Anthropic, &more);
    }
    let refuse = |more: Value, message: &str| refused(&Anthropic, &more, ("", ""), message);
    let extra = "Extra inputs are not permitted";
    refuse(json!({"output_config": {"verbosity": "low"}}), &format!("output_config.verbosity: {extra}"));
    let named = with(format, "name", json!("n"));
    refuse(json!({"output_config": {"format": named}}), &format!("output_config.format.name: {extra}"));
    refuse(json!({"output_format": named}), &format!("output_format.name: {extra}"));
    let bare = json!({"type": "json_schema"});
    refuse(json!({"output_config": {"format": bare}}), "output_config.format.schema: Field required");
    let text = json!({"type": "text"});
    refuse(
        json!({"output_config": {"format": text}}),
        "output_config.format.type: Input should be 'json_schema'",
    );
    let open = json!({"type": "json_schema", "schema": {"type": "object"}});
    refuse(
        json!({"output_format": open}),
        "output_format.schema: For 'object' type, 'additionalProperties' must be",
    );
    let choose = |choice: Value| json!({"tools": tools, "tool_choice": choice});
    refuse(choose(json!({"type": "auto", "name": "f"})), &format!("tool_choice.auto.name: {extra}"));
    refuse(choose(json!({"type": "tool"})), "tool_choice.tool.name: Field required");
    refuse(
        choose(json!({"type": "any", "disable_parallel_tool_use": "no"})),
        "tool_choice.any.disable_parallel_tool_use: Input should be a valid boolean",
    );
}
