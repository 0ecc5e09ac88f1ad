//! OpenAI's files: what batches are read from and written to (official SDKs' `types/file_object.py`).

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use sortie_core::hash::Hash;

use super::page::{Limits, Page};
use super::{Asker, Model, Refusal};

/// Purposes of files that a client may upload (OpenAI's reference of files).
const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/// How long a file may be told to be kept, in seconds: from an hour to 30 days.
const LIFETIMES: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;

/// Files of a page.
const PAGE: Limits = Limits { usual: 10_000, most: 10_000 };

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) id: String,
    key: String,
    created: Duration,
    name: String,
    pub(super) purpose: String,
    pub(super) content: Bytes,
    /// When it is no more, if ever.
    expires: Option<Duration>,
}

/// All files, in the order of their creation.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: Vec<File>,
    created: u64,
}

impl Files {
    /// The file with this id, which belongs to this key.
    pub(super) fn find(&self, asker: &Asker<'_>, id: &str) -> Result<&File, Box<Refusal>> {
        let found = self.files.iter().find(|file| file.id == id && file.key == asker.key);
        found.ok_or_else(|| {
            Refusal::says(asker.dialect, 404, format!("No such File object: {id}"))
                .uncoded()
                .coded("not_found")
                .about("id")
        })
    }

    /// `GET /v1/files`, the newest first.
    pub(super) fn list(&self, asker: &Asker<'_>) -> Result<Value, Box<Refusal>> {
        let items = self.files.iter().rev().filter(|file| file.key == asker.key).map(File::shown).collect();
        let page = Page::of(items, &PAGE, asker)?;
        let [first, last] = page.ends();
        let (data, more) = (page.items, page.has_more);
        Ok(json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}))
    }

    /// Forgets what is no more by now.
    pub(super) fn expire(&mut self, now: Duration) {
        self.files.retain(|file| file.expires.is_none_or(|at| now < at));
    }

    /// `DELETE /v1/files/{id}`.
    pub(super) fn delete(&mut self, asker: &Asker<'_>, id: &str) -> Result<Value, Box<Refusal>> {
        self.find(asker, id)?;
        self.files.retain(|file| file.id != id);
        Ok(json!({"id": id, "object": "file", "deleted": true}))
    }
}

impl File {
    /// The file as it is told.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "object": "file",
            "bytes": self.content.len(),
            "created_at": self.created.as_secs(),
            "expires_at": self.expires.map(|at| at.as_secs()),
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": null,
        })
    }
}

impl Model {
    /// Keeps a file; gives its id.
    pub(super) fn keep_file(
        &mut self,
        key: &str,
        name: &str,
        purpose: &str,
        content: Bytes,
        now: Duration,
    ) -> String {
        self.files.created += 1;
        let number = Hash::of(&self.files.created.to_le_bytes());
        let id = format!("file-{}", self.id(&number, "file"));
        self.files.files.push(File {
            id: id.clone(),
            key: key.to_owned(),
            created: now,
            name: name.to_owned(),
            purpose: purpose.to_owned(),
            content,
            expires: None,
        });
        id
    }

    /// `POST /v1/files`.
    pub(super) fn upload(&mut self, asker: &Asker<'_>, now: Duration) -> Result<Value, Box<Refusal>> {
        let invalid = |message: &str| Refusal::says(asker.dialect, 400, message);
        let parts = boundary(&asker.request.headers)
            .and_then(|boundary| parts(&asker.request.body, &boundary))
            .ok_or_else(|| invalid("Could not parse multipart form"))?;
        let part = |name: &str| parts.iter().find(|part| part.name == name);
        let purpose =
            part("purpose").ok_or_else(|| invalid("'purpose' is a required property").about("purpose"))?;
        let purpose = String::from_utf8_lossy(&purpose.content).into_owned();
        if !PURPOSES.contains(&purpose.as_str()) {
            let known = PURPOSES.join("', '");
            return Err(
                invalid(&format!("'{purpose}' is not one of ['{known}'] - 'purpose'")).about("purpose")
            );
        }
        let file = part("file").ok_or_else(|| invalid("'file' is a required property").about("file"))?;
        if purpose == "batch" && !begins_as_json(&file.content) {
            return Err(invalid("Invalid file format for Batch API. Must be .jsonl"));
        }
        let expires = part("expires_after[seconds]").map(|part| seconds(&part.content)).transpose();
        let expires = expires.map_err(|message| invalid(&message).about("expires_after.seconds"))?;
        let name = file.filename.clone().unwrap_or_else(|| "upload".to_owned());
        let id = self.keep_file(asker.key, &name, &purpose, file.content.clone(), now);
        if let (Some(seconds), Some(kept)) = (expires, self.files.files.last_mut()) {
            kept.expires = Some(now + seconds);
        }
        Ok(self.files.find(asker, &id)?.shown())
    }
}

