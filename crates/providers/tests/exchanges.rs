//! What each documented reply means, however its bytes are sliced and wherever they are cut.

use std::time::Duration;

use http::HeaderMap;
use sortie_core::failure::Class;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{self, Decoded};

/// What a fixture means: text and finish, or a class of failure.
type Meaning = Result<(&'static str, Finish), Class>;

struct Fixture {
    dialect: &'static str,
    name: &'static str,
    body: &'static [u8],
    meaning: Meaning,
    /// Input, cache read, cache write, cache write 1h, output.
    usage: Option<[u64; 5]>,
    /// What makes the answer whole: no cut before its end may be taken for a whole answer.
    terminator: &'static str,
}

macro_rules! fixture {
    ($dialect:literal, $name:literal, $meaning:expr, $usage:expr, $terminator:expr) => {
        Fixture {
            dialect: $dialect,
            name: $name,
            body: include_bytes!(concat!("fixtures/", $name)),
            meaning: $meaning,
            usage: $usage,
            terminator: $terminator,
        }
    };
}

const STOPPED: &str = "message_stop\"}";
const FINISHED: &str = "\"finish_reason\": \"stop\"}]";

fn fixtures() -> Vec<Fixture> {
    use Finish::{MaxTokens, Stop};
    let window = Finish::Other("model_context_window_exceeded".to_owned());
    vec![
        fixture!(
            "anthropic",
            "anthropic-text.sse",
            Ok(("Hello, wörld 🌍", Stop)),
            Some([25, 0, 0, 0, 12]),
            STOPPED
        ),
        fixture!(
            "anthropic",
            "anthropic-thinking.sse",
            Ok(("42", Stop)),
            Some([3, 5000, 100, 200, 20]),
            STOPPED
        ),
        fixture!(
            "anthropic",
            "anthropic-max-tokens.sse",
            Ok(("One, two, thr", MaxTokens)),
            Some([25, 0, 0, 0, 5]),
            STOPPED
        ),
        fixture!("anthropic", "anthropic-empty.sse", Ok(("", Stop)), Some([25, 0, 0, 0, 2]), STOPPED),
        fixture!(
            "anthropic",
            "anthropic-window.sse",
            Ok(("So far", window)),
            Some([25, 0, 0, 0, 3]),
            STOPPED
        ),
        fixture!("anthropic", "anthropic-refusal.sse", Err(Class::Refused), Some([25, 0, 0, 0, 4]), STOPPED),
        fixture!("anthropic", "anthropic-overloaded.sse", Err(Class::Overloaded), None, ""),
        fixture!("anthropic", "anthropic-llamacpp-emoji.sse", Ok(("🎉 done", Stop)), None, STOPPED),
        fixture!(
            "anthropic",
            "anthropic-whole.json",
            Ok(("Hello, wörld", Stop)),
            Some([25, 0, 40, 0, 12]),
            "}\n}"
        ),
        fixture!("anthropic", "anthropic-no-usage.json", Ok(("Hello", Stop)), None, "}"),
        fixture!(
            "anthropic",
            "anthropic-no-content.json",
            Err(Class::Malformed),
            Some([25, 0, 0, 0, 12]),
            "}"
        ),
        fixture!("anthropic", "page.html", Err(Class::Malformed), None, ""),
        fixture!(
            "openai",
            "openai-text.sse",
            Ok(("Hello, wörld 🌍", Stop)),
            Some([50, 1000, 150, 0, 30]),
            "\"finish_reason\": \"stop\"}], \"usage\": null}"
        ),
        fixture!(
            "openai",
            "openai-length.sse",
            Ok(("One, two, thr", MaxTokens)),
            Some([8, 0, 0, 0, 5]),
            "\"finish_reason\": \"length\"}]"
        ),
        fixture!("openai", "openai-filtered.sse", Err(Class::Refused), Some([8, 0, 0, 0, 5]), ""),
        fixture!("openai", "openai-refusal.sse", Err(Class::Refused), Some([8, 0, 0, 0, 5]), ""),
        fixture!("openai", "openai-llamacpp.sse", Ok(("Hi", Stop)), None, FINISHED),
        fixture!("openai", "openai-openrouter-error.sse", Err(Class::Transient), None, ""),
        fixture!("openai", "openai-error.sse", Err(Class::Transient), None, ""),
        fixture!("openai", "openai-reasoning.sse", Ok(("42", Stop)), Some([9, 0, 0, 0, 4]), FINISHED),
        fixture!(
            "openai",
            "openai-whole.json",
            Ok(("Hello, wörld", Stop)),
            Some([50, 1000, 150, 0, 30]),
            "}"
        ),
        fixture!("openai", "openai-no-choices.json", Err(Class::Malformed), None, ""),
        fixture!("openai", "openai-error-200.json", Err(Class::Throttled), None, ""),
        fixture!("openai", "page.html", Err(Class::Malformed), None, ""),
    ]
    .into_iter()
    .chain(responses())
    .collect()
}

/// Those of the Responses API: they are whole with the last brace, that of the last event.
fn responses() -> Vec<Fixture> {
    macro_rules! responses {
        ($name:literal, $meaning:expr, $usage:expr) => {
            fixture!("openai-responses", $name, $meaning, $usage, "}")
        };
    }
    let steered = Finish::Other("steered".to_owned());
    let arguments = r#"{"city":"Köln"}"#;
    vec![
        responses!("responses-text.sse", Ok(("Hello, wörld 🌍", Finish::Stop)), Some([50, 1000, 150, 0, 30])),
        responses!("responses-length.sse", Ok(("One, two, thr", Finish::MaxTokens)), Some([8, 0, 0, 0, 5])),
        responses!("responses-steered.sse", Ok(("So far", steered)), Some([8, 0, 0, 0, 3])),
        responses!("responses-reasoning.sse", Ok(("It is 42", Finish::Stop)), Some([9, 0, 0, 0, 24])),
        responses!("responses-tool.sse", Ok((arguments, Finish::Stop)), Some([40, 0, 0, 0, 9])),
        responses!("responses-bare.sse", Ok(("Hi", Finish::Stop)), None),
        responses!("responses-filtered.sse", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        responses!("responses-refusal.sse", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        responses!("responses-failed.sse", Err(Class::Transient), Some([8, 0, 0, 0, 1])),
        responses!("responses-error.sse", Err(Class::Throttled), None),
        responses!("responses-whole.json", Ok(("Hello, wörld", Finish::Stop)), Some([50, 1000, 150, 0, 30])),
        responses!("responses-refusal.json", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        responses!("responses-failed.json", Err(Class::Invalid), Some([8, 0, 0, 0, 1])),
        responses!("responses-queued.json", Err(Class::Malformed), None),
        responses!("responses-no-output.json", Err(Class::Malformed), Some([8, 0, 0, 0, 5])),
        responses!("openai-error-200.json", Err(Class::Throttled), None),
        responses!("page.html", Err(Class::Malformed), None),
    ]
}

fn decode<'a>(fixture: &Fixture, slices: impl IntoIterator<Item = &'a [u8]>, clean: bool) -> Decoded {
    let dialect = dialect::by_name(fixture.dialect).expect("fixtures name dialects that exist");
    let mut decoder = dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
    slices.into_iter().for_each(|slice| decoder.push(slice));
    decoder.finish(clean)
}

/// What was decoded, in the fixtures' words.
fn meaning(decoded: &Decoded) -> Result<(&str, Finish), Class> {
    match &decoded.result {
        Ok(text) => Ok((text.text.as_str(), text.finish.clone())),
        Err(failure) => Err(failure.class),
    }
}

#[test]
fn every_fixture_means_what_it_says() {
    for fixture in fixtures() {
        let decoded = decode(&fixture, [fixture.body], true);
        assert_eq!(meaning(&decoded), fixture.meaning, "{}: {decoded:?}", fixture.name);
        let usage = fixture.usage.map(|[input, cache_read, cache_write, cache_write_1h, output]| Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            ..Usage::default()
        });
        assert_eq!(decoded.usage, usage, "{}", fixture.name);
    }
}

#[test]
fn a_count_of_tokens_that_no_model_reaches_is_not_reported() {
    let fixtures = fixtures();
    let check = |name: &str, count: &str, expected: Option<[u64; 3]>| {
        let fixture = fixtures.iter().find(|fixture| fixture.name == name).unwrap();
        let (field, _) = count.rsplit_once(' ').unwrap();
        let body = str::from_utf8(fixture.body).unwrap();
        let hostile = body.replacen(count, &format!("{field} {}", u64::MAX), 1);
        assert_ne!(hostile, body, "{name} has no {count}");
        let decoded = decode(fixture, [hostile.as_bytes()], true);
        assert_eq!(meaning(&decoded), fixture.meaning, "{name}: {count}");
        let usage = decoded.usage.map(|usage| [usage.input, usage.cache_read, usage.output]);
        assert_eq!(usage, expected, "{name}: {count}");
    };
    check("openai-whole.json", "\"prompt_tokens\": 1200", None);
    check("openai-whole.json", "\"completion_tokens\": 30", None);
    check("responses-whole.json", "\"input_tokens\": 1200", None);
    check("responses-whole.json", "\"output_tokens\": 30", None);
    // Parts are cut to the whole that they are of.
    check("openai-whole.json", "\"cached_tokens\": 1000", Some([0, 1200, 30]));
    check("responses-whole.json", "\"cached_tokens\": 1000", Some([0, 1200, 30]));
    check("anthropic-whole.json", "\"output_tokens\": 12", Some([25, 0, 0]));
}

#[test]
fn an_answer_is_never_whole_before_its_terminator() {
    for fixture in fixtures().iter().filter(|fixture| fixture.meaning.is_ok()) {
        let body = str::from_utf8(fixture.body).unwrap();
        let whole_at = body.rfind(fixture.terminator).unwrap() + fixture.terminator.len();
        for cut in 0..fixture.body.len() {
            for clean in [true, false] {
                let decoded = decode(fixture, [&fixture.body[..cut]], clean);
                let place = format!("{} cut at {cut}, clean: {clean}", fixture.name);
                if cut < whole_at {
                    assert!(decoded.result.is_err(), "{place}: taken for whole");
                    assert_eq!(decoded.usage, None, "{place}");
                } else if decoded.result.is_ok() {
                    assert_eq!(meaning(&decoded), fixture.meaning, "{place}");
                }
            }
        }
    }
}

#[test]
fn what_came_before_a_cut_is_known() {
    let fixture = &fixtures()[0];
    let cut = fixture.body.windows(5).position(|bytes| bytes == b"Hello").unwrap() + 20;
    let seen = decode(fixture, [&fixture.body[..cut]], false).seen;
    assert_eq!(seen.text_bytes, 5);
    assert_eq!(seen.usage.map(|usage| (usage.input, usage.output)), Some((25, 1)));
}

#[test]
fn slicing_makes_no_difference() {
    for fixture in fixtures() {
        let whole = decode(&fixture, [fixture.body], true);
        for size in [1, 2, 7] {
            let sliced = decode(&fixture, fixture.body.chunks(size), true);
            assert_eq!(sliced, whole, "{} in slices of {size}", fixture.name);
        }
        // 41 fixtures: 17,220 random slicings.
        for seed in 1..=420_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut rest = fixture.body;
            let mut slices = Vec::new();
            while !rest.is_empty() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let (slice, after) = rest.split_at((state % 60) as usize % (rest.len() + 1));
                slices.push(slice);
                rest = after;
            }
            assert_eq!(decode(&fixture, slices, true), whole, "{}, seed {seed}", fixture.name);
        }
    }
}

#[test]
fn no_bytes_make_a_decoder_panic() {
    let fixtures = fixtures();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..20_000 {
        let fixture = &fixtures[random() as usize % fixtures.len()];
        let mut body = fixture.body.to_vec();
        for _ in 0..=random() % 8 {
            let at = random() as usize % body.len();
            body[at] = random() as u8;
        }
        // Whatever it means: twice the same, so that a failure can be found by its round.
        assert_eq!(
            decode(fixture, [&body[..]], true),
            decode(fixture, body.chunks(3), true),
            "round {round}"
        );
    }
}
