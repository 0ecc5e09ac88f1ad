//! Faults as the dialects that are really spoken see them, and what replies tell of quotas.

use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use sortie_providers::dialect;

use super::*;
use crate::testing::{NOON, scenario};

const SECOND: Duration = Duration::from_secs(1);

/// A request in a provider's own words.
fn request(dialect: &str, prompt: &str, stream: bool) -> ServerRequest {
    let dialect = dialect::by_name(dialect).unwrap();
    let asked = dialect::Request {
        model: if dialect.name() == "anthropic" { "claude-sonnet-4-5" } else { "gpt-4o" }.to_owned(),
        prompt: prompt.to_owned(),
        max_tokens: 300,
        stream,
        ..dialect::Request::default()
    };
    let encoded = dialect.encode(&asked, &dialect.default_variant());
    let mut headers: HeaderMap = encoded.headers;
    headers.insert("authorization", HeaderValue::from_static("Bearer sk-test"));
    ServerRequest {
        method: Method::POST,
        path: dialect.path().to_owned(),
        query: None,
        headers,
        body: encoded.body,
    }
}

fn reply(more: &str, dialect: &str, prompt: &str, stream: bool) -> Timeline {
    Model::new(scenario(more), 42).handle(&request(dialect, prompt, stream), NOON)
}

/// The reply to the same request whatever the fault.
fn failing(dialect: &str, fault: &str, stream: bool) -> Timeline {
    let mut model = Model::new(scenario(""), 42);
    model.standing.fail_next.push_back(fault.parse().unwrap());
    model.handle(&request(dialect, "Hello [[sim latency=2 ttft=1]]", stream), NOON)
}

fn header<'a>(timeline: &'a Timeline, name: &str) -> Option<&'a str> {
    timeline.head.as_ref()?.headers.get(name)?.to_str().ok()
}

