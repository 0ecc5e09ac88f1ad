//! Whether an answer is what its task says it has to be.

use jsonschema::Validator;
use serde_json::Value;
use sortie_core::call::{Returned, Text};
use sortie_core::failure::{Class, Failure};
use sortie_core::plan::OutputSchema;
use sortie_core::run::event::Finish;
use sortie_report::terminal::cut;

/// How many things that are wrong are told: the model is to mend them, and pays for each word.
const MOST_TOLD: usize = 3;
/// How many characters of each: they quote the answer.
const MOST_CHARS: usize = 200;

/// The schema as it is applied. It is of nobody but itself: what it refers to elsewhere is not fetched.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn validator(output: &OutputSchema) -> Result<Validator, String> {
    jsonschema::validator_for(output.schema()).map_err(|error| error.to_string())
}

/// The same, but no answer where that is not what it has to be. It was paid for all the same.
pub(crate) fn checked(mut returned: Returned, output: Option<&OutputSchema>) -> Returned {
    if let (Some(output), Ok(text)) = (output, &returned.result)
        && let Err(mut failure) = check(text, output)
    {
        failure.model = Some(text.model.clone());
        returned.result = Err(failure);
    }
    returned
}

fn check(text: &Text, output: &OutputSchema) -> Result<(), Failure> {
    let wrong = |what: String| Failure::new(Class::InvalidOutput, what);
    if text.finish == Finish::MaxTokens {
        let mut failure = wrong("max_tokens ended it before it was whole".to_owned());
        // It would be as long again.
        failure.hopeless = true;
        return Err(failure);
    }
    let value: Value =
        serde_json::from_str(&text.text).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
    let validator = validator(output).map_err(wrong)?;
    let told: Vec<String> =
        validator.iter_errors(&value).take(MOST_TOLD).map(|error| words(&error)).collect();
    if told.is_empty() { Ok(()) } else { Err(wrong(told.join("; "))) }
}

fn words(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let text = if place.is_empty() { error.to_string() } else { format!("{place}: {error}") };
    cut(&text, MOST_CHARS).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_is_held_against_its_schema_and_told_what_is_wrong() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]});
        let output = OutputSchema::closed(schema);
        let check = |text: &str, finish: Finish, expected: &str| {
            let text = Text { text: text.to_owned(), finish, model: "m".to_owned() };
            let failure = check(&text, &output).err();
            let said = failure.as_ref().map_or("", |failure| &failure.message);
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{text:?}: {said}");
            failure.is_some_and(|failure| failure.hopeless)
        };
        check(r#" {"n": 1}"#, Finish::Stop, "");
        check(r#"{"n": 0}"#, Finish::Stop, "/n: 0 is less than the minimum of 1");
        check(r#"{"n": 1, "m": 2}"#, Finish::Stop, "'m'");
        check("{}", Finish::Stop, "\"n\" is a required property");
        check("Sure: {}", Finish::Stop, "it is no JSON: ");
        assert!(check(r#"{"n": "#, Finish::MaxTokens, "max_tokens ended it"));
        let long = format!(r#"{{"n": "{}"}}"#, "é".repeat(10_000));
        check(&long, Finish::Stop, "…");
    }
}
