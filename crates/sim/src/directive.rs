//! Steering by prompt: `[[sim latency=1.5 output_tokens=300 fail=529,529]]`.
//!
//! A directive is part of the prompt as the client sends it; the answer never repeats one, so that
//! tasks whose prompts quote an answer are not steered by it.

use crate::fault::{Fault, UnknownFault};
use crate::scenario::{MAX_OUTPUT_TOKENS, MAX_SECONDS};

/// What a directive begins with.
pub const OPENING: &str = "[[sim";
const CLOSING: &str = "]]";

/// What a prompt asks of the simulator. Where a key is given twice the last one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steering {
    /// Seconds from arrival to the last byte, the network included.
    pub latency: Option<f64>,
    /// Seconds from arrival to the first token, the network included.
    pub ttft: Option<f64>,
    /// Tokens of the answer, before the request's own limit.
    pub output_tokens: Option<u64>,
    /// Web searches that the provider makes for the answer and bills (Anthropic's API only).
    pub web_searches: u64,
    /// The answer, literally.
    pub text: Option<String>,
    /// What happens to the request's tries, in order; those after the last are answered.
    pub fail: Vec<Fault>,
    /// The value of `retry-after` on the error replies of `fail`: seconds, or anything else that a
    /// client has to cope with.
    pub retry_after: Option<String>,
    /// The value of `retry-after-ms` on the same replies: official SDKs look there first.
    pub retry_after_ms: Option<String>,
    /// The value of `x-should-retry` on the same replies, as it is written.
    pub should_retry: Option<String>,
    /// Keys that mean nothing.
    pub unknown: u64,
    /// The prompt without its directives.
    pub prompt: String,
}

/// Why a directive cannot be followed; the request is answered 400 with this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectiveError {
    /// There is no end to it.
    #[error("a [[sim …]] directive has no closing ]]")]
    Open,
    /// A quoted value has no end.
    #[error("a quoted value in a [[sim …]] directive has no closing quote")]
    Quote,
    /// A value is out of its range or no number.
    #[error("[[sim {key}={value}]] has to be {wanted}")]
    Value {
        /// Which key.
        key: String,
        /// What it was given.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// An entry of `fail`.
    #[error(transparent)]
    Fault(#[from] UnknownFault),
}

impl Steering {
    /// Reads all directives of a prompt.
    pub fn read(prompt: &str) -> Result<Self, DirectiveError> {
        let mut steering = Steering::default();
        let mut rest = prompt;
        while let Some((before, directive)) = next_directive(rest) {
            steering.prompt.push_str(before);
            rest = steering.follow(directive)?;
        }
        steering.prompt.push_str(rest);
        Ok(steering)
    }

    /// Reads one directive after its opening; gives what follows its closing.
    fn follow<'a>(&mut self, mut rest: &'a str) -> Result<&'a str, DirectiveError> {
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix(CLOSING) {
                return Ok(after);
            }
            let end = rest.find(|c: char| c == '=' || c.is_whitespace());
            let end = end.into_iter().chain(rest.find(CLOSING)).min().ok_or(DirectiveError::Open)?;
            let (key, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=') else {
                self.unknown += 1;
                rest = after;
                continue;
            };
            let (value, after) = value(after)?;
            self.set(key, value)?;
            rest = after;
        }
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), DirectiveError> {
        match key {
            "latency" => self.latency = Some(seconds(key, value)?),
            "ttft" => self.ttft = Some(seconds(key, value)?),
            "output_tokens" => self.output_tokens = Some(tokens(key, value)?),
            "web_searches" => self.web_searches = tokens(key, value)?,
            "text" => self.text = Some(value),
            "fail" => self.fail = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "retry_after" => self.retry_after = Some(value),
            "retry_after_ms" => self.retry_after_ms = Some(value),
            "should_retry" => self.should_retry = Some(value),
            _ => self.unknown += 1,
        }
        Ok(())
    }
}

