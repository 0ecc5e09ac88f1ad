//! What is charged is what was billed, to the picodollar: runs of thousands of calls with cached
//! prefixes and long prompts, and all kinds of requests that an API can be sent, one by one and in
//! batches, in the words of both providers.
//!
//! The client adds up by `Price::of`, from what replies say; the simulator by a sum of its own, from what
//! it generated.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::written::TaskFile;
use sortie_core::price::{Pricing, table};
use sortie_core::run::event::{Event, Outcome};
use sortie_core::usage::{Tier, Usage};
use sortie_providers::dialect;
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::ServerRequest;
use sortie_sim::{Model, Scenario};

use super::draw::{Draw, Drawn};
use super::number;
use super::world::{Hardship, Lived, live};

/// Calls of a run that `cargo test` makes; the whole proof is `SORTIE_RUNS=10000`, which is also how many
/// requests there are.
const SHORT: u64 = 1_000;

const NOON: Duration = Duration::from_secs(1_800_000_000);

fn calls() -> u64 {
    number("SORTIE_RUNS").unwrap_or(SHORT)
}

fn chance(purpose: &str) -> Chance {
    Chance::new(1, &Hash::of(b"ledger"), purpose)
}

/// A run of tasks that share long beginnings, and of some that are given a book: past the threshold of a
/// long prompt.
fn drawn(tasks: u64, faults: &str) -> Drawn {
    let chance = &mut chance("plan");
    let mut drawn = Drawn::new(chance);
    let task = |index: u64, chance: &mut Chance| {
        let agent = ["sonnet", "haiku", "opus", "chat", "responses"][chance.below(5) as usize];
        let beginning = match chance.below(400) {
            0..100 => 500 * chance.range(2, 5) as usize,
            _ => chance.below(100) as usize,
        };
        TaskFile {
            id: format!("t{index}"),
            prompt: format!("{}Task {index}.", "the same words ".repeat(beginning * 4 / 15)),
            agent: Some(agent.to_owned()),
            max_tokens: Some(chance.range(16, 200) as u32),
            ..TaskFile::default()
        }
    };
    let book = TaskFile {
        id: "book".to_owned(),
        prompt: "Write a book. [[sim output_tokens=110000 latency=30]]".to_owned(),
        agent: Some("haiku".to_owned()),
        max_tokens: Some(120_000),
        ..TaskFile::default()
    };
    drawn.tasks = (0..tasks - 1).map(|index| task(index, chance)).chain([book]).collect();
    for reader in drawn.tasks.iter_mut().take(10) {
        reader.agent = Some("haiku".to_owned());
        reader.prompt.push_str(" {{ results.book }}");
        reader.depends_on = Some(vec!["book".to_owned().into()]);
    }
    drawn.concurrent = 64;
    drawn.limits = "max_retries: 4, initial_delay: 0.5".to_owned();
    drawn.timeouts = "{ first_token: 20, idle: 10, total_timeout: 8640000 }";
    drawn.scenario = format!("{}\nfaults: [{faults}]\n", include_str!("../../../sim/scenarios/calm.yaml"));
    drawn
}

async fn lived(faults: &str) -> Lived {
    let header = drawn(calls(), faults).header(1);
    let lived = live(header, Hardship::default(), &mut chance("life")).await.unwrap();
    assert_eq!(lived.outcome, Outcome::Completed);
    lived
}

