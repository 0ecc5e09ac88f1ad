//! The lines of a file that one of OpenAI's batches is made of, and what is wrong with them.
//!
//! Codes and words are those that users have recorded of the API, or its guide's; a batch of a file that is
//! wrong fails as a whole, and tells of every line what is wrong with it.

use serde_json::{Value, json};

use super::{Written, repeated};

/// Lines of a file, and its bytes, at most (OpenAI's guide to batches).
const MOST_LINES: usize = 50_000;
const MOST_BYTES: usize = 200 * 1024 * 1024;

/// What each line has to have.
const FIELDS: [&str; 4] = ["custom_id", "method", "url", "body"];

/// What is wrong with a line, or with the file.
struct Problem {
    code: &'static str,
    message: String,
    /// The field of the line that it is about.
    param: Option<&'static str>,
}

impl Problem {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Problem { code, message: message.into(), param: None }
    }

    fn about(self, param: &'static str) -> Self {
        Problem { param: Some(param), ..self }
    }

    /// As the batch tells it, of the line of this number.
    fn told(&self, line: Option<usize>) -> Value {
        json!({"code": self.code, "message": self.message, "param": self.param, "line": line})
    }
}

/// The requests of a file, or all that is wrong with it.
pub(super) fn written(content: &[u8], endpoint: &str) -> Result<Vec<Written>, Vec<Value>> {
    let content = String::from_utf8_lossy(content);
    let lines: Vec<(usize, &str)> =
        (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    if let Some(problem) = of_the_file(content.len(), lines.len()) {
        return Err(vec![problem.told(None)]);
    }
    let mut problems = Vec::new();
    let mut written: Vec<Written> = Vec::with_capacity(lines.len());
    // All requests of a file are of the first one's model.
    let mut model: Option<String> = None;
    for (number, line) in lines {
        match self::line(line, endpoint, &mut model) {
            Ok(one) => written.push(one),
            Err(problem) => problems.push(problem.told(Some(number))),
        }
    }
    if let Some(id) = repeated(written.iter().map(|written| written.custom_id.as_str())) {
        let message = format!("The custom_id '{id}' is used by more than one request.");
        problems.push(Problem::new("duplicate_custom_id", message).told(None));
    }
    if problems.is_empty() { Ok(written) } else { Err(problems) }
}

fn of_the_file(bytes: usize, lines: usize) -> Option<Problem> {
    match lines {
        0 => Some(Problem::new("empty_file", "The input file is empty.")),
        _ if bytes > MOST_BYTES => {
            let message = format!("The input file has more than {MOST_BYTES} bytes.");
            Some(Problem::new("file_too_large", message))
        }
        many if many > MOST_LINES => {
            let message = format!("The input file has more than {MOST_LINES} requests.");
            Some(Problem::new("too_many_tasks", message))
        }
        _ => None,
    }
}

/// One line, or what is wrong with it.
fn line(line: &str, endpoint: &str, first: &mut Option<String>) -> Result<Written, Problem> {
    let line: Value = serde_json::from_str(line)
        .map_err(|_| Problem::new("invalid_json_line", "This line is not parseable as valid JSON."))?;
    if let Some(name) = FIELDS.into_iter().find(|name| line[*name].is_null()) {
        let message = format!("Missing required parameter: '{name}'.");
        return Err(Problem::new("missing_required_parameter", message).about(name));
    }
    let Some(custom_id) = line["custom_id"].as_str() else {
        return Err(Problem::new("invalid_type", "The custom_id has to be a string.").about("custom_id"));
    };
    if line["method"] != "POST" {
        return Err(Problem::new("invalid_method", "The method has to be POST.").about("method"));
    }
    if line["url"] != endpoint {
        let message = "The URL provided for this request does not match the batch endpoint.";
        return Err(Problem::new("invalid_url", message).about("url"));
    }
    let body = &line["body"];
    if !body.is_object() {
        return Err(Problem::new("invalid_type", "The body has to be an object.").about("body"));
    }
    if body["stream"] == true {
        let api = if endpoint == "/v1/responses" { "Responses" } else { "Chat Completions" };
        let message = format!("{api}: Streaming is not supported in the Batch API.");
        return Err(Problem::new("streaming_unsupported", message).about("body.stream"));
    }
    let model = body["model"].as_str().unwrap_or_default();
    let first = first.get_or_insert_with(|| model.to_owned());
    if model != first {
        let message = format!(
            "The model '{model}' is not that of the file's first request, '{first}': it has to be one."
        );
        return Err(Problem::new("model_mismatch", message).about("body.model"));
    }
    Ok(Written { custom_id: custom_id.to_owned(), body: body.to_string().into() })
}
