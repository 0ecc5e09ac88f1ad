//! Completions that were stored (`store: true`), as the official SDKs ask for them
//! (`resources/chat/completions`).

use std::time::Duration;

use serde_json::{Value, json};
use sortie_providers::dialect::check_metadata;

use super::{Kept, unknown};
use crate::model::page::{Limits, Page, parameters};
use crate::model::{Asker, Refusal};

/// The dialect of completions.
pub(super) const DIALECT: &str = "openai";

/// Completions of a page (OpenAI's reference of the list).
const PAGE: Limits = Limits { usual: 20, most: 100 };

/// `GET /v1/chat/completions`: the oldest first unless asked otherwise, of one model or with some
/// metadata where that is asked.
pub(in crate::model) fn list(kept: &Kept, asker: &Asker<'_>, now: Duration) -> Result<Value, Box<Refusal>> {
    let query = parameters(asker.request.query.as_deref().unwrap_or_default());
    let is_meant = |body: &Value| {
        query.iter().all(|(name, value)| {
            let pair = name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']'));
            match (name.as_str(), pair) {
                ("model", _) => body["model"] == *value,
                (_, Some(key)) => body["metadata"][key] == *value,
                _ => true,
            }
        })
    };
    let own = kept.answers.iter().filter(|answer| {
        answer.key == asker.key && answer.dialect == DIALECT && answer.done <= now && is_meant(&answer.body)
    });
    let mut items: Vec<Value> = own.map(|answer| answer.body.clone()).collect();
    match query.iter().find(|(name, _)| name == "order").map_or("asc", |(_, order)| order) {
        "asc" => {}
        "desc" => items.reverse(),
        other => {
            let message = format!("Invalid value: '{other}'. Supported values are: 'asc' and 'desc'.");
            return Err(Refusal::says(asker.dialect, 400, message).coded("invalid_value").about("order"));
        }
    }
    let page = Page::of(items, &PAGE, asker)?;
    let [first, last] = page.ends();
    let (data, more) = (page.items, page.has_more);
    Ok(json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}))
}

/// `GET /v1/chat/completions/{id}`.
pub(in crate::model) fn get(
    kept: &mut Kept,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let found = kept.find(asker, DIALECT, id, now);
    found.map(|answer| answer.body.clone()).ok_or_else(|| unknown(asker, "Chat completion", id))
}

/// `POST /v1/chat/completions/{id}`: other metadata.
pub(in crate::model) fn update(
    kept: &mut Kept,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let answer = kept.find(asker, DIALECT, id, now).ok_or_else(|| unknown(asker, "Chat completion", id))?;
    let asked: Value = serde_json::from_slice(&asker.request.body).unwrap_or_default();
    if asked["metadata"].is_null() {
        let message = "Missing required parameter: 'metadata'.";
        let refusal = Refusal::says(asker.dialect, 400, message);
        return Err(refusal.coded("missing_required_parameter").about("metadata"));
    }
    check_metadata(&asked["metadata"]).map_err(Refusal::new)?;
    answer.body["metadata"] = asked["metadata"].clone();
    Ok(answer.body.clone())
}

/// `DELETE /v1/chat/completions/{id}`.
pub(in crate::model) fn delete(
    kept: &mut Kept,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    get(kept, asker, id, now)?;
    kept.remove(|answer| answer.id == id);
    Ok(json!({"object": "chat.completion.deleted", "id": id, "deleted": true}))
}
