//! The server's half: what both of OpenAI's APIs refuse of the fields that they share, and in which
//! words. Bounds are from OpenAI's API reference and the types of its official SDKs; codes and the
//! forms of messages are those that recorded replies show, the rest is ours.

use serde_json::Value;

use super::super::WireError;
use super::super::turns;
use super::efforts::thinks_untold;
use super::invalid;

/// Pairs of `metadata`, at most, and the most characters of a key and of a value; other keys are bound alike.
const MOST_PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;

/// The most `top_logprobs` of a token.
const MOST_LOGPROBS: u32 = 20;

/// How much a model may be told to think.
pub(in super::super) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Refuses a parameter that the API does not have.
pub(in super::super) fn only_known(body: &Value, known: &[&str]) -> Result<(), WireError> {
    let unknown = body.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |(name, _)| Err(unknown_parameter(name)))
}

/// The same of the fields within an object at `field`, if it is there.
pub(in super::super) fn only_known_in(field: &str, value: &Value, known: &[&str]) -> Result<(), WireError> {
    let fields = match value {
        Value::Null => return Ok(()),
        value => value.as_object().ok_or_else(|| wrong_type(field, "an object", value))?,
    };
    let unknown = fields.keys().find(|name| !known.contains(&name.as_str()));
    unknown.map_or(Ok(()), |name| Err(unknown_parameter(&format!("{field}.{name}"))))
}

/// A parameter that the API does not have.
pub(in super::super) fn unknown_parameter(field: &str) -> WireError {
    invalid(Some("unknown_parameter"), format!("Unknown parameter: '{field}'.")).about(field)
}

/// A field that is of another type than it has to be.
pub(in super::super) fn wrong_type(field: &str, expected: &str, found: &Value) -> WireError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{field}': expected {expected}, but got {found} instead.");
    invalid(Some("invalid_type"), message).about(field)
}

/// A list that may not be empty.
pub(in super::super) fn empty(field: &str) -> WireError {
    let message = format!(
        "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an empty array \
         instead."
    );
    invalid(Some("empty_array"), message).about(field)
}

/// A parameter that this model does not take.
pub(in super::super) fn unsupported(field: &str, more: &str) -> WireError {
    let message = format!("Unsupported parameter: '{field}' is not supported with this model.{more}");
    invalid(Some("unsupported_parameter"), message).about(field)
}

/// A field that is true or false, if it is there.
pub(in super::super) fn flag(body: &Value, field: &str) -> Result<bool, WireError> {
    turns::flag(body, field).map_err(|_| wrong_type(field, "a boolean", &body[field]))
}

/// A field that is text, if it is there.
pub(in super::super) fn text(body: &Value, field: &str) -> Result<(), WireError> {
    match &body[field] {
        Value::Null | Value::String(_) => Ok(()),
        other => Err(wrong_type(field, "a string", other)),
    }
}

/// A text at `field` of at most this many characters.
pub(in super::super) fn short(field: &str, text: &str, most: usize) -> Result<(), WireError> {
    no_longer(field, ("a", "string"), text.chars().count(), most)
}

/// A field that is a whole number from `least` to `most`, if it is there.
pub(in super::super) fn whole(
    body: &Value,
    field: &str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, WireError> {
    let number = match &body[field] {
        Value::Null => return Ok(None),
        value => value.as_i64().ok_or_else(|| wrong_type(field, "an integer", value))?,
    };
    let (code, side, sign, bound) = match u32::try_from(number) {
        Ok(within) if (least..=most).contains(&within) => return Ok(Some(within)),
        _ if number < i64::from(least) => ("integer_below_min_value", "below minimum", ">=", least),
        _ => ("integer_above_max_value", "above maximum", "<=", most),
    };
    let message = format!(
        "Invalid '{field}': integer {side} value. Expected a value {sign} {bound}, but got {number} instead."
    );
    Err(invalid(Some(code), message).about(field))
}

/// A field that is a number from `least` to `most`, if it is there.
pub(in super::super) fn number(
    body: &Value,
    field: &str,
    least: f64,
    most: f64,
) -> Result<Option<f64>, WireError> {
    number_at(field, &body[field], least, most)
}

/// A value at `field` that is a number from `least` to `most`, if it is there.
pub(in super::super) fn number_at(
    field: &str,
    value: &Value,
    least: f64,
    most: f64,
) -> Result<Option<f64>, WireError> {
    let number = match value {
        Value::Null => return Ok(None),
        value => value.as_f64().ok_or_else(|| wrong_type(field, "a decimal", value))?,
    };
    let (code, side, sign, bound) = match number {
        low if low < least => ("decimal_below_min_value", "below minimum", ">=", least),
        high if high > most => ("decimal_above_max_value", "above maximum", "<=", most),
        within => return Ok(Some(within)),
    };
    let message = format!(
        "Invalid '{field}': decimal {side} value. Expected a value {sign} {bound}, but got {number} instead."
    );
    Err(invalid(Some(code), message).about(field))
}

/// A value at `field` that is one of a few words, if it is there.
pub(in super::super) fn word(field: &str, value: &Value, words: &[&str]) -> Result<(), WireError> {
    match value {
        Value::Null => Ok(()),
        Value::String(word) if words.contains(&word.as_str()) => Ok(()),
        other => Err(not_one_of(field, other, words)),
    }
}

/// The same where it has to be there.
pub(in super::super) fn known_word(field: &str, value: &Value, words: &[&str]) -> Result<(), WireError> {
    if value.is_null() { Err(not_one_of(field, value, words)) } else { word(field, value, words) }
}

/// A value that is none of the words that it may be; of one that is not there the API says `''`.
fn not_one_of(field: &str, value: &Value, words: &[&str]) -> WireError {
    let found = match value {
        Value::Null => String::new(),
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let message = format!("Invalid value: '{found}'. Supported values are: {}.", listed(words));
    invalid(Some("invalid_value"), message).about(field)
}

/// Words as the API lists them: `'a' and 'b'`, `'a', 'b', and 'c'`.
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [first, second] => format!("{first} and {second}"),
        [before @ .., last] if !before.is_empty() => format!("{}, and {last}", before.join(", ")),
        few => few.concat(),
    }
}

