//! What they have to make of errors, of what the server says about retries, and of replies that are
//! not as they should be.

use super::{HELLO, JAVASCRIPT, PYTHON_1, PYTHON_3};
use crate::table::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    [errors(), told_apart(), waits(), told(), broken(), odd()].into_iter().flatten().collect()
}

/// Every status that the provider documents, with the class that each SDK has for it.
fn errors() -> Vec<Row> {
    vec![
        row("400", "create", "BadRequestError 400 invalid_request_error")
            .prompt("[[sim fail=400]]")
            .requests(1),
        row("401", "create", "AuthenticationError 401 invalid_api_key")
            .prompt("[[sim fail=401]]")
            .requests(1),
        row("a key that is not valid", "create", "AuthenticationError 401 invalid_api_key")
            .key_of("sk-sim-invalid"),
        row("403", "create", "PermissionDeniedError 403 invalid_request_error")
            .prompt("[[sim fail=403]]")
            .requests(1),
        row("404", "create", "NotFoundError 404 model_not_found").prompt("[[sim fail=404]]").requests(1),
        row("413", "create", "APIStatusError 413 invalid_request_error")
            .but(&[JAVASCRIPT], "APIError 413 invalid_request_error")
            .prompt("[[sim fail=413]]")
            .requests(1),
        row("422", "create", "UnprocessableEntityError 422 invalid_request_error")
            .prompt("[[sim fail=422]]")
            .requests(1),
        retried("408", "APIStatusError 408 invalid_request_error", "[[sim fail=408,408,408]]")
            .but(&[JAVASCRIPT], "APIError 408 invalid_request_error"),
        retried("409", "ConflictError 409 invalid_request_error", "[[sim fail=409,409,409]]"),
        retried("500", "InternalServerError 500 server_error", "[[sim fail=500,500,500]]"),
        retried("503", "InternalServerError 503 server_is_overloaded", "[[sim fail=503,503,503]]"),
        retried(
            "no money",
            "RateLimitError 429 insufficient_quota",
            "[[sim fail=429:quota,429:quota,429:quota]]",
        ),
    ]
}

/// Errors of one status that mean different things.
fn told_apart() -> Vec<Row> {
    let bad = |name, outcome, prompt| row(name, "create", outcome).prompt(prompt).requests(1);
    let money =
        |name, outcome, prompt| row(name, "create", outcome).prompt(prompt).max_retries(0).requests(1);
    vec![
        bad(
            "a prompt that is too long",
            "BadRequestError 400 context_length_exceeded",
            "[[sim fail=400:context_length_exceeded]]",
        ),
        bad(
            "a parameter that is not supported",
            "BadRequestError 400 unsupported_parameter",
            "[[sim fail=400:unsupported_parameter]]",
        ),
        bad(
            "a country that is not served",
            "PermissionDeniedError 403 unsupported_country_region_territory",
            "[[sim fail=403:country]]",
        ),
        retried(
            "a request that is larger than the bucket",
            "RateLimitError 429 rate_limit_exceeded",
            "[[sim fail=429:too_large,429:too_large,429:too_large]]",
        ),
        money(
            "no credit",
            "RateLimitError 429 credit_balance_exhausted",
            "[[sim fail=429:credit_balance_exhausted]]",
        ),
        money(
            "an organisation's limit",
            "RateLimitError 429 organization_spend_limit_exceeded",
            "[[sim fail=429:organization_spend_limit_exceeded]]",
        ),
        money(
            "a project's limit",
            "RateLimitError 429 project_spend_limit_exceeded",
            "[[sim fail=429:project_spend_limit_exceeded]]",
        ),
        row("a ramp that is too steep", "create", HELLO)
            .prompt("[[sim text=Hello fail=429:slow_down retry_after=1]]")
            .requests(2)
            .least_ms(1000),
        row("a server that is slow", "create", HELLO)
            .prompt("[[sim text=Hello fail=503:slow_down]]")
            .requests(2)
            .least_ms(375),
    ]
}

/// The least that an SDK waits by itself over two retries: three quarters of 0.5 s and of 1 s.
const OWN_WAITS_MS: u64 = 1125;

/// An error that the SDK tries three times, with its own waits.
fn retried(name: &'static str, outcome: &'static str, prompt: &'static str) -> Row {
    row(name, "create", outcome).prompt(prompt).requests(3).least_ms(OWN_WAITS_MS)
}

fn waits() -> Vec<Row> {
    vec![
        row("an error and then an answer", "create", HELLO)
            .prompt("[[sim text=Hello fail=503,ok]]")
            .requests(2)
            .least_ms(375),
        row("a stream after an error", "stream", HELLO)
            .prompt("[[sim text=Hello fail=503,ok]]")
            .requests(2)
            .least_ms(375),
        // Twice as long as the SDK would wait by itself.
        row("a wait of a second", "create", HELLO)
            .prompt("[[sim text=Hello fail=429 retry_after=1]]")
            .requests(2)
            .least_ms(1000),
        // Looked at before `retry-after`.
        row("a wait in milliseconds", "create", HELLO)
            .prompt("[[sim text=Hello fail=429 retry_after_ms=1200 retry_after=0]]")
            .requests(2)
            .least_ms(1200),
        row("a wait of nothing", "create", HELLO)
            .prompt("[[sim text=Hello fail=429,429 retry_after=0]]")
            .requests(3)
            .least_ms(OWN_WAITS_MS)
            .but_requests(&[JAVASCRIPT], 3, 0),
        // From 2.x on a wait of more than two minutes is not waited for at all.
        row("a wait of more than two minutes", "create", "RateLimitError 429 rate_limit_exceeded")
            .prompt("[[sim text=Hello fail=429,429 retry_after=130]]")
            .requests(1)
            .but(&[PYTHON_1], HELLO)
            .but_requests(&[PYTHON_1], 3, OWN_WAITS_MS)
            .not_for(&[JAVASCRIPT]),
    ]
}

