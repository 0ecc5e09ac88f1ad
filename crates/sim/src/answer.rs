//! What the simulated model says: a function of the seed and the request, of any length asked for.

use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_providers::dialect::{Besides, Particulars, Request, Shape, Thinking};

use crate::directive::Steering;
use crate::shape;
use sortie_core::chance::Chance;

/// UTF-8 bytes to a token, about what English text has.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

/// Input tokens of every request beyond its text, for the wrapping of its turns. Text at four bytes
/// a token and this stay below the bytes of the text and 16, so that a client may take those for an
/// upper bound.
pub(crate) const INPUT_OVERHEAD: u64 = 8;

/// Pieces that an answer is streamed in, at most: enough to look like a stream, few enough that a
/// million answers can be simulated.
const MAX_PIECES: usize = 64;

/// Bytes of a piece, at least: some five tokens.
const MIN_PIECE: usize = 20;

/// Words of the prompt that the answer takes up.
const QUOTED_WORDS: usize = 6;

/// About how long an object is, in bytes, unless steered.
const OBJECT_BYTES: usize = 160;

/// What a model thinks where it may, in tokens: this much and up to four times as much.
const LEAST_THOUGHT: u64 = 50;

/// How long an answer is to be, in tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// With what is thought untold.
    pub(crate) tokens: u64,
    /// What is thought untold, at most.
    pub(crate) untold: u64,
}

/// What a prompt that wants a JSON object says.
const WANTS_OBJECT: &str = "JSON";

/// An answer before any dialect puts it into words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The text; of a tool's call its input, as JSON.
    pub(crate) text: String,
    pub(crate) finish: Finish,
    /// Those of all choices, and what was thought.
    pub(crate) output_tokens: u64,
    /// The tool that it calls, if it does.
    pub(crate) tool: Option<String>,
    pub(crate) besides: Besides,
}

/// The input tokens that a request is billed for.
pub(crate) fn input_tokens(request: &Request) -> u64 {
    let bytes = request.prompt.len() + request.system.as_ref().map_or(0, String::len);
    (bytes as u64).div_ceil(BYTES_PER_TOKEN) + INPUT_OVERHEAD
}

/// The answer to a request: the steered text, or a value of the shape that is asked for, or a JSON
/// object where the prompt speaks of `JSON`, or sentences; of this `length` unless steered otherwise, and
/// cut off at the request's own limit and at its stop sequences.
pub(crate) fn compose(
    request: &Request,
    said: &Particulars,
    steering: &Steering,
    length: Length,
    chance: &mut Chance,
) -> Answer {
    let told = said.thinking.map(|budget| {
        let most = steering.output_tokens.unwrap_or(u64::MAX).min(u64::from(request.max_tokens)) / 2;
        let tokens = drawn_thought(chance).min(u64::from(budget)).min(most);
        Thinking { text: sentences("", (tokens * BYTES_PER_TOKEN) as usize, chance), tokens }
    });
    let untold = if said.thinks_untold { untold(request, steering, length) } else { 0 };
    let thinking = told.or_else(|| (untold > 0).then(|| Thinking { text: String::new(), tokens: untold }));
    let thought = thinking.as_ref().map_or(0, |thinking| thinking.tokens);
    let tokens = length.tokens.saturating_sub(untold).max(1);
    let mut said_once = || {
        let (text, tokens) = words(request, steering, tokens, thought, chance);
        let limit = u64::from(request.max_tokens).saturating_sub(thought).max(1);
        stopped(limited(text, tokens, limit), &request.stop, is_call(request, steering))
    };
    let mut answer = said_once();
    for _ in 1..said.choices {
        let other = said_once();
        answer.output_tokens += other.output_tokens;
        answer.besides.others.push(other.text);
    }
    answer.output_tokens += thought;
    if let (Shape::Tool { name, .. }, true) = (&request.shape, is_call(request, steering)) {
        answer.tool = Some(name.clone());
    }
    let Besides { stop, others, .. } = answer.besides;
    answer.besides = Besides { thinking, stop, others, tier: said.tier, geo: said.geo.clone() };
    answer
}

/// How much a model thinks, in tokens.
pub(crate) fn drawn_thought(chance: &mut Chance) -> u64 {
    LEAST_THOUGHT + chance.below(3 * LEAST_THOUGHT)
}

/// What a model thinks that was not told to: a part of the answer's length, where that is not what its
/// words come to.
fn untold(request: &Request, steering: &Steering, length: Length) -> u64 {
    let is_drawn =
        steering.text.is_none() && request.shape == Shape::Text && !steering.prompt.contains(WANTS_OBJECT);
    let tokens = match steering.output_tokens {
        Some(tokens) => tokens,
        None if is_drawn => length.tokens,
        None => return 0,
    };
    length.untold.min(tokens.min(u64::from(request.max_tokens)) / 2)
}

/// Whether the answer is a call of a tool. A steered text is one only where it can be its input.
fn is_call(request: &Request, steering: &Steering) -> bool {
    let fits = |text: &String| serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok();
    matches!(request.shape, Shape::Tool { .. }) && steering.text.as_ref().is_none_or(fits)
}

