//! Which models an account counts together.

/// The class of models that share a quota: of Anthropic's, a family's generation (`opus 4`,
/// `haiku 3`; its documentation counts all Opus 4.x as one and Sonnet 5 apart from Sonnet 4.x); of
/// others, the model without the date of its snapshot (`gpt-4o` for `gpt-4o-2024-08-06`).
pub fn class(model: &str) -> String {
    const FAMILIES: [&str; 4] = ["opus", "sonnet", "haiku", "fable"];
    let numbers = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<&str> = model.split(['-', '@']).collect();
    if let Some(family) = FAMILIES.into_iter().find(|family| parts.contains(family)) {
        let generation = parts.iter().find(|part| part.len() < 3 && numbers(part));
        return generation.map_or_else(|| family.to_owned(), |number| format!("{family} {number}"));
    }
    match parts.as_slice() {
        [name @ .., year, month, day]
            if !name.is_empty()
                && [year, month, day].into_iter().all(numbers)
                && (year.len(), month.len(), day.len()) == (4, 2, 2) =>
        {
            name.join("-")
        }
        _ => model.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_a_class_share_a_name() {
        for (model, expected) in [
            ("claude-opus-4-1-20250805", "opus 4"),
            ("claude-opus-4-8", "opus 4"),
            ("claude-sonnet-5", "sonnet 5"),
            ("claude-3-5-haiku-20241022", "haiku 3"),
            ("claude-haiku-latest", "haiku"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o-mini", "gpt-4o-mini"),
            ("2024-08-06", "2024-08-06"),
            ("", ""),
        ] {
            assert_eq!(class(model), expected, "{model}");
        }
    }
}
