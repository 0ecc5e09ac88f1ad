//! A string that a regular expression matches, for the expressions that schemas are written with:
//! literals, classes, groups, alternatives and counts. What looks around or back is not understood.

use std::iter::Peekable;
use std::str::Chars;

use sortie_core::chance::Chance;

/// The most times that anything is repeated.
const MOST_REPEATS: u32 = 256;

/// The most that a string grows to: repeats within repeats multiply.
const LONGEST: usize = 4_096;

/// What `.` and the negated classes are drawn from.
const PLAIN: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_- .,";

enum Node {
    OneOf(Vec<char>),
    /// The first of its alternatives, which are sequences.
    Group(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
}

/// A string that the pattern matches, of a length in characters from `least` to `most` if it can be;
/// `None` where the pattern is not understood.
pub(super) fn text(pattern: &str, least: usize, most: usize, chance: &mut Chance) -> Option<String> {
    let mut chars = pattern.chars().peekable();
    let nodes = alternatives(&mut chars, 0)?;
    if chars.next().is_some() {
        return None;
    }
    // What may be repeated is repeated more and more, until the string is long enough.
    let mut text = String::new();
    for repeats in 1..MOST_REPEATS {
        text.clear();
        write_all(&nodes, repeats, chance, &mut text);
        if text.chars().count() >= least {
            break;
        }
    }
    if text.chars().count() > most {
        text.clear();
        write_all(&nodes, 0, chance, &mut text);
    }
    Some(text)
}

fn write_all(nodes: &[Node], repeats: u32, chance: &mut Chance, text: &mut String) {
    for node in nodes {
        write(node, repeats, chance, text);
    }
}

fn write(node: &Node, repeats: u32, chance: &mut Chance, text: &mut String) {
    if text.len() >= LONGEST {
        return;
    }
    match node {
        Node::OneOf(choices) => {
            text.extend(choices.get(chance.below(choices.len() as u64) as usize));
        }
        Node::Group(nodes) => write_all(nodes, repeats, chance, text),
        Node::Repeat { node, least, most } => {
            let times = repeats.max(*least).min(most.unwrap_or(u32::MAX));
            for _ in 0..times {
                write(node, repeats, chance, text);
            }
        }
    }
}

/// The first alternative, up to the group's end; the others are read and dropped.
fn alternatives(chars: &mut Peekable<Chars>, depth: usize) -> Option<Vec<Node>> {
    if depth > 16 {
        return None;
    }
    let mut first = None;
    let mut nodes = Vec::new();
    loop {
        match chars.peek() {
            None | Some(')') => break,
            Some('|') => {
                chars.next();
                let done = std::mem::take(&mut nodes);
                first.get_or_insert(done);
            }
            Some('^' | '$') => drop(chars.next()),
            Some(_) => {
                let node = atom(chars, depth)?;
                nodes.push(counted(node, chars)?);
            }
        }
    }
    Some(first.unwrap_or(nodes))
}

fn atom(chars: &mut Peekable<Chars>, depth: usize) -> Option<Node> {
    Some(match chars.next()? {
        '(' => {
            if chars.peek() == Some(&'?') {
                chars.next();
                // `(?:` only: what looks around cannot be made.
                chars.next_if_eq(&':')?;
            }
            let nodes = alternatives(chars, depth + 1)?;
            chars.next_if_eq(&')')?;
            Node::Group(nodes)
        }
        '[' => Node::OneOf(class(chars)?),
        '.' => Node::OneOf(PLAIN.chars().collect()),
        '\\' => Node::OneOf(escaped(chars.next()?)?),
        '*' | '+' | '?' => return None,
        literal => Node::OneOf(vec![literal]),
    })
}

/// An atom with the count that follows it, if one does.
fn counted(node: Node, chars: &mut Peekable<Chars>) -> Option<Node> {
    let (least, most) = match chars.peek() {
        Some('*') => (0, None),
        Some('+') => (1, None),
        Some('?') => (0, Some(1)),
        Some('{') => {
            chars.next();
            let inside: String = std::iter::from_fn(|| chars.next_if(|c| *c != '}')).collect();
            let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
            let least: u32 = least.parse().ok()?;
            let most = if most.is_empty() { None } else { Some(most.parse().ok()?) };
            (least.min(MOST_REPEATS), most)
        }
        _ => return Some(node),
    };
    // The counting character, or the brace that ends it; then what makes it lazy.
    chars.next()?;
    chars.next_if_eq(&'?');
    Some(Node::Repeat { node: Box::new(node), least, most })
}

/// A class after its `[`.
fn class(chars: &mut Peekable<Chars>) -> Option<Vec<char>> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut members: Vec<char> = Vec::new();
    loop {
        let mut found = match chars.next()? {
            ']' => break,
            '\\' => escaped(chars.next()?)?,
            literal => vec![literal],
        };
        let mut ahead = chars.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|after| after != ']');
        if let ([from], true) = (found.as_slice(), is_range) {
            chars.next();
            let to = match chars.next()? {
                '\\' => *escaped(chars.next()?)?.first()?,
                literal => literal,
            };
            // Enough of a range of all of Unicode.
            found = (*from..=to).take(128).collect();
        }
        members.extend(found);
    }
    if negated {
        members = PLAIN.chars().filter(|c| !members.contains(c)).collect();
    }
    (!members.is_empty()).then_some(members)
}

fn escaped(c: char) -> Option<Vec<char>> {
    Some(match c {
        'd' => ('0'..='9').collect(),
        'w' => ('a'..='z').chain('0'..='9').chain(['_']).collect(),
        's' => vec![' '],
        'D' | 'S' => ('a'..='z').collect(),
        'W' => vec!['-', ' '],
        'n' => vec!['\n'],
        't' => vec!['\t'],
        'b' | 'B' | 'A' | 'Z' | 'z' | 'u' | 'x' | 'p' | 'P' | '0'..='9' => return None,
        literal => vec![literal],
    })
}
