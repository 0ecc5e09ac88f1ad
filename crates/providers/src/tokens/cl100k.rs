//! `cl100k_base`: OpenAI's `gpt-4` and `gpt-3.5-turbo`.

use super::{Counter, by_vocabulary, is_of};

/// Names whose snapshots and sizes use it (`tiktoken/model.py` of OpenAI's tiktoken 0.14.0: `gpt-4-`,
/// `gpt-3.5-turbo-` and the names themselves). `gpt-4o` and `gpt-4.1` are other names.
const FAMILIES: [&str; 2] = ["gpt-4", "gpt-3.5-turbo"];

/// The vocabulary `cl100k_base`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cl100k;

impl Counter for Cl100k {
    fn name(&self) -> &'static str {
        "cl100k_base"
    }

    fn knows(&self, model: &str) -> bool {
        FAMILIES.iter().any(|family| is_of(model, family))
    }

    fn count(&self, text: &str) -> u64 {
        by_vocabulary(self.name(), text)
    }
}
