//! Calls that fail alike, one after the other: the same wrong model or path for all of them.
//!
//! A failure that its task cannot help fails every task the same way. After [`MOST`] in a row, of
//! different tasks and with no success between, the model is stopped as a money stop stops an account:
//! what is left stays pending, and the cause is named.
//!
//! Ids are masked, because providers put one of the request into what they say. Other numbers are
//! not: "213462 tokens > 200000 maximum" is about this one prompt, and the longest prompts go first.
//! For the same reason HTTP 413 (content too large) does not count.

use super::breaker::Streak;
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::plan::TaskId;
use crate::time::Time;

/// How many calls may fail alike before nothing more is sent.
pub(super) const MOST: u32 = 20;

/// The last failures of a model that were alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Alike {
    /// What they said.
    said: Option<Hash>,
    streak: Streak,
}

impl Alike {
    /// Takes a failure in that may be one of many.
    pub(super) fn add(&mut self, failure: &Failure, task: TaskId, at: Time) {
        let said = Some(fingerprint(failure));
        if self.said != said {
            *self = Alike { said, streak: Streak::default() };
        }
        self.streak.add(task, at);
    }

    pub(super) fn is_too_many(&self) -> bool {
        self.streak.calls >= MOST && self.streak.is_of_several()
    }
}

/// Whether other tasks may fail by this as well, and no waiting would help any of them.
pub(super) fn may_be_all_s(failure: &Failure) -> bool {
    const TOO_LARGE: Option<u16> = Some(413);
    matches!(failure.class, Class::Invalid | Class::Redirected | Class::Malformed)
        && failure.http_status != TOO_LARGE
}

fn fingerprint(failure: &Failure) -> Hash {
    let said = format!("{} {:?} {}", failure.class, failure.http_status, masked(&failure.message));
    Hash::of(said.as_bytes())
}

/// The message without ids and times.
fn masked(message: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let end = if is_of_word(first) { rest.find(|c| !is_of_word(c)) } else { Some(first.len_utf8()) };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        masked.push_str(if is_id(word) { "#" } else { word });
        rest = after;
    }
    masked
}

/// Whether a word is one that nobody chose: letters and digits mixed, or more digits than a count
/// of tokens has.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && word.len() >= if digits == word.len() { 10 } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_masked_and_counts_are_kept() {
        for (said, expected) in [
            ("model: gpt-nope (req_011CSHoEeqs5C35K2UUqR7Fy)", "model: gpt-nope (#)"),
            ("at 1764126000, id 7c9e6679-7425-40de-944b-e07fc1f90ae7.", "at #, id #."),
            (
                "prompt is too long: 213462 tokens > 200000 maximum",
                "prompt is too long: 213462 tokens > 200000 maximum",
            ),
            ("größe → 7", "größe → 7"),
        ] {
            assert_eq!(masked(said), expected);
        }
    }

    #[test]
    fn another_class_status_or_message_begins_anew() {
        let failure = |message: &str| Failure::new(Class::Invalid, message).with_status(404);
        let mut alike = Alike::default();
        let mut add = |failure: &Failure, task| {
            alike.add(failure, TaskId(task), Time::ZERO);
            alike.streak.calls
        };
        assert_eq!(add(&failure("no such model, req_011CSHoEeqs5"), 1), 1);
        assert_eq!(add(&failure("no such model, req_022DTIpFfrt6"), 2), 2);
        assert_eq!(add(&failure("no such path, req_011CSHoEeqs5"), 3), 1);
        assert_eq!(add(&failure("no such path").with_status(400), 4), 1);
        assert_eq!(add(&Failure::new(Class::Redirected, "no such path").with_status(400), 5), 1);
    }
}
