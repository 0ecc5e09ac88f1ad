//! A fitted scenario as somebody would write it: YAML with comments, which reads back as the same.

use std::fmt::Write as _;

use sortie_core::serving::Serving;

use super::Fitted;
use crate::scenario::{Latency, Law, Samples, Scenario};

/// Columns of a line of numbers or of a comment.
const COLUMNS: usize = 100;

pub(super) fn written(fitted: &Fitted) -> String {
    let Fitted { scenario, notes } = fitted;
    let mut text = String::from("# A scenario that was made from calls. What they could not tell:\n");
    for note in notes {
        text += &comment(note);
    }
    // Writing to a text never fails.
    let _ = body(&mut text, scenario);
    text
}

fn body(text: &mut String, scenario: &Scenario) -> std::fmt::Result {
    writeln!(text, "name: {}\nabout: {}", quoted(&scenario.name), quoted(&scenario.about))?;
    match &scenario.latency {
        Latency::Paced { first_token, tokens_per_second } => {
            writeln!(text, "latency:\n  paced:\n    # Seconds, of a request that is alone.")?;
            writeln!(text, "    first_token:{}", law(first_token, 6))?;
            writeln!(text, "    tokens_per_second:{}", law(tokens_per_second, 6))?;
        }
        Latency::Total { seconds, first_token } => {
            writeln!(text, "latency:\n  total:\n    # Seconds, of a request that is alone.")?;
            writeln!(text, "    seconds:{}", law(seconds, 6))?;
            writeln!(text, "    first_token:{}", law(first_token, 6))?;
        }
    }
    let network = scenario.network_ms;
    writeln!(text, "network_ms: {{ min: {}, max: {} }}", network.min, network.max)?;
    writeln!(text, "output_tokens:{}", law(&scenario.output_tokens, 2))?;
    if let Some(per_minute) = scenario.requests_per_minute {
        writeln!(text, "requests_per_minute: {per_minute}")?;
    }
    if let Some(burst) = scenario.requests_burst {
        writeln!(text, "requests_burst: {burst}")?;
    }
    if let Some(Serving { slots, slowdown }) = &scenario.server {
        writeln!(text, "server:")?;
        if let Some(slots) = slots {
            writeln!(
                text,
                "  # So many are answered at a time; others wait in the order of their arrival.\n  slots: {slots}"
            )?;
        }
        if !slowdown.is_empty() {
            writeln!(
                text,
                "  # How many times longer an answer takes that is begun as one of 1, 2, … requests."
            )?;
            writeln!(text, "  slowdown: {}", list(slowdown, 4))?;
        }
    }
    if !scenario.faults.is_empty() {
        writeln!(text, "# Shares of the tries.\nfaults:")?;
    }
    for fault in &scenario.faults {
        let of = fault.provider.as_ref().map_or(String::new(), |one| format!(", provider: {one}"));
        writeln!(text, "  - {{ kind: {}, share: {}{of} }}", quoted(&fault.kind.to_string()), fault.share)?;
    }
    writeln!(text, "# It is asked for models of other names than it was made from.\nunknown_models: served")
}

/// A text as YAML has it, which takes JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What stands behind the key of a law.
fn law(law: &Law, indent: usize) -> String {
    match law {
        Law::Fixed(number) => format!(" {{ fixed: {number} }}"),
        Law::Uniform { min, max } => format!(" {{ uniform: {{ min: {min}, max: {max} }} }}"),
        Law::Lognormal { mean, sigma, min, max } => {
            format!(" {{ lognormal: {{ mean: {mean}, sigma: {sigma}, min: {min}, max: {max} }} }}")
        }
        Law::Samples(Samples::Numbers(numbers)) => {
            format!("\n{:indent$}samples: {}", "", list(numbers, indent + 2))
        }
        Law::Samples(Samples::File(path)) => format!(" {{ samples: {} }}", quoted(&path.to_string_lossy())),
    }
}

/// Numbers in lines that are indented so far.
fn list(numbers: &[f64], indent: usize) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    let short = format!("[{}]", numbers.join(", "));
    if short.len() + indent <= COLUMNS {
        return short;
    }
    let mut lines = String::from("[");
    let mut column = COLUMNS;
    for number in numbers {
        if column + number.len() + 2 > COLUMNS {
            let _ = write!(lines, "\n{:indent$}", "");
            column = indent;
        }
        column += number.len() + 2;
        let _ = write!(lines, "{number}, ");
    }
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    format!("{}\n{:2$}]", lines.join("\n"), "", indent - 2)
}

/// A sentence as lines of a comment.
fn comment(sentence: &str) -> String {
    let mut lines = String::new();
    let mut line = "#   -".to_owned();
    for word in sentence.split_whitespace() {
        if line.len() + word.len() + 1 > COLUMNS {
            let _ = writeln!(lines, "{line}");
            "#    ".clone_into(&mut line);
        }
        let _ = write!(line, " {word}");
    }
    lines + &line + "\n"
}
