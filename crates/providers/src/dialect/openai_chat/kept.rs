//! Stored completions: how a request asks for its answer to be kept, and how that is found again.
//!
//! `store: true` keeps a completion, and the list of those that are kept takes a filter by metadata (OpenAI's
//! reference of `GET /chat/completions`; its entries are whole completions).

use serde_json::{Value, json};

use super::super::{Decoded, reply};
use super::client::ChatCompletions;

/// The key of the pair of metadata that holds the name.
const KEY: &str = "sortie_attempt";

/// Completions of a name that are asked for: there is one, and a second one shows that it means nothing.
const LIMIT: &str = "2";

pub(super) fn keep(body: &mut Value, name: &str) {
    body["store"] = json!(true);
    body["metadata"] = json!({KEY: name});
}

/// The name by which a request wants to be kept.
pub(super) fn name_in(body: &Value) -> Option<String> {
    let name = body["metadata"][KEY].as_str()?;
    (body["store"] == true).then(|| name.to_owned())
}

pub(super) fn encode(name: &str) -> (&'static str, Vec<(String, String)>) {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    ("/chat/completions", vec![pair(&format!("metadata[{KEY}]"), name), pair("limit", LIMIT)])
}

/// Of servers that do not know the filter, what has another name is passed over.
pub(super) fn read(body: &[u8], name: &str) -> Option<Vec<Decoded>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let all = body["data"].as_array()?;
    let own = all.iter().filter(|one| one["metadata"][KEY] == name);
    Some(own.map(reply::whole::<ChatCompletions>).collect())
}
