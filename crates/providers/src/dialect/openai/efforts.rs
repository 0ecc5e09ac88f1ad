//! The server's half: how much each model may be told to think, and how much it does untold.
//!
//! From what users have shown of the APIs' refusals (the Responses API, model by model, in the recorded
//! tests of `pydantic-ai`; Chat Completions for gpt-5, gpt-5.4 to 5.6 and gpt-6) and from OpenAI's pages
//! of its models. Of a model that is not here nothing is known, and nothing is refused.

use serde_json::Value;
use sortie_core::price::undated;

use super::super::WireError;
use super::checks::{EFFORTS, listed, word, wrong_type};
use super::{invalid, is_plain};

/// Efforts, from the least to the most.
type Efforts = &'static [&'static str];

const LOW_TO_HIGH: Efforts = &["low", "medium", "high"];
const MINIMAL_TO_HIGH: Efforts = &["minimal", "low", "medium", "high"];
const NONE_TO_HIGH: Efforts = &["none", "low", "medium", "high"];
const NONE_TO_XHIGH: Efforts = &["none", "low", "medium", "high", "xhigh"];
const NONE_TO_MAX: Efforts = &["none", "low", "medium", "high", "xhigh", "max"];
const LOW_TO_MAX: Efforts = &["low", "medium", "high", "xhigh", "max"];
const MEDIUM_TO_XHIGH: Efforts = &["medium", "high", "xhigh"];
const HIGH: Efforts = &["high"];
const MEDIUM: Efforts = &["medium"];

/// What the Responses API takes from there, and Chat Completions does not.
const ONLY_RESPONSES: &str = "max";

/// Models, the efforts that they take, and whether they think where none is named.
const MODELS: [(&str, Efforts, bool); 30] = [
    ("o1", LOW_TO_HIGH, true),
    ("o1-pro", LOW_TO_HIGH, true),
    ("o3", LOW_TO_HIGH, true),
    ("o3-mini", LOW_TO_HIGH, true),
    ("o3-pro", LOW_TO_HIGH, true),
    ("o4-mini", LOW_TO_HIGH, true),
    ("gpt-5", MINIMAL_TO_HIGH, true),
    ("gpt-5-mini", MINIMAL_TO_HIGH, true),
    ("gpt-5-nano", MINIMAL_TO_HIGH, true),
    ("gpt-5-pro", HIGH, true),
    ("gpt-5.1", NONE_TO_HIGH, false),
    ("gpt-5.2", NONE_TO_XHIGH, false),
    ("gpt-5.2-chat-latest", MEDIUM, true),
    ("gpt-5.2-pro", MEDIUM_TO_XHIGH, true),
    ("gpt-5.3-chat-latest", MEDIUM, true),
    ("gpt-5.3-codex", NONE_TO_XHIGH, false),
    ("gpt-5.4", NONE_TO_XHIGH, false),
    ("gpt-5.4-mini", NONE_TO_XHIGH, false),
    ("gpt-5.4-nano", NONE_TO_XHIGH, false),
    ("gpt-5.4-pro", MEDIUM_TO_XHIGH, true),
    ("gpt-5.5", NONE_TO_XHIGH, true),
    ("gpt-5.5-pro", MEDIUM_TO_XHIGH, true),
    ("gpt-5.6", NONE_TO_MAX, true),
    ("gpt-5.6-sol", NONE_TO_MAX, true),
    ("gpt-5.6-terra", NONE_TO_MAX, true),
    ("gpt-5.6-luna", NONE_TO_MAX, true),
    ("gpt-6-sol", NONE_TO_MAX, true),
    ("gpt-6-luna", NONE_TO_MAX, true),
    ("gpt-6-astra", LOW_TO_MAX, true),
    ("gpt-6.1-sol", LOW_TO_MAX, true),
];

/// Generations of GPT, as minor ones from gpt-5.4 on, at whose models Chat Completions takes no functions
/// where they think (OpenAI's guide to the migration to Responses).
const WITHOUT_FUNCTIONS: [&str; 5] = ["gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6", "gpt-6.1"];

/// Those of them that refuse functions also where no effort is named (as users of gpt-5.6 and gpt-6 have
/// shown it).
const ALSO_UNTOLD: [&str; 3] = ["gpt-5.6", "gpt-6", "gpt-6.1"];

