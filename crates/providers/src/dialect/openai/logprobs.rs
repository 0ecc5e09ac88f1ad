//! The server's half: how likely the tokens of an answer were, and which others might have stood there.
//!
//! The shapes are those of the official SDKs' `types/chat/chat_completion_token_logprob.py` and
//! `types/responses/response_output_text.py`. The numbers are made up of the answer's id and of what a
//! token says. A token is some four bytes of the text, as the simulator counts them.

use serde_json::{Value, json};
use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

use super::super::WireError;
use super::checks::{thinks, unsupported};
use super::{invalid, is_reasoning};

/// Bytes of a token.
const TOKEN: usize = 4;

/// The most `top_logprobs` of models that reason, when they are told not to (as users of gpt-5.4 and
/// gpt-5.6 have shown it).
const MOST_OF_REASONING: u64 = 5;

/// What a request of the Responses API includes to be told them.
const INCLUDED: &str = "message.output_text.logprobs";

/// What might have stood in a token's place: as many as may be asked for.
const OTHERS: [&str; 20] = [
    " the", " a", " of", " and", " to", " in", " is", " it", " for", " as", " on", " with", " by", " be",
    " at", " or", " an", " this", " from", ",",
];

/// The logprobs of one answer.
pub(in super::super) struct Logprobs {
    of: Hash,
    /// How many that might have stood in its place each token has, itself included.
    top: usize,
}

impl Logprobs {
    /// As a request of Chat Completions asks for them, if it does.
    pub(in super::super) fn of_chat(asked: &Value, id: &str) -> Option<Self> {
        (asked["logprobs"] == true).then(|| Logprobs::of(asked, id))
    }

    /// As a request of the Responses API asks for them, if it does.
    pub(in super::super) fn of_response(asked: &Value, id: &str) -> Option<Self> {
        let mut included = asked["include"].as_array().into_iter().flatten();
        included.any(|included| included == INCLUDED).then(|| Logprobs::of(asked, id))
    }

    fn of(asked: &Value, id: &str) -> Self {
        let top = asked["top_logprobs"].as_u64().unwrap_or(0);
        let top = usize::try_from(top).unwrap_or(OTHERS.len()).min(OTHERS.len());
        Logprobs { of: Hash::of(id.as_bytes()), top }
    }

    /// The tokens of a text, whole characters each.
    pub(in super::super) fn tokens(&self, text: &str) -> Vec<Value> {
        let mut rest = text;
        let mut tokens = Vec::with_capacity(text.len().div_ceil(TOKEN));
        while !rest.is_empty() {
            let (token, after) = rest.split_at(rest.ceil_char_boundary(TOKEN));
            tokens.push(self.token(token, rest.len()));
            rest = after;
        }
        tokens
    }

    /// A token at this place. It is likelier than all others together; each of those is half as likely
    /// as the one before it.
    fn token(&self, token: &str, place: usize) -> Value {
        let share = 0.5 + Chance::new(0, &self.of, &format!("{place} {token}")).share() / 2.0;
        let told = |token: &str, share: f64| json!({"token": token, "logprob": share.ln(), "bytes": token.as_bytes()});
        let mut other = 1.0 - share;
        let others = OTHERS.iter().filter(|other| **other != token).map(|word| {
            other /= 2.0;
            told(word, other)
        });
        let top: Vec<Value> = std::iter::once(told(token, share)).chain(others).take(self.top).collect();
        let mut told = told(token, share);
        told["top_logprobs"] = json!(top);
        told
    }
}

/// Refuses what Chat Completions does not tell of this model. The first that reasoned never tell it
/// (users of o4-mini, gpt-5 and gpt-5-mini have shown the reply); later ones do when they do not think.
pub(in super::super) fn check_chat(body: &Value, model: &str) -> Result<(), WireError> {
    if body["logprobs"] != true || !is_reasoning(model) {
        return Ok(());
    }
    if model.starts_with('o') || model == "gpt-5" || model.starts_with("gpt-5-") {
        let message = "You are not allowed to request logprobs from this model";
        return Err(WireError { status: 403, ..invalid(None, message) });
    }
    if thinks(model, &body["reasoning_effort"]) {
        return Err(unsupported("logprobs", ""));
    }
    if body["top_logprobs"].as_u64() > Some(MOST_OF_REASONING) {
        let message =
            format!("Invalid value for 'top_logprobs': must be less than or equal to {MOST_OF_REASONING}.");
        return Err(invalid(None, message).about("top_logprobs"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_text_and_their_shares_are_no_more_than_all() {
        for (top, text) in
            [(0, "Plain words, and more."), (5, "ünïcödé"), (20, " the same, the same"), (3, "")]
        {
            let asked = json!({"logprobs": true, "top_logprobs": top});
            let tokens = Logprobs::of_chat(&asked, "id").unwrap().tokens(text);
            let said: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
            assert_eq!(said, text);
            for token in &tokens {
                assert_eq!(token["bytes"], json!(token["token"].as_str().unwrap().as_bytes()));
                let others = token["top_logprobs"].as_array().unwrap();
                assert_eq!(others.len(), top);
                assert!(others.iter().all(|other| other["logprob"].as_f64().unwrap() <= 0.0));
                let shares = others.iter().map(|other| other["logprob"].as_f64().unwrap().exp());
                assert!(shares.sum::<f64>() <= 1.0, "{token}");
                if let Some(first) = others.first() {
                    assert_eq!([&first["token"], &first["logprob"]], [&token["token"], &token["logprob"]]);
                }
                let mut words: Vec<&str> =
                    others.iter().map(|other| other["token"].as_str().unwrap()).collect();
                words.sort_unstable();
                words.dedup();
                assert_eq!(words.len(), top, "each is there once");
            }
        }
    }

    #[test]
    fn they_are_told_where_they_are_asked_for() {
        let include = json!({"include": ["reasoning.encrypted_content", INCLUDED]});
        assert!(Logprobs::of_response(&include, "id").is_some());
        assert!(Logprobs::of_response(&json!({"include": [], "top_logprobs": 3}), "id").is_none());
        assert!(Logprobs::of_response(&json!({"logprobs": true}), "id").is_none());
        assert!(Logprobs::of_chat(&json!({"logprobs": false}), "id").is_none());
        assert!(Logprobs::of_chat(&include, "id").is_none());
    }
}
