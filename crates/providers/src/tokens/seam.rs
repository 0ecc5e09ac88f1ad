//! What of a piece of text can be counted although more text will stand before or after it.
//!
//! A byte-level BPE tokenizer first cuts a text into pieces by an expression and then encodes each
//! piece for itself. So where no piece can reach across a place, whatever the text around it, the
//! tokens on both sides add up exactly: such a place is a seam. From the expressions of `cl100k_base`
//! and `o200k_base` (`tiktoken_ext/openai_public.py` of OpenAI's tiktoken 0.14.0) these are seams:
//!
//! - before a space that follows anything but white space: a space only begins a piece, or stands among
//!   white space;
//! - after a line feed that is followed by neither white space nor a slash: a piece with a line feed goes
//!   on with white space, or, after punctuation, with slashes;
//! - between a letter or digit and punctuation other than an apostrophe: a piece that has letters ends
//!   with them or with a contraction, one that has digits with digits.
//!
//! Neither expression looks back, and both look ahead only from white space, which never ends at a
//! seam but with a line feed, where nothing is looked for. What lies between a result and the nearest
//! seam is bounded by its bytes, as the result is: a token is at least one byte.

use std::ops::Range;

/// Whether other text will stand on each side of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joints {
    /// Before it.
    pub before: bool,
    /// After it.
    pub after: bool,
}

/// What is known of the tokens of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The part whose tokens are its own, whatever stands around the piece.
    pub own: Range<usize>,
    /// UTF-8 bytes of the rest, which bound its tokens.
    pub bytes: u64,
}

/// The part of a piece of text that can be counted by itself. A piece that stands alone all can; one
/// that has no seam, none of it.
pub fn known(text: &str, joints: Joints) -> Known {
    let start = if joints.before { seams(text).next() } else { Some(0) };
    let end = if joints.after { seams(text).next_back() } else { Some(text.len()) };
    match (start, end) {
        (Some(start), Some(end)) if start <= end => {
            Known { own: start..end, bytes: (text.len() - (end - start)) as u64 }
        }
        _ => Known { own: 0..0, bytes: text.len() as u64 },
    }
}

/// The places of all seams, between two characters each.
pub(super) fn seams(text: &str) -> impl DoubleEndedIterator<Item = usize> {
    text.char_indices().filter_map(|(at, after)| {
        let before = text[..at].chars().next_back()?;
        is_seam(before, after).then_some(at)
    })
}

fn is_seam(before: char, after: char) -> bool {
    match (before, after) {
        (before, ' ') => !before.is_whitespace(),
        ('\n', after) => !after.is_whitespace() && after != '/',
        (before, after) => is_plain(before) && is_punctuation(after),
    }
}

/// Letters and digits of which nothing is in doubt: ASCII, kana, and the common ideographs.
fn is_plain(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | 'ぁ'..='ゖ' | 'ァ'..='ヺ' | '一'..='鿿')
}

/// Punctuation of which nothing is in doubt: ASCII without the apostrophe, and the usual marks of
/// Chinese and Japanese.
fn is_punctuation(c: char) -> bool {
    (c.is_ascii_punctuation() && c != '\'')
        || matches!(c, '、' | '。' | '「' | '」' | '，' | '：' | '；' | '！' | '？')
}
