//! Attempts as tables: what happens when, and what it comes to.

use super::*;
use crate::dialect::Anthropic;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_token: Duration::from_secs(20),
    idle: Duration::from_secs(10),
    request: None,
};

const START: &str =
    r#"data: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":40,"output_tokens":1}}}"#;
const NINE_BYTES: &str =
    r#"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"nine byte"}}"#;
const STOP: &str =
    r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#;
const END: &str = r#"data: {"type":"message_stop"}"#;
const ERROR: &str = r#"data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

/// What happens, each thing a second after the one before.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connected,
    Sent,
    Head(u16),
    Event(&'static str),
}
use Step::{Connected, Event, Head, Sent};

fn exchange_after(steps: &[Step]) -> (Exchange, Duration) {
    let mut exchange = Exchange::new(&Anthropic, TIMEOUTS, Duration::from_secs(100), Duration::ZERO, 100);
    let mut at = Duration::ZERO;
    for step in steps {
        at += Duration::from_secs(1);
        match step {
            Connected => exchange.connected(at),
            Sent => exchange.sent(at),
            Head(status) => drop(exchange.head(at, *status, &HeaderMap::new())),
            Event(event) => exchange.bytes(at, format!("{event}\n\n").as_bytes()),
        }
    }
    (exchange, at)
}

/// What an attempt came to: the class of its failure, if it failed, and its billing.
fn check(steps: &[Step], end: &End, class: Option<Class>, billing: Billing) {
    let (exchange, at) = exchange_after(steps);
    let returned = exchange.end(at, end.clone());
    let failed = returned.result.as_ref().err().map(|failure| failure.class);
    assert_eq!((failed, returned.billing), (class, billing), "{steps:?} {end:?}: {:?}", returned.result);
    assert_eq!(returned.timing.total, at);
}

fn broken() -> End {
    End::Broken("connection reset".to_owned())
}

fn estimated(input: u64, output: u64) -> Billing {
    Billing::Estimated(Usage { input, output, ..Usage::default() })
}

#[test]
fn what_was_not_sent_whole_costs_nothing() {
    let refused = End::NotConnected("connection refused".to_owned());
    check(&[], &refused, Some(Class::Network), Billing::Nothing);
    check(&[], &End::Deadline, Some(Class::Timeout), Billing::Nothing);
    check(&[Connected], &End::Deadline, Some(Class::Timeout), Billing::Nothing);
    check(&[Connected], &broken(), Some(Class::Network), Billing::Nothing);
}

#[test]
fn what_was_sent_whole_and_not_answered_is_at_risk() {
    for (end, class) in
        [(End::Deadline, Class::Timeout), (broken(), Class::Network), (End::Closed, Class::Network)]
    {
        check(&[Sent], &end, Some(class), Billing::Unknown);
    }
}

#[test]
fn an_error_status_costs_nothing_however_its_body_ends() {
    for end in [End::Closed, End::Deadline, broken()] {
        check(&[Sent, Head(529), Event(ERROR)], &end, Some(Class::Overloaded), Billing::Nothing);
        check(&[Sent, Head(504)], &end, Some(Class::Transient), Billing::Nothing);
        check(&[Sent, Head(307)], &end, Some(Class::Redirected), Billing::Nothing);
        check(&[Connected, Head(413)], &end, Some(Class::Invalid), Billing::Nothing);
    }
}

#[test]
fn a_whole_answer_costs_what_is_reported_else_what_is_estimated() {
    let whole = [Sent, Head(200), Event(START), Event(NINE_BYTES), Event(STOP), Event(END)];
    let usage = Usage { input: 40, output: 7, ..Usage::default() };
    for end in [End::Closed, End::Deadline, broken()] {
        check(&whole, &end, None, Billing::Reported(usage));
        // llama.cpp without its `message_start`: the input is nowhere.
        check(&[Sent, Head(200), Event(NINE_BYTES), Event(STOP), Event(END)], &end, None, estimated(34, 7));
    }
}

#[test]
fn an_answer_that_is_cut_is_estimated_from_what_came() {
    let head = [Sent, Head(200)];
    check(&head, &End::Closed, Some(Class::Malformed), estimated(34, 0));
    check(&head, &broken(), Some(Class::Network), estimated(34, 0));
    check(&head, &End::Deadline, Some(Class::Timeout), estimated(34, 0));
    let begun = [Sent, Head(200), Event(START), Event(NINE_BYTES)];
    check(&begun, &End::Closed, Some(Class::CutOff), estimated(40, 3));
    check(&begun, &broken(), Some(Class::CutOff), estimated(40, 3));
    check(&begun, &End::Deadline, Some(Class::Timeout), estimated(40, 3));
    let unterminated = [Sent, Head(200), Event(START), Event(NINE_BYTES), Event(STOP)];
    check(&unterminated, &End::Closed, Some(Class::CutOff), estimated(40, 7));
}

#[test]
fn an_error_in_place_of_an_answer_costs_nothing_and_inside_one_what_came() {
    check(&[Sent, Head(200), Event(ERROR)], &End::Closed, Some(Class::Overloaded), Billing::Nothing);
    let inside = [Sent, Head(200), Event(START), Event(NINE_BYTES), Event(ERROR)];
    check(&inside, &End::Closed, Some(Class::Overloaded), estimated(40, 3));
}

