//! Every documented error of both providers and of compatible servers, row by row.

use super::*;
use Class::{Auth, Invalid, Malformed, Overloaded, QuotaGone, Refused, Throttled, Transient};

/// A row: HTTP status, `error.type`, code, message, what it means, and whether a retry is hopeless.
type Row = (u16, &'static str, &'static str, &'static str, Class, bool);

const ANTHROPIC: &[Row] = &[
    (400, "invalid_request_error", "", "messages: at least one message is required", Invalid, false),
    (400, "invalid_request_error", "", "prompt is too long: 213462 tokens > 200000 maximum", Invalid, false),
    (400, "invalid_request_error", "", "You have reached your specified API usage limits.", QuotaGone, false),
    (
        400,
        "invalid_request_error",
        "",
        "You have reached your specified workspace API usage limits.",
        QuotaGone,
        false,
    ),
    (
        400,
        "invalid_request_error",
        "",
        "Your credit balance is too low to access the Anthropic API.",
        QuotaGone,
        false,
    ),
    (400, "invalid_request_error", "organization_on_hold", "", Auth, false),
    (400, "invalid_request_error", "tool_name_conflict", "", Invalid, false),
    (401, "authentication_error", "", "invalid x-api-key", Auth, false),
    (402, "billing_error", "", "payment required", QuotaGone, false),
    (402, "billing_error", "linked_organization_billing_unavailable", "", QuotaGone, false),
    (402, "billing_error", "linked_organization_spend_limit_reached", "", QuotaGone, false),
    (403, "permission_error", "", "not allowed", Auth, false),
    (404, "not_found_error", "", "model: claude-9", Invalid, false),
    (408, "", "", "", Transient, false),
    (409, "conflict_error", "", "", Transient, false),
    (413, "request_too_large", "", "", Invalid, false),
    (413, "invalid_request_error", "request_body_too_large_after_decoding", "", Invalid, false),
    (422, "invalid_request_error", "", "", Invalid, false),
    (429, "rate_limit_error", "", "This request would exceed your rate limit", Throttled, false),
    (429, "rate_limit_error", "ramp_limit_exceeded", "", Throttled, false),
    (429, "rate_limit_error", "enforced_spend_limit_reached", "", QuotaGone, false),
    (429, "rate_limit_error", "contract_spend_limit_reached", "", QuotaGone, false),
    (499, "", "", "", Invalid, false),
    (500, "api_error", "", "Internal server error", Transient, false),
    (502, "", "", "", Transient, false),
    (503, "api_error", "cmek_key_unreachable", "", Transient, false),
    (503, "api_error", "cmek_context_unavailable", "", Transient, false),
    (504, "timeout_error", "", "", Transient, false),
    (529, "overloaded_error", "", "Overloaded", Overloaded, false),
    // In mid-stream there is no status but 200.
    (200, "overloaded_error", "", "Overloaded", Overloaded, false),
    (200, "rate_limit_error", "", "", Throttled, false),
    (200, "api_error", "", "", Transient, false),
    (200, "invalid_request_error", "", "", Invalid, false),
];

const OPENAI: &[Row] = &[
    (400, "invalid_request_error", "", "", Invalid, false),
    (400, "invalid_request_error", "context_length_exceeded", "", Invalid, false),
    (400, "invalid_request_error", "unsupported_parameter", "", Invalid, false),
    (400, "invalid_request_error", "content_policy_violation", "", Refused, false),
    (400, "invalid_request_error", "invalid_prompt", "", Invalid, false),
    (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided", Auth, false),
    (401, "invalid_request_error", "", "You must be a member of an organization", Auth, false),
    (402, "unknown_error", "", "Insufficient Balance", QuotaGone, false),
    (403, "invalid_request_error", "", "Country, region, or territory not supported", Auth, false),
    (404, "invalid_request_error", "model_not_found", "", Invalid, false),
    (408, "", "", "", Transient, false),
    (409, "", "", "", Transient, false),
    (413, "", "", "", Invalid, false),
    (422, "", "", "", Invalid, false),
    (429, "tokens", "rate_limit_exceeded", "Rate limit reached for gpt-4o-mini", Throttled, false),
    (429, "requests", "rate_limit_exceeded", "Rate limit reached for gpt-4o-mini", Throttled, false),
    (429, "tokens", "rate_limit_exceeded", "Request too large for gpt-4o: Limit 30000", Throttled, true),
    (429, "rate_limit_error", "slow_down", "", Throttled, false),
    (429, "insufficient_quota", "insufficient_quota", "", QuotaGone, false),
    (429, "insufficient_quota", "credit_balance_exhausted", "", QuotaGone, false),
    (429, "insufficient_quota", "organization_spend_limit_exceeded", "", QuotaGone, false),
    (429, "insufficient_quota", "project_spend_limit_exceeded", "", QuotaGone, false),
    (429, "insufficient_quota", "organization_usage_limit_exceeded", "", QuotaGone, false),
    (429, "insufficient_quota", "", "", QuotaGone, false),
    (500, "server_error", "", "", Transient, false),
    (503, "service_unavailable_error", "server_is_overloaded", "", Overloaded, false),
    (503, "service_unavailable_error", "slow_down", "", Overloaded, false),
    (503, "service_unavailable_error", "", "", Transient, false),
    (599, "", "", "", Transient, false),
    // LiteLLM's own budget, refused with either status.
    (400, "budget_exceeded", "", "", QuotaGone, false),
    (429, "budget_exceeded", "", "", QuotaGone, false),
    // In mid-stream.
    (200, "server_error", "", "The server had an error", Transient, false),
    (200, "", "", "something else", Malformed, false),
    // Of a response that fails after its 200.
    (200, "", "server_error", "", Transient, false),
    (200, "", "rate_limit_exceeded", "", Throttled, false),
    (200, "", "vector_store_timeout", "", Transient, false),
    (200, "", "invalid_prompt", "", Invalid, false),
    (200, "", "data_residency_mismatch", "", Invalid, false),
    (200, "", "bio_policy", "", Refused, false),
    (200, "", "misalignment_policy_violation", "", Refused, false),
];

/// Errors as servers in the wild shape them: status, body, class, message.
const BODIES: &[(u16, &str, Class, &str)] = &[
    // vLLM: the code is a number; older ones are flat.
    (
        404,
        r#"{"error":{"message":"no such model","type":"NotFoundError","param":null,"code":404}}"#,
        Invalid,
        "no such model",
    ),
    (
        400,
        r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
        Invalid,
        "too long",
    ),
    // OpenRouter: 200, and the code says what it would have been.
    (200, r#"{"error":{"code":429,"message":"upstream is busy"}}"#, Throttled, "upstream is busy"),
    (200, r#"{"error":{"code":402,"message":"add credits"}}"#, QuotaGone, "add credits"),
    // llama.cpp.
    (
        400,
        r#"{"error":{"code":400,"message":"request exceeds the context","type":"exceed_context_size_error","n_ctx":512}}"#,
        Invalid,
        "request exceeds the context",
    ),
    (
        500,
        r#"{"error":{"code":500,"message":"parse error at 3","type":"server_error"}}"#,
        Transient,
        "parse error at 3",
    ),
    (
        503,
        r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
        Transient,
        "Loading model",
    ),
    // Bodies that are no error object.
    (
        502,
        "<html><head><title>502</title></head></html>",
        Transient,
        "bad gateway (an HTML page, not an error of the API)",
    ),
    (413, "\n<!DOCTYPE html>", Invalid, "payload too large (an HTML page, not an error of the API)"),
    (529, "", Overloaded, "HTTP 529"),
    (500, "upstream\r\nconnect \u{1b}[31merror", Transient, "upstream connect [31merror"),
    (401, r#"{"error":"no key"}"#, Auth, "no key"),
    (429, r#"{"error":{}}"#, Throttled, "too many requests"),
    (418, r#"{"detail":"teapot"}"#, Invalid, r#"{"detail":"teapot"}"#),
    (
        429,
        r#"{"error":{"type":"insufficient_quota","mess"#,
        Throttled,
        r#"{"error":{"type":"insufficient_quota","mess"#,
    ),
];

fn failure_of(status: u16, body: &str) -> Failure {
    if status == 200 {
        return Said::of(&serde_json::from_str(body).unwrap()).unwrap().failure(status);
    }
    failure(status, &HeaderMap::new(), body.as_bytes(), Duration::ZERO)
}

fn check(rows: &[Row], body: impl Fn(&str, &str, &str) -> Value) {
    for row @ (status, kind, code, message, class, hopeless) in rows {
        let failure = failure_of(*status, &body(kind, code, message).to_string());
        assert_eq!((failure.class, failure.hopeless), (*class, *hopeless), "{row:?}");
        assert_eq!(failure.http_status, Some(*status), "{row:?}");
        assert!(!failure.message.is_empty() || *status == 200, "{row:?}");
    }
}

#[test]
fn every_documented_error_of_anthropic_has_its_class() {
    check(ANTHROPIC, |kind, code, message| {
        let details = if code.is_empty() { Value::Null } else { serde_json::json!({"error_code": code}) };
        serde_json::json!({"type": "error", "error": {"type": kind, "message": message, "details": details},
            "request_id": "req_1"})
    });
}

#[test]
fn every_documented_error_of_openai_has_its_class() {
    check(OPENAI, |kind, code, message| {
        let code = if code.is_empty() { Value::Null } else { code.into() };
        serde_json::json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
    });
}

#[test]
fn bodies_of_compatible_servers_and_of_proxies_are_understood() {
    for (status, body, class, message) in BODIES {
        let failure = failure_of(*status, body);
        assert_eq!((failure.class, failure.message.as_str()), (*class, *message), "{status} {body}");
    }
}

#[test]
fn the_server_may_forbid_a_retry_and_name_a_wait() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    };
    let forbidden = failure(529, &headers(&[("x-should-retry", "false")]), b"", Duration::ZERO);
    assert!(forbidden.hopeless);
    let allowed = failure(400, &headers(&[("x-should-retry", "true")]), b"", Duration::ZERO);
    assert_eq!((allowed.hopeless, allowed.class), (false, Invalid));
    let waiting = failure(503, &headers(&[("retry-after", "4")]), b"", Duration::ZERO);
    assert_eq!(waiting.retry_after, Some(Duration::from_secs(4)));
    let reset = headers(&[("x-ratelimit-reset-requests", "2s")]);
    assert_eq!(failure(429, &reset, b"", Duration::ZERO).retry_after, Some(Duration::from_secs(2)));
    assert_eq!(failure(500, &reset, b"", Duration::ZERO).retry_after, None);
}

#[test]
fn a_message_is_one_short_line_without_controls_or_keys() {
    let long = one_line(&"ab\u{202E}\u{200B}\u{9b} \n\t".repeat(1000));
    assert_eq!(long.chars().count(), 500);
    assert!(long.starts_with("ab ab") && long.ends_with('…'), "{long}");
    assert_eq!(one_line(&"x".repeat(500)).len(), 500);
    assert_eq!(one_line("wrong key: sk-test-0123456789."), "wrong key: sk-…");
    assert_eq!(one_line("key=\"sk-ant-0123456789\""), "key=\"sk-…");
    assert_eq!(one_line("the risk-assessment of task-0123456789"), "the risk-assessment of task-0123456789");
}
