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
}
