//! `GET /v1/models` and `/v1/models/{id}`: the models of the price table, in each provider's shape
//! (official SDKs' `types/model_info.py` and `types/model.py`).

use std::time::Duration;

use serde_json::{Value, json};
use sortie_core::price::{self, Row};
use sortie_providers::dialect::{Dialect, Tier};

use super::page::{Limits, Page};
use super::{Asker, Refusal, is_anthropic, rfc3339};
use crate::scenario::{Scenario, UnknownModels};

/// When every model came out: the price table does not say.
const CREATED: Duration = Duration::from_secs(1_767_225_600);

/// Models of a page (Anthropic's reference of the list of models).
const PAGE: Limits = Limits { usual: 20, most: 1_000 };

/// Models that the providers had and have no more, or have and never listed with a price that the table
/// keeps; without the dates of their snapshots (the official SDKs' `types/model.py` and `types/chat_model.py`
/// of past years). Served like all retired models, unless the scenario retires them.
const UNLISTED_OF_ANTHROPIC: [&str; 8] = [
    "claude-2.0",
    "claude-2.1",
    "claude-3-5-sonnet",
    "claude-3-7-sonnet",
    "claude-3-haiku",
    "claude-3-opus",
    "claude-3-sonnet",
    "claude-instant-1.2",
];
/// Likewise, with those that the official SDKs name (`types/shared/all_models.py`) and the table has no price of.
const UNLISTED_OF_OPENAI: [&str; 45] = [
    "chatgpt-4o",
    "codex-mini",
    "computer-use-preview",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-0301",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-16k",
    "gpt-3.5-turbo-16k-0613",
    "gpt-4-0125-preview",
    "gpt-4-0314",
    "gpt-4-0613",
    "gpt-4-1106-preview",
    "gpt-4-32k",
    "gpt-4-32k-0314",
    "gpt-4-32k-0613",
    "gpt-4-turbo-preview",
    "gpt-4-vision-preview",
    "gpt-4.5-preview",
    "gpt-4o-audio-preview",
    "gpt-4o-mini-audio-preview",
    "gpt-4o-mini-search-preview",
    "gpt-4o-search-preview",
    "gpt-5-chat",
    "gpt-5-codex",
    "gpt-5.1-chat",
    "gpt-5.1-codex",
    "gpt-5.1-codex-max",
    "gpt-5.2-chat",
    "gpt-5.3-chat",
    "gpt-5.6-cyber",
    "gpt-6-cyber",
    "gpt-6-rosalind",
    "gpt-6.2-astra",
    "gpt-6.2-astra-law",
    "gpt-6.2-sol",
    "gpt-audio-mini",
    "gpt-daybreak-blue",
    "gpt-daybreak-red",
    "gpt-rosalind-research",
    "o1-mini",
    "o1-preview",
    "o1-pro",
    "o3-deep-research",
    "o4-mini-deep-research",
];

/// The names of all models that the providers have or had, without dates.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let rows = price::table().rows.iter();
    let listed = rows.flat_map(|row| std::iter::once(&row.model).chain(&row.aliases).map(String::as_str));
    listed.chain(UNLISTED_OF_ANTHROPIC).chain(UNLISTED_OF_OPENAI)
}

/// Whether the provider has or had a model of this name, with or without its date, that has no price.
fn is_named(dialect: &dyn Dialect, id: &str) -> bool {
    let names = if is_anthropic(dialect) { &UNLISTED_OF_ANTHROPIC[..] } else { &UNLISTED_OF_OPENAI[..] };
    [Some(id), price::undated(id)].into_iter().flatten().any(|id| names.contains(&id))
}

/// The models of the price table, as the provider of this dialect lists them.
pub(super) fn list(asker: &Asker<'_>, retired: &[String], now: Duration) -> Result<Value, Box<Refusal>> {
    let dialect = asker.dialect;
    let items = served(dialect, retired).map(|row| shown(dialect, row, now)).collect();
    if !is_anthropic(dialect) {
        // This list has no pages.
        return Ok(json!({"object": "list", "data": Value::Array(items)}));
    }
    let page = Page::of(items, &PAGE, asker)?;
    let [first, last] = page.ends();
    Ok(json!({"data": page.items, "has_more": page.has_more, "first_id": first, "last_id": last}))
}

