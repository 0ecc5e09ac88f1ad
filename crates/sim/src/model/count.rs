//! What a request's input would be billed as, without an answer: `POST /v1/messages/count_tokens` and
//! `POST /v1/responses/input_tokens`.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked::input_tokens;
use super::{Asker, Model, Refusal, kept, models};
use crate::timeline::ServerRequest;

/// Fields of a request for an answer that a count does not take (official SDKs'
/// `types/message_count_tokens_params.py`).
const NOT_COUNTED: [&str; 5] = ["max_tokens", "stream", "stop_sequences", "metadata", "service_tier"];

/// Anthropic's count: what the same body would be billed for, whatever of it a cache may hold.
pub(super) fn messages(model: &Model, asker: &Asker<'_>) -> Result<Value, Box<Refusal>> {
    let (dialect, request) = (asker.dialect, asker.request);
    let mut body: Value = serde_json::from_slice(&request.body).map_err(|error| {
        Refusal::says(dialect, 400, format!("The request body is not valid JSON: {error}"))
    })?;
    if let Some(extra) = NOT_COUNTED.into_iter().find(|field| body.get(field).is_some()) {
        return Err(Refusal::says(dialect, 400, format!("{extra}: Extra inputs are not permitted")));
    }
    // It is checked as the request that it is asked about; a thinking budget has to fit its answer.
    if let Some(fields) = body.as_object_mut() {
        fields.insert("max_tokens".to_owned(), json!(u32::MAX));
    }
    let body = body.to_string();
    let read = dialect.read(&request.headers, body.as_bytes()).map_err(Refusal::new)?;
    models::check_served(&model.scenario, dialect, &read.model)?;
    Ok(json!({"input_tokens": input_tokens(dialect, &read, &dialect.particulars(body.as_bytes()))}))
}

/// OpenAI's count, of what the Responses API would be asked.
pub(super) fn responses(model: &Model, asker: &Asker<'_>, now: Duration) -> Result<Value, Box<Refusal>> {
    let answering = model.dialects.iter().copied().find(|dialect| dialect.path() == "/v1/responses");
    let dialect = answering.unwrap_or(asker.dialect);
    let mut body: Value = serde_json::from_slice(&asker.request.body).map_err(|error| {
        Refusal::says(dialect, 400, format!("We could not parse the JSON body of your request: {error}"))
    })?;
    // How it is to sound changes nothing that is counted here.
    if let Some(fields) = body.as_object_mut() {
        fields.remove("personality");
    }
    let request = ServerRequest { body: body.to_string().into(), ..asker.request.clone() };
    let told = kept::continued(&model.kept, dialect, &request, asker.key, now)?;
    let read = dialect.read(&told.headers, &told.body).map_err(Refusal::new)?;
    models::check_served(&model.scenario, dialect, &read.model)?;
    let tokens = input_tokens(dialect, &read, &dialect.particulars(&told.body));
    Ok(json!({"object": "response.input_tokens", "input_tokens": tokens}))
}
