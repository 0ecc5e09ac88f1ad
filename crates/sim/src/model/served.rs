//! The turn of a request where the server answers so many at a time, and how it slows down.
//!
//! What is drawn for a request depends on nothing but itself; when its turn comes depends on those before
//! it, and on nothing that comes later: a reply's times are settled when the request has arrived.

use std::time::Duration;

use sortie_core::serving::Turn;

use super::Model;
use super::kept::outlives_its_client;
use super::reply::Try;
use crate::ledger::Ticket;

/// A place at the server, from its turn until nothing is generated any more.
pub(super) struct Place {
    begins: Duration,
    ends: Duration,
}

impl Model {
    /// Moves the times of a try to its turn, and stretches them by what the server is slower then. None
    /// where the server has no bounds, or nothing is generated: whoever is refused does not wait for it.
    pub(super) fn queue_up(&mut self, this: &mut Try, now: Duration) -> Option<Place> {
        let server = self.scenario.server.as_ref()?;
        let generation = this.generation()?;
        let Turn { begins, busy } = self.queue.turn(server.slots, now);
        // What a prompt steers is kept to the letter, once it is its turn.
        let is_steered = this.asked.steering.latency.is_some() || this.asked.steering.ttft.is_some();
        let factor = if is_steered { 1.0 } else { server.factor(busy) };
        let (wait, network) = (begins.saturating_sub(now), this.asked.network);
        let stretched = |at: Duration| {
            let own = at.saturating_sub(network);
            wait + at.saturating_sub(own) + own.mul_f64(factor)
        };
        let pace = &mut this.asked.pace;
        (pace.first, pace.last) = (stretched(pace.first), stretched(pace.last));
        let stops = generation.pace.map_or(pace.last, |_| pace.at(generation.pieces));
        Some(Place { begins, ends: (now + stops).saturating_sub(network).max(begins) })
    }

