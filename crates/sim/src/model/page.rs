//! Lists as the providers page them: `limit` and an id to go on from.

use serde_json::Value;

use super::{Asker, Refusal};

/// Items of a page unless said, and at most.
pub(super) struct Limits {
    pub(super) usual: usize,
    pub(super) most: usize,
}

/// Some of a list.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) has_more: bool,
}

impl Page {
    /// The page of these items, each with its `id`, that a request's query asks for: `after_id` and
    /// `before_id` (Anthropic) or `after` (OpenAI).
    pub(super) fn of(
        mut items: Vec<Value>,
        limits: &Limits,
        asker: &Asker<'_>,
    ) -> Result<Self, Box<Refusal>> {
        let asked = |name: &str| parameter(asker.request.query.as_deref().unwrap_or_default(), name);
        let limit = match asked("limit") {
            None => limits.usual,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=limits.most).contains(limit)).ok_or_else(|| {
                    let message = format!("limit: Input should be a whole number from 1 to {}", limits.most);
                    Refusal::says(asker.dialect, 400, message)
                })?
            }
        };
        let place = |id: &str| items.iter().position(|item| item["id"] == id);
        if let Some(before) = asked("before_id") {
            let end = place(&before).unwrap_or(0);
            let start = end.saturating_sub(limit);
            return Ok(Page { items: items.drain(start..end).collect(), has_more: start > 0 });
        }
        if let Some(after) = asked("after_id").or_else(|| asked("after")) {
            items.drain(..place(&after).map_or(items.len(), |at| at + 1));
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, has_more })
    }

    /// The first and the last item's id.
    pub(super) fn ends(&self) -> [Value; 2] {
        [self.items.first(), self.items.last()]
            .map(|item| item.map_or(Value::Null, |item| item["id"].clone()))
    }
}

/// A parameter of a query. Ids and numbers are never escaped.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}
