//! Every error that the providers document, however it is provoked: by a prompt, by an order, by a
//! scenario. Statuses, types and codes are from their documentation and from the error classes of their
//! official SDKs.

use http::Method;
use serde_json::{Value, json};
use sortie_sim::{Model, Scenario};

use crate::{ANTHROPIC, NOON, OPENAI, calm, raw, reply};

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// What an error says.
#[derive(Debug, PartialEq)]
struct Said {
    status: u16,
    kind: String,
    code: Value,
    param: Value,
    /// Whether it says how long to wait.
    waits: bool,
}

/// The reply to a request with this prompt: its status, its headers, its body.
fn asked(model: &mut Model, path: &str, prompt: &str) -> (u16, http::HeaderMap, String) {
    let turns = json!([{"role": "user", "content": prompt}]);
    let (headers, body) = match path {
        MESSAGES => (ANTHROPIC, json!({"model": "claude-sonnet-4-6", "max_tokens": 300, "messages": turns})),
        CHAT => (OPENAI, json!({"model": "gpt-4o", "messages": turns})),
        _ => (OPENAI, json!({"model": "gpt-4o", "input": prompt})),
    };
    raw(model, headers, (Method::POST, path), body.to_string(), NOON)
}

/// The reply to a request that meets this fault, in each of the ways that a fault can be told.
fn provoked(path: &str, fault: &str) -> [(u16, http::HeaderMap, String); 3] {
    let by_prompt = asked(&mut calm(), path, &format!("Hello [[sim fail={fault}]]"));

    let mut ordered = calm();
    let order = json!({"fail_next": [fault]}).to_string();
    let json_only = [("content-type", "application/json")];
    assert_eq!(reply(&mut ordered, &json_only, (Method::POST, "/_sim/control"), order, NOON).0, 200);
    let by_order = asked(&mut ordered, path, "Hello");

    let mut scenario = Scenario::named("calm").unwrap();
    scenario.faults = serde_json::from_value(json!([{"kind": fault, "share": 1}])).unwrap();
    let by_scenario = asked(&mut Model::new(scenario, 7), path, "Hello");
    [by_prompt, by_order, by_scenario]
}

/// Checks a row: the status is that of the fault.
fn check(path: &str, fault: &str, (kind, code, param): (&str, &str, &str), part: &str, waits: bool) {
    let null_or = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let status = match fault.split(':').next().unwrap_or_default() {
        "no-credit" if path == MESSAGES => 400,
        "no-credit" => 429,
        digits => digits.parse().unwrap(),
    };
    let expected = Said { status, kind: kind.to_owned(), code: null_or(code), param: null_or(param), waits };
    for (status, headers, body) in provoked(path, fault) {
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = &body["error"];
        if path == MESSAGES {
            assert_eq!(body["type"], "error", "{body}");
            assert_eq!(body["request_id"], headers["request-id"].to_str().unwrap(), "{body}");
            assert!(
                error.get("param").is_none() && (code.is_empty() == error.get("details").is_none()),
                "{body}"
            );
        } else {
            assert!(headers.contains_key("x-request-id"), "{headers:?}");
            let fields: Vec<&String> = error.as_object().unwrap().keys().collect();
            assert_eq!(fields.len(), 4, "message, type, param and code are always there: {fields:?}");
        }
        let said = Said {
            status,
            kind: error["type"].as_str().unwrap().to_owned(),
            code: if path == MESSAGES { &error["details"]["error_code"] } else { &error["code"] }.clone(),
            param: error["param"].clone(),
            waits: headers.get("retry-after").is_some_and(|wait| wait == "1"),
        };
        assert_eq!(said, expected, "{path} {fault}");
        assert_eq!(headers["content-type"], "application/json");
        assert!(error["message"].as_str().unwrap().contains(part), "{path} {fault}: {error}");
    }
}

