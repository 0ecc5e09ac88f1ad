//! What is kept of an exchange, and what is answered from it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

use super::*;
use crate::server::Api;
use crate::timeline::{End, Timeline};

const MILLI: Duration = Duration::from_millis(1);

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    all.iter().map(header).collect()
}

fn request(body: &'static str, key: &str) -> ServerRequest {
    ServerRequest {
        method: Method::POST,
        path: "/v1/messages".to_owned(),
        query: Some("beta=true".to_owned()),
        headers: headers(&[("x-api-key", key), ("anthropic-version", "2023-06-01"), ("host", "sim")]),
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn heard(chunks: &[&'static [u8]]) -> Heard {
    let at = |nth: usize| MILLI * (nth as u32 + 1);
    let chunks: Vec<_> =
        chunks.iter().enumerate().map(|(nth, bytes)| (at(nth), Bytes::from_static(bytes))).collect();
    Heard {
        status: StatusCode::OK,
        headers: headers(&[
            ("content-type", "text/event-stream"),
            ("cf-ray", "8"),
            ("set-cookie", "a=biscuits"),
        ]),
        head_at: MILLI,
        end_at: at(chunks.len()),
        chunks,
        end: Ending::Closed,
    }
}

fn status(timeline: &Timeline) -> u16 {
    timeline.head.as_ref().unwrap().status.as_u16()
}

#[test]
fn an_exchange_is_kept_without_who_said_it() {
    let heard = heard(&[b"for sk-", b"canary-1 ok", &[0xff, 0x00]]);
    let exchange = Exchange::of(&request(r#"{"prompt":"say sk-canary-1"}"#, "sk-canary-1"), &heard);
    let json = serde_json::to_string(&exchange).unwrap();
    assert!(!json.contains("canary") && !json.contains("biscuits") && !json.contains("cf-ray"), "{json}");
    assert_eq!(exchange.request.headers.keys().collect::<Vec<_>>(), ["anthropic-version"]);
    let pieces: Vec<&Written> = exchange.response.chunks.iter().map(|piece| &piece.bytes).collect();
    let [text, hex] = ["for xxx", "xxxxxxxx ok"].map(|text| Written::Text(text.to_owned()));
    assert_eq!(pieces, [&text, &hex, &Written::Hex("ff00".to_owned())]);
    assert_eq!(serde_json::from_str::<Exchange>(&json).unwrap(), exchange);
}

#[test]
fn a_replay_knows_a_request_by_what_it_says_and_not_by_its_key() {
    let recorded = request(r#"{"a": 1, "b": [2]}"#, "sk-test-of-the-recorder");
    let answers = ["one", "two"].map(|text| Exchange::of(&recorded, &heard(&[text.as_bytes()])));
    let mut replay: Replay = answers.into_iter().collect();
    assert_eq!(replay.len(), 2);
    let mut check = |request: &ServerRequest, expected: Option<&'static str>| {
        let timeline = replay.handle(request, Duration::ZERO);
        let body: Vec<u8> = timeline.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
        let body = String::from_utf8(body).unwrap();
        match expected {
            Some(expected) => assert_eq!((status(&timeline), body.as_str()), (200, expected)),
            None => assert!(status(&timeline) == 404 && body.contains("no exchange was recorded"), "{body}"),
        }
    };
    let asked = request(r#"{"b":[2],"a":1}"#, "sk-another");
    check(&asked, Some("one"));
    check(&ServerRequest { query: None, ..asked.clone() }, None);
    check(&ServerRequest { path: "/v1/other".to_owned(), ..asked.clone() }, None);
    check(&ServerRequest { method: Method::PUT, ..asked.clone() }, None);
    check(&request(r#"{"b":[2],"a":2}"#, "sk-another"), None);
    check(&request("{", "sk-another"), None);
    check(&asked, Some("two"));
    check(&asked, Some("two"));
}

#[test]
fn a_body_that_broke_off_breaks_off_again_where_and_when_it_did() {
    let cut = Heard { end: Ending::Cut, ..heard(&[b"half"]) };
    let asked = request("{}", "sk-test");
    let mut replay: Replay = [Exchange::of(&asked, &cut)].into_iter().collect();
    let timeline = replay.handle(&asked, Duration::ZERO);
    assert_eq!((timeline.head.unwrap().at, timeline.end), (MILLI, End::Cut(2 * MILLI)));
}

#[test]
fn what_is_not_of_the_form_is_refused_with_the_reason() {
    let exchange = Exchange::of(&request("{}", "sk-test"), &heard(&[&[0xff]]));
    let json = serde_json::to_string(&exchange).unwrap();
    assert_eq!(Exchange::read(json.as_bytes()).unwrap(), exchange);
    let check = |from: &str, to: &str, why: &str| {
        let odd = json.replacen(from, to, 1);
        assert_ne!(odd, json);
        let error = Exchange::read(odd.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{odd}: {error}");
    };
    check("\"format\":1", "\"format\":2", "its format is 2, and 1 is known");
    check("\"hex\":\"ff", "\"hex\":\"fg", "no pairs of digits");
    check("\"hex\":\"ff", "\"hex\":\"f", "no pairs of digits");
    check("\"status\"", "\"state\"", "unknown field `state`");
    for status in [0, 99, 100, 199, 600, 65_535] {
        check("\"status\":200", &format!("\"status\":{status}"), &format!("its status is {status}"));
    }
    check("\"content-type\"", "\"content type\"", "`content type` is no name of a header");
    check("\"anthropic-version\"", "\"\"", "`` is no name of a header");
    check("text/event-stream", "text\\n", "the value of its header `content-type`");
}

#[test]
fn a_request_with_keys_in_it_is_found_again_whoever_asks() {
    let bodies = [
        r#"{"prompt":"My key is sk-canary-1"}"#,
        r#"{"prompt":"My org is 1b2c3d4e-5f60"}"#,
        r#"{"prompt":"Not sk-secrets-here"}"#,
        "sk-canary-1 in no JSON",
    ];
    let mut told = heard(&[b"one"]);
    told.headers.insert("anthropic-organization-id", HeaderValue::from_static("1b2c3d4e-5f60"));
    let exchanges = bodies.map(|body| Exchange::of(&request(body, "sk-canary-1"), &told));
    let json = serde_json::to_string(&exchanges).unwrap();
    assert!(!json.contains("canary") && !json.contains("5f60") && !json.contains("secrets"), "{json}");
    let mut replay: Replay = exchanges.into_iter().collect();
    for body in bodies {
        for key in ["sk-canary-1", "another", "Not sk-secrets-here"] {
            assert_eq!(status(&replay.handle(&request(body, key), Duration::ZERO)), 200, "{body} {key}");
        }
    }
    let other = request(r#"{"prompt":"My key is sk-canary-1, and"}"#, "sk-canary-1");
    assert_eq!(status(&replay.handle(&other, Duration::ZERO)), 404);
}

#[test]
fn a_key_in_the_query_is_no_part_of_what_is_asked() {
    let asked = |query: &str| ServerRequest { query: Some(query.to_owned()), ..request("{}", "sk-test") };
    let mut replay: Replay =
        [Exchange::of(&asked("key=canary&limit=2"), &heard(&[b"one"]))].into_iter().collect();
    let mut check = |query: &str, expected: u16| {
        assert_eq!(status(&replay.handle(&asked(query), Duration::ZERO)), expected, "{query}");
    };
    check("key=another-of-other-length&limit=2", 200);
    check("limit=2", 200);
    check("key=canary&limit=3", 404);
}

#[test]
fn a_reply_is_framed_anew_whatever_its_recorded_headers_say() {
    let check = |end: Ending, method: Method, kept: &[(&'static str, &str)], expected: Option<&str>| {
        let heard = Heard { end, headers: headers(kept), ..heard(&[b"four"]) };
        let asked = ServerRequest { method, ..request("{}", "sk-test") };
        let mut exchange = Exchange::of(&asked, &heard);
        // As somebody may have written it by hand.
        exchange.response.headers =
            kept.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut replay: Replay = [exchange].into_iter().collect();
        let found = replay.handle(&asked, Duration::ZERO).head.unwrap().headers;
        assert_eq!(found.get("content-length").map(|length| length.to_str().unwrap()), expected, "{kept:?}");
        let of_the_connection = ["connection", "keep-alive", "transfer-encoding", "upgrade", "te"];
        assert!(of_the_connection.iter().all(|name| !found.contains_key(*name)), "{found:?}");
    };
    let length = [("content-length", "9")];
    check(Ending::Closed, Method::POST, &length, Some("4"));
    check(Ending::Cut, Method::POST, &length, Some("9"));
    check(Ending::Closed, Method::HEAD, &length, Some("9"));
    check(Ending::Cut, Method::POST, &[("content-length", "2")], None);
    check(Ending::Closed, Method::POST, &[("content-length", "many")], Some("4"));
    let hops = [("connection", "keep-alive"), ("transfer-encoding", "chunked"), ("keep-alive", "timeout=5")];
    check(Ending::Closed, Method::POST, &hops, None);
    check(Ending::Closed, Method::POST, &[("upgrade", "h2c"), ("te", "trailers")], None);
}