    /// Takes the place, until its client hangs up where that stops the answer.
    pub(super) fn take_place(&mut self, place: Option<&Place>, this: &Try, ticket: Option<Ticket>) {
        let Some(&Place { begins, ends }) = place else { return };
        let goes_on = this.asked.said.in_background || outlives_its_client(this);
        let holder = ticket.filter(|_| !goes_on).map(Ticket::number);
        self.queue.take(holder, begins, ends);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Delivery;
    use crate::scenario::{Latency, Law};
    use crate::testing::{Ask, DIALECTS, NOON, ask, request, scenario};
    use crate::timeline::{End, Timeline};

    const SECOND: Duration = Duration::from_secs(1);

    /// Answers after 100 ms of network and ten seconds, the first token after one of them.
    fn model(server: &str) -> Model {
        let mut scenario = scenario(&format!("server: {server}"));
        scenario.latency = Latency::Total { seconds: Law::Fixed(10.0), first_token: Law::Fixed(1.0) };
        (scenario.network_ms.min, scenario.network_ms.max) = (100.0, 100.0);
        Model::speaking(DIALECTS, scenario, 42)
    }

    fn sent(model: &mut Model, prompt: &str, after_s: u32) -> Timeline {
        model.handle(&request(&ask(prompt), "sk-test"), NOON + after_s * SECOND)
    }

    /// When the head and the end of a reply come, in milliseconds.
    fn times(timeline: &Timeline) -> (u128, u128) {
        let End::Closed(end) = timeline.end else { panic!("{timeline:?}") };
        (timeline.head.as_ref().unwrap().at.as_millis(), end.as_millis())
    }

    #[test]
    fn who_finds_no_slot_waits_and_its_head_comes_with_its_first_token() {
        let mut model = model("{ slots: 2 }");
        let of = |n: u32| times(&sent(&mut model, &format!("Question {n}"), 0));
        let expected =
            [(1_100, 10_100), (1_100, 10_100), (11_100, 20_100), (11_100, 20_100), (21_100, 30_100)];
        assert_eq!([0, 1, 2, 3, 4].map(of), expected);
        assert_eq!(times(&sent(&mut model, "Later", 19)), (2_100, 11_100), "the network holds no slot");
    }

    #[test]
    fn an_answer_takes_longer_the_more_are_being_answered() {
        let mut model = model("{ slots: 3, slowdown: [1.0, 1.5] }");
        let of = |n: u32| times(&sent(&mut model, &format!("Question {n}"), 0));
        let expected = [(1_100, 10_100), (1_600, 15_100), (1_600, 15_100), (11_600, 25_100)];
        assert_eq!([0, 1, 2, 3].map(of), expected);
    }

    #[test]
    fn what_hangs_up_frees_its_slot_streamed_or_not() {
        for stream in [true, false] {
            let mut model = model("{ slots: 1 }");
            let first = request(&Ask { stream, ..ask("First") }, "sk-test");
            let ticket = model.handle(&first, NOON).ticket.unwrap();
            model.delivered(ticket, Delivery::Broken, NOON + 3 * SECOND);
            assert_eq!(times(&sent(&mut model, "Second", 3)).1, 10_100, "streamed: {stream}");
        }
    }

    #[test]
    fn what_generates_nothing_takes_no_slot_and_what_breaks_off_frees_it() {
        let check = |fault: &str, wait_s: u128| {
            let mut model = model("{ slots: 1 }");
            sent(&mut model, &format!("[[sim fail={fault}]]"), 0);
            let waited = times(&sent(&mut model, "Next", 0)).1 / 1000 - 10;
            assert_eq!(waited, wait_s, "{fault}");
        };
        for fault in ["529", "429:quota", "close", "reset", "stall-first", "empty200", "error200"] {
            check(fault, 0);
        }
        for fault in ["ok", "lost", "no-usage"] {
            check(fault, 10);
        }
        // One second to the first token, and half of the rest.
        for fault in ["cut", "stall"] {
            check(fault, 5);
        }
    }

    #[test]
    fn a_steered_time_is_kept_to_the_letter_once_it_is_its_turn() {
        let mut model = model("{ slots: 1, slowdown: [3.0] }");
        let steered = "[[sim latency=2 ttft=0.05]]";
        let [first, second] = ["A", "B"].map(|one| times(&sent(&mut model, &format!("{one} {steered}"), 0)));
        assert_eq!((first, second), ((50, 2_000), (1_950, 3_900)));
    }

    #[test]
    fn what_is_drawn_does_not_depend_on_the_order_of_arrival() {
        let drawn = |order: [&str; 3]| {
            let mut model = model("{ slots: 1, slowdown: [1, 2] }");
            let _replies = order.map(|prompt| sent(&mut model, prompt, 0));
            let mut all: Vec<_> =
                model.ledger().iter().map(|entry| (entry.prompt.clone(), entry.content)).collect();
            all.sort_by_key(|(prompt, _)| prompt.clone());
            all
        };
        assert_eq!(drawn(["a", "b", "c"]), drawn(["c", "a", "b"]));
        let texts = |order: [&str; 2]| {
            let mut model = model("{ slots: 1 }");
            let mut replies = order.map(|prompt| (prompt.to_owned(), sent(&mut model, prompt, 0).chunks));
            replies.sort_by_key(|(prompt, _)| prompt.clone());
            replies.map(|(_, chunks)| chunks.len())
        };
        assert_eq!(texts(["a", "b"]), texts(["b", "a"]));
    }

    #[test]
    fn a_scenario_that_is_ordered_begins_with_a_free_server() {
        let mut model = model("{ slots: 1 }");
        sent(&mut model, "Old", 0);
        let order = serde_json::json!({ "scenario": model.in_force(NOON).scenario });
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        let ordered = crate::timeline::ServerRequest {
            method: http::Method::POST,
            path: crate::control::PATH.to_owned(),
            query: None,
            headers,
            body: order.to_string().into(),
        };
        assert_eq!(model.handle(&ordered, NOON).head.unwrap().status, 200);
        assert_eq!(times(&sent(&mut model, "New", 0)).1, 10_100);
    }
}
