//! Text from outside, so that Markdown shows it and does nothing with it.

use crate::terminal::one_line;

/// The text as it may stand anywhere in a line or a table's cell (`CommonMark`, with the tables of
/// GitHub's dialect): nothing in it is a link, an image, HTML, emphasis, code or a cell's end.
pub(crate) fn escape(text: &str) -> String {
    let line = one_line(text);
    let mut escaped = String::with_capacity(line.len());
    let mut before = ' ';
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            // A quotation, at the start of a line; harmless elsewhere, and amounts are compared by it.
            '>' if escaped.is_empty() => escaped.push_str("&gt;"),
            // Between letters it is no emphasis: `impl_a` stays as it is written.
            '_' if before.is_alphanumeric() && chars.peek().is_some_and(|c| c.is_alphanumeric()) => {
                escaped.push(c);
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '|' | '~' | '#' => escaped.extend(['\\', c]),
            // `https://…` and `www.…` become links without any markup in GitHub's dialect.
            ':' if chars.peek() == Some(&'/') => escaped.push_str("&#58;"),
            '.' if before.eq_ignore_ascii_case(&'w') => escaped.push_str("&#46;"),
            '@' => escaped.push_str("&#64;"),
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_shown_and_does_nothing() {
        for (text, expected) in [
            ("impl_a", "impl_a"),
            ("_x_", r"\_x\_"),
            ("a | b", r"a \| b"),
            ("a\\| b", r"a\\\| b"),
            ("a\nb\r\n# c", r"a\\nb\\n\# c"),
            ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
            ("![x](http://evil/?q)", r"\!\[x\](http&#58;//evil/?q)"),
            ("`code` **bold** ~~no~~", r"\`code\` \*\*bold\*\* \~\~no\~\~"),
            ("&lt;", "&amp;lt;"),
            ("www.evil.com @all", "www&#46;evil.com &#64;all"),
            ("\x1b[31m", r"\\u{1b}\[31m"),
            ("> quote", "&gt; quote"),
            ("Budget exceeded: $10.05 > $10.00", "Budget exceeded: $10.05 > $10.00"),
            ("中文", "中文"),
        ] {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }
}
