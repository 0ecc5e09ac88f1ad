//! Recorded streams, cut at every byte: an attempt whose answer is cut is never taken for a whole
//! one, keeps no text, and is charged for what is known to have come.

use std::time::Duration;

use http::HeaderMap;
use sortie_core::agent::Timeouts;
use sortie_core::call::Returned;
use sortie_core::failure::Class;
use sortie_core::run::input::Billing;
use sortie_providers::exchange::{End, Exchange};
use sortie_providers::http::{Client, Endpoint};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixtures::{Recorded, load};

/// Streams of a real server of more than 3,000 bytes, one in each protocol; what makes them whole; and
/// whether their usage begins with the answer, or only comes at its end.
const STREAMS: [(&str, &str, bool); 3] = [
    ("anthropic-llamacpp-stream", "\"message_stop\"}\n\n", true),
    ("openai-llamacpp-stream", "\"finish_reason\":\"length\",\"index\":0,\"delta\":{}}]", false),
    ("responses-llamacpp-stream", "\n\n", false),
];

/// Bytes of the prompt, as the attempts below say.
const PROMPT_BYTES: u64 = 300;

/// How long a server's silence would last.
const PATIENT: Duration = Duration::from_secs(30);

/// From here on the stream is whole: after the event that says so.
fn whole_at(recorded: &Recorded, terminator: &str) -> usize {
    let text = str::from_utf8(&recorded.body).unwrap();
    let said = text.rfind(terminator).unwrap() + terminator.len();
    if terminator.ends_with('\n') { said } else { said + text[said..].find("\n\n").unwrap() + 2 }
}

/// What is right for a stream that is cut at this byte.
fn check(recorded: &Recorded, cut: usize, whole_at: usize, begins_with_usage: bool, returned: &Returned) {
    let place = format!("{} cut at {cut}: {returned:?}", recorded.name);
    if cut >= whole_at {
        assert!(returned.result.is_ok(), "{place}");
        return;
    }
    let failure = returned.result.as_ref().expect_err(&place);
    assert!(
        matches!(failure.class, Class::CutOff | Class::Malformed | Class::Network | Class::Timeout),
        "{place}"
    );
    let Billing::Estimated(usage) = returned.billing else { panic!("{place}") };
    let text = str::from_utf8(&recorded.body).unwrap();
    let has_begun = begins_with_usage && text.find("\n\n").is_some_and(|first| cut >= first + 2);
    let by_length = PROMPT_BYTES.div_ceil(3);
    // The recorded server counted 35 tokens of input, 34 of them from its cache.
    assert_eq!(usage.total_input(), if has_begun { 35 } else { by_length }, "{place}");
}

#[test]
fn an_attempt_whose_stream_is_cut_at_any_byte_is_cut_and_estimated() {
    for (name, terminator, begins_with_usage) in STREAMS {
        let recorded = load(name);
        assert!(recorded.body.len() >= 3_000, "{name}");
        let whole_at = whole_at(&recorded, terminator);
        for cut in 0..=recorded.body.len() {
            // The three ends in turn; each comes at every place of some event.
            let end = match cut % 3 {
                0 => End::Closed,
                1 => End::Broken("reset".to_owned()),
                _ => End::Deadline,
            };
            let mut exchange =
                Exchange::new(recorded.dialect, Timeouts::default(), PATIENT, Duration::ZERO, PROMPT_BYTES);
            exchange.sent(Duration::ZERO);
            exchange.head(Duration::ZERO, 200, &HeaderMap::new());
            exchange.bytes(Duration::ZERO, &recorded.body[..cut]);
            let returned = exchange.end(Duration::ZERO, end);
            check(&recorded, cut, whole_at, begins_with_usage, &returned);
        }
    }
}

#[tokio::test]
async fn the_same_over_sockets_at_some_bytes() {
    let client = Client::new(PATIENT).unwrap();
    let timeouts = Timeouts { first_token: PATIENT, ..Timeouts::default() };
    for (name, terminator, begins_with_usage) in STREAMS {
        let recorded = load(name);
        let whole_at = whole_at(&recorded, terminator);
        let around = [whole_at - 1, whole_at, recorded.body.len()];
        for cut in (0..recorded.body.len()).step_by(149).chain(around) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base_url = format!("http://{}", listener.local_addr().unwrap());
            let part = recorded.body[..cut].to_vec();
            let is_chunked = cut % 2 == 0;
            let serving = tokio::spawn(async move {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"}") {
                    assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
                }
                let reply = if is_chunked {
                    // Without its last chunk: the framing is cut, too.
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                    let chunk = if part.is_empty() { String::new() } else { format!("{:x}\r\n", part.len()) };
                    [head.as_bytes(), chunk.as_bytes(), &part, b"\r\n"].concat()
                } else {
                    [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &part[..]].concat()
                };
                socket.write_all(&reply).await.unwrap();
            });
            let variant = recorded.dialect.default_variant();
            let endpoint = Endpoint::new(recorded.dialect, &base_url, variant, None).unwrap();
            let mut request = recorded.read();
            request.prompt = "p".repeat(PROMPT_BYTES as usize);
            let returned = client.call(&endpoint, &request, timeouts, PATIENT, drop).await;
            serving.await.unwrap();
            check(&recorded, cut, whole_at, begins_with_usage, &returned);
        }
    }
}
