//! Images in the turns of OpenAI's APIs.

use serde_json::{Value, json};
use sortie_providers::dialect::{OpenAiChat, OpenAiResponses};

use crate::{input, refused, said, taken, turns};

const MISSING: &str = "missing_required_parameter";
const PNG: &str = "data:image/png;base64,aGVsbG8=";

fn chat(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiChat, more, (param, code), message);
}

fn response(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiResponses, more, (param, code), message);
}

#[test]
fn images_are_shown_by_the_user_and_are_images() {
    let shown = |role: &str, image: Value| {
        let part = json!({"type": "image_url", "image_url": image});
        turns(&json!([{"role": role, "content": [part]}]))
    };
    for image in [
        json!({"url": "https://example.org/a.png", "detail": "low"}),
        json!({"url": "HTTP://example.org/a.png"}),
        json!({"url": PNG}),
    ] {
        taken(&OpenAiChat, &shown("user", image));
    }
    let check = |image: Value, param: &str, code: &str, message: &str| {
        chat(&shown("user", image), param, code, message);
    };
    let (field, url) = ("messages[0].content[0].image_url", "messages[0].content[0].image_url.url");
    check(
        json!(PNG),
        field,
        "invalid_type",
        "Invalid type for 'messages[0].content[0].image_url': expected an object, but got a string instead.",
    );
    check(Value::Null, field, MISSING, "Missing required parameter: 'messages[0].content[0].image_url'.");
    check(json!({}), url, MISSING, "Missing required parameter: 'messages[0].content[0].image_url.url'.");
    check(json!({"url": 7}), url, "invalid_type", "Invalid type for");
    let data = "Invalid image URL: 'messages[0].content[0].image_url.url'. Expected a base64-encoded data URL with an \
                image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got ";
    let pdf = "unsupported MIME type 'application/pdf'.";
    let pdf_url = json!({"url": "data:application/pdf;base64,aGVsbG8="});
    check(pdf_url, url, "invalid_value", &format!("{data}{pdf}"));
    for broken in ["data:image/png;base64,{}", "data:image/png;base64,", "data:image/png,aGVsbG8="] {
        let base64 = format!("{data}an invalid base64-encoded value.");
        check(json!({"url": broken}), url, "invalid_value", &base64);
    }
    for other in ["a.png", "file:///a.png", "https://"] {
        check(
            json!({"url": other}),
            url,
            "invalid_value",
            &format!("Invalid '{url}'. Expected a valid URL,"),
        );
    }
    for role in ["system", "developer", "assistant"] {
        chat(
            &shown(role, json!({"url": PNG})),
            "messages[0]",
            "invalid_value",
            &format!(
                "Invalid 'messages[0]'. Image URLs are only allowed for messages with role 'user', but this message \
                 with role '{role}' contains an image URL."
            ),
        );
    }
}

#[test]
fn images_of_a_response_are_images() {
    let shown = |part: Value| {
        let mut image = part;
        image["type"] = json!("input_image");
        input(&json!([said("user", json!([image]))]))
    };
    for image in [
        json!({"image_url": "https://example.org/a.png", "detail": "auto"}),
        json!({"image_url": "data:image/png;base64,aGVsbG8="}),
        json!({"file_id": "file-1"}),
    ] {
        taken(&OpenAiResponses, &shown(image));
    }
    let (part, url) = ("input[0].content[0]", "input[0].content[0].image_url");
    let data = format!(
        "Invalid '{url}'. Expected a base64-encoded data URL with an image MIME type (e.g. \
         'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got "
    );
    for (image, param, code, message) in [
        (
            json!({}),
            part,
            "missing_mutually_exclusive_parameters",
            format!(
                "Missing mutually exclusive parameters: '{part}'. Ensure you are providing exactly one of: 'file_id' or \
                 'image_url'."
            ),
        ),
        (
            json!({"image_url": {"url": "https://example.org/a.png"}}),
            url,
            "invalid_type",
            format!("Invalid type for '{url}': expected an image URL, but got an object instead."),
        ),
        (
            json!({"image_url": "data:text/markdown;base64,aGVsbG8="}),
            url,
            "invalid_value",
            format!("{data}unsupported MIME type 'text/markdown'."),
        ),
        (
            json!({"image_url": "data:image/png;base64,a b"}),
            url,
            "invalid_value",
            format!("{data}an invalid base64-encoded value."),
        ),
        (
            json!({"image_url": "/a.png"}),
            url,
            "invalid_value",
            format!("Invalid '{url}'. Expected a valid URL, but got a value with an invalid format."),
        ),
    ] {
        response(&shown(image), param, code, &message);
    }
}
