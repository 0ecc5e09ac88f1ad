//! What only a server asks of a request and says in an answer: what sortie itself never sends.
//!
//! It stands beside [`super::Request`] and [`super::ServerAnswer`] so that those stay as small as
//! what sortie speaks. A dialect that has none of it is served all the same.

use serde_json::Value;
use sortie_core::usage::Tier;

/// Bytes that an image or a document counts for: about 1,500 tokens at four bytes each, the most
/// that Anthropic's documentation of vision names for one image (its size on the wire says nothing).
const MEDIUM_BYTES: u64 = 6_000;

/// Kinds of blocks whose bytes are no text.
const MEDIA: [&str; 6] = ["image", "image_url", "input_audio", "document", "file", "input_image"];

/// What a request says beyond a [`super::Request`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Particulars {
    /// All that the model reads, in the order in which a prompt cache compares it; empty where the
    /// dialect does not tell, and then the request's own texts are all.
    pub parts: Vec<Part>,
    /// What becomes of the parts in the provider's prompt cache.
    pub caching: Caching,
    /// The most tokens that the model may think before it answers; absent where it does not.
    pub thinking: Option<u32>,
    /// Whether the model thinks though nobody told it to: what it thinks is part of the length that its
    /// answer has anyway.
    pub thinks_untold: bool,
    /// What the request itself bounds its answer by, in tokens; absent where the provider's usual bound
    /// holds, which is [`super::Request::max_tokens`] then.
    pub bound: Option<u32>,
    /// Answers asked for; 0 and 1 are one.
    pub choices: u32,
    /// How it is served, which the reply says.
    pub tier: Tier,
    /// Where the model is to run, if that is asked (`us`).
    pub geo: Option<String>,
    /// Whether the answer is kept, to be fetched later by its id (OpenAI's `store`), or to be gone on from
    /// (Anthropic's `thread`).
    pub is_stored: bool,
    /// Whether nobody waits for the answer: it is fetched later (OpenAI's `background`).
    pub in_background: bool,
}

/// A part of what a model reads: a block, a tool, a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What it says, to the letter.
    pub text: String,
    /// Bytes that it is counted by: those of the text, except for what is no text.
    pub bytes: u64,
    /// That a cache is to keep all up to here, and for how long.
    pub keep: Option<Keep>,
}

impl Part {
    /// A part of text.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Part { bytes: text.len() as u64, text, keep: None }
    }

    /// A block of a turn as the wire has it.
    pub(super) fn block(block: &Value) -> Self {
        if let Some(text) = block["text"].as_str() {
            return Part::text(text);
        }
        let mut bare = block.clone();
        if let Some(fields) = bare.as_object_mut() {
            fields.remove("cache_control");
        }
        let part = Part::text(bare.to_string());
        match block["type"].as_str() {
            Some(kind) if MEDIA.contains(&kind) => Part { bytes: MEDIUM_BYTES, ..part },
            _ => part,
        }
    }

    /// The blocks of a content: a string is one.
    pub(super) fn content(content: &Value) -> Vec<Self> {
        match content {
            Value::String(text) => vec![Part::text(text.as_str())],
            Value::Array(blocks) => blocks.iter().map(Part::block).collect(),
            _ => Vec::new(),
        }
    }
}

/// How a provider's prompt cache works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Not at all.
    #[default]
    Never,
    /// What a request marks is kept (Anthropic's `cache_control`).
    Marked,
    /// Long prefixes are kept unasked (OpenAI).
    Automatic,
}

/// How long a cache keeps something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Five minutes from its last use.
    FiveMinutes,
    /// An hour from its last use.
    Hour,
}

/// What few answers have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// What the model thought.
    pub thinking: Option<Thinking>,
    /// The stop sequence that ended the answer; it is not part of its text.
    pub stop: Option<String>,
    /// The texts of the choices after the first.
    pub others: Vec<String>,
    /// How it was served.
    pub tier: Tier,
    /// Where, if that was asked.
    pub geo: Option<String>,
}

/// What a model thought before it answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Its words; not all providers show them.
    pub text: String,
    /// Its tokens, which the output tokens include.
    pub tokens: u64,
}
