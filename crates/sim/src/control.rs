//! `/_sim/control`: what a test changes while the simulator runs.
//!
//! `GET` shows what is in force; `POST` takes an [`Order`] as JSON, and nothing else: a page in
//! somebody's browser cannot send that to another origin unasked. It changes what comes: replies
//! under way go on as they began.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::fault::Fault;
use crate::scenario::{FaultShare, MAX_SECONDS, Scenario, ScenarioError};
use crate::timeline::ServerRequest;

/// The path.
pub(crate) const PATH: &str = "/_sim/control";

/// What to change; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Order {
    /// The scenario: the name of one that comes with the program, or YAML, as a text; or a whole one
    /// as a JSON object. It begins at once, with full quotas.
    pub scenario: Option<Chosen>,
    /// The scenario's faults are these from now on; of `null`, the scenario's own.
    #[serde(deserialize_with = "faults")]
    pub faults: Option<Faults>,
    /// What happens to the next requests for answers, one each, whoever they are from: before what
    /// the scenario draws, and after what a prompt says. It takes the place of those still left.
    pub fail_next: Option<Vec<Fault>>,
    /// Whether requests for answers find nobody: they are taken, and never answered.
    pub paused: Option<bool>,
    /// For so many seconds from now on, 0 to 86400, new connections are refused: nobody listens. Those
    /// that are open go on. Only the HTTP server has connections.
    pub refuse_s: Option<f64>,
    /// Forgets what was counted, billed and tried, so that the next request is the first. Replies
    /// under way are forgotten too.
    pub reset_ledger: bool,
}

/// A scenario as an order has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Chosen {
    /// A name, or YAML.
    Text(String),
    /// The scenario itself.
    Whole(Box<Scenario>),
}

/// By hand, because of what is wrong with a whole scenario an untagged enum only says that it is none.
impl<'de> Deserialize<'de> for Chosen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Chosen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scenario's name, its YAML, or a scenario as an object")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Chosen, E> {
                Ok(Chosen::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Chosen, A::Error> {
                let whole = Scenario::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Chosen::Whole(Box::new(whole)))
            }
        }
        from.deserialize_any(Either)
    }
}

impl Chosen {
    fn scenario(self) -> Result<Scenario, ScenarioError> {
        match self {
            Chosen::Text(name) if !name.contains([':', '\n']) => Scenario::named(&name),
            Chosen::Text(yaml) => Scenario::parse(&yaml),
            Chosen::Whole(scenario) => scenario.checked(),
        }
    }
}

/// The faults that an order puts in force.
#[derive(Clone, Debug, PartialEq)]
pub enum Faults {
    /// The scenario's own.
    Own,
    /// These.
    These(Vec<FaultShare>),
}

/// Faults that are given: `null` too.
fn faults<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Faults>, D::Error> {
    let given = Option::<Vec<FaultShare>>::deserialize(from)?;
    Ok(Some(given.map_or(Faults::Own, Faults::These)))
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InForce {
    /// The scenario, with the faults that were ordered for it.
    pub scenario: Scenario,
    /// Seconds since it began; none where no request came yet.
    pub elapsed_s: Option<f64>,
    /// What decides all that looks random.
    pub seed: u64,
    /// What will happen to the next requests.
    pub fail_next: VecDeque<Fault>,
    /// Whether requests for answers find nobody.
    pub paused: bool,
}

/// Orders that last longer than the moment they come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) fail_next: VecDeque<Fault>,
    pub(crate) paused: bool,
    /// How long connections are to be refused, until the server has heard of it.
    pub(crate) refuse: Option<Duration>,
    /// The scenario's own faults, where an order replaced them.
    own_faults: Option<Vec<FaultShare>>,
}

/// What is left to do of an order that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// The scenario begins anew.
    pub(crate) scenario_begins: bool,
    /// The ledger is to be forgotten.
    pub(crate) ledger_ends: bool,
}

