//! Both halves of each dialect against the same exchanges: the server reads the request and the
//! client would send it; and what the server makes of the answer looks as the answer does.

use std::collections::BTreeSet;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;
use sortie_providers::dialect::{Besides, Request, ServerAnswer, Shape};

use crate::fixtures::{Recorded, all, load};

/// Exchanges of other clients, which ask for what this one does not: thinking.
const OF_OTHERS: [&str; 2] = ["anthropic-thinking", "anthropic-whole"];

impl Recorded {
    /// The request in no provider's words.
    pub(crate) fn read(&self) -> Request {
        let asked = &self.exchange.request;
        let body = asked.body.bytes().unwrap();
        let read = self.dialect.read(&asked.header_map(), &body);
        read.unwrap_or_else(|error| panic!("{}: the server refuses the request: {error:?}", self.name))
    }

    fn asked(&self) -> Value {
        serde_json::from_slice(&self.exchange.request.body.bytes().unwrap()).unwrap()
    }
}

#[test]
fn what_was_asked_the_client_sends_and_the_server_reads() {
    let mut of_others = BTreeSet::new();
    for recorded in all() {
        let Recorded { name, dialect, exchange, .. } = &recorded;
        let request = recorded.read();
        let variants = [dialect.default_variant(), dialect.variant_at("127.0.0.1")];
        let encoded = variants.map(|variant| dialect.encode(&request, &variant));
        let sent = encoded.each_ref().map(|encoded| serde_json::from_slice::<Value>(&encoded.body).unwrap());
        let asked = recorded.asked();
        let Some(which) = sent.iter().position(|sent| *sent == asked) else {
            assert!(OF_OTHERS.contains(&name.as_str()), "{name}: the client sends {}", sent[0]);
            of_others.insert(name.clone());
            continue;
        };
        let encoded = &encoded[which];
        assert!(exchange.request.path.ends_with(encoded.path), "{name}");
        for (header, value) in &encoded.headers {
            assert_eq!(exchange.request.header_map().get(header), Some(value), "{name}: {header}");
        }
    }
    assert_eq!(of_others, OF_OTHERS.map(str::to_owned).into(), "these the client would send itself");
}

/// Where the server's replies differ from the documented ones, by dialect and by the path inside an
/// event or a reply; each has to occur. `+` is what the server adds: the newer SDKs' types have it,
/// and these exchanges are older. `-` is what it leaves out, `~` what is of another type or length.
const DIFFERENCES: [(&str, &[&str]); 3] = [
    (
        "anthropic",
        &[
            "+.container",
            "+.content[].citations",
            "+.content_block.citations",
            "+.delta.container",
            "+.delta.stop_details",
            "+.diagnostics",
            "+.message.container",
            "+.message.diagnostics",
            "+.message.stop_details",
            "+.message.usage.cache_creation",
            "+.message.usage.inference_geo",
            "+.message.usage.output_tokens_details",
            "+.message.usage.server_tool_use",
            "+.message.usage.speed",
            "+.stop_details",
            "+.usage.cache_creation",
            "+.usage.cache_creation_input_tokens",
            "+.usage.cache_read_input_tokens",
            "+.usage.inference_geo",
            "+.usage.input_tokens",
            "+.usage.output_tokens_details",
            "+.usage.server_tool_use",
            "+.usage.service_tier",
            "+.usage.speed",
        ],
    ),
    (
        "openai",
        &[
            "+.choices[].delta.refusal",
            "+.service_tier",
            "+.system_fingerprint",
            "+.usage",
            "+.usage.completion_tokens_details",
            "+.usage.completion_tokens_details.accepted_prediction_tokens",
            "+.usage.completion_tokens_details.audio_tokens",
            "+.usage.completion_tokens_details.rejected_prediction_tokens",
            "+.usage.completion_tokens_details.text_tokens",
            "+.usage.prompt_tokens_details",
            "+.usage.prompt_tokens_details.image_tokens",
            "+.usage.prompt_tokens_details.text_tokens",
            "-.obfuscation",
        ],
    ),
    (
        "openai-responses",
        &[
            "+.background",
            "+.max_tool_calls",
            "+.name",
            "+.prompt_cache_key",
            "+.reasoning",
            "+.response.background",
            "+.response.max_tool_calls",
            "+.response.prompt_cache_key",
            "+.response.reasoning",
            "+.response.safety_identifier",
            "+.response.service_tier",
            "+.response.text.verbosity",
            "+.response.top_logprobs",
            "+.response.usage.input_tokens_details.cache_write_tokens_details",
            "+.response.user",
            "+.safety_identifier",
            "+.service_tier",
            "+.text.verbosity",
            "+.top_logprobs",
            "+.usage.input_tokens_details.cache_write_tokens_details",
            "+.user",
            "-.obfuscation",
            "~.response.tool_choice",
            "~.response.tools",
        ],
    ),
];

