//! What Anthropic's SDKs have to make of the simulator's replies: measured against the SDKs named
//! here, or read in their sources (their `_base_client.py` and `client.mjs` for retries and waits).

use serde_json::{Value, json};

use super::table::{Column, Row, row};

pub(crate) const PYTHON_0: Column = 0;
pub(crate) const PYTHON_1: Column = 1;
pub(crate) const PYTHON_2: Column = 2;
pub(crate) const JAVASCRIPT: Column = 3;

/// Those that speak version 2026-10-21 and send the key as a bearer's.
const NEW: [Column; 2] = [PYTHON_2, JAVASCRIPT];

/// A model that can be made to call a tool, and be told what to spend on thinking: the newest cannot.
const FORCED: &str = "claude-sonnet-4-6";

/// What the simulator does not do yet.
pub(crate) const PENDING: &[&str] = &[];

/// Asked where the shape of the answer matters and not its words.
const QUESTION: &str = "What is the weather?";

/// An answer in several pieces.
const LONG: &str = "[[sim output_tokens=60]]";

const HELLO: &str = "Hello [end_turn]";
const TOOL: &str = "get_weather(weather) [tool_use]";
const WEATHER: &str = "weather [end_turn]";

pub(crate) fn rows() -> Vec<Row> {
    [answers(), endpoints(), errors(), told_apart(), waits(), told(), broken(), odd()]
        .into_iter()
        .flatten()
        .collect()
}

fn answers() -> Vec<Row> {
    vec![
        row("a message", "create", HELLO).requests(1),
        row("a streamed message", "stream", HELLO).requests(1),
        row(
            "the events of a stream",
            "events",
            "message_start content_block_start content_block_delta+ content_block_stop message_delta message_stop",
        )
        .prompt(LONG),
        row("an answer at its limit", "create", "Hello to [max_tokens]")
            .prompt("[[sim text=\"Hello to all of them\"]]")
            .extra(json!({ "max_tokens": 2 })),
        row("a stop sequence", "create", "Hello [stop_sequence]")
            .prompt("[[sim text=\"Hello. And more.\"]]")
            .extra(json!({ "stop_sequences": ["."] })),
        row("a tool call", "tool", TOOL).prompt(QUESTION).extra(json!({ "model": FORCED })),
        row("a streamed tool call", "stream_tool", TOOL).prompt(QUESTION).extra(json!({ "model": FORCED })),
        row("a structured answer", "parse", WEATHER).prompt(QUESTION),
        row("a streamed structured answer", "stream_parse", WEATHER).prompt(QUESTION),
        row("a message by the path of betas", "beta", HELLO).requests(1),
        row("the loop over tools", "tool_runner", "tool_use, end_turn; called 1").prompt(QUESTION),
        row("a thread", "thread", "6 turns, more each time True").not_for(&[PYTHON_0, PYTHON_1, JAVASCRIPT]),
        row("every field of usage", "usage", "all"),
        row("a prompt that is cached", "cached", "written, then read"),
        row("thinking", "thinking", "thinking Hello [end_turn]").extra(json!({ "model": FORCED })),
        refused("thinking at a model that decides for itself", "thinking", json!({})),
        refused("a tool call that is not to be forced", "tool", json!({})),
        refused(
            "a result without its call",
            "create",
            json!({ "messages": [
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "9" }] }] }),
        ),
        refused("a turn that says nothing", "create", json!({ "messages": [{ "role": "user", "content": " " }] })),
        row("a temperature", "create", HELLO)
            .extra(json!({ "temperature": 1.0 }))
            .requests(1)
            .but(&NEW, "BadRequestError 400 invalid_request_error"),
    ]
}

/// A request that the API does not take.
fn refused(name: &'static str, verb: &'static str, extra: Value) -> Row {
    row(name, verb, "BadRequestError 400 invalid_request_error").extra(extra).requests(1)
}