/// What one choice says before anything cuts it off, and its tokens.
fn words(
    request: &Request,
    steering: &Steering,
    tokens: u64,
    thought: u64,
    chance: &mut Chance,
) -> (String, u64) {
    // Never the word that asks for an object: a prompt that quotes this answer does not ask for one.
    let words = steering.prompt.split_whitespace().filter(|word| !word.contains(WANTS_OBJECT));
    let quoted: Vec<&str> = words.take(QUOTED_WORDS).collect();
    let quoted = quoted.join(" ");
    let steered = steering.output_tokens.map(|tokens| tokens.saturating_sub(thought).max(1));
    let of_its_length = |text: String| {
        let tokens = steered.unwrap_or_else(|| tokens_of(&text));
        (text, tokens)
    };
    match (&steering.text, &request.shape) {
        (Some(text), _) => of_its_length(text.clone()),
        (None, Shape::Json(schema)) => of_its_length(shape::value(schema, chance).to_string()),
        (None, Shape::Tool { schema, .. }) => {
            // An input is an object, also where the schema leaves open what it is.
            let input = Some(shape::value(schema, chance)).filter(Value::is_object);
            of_its_length(input.unwrap_or_else(|| json!({})).to_string())
        }
        (None, Shape::Text) if steering.prompt.contains(WANTS_OBJECT) => {
            of_its_length(object(&quoted, steered, chance))
        }
        (None, Shape::Text) => {
            let tokens = steered.unwrap_or(tokens);
            let most = tokens.min(u64::from(request.max_tokens));
            (sentences(&quoted, (most * BYTES_PER_TOKEN) as usize, chance), tokens)
        }
    }
}

/// Cuts an answer off at its limit of tokens.
fn limited(mut text: String, output_tokens: u64, limit: u64) -> Answer {
    let (finish, output_tokens) = if output_tokens <= limit {
        (Finish::Stop, output_tokens)
    } else {
        text.truncate(text.floor_char_boundary((limit * BYTES_PER_TOKEN) as usize));
        (Finish::MaxTokens, limit)
    };
    Answer { text, finish, output_tokens, tool: None, besides: Besides::default() }
}

/// Ends an answer before the first of the stop sequences in it. A tool's input has none.
fn stopped(mut answer: Answer, stops: &[String], is_call: bool) -> Answer {
    let found = |stop: &String| answer.text.find(stop.as_str()).map(|at| (at, stop.clone()));
    let first = stops.iter().filter(|stop| !stop.is_empty()).filter_map(found).min_by_key(|(at, _)| *at);
    if let Some((at, stop)) = first.filter(|_| !is_call) {
        answer.text.truncate(at);
        answer.finish = Finish::Stop;
        answer.output_tokens = answer.output_tokens.min(tokens_of(&answer.text));
        answer.besides.stop = Some(stop);
    }
    answer
}

/// An answer has a token even where it has no text, as at the providers.
fn tokens_of(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN).max(1)
}

