//! Which endpoint a path is, whose it is, and with which method it is asked.
//!
//! # Adding an endpoint
//! Give [`Endpoint`] a variant, add its line to `OTHERS`, and answer it in `Model::at`.

use http::Method;
use sortie_providers::dialect::Dialect;

use super::{Refusal, is_anthropic};
use crate::timeline::ServerRequest;

/// What is asked of the API, apart from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    CountTokens,
    CountInput,
    Models,
    Model,
    CreateBatch,
    Batches,
    Batch,
    CancelBatch,
    DeleteBatch,
    BatchResults,
    CreateFile,
    Files,
    File,
    FileContent,
    DeleteFile,
    Completions,
    Completion,
    UpdateCompletion,
    DeleteCompletion,
    Response,
    CancelResponse,
    DeleteResponse,
}

impl Endpoint {
    /// Whether it is one of those that make, show and end batches.
    pub(super) fn is_of_batches(self) -> bool {
        use Endpoint::{Batch, BatchResults, Batches, CancelBatch, CreateBatch, DeleteBatch};
        matches!(self, CreateBatch | Batches | Batch | CancelBatch | DeleteBatch | BatchResults)
    }
}

/// Whose endpoint it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Anthropic,
    OpenAi,
    Both,
}

use Endpoint as E;
use Whose::{Anthropic, Both, OpenAi};

/// All endpoints but those that answer: `*` is an id.
const OTHERS: [(Whose, Method, &str, Endpoint); 28] = [
    (Anthropic, Method::POST, "/v1/messages/count_tokens", E::CountTokens),
    (Anthropic, Method::POST, "/v1/messages/batches", E::CreateBatch),
    (Anthropic, Method::GET, "/v1/messages/batches", E::Batches),
    (Anthropic, Method::GET, "/v1/messages/batches/*", E::Batch),
    (Anthropic, Method::DELETE, "/v1/messages/batches/*", E::DeleteBatch),
    (Anthropic, Method::POST, "/v1/messages/batches/*/cancel", E::CancelBatch),
    (Anthropic, Method::GET, "/v1/messages/batches/*/results", E::BatchResults),
    (Both, Method::GET, "/v1/models", E::Models),
    (Both, Method::GET, "/v1/models/*", E::Model),
    (OpenAi, Method::POST, "/v1/batches", E::CreateBatch),
    (OpenAi, Method::GET, "/v1/batches", E::Batches),
    (OpenAi, Method::GET, "/v1/batches/*", E::Batch),
    (OpenAi, Method::POST, "/v1/batches/*/cancel", E::CancelBatch),
    (OpenAi, Method::POST, "/v1/files", E::CreateFile),
    (OpenAi, Method::GET, "/v1/files", E::Files),
    (OpenAi, Method::GET, "/v1/files/*", E::File),
    (OpenAi, Method::DELETE, "/v1/files/*", E::DeleteFile),
    (OpenAi, Method::GET, "/v1/files/*/content", E::FileContent),
    (OpenAi, Method::GET, "/v1/chat/completions", E::Completions),
    (OpenAi, Method::GET, "/v1/chat/completions/*", E::Completion),
    (OpenAi, Method::POST, "/v1/chat/completions/*", E::UpdateCompletion),
    (OpenAi, Method::DELETE, "/v1/chat/completions/*", E::DeleteCompletion),
    (OpenAi, Method::POST, "/v1/responses/input_tokens", E::CountInput),
    (OpenAi, Method::GET, "/v1/responses/*", E::Response),
    (OpenAi, Method::DELETE, "/v1/responses/*", E::DeleteResponse),
    (OpenAi, Method::POST, "/v1/responses/*/cancel", E::CancelResponse),
    (OpenAi, Method::HEAD, "/v1/models", E::Models),
    (Anthropic, Method::HEAD, "/v1/models", E::Models),
];

/// A path of OpenAI's that is not served here, and not the id of anything.
const NOT_SERVED: &str = "/v1/responses/compact";

/// The paths of OpenAI's that Anthropic's API has too, which are not served here: asked for with that API's
/// version, they are not OpenAI's.
const ALSO_OF_ANTHROPIC: &str = "/v1/files";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// An answer of the dialect that the path is of.
    Generate,
    /// Something else, of the thing with this id.
    Other(Endpoint, String),
}

/// The dialect that a request speaks: its path's, else Anthropic's where it names that API's version
/// or a path of it, else another one.
pub(super) fn spoken(
    dialects: &'static [&'static dyn Dialect],
    request: &ServerRequest,
) -> Option<&'static dyn Dialect> {
    let whose =
        OTHERS.iter().find(|(.., path, _)| matched(path, &request.path).is_some()).map(|(whose, ..)| *whose);
    let anthropic = match whose {
        Some(Anthropic) => true,
        Some(OpenAi) if !request.path.starts_with(ALSO_OF_ANTHROPIC) => false,
        Some(OpenAi | Both) | None => request.headers.contains_key("anthropic-version"),
    };
    let all = || dialects.iter().copied();
    all()
        .find(|dialect| dialect.path() == request.path)
        .or_else(|| all().find(|dialect| is_anthropic(*dialect) == anthropic))
        .or_else(|| all().next())
}