#[test]
fn the_deadline_is_that_of_what_is_awaited_now() {
    let deadline = |steps: &[Step]| exchange_after(steps).0.deadline().as_secs();
    assert_eq!(deadline(&[]), 5, "connect");
    assert_eq!(deadline(&[Connected]), 1 + 20, "send");
    assert_eq!(deadline(&[Connected, Sent]), 2 + 20, "first token, from sending");
    assert_eq!(deadline(&[Sent, Head(200)]), 1 + 20, "headers are no token");
    assert_eq!(deadline(&[Sent, Head(200), Event(START)]), 1 + 20, "nor is an opening");
    assert_eq!(deadline(&[Sent, Head(200), Event(NINE_BYTES)]), 3 + 10, "idle");
    assert_eq!(
        deadline(&[Sent, Head(200), Event(NINE_BYTES), Event(": ping")]),
        4 + 10,
        "a ping is a sign of life"
    );
    let mut steps = vec![Sent, Head(200)];
    steps.extend([Event(NINE_BYTES); 95]);
    assert_eq!(deadline(&steps), 100, "total");
}

#[test]
fn a_timeout_says_which_it_was() {
    let message = |steps: &[Step]| {
        let (exchange, _) = exchange_after(steps);
        let at = exchange.deadline();
        exchange.end(at, End::Deadline).result.unwrap_err().message
    };
    assert_eq!(message(&[]), "no connection within 5 s");
    assert_eq!(message(&[Connected]), "request not sent within 20 s");
    assert_eq!(message(&[Sent]), "no first token within 20 s");
    assert_eq!(message(&[Sent, Head(200), Event(NINE_BYTES)]), "nothing more of the answer within 10 s");
    let mut steps = vec![Sent, Head(200)];
    steps.extend([Event(NINE_BYTES); 95]);
    assert_eq!(message(&steps), "no whole answer within 100 s");
}

#[test]
fn the_first_token_is_timed_and_the_terminator_ends_the_waiting() {
    let (exchange, _) = exchange_after(&[Sent, Head(200), Event(START), Event(NINE_BYTES), Event(STOP)]);
    assert!(!exchange.is_done());
    let (exchange, at) = exchange_after(&[Sent, Head(200), Event(NINE_BYTES), Event(STOP), Event(END)]);
    assert!(exchange.is_done());
    let timing = exchange.end(at, End::Closed).timing;
    assert_eq!(timing, Timing { first_token: Some(Duration::from_secs(3)), total: Duration::from_secs(5) });
}

#[test]
fn a_redirect_names_the_host_and_nothing_else() {
    for (location, expected) in [
        ("https://evil.example/path?key=sk-test-0123456789", "sends us to evil.example;"),
        ("/elsewhere?key=sk-test-0123456789", "sends us elsewhere;"),
    ] {
        let (mut exchange, at) = exchange_after(&[Sent]);
        let headers = HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]);
        exchange.head(at, 308, &headers);
        let failure = exchange.end(at, End::Closed).result.unwrap_err();
        assert!(failure.message.contains(expected) && !failure.message.contains("sk-"), "{failure}");
        assert_eq!(failure.http_status, Some(308));
    }
}

#[test]
fn a_body_without_end_is_given_up() {
    let (mut exchange, at) = exchange_after(&[Sent, Head(200), Event(START)]);
    let piece = format!(": {}\n\n", "x".repeat(1 << 20));
    let pieces = (1..100).take_while(|_| {
        exchange.bytes(at, piece.as_bytes());
        !exchange.is_done()
    });
    assert_eq!(pieces.count(), 63);
    let returned = exchange.end(at, End::Closed);
    assert_eq!(returned.result.unwrap_err().class, Class::Malformed);
    assert_eq!(returned.billing, estimated(40, 1));
}

#[test]
fn a_head_without_end_is_refused_and_a_long_one_is_read() {
    let whole = [START, NINE_BYTES, STOP, END].map(|event| format!("{event}\n\n")).concat();
    let answered = |status, headers: &HeaderMap| {
        let (mut exchange, at) = exchange_after(&[Sent]);
        exchange.head(at, status, headers);
        if !exchange.is_done() {
            exchange.bytes(at, whole.as_bytes());
        }
        exchange.end(at, End::Closed)
    };
    // Names of three bytes.
    let head = |values: usize| {
        let header = |nth: usize| {
            (
                HeaderName::try_from(format!("x{nth:02}")).unwrap(),
                HeaderValue::try_from("v".repeat(values)).unwrap(),
            )
        };
        (0..64).map(header).collect::<HeaderMap>()
    };
    assert!(answered(200, &head(1021)).result.is_ok());
    let returned = answered(200, &head(1022));
    assert_eq!(returned.billing, estimated(34, 0));
    let failure = returned.result.unwrap_err();
    assert_eq!(failure.class, Class::Malformed);
    assert_eq!(failure.message, "the headers of the reply are longer than 64 KiB");
    let refused = answered(429, &head(1022));
    assert_eq!((refused.result.unwrap_err().class, refused.billing), (Class::Throttled, Billing::Nothing));
}

#[test]
fn a_document_without_end_is_given_up() {
    let (mut exchange, at) = exchange_after(&[Sent, Head(200)]);
    exchange.bytes(at, b"{\"content\":[");
    let piece = "1,".repeat(1 << 19);
    let pieces = (1..100).take_while(|_| {
        exchange.bytes(at, piece.as_bytes());
        !exchange.is_done()
    });
    assert_eq!(pieces.count(), 7);
    let failure = exchange.end(at, End::Closed).result.unwrap_err();
    assert_eq!(failure.class, Class::Malformed);
    assert_eq!(failure.message, "the reply is one JSON document longer than 8 MiB");
}