/// `{"summary": "…", "score": 7, "items": ["…", "…", "…"]}`, about `tokens` long where that is told.
fn object(quoted: &str, tokens: Option<u64>, chance: &mut Chance) -> String {
    let items: Vec<&str> = (0..3).map(|_| chance.pick(&NOUNS)).collect();
    let score = 1 + chance.bits() % 10;
    let items = json!(items);
    let shown =
        |summary: &str| format!(r#"{{"summary": {}, "score": {score}, "items": {items}}}"#, json!(summary));
    let bytes = tokens.map_or(OBJECT_BYTES, |tokens| (tokens * BYTES_PER_TOKEN) as usize);
    let summary = sentences(quoted, bytes.saturating_sub(shown("").len()).max(16), chance);
    shown(&summary)
}

/// Sentences of at most this many bytes, and as a rule hardly fewer.
fn sentences(quoted: &str, bytes: usize, chance: &mut Chance) -> String {
    let mut text = match quoted {
        "" => "There is little to go by.".to_owned(),
        quoted => format!("On \"{quoted}\":"),
    };
    while text.len() < bytes {
        let (first, second) = (chance.pick(&ADJECTIVES), chance.pick(&ADJECTIVES));
        let (subject, verb, object) = (chance.pick(&NOUNS), chance.pick(&VERBS), chance.pick(&NOUNS));
        for word in [" The ", first, " ", subject, " ", verb, " the ", second, " ", object, "."] {
            text.push_str(word);
        }
    }
    if text.len() > bytes {
        // A whole last word and a full stop, where there is room for them.
        text.truncate(text.floor_char_boundary(bytes));
        if let Some(space) = text.rfind(' ') {
            text.truncate(space);
            if !text.ends_with('.') {
                text.push('.');
            }
        }
    }
    text
}

/// The text in the pieces that it is streamed in; none of an empty one.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let size = text.len().div_ceil(MAX_PIECES).max(MIN_PIECE);
    let mut pieces = Vec::with_capacity(text.len() / size + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

const ADJECTIVES: [&str; 16] = [
    "plain", "early", "careful", "second", "narrow", "open", "quiet", "shared", "later", "small", "steady",
    "clear", "former", "wide", "usual", "whole",
];
const NOUNS: [&str; 20] = [
    "design",
    "interface",
    "reader",
    "answer",
    "schedule",
    "module",
    "measure",
    "reason",
    "record",
    "limit",
    "test",
    "budget",
    "order",
    "service",
    "question",
    "layer",
    "cache",
    "boundary",
    "report",
    "plan",
];
const VERBS: [&str; 12] = [
    "carries",
    "explains",
    "bounds",
    "follows",
    "replaces",
    "supports",
    "precedes",
    "describes",
    "narrows",
    "checks",
    "serves",
    "limits",
];

#[cfg(test)]
mod tests {
    use super::*;
    use sortie_core::hash::Hash;

    fn answer(prompt: &str, tokens: u64, max_tokens: u32) -> Answer {
        let request = Request {
            model: "m".to_owned(),
            system: None,
            prompt: prompt.to_owned(),
            max_tokens,
            temperature: None,
            stream: true,
            ..Request::default()
        };
        let steering = Steering::read(prompt).unwrap();
        compose(
            &request,
            &Particulars::default(),
            &steering,
            Length { tokens, untold: 0 },
            &mut Chance::new(1, &Hash::of(prompt.as_bytes()), "words"),
        )
    }

    #[test]
    fn an_answer_has_its_length_and_its_reason_to_stop() {
        let check = |prompt: &str, tokens, max_tokens, finish: Finish, output_tokens: u64| {
            let answer = answer(prompt, tokens, max_tokens);
            assert_eq!((answer.finish, answer.output_tokens), (finish, output_tokens), "{prompt}");
            assert!(answer.text.len() as u64 <= output_tokens * 4, "{prompt}: {}", answer.text);
            answer.text
        };
        let text = check("Explain tides.", 100, 800, Finish::Stop, 100);
        assert!(text.starts_with("On \"Explain tides.\": The "), "{text}");
        assert!((385..=400).contains(&text.len()) && text.ends_with('.'), "{text}");
        check("Explain tides.", 100, 30, Finish::MaxTokens, 30);
        check("Explain tides.", 1, 1, Finish::Stop, 1);
        check("", 40, 800, Finish::Stop, 40);
        check("Erkläre Überläufe [[sim output_tokens=300]]", 5, 800, Finish::Stop, 300);
        assert_eq!(check("[[sim text=\"four\" output_tokens=9]]", 5, 800, Finish::Stop, 9), "four");
        assert_eq!(check("[[sim text=\"\"]]", 5, 800, Finish::Stop, 1), "");
        assert_eq!(check("[[sim text=\"äöüäöü\"]]", 5, 1, Finish::MaxTokens, 1), "äö");
    }

    #[test]
    fn an_answer_never_repeats_a_directive() {
        let text = answer("Go [[sim fail=529]] on", 100, 800).text;
        assert!(text.contains("Go on") && !text.contains("[["), "{text}");
    }

    #[test]
    fn a_prompt_that_speaks_of_json_is_answered_with_an_object() {
        for (prompt, least) in [("As JSON: a \"b\"", 40), ("JSON [[sim output_tokens=200]]", 700)] {
            let text = answer(prompt, 100, 800).text;
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(object["summary"].is_string() && object["score"].is_u64(), "{text}");
            assert!(!text.contains("JSON") && text.starts_with("{\"summary\": "), "{text}");
            assert!(object["items"].is_array() && text.len() >= least, "{text}");
        }
    }

    #[test]
    fn a_tool_s_input_is_an_object_whatever_its_schema_says() {
        for schema in [json!({}), json!(true), json!({"type": "string"}), json!({"enum": [1, 2]})] {
            let shape = Shape::Tool { name: "f".to_owned(), schema: schema.clone() };
            let request = Request { prompt: "Go".to_owned(), max_tokens: 100, shape, ..Request::default() };
            let (steering, length) = (Steering::read("Go").unwrap(), Length { tokens: 9, untold: 0 });
            let chance = &mut Chance::new(1, &Hash::of(b"Go"), "words");
            let answer = compose(&request, &Particulars::default(), &steering, length, chance);
            assert_eq!((answer.text.as_str(), answer.tool.as_deref()), ("{}", Some("f")), "{schema}");
        }
    }

    #[test]
    fn pieces_are_the_text_in_bounded_number() {
        for text in ["", "one", &"ü".repeat(50), &"word ".repeat(10_000)] {
            let pieces = pieces(text);
            assert_eq!(pieces.concat(), text);
            assert!(pieces.len() <= MAX_PIECES);
        }
    }

    #[test]
    fn input_tokens_stay_below_the_bytes_and_sixteen() {
        for length in [0, 1, 3, 4, 100, 10_000] {
            let request = Request {
                model: String::new(),
                system: Some("s".repeat(length / 2)),
                prompt: "p".repeat(length),
                max_tokens: 1,
                temperature: None,
                stream: false,
                ..Request::default()
            };
            assert!(input_tokens(&request) <= (length + length / 2 + 16) as u64);
        }
    }
}
