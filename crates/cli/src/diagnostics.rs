//! Shows what is wrong with a document: each problem with its file, line and a caret.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use sortie::core::document::{Problem, Problems, Severity, Span};
use sortie::report::terminal::one_line;

/// Characters of a line that are shown before and behind what is meant: a line can be a megabyte.
const AROUND: usize = 60;

/// All problems, as they are shown on a terminal.
pub(crate) fn render(problems: &Problems, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut shown: Vec<String> = problems.iter().map(|problem| one(&renderer, problem, problems)).collect();
    if problems.more() > 0 {
        shown.push(format!("and {} more", problems.more()));
    }
    shown.join("\n\n")
}

fn one(renderer: &Renderer, problem: &Problem, problems: &Problems) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let name = problems.source_name();
    let message = one_line(&problem.message);
    let title = match (name, problem.at) {
        (Some(name), None) => format!("{}: {message}", one_line(name)),
        _ => message.into_owned(),
    };
    let path = name.map(|name| one_line(name).into_owned()).unwrap_or_default();
    let mut group = Group::with_title(level.primary_title(title));
    if let Some(span) = problem.at {
        let excerpt = Excerpt::of(problems.text(), span);
        let caret = AnnotationKind::Primary.span(excerpt.range.clone());
        group = group.element(
            Snippet::source(excerpt.text).line_start(excerpt.line).path(path.clone()).annotation(caret),
        );
    }
    if let Some((also, span)) = problem.also.as_deref().and_then(|also| Some((also, also.at?))) {
        let excerpt = Excerpt::of(problems.text(), span);
        let label = AnnotationKind::Context.span(excerpt.range.clone()).label(also.label.clone());
        group = group
            .element(Snippet::source(excerpt.text).line_start(excerpt.line).path(path).annotation(label));
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.with_name("hint").message(one_line(help).into_owned()));
    }
    renderer.render(&[group])
}

/// The line of a span, cut to what is near it.
struct Excerpt<'a> {
    text: &'a str,
    line: usize,
    range: Range<usize>,
}

impl<'a> Excerpt<'a> {
    fn of(text: &'a str, span: Span) -> Self {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end.clamp(start, line_end));
        let from = text[line_start..start]
            .char_indices()
            .rev()
            .nth(AROUND - 1)
            .map_or(line_start, |(at, _)| line_start + at);
        let to = text[end..line_end].char_indices().nth(AROUND).map_or(line_end, |(at, _)| end + at);
        Excerpt { text: &text[from..to], line: span.line, range: start - from..end - from }
    }
}

/// The nearest character boundary at or before this byte.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_cut_to_what_is_near() {
        let long = format!("first\n{}X{}\nlast", "ä".repeat(500), "b".repeat(500));
        let at = long.find('X').unwrap();
        let span = Span { line: 2, column: 501, start: at, end: at + 1 };
        let excerpt = Excerpt::of(&long, span);
        assert_eq!(excerpt.text.chars().count(), 2 * AROUND + 1);
        assert_eq!(&excerpt.text[excerpt.range], "X");
    }

    #[test]
    fn a_span_that_is_off_the_text_or_inside_a_character_is_survived() {
        for (start, end) in [(0, 0), (1, 2), (7, 99), (99, 100)] {
            let excerpt = Excerpt::of("ää\nbb", Span { line: 1, column: 1, start, end });
            assert!(excerpt.range.end <= excerpt.text.len());
        }
    }
}
