//! How many tokens the fixed text of each prompt has, found out before a run begins.
//!
//! `here` counts what this program has the tokenizer of; `asked` lets the provider count, where the
//! configuration says so. What neither counts is bounded by its bytes, which is always right and four
//! times too high for English. A result that is inserted is bounded by its bytes, always: the run knows
//! no texts.

mod asked;
mod here;

pub use asked::{Answered, Questions};
pub(crate) use here::count_here;
pub use here::is_too_long;

use sortie_core::plan::Prompt;
use sortie_core::plan::template::Part;
use sortie_providers::tokens::{Joints, known};

/// The pieces of a prompt's own text that can be counted by themselves, and the bytes of the rest.
fn pieces(prompt: &Prompt) -> (Vec<&str>, u64) {
    let parts = &prompt.template.parts;
    let (mut pieces, mut rest) = (Vec::new(), 0);
    for (at, part) in parts.iter().enumerate() {
        let Part::Text(text) = part else { continue };
        let known = known(text, Joints { before: at > 0, after: at + 1 < parts.len() });
        rest += known.bytes;
        pieces.push(&text[known.own]);
    }
    (pieces, rest)
}