/// What a request asks of the API that it speaks to.
pub(super) fn route(dialect: &dyn Dialect, request: &ServerRequest) -> Result<Route, Box<Refusal>> {
    let own = if is_anthropic(dialect) { Anthropic } else { OpenAi };
    let mut allowed = Vec::new();
    if dialect.path() == request.path {
        if request.method == Method::POST {
            return Ok(Route::Generate);
        }
        allowed.push(Method::POST);
    }
    for (whose, method, path, endpoint) in &OTHERS {
        let is_here = (*whose == own || *whose == Both) && request.path != NOT_SERVED;
        let Some(id) = matched(path, &request.path).filter(|_| is_here) else {
            continue;
        };
        if request.method == *method {
            return Ok(Route::Other(*endpoint, id.to_owned()));
        }
        allowed.push(method.clone());
    }
    let path = &request.path;
    if allowed.is_empty() {
        let message = match own {
            OpenAi if path.starts_with("/v1/") => format!("Invalid URL ({} {path})", request.method),
            OpenAi => return Err(unknown_url(dialect, request)),
            Anthropic | Both => format!("there is no {path}"),
        };
        return Err(Refusal::says(dialect, 404, message).uncoded());
    }
    let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let refusal = Refusal::says(dialect, 405, format!("{path} takes {allowed}"));
    Err(refusal.with(http::header::ALLOW, &allowed))
}

/// What OpenAI says of a path that is of no version of its API.
fn unknown_url(dialect: &dyn Dialect, request: &ServerRequest) -> Box<Refusal> {
    let message = format!(
        "Unknown request URL: {} {}. Please check the URL for typos, or see the docs at \
         https://platform.openai.com/docs/api-reference/.",
        request.method, request.path
    );
    Refusal::says(dialect, 404, message).coded("unknown_url")
}

/// The id in a path of this form, empty where the form has none; `None` where the form is another.
fn matched<'a>(form: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = form.split_once('*') else {
        return (form == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::HeaderMap;
    use sortie_providers::dialect::ALL;

    #[test]
    fn paths_lead_to_the_endpoints_of_the_api_that_they_are_of() {
        let check = |method: Method, path: &str, version: bool, expected: Option<(&str, Route)>| {
            let mut headers = HeaderMap::new();
            if version {
                headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
            }
            let request =
                ServerRequest { method, path: path.to_owned(), query: None, headers, body: Bytes::new() };
            let dialect = spoken(ALL, &request).unwrap();
            let found = route(dialect, &request).ok().map(|route| (dialect.name(), route));
            assert_eq!(found, expected, "{path}");
        };
        let other = |endpoint, id: &str| Route::Other(endpoint, id.to_owned());
        let (get, post) = (Method::GET, Method::POST);
        check(post.clone(), "/v1/messages", false, Some(("anthropic", Route::Generate)));
        check(post.clone(), "/v1/chat/completions", true, Some(("openai", Route::Generate)));
        check(get.clone(), "/v1/messages", true, None);
        check(
            post.clone(),
            "/v1/messages/count_tokens",
            false,
            Some(("anthropic", other(E::CountTokens, ""))),
        );
        check(get.clone(), "/v1/models", true, Some(("anthropic", other(E::Models, ""))));
        check(get.clone(), "/v1/models/gpt-4o", false, Some(("openai", other(E::Model, "gpt-4o"))));
        check(
            get.clone(),
            "/v1/messages/batches/b/results",
            false,
            Some(("anthropic", other(E::BatchResults, "b"))),
        );
        check(post.clone(), "/v1/batches/b/cancel", true, Some(("openai", other(E::CancelBatch, "b"))));
        check(get.clone(), "/v1/files/f/content", false, Some(("openai", other(E::FileContent, "f"))));
        for path in ["/v1/files", "/v1/files/f", "/v1/files/f/content"] {
            check(get.clone(), path, true, None);
        }
        check(get.clone(), "/v1/files//content", false, None);
        check(get.clone(), "/v1/chat/completions", false, Some(("openai", other(E::Completions, ""))));
        check(get.clone(), "/v1/chat/completions/c", false, Some(("openai", other(E::Completion, "c"))));
        check(get.clone(), "/v1/responses/r", false, Some(("openai", other(E::Response, "r"))));
        check(get.clone(), "/v1/responses", false, None);
        check(post.clone(), "/v1/responses/input_tokens", false, Some(("openai", other(E::CountInput, ""))));
        check(post.clone(), "/v1/responses/compact", false, None);
        check(get, "/v1/files/a/b", false, None);
        check(post, "/v1/models", false, None);
    }
}
