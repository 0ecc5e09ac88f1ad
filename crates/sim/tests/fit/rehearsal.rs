//! Calls to the simulator on a virtual clock: so many at a time, the next as soon as one has ended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use http::{HeaderValue, Method};
use sortie_core::failure::Class;
use sortie_providers::dialect::{Dialect, OpenAiChat, Request};
use sortie_sim::Model;
use sortie_sim::fit::{Failed, Observed};
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::{End, ServerRequest, Timeline};

const NOON: Duration = Duration::from_secs(1_800_000_000);

/// After how long a client gives up on a reply that does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked: as llama.cpp's server is, too.
pub(crate) fn request(prompt: &str, max_tokens: u32) -> Request {
    Request {
        model: "smollm2-135m".to_owned(),
        prompt: prompt.to_owned(),
        max_tokens,
        stream: true,
        ..Request::default()
    }
}

/// The calls of these requests, `width` at a time.
pub(crate) fn calls(model: &mut Model, requests: &[Request], width: usize) -> Vec<Observed> {
    let mut free: BinaryHeap<Reverse<Duration>> = (0..width).map(|_| Reverse(NOON)).collect();
    let mut call = |request: &Request| {
        let Reverse(now) = free.pop().unwrap();
        let timeline = model.handle(&sent(request), now);
        let end = end(&timeline);
        if let Some(ticket) = timeline.ticket {
            let whole = matches!(timeline.end, End::Closed(_));
            model.delivered(ticket, if whole { Delivery::Whole } else { Delivery::Broken }, now + end);
        }
        free.push(Reverse(now + end));
        let failed = failed(&timeline);
        let is_begun = timeline.head.as_ref().is_some_and(|head| head.status == 200);
        let billed = model.ledger().last().filter(|_| is_begun);
        Observed {
            provider: "openai".to_owned(),
            started_s: now.saturating_sub(NOON).as_secs_f64(),
            first_token_s: timeline.chunks.first().filter(|_| is_begun).map(|chunk| chunk.at.as_secs_f64()),
            total_s: end.as_secs_f64(),
            input_tokens: billed.map_or(0, |entry| entry.input_tokens),
            output_tokens: billed.map_or(0, |entry| entry.output_tokens),
            failed,
        }
    };
    requests.iter().map(&mut call).collect()
}

fn sent(request: &Request) -> ServerRequest {
    let encoded = OpenAiChat.encode(request, &OpenAiChat.default_variant());
    let mut headers = encoded.headers;
    headers.insert("authorization", HeaderValue::from_static("Bearer sk-test"));
    let path = OpenAiChat.path().to_owned();
    ServerRequest { method: Method::POST, path, query: None, headers, body: encoded.body }
}

fn end(timeline: &Timeline) -> Duration {
    match timeline.end {
        End::Closed(at) | End::Cut(at) | End::Reset(at) => at,
        End::Stall => PATIENCE,
    }
}

fn failed(timeline: &Timeline) -> Option<Failed> {
    let status = timeline.head.as_ref().map(|head| head.status.as_u16());
    let class = match (status, timeline.end) {
        (Some(429), _) => Class::Throttled,
        (Some(503 | 529), _) => Class::Overloaded,
        (Some(300..), _) => Class::Transient,
        (_, End::Stall) => Class::Timeout,
        (None, _) => Class::Network,
        (_, End::Cut(_) | End::Reset(_)) => Class::CutOff,
        (_, End::Closed(_)) => return None,
    };
    Some(Failed { class, status })
}
