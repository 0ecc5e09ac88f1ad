//! Every dialect's two halves across the simulator: what the client's reads of what goes wrong.

use std::time::Duration;

use http::{HeaderValue, Method};
use sortie_core::failure::{Class, Policy};
use sortie_core::run::event::Finish;
use sortie_providers::dialect::{ALL, Auth, Decoded, Dialect, Request};
use sortie_sim::ledger::{Delivery, Entry};
use sortie_sim::scenario::UnknownModels;
use sortie_sim::timeline::{End, ServerRequest, Timeline};
use sortie_sim::{Model, Scenario};

const NOON: Duration = Duration::from_secs(1_800_000_000);

fn asked(prompt: &str, stream: bool) -> Request {
    Request {
        model: "m".to_owned(),
        system: Some("Be brief.".to_owned()),
        prompt: prompt.to_owned(),
        max_tokens: 300,
        temperature: None,
        stream,
        ..Request::default()
    }
}

/// The request as the simulator receives it from the client's half.
fn sent(dialect: &dyn Dialect, request: &Request) -> ServerRequest {
    let variant = dialect.default_variant();
    let encoded = dialect.encode(request, &variant);
    let mut headers = encoded.headers;
    match variant.auth {
        Auth::XApiKey => headers.insert("x-api-key", HeaderValue::from_static("sk-test")),
        Auth::Bearer => headers.insert("authorization", HeaderValue::from_static("Bearer sk-test")),
    };
    let path = dialect.path().to_owned();
    assert!(path.ends_with(encoded.path), "{path} is not {}", encoded.path);
    ServerRequest { method: Method::POST, path, query: None, headers, body: encoded.body }
}

/// What the client's half makes of a reply.
fn read(dialect: &dyn Dialect, timeline: &Timeline) -> Decoded {
    let head = timeline.head.as_ref().expect("a reply has a head");
    let mut decoder = dialect.decoder(head.status.as_u16(), &head.headers, NOON);
    for chunk in &timeline.chunks {
        decoder.push(&chunk.bytes);
    }
    decoder.finish(matches!(timeline.end, End::Closed(_)))
}

fn calm() -> Model {
    // All dialects are asked for the same model.
    let scenario = Scenario::named("calm").expect("it comes with the program");
    Model::new(Scenario { unknown_models: UnknownModels::Served, ..scenario }, 7)
}

/// One try, and its entry in the ledger.
fn one_try(dialect: &dyn Dialect, request: &Request) -> (Timeline, Option<Entry>) {
    let mut model = calm();
    let timeline = model.handle(&sent(dialect, request), NOON);
    let delivery = if matches!(timeline.end, End::Closed(_)) { Delivery::Whole } else { Delivery::Broken };
    if let Some(ticket) = timeline.ticket {
        model.delivered(ticket, delivery, NOON + Duration::from_secs(60));
    }
    (timeline, model.ledger().first().cloned())
}

#[test]
fn an_answer_arrives_as_it_was_billed() {
    for dialect in ALL.iter().copied() {
        let mut texts = Vec::new();
        for stream in [true, false] {
            let context = format!("{}, streamed: {stream}", dialect.name());
            let request = asked("Explain tides. [[sim output_tokens=250]]", stream);
            let (timeline, entry) = one_try(dialect, &request);
            let (decoded, entry) = (read(dialect, &timeline), entry.unwrap());
            let usage = decoded.usage.unwrap();
            assert_eq!((usage.total_input(), usage.output), (entry.input_tokens, 250), "{context}");
            assert_eq!(entry.delivered_whole, Some(true), "{context}");
            assert!(usage.total_input() <= (request.prompt.len() + 9 + 16) as u64, "{context}");
            let text = decoded.result.unwrap();
            assert_eq!((text.finish, text.model.as_str()), (Finish::Stop, "m"), "{context}");
            texts.push(text.text);
        }
        assert_eq!(texts[0], texts[1], "{}", dialect.name());
        let (cut_off, _) = one_try(dialect, &asked("[[sim output_tokens=900]]", true));
        assert_eq!(read(dialect, &cut_off).result.unwrap().finish, Finish::MaxTokens, "{}", dialect.name());
    }
}