/// Tokens of all answers, by kind.
fn used(lived: &Lived) -> Usage {
    let mut sum = Usage::default();
    for record in &lived.records {
        if let Event::AttemptSucceeded { spent, .. } = &record.event {
            let usage = spent.usage.unwrap_or_default();
            sum.input += usage.input;
            sum.cache_read += usage.cache_read;
            sum.cache_write += usage.cache_write;
            sum.output += usage.output;
        }
    }
    sum
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: what was compared")]
async fn a_run_costs_what_the_ledger_has() {
    let lived = lived("").await;
    let summary = lived.fold.report(lived.fold.last_time()).summary;
    assert_eq!(summary.total_cost, lived.billed);
    assert_eq!((summary.cost.at_risk, lived.books.estimated), (Usd::ZERO, 0));
    let used = used(&lived);
    assert_eq!(summary.successful_tasks, calls());
    assert!(used.cache_read > 0 && used.cache_write > 0, "{used:?}");
    println!("{} calls, ${} on both sides, {used:?}", lived.calls, lived.billed.exact(2));
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: what was compared")]
async fn what_is_reported_is_exact_beside_what_is_estimated() {
    // The books of this world compare each attempt with its bill, and its three amounts with each other.
    let faults = "{ kind: cut, share: 0.05 }, { kind: no-usage, share: 0.05 }, { kind: lost, share: 0.02 }";
    let lived = lived(faults).await;
    let charge = lived.fold.report(lived.fold.last_time()).summary;
    let (mut exact, mut estimated, mut billed_exactly) = (Usd::ZERO, Usd::ZERO, Usd::ZERO);
    for record in &lived.records {
        let (Event::AttemptSucceeded { attempt, spent, .. } | Event::AttemptFailed { attempt, spent, .. }) =
            &record.event
        else {
            continue;
        };
        exact += spent.charge.actual;
        estimated += spent.charge.estimated;
        if !spent.charge.actual.is_zero() {
            billed_exactly += lived.bill(*attempt);
        }
    }
    assert_eq!(exact, billed_exactly);
    assert!(!estimated.is_zero() && lived.books.estimated > 0);
    assert_eq!(charge.total_cost, exact + estimated);
    assert!(lived.billed <= charge.total_cost + charge.cost.at_risk);
    println!(
        "{} calls, ${} billed: ${} exact, ${} estimated in {} attempts, ${} at risk",
        lived.calls,
        lived.billed.exact(2),
        exact.exact(2),
        estimated.exact(2),
        lived.books.estimated,
        charge.cost.at_risk.exact(2)
    );
}

/// A request in a provider's own words, of any kind that it sells.
struct Written {
    dialect: &'static str,
    model: &'static str,
    body: Value,
}

fn anthropic(chance: &mut Chance, index: u64) -> Written {
    let model = ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-4-5"]
        [chance.below(4) as usize];
    let shared = "words that come first ".repeat(200 * chance.range(1, 3) as usize);
    let mut system = json!({"type": "text", "text": shared});
    match chance.below(3) {
        0 => system["cache_control"] = json!({"type": "ephemeral"}),
        1 => system["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"}),
        _ => {}
    }
    let prompt = format!("{}Question {index}", words(chance, model));
    let mut body = json!({"model": model, "max_tokens": chance.range(1, 300), "system": [system],
        "messages": [{"role": "user", "content": prompt}], "stream": chance.percent(50)});
    // Models before 4.6 cannot be told where to run.
    if chance.percent(30) && model != "claude-sonnet-4-5" {
        body["inference_geo"] = json!("us");
    }
    Written { dialect: "anthropic", model, body }
}

fn chat(chance: &mut Chance, index: u64) -> Written {
    let model = ["gpt-6.1-sol", "gpt-5.5", "gpt-4o"][chance.below(3) as usize];
    let prompt = format!("{}{}Question {index}", "first words ".repeat(400), words(chance, model));
    let mut body = json!({"model": model, "max_completion_tokens": chance.range(1, 300),
        "messages": [{"role": "user", "content": prompt}]});
    if chance.percent(50) {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    if chance.percent(40) && model != "gpt-4o" {
        body["service_tier"] = json!("flex");
    }
    Written { dialect: "openai", model, body }
}

fn responses(chance: &mut Chance, index: u64) -> Written {
    let Written { model, body, .. } = chat(chance, index);
    let body = json!({"model": model, "max_output_tokens": 16 + chance.below(300), "stream": body["stream"] == true,
        "service_tier": body.get("service_tier").cloned().unwrap_or(json!("auto")),
        "input": body["messages"][0]["content"]});
    Written { dialect: "openai-responses", model, body }
}

/// A few words, or so many that a prompt is long by every price list that has such.
fn words(chance: &mut Chance, model: &str) -> String {
    let has_room = table().find(model).unwrap().context > Some(500_000);
    let count = if has_room && chance.below(200) == 0 { 300_000 } else { chance.below(100) as usize };
    "four".repeat(count) + " "
}

fn asked(
    model: &mut Model,
    headers: &[(&str, &str)],
    asked: (Method, &str),
    body: Vec<u8>,
    now: Duration,
) -> Vec<u8> {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let (method, path) = (asked.0, asked.1.to_owned());
    let request = ServerRequest { method, path, query: None, headers, body: body.into() };
    let timeline = model.handle(&request, now);
    if let Some(ticket) = timeline.ticket {
        model.delivered(ticket, Delivery::Whole, now);
    }
    let bytes: Vec<u8> = timeline.chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    let status = timeline.head.unwrap().status;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    bytes
}

/// The key as OpenAI takes it.
const BEARER: (&str, &str) = ("authorization", "Bearer sk-test");

const HEADERS: [(&str, &str); 3] =
    [("x-api-key", "sk-test"), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];

/// What the client makes of a whole reply.
fn charged(of: &Written, reply: &[u8], tier: Option<Tier>) -> Usd {
    let dialect = dialect::by_name(of.dialect).unwrap();
    let mut decoder = dialect.decoder(200, &HeaderMap::new(), NOON);
    decoder.push(reply);
    let decoded = decoder.finish(true);
    let mut usage = decoded.usage.unwrap_or_else(|| panic!("no usage in {}", String::from_utf8_lossy(reply)));
    usage.tier = tier.unwrap_or(usage.tier);
    let text = decoded.result.unwrap();
    Pricing::Known(table().find(of.model).unwrap().price.clone()).of(&usage, Some(&text.model))
}

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: what was compared")]
fn every_kind_of_request_costs_what_it_is_billed() {
    let mut model = Model::new(Scenario::named("calm").unwrap(), 1);
    let chance = &mut chance("requests");
    let mut sum = Usd::ZERO;
    for index in 0..calls() {
        let written = [anthropic, chat, responses][chance.below(3) as usize](chance, index);
        let path = dialect::by_name(written.dialect).unwrap().path();
        let headers = if written.dialect == "anthropic" { &HEADERS[..] } else { &[BEARER, HEADERS[2]] };
        let now = NOON + Duration::from_secs(index);
        let body = written.body.to_string().into_bytes();
        let reply = asked(&mut model, headers, (Method::POST, path), body, now);
        let (charged, entry) = (charged(&written, &reply, None), model.ledger().last().unwrap());
        let short = |text: String| text.chars().take(300).collect::<String>();
        assert_eq!(charged, entry.cost_picodollars, "{entry:?} {}", short(written.body.to_string()));
        sum += charged;
    }
    let billed: Usd = model.stats().cost_usd_exact.parse().unwrap();
    assert_eq!(sum, billed);
    println!("{} requests, ${} on both sides", calls(), sum.exact(2));
}

#[test]
fn batches_of_both_providers_cost_what_they_are_billed() {
    let requests = (calls() / 20).min(500);
    let chance = &mut chance("batches");
    let draw = |kind: fn(&mut Chance, u64) -> Written, chance: &mut Chance| {
        let plain = |index| {
            let mut written = kind(chance, index);
            written
                .body
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !key.starts_with("stream") && key != "service_tier");
            written
        };
        (0..requests).map(plain).collect::<Vec<Written>>()
    };

    let mut model = Model::new(Scenario::named("calm").unwrap(), 1);
    let written = draw(anthropic, chance);
    let request = |(index, written): (usize, &Written)| json!({"custom_id": format!("{index}"), "params": written.body});
    let body = json!({"requests": written.iter().enumerate().map(request).collect::<Vec<_>>()});
    let path = "/v1/messages/batches";
    let created = asked(&mut model, &HEADERS, (Method::POST, path), body.to_string().into_bytes(), NOON);
    let results = format!("{path}/{}/results", text(&json(&created)["id"]));
    let later = NOON + Duration::from_secs(86_000);
    let results = asked(&mut model, &HEADERS, (Method::GET, &results), Vec::new(), later);
    // A reply of a batch says so.
    let of = |line: &Value| {
        let written = &written[text(&line["custom_id"]).parse::<usize>().unwrap()];
        charged(written, line["result"]["message"].to_string().as_bytes(), None)
    };
    check_batch(&model, &results, requests, of);

    let written = draw(chat, chance);
    // A batch of OpenAI's is of one model.
    let models: BTreeSet<&str> = written.iter().map(|written| written.model).collect();
    assert!(models.len() > 1);
    for name in models {
        check_openai_batch(
            &written.iter().filter(|written| written.model == name).collect::<Vec<_>>(),
            later,
        );
    }
}

fn check_openai_batch(written: &[&Written], later: Duration) {
    let mut model = Model::new(Scenario::named("calm").unwrap(), 1);
    let line = |(index, written): (usize, &&Written)| {
        json!({"custom_id": format!("{index}"), "method": "POST", "url": "/v1/chat/completions", "body": written.body})
            .to_string()
    };
    let lines = written.iter().enumerate().map(line).collect::<Vec<_>>().join("\n");
    let form = format!(
        "--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{lines}\r\n--xx--\r\n"
    );
    let key = BEARER;
    let multipart = ("content-type", "multipart/form-data; boundary=xx");
    let file = asked(&mut model, &[key, multipart], (Method::POST, "/v1/files"), form.into_bytes(), NOON);
    let body = json!({"input_file_id": json(&file)["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let body = body.to_string().into_bytes();
    let created = asked(&mut model, &[key, HEADERS[2]], (Method::POST, "/v1/batches"), body, NOON);
    let path = format!("/v1/batches/{}", text(&json(&created)["id"]));
    let ended = json(asked(&mut model, &[key], (Method::GET, &path), Vec::new(), later));
    let content = format!("/v1/files/{}/content", text(&ended["output_file_id"]));
    let results = asked(&mut model, &[key], (Method::GET, &content), Vec::new(), later);
    // A reply of OpenAI's batches does not: whoever made the batch knows.
    let of = |line: &Value| {
        let written = written[text(&line["custom_id"]).parse::<usize>().unwrap()];
        charged(written, line["response"]["body"].to_string().as_bytes(), Some(Tier::Batch))
    };
    check_batch(&model, &results, written.len() as u64, of);
}

fn check_batch(model: &Model, results: &[u8], requests: u64, charged: impl Fn(&Value) -> Usd) {
    let lines: Vec<Value> =
        results.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(json).collect();
    assert_eq!(lines.len() as u64, requests);
    let charged: Usd = lines.iter().map(charged).sum();
    let billed: Usd = model.stats().cost_usd_exact.parse().unwrap();
    assert!(!billed.is_zero());
    assert_eq!(charged, billed);
}

fn json(bytes: impl AsRef<[u8]>) -> Value {
    serde_json::from_slice(bytes.as_ref()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