/// Why an order was not followed; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// It does not say that it is JSON.
    #[error("take an order that is not application/json")]
    NotJson,
    /// It is no order.
    #[error("read the order: {0}")]
    Form(#[from] serde_json::Error),
    /// Connections cannot be refused for so long.
    #[error("refuse connections: refuse_s has to stay between 0 and {MAX_SECONDS}")]
    Refusal,
    /// There is no such scenario.
    #[error("{}", chain(.0))]
    Scenario(#[from] ScenarioError),
}

/// The causes too: who sent the order sees this line and no other.
fn chain(error: &ScenarioError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

impl OrderError {
    /// The status of the reply.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            OrderError::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            OrderError::Form(_) | OrderError::Refusal | OrderError::Scenario(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl Order {
    /// The order of a request; none where it only asks what is in force.
    pub(crate) fn of(request: &ServerRequest) -> Result<Option<Order>, OrderError> {
        if request.method != Method::POST {
            return Ok(None);
        }
        if !says_json(&request.headers) {
            return Err(OrderError::NotJson);
        }
        Ok(Some(serde_json::from_slice(&request.body)?))
    }

    /// Changes the scenario and the standing orders, or nothing.
    pub(crate) fn follow(
        self,
        scenario: &mut Scenario,
        standing: &mut Standing,
    ) -> Result<Followed, OrderError> {
        let refuse = self.refuse_s.map(|seconds| {
            let within = Some(seconds).filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds));
            within.map(Duration::from_secs_f64).ok_or(OrderError::Refusal)
        });
        let refuse = refuse.transpose()?;
        let chosen = self.scenario.map(Chosen::scenario).transpose()?;
        let scenario_begins = chosen.is_some();
        let mut next = chosen.unwrap_or_else(|| scenario.clone());
        let mut own_faults = standing.own_faults.clone().filter(|_| !scenario_begins);
        match self.faults {
            None => {}
            Some(Faults::Own) => next.faults = own_faults.take().unwrap_or(next.faults),
            Some(Faults::These(faults)) => {
                own_faults.get_or_insert(std::mem::replace(&mut next.faults, faults));
            }
        }
        *scenario = next.checked()?;
        standing.own_faults = own_faults;
        standing.fail_next =
            self.fail_next.map_or_else(|| std::mem::take(&mut standing.fail_next), Into::into);
        standing.paused = self.paused.unwrap_or(standing.paused);
        standing.refuse = refuse.or(standing.refuse);
        Ok(Followed { scenario_begins, ledger_ends: self.reset_ledger })
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::Model;
    use crate::testing::{NOON, ask, model, request};
    use crate::timeline::{End, Timeline};

    fn posted(order: &str, kind: &'static str) -> ServerRequest {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        ServerRequest {
            method: Method::POST,
            path: PATH.to_owned(),
            query: None,
            headers,
            body: Bytes::copy_from_slice(order.as_bytes()),
        }
    }

    fn status(timeline: &Timeline) -> Option<u16> {
        timeline.head.as_ref().map(|head| head.status.as_u16())
    }

    /// What is in force after an order.
    fn order(model: &mut Model, order: &Value, at_s: u64) -> InForce {
        let now = NOON + Duration::from_secs(at_s);
        let timeline = model.handle(&posted(&order.to_string(), "application/json; charset=utf-8"), now);
        assert_eq!(status(&timeline), Some(200), "{order}: {timeline:?}");
        let posted: InForce = serde_json::from_slice(&timeline.chunks[0].bytes).unwrap();
        let shown = model.handle(&ServerRequest { method: Method::GET, ..self::posted("", "") }, now);
        assert_eq!(serde_json::from_slice::<InForce>(&shown.chunks[0].bytes).unwrap(), posted);
        posted
    }

    fn asked(model: &mut Model, prompt: &str, at_s: u64) -> Option<u16> {
        status(&model.handle(&request(&ask(prompt), "sk-test"), NOON + Duration::from_secs(at_s)))
    }

    #[test]
    fn the_next_requests_fail_as_ordered_and_no_others() {
        let mut model = model("");
        let in_force = order(&mut model, &json!({ "fail_next": ["529", "429:quota", "ok"] }), 0);
        assert_eq!(in_force.fail_next.len(), 3);
        assert_eq!(asked(&mut model, "One", 0), Some(529));
        assert_eq!(asked(&mut model, "[[sim fail=418]] steered", 0), Some(418));
        assert_eq!(asked(&mut model, "Two", 0), Some(429));
        let [third, fourth] = ["Three", "Four"].map(|prompt| asked(&mut model, prompt, 0));
        assert_eq!((third, fourth), (Some(200), Some(200)));
    }

    #[test]
    fn faults_are_ordered_and_taken_back() {
        let mut model = model("faults: [{ kind: 500, share: 1 }]");
        assert_eq!(asked(&mut model, "One", 0), Some(500));
        order(&mut model, &json!({ "faults": [{ "kind": "529", "share": 1 }] }), 0);
        order(&mut model, &json!({ "faults": [{ "kind": 503, "share": 1 }] }), 0);
        assert_eq!(asked(&mut model, "One", 0), Some(503));
        order(&mut model, &json!({ "faults": [] }), 0);
        assert_eq!(asked(&mut model, "One", 0), Some(200));
        order(&mut model, &json!({ "faults": null }), 0);
        assert_eq!(asked(&mut model, "One", 0), Some(500));
    }

    #[test]
    fn a_scenario_begins_with_full_quotas_when_it_is_ordered() {
        let mut model = model("requests_per_minute: 1");
        assert_eq!([0, 0].map(|at| asked(&mut model, "One", at)), [Some(200), Some(429)]);
        let in_force = order(&mut model, &json!({ "scenario": "outage" }), 100);
        assert_eq!((in_force.scenario.name.as_str(), in_force.elapsed_s), ("outage", Some(0.0)));
        assert_eq!(asked(&mut model, "One", 129), Some(200));
        let failed = (0..20).filter(|n| asked(&mut model, &format!("Question {n}"), 131) != Some(200));
        assert_eq!(failed.count(), 20);
        let yaml = Scenario::text_of("seed").unwrap();
        assert_eq!(order(&mut model, &json!({ "scenario": yaml }), 200).scenario.name, "seed");
        let whole = Scenario::named("tier1").unwrap();
        assert_eq!(order(&mut model, &json!({ "scenario": whole }), 300).scenario, whole);
    }

    #[test]
    fn who_comes_while_it_is_paused_finds_nobody() {
        let mut model = model("");
        order(&mut model, &json!({ "paused": true }), 0);
        let reply = model.handle(&request(&ask("One"), "sk-test"), NOON);
        assert_eq!((reply.head, reply.end), (None, End::Stall));
        assert!(!order(&mut model, &json!({ "paused": false }), 0).paused);
        assert_eq!(asked(&mut model, "One", 0), Some(200));
        assert_eq!((model.stats().generations, model.stats().unanswered), (1, 1));
    }

    #[test]
    fn a_ledger_that_was_reset_counts_from_the_start_and_takes_no_old_ticket() {
        let mut model = model("");
        let old = model.handle(&request(&ask("[[sim fail=529,ok]]"), "sk-test"), NOON);
        assert_eq!(status(&old), Some(529));
        let old = model.handle(&request(&ask("Old"), "sk-test"), NOON);
        order(&mut model, &json!({ "reset_ledger": true }), 0);
        assert_eq!(
            model.stats(),
            crate::ledger::Stats { cost_usd_exact: "0.00".to_owned(), ..Default::default() }
        );
        assert_eq!(asked(&mut model, "[[sim fail=529,ok]]", 0), Some(529), "its tries are forgotten");
        assert_eq!(asked(&mut model, "New", 0), Some(200));
        model.delivered(old.ticket.unwrap(), crate::ledger::Delivery::Whole, NOON);
        assert_eq!((model.stats().in_flight, model.stats().answered_whole), (1, 0));
    }

    #[test]
    fn an_order_that_cannot_be_followed_changes_nothing() {
        let mut model = model("");
        let before = order(&mut model, &json!({}), 0);
        let mut check = |order: &str, kind: &'static str, expected: u16, part: &str| {
            let reply = model.handle(&posted(order, kind), NOON);
            let body = String::from_utf8(reply.chunks[0].bytes.to_vec()).unwrap();
            assert_eq!(status(&reply), Some(expected), "{order}: {body}");
            assert!(body.contains(part), "{order}: {body}");
        };
        let json = "application/json";
        check("{}", "text/plain", 415, "application/json");
        check("{", json, 400, "EOF");
        check(r#"{"paused": true, "refuse_s": -1}"#, json, 400, "refuse_s");
        check(r#"{"pause": true}"#, json, 400, "pause");
        check(r#"{"paused": true, "scenario": "storm"}"#, json, 400, "storm");
        check(r#"{"paused": true, "faults": [{"kind": "529", "share": 2}]}"#, json, 400, "shares");
        check(r#"{"paused": true, "fail_next": ["explode"]}"#, json, 400, "explode");
        check(r#"{"paused": true, "scenario": "name: x\nlatency: 3"}"#, json, 400, "read the scenario: ");
        check(r#"{"paused": true, "scenario": 3}"#, json, 400, "expected a scenario's name");
        let wrong = |field: &str, value: serde_json::Value| {
            let mut whole = serde_json::to_value(Scenario::named("calm").unwrap()).unwrap();
            whole[field] = value;
            json!({ "paused": true, "scenario": whole }).to_string()
        };
        check(&wrong("fualts", json!([])), json, 400, "unknown field `fualts`");
        check(&wrong("batches", json!({ "second": 5 })), json, 400, "unknown field `second`");
        check(&wrong("output_tokens", json!({ "fixd": 5 })), json, 400, "unknown variant `fixd`");
        check(&wrong("clock_skew_s", json!("much")), json, 400, "invalid type: string");
        check(&wrong("quotas", json!({ "opnai": {} })), json, 400, "did you mean `openai`?");
        let put = ServerRequest { method: Method::PUT, ..posted("{}", json) };
        assert_eq!(status(&model.handle(&put, NOON)), Some(405));
        assert_eq!(order(&mut model, &json!({}), 0), before);
    }
}