fn endpoints() -> Vec<Row> {
    vec![
        row("headers", "headers", "12 of quotas, request id req_"),
        row("counting tokens", "count_tokens", "as billed"),
        row("all models and one", "models", "model True"),
        row("a model that there is not", "model_unknown", "NotFoundError 404 not_found_error"),
        row(
            "a batch",
            "batch",
            "in_progress 1+1; one: Hello [end_turn] batch; two: errored invalid_request_error; listed True; message_batch_deleted",
        ),
        row("a batch that is canceled", "batch_cancel", "canceling; one: canceled"),
        row(
            "a batch that expires",
            "batch_expired",
            "at its time, 1+1; one: Hello [end_turn] batch; two: expired",
        ),
        row("an unknown model", "create", "NotFoundError 404 not_found_error")
            .extra(json!({ "model": "no-such-model" }))
            .requests(1),
    ]
}

/// Every status that the provider documents, with the class that each SDK has for it.
fn errors() -> Vec<Row> {
    vec![
        row("400", "create", "BadRequestError 400 invalid_request_error")
            .prompt("[[sim fail=400]]")
            .requests(1),
        row("401", "create", "AuthenticationError 401 authentication_error")
            .prompt("[[sim fail=401]]")
            .requests(1),
        row("a key that is not valid", "create", "AuthenticationError 401 authentication_error")
            .key_of("sk-sim-invalid"),
        row("402", "create", "APIStatusError 402 billing_error")
            .but(&NEW, "PaymentRequiredError 402 billing_error")
            .prompt("[[sim fail=402]]")
            .requests(1),
        row("403", "create", "PermissionDeniedError 403 permission_error")
            .prompt("[[sim fail=403]]")
            .requests(1),
        row("404", "create", "NotFoundError 404 not_found_error").prompt("[[sim fail=404]]").requests(1),
        row("413", "create", "RequestTooLargeError 413 request_too_large")
            .but(&NEW, "ContentTooLargeError 413 request_too_large")
            .prompt("[[sim fail=413]]")
            .requests(1),
        row("422", "create", "UnprocessableEntityError 422 invalid_request_error")
            .prompt("[[sim fail=422]]")
            .requests(1),
        retried("408", "APIStatusError 408 invalid_request_error", "[[sim fail=408,408,408]]")
            .but(&NEW, "RequestTimeoutError 408 invalid_request_error"),
        retried("409", "ConflictError 409 conflict_error", "[[sim fail=409,409,409]]"),
        retried("500", "InternalServerError 500 api_error", "[[sim fail=500,500,500]]"),
        retried("502", "InternalServerError 502 api_error", "[[sim fail=502,502,502]]"),
        retried("503", "InternalServerError 503 api_error", "[[sim fail=503,503,503]]")
            .but(&NEW, "ServiceUnavailableError 503 api_error"),
        retried("504", "InternalServerError 504 timeout_error", "[[sim fail=504,504,504]]")
            .but(&NEW, "GatewayTimeoutError 504 timeout_error"),
        retried("529", "OverloadedError 529 overloaded_error", "[[sim fail=529,529,529]]"),
    ]
}

