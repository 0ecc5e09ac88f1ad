//! The model alone: no clock, no socket.

use http::Method;
use serde_json::Value;

use super::*;
use crate::testing::{Ask, NOON, ask, fault, model, request};
use crate::timeline::End;

const SECOND: Duration = Duration::from_secs(1);

fn status(timeline: &Timeline) -> Option<u16> {
    timeline.head.as_ref().map(|head| head.status.as_u16())
}

fn header<'a>(timeline: &'a Timeline, name: &str) -> Option<&'a str> {
    timeline.head.as_ref()?.headers.get(name)?.to_str().ok()
}

fn body(timeline: &Timeline) -> String {
    let bytes: Vec<u8> = timeline.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

/// The reply, delivered as its end says.
fn served(model: &mut Model, ask: &Ask, now: Duration) -> Timeline {
    let timeline = model.handle(&request(ask, "sk-test"), now);
    let (delivery, at) = match timeline.end {
        End::Closed(at) => (Delivery::Whole, at),
        End::Cut(at) | End::Reset(at) => (Delivery::Broken, at),
        End::Stall => (Delivery::Broken, 1000 * SECOND),
    };
    if let Some(ticket) = timeline.ticket {
        model.delivered(ticket, delivery, now + at);
    }
    timeline
}

#[test]
fn replies_do_not_depend_on_the_order_of_requests() {
    let faults = "faults: [{ kind: 529, share: 0.3 }, { kind: cut, share: 0.2 }]";
    let asks: Vec<Ask> = (0..40).map(|n| ask(&format!("Question {n}"))).collect();
    let replies = |order: &mut dyn Iterator<Item = usize>| {
        let mut model = model(faults);
        let mut replies: Vec<(usize, u32, Timeline)> = Vec::new();
        for (nth, n) in order.enumerate() {
            let attempt = 1 + replies.iter().filter(|(m, ..)| *m == n).count() as u32;
            let mut timeline = served(&mut model, &asks[n], NOON + SECOND * nth as u32);
            // What tells replies apart: the ids of the ticket and of the reply.
            timeline.ticket = None;
            timeline.head.as_mut().unwrap().headers.remove("request-id");
            replies.push((n, attempt, timeline));
        }
        replies.sort_by_key(|(n, attempt, _)| (*n, *attempt));
        (replies, model.stats())
    };
    let (forward, counted) = replies(&mut (0..40).chain(0..40));
    let (backward, counted_backward) = replies(&mut (0..40).rev().flat_map(|n| [n, n]));
    assert_eq!(forward, backward);
    assert_eq!(counted.output_tokens, counted_backward.output_tokens);
    let statuses: Vec<_> = forward.iter().map(|(.., timeline)| status(timeline)).collect();
    assert!(statuses.contains(&Some(529)) && statuses.contains(&Some(200)));
    let by_try = forward.chunks(2).any(|tries| status(&tries[0].2) != status(&tries[1].2));
    assert!(by_try, "a retry draws anew");
}

#[test]
fn the_seed_decides() {
    let reply = |seed| {
        let mut model = Model::speaking(crate::testing::DIALECTS, crate::testing::scenario(""), seed);
        served(&mut model, &ask("Say something."), NOON)
    };
    assert_eq!(reply(1), reply(1));
    assert_ne!(body(&reply(1)), body(&reply(2)));
}

#[test]
fn streamed_or_not_the_answer_and_its_last_byte_are_the_same() {
    let streamed = served(&mut model(""), &ask("Go on."), NOON);
    let at_once = served(&mut model(""), &Ask { stream: false, ..ask("Go on.") }, NOON);
    let whole: Value = serde_json::from_str(&body(&at_once)).unwrap();
    let events: Vec<Value> = body(&streamed)
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let text: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(text, whole["text"].as_str().unwrap());
    assert_eq!(events.last().unwrap()["usage"], whole["usage"]);
    assert_eq!(streamed.end, at_once.end);
    assert_eq!(header(&streamed, "content-type"), Some("text/event-stream"));
    assert!(streamed.head.unwrap().at < at_once.head.unwrap().at);
}

#[test]
fn a_steered_time_is_kept_to_the_letter() {
    let check = |directive: &str, first: Option<f64>, last: Option<f64>| {
        let timeline = served(&mut model(""), &ask(&format!("Wait. [[sim {directive}]]")), NOON);
        let head = timeline.head.unwrap().at.as_secs_f64();
        let End::Closed(end) = timeline.end else { panic!("{directive}: {:?}", timeline.end) };
        assert!(first.is_none_or(|first| first.to_bits() == head.to_bits()), "{directive}: {head}");
        assert!(
            last.is_none_or(|last| last.to_bits() == end.as_secs_f64().to_bits()),
            "{directive}: {end:?}"
        );
        assert!(timeline.chunks.is_sorted_by_key(|chunk| chunk.at), "{directive}");
        assert_eq!(timeline.chunks.last().unwrap().at, end);
    };
    check("latency=1.5 ttft=0.4", Some(0.4), Some(1.5));
    check("latency=0.001", Some(0.001), Some(0.001));
    check("latency=0", Some(0.0), Some(0.0));
    check("latency=1 ttft=3", Some(1.0), Some(1.0));
    check("ttft=30", Some(30.0), None);
}

#[test]
fn a_directive_steers_each_try_and_each_kind_of_reply() {
    let check = |written: &str, stream: bool, reply: Option<u16>, billed: Option<u64>, part: &str| {
        let mut model = model("");
        let ask =
            Ask { stream, ..ask(&format!("[[sim latency=4 ttft=2 output_tokens=100 fail={written}]]")) };
        let timeline = served(&mut model, &ask, NOON);
        let context = format!("{written}, streamed: {stream}: {timeline:?}");
        assert_eq!(status(&timeline), reply, "{context}");
        assert!(body(&timeline).contains(part), "{context}");
        assert_eq!(model.ledger().first().map(|entry| entry.output_tokens), billed, "{context}");
        let whole = model.ledger().first().and_then(|entry| entry.delivered_whole);
        assert_eq!(whole == Some(true), fault(written).is_whole(), "{context}");
        let retry = served(&mut model, &ask, NOON + 60 * SECOND);
        assert_eq!((status(&retry), retry.end), (Some(200), End::Closed(4 * SECOND)), "{context}");
        assert!(body(&retry).contains("usage"), "{context}");
    };
    for stream in [true, false] {
        check("ok", stream, Some(200), Some(100), "usage");
        check("529", stream, Some(529), None, "kind_529");
        check("429:quota", stream, Some(429), None, "enforced_spend_limit_reached");
        check("503:server_is_overloaded", stream, Some(503), None, "server_is_overloaded");
        check("307", stream, Some(307), None, "");
        check("close", stream, None, None, "");
        check("reset", stream, None, None, "");
        check("stall-first", stream, None, None, "");
        check("error200", stream, Some(200), None, "kind_500");
        check("lost", stream, None, Some(100), "");
        check("no-usage", stream, Some(200), Some(100), "finish");
        check("no-credit", stream, Some(400), None, "credit balance is too low");
        check("502:html", stream, Some(502), None, "<html>");
        check("empty200", stream, Some(200), None, "");
        check("wrong-usage", stream, Some(200), Some(100), "usage");
        check("unknown-stop", stream, Some(200), Some(100), "out_of_ink");
        check("drip:9", stream, Some(200), Some(100), "usage");
        check("delay:9", stream, Some(200), Some(100), "usage");
        check("duplicate-delta", stream, Some(200), Some(100), "usage");
        check("ping-flood", stream, Some(200), Some(100), "usage");
        check("truncated", stream, Some(200), Some(100), "text");
    }
    // 400 bytes are 20 pieces; half of them come before the fault.
    check("cut", true, Some(200), Some(50), "text");
    check("stall", true, Some(200), Some(50), "text");
    check("reset-mid", true, Some(200), Some(50), "text");
    check("stall-head", true, Some(200), Some(0), "");
    check("stall-head", false, Some(200), Some(100), "");
    check("reset-mid", false, Some(200), Some(100), "{");
    check("midstream", true, Some(200), Some(50), "kind_529");
    check("malformed", true, Some(200), Some(50), "text");
    check("cut", false, Some(200), Some(100), "{");
    check("stall", false, Some(200), Some(100), "{");
    check("malformed", false, Some(200), Some(100), "<html>");
    check("midstream", false, Some(200), None, "kind_500");
}

#[test]
fn broken_replies_break_where_they_should() {
    let reply = |stream, fault: &str| {
        served(
            &mut model(""),
            &Ask { stream, ..ask(&format!("[[sim latency=4 ttft=2 fail={fault}]]")) },
            NOON,
        )
    };
    for stream in [true, false] {
        assert!(matches!(reply(stream, "cut").end, End::Cut(_)));
        assert_eq!(reply(stream, "stall").end, End::Stall);
        assert_eq!(reply(stream, "stall-first").end, End::Stall);
        assert_eq!(reply(stream, "lost").end, End::Reset(4 * SECOND));
        assert!(matches!(reply(stream, "close").end, End::Cut(at) if at < SECOND));
        assert!(matches!(reply(stream, "reset").end, End::Reset(at) if at < SECOND));
    }
    let truncated = body(&reply(true, "truncated"));
    assert!(truncated.contains("\"finish\"") && !truncated.contains("[DONE]"), "{truncated}");
    let no_usage = body(&reply(true, "no-usage"));
    assert!(!no_usage.contains("usage") && no_usage.ends_with("data: [DONE]\n\n"), "{no_usage}");
    for fault in ["cut", "stall"] {
        let timeline = reply(false, fault);
        let promised: usize = header(&timeline, "content-length").unwrap().parse().unwrap();
        assert!(body(&timeline).len() < promised, "{fault}");
    }
    let malformed = body(&reply(true, "malformed"));
    let event = malformed.trim_end().rsplit("\n\n").next().unwrap();
    let (name, data) = event.split_once("data: ").unwrap();
    assert!(malformed.contains(&format!("\n\n{name}data: {data}")), "{malformed}");
    assert!(serde_json::from_str::<Value>(data).is_err(), "{malformed}");
    for fault in ["truncated", "malformed"] {
        assert!(serde_json::from_str::<Value>(&body(&reply(false, fault))).is_err(), "{fault}");
    }
}

#[test]
fn how_long_to_wait_is_told_as_steered_or_as_usual() {
    let check = |directive: &str, headers: &str, expected: Option<&str>| {
        let timeline = served(&mut model(headers), &ask(&format!("[[sim {directive}]]")), NOON);
        assert_eq!(header(&timeline, "retry-after"), expected, "{directive}");
    };
    check("fail=429", "", Some("1"));
    check("fail=429", "retry_after: absent", None);
    check("fail=429 retry_after=7", "retry_after: absent", Some("7"));
    check(
        "fail=503 retry_after=\"Thu, 01 Jan 1970 00:00:00 GMT\"",
        "",
        Some("Thu, 01 Jan 1970 00:00:00 GMT"),
    );
    check("fail=429:quota", "", None);
    check("fail=529", "", None);
    check("fail=429 retry_after=\"a\\nb\"", "", None);
}

#[test]
fn requests_that_no_provider_takes_are_refused_in_the_dialects_words() {
    let plain = request(&ask("Hello"), "sk-test");
    let check = |change: &dyn Fn(&mut ServerRequest), expected: u16, part: &str| {
        let mut request = plain.clone();
        change(&mut request);
        let mut model = model("retired_models: [claude-haiku-4-5]");
        let timeline = model.handle(&request, NOON);
        assert_eq!(status(&timeline), Some(expected), "{part}");
        assert!(body(&timeline).contains(part), "{part}: {}", body(&timeline));
        assert_eq!((model.stats().by_status.get(&expected), model.ledger().len()), (Some(&1), 0), "{part}");
        assert_eq!(timeline.ticket, None);
    };
    let says = |prompt: &str, request: &mut ServerRequest| {
        request.body = serde_json::to_vec(&ask(prompt)).unwrap().into();
    };
    check(&|r| r.path = "/v1/other".to_owned(), 404, "/v1/other");
    check(&|r| r.method = Method::GET, 405, "takes POST");
    check(&|r| drop(r.headers.remove("x-api-key")), 401, "key");
    check(&|r| drop(r.headers.insert("x-api-key", HeaderValue::from_static(INVALID_KEY))), 401, "key");
    check(&|r| r.body = Bytes::from_static(b"{"), 400, "EOF");
    check(&|r| says("[[sim fail=explode]]", r), 400, "explode");
    check(&|r| says("[[sim latency=", r), 400, "closing");
    check(&|r| r.body = vec![b' '; most_body("/v1/plain") + 1].into(), 413, "longer than");
    let retired = Ask { model: "claude-haiku-4-5".to_owned(), ..ask("Hello") };
    check(&|r| r.body = serde_json::to_vec(&retired).unwrap().into(), 404, "claude-haiku-4-5");
}

#[test]
fn both_forms_of_key_are_the_same_account() {
    let mut model = model("");
    let mut bearer = request(&ask("Hello"), "sk-test");
    bearer.headers.clear();
    bearer.headers.insert("authorization", HeaderValue::from_static("Bearer sk-test"));
    model.handle(&bearer, NOON);
    model.handle(&request(&ask("Hello"), "sk-test"), NOON);
    model.handle(&request(&ask("Hello"), "sk-test-2"), NOON);
    let counts: Vec<u64> = model.stats().by_key.into_values().collect();
    assert_eq!(counts.iter().sum::<u64>(), 3);
    assert_eq!(counts.iter().max(), Some(&2));
}

#[test]
fn retries_of_official_sdks_are_counted_by_what_they_say() {
    let mut model = model("");
    for said in ["0", "1", "0", "2", "soon", "-1"] {
        let mut request = request(&ask("Hello"), "sk-test");
        request.headers.insert("x-stainless-retry-count", HeaderValue::from_static(said));
        model.handle(&request, NOON);
    }
    model.handle(&request(&ask("Hello"), "sk-test"), NOON);
    assert_eq!(model.stats().by_retry_count, [(0, 2), (1, 1), (2, 1)].into());
}

#[test]
fn a_quota_binds_each_key_and_model_and_says_how_long() {
    let mut model = model("requests_per_minute: 50\nrequests_burst: 1\noutput_tokens_per_minute: 100000");
    let mut check = |key: &str, model_id: &str, at_ms: u64, expected: (u16, Option<&str>)| {
        let ask = Ask { model: model_id.to_owned(), ..ask("Hello") };
        let timeline = model.handle(&request(&ask, key), NOON + Duration::from_millis(at_ms));
        assert_eq!((status(&timeline).unwrap(), header(&timeline, "retry-after")), expected, "{key} {at_ms}");
        assert_eq!(header(&timeline, "left-requests"), Some("49"));
        assert!(header(&timeline, "left-output").is_some());
    };
    check("sk-test", "claude-haiku-4-5", 0, (200, None));
    check("sk-test", "claude-haiku-4-5", 100, (429, Some("2")));
    check("sk-test", "claude-opus-5", 100, (200, None));
    check("sk-test-2", "claude-haiku-4-5", 100, (200, None));
    check("sk-test", "claude-haiku-4-5", 1199, (429, Some("1")));
    check("sk-test", "claude-haiku-4-5", 1200, (200, None));
    assert_eq!((model.stats().throttled, model.ledger().len()), (2, 4));
}

#[test]
fn a_scenario_may_keep_its_quotas_to_itself() {
    let mut model =
        model("requests_per_minute: 60\nrequests_burst: 1\nlimit_headers: absent\nretry_after: absent");
    for expected in [200, 429] {
        let timeline = served(&mut model, &ask("Hello"), NOON);
        assert_eq!(status(&timeline), Some(expected));
        assert_eq!((header(&timeline, "left-requests"), header(&timeline, "retry-after")), (None, None));
    }
}

#[test]
fn a_request_over_quota_is_not_one_of_its_tries() {
    let mut model = model("requests_per_minute: 60\nrequests_burst: 1");
    let ask = ask("[[sim fail=529]]");
    let statuses = [0, 0, 1, 1, 2].map(|at| status(&served(&mut model, &ask, NOON + at * SECOND)));
    assert_eq!(statuses, [529, 429, 200, 429, 200].map(Some));
}

#[test]
fn what_is_billed_is_what_was_generated_when_the_client_hung_up() {
    let check = |stream: bool, after_ms: u64, output: u64| {
        let mut model = model("");
        let ask = Ask { stream, ..ask("[[sim ttft=2 latency=4 output_tokens=100]]") };
        let timeline = model.handle(&request(&ask, "sk-test"), NOON);
        assert_eq!(model.stats().in_flight, 1);
        model.delivered(timeline.ticket.unwrap(), Delivery::Broken, NOON + Duration::from_millis(after_ms));
        let (entry, stats) = (&model.ledger()[0], model.stats());
        assert_eq!((entry.output_tokens, entry.delivered_whole), (output, Some(false)), "{after_ms} ms");
        // Sonnet 4.5: $3 a million tokens of input, $15 of output.
        let cost = 3_000_000 * entry.input_tokens + 15_000_000 * output;
        assert_eq!(entry.cost_picodollars.pico(), cost);
        assert_eq!(stats.cost_usd_exact, entry.cost_picodollars.exact(2));
        assert_eq!((stats.in_flight, stats.peak_in_flight, stats.answered_whole), (0, 1, 0));
    };
    check(true, 1000, 0);
    check(true, 2000, 5);
    check(true, 2950, 50);
    check(true, 9000, 100);
    check(false, 1000, 100);
}

#[test]
fn a_repeat_is_an_answer_that_was_whole_before_and_is_paid_again() {
    let mut model = model("");
    let mut check = |ask: &Ask, repeats| {
        served(&mut model, ask, NOON);
        assert_eq!(model.stats().repeats, repeats, "{ask:?}");
    };
    let cut = ask("[[sim fail=cut,lost,529]]");
    check(&ask("One"), 0);
    check(&ask("Two"), 0);
    check(&Ask { stream: false, ..ask("One") }, 1);
    check(&Ask { max_tokens: 7, ..ask("One") }, 1);
    for _ in 0..4 {
        check(&cut, 1);
    }
    check(&cut, 2);
    assert_eq!(model.stats().answered_whole, 6);
}

#[test]
fn the_simulators_own_pages_show_the_counts_and_are_not_counted() {
    let mut model = model("");
    served(&mut model, &ask("[[sim fail=cut speed=9]] Hello"), NOON);
    let mut page = |path: &str| {
        let get =
            ServerRequest { method: Method::GET, path: path.to_owned(), ..request(&ask(""), "sk-test") };
        body(&model.handle(&get, NOON))
    };
    let (stats, ledger) = (page("/_sim/stats"), page("/_sim/ledger"));
    let ledger: Vec<Entry> = serde_json::from_str(&ledger).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&stats).unwrap(), model.stats());
    assert_eq!((model.stats().requests, model.stats().unknown_directives), (1, 1));
    assert_eq!(ledger, model.ledger());
    assert_eq!((ledger[0].fault.clone(), ledger[0].status, ledger[0].attempt), (Fault::Cut, Some(200), 1));
}

#[test]
fn the_list_of_models_has_those_of_the_price_table() {
    let get = |model: &mut Model, key| {
        let get =
            ServerRequest { method: Method::GET, path: "/v1/models".to_owned(), ..request(&ask(""), key) };
        model.handle(&get, NOON)
    };
    let listed = body(&get(&mut model(""), "sk-test"));
    let list: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(list["data"][0]["type"], "model");
    assert_eq!((list["data"].as_array().unwrap().len(), &list["has_more"]), (20, &Value::Bool(true)));
    assert!(listed.contains("\"claude-sonnet-4-5\""));
    let without = body(&get(&mut model("retired_models: [claude-sonnet-4-5]"), "sk-test"));
    assert!(!without.contains("\"claude-sonnet-4-5\""));
    assert_eq!(status(&get(&mut model(""), INVALID_KEY)), Some(401));
}
