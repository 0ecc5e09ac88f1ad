//! What each documented reply means, however its bytes are sliced and wherever they are cut.

use std::time::Duration;

use sortie_core::failure::Class;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::Decoded;

use crate::fixtures::{Recorded, all, load};

/// What a fixture means: text and finish, or a class of failure.
type Meaning = Result<(&'static str, Finish), Class>;

struct Fixture {
    recorded: Recorded,
    meaning: Meaning,
    /// Input, cache read, cache write, cache write 1h, output.
    usage: Option<[u64; 5]>,
    /// What makes the answer whole: no cut before its end may be taken for a whole answer.
    terminator: &'static str,
}

impl Fixture {
    fn name(&self) -> &str {
        &self.recorded.name
    }

    fn body(&self) -> &[u8] {
        &self.recorded.body
    }
}

fn fixture(name: &str, meaning: Meaning, usage: Option<[u64; 5]>, terminator: &'static str) -> Fixture {
    Fixture { recorded: load(name), meaning, usage, terminator }
}

const STOPPED: &str = "message_stop\"}";
const FINISHED: &str = "\"finish_reason\": \"stop\"}]";

fn fixtures() -> Vec<Fixture> {
    [anthropic(), chat(), responses(), recorded()].into_iter().flatten().collect()
}

fn anthropic() -> Vec<Fixture> {
    use Finish::{MaxTokens, Stop};
    let window = Finish::Other("model_context_window_exceeded".to_owned());
    vec![
        fixture("anthropic-text", Ok(("Hello, wörld 🌍", Stop)), Some([25, 0, 0, 0, 12]), STOPPED),
        fixture("anthropic-thinking", Ok(("42", Stop)), Some([3, 5000, 100, 200, 20]), STOPPED),
        fixture("anthropic-max-tokens", Ok(("One, two, thr", MaxTokens)), Some([25, 0, 0, 0, 5]), STOPPED),
        fixture("anthropic-empty", Ok(("", Stop)), Some([25, 0, 0, 0, 2]), STOPPED),
        fixture("anthropic-window", Ok(("So far", window)), Some([25, 0, 0, 0, 3]), STOPPED),
        fixture("anthropic-refusal", Err(Class::Refused), Some([25, 0, 0, 0, 4]), STOPPED),
        fixture("anthropic-overloaded", Err(Class::Overloaded), None, ""),
        fixture("anthropic-llamacpp-emoji", Ok(("🎉 done", Stop)), None, STOPPED),
        fixture("anthropic-whole", Ok(("Hello, wörld", Stop)), Some([25, 0, 40, 0, 12]), "}\n}"),
        fixture("anthropic-plain", Ok(("Hello, wörld", Stop)), Some([25, 0, 0, 0, 12]), "}"),
        fixture("anthropic-no-usage", Ok(("Hello", Stop)), None, "}"),
        fixture("anthropic-no-content", Err(Class::Malformed), Some([25, 0, 0, 0, 12]), "}"),
        fixture("anthropic-page", Err(Class::Malformed), None, ""),
    ]
}

fn chat() -> Vec<Fixture> {
    use Finish::{MaxTokens, Stop};
    let (hello, cut_off) = (Ok(("Hello, wörld 🌍", Stop)), Ok(("One, two, thr", MaxTokens)));
    let stop_and_usage = "\"finish_reason\": \"stop\"}], \"usage\": null}";
    vec![
        fixture("openai-text", hello, Some([50, 1000, 150, 0, 30]), stop_and_usage),
        fixture("openai-length", cut_off, Some([8, 0, 0, 0, 5]), "\"finish_reason\": \"length\"}]"),
        fixture("openai-filtered", Err(Class::Refused), Some([8, 0, 0, 0, 5]), ""),
        fixture("openai-refusal", Err(Class::Refused), Some([8, 0, 0, 0, 5]), ""),
        fixture("openai-llamacpp", Ok(("Hi", Stop)), None, FINISHED),
        fixture("openai-openrouter-error", Err(Class::Transient), None, ""),
        fixture("openai-error", Err(Class::Transient), None, ""),
        fixture("openai-reasoning", Ok(("42", Stop)), Some([9, 0, 0, 0, 4]), FINISHED),
        fixture("openai-whole", Ok(("Hello, wörld", Stop)), Some([50, 1000, 150, 0, 30]), "}"),
        fixture("openai-no-choices", Err(Class::Malformed), None, ""),
        fixture("openai-error-whole", Err(Class::Throttled), None, ""),
        fixture("openai-page", Err(Class::Malformed), None, ""),
    ]
}

/// Those of the Responses API: they are whole with the last brace, that of the last event.
fn responses() -> Vec<Fixture> {
    use Finish::{MaxTokens, Stop};
    let steered = Finish::Other("steered".to_owned());
    let arguments = r#"{"city":"Köln"}"#;
    let rows: [(&str, Meaning, Option<[u64; 5]>); 18] = [
        ("text", Ok(("Hello, wörld 🌍", Stop)), Some([50, 1000, 150, 0, 30])),
        ("length", Ok(("One, two, thr", MaxTokens)), Some([8, 0, 0, 0, 5])),
        ("steered", Ok(("So far", steered)), Some([8, 0, 0, 0, 3])),
        ("reasoning", Ok(("It is 42", Stop)), Some([9, 0, 0, 0, 24])),
        ("tool", Ok((arguments, Stop)), Some([40, 0, 0, 0, 9])),
        ("bare", Ok(("Hi", Stop)), None),
        ("filtered", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        ("refusal", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        ("failed", Err(Class::Transient), Some([8, 0, 0, 0, 1])),
        ("error", Err(Class::Throttled), None),
        ("whole", Ok(("Hello, wörld", Stop)), Some([50, 1000, 150, 0, 30])),
        ("plain", Ok(("Hello, wörld 🌍", Stop)), Some([50, 1000, 150, 0, 30])),
        ("refusal-whole", Err(Class::Refused), Some([8, 0, 0, 0, 5])),
        ("failed-whole", Err(Class::Invalid), Some([8, 0, 0, 0, 1])),
        ("queued", Err(Class::Malformed), None),
        ("no-output", Err(Class::Malformed), Some([8, 0, 0, 0, 5])),
        ("error-whole", Err(Class::Throttled), None),
        ("page", Err(Class::Malformed), None),
    ];
    let row = |(name, meaning, usage)| fixture(&format!("responses-{name}"), meaning, usage, "}");
    rows.into_iter().map(row).collect()
}

/// What llama.cpp really answered, in its order: plain, streamed, refused. It says of a response that
/// it is complete where the tokens ran out; nobody could know better.
fn recorded() -> Vec<Fixture> {
    use Finish::{MaxTokens, Stop};
    let rows: [(&str, Meaning, Option<[u64; 5]>, &str); 9] = [
        (
            "anthropic-llamacpp-plain",
            Ok((
                "A river is a majestic and majestic. The majestic is an adjective that describes a being that is indeed magnificent.",
                Stop,
            )),
            Some([1, 33, 0, 0, 23]),
            "}",
        ),
        (
            "anthropic-llamacpp-stream",
            Ok((
                "When rivers bend, it's not just about a gentle curve, but a complex phenomenon involving the geometry of rivers and their",
                MaxTokens,
            )),
            Some([1, 34, 0, 0, 24]),
            "message_stop\"}",
        ),
        ("anthropic-llamacpp-context", Err(Class::Invalid), None, ""),
        (
            "openai-llamacpp-plain",
            Ok((
                "The Amazon River:\n\n1. Amazon - A large river in South America, known for its vast and diverse ecosystems,",
                MaxTokens,
            )),
            Some([1, 33, 0, 0, 24]),
            "}",
        ),
        (
            "openai-llamacpp-stream",
            Ok((
                "In fluid dynamics, the bending of rivers is a fundamental phenomenon that occurs when there is a change in fluid properties, such",
                MaxTokens,
            )),
            Some([1, 34, 0, 0, 24]),
            "\"finish_reason\":\"length\"",
        ),
        ("openai-llamacpp-context", Err(Class::Invalid), None, ""),
        (
            "responses-llamacpp-plain",
            Ok((
                "The river that has been named is the Amazon River, a vast, majestic river that runs through Brazil, Peru, and",
                Stop,
            )),
            Some([1, 33, 0, 0, 24]),
            "}",
        ),
        (
            "responses-llamacpp-stream",
            Ok((
                "The art of water's bend – a metaphor that has been passed down through time. Many have pondered the nature of water",
                Stop,
            )),
            Some([1, 34, 0, 0, 24]),
            "}",
        ),
        ("responses-llamacpp-context", Err(Class::Invalid), None, ""),
    ];
    let row = |(name, meaning, usage, terminator)| fixture(name, meaning, usage, terminator);
    rows.into_iter().map(row).collect()
}

fn decode<'a>(fixture: &Fixture, slices: impl IntoIterator<Item = &'a [u8]>, clean: bool) -> Decoded {
    let Recorded { dialect, exchange, .. } = &fixture.recorded;
    let replied = &exchange.response;
    let mut decoder = dialect.decoder(replied.status, &replied.header_map(), Duration::ZERO);
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
        let decoded = decode(&fixture, [fixture.body()], true);
        assert_eq!(meaning(&decoded), fixture.meaning, "{}: {decoded:?}", fixture.name());
        let usage = fixture.usage.map(|[input, cache_read, cache_write, cache_write_1h, output]| Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            ..Usage::default()
        });
        assert_eq!(decoded.usage, usage, "{}", fixture.name());
    }
}