/// One model, under any of its names.
pub(super) fn one(
    dialect: &dyn Dialect,
    retired: &[String],
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let known = price::table().find(id);
    let row = known.and_then(|known| served(dialect, retired).find(|row| row.model == known.model));
    match row {
        Some(row) => Ok(shown(dialect, row, now)),
        None if is_anthropic(dialect) => Err(Refusal::says(dialect, 404, format!("model: {id}"))),
        None => Err(Refusal::says(dialect, 404, format!("The model '{id}' does not exist")).about("model")),
    }
}

/// Refuses an answer of a model that the provider does not have, or has no more.
///
/// A model is known by any of its names; that of a provider's other models is no name of its own.
pub(super) fn check_served(scenario: &Scenario, dialect: &dyn Dialect, id: &str) -> Result<(), Box<Refusal>> {
    let known = row(dialect, id);
    let is_retired = |name: &str| scenario.retired_models.iter().any(|retired| retired == name);
    let is_served = match known {
        _ if is_retired(id) => false,
        Some(row) => !is_retired(&row.model),
        None => scenario.unknown_models == UnknownModels::Served || is_named(dialect, id),
    };
    if is_served {
        return Ok(());
    }
    let message = if is_anthropic(dialect) {
        format!("model: {id}")
    } else {
        format!("The model `{id}` does not exist or you do not have access to it.")
    };
    Err(Refusal::says(dialect, 404, message))
}

/// The tier that a request is served in: the one that it asks for, where the model is sold in it.
///
/// Of other models OpenAI serves the usual tier, and its reply says so; Anthropic refuses `speed: fast`
/// (its documentation of fast mode).
pub(super) fn served_tier(dialect: &dyn Dialect, id: &str, asked: Tier) -> Result<Tier, Box<Refusal>> {
    let is_sold = || row(dialect, id).is_some_and(|row| row.price.tiers.contains_key(&asked));
    match asked {
        Tier::Priority | Tier::Ultrafast if !is_sold() => Ok(Tier::Standard),
        Tier::Fast if !is_sold() => {
            Err(Refusal::says(dialect, 400, format!("speed: `fast` is not supported by {id}")))
        }
        _ => Ok(asked),
    }
}

/// What the price table has of this provider's model.
fn row(dialect: &dyn Dialect, id: &str) -> Option<&'static Row> {
    price::table().find(id).filter(|row| row.provider == provider(dialect))
}

/// Whose APIs are simulated, as the price table and a scenario's quotas name them.
pub(crate) const PROVIDERS: [&str; 2] = ["anthropic", "openai"];

/// Whose API it is.
pub(crate) fn provider(dialect: &dyn Dialect) -> &'static str {
    PROVIDERS[usize::from(!is_anthropic(dialect))]
}

fn served<'a>(dialect: &dyn Dialect, retired: &'a [String]) -> impl Iterator<Item = &'static Row> + use<'a> {
    let provider = provider(dialect);
    let rows = price::table().rows.iter();
    rows.filter(move |row| row.provider == provider && !retired.contains(&row.model))
}

fn shown(dialect: &dyn Dialect, row: &Row, now: Duration) -> Value {
    if !is_anthropic(dialect) {
        return json!({"id": row.model, "object": "model", "created": CREATED.as_secs(), "owned_by": "openai"});
    }
    let retires = row.retires.as_ref().map(|day| format!("{day}T00:00:00Z"));
    let lifecycle = match &retires {
        None => "active",
        // Both are of one form, so that their texts compare as their times do.
        Some(at) if *at <= rfc3339(now) => "retired",
        Some(_) => "deprecated",
    };
    json!({
        "type": "model",
        "id": row.model,
        "display_name": display_name(&row.model),
        "created_at": rfc3339(CREATED),
        "lifecycle": lifecycle,
        "max_input_tokens": row.context,
        "max_tokens": row.max_output,
        "retires_at": retires,
    })
}

/// `claude-sonnet-4-5` as people write it: `Claude Sonnet 4.5`.
fn display_name(id: &str) -> String {
    let mut name = String::new();
    let mut follows_digit = false;
    for word in id.split('-') {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        match (name.is_empty(), is_number && follows_digit) {
            (true, _) => {}
            (false, true) => name.push('.'),
            (false, false) => name.push(' '),
        }
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        follows_digit = is_number;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_names_that_people_write() {
        assert_eq!(display_name("claude-sonnet-4-5"), "Claude Sonnet 4.5");
        assert_eq!(display_name("claude-opus-5"), "Claude Opus 5");
    }
}
