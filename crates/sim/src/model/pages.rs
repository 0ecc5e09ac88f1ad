//! The simulator's own pages, under `/_sim/`: what it counted, and what it is told to do.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::{Model, json_headers};
use crate::control::{self, InForce, Order, OrderError};
use crate::timeline::{ServerRequest, Timeline};

impl Model {
    /// How long connections are to be refused from now on, by an order that nobody has asked for yet.
    pub(crate) fn take_refusal(&mut self) -> Option<Duration> {
        self.standing.refuse.take()
    }

    /// The reply to a request for one of them.
    pub(super) fn shown(&mut self, request: &ServerRequest, now: Duration) -> Option<Timeline> {
        let (allowed, body): (&[Method], _) = match request.path.as_str() {
            "/_sim/stats" => (&[Method::GET], serde_json::to_vec(&self.stats())),
            "/_sim/ledger" => (&[Method::GET], serde_json::to_vec(self.ledger())),
            control::PATH => match self.controlled(request, now) {
                Ok(()) => (&[Method::GET, Method::POST], serde_json::to_vec(&self.in_force(now))),
                Err(error) => {
                    let body = serde_json::json!({ "error": format!("failed to {error}") });
                    return Some(own_page(error.status(), body.to_string().into()));
                }
            },
            _ => return None,
        };
        Some(match body {
            Ok(body) if allowed.contains(&request.method) => own_page(StatusCode::OK, body.into()),
            Ok(_) => own_page(StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
            Err(_) => own_page(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
        })
    }

    /// Follows the order of a request, if it is one.
    fn controlled(&mut self, request: &ServerRequest, now: Duration) -> Result<(), OrderError> {
        let Some(order) = Order::of(request)? else { return Ok(()) };
        let followed = order.follow(&mut self.scenario, &mut self.standing)?;
        if followed.scenario_begins {
            self.accounts.clear();
            self.batch_requests.clear();
            self.queue.clear();
            self.begin(now);
        }
        if followed.ledger_ends {
            self.ledger.reset();
            self.tries.clear();
        }
        Ok(())
    }

    /// What is in force at `now`, as `GET /_sim/control` shows it.
    pub fn in_force(&self, now: Duration) -> InForce {
        InForce {
            scenario: self.scenario.clone(),
            elapsed_s: self.began.map(|began| now.saturating_sub(began).as_secs_f64()),
            seed: self.seed,
            fail_next: self.standing.fail_next.clone(),
            paused: self.standing.paused,
        }
    }
}

/// A page of the simulator's own.
fn own_page(status: StatusCode, body: Bytes) -> Timeline {
    Timeline::whole(Duration::ZERO, status, json_headers(HeaderMap::new()), body)
}
