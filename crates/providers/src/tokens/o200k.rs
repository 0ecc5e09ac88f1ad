//! `o200k_base`: OpenAI's models from `gpt-4o` to the `gpt-5` family.

use super::{Counter, by_vocabulary, is_of};

/// Names whose snapshots and sizes use it (`tiktoken/model.py` of OpenAI's tiktoken 0.14.0: `gpt-4o-`,
/// `gpt-4.1-`, `o1-`, `o3-`, `o4-mini-` and the names themselves).
const FAMILIES: [&str; 5] = ["gpt-4o", "gpt-4.1", "o1", "o3", "o4-mini"];

/// All whose names begin so use it (the same file: `gpt-5`, with nothing after it).
const GPT_5: &str = "gpt-5";

/// The vocabulary `o200k_base`.
#[derive(Clone, Copy, Debug)]
pub(super) struct O200k;

impl Counter for O200k {
    fn name(&self) -> &'static str {
        "o200k_base"
    }

    fn knows(&self, model: &str) -> bool {
        let is_gpt_5 =
            model.strip_prefix(GPT_5).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']));
        is_gpt_5 || FAMILIES.iter().any(|family| is_of(model, family))
    }

    fn count(&self, text: &str) -> u64 {
        by_vocabulary(self.name(), text)
    }
}