#[test]
fn every_fixture_has_a_meaning() {
    let mut told: Vec<String> = fixtures().iter().map(|fixture| fixture.name().to_owned()).collect();
    told.sort();
    let there: Vec<String> = all().into_iter().map(|recorded| recorded.name).collect();
    assert_eq!(told, there);
}

#[test]
fn a_count_of_tokens_that_no_model_reaches_is_not_reported() {
    let fixtures = fixtures();
    let check = |name: &str, count: &str, expected: Option<[u64; 3]>| {
        let fixture = fixtures.iter().find(|fixture| fixture.name() == name).unwrap();
        let (field, _) = count.rsplit_once(' ').unwrap();
        let body = str::from_utf8(fixture.body()).unwrap();
        let hostile = body.replacen(count, &format!("{field} {}", u64::MAX), 1);
        assert_ne!(hostile, body, "{name} has no {count}");
        let decoded = decode(fixture, [hostile.as_bytes()], true);
        assert_eq!(meaning(&decoded), fixture.meaning, "{name}: {count}");
        let usage = decoded.usage.map(|usage| [usage.input, usage.cache_read, usage.output]);
        assert_eq!(usage, expected, "{name}: {count}");
    };
    check("openai-whole", "\"prompt_tokens\": 1200", None);
    check("openai-whole", "\"completion_tokens\": 30", None);
    check("responses-whole", "\"input_tokens\": 1200", None);
    check("responses-whole", "\"output_tokens\": 30", None);
    // Parts are cut to the whole that they are of.
    check("openai-whole", "\"cached_tokens\": 1000", Some([0, 1200, 30]));
    check("responses-whole", "\"cached_tokens\": 1000", Some([0, 1200, 30]));
    check("anthropic-whole", "\"output_tokens\": 12", Some([25, 0, 0]));
}