/// What stands before the next directive, and what follows its opening word.
fn next_directive(text: &str) -> Option<(&str, &str)> {
    let opens = |(at, _): &(usize, &str)| {
        let after = &text[at + OPENING.len()..];
        after.starts_with(CLOSING) || after.starts_with(char::is_whitespace)
    };
    let (at, _) = text.match_indices(OPENING).find(opens)?;
    Some((&text[..at], &text[at + OPENING.len()..]))
}

/// A value, quoted or up to the next space, and what follows it. Between quotes `\n` is a new line
/// and a backslash before anything else gives that.
fn value(text: &str) -> Result<(String, &str), DirectiveError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).into_iter().chain(text.find(CLOSING)).min();
        let (value, rest) = text.split_at(end.ok_or(DirectiveError::Open)?);
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err(DirectiveError::Quote)
}

fn seconds(key: &str, value: String) -> Result<f64, DirectiveError> {
    match value.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(DirectiveError::Value { key: key.to_owned(), value, wanted: "seconds from 0 to 86400" }),
    }
}

fn tokens(key: &str, value: String) -> Result<u64, DirectiveError> {
    match value.parse::<u64>() {
        Ok(tokens @ 1..=MAX_OUTPUT_TOKENS) => Ok(tokens),
        _ => Err(DirectiveError::Value { key: key.to_owned(), value, wanted: "a number from 1 to 1000000" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steering(prompt: &str) -> Steering {
        Steering { prompt: prompt.to_owned(), ..Steering::default() }
    }

    #[test]
    fn directives_are_read_and_taken_out_of_the_prompt() {
        let check =
            |prompt: &str, expected: Steering| assert_eq!(Steering::read(prompt), Ok(expected), "{prompt}");
        check("plain [[similar]] text [[sim", steering("plain [[similar]] text [[sim"));
        check("", steering(""));
        check("a [[sim]] b", steering("a  b"));
        check(
            "[[sim latency=1.5 ttft=0.4]]x",
            Steering { latency: Some(1.5), ttft: Some(0.4), ..steering("x") },
        );
        check(
            "[[sim\n output_tokens=300\tretry_after=7 retry_after_ms=70 should_retry=true]]",
            Steering {
                output_tokens: Some(300),
                retry_after: Some("7".to_owned()),
                retry_after_ms: Some("70".to_owned()),
                should_retry: Some("true".to_owned()),
                ..steering("")
            },
        );
        check(
            "[[sim fail=529,429:quota,ok,stall-first]]",
            Steering {
                fail: vec![
                    Fault::Status(529),
                    Fault::Coded(429, "quota".to_owned()),
                    Fault::None,
                    Fault::StallFirst,
                ],
                ..steering("")
            },
        );
        check(
            r#"[[sim text="say \"]]\" \\\nü" ttft=1]]."#,
            Steering { text: Some("say \"]]\" \\\nü".to_owned()), ttft: Some(1.0), ..steering(".") },
        );
        check(
            "[[sim text=one]] and [[sim text=two]]",
            Steering { text: Some("two".to_owned()), ..steering(" and ") },
        );
        check(
            "[[sim latecy=2 quick text=é]]",
            Steering { unknown: 2, text: Some("é".to_owned()), ..steering("") },
        );
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        let check = |prompt: &str, part: &str| {
            let error = Steering::read(prompt).unwrap_err().to_string();
            assert!(error.contains(part), "{prompt}: {error}");
        };
        check("[[sim latency=1", "no closing ]]");
        check("[[sim latency=1 ]", "no closing ]]");
        check("[[sim text=\"a]]", "no closing quote");
        check("[[sim text=\"a\\", "no closing quote");
        check("[[sim latency=soon]]", "[[sim latency=soon]]");
        check("[[sim ttft=NaN]]", "[[sim ttft=NaN]]");
        check("[[sim latency=-1]]", "from 0 to 86400");
        check("[[sim output_tokens=1000001]]", "from 1 to 1000000");
        check("[[sim fail=529,explode]]", "`explode`");
        check("[[sim fail=]]", "``");
    }
}
