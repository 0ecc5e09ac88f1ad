//! `GET /v1/models`: the models of the price table, in each provider's shape (official SDKs'
//! `types/model_info.py` and `types/model.py`).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use sortie_core::price;
use sortie_providers::dialect::Dialect;

use super::json_headers;
use crate::timeline::Timeline;

/// The models of the price table, as the provider of this dialect lists them.
pub(super) fn models(dialect: &dyn Dialect, retired: &[String]) -> Timeline {
    let rows = price::table().rows.iter();
    let served = rows.filter(|row| row.provider == dialect.name() && !retired.contains(&row.model));
    let ids: Vec<&str> = served.map(|row| row.model.as_str()).collect();
    let list = match dialect.name() {
        "anthropic" => {
            let item = |id: &&str| serde_json::json!({ "type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z" });
            let data: Vec<_> = ids.iter().map(item).collect();
            serde_json::json!({ "data": data, "has_more": false, "first_id": ids.first(), "last_id": ids.last() })
        }
        owner => {
            let item = |id: &&str| serde_json::json!({ "id": id, "object": "model", "created": 1_767_225_600, "owned_by": owner });
            serde_json::json!({ "object": "list", "data": ids.iter().map(item).collect::<Vec<_>>() })
        }
    };
    let headers = json_headers(HeaderMap::new());
    Timeline::whole(Duration::ZERO, StatusCode::OK, headers, list.to_string().into())
}