/// How long after its creation a file is no more, as `expires_after` has it (the official SDKs'
/// `types/file_create_params.py`; the words are ours).
fn seconds(said: &[u8]) -> Result<Duration, String> {
    let seconds = str::from_utf8(said).ok().and_then(|said| said.parse().ok());
    let within = seconds.filter(|seconds| LIFETIMES.contains(seconds));
    let (least, most) = (LIFETIMES.start(), LIFETIMES.end());
    within.map(Duration::from_secs).ok_or_else(|| {
        format!("Invalid 'expires_after.seconds': expected an integer from {least} to {most}.")
    })
}

/// Whether the first line of a file that has any is one of JSON: the API looks no further when a file comes
/// (as users have recorded it).
fn begins_as_json(content: &[u8]) -> bool {
    let first = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    first.is_none_or(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
}

/// A part of a multipart form.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    filename: Option<String>,
    content: Bytes,
}

/// What stands between the parts (RFC 2046).
fn boundary(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    kind.starts_with("multipart/form-data").then_some(())?;
    let (_, after) = kind.split_once("boundary=")?;
    let boundary = after.split(';').next()?.trim().trim_matches('"');
    (!boundary.is_empty()).then(|| boundary.to_owned())
}

/// The parts of a form (RFC 7578); `None` where it breaks off.
fn parts(body: &Bytes, boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut at = find(body, delimiter.as_bytes())? + delimiter.len();
    while !body[at..].starts_with(b"--") {
        let head_at = at + body[at..].starts_with(b"\r\n").then_some(2)?;
        let head_end = head_at + find(&body[head_at..], b"\r\n\r\n")?;
        let content_at = head_end + 4;
        let content_end = content_at + find(&body[content_at..], format!("\r\n{delimiter}").as_bytes())?;
        let head = String::from_utf8_lossy(&body[head_at..head_end]);
        parts.push(Part {
            name: attribute(&head, "name")?,
            filename: attribute(&head, "filename"),
            content: body.slice(content_at..content_end),
        });
        at = content_end + 2 + delimiter.len();
    }
    Some(parts)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A quoted attribute of a part's disposition.
fn attribute(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let value = |field: &str| {
        field.trim().strip_prefix(name)?.strip_prefix('=').map(|v| v.trim_matches('"').to_owned())
    };
    line.split(';').find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_parts_or_none() {
        let check = |body: &str, expected: Option<&[(&str, Option<&str>, &str)]>| {
            let expected = expected.map(|parts| {
                let part = |(name, filename, content): &(&str, Option<&str>, &str)| Part {
                    name: (*name).to_owned(),
                    filename: filename.map(str::to_owned),
                    content: Bytes::copy_from_slice(content.as_bytes()),
                };
                parts.iter().map(part).collect::<Vec<_>>()
            });
            assert_eq!(parts(&Bytes::copy_from_slice(body.as_bytes()), "xx"), expected, "{body}");
        };
        let purpose = "--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n";
        let file = "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\nContent-Type: \
                    text/plain\r\n\r\n{}\r\n--x\r\n";
        check(&format!("{purpose}--xx--\r\n"), Some(&[("purpose", None, "batch")]));
        check(
            &format!("{purpose}{file}\r\n--xx--"),
            Some(&[("purpose", None, "batch"), ("file", Some("a.jsonl"), "{}\r\n--x\r\n")]),
        );
        check(&format!("--xx--{purpose}"), Some(&[]));
        for broken in
            ["", "--xx", "--xx\r\n", purpose, "--xx\r\nContent-Disposition: form-data\r\n\r\na\r\n--xx--"]
        {
            check(broken, None);
        }
    }
}
