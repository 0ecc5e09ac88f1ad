//! Calls answered by the simulator in this process, on a virtual clock: the same bytes as over
//! HTTP, without a socket.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use sortie_core::call::Call;
use sortie_core::hash::Hash;
use sortie_core::limit::Told;
use sortie_core::plan::Plan;
use sortie_core::time::Time;
use sortie_engine::executor::simulated::{Answered, Answerer};
use sortie_providers::dialect::Auth;
use sortie_providers::exchange::{End, Exchange};
use sortie_sim::Model;
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::{self, ServerRequest, Timeline};

use super::output::checked;
use super::{attributed, request, request_hash};
use crate::binding::{dialect_of, variant_of};
use crate::config;

/// What the simulator takes as a key; it takes any.
const KEY: &str = "simulated";

/// Asks the simulator, and reads its timeline as if it came over a connection.
pub(crate) struct SimulatedCaller {
    pub(crate) model: Model,
    pub(crate) plan: Arc<Plan>,
    pub(crate) configured: Vec<config::Endpoint>,
    /// The simulator's: another one answers otherwise.
    pub(crate) identity: String,
}

impl Answerer for SimulatedCaller {
    fn answer(&mut self, call: &Call, now: Time) -> Answered {
        let agent = self.plan.agent(call.agent);
        let endpoint = &self.configured[usize::from(call.agent.0)];
        let (dialect, variant) = (dialect_of(endpoint), variant_of(endpoint));
        let request = request(call.clone(), agent, endpoint);
        let prompt_bytes = request.prompt.len() + request.system.as_ref().map_or(0, String::len);
        let encoded = dialect.encode(&request, &variant);
        let mut headers = encoded.headers;
        match variant.auth {
            Auth::XApiKey => headers.insert("x-api-key", http::HeaderValue::from_static(KEY)),
            Auth::Bearer => {
                headers.insert("authorization", http::HeaderValue::from_static("Bearer simulated"))
            }
        };
        let unix_now = now.since(Time::ZERO);
        let timeline = self.model.handle(
            &ServerRequest {
                method: Method::POST,
                path: dialect.path().to_owned(),
                query: None,
                headers,
                body: encoded.body,
            },
            unix_now,
        );
        let mut exchange =
            Exchange::new(dialect, agent.timeouts, call.timeout, unix_now, prompt_bytes as u64);
        exchange.connected(Duration::ZERO);
        exchange.sent(Duration::ZERO);
        let Followed { at, end, delivery, told } = follow(&mut exchange, &timeline);
        if let Some(ticket) = timeline.ticket {
            self.model.delivered(ticket, delivery, unix_now + at);
        }
        let returned = checked(attributed(exchange.end(at, end), agent), call.output.as_ref());
        Answered { returned, took: at, told }
    }

    fn request_of(&self, call: &Call) -> Option<Hash> {
        let configured = &self.configured[usize::from(call.agent.0)];
        request_hash(&self.identity, call, self.plan.agent(call.agent), configured)
    }
}

/// How playing a timeline into an exchange ended.
struct Followed {
    at: Duration,
    end: End,
    /// Whether all of the answer was taken.
    delivery: Delivery,
    /// What the head told, and when.
    told: Option<(Duration, Told)>,
}

/// Plays a timeline into an exchange until one of them has had enough.
fn follow(exchange: &mut Exchange, timeline: &Timeline) -> Followed {
    let head = timeline.head.iter().map(|head| (head.at, Part::Head(head)));
    let chunks = timeline.chunks.iter().map(|chunk| (chunk.at, Part::Bytes(&chunk.bytes)));
    let last = match timeline.end {
        timeline::End::Closed(at) => Some((at, Part::End(End::Closed, Delivery::Whole))),
        timeline::End::Cut(at) => {
            Some((at, Part::End(End::Broken("the connection closed in mid-answer".into()), Delivery::Broken)))
        }
        timeline::End::Reset(at) => {
            Some((at, Part::End(End::Broken("the connection was reset".into()), Delivery::Broken)))
        }
        timeline::End::Stall => None,
    };
    let mut told = None;
    let ended = |at, end, delivery, told| Followed { at, end, delivery, told };
    for (at, part) in head.chain(chunks).chain(last) {
        let deadline = exchange.deadline();
        if at > deadline {
            return ended(deadline, End::Deadline, Delivery::Broken, told);
        }
        match part {
            Part::Head(head) => told = Some((at, exchange.head(at, head.status.as_u16(), &head.headers))),
            Part::Bytes(bytes) => exchange.bytes(at, bytes),
            Part::End(end, delivery) => return ended(at, end, delivery, told),
        }
        if exchange.is_done() {
            return ended(at, End::Closed, Delivery::Whole, told);
        }
    }
    ended(exchange.deadline(), End::Deadline, Delivery::Broken, told)
}

/// What comes next on a timeline.
enum Part<'a> {
    Head(&'a timeline::Head),
    Bytes(&'a [u8]),
    End(End, Delivery),
}