/// Errors of one status that mean different things.
fn told_apart() -> Vec<Row> {
    let bad = |name, prompt| {
        row(name, "create", "BadRequestError 400 invalid_request_error").prompt(prompt).requests(1)
    };
    vec![
        bad("a prompt that is too long", "[[sim fail=400:prompt_too_long]]"),
        bad("no credit", "[[sim fail=400:credit]]"),
        bad("a spend limit of one's own", "[[sim fail=400:usage_limit]]"),
        bad("a workspace's spend limit", "[[sim fail=400:workspace_usage_limit]]"),
        row("a contract's limit", "create", "RateLimitError 429 contract_spend_limit_reached")
            .but(&NEW, "ContractSpendLimitReachedError 429 contract_spend_limit_reached")
            .prompt("[[sim fail=429:contract_spend_limit_reached]]")
            .max_retries(0)
            .requests(1),
        row("a ramp that is too steep", "create", HELLO)
            .prompt("[[sim text=Hello fail=429:ramp_limit_exceeded retry_after=1]]")
            .requests(2)
            .least_ms(1000),
        row("a request that the client closed", "create", "APIStatusError 499 invalid_request_error")
            .but(&NEW, "ClientClosedRequestError 499 invalid_request_error")
            .prompt("[[sim fail=499]]")
            .requests(1),
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
            .prompt("[[sim text=Hello fail=529,ok]]")
            .requests(2)
            .least_ms(375),
        row("a stream after an error", "stream", HELLO)
            .prompt("[[sim text=Hello fail=529,ok]]")
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
            .least_ms(OWN_WAITS_MS),
        // The oldest takes no more than a minute; the others would wait.
        row("a wait of more than a minute", "create", HELLO)
            .prompt("[[sim text=Hello fail=429,429 retry_after=61]]")
            .requests(3)
            .least_ms(OWN_WAITS_MS)
            .not_for(&[PYTHON_1, PYTHON_2, JAVASCRIPT]),
        row("a wait that is no number", "create", HELLO)
            .prompt("[[sim text=Hello fail=429,429 retry_after=soon]]")
            .requests(3)
            .least_ms(OWN_WAITS_MS),
        row("no retries wanted", "create", "OverloadedError 529 overloaded_error")
            .prompt("[[sim fail=529]]")
            .max_retries(0)
            .requests(1),
        row("a monthly limit", "create", "RateLimitError 429 enforced_spend_limit_reached")
            .but(&NEW, "EnforcedSpendLimitReachedError 429 enforced_spend_limit_reached")
            .prompt("[[sim fail=429:quota,429:quota,429:quota]]")
            .requests(3)
            .least_ms(OWN_WAITS_MS),
    ]
}

/// What the server says about retries goes before the status.
fn told() -> Vec<Row> {
    vec![
        row("a bad request that is to be retried", "create", HELLO)
            .prompt("[[sim text=Hello fail=400 should_retry=true]]")
            .requests(2)
            .least_ms(375),
        row("an overload that is not to be retried", "create", "OverloadedError 529 overloaded_error")
            .prompt("[[sim fail=529 should_retry=false]]")
            .requests(1),
    ]
}

/// Replies that break off, do not come, or are not the protocol's.
fn broken() -> Vec<Row> {
    vec![
        row("an error in mid-stream", "events", "APIStatusError 200 overloaded_error")
            .but(&[JAVASCRIPT], "APIError overloaded_error")
            .prompt("[[sim fail=midstream]]")
            .requests(1),
        row("a stream that is cut", "events", "RemoteProtocolError")
            .but(&[JAVASCRIPT], "TypeError: terminated")
            .prompt("[[sim fail=cut]]")
            .requests(1),
        // The Python SDKs take it for a whole message.
        row("a stream without its last event", "stream", HELLO)
            .but(
                &[JAVASCRIPT],
                "AnthropicError: stream ended without producing a Message with role=assistant",
            )
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
        row("an error with status 200", "create", "no content [None] without usage")
            .but(&[JAVASCRIPT], "an object of type error")
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
        row("a compressed answer", "create", "Hello [end_turn]")
            .prompt("[[sim text=Hello fail=gzip]]")
            .requests(1),
        row("a compressed stream", "stream", "Hello [end_turn]")
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
        row("an answer without usage", "create", "Hello [end_turn] without usage")
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
            .prompt("[[sim text=Hello fail=307:{url}/v1/messages]]")
            .requests(2)
            .max_retries(0)
            .redirected(),
        // There an `x-api-key` goes along, an `authorization` does not.
        row("a redirect to another host", "create", "AuthenticationError 401 authentication_error")
            .prompt("[[sim text=Hello fail=307:{other}/v1/messages]]")
            .requests(1)
            .max_retries(0)
            .redirected()
            .but(&[PYTHON_0, PYTHON_1], HELLO)
            .but_requests(&[PYTHON_0, PYTHON_1], 2, 0),
    ]
}
