//! Text from outside inside XML 1.0: every character that it holds is one that XML may hold, and none of them is
//! markup. What XML cannot hold even escaped (control characters, U+FFFE and U+FFFF) is shown as `\u{1b}`, as in a
//! terminal.

use std::fmt::Write;

use crate::terminal::{one_line, sanitize};

/// Text between tags: line breaks and tabs stay.
pub(super) fn text(text: &str) -> String {
    escape(&sanitize(text))
}

/// Text between double quotes, which stays on its line: a parser would make a space of a line break.
pub(super) fn attribute(text: &str) -> String {
    escape(&one_line(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // `]]>` may not stand in text.
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if is_allowed(c) => escaped.push(c),
            c => write!(escaped, "\\u{{{:x}}}", c as u32).unwrap_or_default(),
        }
    }
    escaped
}

/// `Char` of XML 1.0, section 2.2.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn nothing_in_a_text_is_markup() {
        for (from, as_text, as_attribute) in [
            ("a & b < c > d", "a &amp; b &lt; c &gt; d", "a &amp; b &lt; c &gt; d"),
            ("]]>", "]]&gt;", "]]&gt;"),
            ("\"it's\"", "&quot;it&apos;s&quot;", "&quot;it&apos;s&quot;"),
            ("a\n\tb", "a\n\tb", "a\\n\\tb"),
            ("\x1b[31m\0", "\\u{1b}[31m\\u{0}", "\\u{1b}[31m\\u{0}"),
            ("\u{fffe}\u{ffff}", "\\u{fffe}\\u{ffff}", "\\u{fffe}\\u{ffff}"),
            ("中文 🦀", "中文 🦀", "中文 🦀"),
        ] {
            assert_eq!((text(from), attribute(from)), (as_text.to_owned(), as_attribute.to_owned()));
        }
    }

    #[test]
    fn of_10_000_random_strings_none_leaves_its_place() {
        for seed in 0..10_000 {
            let mut random = Random::seeded(seed);
            let mut from = String::new();
            for _ in 0..random.below(12) {
                let below = [0x80, 0x11_0000][random.below(2)];
                from.extend(char::from_u32(random.below(below) as u32));
            }
            for escaped in [text(&from), attribute(&from)] {
                let bare = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"]
                    .iter()
                    .fold(escaped.clone(), |text, entity| text.replace(entity, ""));
                assert!(!bare.contains(['&', '<', '>', '"', '\'']), "seed {seed}: {from:?} -> {escaped:?}");
                assert!(escaped.chars().all(is_allowed), "seed {seed}: {from:?} -> {escaped:?}");
            }
        }
    }
}