#[test]
fn every_error_of_anthropic_is_said_as_documented() {
    let row = |fault: &str, kind, code, part, waits| check(MESSAGES, fault, (kind, code, ""), part, waits);
    let (invalid, limit, api) = ("invalid_request_error", "rate_limit_error", "api_error");
    row("400", invalid, "", "", false);
    row("400:prompt_too_long", invalid, "", "prompt is too long: 213462 tokens > 200000 maximum", false);
    row(
        "400:context_limit",
        invalid,
        "",
        "input length and `max_tokens` exceed context limit: 199000 + 8000",
        false,
    );
    row("400:credit", invalid, "", "Your credit balance is too low to access the Anthropic API", false);
    row("no-credit", invalid, "", "Your credit balance is too low to access the Anthropic API", false);
    row("400:usage_limit", invalid, "", "You have reached your specified API usage limits", false);
    row(
        "400:workspace_usage_limit",
        invalid,
        "",
        "You have reached your specified workspace API usage limits",
        false,
    );
    for code in [
        "organization_on_hold",
        "image_dimensions_too_large",
        "tool_name_conflict",
        "tool_reference_unresolved",
        "available_tools_limit_exceeded",
        "request_body_encoding_invalid",
        "request_body_encoding_unsupported",
    ] {
        row(&format!("400:{code}"), invalid, code, "", false);
    }
    row("401", "authentication_error", "", "", false);
    row("402", "billing_error", "", "", false);
    for code in ["linked_organization_billing_unavailable", "linked_organization_spend_limit_reached"] {
        row(&format!("402:{code}"), "billing_error", code, "", false);
    }
    row("403", "permission_error", "", "", false);
    row("403:model", "permission_error", "", "model", false);
    row("404", "not_found_error", "", "", false);
    row("404:model_not_found", "not_found_error", "", "model: ", false);
    row("408", invalid, "", "", false);
    row("409", "conflict_error", "", "", false);
    row("413", "request_too_large", "", "", false);
    let after_decoding = "request_body_too_large_after_decoding";
    row(&format!("413:{after_decoding}"), "request_too_large", after_decoding, "", false);
    row("422", invalid, "", "", false);
    row("429", limit, "", "rate limit", true);
    row("429:ramp_limit_exceeded", limit, "ramp_limit_exceeded", "acceleration limit", true);
    row("429:quota", limit, "enforced_spend_limit_reached", "", false);
    for code in ["enforced_spend_limit_reached", "contract_spend_limit_reached"] {
        row(&format!("429:{code}"), limit, code, "", false);
    }
    row("499", invalid, "", "", false);
    row("500", api, "", "", false);
    row("502", api, "", "", false);
    row("503", api, "", "", false);
    for code in ["cmek_key_unreachable", "cmek_context_unavailable"] {
        row(&format!("503:{code}"), api, code, "", false);
    }
    row("504", "timeout_error", "", "", false);
    row("529", "overloaded_error", "", "Overloaded", false);
}

#[test]
fn every_error_of_openai_is_said_as_documented() {
    for path in [CHAT, RESPONSES] {
        let row = |fault: &str, kind, code, part, waits| check(path, fault, (kind, code, ""), part, waits);
        let about = |fault, code, param, part| {
            check(path, fault, ("invalid_request_error", code, param), part, false);
        };
        let (exceeded, gone) = ("rate_limit_exceeded", "insufficient_quota");
        about("400", "", "", "");
        about(
            "400:context_length_exceeded",
            "context_length_exceeded",
            "messages",
            "This model's maximum context length is",
        );
        about(
            "400:unsupported_parameter",
            "unsupported_parameter",
            "max_tokens",
            "'max_tokens' is not supported",
        );
        about("400:content_policy_violation", "content_policy_violation", "", "");
        about("400:invalid_prompt", "invalid_prompt", "", "");
        about("401", "invalid_api_key", "", "API key");
        about("401:not_member", "", "", "member of an organization");
        about("401:ip", "ip_not_authorized", "", "IP");
        row("402", "insufficient_balance", "", "Insufficient Balance", false);
        about("403", "", "", "");
        row("403:country", "request_forbidden", "unsupported_country_region_territory", "Country", false);
        about("403:model", "model_not_found", "", "");
        about("404", "model_not_found", "", "");
        for status in ["408", "409", "413", "422"] {
            about(status, "", "", "");
        }
        row("429", "requests", exceeded, "", true);
        row(
            "429:tokens",
            "tokens",
            exceeded,
            "on tokens per min (TPM): Limit 50000, Used 47949, Requested 3006. Please try again in 1.146s. Visit",
            true,
        );
        row("429:too_large", "tokens", exceeded, "Request too large for gpt-4o", false);
        row("429:slow_down", "rate_limit_error", "slow_down", "", true);
        row("429:quota", gone, gone, "You exceeded your current quota", false);
        row("no-credit", gone, gone, "You exceeded your current quota", false);
        for code in [
            gone,
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        ] {
            row(&format!("429:{code}"), gone, code, "", false);
        }
        row("500", "server_error", "", "", false);
        row("503", "service_unavailable_error", "server_is_overloaded", "", false);
        row("503:slow_down", "service_unavailable_error", "slow_down", "", false);
    }
}