/// What the server says about retries goes before the status.
fn told() -> Vec<Row> {
    vec![
        row("a bad request that is to be retried", "create", HELLO)
            .prompt("[[sim text=Hello fail=400 should_retry=true]]")
            .requests(2)
            .least_ms(375),
        row(
            "an overload that is not to be retried",
            "create",
            "InternalServerError 503 server_is_overloaded",
        )
        .prompt("[[sim fail=503 should_retry=false]]")
        .requests(1),
    ]
}

/// Replies that break off, do not come, or are not the protocol's.
fn broken() -> Vec<Row> {
    vec![
        row("an error in mid-stream", "events", "APIError server_error")
            .prompt("[[sim fail=midstream]]")
            .requests(1),
        row("a stream that is cut", "events", "RemoteProtocolError")
            .but(&[PYTHON_3], "APIConnectionError")
            .but(&[JAVASCRIPT], "TypeError: terminated")
            .prompt("[[sim fail=cut]]")
            .requests(1),
        // No SDK notices.
        row("a stream without its end", "events", "role text")
            .prompt("[[sim text=Hello fail=truncated]]")
            .requests(1),
        row("a stream with an event that is no JSON", "events", "JSONDecodeError")
            .but(&[JAVASCRIPT], "SyntaxError")
            .prompt("[[sim fail=malformed]]")
            .requests(1),
        row("half a body", "create", "JSONDecodeError")
            .but(&[JAVASCRIPT], "SyntaxError")
            .prompt("[[sim fail=truncated]]")
            .requests(1),
        row("a page instead of an answer", "create", "a str")
            .but(&[JAVASCRIPT], "a string")
            .prompt("[[sim fail=malformed]]")
            .requests(1),
        row("an error with status 200", "create", "without usage")
            .but(&[JAVASCRIPT], "an object of type undefined")
            .prompt("[[sim fail=error200]]")
            .requests(1),
        row("a connection that is closed", "create", HELLO)
            .prompt("[[sim text=Hello fail=close]]")
            .requests(2)
            .least_ms(375),
        row("a connection that is reset", "create", "APIConnectionError")
            .prompt("[[sim fail=reset]]")
            .max_retries(0)
            .requests(1),
        row("nothing at all", "create", "APITimeoutError")
            .but(&[JAVASCRIPT], "APIConnectionTimeoutError")
            .prompt("[[sim fail=stall-first]]")
            .timeout(1.0)
            .max_retries(0)
            .requests(1)
            .least_ms(1000),
        row("a redirect", "create", "APIConnectionError")
            .prompt("[[sim fail=307]]")
            .max_retries(0)
            .requests(1),
    ]
}

/// Replies that are right in their way, and unusual.
fn odd() -> Vec<Row> {
    vec![
        row("a compressed answer", "create", "Hello [stop]")
            .prompt("[[sim text=Hello fail=gzip]]")
            .requests(1),
        row("a compressed stream", "stream", "Hello [stop]")
            .prompt("[[sim text=Hello fail=gzip]]")
            .requests(1),
        row("a page of a proxy", "create", "InternalServerError 502")
            .prompt("[[sim fail=502:html]]")
            .max_retries(0)
            .requests(1),
        row("nothing with status 200", "create", "JSONDecodeError")
            .but(&[JAVASCRIPT], "a undefined")
            .prompt("[[sim fail=empty200]]")
            .requests(1),
        row("a reason to stop that nobody knows", "create", "Hello [out_of_ink]")
            .prompt("[[sim text=Hello fail=unknown-stop]]")
            .requests(1),
        row("a thousand keep-alives", "stream", HELLO)
            .prompt("[[sim text=Hello fail=ping-flood]]")
            .requests(1),
        row("a last word that is said twice", "stream", HELLO)
            .prompt("[[sim text=Hello fail=duplicate-delta]]")
            .requests(1),
        row("an answer without usage", "create", "Hello [stop] without usage")
            .prompt("[[sim text=Hello fail=no-usage]]")
            .requests(1),
        // A timeout is for each read, or until the headers: never for the whole.
        row("an answer that takes longer than the timeout", "create", HELLO)
            .prompt("[[sim text=Hello fail=drip:60]]")
            .timeout(1.0)
            .requests(1)
            .least_ms(1000),
        // They follow, and send the prompt again.
        row("a redirect on the same host", "create", HELLO)
            .prompt("[[sim text=Hello fail=307:{url}/v1/chat/completions]]")
            .requests(2)
            .max_retries(0)
            .redirected(),
        // There an `x-api-key` goes along, an `authorization` does not.
        row("a redirect to another host", "create", "AuthenticationError 401 invalid_request_error")
            .prompt("[[sim text=Hello fail=307:{other}/v1/chat/completions]]")
            .requests(1)
            .max_retries(0)
            .redirected(),
    ]
}
