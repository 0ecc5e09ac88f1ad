//! Strings that fit their formats and lengths.

use serde_json::{Map, Value};

use super::{MOST, pattern, whole};
use sortie_core::chance::Chance;

pub(super) const WORDS: [&str; 12] = [
    "harbour", "signal", "meadow", "lantern", "copper", "orchard", "ledger", "window", "compass", "granite",
    "thread", "summit",
];

/// A string that fits.
pub(super) fn fitting(fields: &Map<String, Value>, chance: &mut Chance) -> String {
    let least = whole(fields, "minLength").unwrap_or(0).min(MOST) as usize;
    let most = whole(fields, "maxLength").unwrap_or(u64::MAX) as usize;
    if let Some(pattern) = fields.get("pattern").and_then(Value::as_str)
        && let Some(text) = pattern::text(pattern, least, most, chance)
    {
        return text;
    }
    if let Some(text) = fields.get("format").and_then(Value::as_str).and_then(|name| of_format(name, chance))
    {
        return text;
    }
    let mut text = String::new();
    while text.is_empty() || text.len() < least {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(chance.pick(&WORDS));
    }
    text.truncate(most);
    text
}

/// A string of one of the formats that structured outputs know; `None` of any other.
fn of_format(name: &str, chance: &mut Chance) -> Option<String> {
    let date = format!("20{:02}-{:02}-{:02}", chance.below(40), 1 + chance.below(12), 1 + chance.below(28));
    let time = format!("{:02}:{:02}:{:02}Z", chance.below(24), chance.below(60), chance.below(60));
    let word = chance.pick(&WORDS);
    Some(match name {
        "date-time" => format!("{date}T{time}"),
        "date" => date,
        "time" => time,
        "duration" => format!("PT{}M", 1 + chance.below(59)),
        "email" | "idn-email" => format!("{word}@example.com"),
        "hostname" | "idn-hostname" => format!("{word}.example.com"),
        "uri" | "url" | "iri" | "uri-reference" => format!("https://example.com/{word}"),
        // From the range for documentation (RFC 5737, RFC 3849).
        "ipv4" => format!("192.0.2.{}", 1 + chance.below(254)),
        "ipv6" => format!("2001:db8::{:x}", 1 + chance.below(0xfffe)),
        "uuid" => {
            let (high, low) = (chance.bits(), chance.bits());
            let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
            // Version 4, variant 1 (RFC 9562).
            format!("{a:08x}-{b:04x}-4{c:03x}-8{:03x}-{:012x}", (low >> 48) & 0xfff, low & 0xffff_ffff_ffff)
        }
        _ => return None,
    })
}
