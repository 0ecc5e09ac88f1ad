//! How many input tokens a text is: known only where the model's tokenizer is published.
//!
//! A count is taken for a bound, so there is none where it would be a guess: for Claude, for models
//! whose tokenizer nobody has published, and for names that nobody knows. Bytes bound those.
//! Characters over four are no bound: Chinese has 2.4 times as many tokens.
//!
//! A piece of a prompt is counted by [`known`], which counts nothing that the text around it could
//! change.
//!
//! # Adding a token counter
//! Write `tokens/NAME.rs` with a type that implements [`Counter`] and says where its list of models
//! is from, and add one line to [`ALL`]. The tests here then hold it to its own bound.
//!
//! # Common pitfalls
//! - The tokens of two texts are not those of their sum: see [`known`]. A counter whose
//!   pre-tokenizer crosses those seams must not be added before they are moved.
//! - A vocabulary takes 0.1 s and 30 MB when it is first used, so it is not touched before.

mod cl100k;
mod o200k;
mod seam;
#[cfg(test)]
mod tests;

pub use seam::{Joints, Known, known};

use crate::dialect::is_openai;
use cl100k::Cl100k;
use o200k::O200k;

/// All counters. A model is counted by the first that knows it.
pub static ALL: &[&dyn Counter] = &[&O200k, &Cl100k];

/// A tokenizer that is published, and the models that are known to use it.
pub trait Counter: Send + Sync + std::fmt::Debug {
    /// The vocabulary's name: `o200k_base`.
    fn name(&self) -> &'static str;

    /// Whether this model of OpenAI's is known to be counted so.
    fn knows(&self, model: &str) -> bool;

    /// The tokens of a text that stands alone: exact. What looks like a special token is text, as it
    /// is in a message.
    fn count(&self, text: &str) -> u64;
}

/// The counter of one of OpenAI's models, by its id as sent; none where its tokenizer is not known.
pub fn of_model(model: &str) -> Option<&'static dyn Counter> {
    ALL.iter().copied().find(|counter| counter.knows(model))
}

/// The same where it is known that OpenAI itself answers: at its own hosts. Whoever serves elsewhere may
/// call any model so.
pub fn of_model_at(host: &str, model: &str) -> Option<&'static dyn Counter> {
    if is_openai(host) { of_model(model) } else { None }
}

/// Whether a model's id is this name or one of its snapshots or sizes: `gpt-4o`, `gpt-4o-mini`,
/// `gpt-4o-2024-08-06`.
fn is_of(model: &str, family: &str) -> bool {
    model.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The tokens of a text by an embedded vocabulary.
///
/// # Panics
/// Never: the vocabularies that counters name are compiled in, as the tests hold.
fn by_vocabulary(name: &str, text: &str) -> u64 {
    let Some(vocabulary) = tiktoken::get_encoding(name) else {
        unreachable!("the vocabulary {name} is compiled in");
    };
    vocabulary.count(text) as u64
}