/// What is known of a model, with or without the date of its snapshot.
fn row(model: &str) -> Option<&'static (&'static str, Efforts, bool)> {
    let names = [Some(model), undated(model)];
    MODELS.iter().find(|(known, ..)| names.contains(&Some(*known)))
}

/// Whether a model thinks where it is not told how much. One that is not known does if it reasons.
pub(in super::super) fn thinks_untold(model: &str) -> bool {
    row(model).map_or_else(|| super::is_reasoning(model), |(.., thinks)| *thinks)
}

/// Refuses an effort that the model does not know, as the Responses API does: first a word that no model
/// knows, then one that this one does not.
pub(in super::super) fn check_response(model: &str, effort: &Value) -> Result<(), WireError> {
    const FIELD: &str = "reasoning.effort";
    match effort {
        // A number says how much in a way of its own.
        Value::Number(_) => return Ok(()),
        Value::Null | Value::String(_) => word(FIELD, effort, &EFFORTS)?,
        other => {
            let words: Vec<_> = EFFORTS.iter().map(|word| format!("'{word}'")).collect();
            let [before @ .., last] = words.as_slice() else { return Ok(()) };
            let expected = format!("one of one of {}, or {last} or integer", before.join(", "));
            return Err(wrong_type(FIELD, &expected, other));
        }
    }
    let (Some((_, efforts, _)), Some(said)) = (row(model), effort.as_str()) else { return Ok(()) };
    if efforts.contains(&said) {
        return Ok(());
    }
    let message = format!(
        "Unsupported value: '{said}' is not supported with the '{model}' model. Supported values are: {}.",
        listed(efforts)
    );
    Err(invalid(Some("unsupported_value"), message).about(FIELD))
}

/// The same as Chat Completions does it: of a model that it knows, every other word is one that the model
/// does not know.
pub(in super::super) fn check_chat(model: &str, effort: &Value) -> Result<(), WireError> {
    const FIELD: &str = "reasoning_effort";
    let Some((_, efforts, _)) = row(model).filter(|_| !effort.is_null()) else {
        // What a plain model takes is checked where it is told that it takes none.
        return if is_plain(model) { Ok(()) } else { word(FIELD, effort, &EFFORTS) };
    };
    let efforts: Vec<&str> = efforts.iter().copied().filter(|effort| *effort != ONLY_RESPONSES).collect();
    if efforts.iter().any(|known| effort == known) {
        return Ok(());
    }
    let said = effort.as_str().map_or_else(|| effort.to_string(), |said| format!("'{said}'"));
    let message = format!(
        "Unsupported value: 'reasoning_effort' does not support {said} with this model. Supported values are: \
         {}.",
        listed(&efforts)
    );
    Err(invalid(Some("unsupported_value"), message).about(FIELD))
}

/// Refuses functions of a model that thinks, which Chat Completions does not give it.
pub(in super::super) fn check_functions(
    model: &str,
    effort: &Value,
    has_functions: bool,
) -> Result<(), WireError> {
    let is_of = |generations: &[&str]| {
        let rest = |generation: &&str| model.strip_prefix(*generation);
        generations.iter().filter_map(rest).any(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let is_refused = match effort.as_str() {
        None => is_of(&ALSO_UNTOLD) && thinks_untold(model),
        Some("none") => false,
        Some(_) => is_of(&WITHOUT_FUNCTIONS),
    };
    if !has_functions || !is_refused {
        return Ok(());
    }
    let message = format!(
        "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use \
         function tools, use /v1/responses or set reasoning_effort to 'none'."
    );
    Err(invalid(None, message).about("reasoning_effort"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_with_and_without_a_date() {
        for (model, thinks) in [
            ("gpt-5.1", false),
            ("gpt-5.1-2025-11-13", false),
            ("gpt-5-2025-08-07", true),
            ("gpt-5.1-nobody-knows", true),
            ("gpt-6.2-sol", true),
            ("gpt-4o-2024-08-06", false),
            ("2025-11-13", false),
        ] {
            assert_eq!(thinks_untold(model), thinks, "{model}");
        }
    }
}