#[test]
fn each_fault_is_read_as_its_class() {
    let check = |fault: &str, stream: bool, expected: Class| {
        for dialect in ALL.iter().copied() {
            let request = asked(&format!("[[sim fail={fault}]] Explain tides."), stream);
            let (timeline, _) = one_try(dialect, &request);
            let decoded = read(dialect, &timeline);
            let class = decoded.result.as_ref().err().map(|failure| failure.class);
            assert_eq!(class, Some(expected), "{} {fault}, streamed: {stream}: {decoded:?}", dialect.name());
        }
    };
    for stream in [true, false] {
        check("429", stream, Class::Throttled);
        check("429:quota", stream, Class::QuotaGone);
        check("402", stream, Class::QuotaGone);
        check("401", stream, Class::Auth);
        check("400", stream, Class::Invalid);
        check("404", stream, Class::Invalid);
        check("500", stream, Class::Transient);
        check("307", stream, Class::Redirected);
    }
    check("cut", true, Class::CutOff);
    check("truncated", true, Class::CutOff);
    check("truncated", false, Class::CutOff);
    check("malformed", true, Class::Malformed);
    check("malformed", false, Class::Malformed);
}

#[test]
fn an_error_under_status_200_is_an_error_that_may_pass() {
    for dialect in ALL.iter().copied() {
        for (fault, stream) in
            [("error200", true), ("error200", false), ("midstream", true), ("midstream", false)]
        {
            let request = asked(&format!("[[sim fail={fault}]] Explain tides."), stream);
            let (timeline, _) = one_try(dialect, &request);
            assert_eq!(timeline.head.as_ref().unwrap().status, 200);
            let decoded = read(dialect, &timeline);
            let context = format!("{} {fault}, streamed: {stream}: {decoded:?}", dialect.name());
            assert!(decoded.says_error, "{context}");
            assert_eq!(decoded.result.unwrap_err().policy(), Policy::Retry, "{context}");
        }
    }
}

#[test]
fn an_answer_without_usage_is_an_answer() {
    for dialect in ALL.iter().copied() {
        for stream in [true, false] {
            let request = asked("[[sim fail=no-usage]] Explain tides.", stream);
            let decoded = read(dialect, &one_try(dialect, &request).0);
            assert!(decoded.result.is_ok(), "{}, streamed: {stream}: {decoded:?}", dialect.name());
            assert_eq!(decoded.usage, None, "{}, streamed: {stream}", dialect.name());
        }
    }
}

#[test]
fn a_throttled_client_is_told_to_wait_as_long_as_the_bucket_needs() {
    for dialect in ALL.iter().copied() {
        let calm = include_str!("../scenarios/calm.yaml");
        let scenario = Scenario::parse(&format!(
            "{calm}\nunknown_models: served\nrequests_per_minute: 20\nrequests_burst: 1"
        ));
        let mut model = Model::new(scenario.unwrap(), 7);
        let request = sent(dialect, &asked("Explain tides.", true));
        model.handle(&request, NOON);
        let refused = model.handle(&request, NOON + Duration::from_millis(500));
        let failure = read(dialect, &refused).result.unwrap_err();
        assert_eq!(failure.class, Class::Throttled, "{}", dialect.name());
        assert_eq!(failure.retry_after, Some(Duration::from_secs(3)), "{}", dialect.name());
    }
}

#[test]
fn each_dialect_lists_its_models_and_refuses_in_its_own_shape() {
    for dialect in ALL.iter().copied() {
        let mut model = calm();
        let mut request = sent(dialect, &asked("", true));
        request.path = "/v1/nothing".to_owned();
        let decoded = read(dialect, &model.handle(&request, NOON));
        assert_eq!(decoded.result.unwrap_err().class, Class::Invalid, "{}", dialect.name());
        assert!(decoded.says_error, "{}", dialect.name());
        let list = ServerRequest { method: Method::GET, path: "/v1/models".to_owned(), ..request };
        let timeline = model.handle(&list, NOON);
        let list: serde_json::Value = serde_json::from_slice(&timeline.chunks[0].bytes).unwrap();
        let first = list["data"][0]["id"].as_str().unwrap();
        let own = if dialect.name() == "anthropic" { "claude-" } else { "gpt-" };
        assert!(first.starts_with(own), "{}: {first}", dialect.name());
    }
}
