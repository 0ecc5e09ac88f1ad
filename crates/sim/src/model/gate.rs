//! What a request has to be like before anything reads its body: its length, its headers, its packing.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use sortie_providers::dialect::Dialect;

use super::refusal::Refusal;
use super::{INVALID_KEY, is_anthropic};
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

/// What OpenAI says of a request without a key, and of one with the key that is not accepted, which it shows
/// the ends of.
const NO_KEY: &str = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                      using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank \
                      username) if you're accessing the API from your browser and are prompted for a username and \
                      password. You can obtain an API key from https://platform.openai.com/account/api-keys.";
const WRONG_KEY: &str = "Incorrect API key provided: sk-sim-i**alid. You can find your API key at \
                         https://platform.openai.com/account/api-keys.";

/// The key, which is the account: OpenAI takes it in one form, others in either.
pub(super) fn key<'a>(dialect: &dyn Dialect, headers: &'a HeaderMap) -> Result<&'a str, Box<Refusal>> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let is_openai = dialect.name().starts_with("openai");
    let own = text("x-api-key").filter(|_| !is_openai);
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    match own.or(bearer).map(str::trim).filter(|key| !key.is_empty()) {
        Some(INVALID_KEY) if is_openai => Err(Refusal::says(dialect, 401, WRONG_KEY)),
        None if is_openai => Err(Refusal::says(dialect, 401, NO_KEY).uncoded()),
        None | Some(INVALID_KEY) => Err(Refusal::says(dialect, 401, "the request has no valid key")),
        Some(key) => Ok(key),
    }
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

/// The code of a body that is too long only when it is unpacked (official SDKs' `types/*_error_details.py`).
const TOO_LONG_UNPACKED: &str = "request_body_too_large_after_decoding";

/// The request with its body unpacked, where it comes packed.
///
/// Anthropic takes gzip and nothing else (as users have shown it, and the codes are its official SDKs'
/// `types/*_error_details.py`). OpenAI documents nothing: gzip and deflate are taken, others refused as
/// HTTP has it (RFC 9110, section 15.5.16).
pub(super) fn unpacked<'a>(
    dialect: &dyn Dialect,
    request: Cow<'a, ServerRequest>,
) -> Result<Cow<'a, ServerRequest>, Box<Refusal>> {
    let encoding = request.headers.get(CONTENT_ENCODING).map(|encoding| encoding.as_bytes().trim_ascii());
    let most = most_body(&request.path) as u64;
    let body = match encoding.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"" | b"identity") => return Ok(request),
        Some(b"gzip" | b"x-gzip") => whole(MultiGzDecoder::new(request.body.as_ref()), most),
        Some(b"deflate") if !is_anthropic(dialect) => whole(ZlibDecoder::new(request.body.as_ref()), most),
        Some(other) => return Err(unknown_packing(dialect, &String::from_utf8_lossy(other))),
    };
    let body = body.map_err(|error| damaged(dialect, &error))?;
    let mut request = request;
    request.to_mut().body = body.into();
    // The proxy has let it through: this is the API's own word.
    check_size(dialect, &request, TooLong::Json)
        .map_err(|refusal| if is_anthropic(dialect) { refusal.coded(TOO_LONG_UNPACKED) } else { refusal })?;
    Ok(request)
}

/// What a packing holds, and of more than there may be only so much as tells that it is more.
fn whole(packed: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unknown_packing(dialect: &dyn Dialect, encoding: &str) -> Box<Refusal> {
    let message = format!("content-encoding: `{encoding}` is not supported");
    if is_anthropic(dialect) {
        Refusal::says(dialect, 400, message).coded("request_body_encoding_unsupported")
    } else {
        Refusal::says(dialect, 415, message)
    }
}

fn damaged(dialect: &dyn Dialect, error: &io::Error) -> Box<Refusal> {
    if is_anthropic(dialect) {
        let message = format!("The request body is not valid for its content-encoding: {error}");
        Refusal::says(dialect, 400, message).coded("request_body_encoding_invalid")
    } else {
        let message = format!("We could not parse the JSON body of your request: {error}");
        Refusal::says(dialect, 400, message)
    }
}