/// Refuses a list that is longer than `most`.
pub(in super::super) fn at_most(field: &str, list: &[Value], most: usize) -> Result<(), WireError> {
    no_longer(field, ("an", "array"), list.len(), most)
}

/// Refuses what has more characters or entries than `most`; what it is, with its article.
fn no_longer(field: &str, (article, kind): (&str, &str), found: usize, most: usize) -> Result<(), WireError> {
    if found <= most {
        return Ok(());
    }
    let message = format!(
        "Invalid '{field}': {kind} too long. Expected {article} {kind} with maximum length {most}, but got \
         {article} {kind} with length {found} instead."
    );
    Err(invalid(Some(&format!("{kind}_above_max_length")), message).about(field))
}

/// Whether a request is answered by a model that thinks: one that reasons, and is not told not to or does
/// not unless it is told to.
pub(in super::super) fn thinks(model: &str, effort: &Value) -> bool {
    let does = if effort.is_null() { thinks_untold(model) } else { effort != "none" };
    super::is_reasoning(model) && does
}

/// What a model may think of a request: told how much, as much as it likes, in tokens; and whether it
/// thinks untold.
pub(in super::super) fn thoughts(model: &str, effort: &Value) -> (Option<u32>, bool) {
    let told = effort.as_str().filter(|effort| !matches!(*effort, "none" | "minimal")).map(|_| u32::MAX);
    (told, effort.is_null() && thinks(model, effort))
}

/// How a request is sampled, and what is kept with it: what both APIs call the same. Models that think
/// take no temperature but their own, which each API has words of its `own` for.
///
/// # Errors
/// The first field that is not as the reference has it.
pub(in super::super) fn shared(
    body: &Value,
    (model, effort): (&str, &Value),
    own: fn(&str, f64) -> WireError,
) -> Result<Option<f64>, WireError> {
    let other_than_usual = |value: Option<f64>| value.filter(|value| (value - 1.0).abs() > f64::EPSILON);
    let temperature = number(body, "temperature", 0.0, 2.0)?;
    // As users of o3, o4-mini, gpt-5-mini, gpt-5.5 and gpt-5.6 have shown it.
    for (field, value) in [("temperature", temperature), ("top_p", number(body, "top_p", 0.0, 1.0)?)] {
        if let Some(other) = other_than_usual(value).filter(|_| thinks(model, effort)) {
            return Err(own(field, other));
        }
    }
    let is_streamed = flag(body, "stream")?;
    for name in ["store", "parallel_tool_calls"] {
        flag(body, name)?;
    }
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        text(body, name)?;
    }
    for name in ["safety_identifier", "prompt_cache_key"] {
        short(name, body[name].as_str().unwrap_or_default(), LONGEST_KEY)?;
    }
    whole(body, "top_logprobs", 0, MOST_LOGPROBS)?;
    metadata(&body["metadata"])?;
    if !body["stream_options"].is_null() && !is_streamed {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(invalid(None, message).about("stream_options"));
    }
    Ok(temperature)
}

/// What a client may keep with an answer.
///
/// # Errors
/// More or longer pairs than fit, or a value that is no text.
pub fn metadata(metadata: &Value) -> Result<(), WireError> {
    let pairs = match metadata {
        Value::Null => return Ok(()),
        other => other.as_object().ok_or_else(|| wrong_type("metadata", "a metadata object", other))?,
    };
    if pairs.len() > MOST_PAIRS {
        let found = pairs.len();
        let message = format!(
            "Invalid 'metadata': too many properties. Expected an object with at most {MOST_PAIRS} properties, \
             but got an object with {found} properties instead."
        );
        return Err(invalid(Some("object_above_max_properties"), message).about("metadata"));
    }
    for (key, value) in pairs {
        let field = format!("metadata.{key}");
        let found = key.chars().count();
        if found > LONGEST_KEY {
            let (head, tail) = (ends(key, false), ends(key, true));
            let message = format!(
                "Invalid property name in 'metadata': '{head}...{tail}' is too long. Expected a string with \
                 maximum length {LONGEST_KEY}, but got a string with length {found} instead."
            );
            return Err(invalid(Some("property_name_above_max_length"), message).about(field));
        }
        let value = value.as_str().ok_or_else(|| wrong_type(&field, "a string", value))?;
        short(&field, value, LONGEST_VALUE)?;
    }
    Ok(())
}

/// The three characters that a text begins or ends with.
fn ends(text: &str, at_its_end: bool) -> String {
    let all = text.chars();
    if at_its_end {
        all.skip(text.chars().count().saturating_sub(3)).collect()
    } else {
        all.take(3).collect()
    }
}