#[test]
fn a_proxy_before_the_api_answers_with_a_page_that_names_the_status() {
    for (fault, title) in
        [("413:html", "413 Request Entity Too Large"), ("502:html", "502 Bad Gateway"), ("520:html", "520 ")]
    {
        for path in [MESSAGES, CHAT, RESPONSES] {
            for (status, headers, body) in provoked(path, fault) {
                assert_eq!(status.to_string(), fault[..3]);
                assert_eq!(
                    (&headers["content-type"], &headers["server"]),
                    (&"text/html".parse().unwrap(), &"cloudflare".parse().unwrap())
                );
                assert!(body.starts_with("<html>") && body.contains(title), "{body}");
            }
        }
    }
}

#[test]
fn a_path_that_openai_does_not_have_is_no_missing_model() {
    for (path, opening, code) in [
        ("/v1/embeddings", "Invalid URL (POST /v1/embeddings)", Value::Null),
        ("/v1/responses/compact", "Invalid URL (POST /v1/responses/compact)", Value::Null),
        ("/v1/responses/r/input_items", "Invalid URL (POST /v1/responses/r/input_items)", Value::Null),
        (
            "/chat/completions",
            "Unknown request URL: POST /chat/completions. Please check the URL for typos, or see the docs at ",
            json!("unknown_url"),
        ),
    ] {
        let (status, body) = reply(&mut calm(), OPENAI, (Method::POST, path), "{}", NOON);
        let error = serde_json::from_str::<Value>(&body).unwrap()["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(opening), "{message}");
        assert_eq!((status, &error["type"]), (404, &json!("invalid_request_error")));
        assert_eq!(error["code"], code);
    }
}

#[test]
fn openai_takes_keys_in_its_own_form() {
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]});
    let check = |headers: &[(&str, &str)], expected: Option<(&str, Value)>| {
        let asked = (Method::POST, "/v1/chat/completions");
        let (status, reply) = reply(&mut calm(), headers, asked, body.to_string(), NOON);
        let error = serde_json::from_str::<Value>(&reply).unwrap()["error"].clone();
        match expected {
            None => assert_eq!(status, 200, "{reply}"),
            Some((message, code)) => {
                assert!(error["message"].as_str().unwrap().starts_with(message), "{reply}");
                assert_eq!((status, &error["code"]), (401, &code), "{reply}");
                assert_eq!(error["type"], "invalid_request_error");
            }
        }
    };
    let none = || Some(("You didn't provide an API key. You need to provide your API key in", Value::Null));
    let wrong = "Incorrect API key provided: sk-sim-i**alid. You can find";
    check(&[("authorization", "Bearer sk-test"), ("content-type", "application/json")], None);
    check(&[], none());
    check(&[("x-api-key", "sk-test")], none());
    check(&[("authorization", "sk-test")], none());
    check(&[("authorization", "Bearer sk-sim-invalid")], Some((wrong, json!("invalid_api_key"))));
}