#[test]
fn an_answer_is_never_whole_before_its_terminator() {
    for fixture in fixtures().iter().filter(|fixture| fixture.meaning.is_ok()) {
        let body = str::from_utf8(fixture.body()).unwrap();
        let whole_at = body.rfind(fixture.terminator).unwrap() + fixture.terminator.len();
        for cut in 0..fixture.body().len() {
            for clean in [true, false] {
                let decoded = decode(fixture, [&fixture.body()[..cut]], clean);
                let place = format!("{} cut at {cut}, clean: {clean}", fixture.name());
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
    let fixture = &anthropic()[0];
    let cut = fixture.body().windows(5).position(|bytes| bytes == b"Hello").unwrap() + 20;
    let seen = decode(fixture, [&fixture.body()[..cut]], false).seen;
    assert_eq!(seen.text_bytes, 5);
    assert_eq!(seen.usage.map(|usage| (usage.input, usage.output)), Some((25, 1)));
}

#[test]
fn slicing_makes_no_difference() {
    for fixture in fixtures() {
        let whole = decode(&fixture, [fixture.body()], true);
        for size in [1, 2, 7] {
            let sliced = decode(&fixture, fixture.body().chunks(size), true);
            assert_eq!(sliced, whole, "{} in slices of {size}", fixture.name());
        }
        // 52 fixtures: 21,840 random slicings.
        for seed in 1..=420_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut rest = fixture.body();
            let mut slices = Vec::new();
            while !rest.is_empty() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let (slice, after) = rest.split_at((state % 60) as usize % (rest.len() + 1));
                slices.push(slice);
                rest = after;
            }
            assert_eq!(decode(&fixture, slices, true), whole, "{}, seed {seed}", fixture.name());
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
        let mut body = fixture.body().to_vec();
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