fn body(timeline: &Timeline) -> String {
    let bytes: Vec<u8> = timeline.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_whole_answer_is_wrong_in_just_what_the_fault_says() {
    for dialect in ["anthropic", "openai"] {
        for stream in [true, false] {
            let check = |fault: &str, there: &str, gone: &str| {
                let text = body(&failing(dialect, fault, stream));
                assert!(text.contains(there), "{dialect} {fault} {stream}: {text}");
                assert!(gone.is_empty() || !text.contains(gone), "{dialect} {fault} {stream}: {text}");
            };
            check("ok", "\"id\":", "another-model");
            check("wrong-model", "another-model", "claude-sonnet-4-5");
            check("no-id", "\"model\":", "\"id\":");
            check("unknown-stop", "out_of_ink", "end_turn");
        }
    }
    let twice = body(&failing("anthropic", "duplicate-delta", true));
    assert_eq!(
        (twice.matches("event: message_delta").count(), twice.matches("event: message_stop").count()),
        (2, 1)
    );
    let pings = body(&failing("anthropic", "ping-flood", true));
    assert!(pings.matches("event: ping").count() >= 1000);
    assert!(body(&failing("openai", "ping-flood", true)).matches(": keep-alive\n\n").count() >= 1000);
    let used = |fault| {
        let answer: Value = serde_json::from_str(&body(&failing("anthropic", fault, false))).unwrap();
        answer["usage"]["output_tokens"].as_u64().unwrap()
    };
    assert_eq!(used("wrong-usage"), used("ok") / 2);
}

#[test]
fn an_overlong_answer_says_and_bills_what_nobody_allowed() {
    for dialect in ["anthropic", "openai", "openai-responses"] {
        let mut model = Model::new(scenario(""), 42);
        model.standing.fail_next.push_back(Fault::Overlong);
        let timeline = model.handle(&request(dialect, "Hello", true), NOON);
        assert!(body(&timeline).contains("1200") && body(&timeline).len() > 4 * 1000, "{dialect}");
        model.delivered(timeline.ticket.unwrap(), Delivery::Whole, NOON + 60 * SECOND);
        assert_eq!(model.ledger()[0].output_tokens, 4 * 300, "{dialect}");
    }
}

#[test]
fn a_fault_of_time_keeps_every_byte_and_changes_when_it_comes() {
    let calm = failing("anthropic", "ok", true);
    let late = failing("anthropic", "delay:30", true);
    assert_eq!(late.head.as_ref().unwrap().at, calm.head.as_ref().unwrap().at + 30 * SECOND);
    assert_eq!((body(&late), late.end), (body(&calm), End::Closed(32 * SECOND)));
    let drip = failing("anthropic", "drip:10", true);
    let End::Closed(end) = drip.end else { panic!("{:?}", drip.end) };
    assert_eq!((body(&drip), drip.chunks.len()), (body(&calm), body(&calm).len()));
    assert_eq!(end, SECOND + Duration::from_millis(100) * (body(&calm).len() as u32 - 1));
    for stream in [true, false] {
        let (calm, paused) = (failing("anthropic", "ok", stream), failing("anthropic", "pause:30", stream));
        assert_eq!((body(&paused), paused.end), (body(&calm), End::Closed(32 * SECOND)), "{stream}");
        let waits = paused.chunks.windows(2).filter(|two| two[1].at >= two[0].at + 30 * SECOND);
        assert_eq!(waits.count(), 1, "{stream}");
        assert_eq!((paused.head, paused.chunks[0].at), (calm.head, calm.chunks[0].at), "{stream}");
    }
    let long = reply("", "openai", "[[sim output_tokens=100000 latency=1 fail=drip]]", false);
    assert!(long.chunks.len() <= 20_000);
}

#[test]
fn an_error_comes_after_so_many_tokens() {
    let tokens = |fault: &str| {
        let prompt = format!("[[sim output_tokens=200 fail={fault}]]");
        let stream = body(&reply("", "anthropic", &prompt, true));
        assert!(stream.trim_end().contains("event: error"), "{fault}");
        stream.matches("text_delta").count()
    };
    // 200 tokens are 800 bytes, in 40 pieces of five tokens.
    assert_eq!([0, 1, 5, 6, 100, 9000].map(|n| tokens(&format!("midstream:{n}"))), [0, 1, 1, 2, 20, 40]);
    assert_eq!(tokens("midstream"), 20);
}

#[test]
fn a_compressed_answer_says_so_and_has_all_its_bytes() {
    for stream in [true, false] {
        let (plain, packed) = (failing("openai", "ok", stream), failing("openai", "gzip", stream));
        assert_eq!(header(&packed, "content-encoding"), Some("gzip"));
        assert_eq!(packed.chunks.len(), plain.chunks.len());
        let bytes: Vec<u8> = packed.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
        let length = header(&packed, "content-length").map(|length| length.parse::<usize>().unwrap());
        assert_eq!(length, (!stream).then_some(bytes.len()));
        let unpacked = body(&plain).len() as u32;
        assert!(bytes.starts_with(&[0x1f, 0x8b, 8]) && bytes.ends_with(&unpacked.to_le_bytes()));
    }
}

#[test]
fn bodies_that_are_no_answer_come_with_status_200_or_a_proxys() {
    let bomb = failing("openai", "gzip-bomb", false);
    assert_eq!(header(&bomb, "content-encoding"), Some("gzip"));
    assert!(bomb.chunks[0].bytes.starts_with(&[0x1f, 0x8b]) && bomb.chunks[0].bytes.len() < 110_000);
    let empty = failing("openai", "empty200", true);
    assert_eq!((header(&empty, "content-length"), body(&empty)), (Some("0"), String::new()));
    let page = failing("anthropic", "413:html", false);
    assert_eq!(header(&page, "content-type"), Some("text/html"));
    let elsewhere = failing("openai", "307:http://127.0.0.1:9/", false);
    assert_eq!(header(&elsewhere, "location"), Some("http://127.0.0.1:9/"));
    assert_eq!(header(&failing("openai", "308", false), "location"), Some("http://elsewhere.invalid/"));
}

#[test]
fn headers_are_wrong_in_the_way_that_the_scenario_names() {
    let quotas = "requests_per_minute: 60\nrequests_burst: 9\ninput_tokens_per_minute: 2500";
    let check = |more: &str, remaining: Option<&str>, reset: Option<&str>| {
        let timeline = reply(&format!("{quotas}\n{more}"), "anthropic", "Hello", true);
        let told = ["remaining", "reset"]
            .map(|what| header(&timeline, &format!("anthropic-ratelimit-requests-{what}")));
        assert_eq!(told, [remaining, reset], "{more}");
    };
    check("", Some("59"), Some("2027-01-15T08:00:01Z"));
    check("limit_headers: absent", None, None);
    check("limit_headers: rounded", Some("0"), Some("2027-01-15T08:00:01Z"));
    check("limit_headers: skewed", Some("59"), Some("2027-01-15T09:00:01Z"));
    check("limit_headers: negative", Some("-1"), Some("-1"));
    check("limit_headers: zero", Some("0"), Some("0"));
    check("limit_headers: nan", Some("NaN"), Some("NaN"));
    check("limit_headers: huge", Some("1000000000"), Some("1000000000"));
    check("clock_skew_s: -60", Some("59"), Some("2027-01-15T07:59:01Z"));
    let skewed = reply("clock_skew_s: -60", "anthropic", "Hello", true);
    assert_eq!(header(&skewed, "date"), Some("Fri, 15 Jan 2027 07:59:00 GMT"));
    assert_eq!(header(&reply("", "anthropic", "Hello", true), "date"), None);
}

#[test]
fn whether_to_retry_is_said_as_told() {
    let check = |more: &str, directive: &str, expected: Option<&str>| {
        let timeline = reply(more, "openai", &format!("[[sim {directive}]]"), true);
        assert_eq!(header(&timeline, "x-should-retry"), expected, "{more} {directive}");
    };
    check("", "fail=529", None);
    check("should_retry: false", "fail=529", Some("false"));
    check("should_retry: false", "fail=529 should_retry=true", Some("true"));
    check("should_retry: true", "fail=ok", None);
}

#[test]
fn a_request_over_quota_is_told_in_each_providers_words() {
    let second = |more: &str, dialect: &str, prompt: &str| {
        let mut model = Model::new(scenario(more), 42);
        let request = request(dialect, prompt, true);
        model.handle(&request, NOON);
        let timeline = model.handle(&request, NOON);
        let error: Value = serde_json::from_str(&body(&timeline)).unwrap();
        let wait = header(&timeline, "retry-after").map(str::to_owned);
        (error["error"]["type"].as_str().unwrap().to_owned(), error["error"]["message"].clone(), wait)
    };
    let check = |more: &str, dialect: &str, kind: &str, message: &str, wait: Option<&str>| {
        let expected = (kind.to_owned(), json!(message), wait.map(str::to_owned));
        assert_eq!(second(more, dialect, "Hello"), expected, "{more}");
    };
    check(
        "requests_per_minute: 50\nrequests_burst: 1",
        "anthropic",
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute",
        Some("2"),
    );
    check(
        "output_tokens_per_minute: 8000\notpm: max_tokens_up_front\nquotas: { anthropic: { output_tokens_per_minute: 400 } }",
        "anthropic",
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 400 output tokens per minute",
        Some("30"),
    );
    check(
        "tokens_per_minute: 500\nretry_after: milliseconds",
        "openai",
        "tokens",
        "Rate limit reached for gpt-4o in organization org-simulated on tokens per min (TPM): Limit 500, Used 300, Requested 300. Please try again in 12s. Visit https://platform.openai.com/account/rate-limits to learn more.",
        None,
    );
    check(
        "tokens_per_minute: 200",
        "openai",
        "tokens",
        "Request too large for gpt-4o in organization org-simulated on tokens per min (TPM): Limit 200, Requested 300. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.",
        None,
    );
    check(
        "requests_per_day: 1",
        "openai",
        "requests",
        "Rate limit reached for gpt-4o in organization org-simulated on requests per day (RPD). Please try again in 86400s. Visit https://platform.openai.com/account/rate-limits to learn more.",
        Some("86400"),
    );
}

#[test]
fn models_of_a_class_share_a_quota() {
    let mut model = Model::new(scenario("requests_per_minute: 1"), 42);
    let mut check = |name: &str, expected: u16| {
        let mut request = request("anthropic", "Hello", true);
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        request.body = body.replace("claude-sonnet-4-5", name).into();
        let timeline = model.handle(&request, NOON);
        assert_eq!(timeline.head.unwrap().status.as_u16(), expected, "{name}");
    };
    check("claude-opus-4-1", 200);
    check("claude-opus-4-8", 429);
    check("claude-opus-5", 200);
    check("claude-haiku-4-5", 200);
}
