//! What a request has to be like before anything reads its body: its length and its headers.

use std::borrow::Cow;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use sortie_providers::dialect::Dialect;

use super::is_anthropic;
use super::refusal::Refusal;
use crate::scenario::{MissingHeader, Scenario, TooLong};
use crate::timeline::ServerRequest;

const MIB: usize = 1024 * 1024;

/// The longest body that is read at this path, in bytes; a longer one is answered 413. Anthropic's
/// documentation of request size limits has 32 MB for messages and 256 MB for batches; OpenAI's
/// reference of files has 512 MB.
pub fn most_body(path: &str) -> usize {
    match path {
        "/v1/messages/batches" => 256 * MIB,
        "/v1/files" => 512 * MIB,
        _ => 32 * MIB,
    }
}

/// Refuses a body that is too long.
pub(super) fn check_size(
    dialect: &dyn Dialect,
    request: &ServerRequest,
    too_long: TooLong,
) -> Result<(), Box<Refusal>> {
    let most = most_body(&request.path);
    if request.body.len() <= most {
        return Ok(());
    }
    let refusal = Refusal::says(dialect, 413, format!("the body is longer than {most} bytes"));
    Err(match too_long {
        TooLong::Json => refusal,
        TooLong::Html => refusal.with_page(),
    })
}

/// The version of requests that have none, where those are taken.
const VERSION_UNLESS_SAID: &str = "2023-06-01";

/// The request, unless it is refused for a header that it has to have; with a version where it may
/// come without.
pub(super) fn check_headers<'a>(
    dialect: &dyn Dialect,
    request: &'a ServerRequest,
    scenario: &Scenario,
) -> Result<Cow<'a, ServerRequest>, Box<Refusal>> {
    if request.method == Method::POST && !request.body.is_empty() {
        check_content_type(dialect, request, scenario.missing_content_type)?;
    }
    let has_version = request.headers.contains_key("anthropic-version");
    let mut request = Cow::Borrowed(request);
    if is_anthropic(dialect) && !has_version && scenario.missing_version == MissingHeader::Taken {
        let version = HeaderValue::from_static(VERSION_UNLESS_SAID);
        request.to_mut().headers.insert("anthropic-version", version);
    }
    dialect.check_headers(&request.headers).map_err(Refusal::new)?;
    Ok(request)
}

fn check_content_type(
    dialect: &dyn Dialect,
    request: &ServerRequest,
    missing: MissingHeader,
) -> Result<(), Box<Refusal>> {
    let kind = request.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_right = match request.path.as_str() {
        "/v1/files" => kind == "multipart/form-data",
        _ => kind.eq_ignore_ascii_case("application/json"),
    };
    if is_right || missing == MissingHeader::Taken {
        return Ok(());
    }
    Err(Refusal::says(dialect, 400, "content-type: the header has to be application/json"))
}
