//! Makes text from outside harmless to show: model answers, servers' error messages, ids.
//!
//! A terminal obeys control characters (colour, title, clipboard, cursor), a reader is misled by
//! characters that reorder or hide text, and a log is forged by a line break. What a terminal or
//! the eye would obey is shown as a visible escape; what nobody can see is removed. Nothing here
//! judges content, and printable text comes out as it went in.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Keep,
    /// As `\n`, `\t`, `\r`, else `\u{1b}`.
    Escape,
    Remove,
}

/// Text of several lines: line breaks and tabs stay.
pub fn sanitize(text: &str) -> Cow<'_, str> {
    clean(text, |c| if matches!(c, '\n' | '\t') { Fate::Keep } else { fate(c) })
}

/// Text that has to stay on its line: line breaks and tabs become `\n` and `\t`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    clean(text, fate)
}

/// The beginning of a text, at most so many characters of it.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// What a terminal or a reader's eye would obey.
const OBEYED: [RangeInclusive<char>; 8] = [
    // C0, DEL and C1; U+0085 breaks lines besides.
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    // Line and paragraph separator: line breaks to some viewers.
    '\u{2028}'..='\u{2029}',
    // Bidirectional marks, embeddings, overrides, isolates: they reorder what is seen.
    '\u{61c}'..='\u{61c}',
    '\u{200e}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2066}'..='\u{2069}',
    // Deprecated format characters.
    '\u{206a}'..='\u{206f}',
];

/// What nobody sees.
const UNSEEN: [RangeInclusive<char>; 7] = [
    // Soft hyphen, Mongolian vowel separator.
    '\u{ad}'..='\u{ad}',
    '\u{180e}'..='\u{180e}',
    // Zero-width space and joiners, word joiner and invisible operators, byte order mark.
    '\u{200b}'..='\u{200d}',
    '\u{2060}'..='\u{2065}',
    '\u{feff}'..='\u{feff}',
    // Interlinear annotations.
    '\u{fff9}'..='\u{fffb}',
    // Tags and the variation selectors' supplement: whole messages hide in them.
    '\u{e0000}'..='\u{e0fff}',
];

fn fate(c: char) -> Fate {
    let within = |ranges: &[RangeInclusive<char>]| ranges.iter().any(|range| range.contains(&c));
    match c {
        ' '..='~' => Fate::Keep,
        _ if within(&OBEYED) => Fate::Escape,
        _ if within(&UNSEEN) => Fate::Remove,
        _ => Fate::Keep,
    }
}

fn clean(text: &str, fate: impl Fn(char) -> Fate) -> Cow<'_, str> {
    if text.chars().all(|c| fate(c) == Fate::Keep) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match fate(c) {
            Fate::Keep => clean.push(c),
            // The other half of a Windows line break says nothing.
            Fate::Escape if c == '\r' && chars.peek() == Some(&'\n') => {}
            Fate::Escape => escape(c, &mut clean),
            Fate::Remove => {}
        }
    }
    Cow::Owned(clean)
}

fn escape(c: char, to: &mut String) {
    match c {
        '\n' => to.push_str("\\n"),
        '\t' => to.push_str("\\t"),
        '\r' => to.push_str("\\r"),
        _ => write!(to, "\\u{{{:x}}}", c as u32).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_what_nobody_sees_is_gone() {
        for (text, several, one) in [
            ("plain, 中文, naïve, 🦀", "plain, 中文, naïve, 🦀", "plain, 中文, naïve, 🦀"),
            ("a\tb\nc", "a\tb\nc", "a\\tb\\nc"),
            ("a\r\nb", "a\nb", "a\\nb"),
            ("safe\rforged", "safe\\rforged", "safe\\rforged"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\x1b]52;c;aGk=\x07", "\\u{1b}]52;c;aGk=\\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}", "\\u{9b}31m\\u{85}"),
            ("ab\u{8}\u{7f}", "ab\\u{8}\\u{7f}", "ab\\u{8}\\u{7f}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("pass\u{200b}word\u{feff}", "password", "password"),
            ("hi\u{e0049}\u{e0067}", "hi", "hi"),
            ("a\u{2028}b", "a\\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(sanitize(text), several, "{text:?}");
            assert_eq!(one_line(text), one, "{text:?}");
        }
    }

    #[test]
    fn printable_text_is_not_copied() {
        assert!(matches!(sanitize("a | b\n中文 🦀"), Cow::Borrowed(_)));
        assert!(matches!(one_line("a | b 中文 🦀"), Cow::Borrowed(_)));
    }

    /// Written by ranges of its own, so that a slip in `fate` does not hide itself.
    fn is_harmless(c: char) -> bool {
        let c = c as u32;
        let control = c < 0x20 || (0x7f..0xa0).contains(&c);
        let bidi =
            (0x202a..=0x202e).contains(&c) || (0x2066..=0x2069).contains(&c) || c == 0x200e || c == 0x200f;
        let unseen = (0x200b..=0x200d).contains(&c) || c == 0xfeff || (0xe0000..=0xe007f).contains(&c);
        !(control || bidi || unseen)
    }

    #[test]
    fn of_100_000_random_strings_nothing_harmful_comes_through_and_nothing_harmless_is_lost() {
        const HARMFUL: [&str; 12] = [
            "\x1b[2J",
            "\x1b]8;;http://x\x07",
            "\x1bP",
            "\r",
            "\u{9b}",
            "\x08",
            "\u{202e}",
            "\u{2067}",
            "\u{200b}",
            "\u{e0041}",
            "\x1b_",
            "\0",
        ];
        for seed in 0..100_000 {
            let mut random = Random::seeded(seed);
            let (mut text, mut printable) = (String::new(), String::new());
            for _ in 0..random.below(12) {
                match random.below(4) {
                    0 => text.push_str(HARMFUL[random.below(HARMFUL.len())]),
                    1 => text.push(['\n', '\t', 'a', '中', '🦀'][random.below(5)]),
                    2 => text.extend(char::from_u32(random.below(0x300) as u32)),
                    _ => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
                }
            }
            printable.extend(text.chars().filter(|&c| fate(c) == Fate::Keep));
            for (clean, extra) in [(sanitize(&text), "\n\t"), (one_line(&text), "")] {
                let harmful = clean.chars().find(|&c| !is_harmless(c) && !extra.contains(c));
                assert_eq!(harmful, None, "seed {seed}: {text:?} -> {clean:?}");
                // Cleaning what is clean changes nothing.
                assert_eq!(sanitize(&clean), clean, "seed {seed}");
            }
            assert_eq!(one_line(&printable), printable, "seed {seed}");
            let kept: String = text.chars().filter(|&c| is_harmless(c) && fate(c) == Fate::Keep).collect();
            assert_eq!(kept, printable, "seed {seed}");
        }
    }
}