#[test]
fn the_server_s_replies_have_the_recorded_shape() {
    let mut found = DIFFERENCES.map(|(dialect, _)| (dialect, BTreeSet::new()));
    for name in [
        "anthropic-text",
        "anthropic-max-tokens",
        "anthropic-plain",
        "openai-text",
        "openai-length",
        "openai-whole",
        "responses-text",
        "responses-length",
        "responses-tool",
        "responses-plain",
    ] {
        let recorded = load(name);
        let (theirs, ours) = (events(&recorded.body), events(&answered(&recorded)));
        assert_eq!(kinds(&theirs), kinds(&ours), "{name}");
        let (_, found) = found.iter_mut().find(|(dialect, _)| *dialect == recorded.dialect.name()).unwrap();
        for (theirs, ours) in theirs.iter().zip(&ours) {
            differences("", theirs, ours, found);
        }
    }
    for ((dialect, expected), (_, found)) in DIFFERENCES.iter().zip(found) {
        let expected: BTreeSet<String> = expected.iter().map(|&path| path.to_owned()).collect();
        assert_eq!(found, expected, "{dialect}");
    }
}

/// What the server's half makes of the recorded answer, in as many pieces.
fn answered(recorded: &Recorded) -> Vec<u8> {
    let mut decoder = recorded.dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
    decoder.push(&recorded.body);
    let decoded = decoder.finish(true);
    let text = decoded.result.unwrap();
    let request = recorded.read();
    let answer = ServerAnswer {
        id: "0123456789abcdefghijABCD".to_owned(),
        created: 1_795_435_200,
        model: text.model,
        text: text.text,
        tool: match request.shape {
            Shape::Tool { name, .. } => Some(name),
            Shape::Text | Shape::Json(_) => None,
        },
        finish: text.finish,
        usage: decoded.usage.unwrap(),
        besides: Besides::default(),
    };
    let asked = recorded.exchange.request.body.bytes().unwrap();
    if !request.stream {
        return recorded.dialect.body(&answer, &asked).to_vec();
    }
    let streamed = |pieces: &[&str]| {
        let frames = recorded.dialect.frames(&answer, pieces, &asked);
        [&[frames.opening], &frames.pieces[..], &[frames.closing]].concat().concat()
    };
    // As many pieces as make as many events.
    let pieces = events(&recorded.body).len().checked_sub(events(&streamed(&[])).len());
    let mut cut = vec![""; pieces.unwrap_or_else(|| panic!("{}: the server says more", recorded.name))];
    if let Some(first) = cut.first_mut() {
        *first = &answer.text;
    }
    streamed(&cut)
}

/// The payloads of a stream without its pings, which may come anywhere, or the one reply; OpenAI's
/// last word as the text that it is.
fn events(body: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(body).unwrap();
    if text.starts_with('{') {
        return vec![serde_json::from_str(text).unwrap()];
    }
    let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = payloads.map(|payload| serde_json::from_str(payload).unwrap_or_else(|_| payload.into()));
    events.filter(|event: &Value| event["type"] != "ping").collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().or(event["object"].as_str()).unwrap_or("?")).collect()
}

/// Notes where the two differ in their keys and types.
fn differences(path: &str, theirs: &Value, ours: &Value, found: &mut BTreeSet<String>) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            found.extend(
                ours.keys().filter(|key| !theirs.contains_key(*key)).map(|key| format!("+{path}.{key}")),
            );
            for (key, theirs) in theirs {
                match ours.get(key) {
                    Some(ours) => differences(&format!("{path}.{key}"), theirs, ours, found),
                    None => drop(found.insert(format!("-{path}.{key}"))),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (theirs, ours) in theirs.iter().zip(ours) {
                differences(&format!("{path}[]"), theirs, ours, found);
            }
        }
        (Value::Array(_), _) => drop(found.insert(format!("~{path}"))),
        (theirs, ours) if std::mem::discriminant(theirs) == std::mem::discriminant(ours) => {}
        _ => drop(found.insert(format!("~{path}"))),
    }
}
